"""Evaluation of many threshold definitions through the real scheduler: from each minute to the last
definition evaluated.

Airflow's API server, scheduler and DAG processor run as `alerting up` starts them, on an embedded
database, with the DAGs of the project. Each asset delivers one reading a minute, a tenth of a
second after it. The shards' watermarks are read four times a second: a round is over once the last
definition has been evaluated up to its instant less the latency. The instants that begin before all
definitions were evaluated once do not count. A small try: `python -m benchmarks.scheduler 200 2`.
"""

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from alerting.adapters.airflow.dag_files import write_dag_files
from alerting.adapters.embedded.embedded_mongod import EmbeddedMongod
from alerting.adapters.mongo.evaluation.states import from_shard
from alerting.adapters.mongo.indexes import STATES
from alerting.adapters.mongo.mongo import MongoStores
from alerting.local import parts
from alerting.local.secrets import load_or_create
from alerting.ports import ReadingRow
from alerting.readings.instants import NO_TIME
from alerting.settings.environment import Settings
from alerting.settings.machine import free_port
from alerting.usecases.ingestion.arrivals import add_readings
from alerting.wiring import open_stores, prepare_database
from benchmarks.evaluate import ASSETS, asset_name, write_definitions, writes_of

DEFINITIONS = 10_000
ROUNDS = 5
MINUTE = timedelta(minutes=1)
LATENCY = timedelta(seconds=10)  # the platform's default
PAUSE_S = 0.25
PATIENCE = timedelta(minutes=10)


def run(size: int = DEFINITIONS, rounds: int = ROUNDS) -> dict[str, Any]:
    """Return the seconds from a minute to the last definition evaluated at it, beside the minute
    that a round may take."""
    # so that no part of Airflow goes on
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by a signal"))
    with (
        tempfile.TemporaryDirectory() as folder,
        EmbeddedMongod(Path(folder) / "db", free_port()) as server,
    ):
        home = Path(folder)
        settings = Settings(
            home=home, mongodb_uri=server.uri, airflow_port=free_port(), api_port=free_port()
        )
        prepare_database(settings)
        with open_stores(settings) as stores:
            write_definitions(stores, size, whole_minute(datetime.now(UTC)))
            with running_airflow(settings):
                seconds, missed = _measure(stores, size, rounds)
    figure = statistics.median(seconds)
    longest = max(seconds)
    return {
        "benchmark": "scheduler",
        "figure": round(figure, 1),
        "unit": (
            f"s from the minute to the last of {size} definitions evaluated, through Airflow, "
            f"median of {rounds} minutes"
        ),
        "peer": "the minute after which the next round begins",
        "peer_figure": MINUTE.total_seconds(),
        "ratio": round(MINUTE.total_seconds() / figure, 1),
        "goal": "each round is over before the next minute, and none is left out",
        "met": longest < MINUTE.total_seconds() and missed == 0,
        "seconds": [round(each, 1) for each in seconds],
        "missed": missed,
        "load_average": round(os.getloadavg()[0], 1),
    }


def _measure(stores: MongoStores, size: int, rounds: int) -> tuple[list[float], int]:
    """Return the seconds of each round from its minute to its end, and how many minutes had no
    round of their own."""
    random = np.random.default_rng(0)
    delivered = whole_minute(datetime.now(UTC))
    before = None
    found: dict[datetime, float] = {}
    last_change = datetime.now(UTC)
    while len(found) < rounds:
        time.sleep(PAUSE_S)
        now = datetime.now(UTC)
        if whole_minute(now) > delivered:
            delivered = whole_minute(now)
            deliver(stores, min(size, ASSETS), delivered, random)
        reached = evaluated_to(stores, size)
        if reached is None or reached == before:
            if now - last_change > PATIENCE:
                raise TimeoutError(f"no round was over within {PATIENCE}; see the logs of Airflow")
            continue
        if before is not None:
            instant = whole_minute(reached + LATENCY)
            found[instant] = (now - instant).total_seconds()
            print(f"{instant:%H:%M}: {found[instant]:.1f} s", file=sys.stderr)
        before = reached
        last_change = now
    return list(found.values()), (max(found) - min(found)) // MINUTE + 1 - len(found)


def evaluated_to(stores: MongoStores, size: int) -> datetime | None:
    """Return up to when all definitions are evaluated; None while one has not been evaluated
    yet."""
    watermarks = [
        at
        for shard in stores.database[STATES].find()
        for at in from_shard(shard).watermark.tolist()
    ]
    if len(watermarks) < size or NO_TIME in watermarks:
        return None
    return datetime.fromtimestamp(min(watermarks) / 1000, UTC)


def deliver(stores: MongoStores, assets: int, at: datetime, random: np.random.Generator) -> None:
    """Write one reading of each asset."""
    values = random.normal(80, 3, assets).round(3)
    values[at.minute % 100 :: 100] = 102.5  # too hot in this minute
    rows = [
        ReadingRow(asset_name(i), at, {"temperature": value})
        for i, value in enumerate(values.tolist())
    ]
    add_readings(writes_of(stores), rows, datetime.now(UTC))


@contextmanager
def running_airflow(settings: Settings, **changes: str) -> Iterator[dict[str, int]]:
    """Run Airflow's parts with their logs in the home; yield their process ids by name. `changes`:
    of the environment."""
    secrets = load_or_create(settings.home / "secrets")
    environ = {
        **parts.airflow_environment(
            settings, secrets, parts.environment(settings, secrets, os.environ)
        ),
        **changes,
    }
    logs = settings.home / "logs"
    logs.mkdir(exist_ok=True)
    write_dag_files(settings.home)
    for job in parts.airflow_migration(settings, environ):
        subprocess.run(job.command, env=environ, check=True, capture_output=True)
    processes: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for part in parts.airflow_parts(settings, environ, needs=()):
            with (logs / f"{part.name}.log").open("wb") as log:
                processes[part.name] = subprocess.Popen(
                    part.command, env=environ, stdout=log, stderr=log, start_new_session=True
                )
        yield {name: process.pid for name, process in processes.items()}
    finally:
        for process in processes.values():
            process.terminate()
        for process in processes.values():
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Wait for a process; one that has not stopped after half a minute is killed with its group."""
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)


def whole_minute(instant: datetime) -> datetime:
    """Return the minute of an instant."""
    return instant.replace(second=0, microsecond=0)


if __name__ == "__main__":
    print(json.dumps(run(*map(int, sys.argv[1:]))))
