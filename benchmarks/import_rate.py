"""Import rate: a wide CSV file through the whole import, against raw `insert_many` of the same
documents.

Run: python benchmarks/import_rate.py
"""

import gc
import json
import socket
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from alerting.adapters.embedded.embedded_mongod import EmbeddedMongod
from alerting.adapters.files.readings import ReadingsFile
from alerting.adapters.files.rows import Layout
from alerting.adapters.mongo.indexes import READINGS
from alerting.adapters.mongo.mongo import MongoStores, connect
from alerting.adapters.mongo.prepare import prepare_database
from alerting.adapters.platform import Platform
from alerting.settings.environment import Settings
from alerting.usecases.ingestion.tables import check_readings
from alerting.wiring import assemble

ROWS = 50_000
VARIABLES = 20
ASSETS = 5
BATCH = 10_000
ROUNDS = 5
GOAL = 0.75


def run() -> dict[str, object]:
    """Return rows per second of both, each the best of five alternating runs, on an embedded server
    that journals every write."""
    with (
        tempfile.TemporaryDirectory() as folder,
        EmbeddedMongod(Path(folder) / "db", _free_port()) as server,
    ):
        file = Path(folder) / "wide.csv"
        _write(file)
        client = connect(server.uri)
        ours = []
        raw = []
        for i in range(ROUNDS):
            stores = MongoStores(client[f"imported_{i}"])
            prepare_database(stores.database)
            platform = assemble(
                Settings(home=Path(folder), mongodb_uri=server.uri), stores, channels=False
            )
            ours.append(_import(file, platform))
            plain = MongoStores(client[f"raw_{i}"])
            prepare_database(plain.database)
            raw.append(_insert(stores, plain))
        client.close()
    figure = max(ours)
    peer = max(raw)
    return {
        "benchmark": "import",
        "figure": round(figure),
        "unit": f"rows/s of {VARIABLES} values",
        "peer": "raw insert_many of the same documents",
        "peer_figure": round(peer),
        "ratio": round(figure / peer, 3),
        "goal": GOAL,
        "met": figure / peer >= GOAL,
    }


def _write(file: Path) -> None:
    """Write seeded minute readings of several assets, sorted by time."""
    random = np.random.default_rng(0)
    instants = pd.date_range("2026-01-01", periods=ROWS // ASSETS, freq="min").repeat(ASSETS)
    frame = pd.DataFrame(
        random.normal(100, 15, (ROWS, VARIABLES)).round(6),
        columns=[f"variable_{i}" for i in range(VARIABLES)],
    )
    frame.insert(0, "asset", [f"oven-{i}" for i in range(1, ASSETS + 1)] * (ROWS // ASSETS))
    frame.insert(0, "ts", instants.strftime("%Y-%m-%dT%H:%M:%SZ"))
    frame.to_csv(file, index=False)


def _import(file: Path, platform: Platform) -> float:
    gc.collect()
    started = time.perf_counter()
    result = check_readings(ReadingsFile(file, Layout()), platform).write(
        now=datetime.now(UTC), actor="benchmark"
    )
    elapsed = time.perf_counter() - started
    assert result.new == ROWS
    return ROWS / elapsed


def _insert(imported: MongoStores, plain: MongoStores) -> float:
    documents = list(imported.database[READINGS].find({}, {"_id": False}))
    gc.collect()
    started = time.perf_counter()
    for start in range(0, ROWS, BATCH):
        plain.database[READINGS].insert_many(documents[start : start + BATCH], ordered=False)
    return ROWS / (time.perf_counter() - started)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    print(json.dumps(run()))
