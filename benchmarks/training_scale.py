"""Training on 1,000,000 rows of 10 variables, against 300,000 and 100,000: time and peak memory of
every step, by process.

It runs only by name, because it takes minutes. Synthetic data: one reading and row a minute, a
problem that follows one variable. It fits two parameter sets of LightGBM on two folds, with the
dataset in files as in the steps of a training. `search_trees` is the number of trees in each fit of
the search, `final_trees` that of the model, and `notes` the number of searched rows. `cells_mib` is
what the cells of the readings and rows may take (`learning/data/row_limit.py`): an upper bound of
what the training adds to the process, or the benchmark fails its goal.
"""

import time
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from multiprocessing import get_context
from typing import Any

import numpy as np
import pandas as pd

from alerting.definitions.assets import Asset
from alerting.kinds.classifier.definition import ClassifierDefinition
from alerting.learning.data.dataset import build_dataset
from alerting.learning.data.files import dataset_files, dataset_from_files
from alerting.learning.data.row_limit import BYTES_PER_CELL, count_cells
from alerting.learning.metrics.bootstrap import evaluate_rows, time_blocks
from alerting.learning.models.families.lightgbm import LightGbm
from alerting.learning.search.search import search_candidate
from alerting.learning.selection.challenger import finish_challenger
from alerting.readings.history import History
from benchmarks.helpers.memory import peak_mib

SIZES = (100_000, 300_000, 1_000_000)
VARIABLES = 10
START = datetime(2024, 1, 1, tzinfo=UTC)


def run() -> dict[str, Any]:
    """Return minutes for 1,000,000 rows; the peer is ten times our 100,000 rows: a ratio of 1 is
    linear, above 1 is better."""
    sizes = [_alone(rows) for rows in SIZES]
    small = sizes[0]
    large = sizes[-1]
    linear = 10 * small["seconds"]
    ratio = linear / large["seconds"]
    bounded = all(size["added_mib"] <= size["cells_mib"] for size in sizes)
    return {
        "benchmark": "training_scale",
        "figure": round(large["seconds"] / 60, 2),
        "unit": (
            f"minutes for {SIZES[-1]} rows of {VARIABLES} variables ({large['columns']} columns)"
        ),
        "peer": f"ten times the training on {SIZES[0]} rows",
        "peer_figure": round(linear / 60, 2),
        "ratio": round(ratio, 2),
        "seconds_by_rows": {size["rows"]: size["seconds"] for size in sizes},
        "times_as_long": round(large["seconds"] / small["seconds"], 2),
        "times_as_many_rows": SIZES[-1] / SIZES[0],
        "goal": (
            "ratio >= 1 (linear or better), and at every size the memory added is at most that of "
            "the cells"
        ),
        "met": bool(ratio >= 1 and bounded),
        "sizes": sizes,
    }


def _alone(rows: int) -> dict[str, Any]:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(train_rows, rows).result()


def train_rows(rows: int) -> dict[str, Any]:
    # Modules that the process of a step loads beside the learners.
    import matplotlib  # noqa: F401
    import mlflow  # noqa: F401
    import shap  # noqa: F401

    history = _history(rows)
    definition = ClassifierDefinition.model_validate(
        {
            "name": "scale",
            "kind": "classifier",
            "assets": ["line-1"],
            "problem": {"variable": "v0", "above": 2.5, "predict": "state"},
            "horizon": "10m",
            "features": {
                "stride": "1m",
                "windows": ["10m"],
                "aggregations": ["mean", "std", "last"],
            },
            "learning": {"trials": 2, "folds": 2, "time_budget": "10m", "candidates": ["lightgbm"]},
        }
    )
    trees = _counted_trees()
    marks = [_now()]
    dataset = build_dataset(definition, 1, [history], history.readings.index[-1].to_pydatetime())
    rows = len(dataset.label)
    columns = len(dataset.plan.columns)
    cells = history.readings.size + rows * count_cells(dataset.plan)
    del history
    marks.append(_now())
    dataset = dataset_from_files(dataset_files(dataset))
    marks.append(_now())
    found = search_candidate(dataset, definition, "lightgbm", lambda *_: None)
    marks.append(_now())
    _, evidence = finish_challenger(dataset, found, definition)
    marks.append(_now())
    evaluate_rows(
        dataset.label,
        np.full(rows, 0.5)[: len(dataset.label)],
        time_blocks(dataset.at, dataset.asset, dataset.gap_ms, dataset.horizon_ms),
        0,
    )
    marks.append(_now())
    names = ("build", "files", "search", "finish", "intervals_of_all_rows")
    seconds, cpu = np.diff(np.array(marks)[:, :2], axis=0).T.tolist()
    return {
        "rows": rows,
        "columns": columns,
        "seconds": round(sum(seconds[:4]), 1),
        "cpu_seconds": round(sum(cpu[:4]), 1),
        "seconds_by_step": {name: round(s, 1) for name, s in zip(names, seconds, strict=True)},
        "cpu_seconds_by_step": {name: round(s, 1) for name, s in zip(names, cpu, strict=True)},
        "peak_mib": peak_mib(),
        "peak_mib_until": {
            name: int(mark[2]) for name, mark in zip(("start", *names), marks, strict=True)
        },
        "added_mib": peak_mib() - int(marks[0][2]),
        "cells_mib": cells * BYTES_PER_CELL >> 20,
        "trials": found.trials,
        "search_trees": trees,
        "final_trees": found.params["rounds"],
        "test_ap": [
            round(value, 3)
            for value in (evidence.rows["test"]["ap"], *evidence.rows["test"]["intervals"]["ap"])
        ],
        "notes": found.notes,
        "cut_short": found.cut_short,
    }


def _now() -> tuple[float, float, int]:
    return time.monotonic(), time.process_time(), peak_mib()


def _counted_trees() -> list[int]:
    """Return a list that receives the number of trees of each later fit."""
    counted: list[int] = []
    fit = LightGbm.fit_with_validation

    def fit_and_count(*args: Any, **kwargs: Any) -> Any:
        fitted = fit(*args, **kwargs)
        counted.append(len(fitted[1]))
        return fitted

    LightGbm.fit_with_validation = fit_and_count  # type: ignore[method-assign]
    return counted


def _history(rows: int) -> History:
    random = np.random.default_rng(0)
    values = random.standard_normal((rows, VARIABLES)).astype(np.float64)
    slow = pd.Series(values[:, 1]).rolling(30, min_periods=1).mean().to_numpy() * 4
    values[:, 1] = slow + 0.1 * values[:, 1]
    values[10:, 0] = slow[:-10] + 0.7 * values[10:, 0]
    index = pd.date_range(START, periods=rows, freq="min", name="ts").as_unit("ms")
    return History(
        Asset(name="line-1"),
        pd.DataFrame(values, columns=[f"v{i}" for i in range(VARIABLES)], index=index),
    )
