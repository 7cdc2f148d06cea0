"""2,000 reports that are due at once, through the real scheduler: minutes until the last one and
the plant's are stored.

Airflow's API server, scheduler and DAG processor run as `alerting up` starts them, on an embedded
database, with all DAGs of the project. The definitions are thresholds (classifiers would start
their trainings); each has three episodes in the last closed week, on 50 assets with a reading every
ten minutes. The minutes begin with the start of Airflow. A small try: `python -m
benchmarks.reports.reports_due 100`.
"""

import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from alerting.adapters.embedded.embedded_mongod import EmbeddedMongod
from alerting.adapters.mongo.indexes import EPISODES
from alerting.adapters.mongo.mongo import MongoStores
from alerting.definitions.assets import Asset, Variable
from alerting.definitions.revisions import next_revision
from alerting.episodes.episode import Episode
from alerting.kinds.validation import parse_definition
from alerting.ports import PastEvaluation, ReadingRow
from alerting.reporting.life.periods import Period, periods_within
from alerting.settings.environment import Settings
from alerting.settings.machine import free_port
from alerting.wiring import open_stores, prepare_database
from benchmarks.reports.report import ASSETS, READING, asset_of, definition_of, episode_of, stored
from benchmarks.scheduler import running_airflow

DEFINITIONS = 2_000
EPISODES_EACH = 3
VARIABLES = 2
GOAL_MINUTES = 60
PAUSE_S = 2.0
PATIENCE = timedelta(hours=2)


def run(size: int = DEFINITIONS) -> dict[str, Any]:
    """Return the minutes from the start of Airflow until every report on the last week is
    stored."""
    # so that no part of Airflow goes on
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by a signal"))
    with (
        tempfile.TemporaryDirectory() as folder,
        EmbeddedMongod(Path(folder) / "db", free_port()) as server,
    ):
        settings = Settings(
            home=Path(folder),
            mongodb_uri=server.uri,
            airflow_port=free_port(),
            api_port=free_port(),
        )
        prepare_database(settings)
        with open_stores(settings) as stores:
            period = periods_within("week", datetime.now(UTC), settings.timezone, timedelta(0))[0]
            _fill(stores, size, period)
            with running_airflow(settings):
                first, last = _minutes(stores, size, period)
    return {
        "benchmark": "reports_due",
        "figure": round(last, 1),
        "unit": (
            f"minutes from Airflow's start until {size} reports due at once and the plant's are "
            "stored"
        ),
        "first_minutes": round(first, 1),
        "peer": "the hour in which the recipients of Monday's reports expect them",
        "peer_figure": GOAL_MINUTES,
        "ratio": round(GOAL_MINUTES / last, 1),
        "goal": f"all within {GOAL_MINUTES} minutes",
        "met": last <= GOAL_MINUTES,
        "load_average": round(os.getloadavg()[0], 1),
    }


def _minutes(stores: MongoStores, size: int, period: Period) -> tuple[float, float]:
    """Return the minutes until the first and until the last report is stored."""
    began = time.monotonic()
    first = 0.0
    said = 0
    while time.monotonic() < began + PATIENCE.total_seconds():
        time.sleep(PAUSE_S)
        heads = stores.reports.of_period(period.name)
        minutes = (time.monotonic() - began) / 60
        first = first or (minutes if heads else 0.0)
        if len(heads) // 100 > said:
            said = len(heads) // 100
            print(f"{len(heads)} reports after {minutes:.1f} minutes", file=sys.stderr)
        if len(heads) == size + 1:
            return first, minutes
    raise TimeoutError(
        f"{len(heads)} of {size + 1} reports within {PATIENCE}; see the logs of Airflow"
    )


def _fill(stores: MongoStores, size: int, period: Period) -> None:
    random = np.random.default_rng(0)
    start = period.start - timedelta(days=7)
    known = {f"v{i}": Variable(title=f"zone {i} temperature", unit="°C") for i in range(VARIABLES)}
    stores.assets.store_assets([Asset(name=f"oven-{i}", variables=known) for i in range(ASSETS)])
    for asset in range(ASSETS):
        stores.reading_writes.insert(
            list(_readings(f"oven-{asset}", start, period.end, random)), period.end
        )
    for number in range(0, 2 * size, 2):
        definition = parse_definition(definition_of(number))
        stores.definitions.store_document(definition_of(number))
        stores.definitions.add_revision(
            next_revision(definition, None, "benchmark", start, "made up")
        )
        stores.past_evaluations.add(
            PastEvaluation(definition.name, asset_of(number), start, period.end, 1, None, start)
        )
    episodes = [
        _episode(number, place, period)
        for number in range(0, 2 * size, 2)
        for place in range(EPISODES_EACH)
    ]
    stores.database[EPISODES].insert_many([stored(episode) for episode in episodes], ordered=False)


def _readings(
    asset: str, start: datetime, end: datetime, random: np.random.Generator
) -> Iterator[ReadingRow]:
    for i, values in enumerate(
        200 + 5 * random.standard_normal(((end - start) // READING, VARIABLES))
    ):
        yield ReadingRow(
            asset, start + i * READING, {f"v{j}": float(value) for j, value in enumerate(values)}
        )


def _episode(number: int, place: int, period: Period) -> Episode:
    raised = period.start + timedelta(hours=12 + 48 * place, minutes=number % 60)
    return episode_of(number, raised, right=place != 1)


if __name__ == "__main__":
    print(json.dumps(run(*map(int, sys.argv[1:]))))
