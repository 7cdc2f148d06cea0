"""Training on 1,000,000 rows of 10 variables, against 100,000: minutes and peak memory of dataset, search and final fit.

By name only, because it takes minutes. Made-up data: one reading a minute, a row a minute, a problem that follows one variable.
Two parameter sets of LightGBM on two folds; the time budget is a ceiling, and a search that it cut short is told.
"""

import resource
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from multiprocessing import get_context
from typing import Any

import numpy as np
import pandas as pd

from alerting.definitions.assets import Asset
from alerting.definitions.model import ClassifierDefinition
from alerting.learning.dataset import build_dataset
from alerting.learning.search import search_candidate
from alerting.learning.selection import finish_challenger
from alerting.readings.history import History

SMALL, LARGE, VARIABLES = 100_000, 1_000_000, 10
START = datetime(2024, 1, 1, tzinfo=UTC)
MOST_MIB = 4096


def run() -> dict[str, Any]:
    """Minutes for 1,000,000 rows; the peer is our own 100,000, ten times over: a ratio of 1 is linear."""
    small, large = (_alone(rows) for rows in (SMALL, LARGE))
    linear = 10 * small["seconds"]
    ratio = linear / large["seconds"]
    return {
        "benchmark": "training_scale",
        "figure": round(large["seconds"] / 60, 2),
        "unit": f"minutes for {LARGE} rows of {VARIABLES} variables ({large['columns']} columns)",
        "peer": f"ten times the training on {SMALL} rows",
        "peer_figure": round(linear / 60, 2),
        "ratio": round(ratio, 2),
        "goal": f"ratio >= 0.7 and peak memory < {MOST_MIB} MiB",
        "met": bool(ratio >= 0.7 and large["peak_mib"] < MOST_MIB),
        "small": small,
        "large": large,
    }


def _alone(rows: int) -> dict[str, Any]:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_train, rows).result()


def _train(rows: int) -> dict[str, Any]:
    history = _history(rows)
    definition = ClassifierDefinition.model_validate(
        {
            "name": "scale",
            "kind": "classifier",
            "assets": ["line-1"],
            "problem": {"variable": "v0", "above": 2.5, "predict": "state"},
            "horizon": "10m",
            "features": {"stride": "1m", "windows": ["10m"], "aggregations": ["mean", "std", "last"]},
            "learning": {"trials": 2, "folds": 2, "time_budget": "10m", "candidates": ["lightgbm"]},
        }
    )
    marks = [time.monotonic()]
    dataset = build_dataset(definition, 1, [history], history.readings.index[-1].to_pydatetime())
    marks.append(time.monotonic())
    found = search_candidate(dataset, definition, "lightgbm", lambda *_: None, stopwatch=time.monotonic)
    marks.append(time.monotonic())
    finish_challenger(dataset, found, definition)
    marks.append(time.monotonic())
    steps = {name: round(s, 1) for name, s in zip(("dataset_s", "search_s", "finish_s"), np.diff(marks).tolist(), strict=True)}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return {
        "rows": len(dataset.label),
        "columns": len(dataset.plan.columns),
        "seconds": round(marks[-1] - marks[0], 1),
        **steps,
        "peak_mib": peak,
        "trials": found.trials,
        "cut_short": found.cut_short,
    }


def _history(rows: int) -> History:
    random = np.random.default_rng(0)
    values = random.standard_normal((rows, VARIABLES)).astype(np.float64)
    slow = pd.Series(values[:, 1]).rolling(30, min_periods=1).mean().to_numpy() * 4
    values[:, 1] = slow + 0.1 * values[:, 1]
    values[10:, 0] = slow[:-10] + 0.7 * values[10:, 0]
    index = pd.date_range(START, periods=rows, freq="min", name="ts").as_unit("ms")
    return History(Asset(name="line-1"), pd.DataFrame(values, columns=[f"v{i}" for i in range(VARIABLES)], index=index))
