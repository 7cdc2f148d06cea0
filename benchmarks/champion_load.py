"""CPU time of loading a champion with its refit at its first use in a process: files that were
checked on this machine before, beside the whole check, and LightGBM's own reading of the texts.

LightGBM of 300 trees with 31 leaves, and a forest of 100 trees, on 180 columns of ten variables;
the files are in the system's cache, as in a tick. Least of several rounds.

Then a tick of 1,000 definitions on one asset, each with a champion of its own
(ALERTING_BENCH_CHAMPIONS: fewer), once with all files read again, as in a task of Airflow, and once
with the models that the process has kept, as in the stream service. The files are in the cache of
the machine, all other stores in memory; the champions are 100 trees with another threshold each.
"""

import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from alerting.adapters.memory.platform import memory_platform
from alerting.adapters.mlflow.file_cache import FolderFileCache
from alerting.deferred import lightgbm
from alerting.learning.features.encoding import Columns, Floats
from alerting.learning.features.plan import FeaturePlan, NumberSource
from alerting.learning.models.calibration import Platt
from alerting.learning.models.families.contract import LabelledRows
from alerting.learning.models.families.registry import get_family
from alerting.learning.models.files import model_files, model_from_files
from alerting.learning.models.normal import sample_normal
from alerting.learning.models.trained import TrainedModel, model_hash
from alerting.ports import FixedClock
from alerting.usecases.definitions.sync import apply
from alerting.usecases.definitions.targets import current_plan
from alerting.usecases.evaluation.evaluate import evaluate_targets
from alerting.usecases.evaluation.run import ProcessInputs
from alerting.usecases.registry.model_cache import ModelCache
from alerting.usecases.registry.registration import file_hashes
from benchmarks.helpers.champions import copy_champion
from benchmarks.helpers.memory import peak_mib
from benchmarks.kinds.kinds import START, fill_assets, instant_of, train_champion

ROWS = 20_000
TREES = 300
TREES_OF_MANY = 100
ROUNDS = 5
GOAL_LOAD_MS = 20.0
GOAL_SCORE_MS = 1.0
CHAMPIONS = int(os.environ.get("ALERTING_BENCH_CHAMPIONS", "1000"))
MOST_CPU_S = 15.0
MOST_CPU_S_KEPT = 3.0
MINUTES = 3_000
DAY = datetime(2026, 1, 5, tzinfo=UTC)
PLAN = FeaturePlan(
    stride_ms=60_000,
    windows_ms=(600_000, 1_800_000, 3_600_000),
    aggregations=("mean", "std", "min", "max", "last", "slope"),
    numbers=tuple(NumberSource(f"v{number}", None) for number in range(10)),
)
COLUMNS = Columns.from_plan(PLAN)


def run() -> dict[str, Any]:
    """Return CPU milliseconds of loading and of one score, by family."""
    rows = _rows()
    found = {
        family: _measure(family, params, rows)
        for family, params in (
            ("lightgbm", {"rounds": TREES}),
            ("random_forest", {"n_estimators": 100}),
        )
    }
    many = measure_many(CHAMPIONS, rows)
    boosted = found["lightgbm"]
    load = boosted["load and first score"]
    return {
        "figure": {
            **{f"{family}, CPU ms": times for family, times in found.items()},
            "rows fitted": ROWS,
            f"a tick of {CHAMPIONS} different champions": many,
        },
        "peer": {"all checks again, CPU ms": boosted["load with all checks"]},
        "ratio": round(boosted["load with all checks"] / load, 2),
        "goal": {
            "load": GOAL_LOAD_MS,
            "score": GOAL_SCORE_MS,
            "CPU s of a tick": MOST_CPU_S,
            "CPU s of a tick with kept models": MOST_CPU_S_KEPT,
        },
        "met": all(
            times["load and first score"] < GOAL_LOAD_MS and times["one score"] < GOAL_SCORE_MS
            for times in found.values()
        )
        and many["CPU s"] < MOST_CPU_S
        and many["CPU s with kept models"] < MOST_CPU_S_KEPT,
    }


def _rows() -> LabelledRows:
    draw = np.random.default_rng(0)
    matrix = draw.normal(size=(ROWS, len(COLUMNS.names)))
    label = matrix[:, 0] * matrix[:, 1] + draw.normal(size=ROWS) > 1.5
    return LabelledRows(matrix, label.astype(np.int64))


def _measure(family: str, params: dict[str, Any], rows: LabelledRows) -> dict[str, float]:
    files = model_files(_model(family, params, rows, _model(family, params, rows)))
    row = rows.matrix[:1]
    texts = [data.decode() for name, data in files.items() if name.endswith(".txt")]
    read = model_from_files(files, checked=True)

    def load() -> Floats:
        file_hashes("champion", files, b"")
        refit = model_from_files(files, checked=True).refit
        assert refit is not None
        return refit.score_matrix(row)

    return {
        "load with all checks": _cpu_ms(lambda: model_from_files(files)),
        "load and first score": _cpu_ms(load),
        "hashes": _cpu_ms(lambda: file_hashes("champion", files, b"")),
        "one score": _cpu_ms(lambda: read.score_matrix(row)),
        "texts read by LightGBM": _cpu_ms(
            lambda: [lightgbm.Booster(model_str=text) for text in texts]
        ),
        "MiB": round(sum(map(len, files.values())) / 2**20, 1),
    }


def _model(
    family: str, params: dict[str, Any], rows: LabelledRows, refit: TrainedModel | None = None
) -> TrainedModel:
    known = get_family(family)
    estimator = known.fit({**known.defaults, **params}, COLUMNS, rows, seed=1, threads=1)
    calibration = Platt(1.0, 0.0)
    frame = pd.DataFrame(rows.matrix, columns=list(COLUMNS.names))
    ordinary = dict.fromkeys(COLUMNS.names, (-1.0, 1.0))
    return TrainedModel(
        definition="champion",
        revision=1,
        plan=PLAN,
        estimator=estimator,
        calibration=calibration,
        threshold=0.5,
        training_cutoff=DAY,
        as_of=DAY,
        horizon=timedelta(minutes=30),
        gap=timedelta(0),
        usual=dict.fromkeys(COLUMNS.names, 0.0),
        ranges=ordinary,
        usual_ranges=ordinary,
        hash=model_hash(estimator, calibration, 0.5, PLAN),
        refit=refit,
        normal=sample_normal(PLAN, frame, rows.label, seed=1),
    )


def measure_many(count: int, rows: LabelledRows) -> dict[str, float]:
    """Return CPU seconds of a tick of so many definitions, each with its own champion."""
    with tempfile.TemporaryDirectory() as folder:
        return _measure_many(FolderFileCache(Path(folder)), count, rows)


def _measure_many(cache: FolderFileCache, count: int, rows: LabelledRows) -> dict[str, float]:
    platform = replace(memory_platform(), model_file_cache=cache)
    variables = [f"v{number}" for number in range(10)]
    fill_assets(platform, ["line-1"], variables, 0, MINUTES)
    documents = [_document(number) for number in range(count + 1)]
    apply(platform, documents[:1], "benchmark", START, "benchmark")
    platform, _ = train_champion(platform, "champion-0000", MINUTES)
    apply(platform, documents[1:], "benchmark", instant_of(MINUTES), "benchmark")
    trees = _model("lightgbm", {"rounds": TREES_OF_MANY}, rows)
    size = 0
    for number, document in enumerate(documents[1:]):
        own = replace(trees, definition=document["name"], threshold=0.5 + number / 1e6)
        own = replace(own, hash=model_hash(own.estimator, own.calibration, own.threshold, PLAN))
        files = model_files(own)
        size += sum(map(len, files.values()))
        copy_champion(platform, "champion-0000", document["name"], files)
    kept = ProcessInputs(ModelCache(platform))
    spent = []
    for tick, process in enumerate((None, None, kept, kept)):
        until = MINUTES + 5 * (tick + 1)
        fill_assets(platform, ["line-1"], variables, until - 5, until)
        platform = replace(platform, clock=FixedClock(instant_of(until)))
        began = time.process_time()
        plan = current_plan(platform)
        counts = evaluate_targets(platform, plan, instant_of(until), False, process=process)
        spent.append(time.process_time() - began)
        assert not counts.unreadable
    return {
        "targets": len(plan.targets),
        "CPU s": round(spent[1], 1),
        "CPU s with kept models": round(spent[3], 1),
        "MiB of files": size >> 20,
        "peak MiB": peak_mib(),
    }


def _document(number: int) -> dict[str, Any]:
    return {
        "name": f"champion-{number:04}",
        "kind": "classifier",
        "assets": ["line-1"],
        "problem": {"variable": "v0", "above": 2.0},
        "horizon": "30m",
        "features": {
            "stride": "1m",
            "windows": ["10m", "30m", "1h"],
            "aggregations": [*PLAN.aggregations],
        },
        "learning": {"trials": 1, "folds": 2, "candidates": ["lightgbm"]},
        "schedule": {"retrain": None, "every": "5m"},
    }


def _cpu_ms(work: Callable[[], object]) -> float:
    work()
    times = []
    for _ in range(ROUNDS):
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return round(min(times) * 1000, 2)
