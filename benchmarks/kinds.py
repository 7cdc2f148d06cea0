"""Kinds that learn: one tick of 1,000 targets of each, and the training of each on 100,000 rows of
50 variables.

Each in a process of its own, with all stores in memory, so that time and memory are those of the
kind; the readings of a training are in another process, as those in service are in a database.
Tick: 100 assets with four variables and one reading a minute, ten definitions of the kind on
all of them, evaluated every five minutes; what the ten have in common is read and computed once, as
in service. A model is trained once and registered for all ten. Training: one asset, one reading a
minute, the definition as short as it may be, so every candidate is tried with the settings by
default.

ALERTING_BENCH_PART names the measurements to make, by words that stand in their names: `ticks`,
`training`, `forecast`, `ticks-anomaly,training-forecast`; each prints its figures as soon as it has
them. ALERTING_BENCH_SCALE: 20 divides assets and rows by twenty, for a trial.
"""

import json
import os
import statistics
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from multiprocessing import get_context
from multiprocessing.managers import BaseManager
from typing import Any

import numpy as np

from alerting.adapters.memory.plant import MemoryAssets, MemoryReadings
from alerting.adapters.memory.platform import memory_platform
from alerting.definitions.asset_documents import Asset, Variable
from alerting.ports import FixedClock, ReadingRow, SandboxPorts
from alerting.readings.history import from_millis, to_millis
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.evaluation.rounds import evaluate
from alerting.usecases.ingestion.arrived_rows import add_readings
from alerting.usecases.training.promote import promote_run
from alerting.usecases.training.training_steps import train
from benchmarks.helpers.champions import copy_champion
from benchmarks.helpers.memory import peak_mib

KINDS = ("forecast", "control_chart", "anomaly")
SCALE = int(os.environ.get("ALERTING_BENCH_SCALE", "1"))
ASSETS = 100 // SCALE
DEFINITIONS = 10
TICKS = 5
MINUTES = 3_000
TICK = 5
ROWS = 100_000 // SCALE
VARIABLES = 50
START = datetime(2026, 1, 5, tzinfo=UTC)
MOST_MINUTES = 2.0
MOST_MIB = 2048
MOST_TICK_S = 60.0
_MINUTE_MS = 60_000
_AT_ONCE = 5_000


def run(kinds: Sequence[str] = KINDS) -> dict[str, Any]:
    """Return seconds, CPU per target and peak memory of a tick, and minutes and memory of a
    training, by kind."""
    ticks = {kind: _alone(measure_ticks, kind) for kind in kinds if _is_wanted(f"ticks-{kind}")}
    trainings = {
        kind: _alone(measure_training, kind) for kind in kinds if _is_wanted(f"training-{kind}")
    }
    slowest = max((one["minutes"] for one in trainings.values()), default=None)
    complete = SCALE == 1 and len(ticks) == len(trainings) == len(KINDS)
    met = all(one["tick_s"] < MOST_TICK_S for one in ticks.values())
    met = met and all(
        one["minutes"] < MOST_MINUTES and one["peak_mib"] < MOST_MIB for one in trainings.values()
    )
    return {
        "benchmark": "kinds",
        "figure": slowest,
        "unit": f"minutes of the slowest training on {ROWS} rows of {VARIABLES} variables",
        "peer": None,
        "ratio": None,
        "goal": f"trainings below {MOST_MINUTES:g} min and {MOST_MIB} MiB, a tick of "
        f"{ASSETS * DEFINITIONS} targets below "
        f"{MOST_TICK_S:g} s",
        "met": bool(met) if complete else None,
        "ticks": ticks,
        "trainings": trainings,
        "load_average": round(os.getloadavg()[0], 1),
    }


def _is_wanted(name: str) -> bool:
    parts = os.environ.get("ALERTING_BENCH_PART", "").split(",")
    return any(part in name for part in parts)


def _alone(measure: Any, kind: str) -> dict[str, Any]:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        found: dict[str, Any] = pool.submit(measure, kind).result()
    print(f"{measure.__name__} {kind}: {json.dumps(found)}", file=sys.stderr, flush=True)
    return found


def measure_ticks(kind: str) -> dict[str, Any]:
    """Return the measurements of ticks of 1,000 targets of a kind."""
    assets = [f"asset-{number:03}" for number in range(ASSETS)]
    platform = memory_platform()
    names = [f"v{number}" for number in range(4)]
    fill_assets(platform, assets, names, 0, MINUTES)
    documents = [
        _document(kind, f"{kind.replace('_', '-')}-{number}", ["asset-*"], quick=True)
        for number in range(DEFINITIONS)
    ]
    apply(platform, documents, "benchmark", START, "benchmark")
    first = documents[0]["name"]
    platform, trained = train_champion(platform, first, MINUTES)
    for document in documents[1:]:
        copy_champion(platform, first, document["name"])
    platform, _ = _tick(platform, MINUTES)  # loads models, begins charts
    ticks = []
    for number in range(1, TICKS + 1):
        until = MINUTES + number * TICK
        fill_assets(platform, assets, names, until - TICK, until)
        platform, measured = _tick(platform, until)
        ticks.append(measured)
    targets = int(ticks[-1]["targets"])
    cpu = statistics.median(one["cpu_s"] for one in ticks)
    return {
        "targets": targets,
        "tick_s": round(statistics.median(one["seconds"] for one in ticks), 2),
        "cpu_ms_per_target": round(1000 * cpu / targets, 2),
        "peak_mib": peak_mib(),
        "unknown": int(ticks[-1]["unknown"]),
        "training_of_all_assets_s": round(trained["seconds"], 1),
    }


def measure_training(kind: str) -> dict[str, Any]:
    """Return time and memory of one training on many rows."""
    names = [f"v{number}" for number in range(VARIABLES)]
    document = _document(kind, "one", ["asset-000"], quick=False)
    with _Stores(ctx=get_context("spawn")) as stores:
        readings = stores.readings(MemoryAssets())
        platform = replace(memory_platform(), readings=readings, reading_writes=readings)
        fill_assets(platform, ["asset-000"], names, 0, ROWS)
        apply(platform, [document], "benchmark", START, "benchmark")
        before = peak_mib()
        _, trained = train_champion(platform, "one", ROWS)
        return {
            "minutes": round(trained["seconds"] / 60, 2),
            "cpu_minutes": round(trained["cpu_s"] / 60, 2),
            "peak_mib": peak_mib(),
            "before_mib": before,
            "verdict": trained["verdict"],
        }


class _Stores(BaseManager):
    """A process with stores."""

    readings: Any


_Stores.register("readings", MemoryReadings)


def _document(kind: str, name: str, assets: Sequence[str], quick: bool) -> dict[str, Any]:
    own: dict[str, dict[str, Any]] = {
        "forecast": {
            "problem": {"variable": "v0", "above": 3.0},
            "horizon": "1h",
            "features": {"stride": "1m"},
        },
        "control_chart": {"variable": "v0", "normal": "70d"},
        "anomaly": {"normal": "70d"},
    }
    fast: dict[str, dict[str, Any]] = {
        "forecast": {
            "features": {"stride": "5m", "windows": ["10m", "1h"]},
            "learning": {"trials": 1, "folds": 2, "candidates": ["boosted_trees"]},
        },
        "control_chart": {},
        "anomaly": {"stride": "1m"},
    }
    schedule = {"schedule": {"retrain": None, "every": f"{TICK}m"}}
    return {
        "name": name,
        "kind": kind,
        "assets": [*assets],
        **own[kind],
        **schedule,
        **(fast[kind] if quick else {}),
    }


def fill_assets(
    platform: SandboxPorts, assets: Sequence[str], names: Sequence[str], first: int, last: int
) -> None:
    """Write the readings of minutes (first, last]: variables that follow one slow course, each with
    noise of its own."""
    variables = {name: Variable(sampling=timedelta(minutes=1)) for name in names}
    platform.assets.store_assets([Asset(name=name, variables=variables) for name in assets])
    for number, name in enumerate(assets):
        rows = _rows(name, number, names, first, last)
        while some := list(islice(rows, _AT_ONCE)):
            add_readings(platform, some, instant_of(last))


def _rows(
    asset: str, number: int, names: Sequence[str], first: int, last: int
) -> Iterator[ReadingRow]:
    minutes = np.arange(first + 1, last + 1)
    course = 2 * np.sin(2 * np.pi * (minutes + 37 * number) / 700) + np.sin(
        2 * np.pi * minutes / 90
    )
    noise = np.random.default_rng([number, first]).normal(0, 0.5, (len(minutes), len(names)))
    values = course[:, None] * np.linspace(1, 0.5, len(names)) + noise
    for m, row in zip(minutes.tolist(), values, strict=True):
        yield ReadingRow(asset, instant_of(m), dict(zip(names, row.tolist(), strict=True)))


def instant_of(minute: int) -> datetime:
    """Return the instant of a minute of these readings."""
    return from_millis(to_millis(START) + minute * _MINUTE_MS)


def train_champion(
    platform: SandboxPorts, name: str, minute: int
) -> tuple[SandboxPorts, dict[str, Any]]:
    """Train a definition and promote its model at a minute; return the platform of then, and time
    and verdict."""
    platform = _at_instant(platform, minute)
    wall = time.perf_counter()
    cpu = time.process_time()
    decided = train(platform, name, instant_of(minute))
    if decided.waiting:
        promote_run(platform, decided.run_id, approved_by="benchmark")
    return platform, {
        "seconds": time.perf_counter() - wall,
        "cpu_s": time.process_time() - cpu,
        "verdict": f"{decided.verdict}: {decided.reason}",
    }


def _tick(platform: SandboxPorts, minute: int) -> tuple[SandboxPorts, Mapping[str, float]]:
    platform = _at_instant(platform, minute)
    wall = time.perf_counter()
    cpu = time.process_time()
    counts = evaluate(platform, None, instant_of(minute))
    wall = time.perf_counter() - wall
    cpu = time.process_time() - cpu
    return platform, {
        "seconds": wall,
        "cpu_s": cpu,
        "targets": counts.targets,
        "unknown": len(counts.unknown),
    }


def _at_instant(platform: SandboxPorts, minute: int) -> SandboxPorts:
    return replace(platform, clock=FixedClock(instant_of(minute)))
