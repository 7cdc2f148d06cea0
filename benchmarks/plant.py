"""Airflow at a plant's size: 1,000 classifiers and 10,000 thresholds in the real scheduler,
evaluated each minute.

A delay counts from the whole minute whose readings are evaluated; `after_tick_s` from the instant
of the round itself, because the scheduler's minutes begin at the second at which it was started.
The classifiers are copies of ten models, trained on the demo line. Every other minute one of them
gets another title, which shows in its DAG some seconds later. After a third of the time two
trainings are started; the delays of the minutes beside trainings are reported apart. After half of
the time a new definition is put into the database, as its author would, and its training and its
champion are waited for. `MINUTES` (30) begin when everything was evaluated once; `PLANT_HOME` names
a folder that keeps definitions and models for the next time. A small try: `MINUTES=5 python -m
benchmarks.plant 100 1000`.
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

import httpx
import numpy as np
import psutil
import yaml

from alerting.adapters.airflow.dag_files import write_dag_files
from alerting.adapters.embedded.embedded_mongod import EmbeddedMongod
from alerting.adapters.mongo.mongo import MongoStores
from alerting.adapters.platform import Platform
from alerting.demo.advance import advance_line, stored_line
from alerting.demo.line_store import MongoLines
from alerting.demo.seed import fill
from alerting.local import parts
from alerting.local.secrets import load_or_create
from alerting.settings.environment import Settings
from alerting.settings.machine import free_port
from alerting.usecases.definitions.sync import apply
from alerting.usecases.training.promote import promote_run
from alerting.usecases.training.train import train
from alerting.wiring import assemble, open_stores, prepare_database
from benchmarks.evaluate import ASSETS, write_definitions
from benchmarks.helpers.champions import copy_champion
from benchmarks.scheduler import (
    LATENCY,
    MINUTE,
    deliver,
    evaluated_to,
    running_airflow,
    whole_minute,
)

CLASSIFIERS = 1_000
THRESHOLDS = 10_000
MODELS = 10
DAYS = 14
EXAMPLE = parts.ROOT / "config" / "examples" / "demo" / "biscuits-too-moist.yaml"
PAUSE_S = 0.25
PATIENCE = timedelta(minutes=30)
CYCLE_S = 300.0  # all DAG files are read once in this time
Document = dict[str, Any]


def run(classifiers: int = CLASSIFIERS, thresholds: int = THRESHOLDS) -> Document:
    """Return the delays from a minute to everything evaluated at it, with and without trainings,
    and Airflow's own cost."""
    # so that no part of Airflow goes on
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by a signal"))
    minutes = int(os.environ.get("MINUTES", "30"))
    with _home() as home, EmbeddedMongod(home / "db", free_port()) as server:
        settings = Settings(
            home=home, mongodb_uri=server.uri, airflow_port=free_port(), api_port=free_port()
        )
        write_dag_files(home)
        prepare_database(settings)
        with open_stores(settings) as stores:
            platform = assemble(settings, stores, channels=False)
            fill_plant(
                platform, stores, classifiers, thresholds, whole_minute(datetime.now(UTC)), MODELS
            )
            with running_airflow(settings) as processes:
                watch = _Watch(
                    platform, stores, _signed_in(settings), processes, classifiers, thresholds
                )
                watch.run(minutes)
    return watch.result()


@contextmanager
def _home() -> Iterator[Path]:
    if named := os.environ.get("PLANT_HOME"):
        yield Path(named).absolute()
    else:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)


def fill_plant(
    platform: Platform,
    stores: MongoStores,
    classifiers: int,
    thresholds: int,
    now: datetime,
    trained: int,
    every: str = "1m",
) -> None:
    """Write line, definitions and models, as far as they are missing. `trained`: how many models
    are trained; the others are their copies. `every`: the cadence of all."""
    fill(
        assets=platform.assets,
        plant=platform,
        lines=MongoLines(stores.database),
        end=now,
        days=DAYS,
    )
    advance_plant(platform, stores, now)
    known = {revision.name for revision in platform.definitions.latest_revisions()}
    if "hot-00000" not in known:
        write_definitions(stores, thresholds, now, every)
    for number in range(min(trained, classifiers)):
        if not platform.decisions.for_definition(_name(number)):
            apply(platform, [_definition(number, every, trained)], "benchmark", now, "benchmark")
            proposal = train(platform, _name(number), now)
            promote_run(
                platform, proposal.run_id, approved_by="benchmark" if proposal.waiting else None
            )
            print(f"{_name(number)}: {proposal.verdict}", file=sys.stderr)
    apply(
        platform,
        [_definition(n, every, trained) for n in range(classifiers) if _name(n) not in known],
        "benchmark",
        now,
        "benchmark",
    )
    for number in range(trained, classifiers):
        if not platform.decisions.for_definition(_name(number)):
            copy_champion(platform, _name(number % trained), _name(number))
    print(f"{classifiers} classifiers and {thresholds} thresholds are there", file=sys.stderr)


def _definition(number: int, every: str = "1m", trained: int = MODELS, **changes: Any) -> Document:
    """Return a classifier; those with the model of another one have its question."""
    example: Document = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
    learning = {"candidates": ["logistic_regression", "lightgbm"], "trials": 1, "folds": 2}
    horizon = f"{30 + 5 * (number % trained)}m"
    return (
        example
        | {
            "name": _name(number),
            "horizon": horizon,
            "learning": learning,
            "schedule": {"report": None, "every": every},
        }
        | changes
    )


def _name(number: int) -> str:
    return f"moist-{number:04}"


def advance_plant(platform: Platform, stores: MongoStores, at: datetime) -> None:
    """Let the line run on, up to an instant."""
    lines = MongoLines(stores.database)
    advance_line(lines, platform, (at - stored_line(lines).state.origin) // MINUTE, at)


def _signed_in(settings: Settings) -> httpx.Client:
    password = load_or_create(settings.home / "secrets").airflow_password
    url = parts.airflow_uri(settings)
    until = time.monotonic() + PATIENCE.total_seconds()
    http = httpx.Client(base_url=f"{url}/api/v2", trust_env=False, timeout=60)
    while True:
        try:
            answer = http.post(
                f"{url}/auth/token", json={"username": "admin", "password": password}
            ).raise_for_status()
        except httpx.HTTPError:
            if time.monotonic() > until:
                raise
            time.sleep(1)
            continue
        http.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        return http


@dataclass
class _Watch:
    """Observation of a running plant: one loop that delivers readings, edits, starts trainings, and
    notes what comes of it."""

    platform: Platform
    stores: MongoStores
    http: httpx.Client
    processes: dict[str, int]
    classifiers: int
    thresholds: int
    delays: dict[datetime, float] = field(default_factory=dict)
    after_tick_s: list[float] = field(default_factory=list)
    trained: set[datetime] = field(default_factory=set)
    edit_s: list[float] = field(default_factory=list)
    trainings: list[str] = field(default_factory=list)
    cpu_s: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    first_dags_s: float = 0.0
    states: list[str] = field(default_factory=list)
    added: int = 0
    inserted_s: dict[str, float] = field(default_factory=dict)
    _edit: tuple[str, str, float] | None = None
    _inserted: float | None = None

    def run(self, minutes: int) -> None:
        """Watch until this many minutes after the first one at which everything was evaluated."""
        known = {revision.name for revision in self.platform.definitions.latest_revisions()}
        self.added = next(
            n for n in range(self.classifiers, 2 * self.classifiers) if _name(n) not in known
        )
        self._wait_for_dags()
        random = np.random.default_rng(0)
        assets = min(self.thresholds, ASSETS)
        delivered = None
        before = None
        began = None
        used = {}
        last_change = datetime.now(UTC)
        while began is None or datetime.now(UTC) < began + minutes * MINUTE:
            time.sleep(PAUSE_S)
            now = datetime.now(UTC)
            if whole_minute(now) != delivered:
                delivered = whole_minute(now)
                deliver(self.stores, assets, delivered, random)
                advance_plant(self.platform, self.stores, delivered)
                if began is not None:
                    self._act(delivered, (delivered - whole_minute(began)) // MINUTE, minutes)
            self._note_edit()
            self._note_insertion()
            reached = evaluated_to(self.stores, self.classifiers + self.thresholds)
            if reached is None or reached == before:
                if now - last_change > PATIENCE:
                    raise TimeoutError(
                        f"nothing was evaluated for {PATIENCE}; see the logs of Airflow"
                    )
                continue
            if before is None:
                began = now
                used = self._cpu()
            else:
                instant = whole_minute(reached + LATENCY)
                self.delays[instant] = (now - instant).total_seconds()
                self.after_tick_s.append((now - reached - LATENCY).total_seconds())
                said = f"{self.delays[instant]:.1f} s, {self.after_tick_s[-1]:.1f} after its tick"
                print(f"{instant:%H:%M}: {said}", file=sys.stderr)
            before = reached
            last_change = now
        self.seconds = (datetime.now(UTC) - began).total_seconds()
        self.cpu_s = {name: spent - used[name] for name, spent in self._cpu().items()}
        self.states = [self.http.get(path).json()["state"] for path in self.trainings]

    def _wait_for_dags(self) -> None:
        """Wait until Airflow has read every DAG."""
        began = time.monotonic()
        wanted = self.classifiers
        while (
            self.http.get("/dags", params={"limit": 1, "tags": "train"})
            .raise_for_status()
            .json()["total_entries"]
            < wanted
        ):
            if time.monotonic() > began + PATIENCE.total_seconds():
                raise TimeoutError("Airflow has not read all DAGs")
            time.sleep(1)
        self.first_dags_s = time.monotonic() - began

    def _act(self, at: datetime, minute: int, minutes: int) -> None:
        """Edit a title every other minute, start two trainings after a third of the time, insert a
        definition after half."""
        if minute % 2 == 1 and self._edit is None:
            name = _name(minute % self.classifiers)
            title = f"Moist, said at {at:%H:%M}"
            apply(
                self.platform,
                [_definition(minute % self.classifiers, title=title)],
                "benchmark",
                at,
                "an edit",
            )
            self._edit = (f"train__{name}", title, time.monotonic())
        if minute == max(1, minutes // 3):
            for dag_id in (f"train__{_name(0)}", f"train__{_name(1)}"):
                body = {"logical_date": None, "conf": {"as_of": at.isoformat()}}
                run = (
                    self.http.post(f"/dags/{dag_id}/dagRuns", json=body)
                    .raise_for_status()
                    .json()["dag_run_id"]
                )
                self.trainings.append(f"/dags/{dag_id}/dagRuns/{run}")
        if minute == max(2, minutes // 2):
            written = self.stores.database["alert_definitions"]
            written.insert_one(_definition(self.added))
            self._inserted = time.monotonic()
        new = _name(self.added)
        running = (
            self._inserted is not None
            and not self.platform.decisions.for_definition(new)
            and bool(self.platform.trainings.for_definitions([new]))
        )
        if running or any(
            self.http.get(path).json()["state"] in ("queued", "running") for path in self.trainings
        ):
            self.trained.add(at)

    def _note_edit(self) -> None:
        if self._edit is not None:
            dag_id, title, began = self._edit
            if (
                title
                in self.http.get(f"/dags/{dag_id}/details").raise_for_status().json()["doc_md"]
            ):
                self.edit_s.append(round(time.monotonic() - began, 1))
                self._edit = None

    def _note_insertion(self) -> None:
        if self._inserted is not None and len(self.inserted_s) < 2:
            name = _name(self.added)
            seconds = round(time.monotonic() - self._inserted, 1)
            if "training" not in self.inserted_s and self.platform.trainings.for_definitions(
                [name]
            ):
                self.inserted_s["training"] = seconds
            if self.platform.decisions.for_definition(name):
                self.inserted_s["decision"] = seconds

    def _cpu(self) -> dict[str, float]:
        """Return CPU seconds of each part so far; of the DAG processor with those of the processes
        that read files."""
        times = {name: psutil.Process(pid).cpu_times() for name, pid in self.processes.items()}
        own = {name: spent.user + spent.system for name, spent in times.items()}
        processors = psutil.Process(self.processes["airflow-dags"]).children()
        reading = sum(sum(processor.cpu_times()[:4]) for processor in processors)
        return own | {"airflow-dags": own["airflow-dags"] + reading}

    def result(self) -> Document:
        """Return the measurements as one document."""
        expected = (max(self.delays) - min(self.delays)) // MINUTE + 1
        quiet = [delay for at, delay in self.delays.items() if at not in self.trained]
        beside = [delay for at, delay in self.delays.items() if at in self.trained]
        figure = statistics.median(quiet)
        missed = expected - len(self.delays)
        in_time = max(beside, default=0.0) < 2 * figure
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
            "met": missed == 0 and in_time,
            "minutes": len(self.delays),
            "missed": missed,
            "longest_s": round(max(quiet), 1),
            "after_tick_s": {
                "median": round(statistics.median(self.after_tick_s), 1),
                "longest": round(max(self.after_tick_s), 1),
            },
            "beside_trainings_s": {
                "median": round(statistics.median(beside), 1),
                "longest": round(max(beside), 1),
            }
            if beside
            else None,
            "trainings": self.states,
            "edit_to_dag_s": self.edit_s,
            "insertion_to_s": self.inserted_s,
            "first_dags_s": round(self.first_dags_s, 1),
            "cpu_s_to_read_all_dags": round(self.cpu_s["airflow-dags"] * CYCLE_S / self.seconds, 1),
            "cpu_share": {
                name: round(spent / self.seconds, 3) for name, spent in self.cpu_s.items()
            },
            "load_average": round(os.getloadavg()[0], 1),
        }


if __name__ == "__main__":
    print(json.dumps(run(*map(int, sys.argv[1:]))))
