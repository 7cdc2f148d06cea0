"""One year of one asset at one reading a second with 20 variables: size in MongoDB and in the
archive, and a training from it.

`python -m benchmarks.archive --share 0.02`, or ARCHIVE_SHARE=0.02 in the environment, takes a
fiftieth of the year (and of the six months). With `--folder` the data stay there after an
interruption, and the next run goes on after the last complete step; delete the folder at the end.
Values are rounded to a tenth, as sensors send them. Each step runs in a process of its own, of
which the peak memory is given. The training is one of an anomaly definition whose normal period are
the last six months but one, read from the archive; beside it stands the same reading alone, and
that of the same interval from MongoDB before it was archived.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from alerting.adapters.embedded.embedded_mongod import EmbeddedMongod
from alerting.adapters.platform import Platform
from alerting.definitions.assets import Asset, Variable
from alerting.ports import ReadingBatch, SampleColumn
from alerting.settings.environment import read_settings
from alerting.settings.machine import free_port
from alerting.usecases.definitions.sync import apply
from alerting.usecases.training.train import train
from alerting.usecases.upkeep.archive import archive_readings, verify_archive
from alerting.wiring import open_platform, open_stores, prepare_database
from benchmarks.helpers.memory import peak_mib

ASSET = "line-1"
NAME = "unusual"
VARIABLES = 20
START = datetime(2024, 1, 1, tzinfo=UTC)
YEAR = timedelta(days=365)
_BATCH = 20_000
_CHECKPOINT_S = 65
Step = Callable[[Platform, timedelta], dict[str, Any]]


def run(
    share: float = float(os.environ.get("ARCHIVE_SHARE", "1")), kept: Path | None = None
) -> dict[str, Any]:
    """Return sizes in MiB, and seconds and peak MiB of each step. `kept`: a folder that holds the
    data of an interrupted run."""
    with TemporaryDirectory() if kept is None else nullcontext(str(kept)) as folder:
        return _run(Path(folder), share)


def _run(folder: Path, share: float) -> dict[str, Any]:
    with EmbeddedMongod(folder / "db", free_port()) as mongod:
        home = folder / "home"
        done = folder / f"steps-{share:g}.json"
        home.mkdir(mode=0o700, exist_ok=True)
        environ = {
            "ALERTING_HOME": str(home),
            "ALERTING_MONGODB_URI": mongod.uri,
            "ALERTING_ARCHIVE_AFTER": "14d",
        }
        prepare_database(read_settings(environ))
        steps: dict[str, dict[str, Any]] = json.loads(done.read_text()) if done.exists() else {}
        for name, step in _STEPS.items():
            if name not in steps:
                steps[name] = _alone(step, environ, share)
                done.write_text(json.dumps(steps))
                print(json.dumps({name: steps[name]}), file=sys.stderr, flush=True)
        steps["server"] = {"peak_mib": peak_mib(int((folder / "db" / "server.lock").read_text()))}
    stored = steps["fill"]["stored_mib"]
    archived = steps["archive"]["archived_mib"]
    same = steps["load"]["checksum"] == steps["load_archived"]["checksum"]
    return {
        "benchmark": "archive",
        "figure": archived,
        "unit": f"MiB of {steps['fill']['rows']} readings of {VARIABLES} variables in the archive",
        "peer": "the same readings in MongoDB, with index",
        "peer_figure": stored,
        "ratio": round(stored / archived, 2),
        "goal": "every reading is archived and read as before",
        "met": bool(
            same
            and steps["archive"]["rows"] == steps["fill"]["rows"]
            and not steps["verify"]["faults"]
        ),
        "share_of_the_year": share,
        "steps": steps,
    }


def _alone(step: Step, environ: dict[str, str], share: float) -> dict[str, Any]:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_measured, step, environ, YEAR * share).result()


def _measured(
    step: Callable[[Platform, timedelta], dict[str, Any]],
    environ: dict[str, str],
    length: timedelta,
) -> dict[str, Any]:
    os.environ.update(environ)
    with open_platform(read_settings(os.environ), channels=False) as platform:
        before = peak_mib()
        began = time.perf_counter()
        found = step(platform, length)
        return {
            **found,
            "seconds": round(time.perf_counter() - began, 2),
            "peak_mib": peak_mib(),
            "peak_before_mib": before,
        }


def fill(platform: Platform, length: timedelta) -> dict[str, Any]:
    """Store the readings; return how many, and how much room they take in MongoDB."""
    names = [f"v{number}" for number in range(VARIABLES)]
    platform.assets.store_assets(
        [Asset(name=ASSET, variables={name: Variable() for name in names})]
    )
    random = np.random.default_rng(1)
    rows = int(length.total_seconds())
    first = int(START.timestamp() * 1000)
    level = np.full(VARIABLES, 50.0)
    for start in range(0, rows, _BATCH):
        count = min(_BATCH, rows - start)
        drift = level + random.normal(0, 0.02, (count, VARIABLES)).cumsum(axis=0)
        level = drift[-1]
        values = np.round(drift + random.normal(0, 0.2, drift.shape), 1)
        columns = {
            name: SampleColumn(values[:, i].copy(), np.ones(count, np.bool_))
            for i, name in enumerate(names)
        }
        at = first + 1000 * np.arange(start + 1, start + count + 1)
        batch = ReadingBatch(np.full(count, ASSET, object), at, columns)
        platform.reading_writes.insert(batch, START + length)
    with open_stores(read_settings(os.environ)) as stores:
        time.sleep(_CHECKPOINT_S)  # the server counts what its last checkpoint wrote
        stats = next(
            iter(stores.database["readings"].aggregate([{"$collStats": {"storageStats": {}}}]))
        )["storageStats"]
    return {
        "rows": rows,
        "stored_mib": round((stats["storageSize"] + stats["totalIndexSize"]) / (1 << 20), 1),
    }


def _months(length: timedelta) -> tuple[datetime, datetime]:
    """Return the half of the time that lies before the last twelfth."""
    end = START + length * (11 / 12)
    return end - length / 2, end


def load(platform: Platform, length: timedelta) -> dict[str, Any]:
    """Read six months of all variables."""
    asset = platform.assets.get(ASSET)
    if asset is None:
        raise RuntimeError("the asset is not there")
    frame = platform.readings.load(asset, *_months(length)).readings
    return {"rows": len(frame), "checksum": float(frame.sum().sum())}


def archive(platform: Platform, length: timedelta) -> dict[str, Any]:
    """Archive all months."""
    found = archive_readings(platform, START + length + timedelta(days=60))
    if found.faults:
        raise RuntimeError(found.faults[0])
    return {
        "rows": found.deleted,
        "files": found.files,
        "archived_mib": round(found.bytes / (1 << 20), 1),
    }


def verify(platform: Platform, _: timedelta) -> dict[str, Any]:
    """Read every file and compare."""
    return {"faults": verify_archive(platform)}


def fit(platform: Platform, length: timedelta) -> dict[str, Any]:
    """Train an anomaly definition on six months."""
    start, end = _months(length)
    normal = {"from": start.isoformat(), "to": end.isoformat()}
    document = {"name": NAME, "kind": "anomaly", "assets": [ASSET], "normal": normal}
    apply(platform, [document], "benchmark", START + length, "benchmark")
    proposal = train(platform, NAME, START + length)
    return {"decision": proposal.verdict}


_STEPS: dict[str, Step] = {
    "fill": fill,
    "load": load,
    "archive": archive,
    "verify": verify,
    "load_archived": load,
    "fit": fit,
}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--share",
        type=float,
        default=float(os.environ.get("ARCHIVE_SHARE", "1")),
        help="of the year, e.g. 0.02",
    )
    parser.add_argument(
        "--folder", type=Path, help="an empty folder, or that of an interrupted run"
    )
    given = parser.parse_args()
    print(json.dumps(run(given.share, given.folder)))
