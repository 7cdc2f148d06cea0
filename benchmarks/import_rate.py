"""Import: rate and memory.

Rate: a wide CSV file through the whole import, against raw `insert_many` of the same documents, and
the floor: their columns in memory, encoded and inserted; the same file once more, against reading
it alone. Memory: the peak of a process that imports a file, and of one that imports twice as much,
each of a new file and of the same one again.

Run: python benchmarks/import_rate.py
"""

import gc
import json
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from alerting.adapters.files.readings_and_events import ReadingsFile
from alerting.adapters.mongo.embedded_mongod import EmbeddedMongod
from alerting.adapters.mongo.mongo import MongoStores, connect
from alerting.adapters.mongo.prepare import prepare_database
from alerting.definitions.file_form import FileForm
from alerting.ports import Platform, ReadingBatch, silent
from alerting.settings.environment import Settings
from alerting.settings.machine import free_port
from alerting.stores.database.documents import READINGS, MongoDatabase
from alerting.stores.database.indexes import INDEXES
from alerting.stores.readings.writes import MongoReadingWrites
from alerting.usecases.ingestion.tables import check_readings, refuse_line
from alerting.wiring import assemble
from benchmarks.helpers.memory import peak_mib

ROWS = 50_000
VARIABLES = 20
ASSETS = 5
BATCH = 10_000
ROUNDS = 5
GOAL = 0.9
BLOCKS = (26, 52)  # of 50,000 rows each: 306 and 613 MB
START = datetime(2016, 1, 1, tzinfo=UTC)
MOST = 1.1  # times the peak of the smaller file


def run() -> dict[str, object]:
    """Return rows per second of each, medians of five runs in turns, on an embedded server that
    journals every write, and the peaks in MiB: the larger file must need about what the smaller one
    does."""
    rates: dict[str, list[float]] = {}
    with (
        tempfile.TemporaryDirectory() as folder,
        EmbeddedMongod(Path(folder) / "db", free_port()) as server,
    ):
        file = Path(folder) / "wide.csv"
        write_rows(file)
        client = connect(server.uri)
        for i in range(ROUNDS):
            for name, rate in _round(client, server.uri, file, i).items():
                rates.setdefault(name, []).append(rate)
        client.close()
        memory = _measure_memory(Path(folder), server.uri)
    median = {name: statistics.median(found) for name, found in rates.items()}
    ratio = median["import"] / median["raw"]
    return {
        "benchmark": "import",
        "figure": round(median["import"]),
        "unit": f"rows/s of {VARIABLES} values",
        "peer": "raw insert_many of the same documents",
        "peer_figure": round(median["raw"]),
        "floor": round(median["floor"]),
        "again": round(median["again"]),
        "reading": round(median["reading"]),
        "ratio": round(ratio, 3),
        "ratios": [round(a / b, 3) for a, b in zip(rates["import"], rates["raw"], strict=True)],
        "goal": GOAL,
        "memory": memory,
        "met": ratio >= GOAL and memory["met"],
    }


def _measure_memory(folder: Path, uri: str) -> dict[str, Any]:
    """Return the peaks of processes of their own."""
    spawn = multiprocessing.get_context("spawn")
    peaks: list[int] = []
    megabytes = []
    for blocks in BLOCKS:
        file = folder / f"wide_{blocks}.csv"
        for i in range(blocks):
            begin = START + i * timedelta(minutes=ROWS // ASSETS)
            write_rows(file, begin.strftime("%Y-%m-%d %H:%M"), "a" if i else "w")
        megabytes.append(round(file.stat().st_size / 1e6))
        client = connect(uri)
        prepare_database(client[file.stem])
        for new in (blocks * ROWS, 0):
            with spawn.Pool(1) as pool:
                peaks.append(pool.apply(import_file, (file, uri, new)))
        client.drop_database(file.stem)
        client.close()
        file.unlink()
    figure = max(peaks[2:])
    return {
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
    checked = check_readings(ReadingsFile(file, FileForm()), platform)
    result = checked.write(now=datetime.now(UTC), actor="benchmark")
    client.close()
    assert result.new == new
    return peak_mib()


def _round(client: Any, uri: str, file: Path, number: int) -> dict[str, float]:
    stores = MongoStores(client[f"imported_{number}"])
    prepare_database(stores.database)
    raw = _readings(client, f"raw_{number}")
    floor = _readings(client, f"floor_{number}")
    settings = Settings(home=file.parent, mongodb_uri=uri)
    platform = assemble(settings, stores, channels=False)
    return {
        "import": _import(file, platform, new=ROWS),
        "raw": _insert(stores.database, raw),
        "floor": _encode(file, floor),
        "again": _import(file, platform, new=0),
        "reading": _read(file),
    }


def _readings(client: Any, name: str) -> MongoDatabase:
    """Return an empty database that has the index of readings alone."""
    database: MongoDatabase = client[name]
    database[READINGS].create_indexes(INDEXES[READINGS])
    return database


def write_rows(file: Path, start: str = "2026-01-01", mode: Literal["w", "a"] = "w") -> None:
    """Write or append seeded minute readings of several assets, sorted by time."""
    random = np.random.default_rng(0)
    instants = pd.date_range(start, periods=ROWS // ASSETS, freq="min").repeat(ASSETS)
    frame = pd.DataFrame(
        random.normal(100, 15, (ROWS, VARIABLES)).round(6),
        columns=[f"variable_{i}" for i in range(VARIABLES)],
    )
    frame.insert(0, "asset", [f"oven-{i}" for i in range(1, ASSETS + 1)] * (ROWS // ASSETS))
    frame.insert(0, "ts", instants.strftime("%Y-%m-%dT%H:%M:%SZ"))
    frame.to_csv(file, index=False, mode=mode, header=mode == "w")


def _import(file: Path, platform: Platform, new: int) -> float:
    gc.collect()
    started = time.perf_counter()
    result = check_readings(ReadingsFile(file, FileForm()), platform).write(
        now=datetime.now(UTC), actor="benchmark"
    )
    elapsed = time.perf_counter() - started
    assert (result.rows, result.new) == (ROWS, new)
    return ROWS / elapsed


def _read(file: Path) -> float:
    """Return the rows per second of both passes over the file, without a write."""
    gc.collect()
    started = time.perf_counter()
    rows = sum(map(len, _batches(file)))
    elapsed = time.perf_counter() - started
    assert rows == ROWS
    return ROWS / elapsed


def _batches(file: Path) -> Iterator[ReadingBatch]:
    source = ReadingsFile(file, FileForm())
    titles = source.profile(silent).columns
    return source.read(dict.fromkeys(titles, "number"), refuse_line, silent)


def _encode(file: Path, plain: MongoDatabase) -> float:
    """Return the rows per second of encoding and inserting columns that are in memory."""
    batches = list(_batches(file))
    writes = MongoReadingWrites(plain)
    gc.collect()
    started = time.perf_counter()
    for batch in batches:
        writes.insert(batch, datetime.now(UTC))
    return ROWS / (time.perf_counter() - started)


def _insert(imported: MongoDatabase, plain: MongoDatabase) -> float:
    documents = list(imported[READINGS].find({}, {"_id": False}))
    gc.collect()
    started = time.perf_counter()
    for start in range(0, ROWS, BATCH):
        plain[READINGS].insert_many(documents[start : start + BATCH], ordered=False)
    return ROWS / (time.perf_counter() - started)


if __name__ == "__main__":
    print(json.dumps(run()))
