"""One tick of 20,000 thresholds and 200 models on one Celery worker and on two, and with
LocalExecutor.

Each cluster is of real processes: PostgreSQL, Redis, Airflow, and workers of one slot with homes of
their own, all on one database, whose server shares the processors with them. The classifiers are
copies of two models, trained on the demo line, which the workers load from MLflow. A tick is a
triggered run of the evaluation DAG for the next minute, whose readings were stored before: one of
each asset. The platform's clock stands, and the cadence is a day, so that nothing else runs. CPU is
that of the workers with all their tasks; that of a shard is of its task's process, seen twenty
times a second. The first tick loads the models and does not count.
A small try: `python -m benchmarks.cluster 1000 10`.
"""

import json
import os
import shutil
import signal
import statistics
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from alerting.adapters.embedded.embedded_mongod import EmbeddedMongod
from alerting.adapters.mongo.demo.clock import MongoClock
from alerting.adapters.mongo.indexes import SCORES
from alerting.adapters.mongo.mongo import MongoStores
from alerting.adapters.platform import Platform
from alerting.local import parts
from alerting.local.secrets import load_or_create
from alerting.settings.environment import Settings
from alerting.settings.machine import free_port
from alerting.wiring import assemble, mlflow_sign_in, open_stores, prepare_database
from benchmarks.evaluate import ASSETS
from benchmarks.plant import advance_plant, fill_plant
from benchmarks.scheduler import LATENCY, MINUTE, deliver, whole_minute
from tests.cluster.cluster import running_cluster
from tests.cluster.whole import mlflow_of_all, wait_for, wait_for_workers
from tests.helpers.scheduler import Airflow, Started, end_all, running_airflow

THRESHOLDS = 20_000
MODELS = 200
TRAINED = 2
TICKS = 3
EVERY = "1d"
DAG = f"evaluate__{EVERY}"
PAST = 60 * MINUTE  # ticks are of the past hour, so that none waits for its minute
SAMPLE_S = 0.05
CPU_GOAL = 1.15
SHARD_GOAL = 0.6
START_GOAL_S = 0.5
Document = dict[str, Any]


@dataclass
class Figures:
    """Of one executor: of each tick the seconds of its run, the CPU of workers, of the longest
    shard and of all parts of Airflow; of each task the seconds from queued to started."""

    tick_s: list[float] = field(default_factory=list)
    worker_cpu_s: list[float] = field(default_factory=list)
    shard_cpu_s: list[float] = field(default_factory=list)
    all_cpu_s: list[float] = field(default_factory=list)
    queued_s: list[float] = field(default_factory=list)

    def medians(self) -> dict[str, float]:
        """Return the median of each."""
        found = {name: values for name, values in vars(self).items() if values}
        return {name: round(statistics.median(values), 2) for name, values in found.items()}


def run(thresholds: int = THRESHOLDS, models: int = MODELS) -> Document:
    """Return the CPU of two workers in a tick beside that of one, with the longest shard and the
    cost of Celery."""
    # so that no part of Airflow goes on
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by a signal"))
    with _plant(thresholds, models) as plant:
        one = plant.on_celery(1)
        two = plant.on_celery(2)
        local = plant.on_local(2)
        scores = plant.stores.database[SCORES].count_documents({}) / (3 * (TICKS + 1))
    cpu = two["worker_cpu_s"] / one["worker_cpu_s"]
    shard = two["shard_cpu_s"] / one["shard_cpu_s"]
    queued = max(one["queued_s"], two["queued_s"])
    return {
        "benchmark": "cluster",
        "figure": round(cpu, 2),
        "unit": (
            f"CPU of two workers in a tick of {thresholds} thresholds and {models} models, by that "
            "of one"
        ),
        "peer": "one worker",
        "peer_figure": 1.0,
        "ratio": round(1 / cpu, 2),
        "goal": (
            f"CPU at most {CPU_GOAL} times that of one worker, the longest shard at most "
            f"{SHARD_GOAL} of it; a task starts within {START_GOAL_S:g} s"
        ),
        "met": cpu <= CPU_GOAL
        and shard <= SHARD_GOAL
        and queued < START_GOAL_S
        and scores >= models,
        "scores_per_tick": round(scores),
        "longest_shard": round(shard, 2),
        "queued_to_started_s": queued,
        "one_worker": one,
        "two_workers": two,
        "local_executor": local,
        "celery_over_local": {
            name: round(two[name] - local[name], 2) for name in ("tick_s", "all_cpu_s")
        },
        "load_average": round(os.getloadavg()[0], 1),
    }


@contextmanager
def _plant(thresholds: int, models: int) -> Iterator["_Plant"]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(EmbeddedMongod(folder / "db", free_port()))
        settings = Settings(
            home=folder / "home",
            mongodb_uri=server.uri,
            mlflow_port=free_port(),
            airflow_port=free_port(),
            api_port=free_port(),
        )
        secrets = load_or_create(settings.home / "secrets")
        prepare_database(settings)
        mlflow = mlflow_of_all(settings, parts.environment(settings, secrets, os.environ), folder)
        started = Started(mlflow.command, mlflow.environ, folder / "mlflow.log")
        stack.callback(lambda: end_all([started]))
        wait_for(mlflow.ready, "MLflow to answer")
        os.environ.update(mlflow_sign_in(settings))
        settings = replace(settings, mlflow_uri=f"http://127.0.0.1:{settings.mlflow_port}")
        stores = stack.enter_context(open_stores(settings))
        begin = whole_minute(datetime.now(UTC)) - PAST
        MongoClock(stores.database).start(begin, speed=0, lease=timedelta(0))
        platform = assemble(settings, stores, channels=False)
        fill_plant(platform, stores, models, thresholds, begin, TRAINED, EVERY)
        yield _Plant(settings, platform, stores, folder, min(thresholds, ASSETS), begin)


@dataclass
class _Plant:
    settings: Settings
    platform: Platform
    stores: MongoStores
    folder: Path
    assets: int
    at: datetime
    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    def on_celery(self, count: int) -> dict[str, float]:
        """Return the figures of ticks on this many workers of one slot each."""
        folder = self.folder / f"workers-{count}"
        folder.mkdir()
        queues = {f"worker-{number}": "evaluation" for number in range(count)}
        variables = {"ALERTING_MLFLOW_URI": str(self.settings.mlflow_uri)}
        shared = (self.settings.mongodb_uri, self.settings.home / "secrets")
        with running_cluster(folder, queues, 1, *shared, **variables) as cluster:
            workers = list(cluster.workers.values())
            wait_for_workers(cluster)
            return self._measure(cluster.airflow, workers)

    def on_local(self, slots: int) -> dict[str, float]:
        """Return the figures of ticks with as many slots of LocalExecutor."""
        home = self.folder / "local"
        settings = replace(self.settings, home=home, evaluation_slots=slots)
        shutil.copytree(self.settings.home / "secrets", home / "secrets")
        variables = {
            "ALERTING_EVALUATION_SLOTS": str(slots),
            "ALERTING_MLFLOW_URI": str(settings.mlflow_uri),
        }
        with running_airflow(settings, **variables) as airflow:
            return self._measure(airflow, [])

    def _measure(self, airflow: Airflow, workers: Sequence[Started]) -> dict[str, float]:
        figures = Figures()
        airflow.unpause(DAG)
        for number in range(TICKS + 1):
            self.at += MINUTE
            deliver(self.stores, self.assets, self.at, self.random)
            advance_plant(self.platform, self.stores, self.at)
            # the day's run, which a scheduler makes as it starts
            airflow.until(lambda: not _running(airflow), "a run of the schedule to end")
            found = Figures()
            self._tick(airflow, workers, found)
            if number:
                for name, values in vars(found).items():
                    getattr(figures, name).extend(values)
        print(figures, file=sys.stderr)
        return figures.medians()

    def _tick(self, airflow: Airflow, workers: Sequence[Started], found: Figures) -> None:
        every = [*airflow.parts.values(), *workers]
        before = _cpu(every)
        of_workers = _cpu(workers)
        with _Shards(workers) as shards:
            tasks = airflow.finish(DAG, airflow.trigger(DAG, self.at + LATENCY))
        if workers:
            found.worker_cpu_s.append(_cpu(workers) - of_workers)
            found.shard_cpu_s.append(max(shards.cpu_s.values()))
        found.all_cpu_s.append(_cpu(every) - before)
        ends = [datetime.fromisoformat(task["end_date"]) for task in tasks]
        queued = [datetime.fromisoformat(task["queued_when"]) for task in tasks]
        starts = [datetime.fromisoformat(task["start_date"]) for task in tasks]
        found.tick_s.append((max(ends) - min(queued)).total_seconds())
        found.queued_s += [
            (start - at).total_seconds() for at, start in zip(queued, starts, strict=True)
        ]


class _Shards:
    """The CPU of every process below the workers, while it is entered."""

    def __init__(self, workers: Sequence[Started]) -> None:
        self.cpu_s: dict[int, float] = {}
        self._tops = [psutil.Process(worker.process.pid) for worker in workers]
        self._own = {process.pid for top in self._tops for process in _tree(top)}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> "_Shards":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(SAMPLE_S):
            for process in [one for top in self._tops for one in _tree(top)]:
                if process.pid not in self._own:
                    with suppress(psutil.NoSuchProcess):
                        times = process.cpu_times()
                        self.cpu_s[process.pid] = times.user + times.system


def _running(airflow: Airflow) -> int:
    query = {"state": ["queued", "running"]}
    answer = airflow.http.get(f"/dags/{DAG}/dagRuns", params=query).raise_for_status()
    return int(answer.json()["total_entries"])


def _tree(top: psutil.Process) -> list[psutil.Process]:
    return [top, *top.children(recursive=True)]


def _cpu(started: Sequence[Started]) -> float:
    """Return the CPU seconds of processes with all that they have started."""
    spent = 0.0
    for one in started:
        for process in _tree(psutil.Process(one.process.pid)):
            with suppress(psutil.NoSuchProcess):
                spent += sum(process.cpu_times()[:4])
    return spent


if __name__ == "__main__":
    print(json.dumps(run(*map(int, sys.argv[1:]))))
