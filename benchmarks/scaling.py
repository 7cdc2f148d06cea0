"""Cost of a tick by its size and its number of processes, and a simulation that must reproduce it.

Costs are learned from ticks of one process at three sizes: of a process, of an asset with a minute
of readings, and of a target, on the evaluator and on the database. The simulation
(`benchmarks/helpers/queues.py`) then predicts CPU seconds and wall time of ticks that it has not
seen: other sizes, and two and four processes at once on the same cores. Each is measured, and the
errors are printed: more than a fifth off is a failure. Wall times count only on a quiet machine.
Only then the same costs and the same model say how many machines the plants of `docs/scaling.md`
need.

Every process imports everything first, and evaluates when it is told to. One asset in a hundred
raises an alarm in each tick.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import psutil

from alerting.adapters.embedded.embedded_mongod import EmbeddedMongod
from alerting.adapters.mongo.mongo import MongoStores, connect
from alerting.adapters.mongo.prepare import prepare_database
from alerting.kinds.registry import kind_of
from alerting.kinds.validation import parse_definition
from alerting.settings.machine import free_port
from alerting.usecases.evaluation.evaluate import evaluate_shard, plan_round
from benchmarks.evaluate import (
    ASSETS,
    T0,
    TICK_S,
    definition_document,
    platform_on,
    write_definitions,
    write_readings,
)
from benchmarks.helpers.queues import Course, Job, Step, simulate

MINUTE = timedelta(minutes=1)
TICKS = 5
MOST_ERROR = 0.2
LEARNED = ((200, 1), (1_000, 1), (10_000, 1))
"""Targets and processes of the ticks from which costs are learned."""
PREDICTED = ((5_000, 1), (20_000, 1), (10_000, 2), (20_000, 2), (20_000, 4))
"""Those that the simulation has not seen."""
CORES = 2
QUIET = 0.7
"""Load of a machine before the benchmark below which wall times count."""
START_S = 0.3
"""CPU seconds of a task on its worker beside its work, forked from a process that has loaded
everything: half of what plan and notifications took in a tick of 2,000 thresholds on one worker."""
AIRFLOW_S = 0.5
"""Of Airflow's other parts for each task: it started three to seven a second on two cores, of an
earlier version."""
STARTS_PER_S = 3.0
PLAN_S = 15.7e-6
"""CPU seconds of reading one target of the plan, which the first task of each tick does for all."""
MODEL_S = 3.4e-3
"""CPU seconds of a target with a model: of a forecast, the dearest kind (docs/benchmarks.md)."""


class Size(NamedTuple):
    """Targets of a tick, and the processes that evaluate it at once."""

    targets: int
    processes: int

    @property
    def assets(self) -> int:
        """Return how many assets there are, each with a minute of readings at 1 Hz."""
        return min(self.targets, ASSETS)

    @property
    def assets_of_each(self) -> float:
        """Return how many assets each process reads: those of its share of the definitions."""
        on_asset = self.targets / self.assets
        return float(self.assets * (1 - (1 - 1 / self.processes) ** on_asset))


@dataclass(frozen=True)
class Tick:
    """What a tick took. `wall_s`: of all its processes; `cpu_s`: of them; `database_cpu_s`: of the
    server. `journal`: bytes that the server wrote to its journal; `operations`: those that it
    did."""

    wall_s: float
    cpu_s: float
    database_cpu_s: float
    journal: float = 0.0
    operations: float = 0.0


@dataclass(frozen=True)
class Costs:
    """Seconds of one core of a process, an asset with its minute of readings, and a target."""

    process: float
    asset: float
    target: float

    def share(self, size: Size) -> float:
        """Return the seconds of each process of a tick."""
        own = size.targets / size.processes
        return self.process + self.asset * size.assets_of_each + self.target * own


def run() -> dict[str, Any]:
    """Return the errors of the simulation on ticks that it has not seen."""
    load = os.getloadavg()[0]
    ticks = measure([Size(*one) for one in (*LEARNED, *PREDICTED)])
    evaluator, database = costs_of(ticks)
    cases = [compare(size, ticks[size], evaluator, database) for size in map(Size._make, PREDICTED)]
    counted = ("cpu_error", "wall_error") if load < QUIET else ("cpu_error",)
    worst = max(abs(one[name]) for one in cases for name in counted)
    return {
        "benchmark": "scaling",
        "figure": round(worst, 3),
        "unit": "largest error of the simulation on ticks that it has not seen",
        "peer": "the most that is allowed",
        "peer_figure": MOST_ERROR,
        "ratio": round(MOST_ERROR / worst, 2) if worst else None,
        "goal": "every error of CPU within a fifth, and of wall time if the machine was quiet",
        "counted": counted,
        "met": worst <= MOST_ERROR,
        "cases": cases,
        "ms": {
            "evaluator": {n: round(v * 1e3, 4) for n, v in vars(evaluator).items()},
            "database": {n: round(v * 1e3, 4) for n, v in vars(database).items()},
        },
        "ticks": {
            f"{size.targets} targets, {size.processes} processes": {
                name: round(value, 3) for name, value in vars(tick).items()
            }
            for size, tick in ticks.items()
        },
        "load_before": round(load, 1),
    }


def costs_of(ticks: Mapping[Size, Tick]) -> tuple[Costs, Costs]:
    """Return the costs on the evaluator and on the database, from the ticks to learn from."""
    learned = {size: ticks[size] for size in map(Size._make, LEARNED)}
    return (
        learn({size: tick.cpu_s for size, tick in learned.items()}),
        learn({size: tick.database_cpu_s for size, tick in learned.items()}),
    )


def learn(seconds: Mapping[Size, float]) -> Costs:
    """Return the costs that explain ticks of one process, none below nothing."""
    rows = [[1.0, size.assets, size.targets] for size in seconds]
    found, *_ = np.linalg.lstsq(np.array(rows), np.array(list(seconds.values())), rcond=None)
    return Costs(*(max(float(one), 0.0) for one in found))


def predict(size: Size, evaluator: Costs, database: Costs, cores: int = CORES) -> Tick:
    """Return what the simulation says of a tick on one machine, database included."""
    jobs = [
        Job(
            f"shard {number}",
            (
                Step("machine", database.share(size) / 2),
                Step("machine", evaluator.share(size)),
                Step("machine", database.share(size) / 2),
            ),
            "evaluation",
        )
        for number in range(size.processes)
    ]
    course = simulate(jobs, {"machine": cores}, {"evaluation": size.processes})
    return Tick(
        course.end,
        evaluator.share(size) * size.processes,
        database.share(size) * size.processes,
    )


def compare(size: Size, measured: Tick, evaluator: Costs, database: Costs) -> dict[str, Any]:
    """Return measured and predicted figures of a tick with their errors, as shares of the
    measured."""
    predicted = predict(size, evaluator, database)
    cpu = measured.cpu_s + measured.database_cpu_s
    expected = predicted.cpu_s + predicted.database_cpu_s
    return {
        "targets": size.targets,
        "processes": size.processes,
        "cpu_s": round(cpu, 3),
        "cpu_predicted_s": round(expected, 3),
        "cpu_error": round(expected / cpu - 1, 3),
        "wall_s": round(measured.wall_s, 3),
        "wall_predicted_s": round(predicted.wall_s, 3),
        "wall_error": round(predicted.wall_s / measured.wall_s - 1, 3),
    }


RECORDED: Mapping[Size, Tick] = MappingProxyType({
    Size(200, 1): Tick(0.242, 0.139, 0.090, 23_424, 64),
    Size(1_000, 1): Tick(0.760, 0.413, 0.290, 56_832, 190),
    Size(10_000, 1): Tick(1.243, 0.787, 0.450, 354_304, 1_206),
    Size(5_000, 1): Tick(0.999, 0.607, 0.390, 190_464, 696),
    Size(20_000, 1): Tick(1.822, 1.185, 0.660, 590_720, 2_227),
    Size(10_000, 2): Tick(0.973, 1.088, 0.660, 354_176, 1_220),
    Size(20_000, 2): Tick(1.323, 1.522, 0.830, 590_592, 2_240),
    Size(20_000, 4): Tick(1.892, 2.242, 1.220, 590_720, 2_268),
})  # fmt: skip
"""Ticks of November 2026 on two cores that nothing else used. From them the figures of
docs/scaling.md follow."""


class Plant(NamedTuple):
    """A plant: its thresholds, its targets with a model, its assets, and readings a minute."""

    thresholds: int
    models: int
    assets: int
    readings: int


class Machines(NamedTuple):
    """Cores of the workers together and of the database, and slots of evaluation."""

    worker_cores: int
    database_cores: int
    slots: int


def simulate_tick(
    plants: int, plant: Plant, machines: Machines, evaluator: Costs, database: Costs
) -> Course:
    """Return the course of one tick of several plants of one kind, each with its share of the
    slots, every task a new process."""
    shards = max(machines.slots // plants, 1)
    jobs = []
    for number in range(plants):
        plan = f"plan {number}"
        names = [f"shard {number} {shard}" for shard in range(shards)]
        all_targets = plants * (plant.thresholds + plant.models)
        jobs.append(
            _job(plan, AIRFLOW_S + START_S + PLAN_S * all_targets, PLAN_S * all_targets / 6)
        )
        work, stored = (_shard_s(one, plant, shards) for one in (evaluator, database))
        work += MODEL_S * plant.models / shards
        jobs += [_job(name, AIRFLOW_S + START_S + work, stored, plan) for name in names]
        jobs.append(_job(f"notify {number}", AIRFLOW_S + START_S, 0.01, *names))
    cores = {"workers": machines.worker_cores, "database": machines.database_cores}
    return simulate(jobs, cores, {"evaluation": machines.slots}, STARTS_PER_S)


def _job(name: str, work: float, stored: float, *after: str) -> Job:
    half = Step("database", stored / 2)
    return Job(name, (half, Step("workers", work), half), "evaluation", after)


def _shard_s(costs: Costs, plant: Plant, shards: int) -> float:
    """Return the seconds of a shard. The cost of an asset grows with its readings, and each shard
    reads the assets of its share of the definitions."""
    targets = plant.thresholds + plant.models
    missed = float((1 - 1 / shards) ** (targets / plant.assets))
    read = plant.assets * (1 - missed)
    of_asset = costs.asset * plant.readings / plant.assets / TICK_S
    return costs.process + of_asset * read + costs.target * targets / shards


def measure(sizes: Sequence[Size]) -> dict[Size, Tick]:
    """Return the median tick of each size, each on a database of its own."""
    with (
        tempfile.TemporaryDirectory() as folder,
        EmbeddedMongod(Path(folder) / "db", free_port()) as server,
    ):
        return {size: _measure(server, size) for size in sizes}


def _measure(server: EmbeddedMongod, size: Size) -> Tick:
    with connect(server.uri) as client:
        stores = MongoStores(client[f"plant_{size.targets}_{size.processes}"])
        prepare_database(stores.database)
        write_definitions(stores, size.targets, T0)
        random = np.random.default_rng(0)
        found = []
        for number in range(TICKS + 1):
            write_readings(stores, size.assets, number, TICK_S, random)
            found.append(_tick(server, stores, size, number))
        client.drop_database(stores.database.name)
    later = found[1:]  # the first makes the plan and all states
    return Tick(*(statistics.median(getattr(t, n) for t in later) for n in vars(later[0])))


def _tick(server: EmbeddedMongod, stores: MongoStores, size: Size, number: int) -> Tick:
    """Return one tick, evaluated by processes that have everything imported before it begins."""
    end = T0 + timedelta(seconds=TICK_S * (number + 1))
    planned = plan_round(platform_on(stores), MINUTE, size.processes, end)
    given = [server.uri, stores.database.name, end.isoformat(), str(size.processes)]
    command = [sys.executable, "-m", "benchmarks.scaling", *given, planned.source_hash]
    processes = [
        subprocess.Popen(
            [*command, str(shard)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for shard in planned.shards
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    before = _server_state(server, stores)
    begun = time.perf_counter()
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    ended = [json.loads(process.stdout.readline()) for process in processes if process.stdout]
    wall = time.perf_counter() - begun
    for process in processes:
        process.communicate()
    after = _server_state(server, stores)
    assert sum(one["targets"] for one in ended) == size.targets
    used = [now - then for now, then in zip(after, before, strict=True)]
    return Tick(wall, sum(one["cpu_s"] for one in ended), *used)


def _server_state(server: EmbeddedMongod, stores: MongoStores) -> tuple[float, ...]:
    """Return CPU seconds, bytes written to the journal, and operations of the server so far."""
    status = stores.database.command("serverStatus")
    times = psutil.Process(server.pid).cpu_times()
    return (
        times.user + times.system,
        status["wiredTiger"]["log"]["log bytes written"],
        sum(n for n in status["opcounters"].values() if isinstance(n, int)),
    )


def _evaluate(
    uri: str, name: str, end: str, processes: str, source_hash: str, shard: str
) -> dict[str, float]:
    """Return what a process used to evaluate its shard, when it was told to."""
    with connect(uri) as client:
        platform = platform_on(MongoStores(client[name]))
        kind_of(parse_definition(definition_document(0)))
        platform.clock.now()
        print("ready", flush=True)
        sys.stdin.readline()
        cpu = time.process_time()
        counts = evaluate_shard(
            platform,
            MINUTE,
            int(shard),
            int(processes),
            datetime.fromisoformat(end),
            source_hash,
            has_requests=False,
        )
        return {"cpu_s": time.process_time() - cpu, "targets": counts.targets}


if __name__ == "__main__":
    print(json.dumps(_evaluate(*sys.argv[1:])))
