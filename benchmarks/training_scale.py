"""Training on 1,000,000 rows of 10 variables, against 300,000 and 100,000, and of 50 variables:
time and peak memory of every step.

It runs only by name, because it takes minutes. Synthetic data: one reading and row a minute, a
problem that follows one variable. It fits two parameter sets of LightGBM on two folds. As in the
steps of a training, one process makes the dataset and writes its files, another one trains on them.
`search_trees` is the number of trees in each fit of the search, `final_trees` that of the model,
and `notes` the number of searched rows. `cells_mib` is what the cells of the readings and rows may
take (`learning/data/dataset_rows.py`): an upper bound of what each step adds to its process, or the
benchmark fails its goal.
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from alerting.definitions.asset_documents import Asset
from alerting.kinds.classifier.definition import ClassifierDefinition
from alerting.learning.data.dataset import build_dataset, dataset_files, dataset_from_files
from alerting.learning.data.dataset_rows import BYTES_PER_CELL, count_cells
from alerting.learning.models.families.lightgbm import LightGbm
from alerting.learning.score_metrics import evaluate_rows, time_blocks
from alerting.learning.selection.challenger import finish_challenger
from alerting.learning.selection.classifier_search import search_candidate
from alerting.readings.history import History
from benchmarks.helpers.memory import peak_mib

SIZES = (100_000, 300_000, 1_000_000)
VARIABLES = 10
MANY_VARIABLES = 50
MOST_S_OF_MANY = 180.0
MOST_MIB_OF_MANY = 4096
START = datetime(2024, 1, 1, tzinfo=UTC)
STEPS = ("build", "write files", "read files", "search", "finish", "intervals_of_all_rows")
Document = dict[str, Any]


def run() -> Document:
    """Return minutes for 1,000,000 rows; the peer is ten times our 100,000 rows: a ratio of 1 is
    linear, above 1 is better."""
    sizes = [measure_rows(rows) for rows in SIZES]
    many = measure_rows(SIZES[-1], MANY_VARIABLES)
    small = sizes[0]
    large = sizes[-1]
    linear = 10 * small["seconds"]
    ratio = linear / large["seconds"]
    goals = {
        "ratio >= 1 (linear or better)": ratio >= 1,
        "each step adds at most the memory of the cells": all(
            size["added_mib"] <= size["cells_mib"] for size in sizes
        ),
        f"{MANY_VARIABLES} variables in {MOST_S_OF_MANY:g} s": many["seconds"] <= MOST_S_OF_MANY,
        f"{MANY_VARIABLES} variables in {MOST_MIB_OF_MANY} MiB": many["peak_mib"]
        <= MOST_MIB_OF_MANY,
    }
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
        "goal": "; ".join(goals),
        "met": all(goals.values()),
        "missed": [goal for goal, is_met in goals.items() if not is_met],
        "sizes": sizes,
        "many_variables": many,
    }


def measure_rows(rows: int, variables: int = VARIABLES) -> Document:
    """Return time and memory of both processes of a training on so many rows."""
    with tempfile.TemporaryDirectory() as folder:
        built = _alone(build_rows, rows, variables, Path(folder))
        trained = _alone(train_files, Path(folder))
    seconds = [*built.pop("seconds"), *trained.pop("seconds")]
    cpu = [*built.pop("cpu"), *trained.pop("cpu")]
    peaks = [built.pop("peak_mib"), trained.pop("peak_mib")]
    added = [built.pop("added_mib"), trained.pop("added_mib")]
    return {
        **built,
        "variables": variables,
        "seconds": round(sum(seconds[:-1]), 1),
        "cpu_seconds": round(sum(cpu[:-1]), 1),
        "seconds_by_step": dict(zip(STEPS, seconds, strict=True)),
        "cpu_seconds_by_step": dict(zip(STEPS, cpu, strict=True)),
        "peak_mib": max(peaks),
        "peak_mib_by_process": peaks,
        "added_mib": max(added),
        **trained,
    }


def _alone(measure: Callable[..., Document], *given: object) -> Document:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(measure, *given).result()


def build_rows(rows: int, variables: int, folder: Path) -> Document:
    """Make a dataset of so many rows and write its files into a folder."""
    _load_modules_of_a_step()
    history = _history(rows, variables)
    marks = [_now()]
    dataset = build_dataset(_definition(), 1, [history], history.readings.index[-1].to_pydatetime())
    found = {
        "rows": len(dataset.label),
        "columns": len(dataset.plan.columns),
        "cells_mib": (history.readings.size + len(dataset.label) * count_cells(dataset.plan))
        * BYTES_PER_CELL
        >> 20,
    }
    del history
    marks.append(_now())
    for name, content in dataset_files(dataset).items():
        (folder / name).write_bytes(content)
    marks.append(_now())
    return found | _measured(marks)


def train_files(folder: Path) -> Document:
    """Train on the dataset whose files are in a folder."""
    _load_modules_of_a_step()
    definition = _definition()
    trees = _counted_trees()
    marks = [_now()]
    dataset = dataset_from_files({path.name: path.read_bytes() for path in folder.iterdir()})
    marks.append(_now())
    found = search_candidate(dataset, definition, "lightgbm", lambda *_: None)
    marks.append(_now())
    _, evidence = finish_challenger(dataset, found, definition)
    marks.append(_now())
    rows = len(dataset.label)
    evaluate_rows(
        dataset.label,
        np.full(rows, 0.5),
        time_blocks(dataset.at, dataset.asset, dataset.gap_ms, dataset.horizon_ms),
        0,
    )
    marks.append(_now())
    return _measured(marks) | {
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


def _load_modules_of_a_step() -> None:
    """Load what the process of a step loads beside the learners."""
    import matplotlib  # noqa: F401
    import mlflow  # noqa: F401
    import shap  # noqa: F401


def _definition() -> ClassifierDefinition:
    return ClassifierDefinition.model_validate(
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


def _measured(marks: Sequence[tuple[float, float, int]]) -> Document:
    seconds, cpu = np.diff(np.array(marks)[:, :2], axis=0).T.round(1).tolist()
    return {
        "seconds": seconds,
        "cpu": cpu,
        "peak_mib": peak_mib(),
        "added_mib": peak_mib() - marks[0][2],
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


def _history(rows: int, variables: int) -> History:
    random = np.random.default_rng(0)
    values = random.standard_normal((rows, variables)).astype(np.float64)
    slow = pd.Series(values[:, 1]).rolling(30, min_periods=1).mean().to_numpy() * 4
    values[:, 1] = slow + 0.1 * values[:, 1]
    values[10:, 0] = slow[:-10] + 0.7 * values[10:, 0]
    index = pd.date_range(START, periods=rows, freq="min", name="ts").as_unit("ms")
    return History(
        Asset(name="line-1"),
        pd.DataFrame(values, columns=[f"v{i}" for i in range(variables)], index=index),
    )
