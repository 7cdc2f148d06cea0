"""Memory of an import: the peak of a process that imports a file, and of one that imports twice as
much, each of a new file and of the same one again.

Run: python benchmarks/import_memory.py
"""

import json
import multiprocessing
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from alerting.adapters.embedded.embedded_mongod import EmbeddedMongod
from alerting.adapters.files.readings import ReadingsFile
from alerting.adapters.files.rows import Layout
from alerting.adapters.mongo.mongo import MongoStores, connect
from alerting.adapters.mongo.prepare import prepare_database
from alerting.settings.environment import Settings
from alerting.usecases.ingestion.tables import check_readings
from alerting.wiring import assemble
from benchmarks.helpers.memory import peak_mib
from benchmarks.import_rate import ASSETS, ROWS, VARIABLES, _free_port, _write

BLOCKS = (26, 52)  # of 50,000 rows each: 306 and 613 MB
START = datetime(2016, 1, 1, tzinfo=UTC)
MOST = 1.1  # times the peak of the smaller file


def run() -> dict[str, object]:
    """Return the peaks in MiB; the larger file must need about what the smaller one does."""
    spawn = multiprocessing.get_context("spawn")
    peaks: list[int] = []
    megabytes = []
    with (
        tempfile.TemporaryDirectory() as folder,
        EmbeddedMongod(Path(folder) / "db", _free_port()) as server,
    ):
        for blocks in BLOCKS:
            file = Path(folder) / f"wide_{blocks}.csv"
            for i in range(blocks):
                begin = START + i * timedelta(minutes=ROWS // ASSETS)
                _write(file, begin.strftime("%Y-%m-%d %H:%M"), "a" if i else "w")
            megabytes.append(round(file.stat().st_size / 1e6))
            client = connect(server.uri)
            prepare_database(client[file.stem])
            for new in (blocks * ROWS, 0):
                with spawn.Pool(1) as pool:
                    peaks.append(pool.apply(import_file, (file, server.uri, new)))
            client.drop_database(file.stem)
            client.close()
            file.unlink()
    figure = max(peaks[2:])
    return {
        "benchmark": "import_memory",
        "figure": figure,
        "unit": f"MiB at the peak of an import of {megabytes[1]} MB in rows of {VARIABLES} values",
        "peer": f"{megabytes[0]} MB",
        "peer_figure": max(peaks[:2]),
        "peaks": peaks,
        "goal": MOST,
        "met": figure <= MOST * max(peaks[:2]),
    }


def import_file(file: Path, uri: str, new: int) -> int:
    """Import a file into the database of its name; return the peak of this process in MiB."""
    client = connect(uri)
    settings = Settings(home=file.parent, mongodb_uri=uri)
    platform = assemble(settings, MongoStores(client[file.stem]), channels=False)
    checked = check_readings(ReadingsFile(file, Layout()), platform)
    result = checked.write(now=datetime.now(UTC), actor="benchmark")
    client.close()
    assert result.new == new
    return peak_mib()


if __name__ == "__main__":
    print(json.dumps(run()))
