"""Airflow at a plant's size: 1,000 classifiers and 10,000 thresholds in the real scheduler,
evaluated each minute.

A delay counts from the whole minute whose readings are evaluated: a round is over once the last
definition has been evaluated up to its instant less the latency. Each asset delivers one reading a
minute. The classifiers are copies of ten models, trained on the demo line. After a third of the
time two trainings are started; the delays of the minutes beside them are reported apart. `MINUTES`
(30) begin when everything was evaluated once; `PLANT_HOME` names a folder that keeps definitions
and models for the next time. A small try: `MINUTES=5 python -m benchmarks.plant 100 1000`.
"""

import json
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from alerting.adapters.mongo.embedded_mongod import EmbeddedMongod
from alerting.adapters.mongo.mongo import MongoStores
from alerting.demo.stored_line import MongoLines, advance_line, fill, stored_line
from alerting.ports import Platform, ReadingRow
from alerting.readings.history import NO_TIME
from alerting.settings.environment import Settings
from alerting.settings.machine import free_port
from alerting.settings.shipped_files import shipped
from alerting.stores.database.documents import STATES
from alerting.stores.states import from_shard
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.ingestion.arrived_rows import add_readings
from alerting.usecases.training.promote import promote_run
from alerting.usecases.training.training_steps import train
from alerting.wiring import assemble, open_stores, prepare_database
from benchmarks.evaluate import ASSETS, asset_name, write_definitions, writes_of
from benchmarks.helpers.champions import copy_champion
from tests.helpers.scheduler import PAUSED, Airflow, running_airflow

CLASSIFIERS = 1_000
THRESHOLDS = 10_000
MODELS = 10
DAYS = 14
EXAMPLE = shipped("config/examples/demo/biscuits-too-moist.yaml")
MINUTE = timedelta(minutes=1)
LATENCY = timedelta(seconds=10)  # the platform's default
PAUSE_S = 0.25
PATIENCE = timedelta(minutes=30)
Document = dict[str, Any]


def run(classifiers: int = CLASSIFIERS, thresholds: int = THRESHOLDS) -> Document:
    """Return the delays from a minute to everything evaluated at it, with and without trainings."""
    # so that no part of Airflow goes on
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by a signal"))
    minutes = int(os.environ.get("MINUTES", "30"))
    with _home() as home, EmbeddedMongod(home / "db", free_port()) as server:
        settings = Settings(
            home=home, mongodb_uri=server.uri, airflow_port=free_port(), api_port=free_port()
        )
        prepare_database(settings)
        with open_stores(settings) as stores:
            platform = assemble(settings, stores, channels=False)
            _fill_plant(platform, stores, classifiers, thresholds, _minute(datetime.now(UTC)))
            with running_airflow(settings, **{PAUSED: "False"}) as airflow:
                watch = _Watch(platform, stores, airflow, classifiers, thresholds)
                watch.run(minutes)
    return watch.result()


@contextmanager
def _home() -> Iterator[Path]:
    if named := os.environ.get("PLANT_HOME"):
        yield Path(named).absolute()
    else:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)


def _fill_plant(
    platform: Platform,
    stores: MongoStores,
    classifiers: int,
    thresholds: int,
    now: datetime,
) -> None:
    """Write line, definitions and models, as far as they are missing."""
    fill(
        assets=platform.assets,
        plant=platform,
        lines=MongoLines(stores.database),
        end=now,
        days=DAYS,
    )
    _advance(platform, stores, now)
    known = {revision.name for revision in platform.definitions.latest_revisions()}
    if "hot-00000" not in known:
        write_definitions(stores, thresholds, now)
    for number in range(min(MODELS, classifiers)):
        if not platform.decisions.for_definition(_name(number)):
            apply(platform, [_definition(number)], "benchmark", now, "benchmark")
            proposal = train(platform, _name(number), now)
            promote_run(
                platform, proposal.run_id, approved_by="benchmark" if proposal.waiting else None
            )
            print(f"{_name(number)}: {proposal.verdict}", file=sys.stderr)
    apply(
        platform,
        [_definition(n) for n in range(classifiers) if _name(n) not in known],
        "benchmark",
        now,
        "benchmark",
    )
    for number in range(MODELS, classifiers):
        if not platform.decisions.for_definition(_name(number)):
            copy_champion(platform, _name(number % MODELS), _name(number))
    print(f"{classifiers} classifiers and {thresholds} thresholds are there", file=sys.stderr)


def _definition(number: int) -> Document:
    """Return a classifier; those with the model of another one have its question."""
    example: Document = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
    learning = {"candidates": ["logistic_regression", "lightgbm"], "trials": 1, "folds": 2}
    horizon = f"{30 + 5 * (number % MODELS)}m"
    schedule = {"report": None, "every": "1m"}
    own = {"name": _name(number), "horizon": horizon, "learning": learning, "schedule": schedule}
    return example | own


def _name(number: int) -> str:
    return f"moist-{number:04}"


def _advance(platform: Platform, stores: MongoStores, at: datetime) -> None:
    """Let the line run on, up to an instant."""
    lines = MongoLines(stores.database)
    advance_line(lines, platform, (at - stored_line(lines).state.origin) // MINUTE, at)


@dataclass
class _Watch:
    """Observation of a running plant: one loop that delivers readings, starts trainings, and notes
    when everything was evaluated."""

    platform: Platform
    stores: MongoStores
    airflow: Airflow
    classifiers: int
    thresholds: int
    delays: dict[datetime, float] = field(default_factory=dict)
    trained: set[datetime] = field(default_factory=set)
    trainings: list[str] = field(default_factory=list)

    def run(self, minutes: int) -> None:
        """Watch until this many minutes after the first one at which everything was evaluated."""
        random = np.random.default_rng(0)
        delivered = before = began = None
        last_change = datetime.now(UTC)
        while began is None or datetime.now(UTC) < began + minutes * MINUTE:
            time.sleep(PAUSE_S)
            now = datetime.now(UTC)
            if _minute(now) != delivered:
                delivered = _minute(now)
                self._deliver(delivered, random)
                _advance(self.platform, self.stores, delivered)
                if began is not None:
                    self._train(delivered, (delivered - _minute(began)) // MINUTE, minutes)
            reached = self._evaluated_to()
            if reached is None or reached == before:
                if now - last_change > PATIENCE:
                    raise TimeoutError(f"nothing was evaluated for {PATIENCE}; see Airflow's logs")
                continue
            if before is None:
                began = now
            else:
                instant = _minute(reached + LATENCY)
                self.delays[instant] = (now - instant).total_seconds()
                print(f"{instant:%H:%M}: {self.delays[instant]:.1f} s", file=sys.stderr)
            before = reached
            last_change = now

    def _deliver(self, at: datetime, random: np.random.Generator) -> None:
        """Write one reading of each asset."""
        values = random.normal(80, 3, min(self.thresholds, ASSETS)).round(3)
        values[at.minute % 100 :: 100] = 102.5  # too hot in this minute
        rows = [
            ReadingRow(asset_name(i), at, {"temperature": value})
            for i, value in enumerate(values.tolist())
        ]
        add_readings(writes_of(self.stores), rows, datetime.now(UTC))

    def _evaluated_to(self) -> datetime | None:
        """Return up to when all definitions are evaluated; None while one has not been yet."""
        shards = self.stores.database[STATES].find()
        marks = [at for shard in shards for at in from_shard(shard).watermark.tolist()]
        if len(marks) < self.classifiers + self.thresholds or NO_TIME in marks:
            return None
        return datetime.fromtimestamp(min(marks) / 1000, UTC)

    def _train(self, at: datetime, minute: int, minutes: int) -> None:
        """Start two trainings after a third of the time; note the minutes beside them."""
        if minute == max(1, minutes // 3):
            self.trainings = [self.airflow.trigger(f"train__{_name(n)}", at) for n in (0, 1)]
        if "running" in self._states() or "queued" in self._states():
            self.trained.add(at)

    def _states(self) -> list[str]:
        return [self.airflow.http.get(path).json()["state"] for path in self.trainings]

    def result(self) -> Document:
        """Return the measurements as one document."""
        expected = (max(self.delays) - min(self.delays)) // MINUTE + 1
        quiet = [delay for at, delay in self.delays.items() if at not in self.trained]
        beside = [delay for at, delay in self.delays.items() if at in self.trained]
        figure = statistics.median(quiet)
        missed = expected - len(self.delays)
        return {
            "benchmark": "plant",
            "figure": round(figure, 1),
            "unit": (
                f"s from the minute to {self.classifiers} classifiers and {self.thresholds} "
                "thresholds evaluated, median"
            ),
            "peer": "the minute after which the next round begins",
            "peer_figure": MINUTE.total_seconds(),
            "ratio": round(MINUTE.total_seconds() / figure, 1),
            "goal": (
                "no minute is left out, and two trainings delay none by more than its own length"
            ),
            "met": missed == 0 and max(beside, default=0.0) < 2 * figure,
            "minutes": len(self.delays),
            "missed": missed,
            "longest_s": round(max(quiet), 1),
            "longest_beside_trainings_s": round(max(beside), 1) if beside else None,
            "load_average": round(os.getloadavg()[0], 1),
        }


def _minute(instant: datetime) -> datetime:
    return instant.replace(second=0, microsecond=0)


if __name__ == "__main__":
    print(json.dumps(run(*map(int, sys.argv[1:]))))
