"""Import rate: a wide CSV file through the whole import, against raw `insert_many` of the same
documents, and the floor: their columns in memory, encoded and inserted; the same file once more,
against reading it alone.

Run: python benchmarks/import_rate.py
"""

import gc
import json
import socket
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from alerting.adapters.embedded.embedded_mongod import EmbeddedMongod
from alerting.adapters.files.readings import ReadingsFile
from alerting.adapters.files.rows import Layout
from alerting.adapters.mongo.documents import MongoDatabase
from alerting.adapters.mongo.indexes import INDEXES, READINGS
from alerting.adapters.mongo.mongo import MongoStores, connect
from alerting.adapters.mongo.prepare import prepare_database
from alerting.adapters.mongo.readings.writes import MongoReadingWrites
from alerting.adapters.platform import Platform
from alerting.ports import ReadingBatch, silent
from alerting.settings.environment import Settings
from alerting.usecases.ingestion.tables import check_readings, refuse_line
from alerting.wiring import assemble

ROWS = 50_000
VARIABLES = 20
ASSETS = 5
BATCH = 10_000
ROUNDS = 5
GOAL = 0.9


def run() -> dict[str, object]:
    """Return rows per second of each, the best of five runs in turns, on an embedded server that
    journals every write."""
    rates: dict[str, list[float]] = {}
    with (
        tempfile.TemporaryDirectory() as folder,
        EmbeddedMongod(Path(folder) / "db", _free_port()) as server,
    ):
        file = Path(folder) / "wide.csv"
        _write(file)
        client = connect(server.uri)
        for i in range(ROUNDS):
            for name, rate in _round(client, server.uri, file, i).items():
                rates.setdefault(name, []).append(rate)
        client.close()
    best = {name: max(found) for name, found in rates.items()}
    return {
        "benchmark": "import",
        "figure": round(best["import"]),
        "unit": f"rows/s of {VARIABLES} values",
        "peer": "raw insert_many of the same documents",
        "peer_figure": round(best["raw"]),
        "floor": round(best["floor"]),
        "again": round(best["again"]),
        "reading": round(best["reading"]),
        "ratio": round(best["import"] / best["raw"], 3),
        "ratios": [round(a / b, 3) for a, b in zip(rates["import"], rates["raw"], strict=True)],
        "goal": GOAL,
        "met": best["import"] / best["raw"] >= GOAL,
    }


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


def _write(file: Path, start: str = "2026-01-01", mode: Literal["w", "a"] = "w") -> None:
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
    result = check_readings(ReadingsFile(file, Layout()), platform).write(
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
    source = ReadingsFile(file, Layout())
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


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    print(json.dumps(run()))
