"""Metrics of cells on the test rows, with confidence intervals."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from alerting.episodes.predictions import AlarmEnd
from alerting.learning.data.dataset import Dataset
from alerting.learning.metrics.bootstrap import bootstrap_rows
from alerting.learning.metrics.metrics import row_metrics
from alerting.learning.selection.operating_point import evaluate_threshold, observe_rows
from benchmarks.automl.tasks import Task

Floats = npt.NDArray[np.float64]
Scores = Mapping[str, Sequence[Floats]]  # of the test rows, by system, one for each seed
ONE_A_WEEK = 1.0  # false alarms, for each asset
THRESHOLDS = 100  # evaluated thresholds, densest at the highest scores
DAY_MS = 86_400_000
SAMPLES = 1000


def compute_metrics(task: Task, score: Floats) -> dict[str, float | None]:
    """Return average precision, Brier score, and event recall at one false alarm a week (None
    without true time stamps)."""
    rows = row_metrics(task.dataset.label[task.dataset.measured_in("test")], score)
    recall = _recall(task.dataset, score) if task.dated else None
    return {"ap": rows["ap"], "brier": rows["brier"], "event_recall": recall}


def _recall(dataset: Dataset, score: Floats) -> float | None:
    """Return the share of problems found at the best threshold with at most one false alarm a week
    and asset."""
    test = dataset.measured_in("test")
    observed = observe_rows(
        at=dataset.at[test],
        asset=dataset.asset[test],
        measured=dataset.measured[test],
        problems=dataset.problems,
        occurrences=dataset.occurrences,
        onset=dataset.predicts == "onset",
        observed_s=dataset.observed["test"],
        gap_ms=dataset.gap_ms,
        horizon_ms=dataset.horizon_ms,
        alarm_end=AlarmEnd(None, 2 * dataset.plan.stride_ms, 4 * dataset.horizon_ms),
    )
    distinct = np.unique(score)[::-1]
    ranks = np.unique(np.geomspace(1, len(distinct), THRESHOLDS).astype(int)) - 1
    met = [
        evaluate_threshold(observed, score, float(threshold), seed=0, samples=0)
        for threshold in distinct[ranks]
    ]
    return max(
        (m.event_recall or 0.0 for m in met if (m.false_alarms_per_week or 0.0) <= ONE_A_WEEK),
        default=0.0,
    )


def resampled(
    tasks: Sequence[Task], scores: Mapping[int, Scores], samples: int = SAMPLES
) -> dict[str, Floats]:
    """Return average precision of each system under resampling (samples), as the mean over its
    seeds and over folds.

    Whole blocks of rows are drawn, the same for all systems: an interval of positive rows of one
    asset (an event), a day of its other rows; single rows where they are independent. `scores`: by
    number of the fold.
    """
    found = [_one(task, scores[task.part], samples) for task in tasks]
    return {name: np.mean([part[name] for part in found], axis=0) for name in found[0]}


def _one(task: Task, scores: Scores, samples: int) -> dict[str, Floats]:
    label = task.dataset.label[task.dataset.measured_in("test")]
    block = _blocks(task)
    return {
        name: np.mean(
            [bootstrap_rows(label, score, block, 0, samples)["ap"] for score in by_seed], axis=0
        )
        for name, by_seed in scores.items()
    }


def _blocks(task: Task) -> npt.NDArray[np.int64]:
    """Return the block number of each test row."""
    test = task.dataset.measured_in("test")
    if not task.dated:
        return np.arange(int(test.sum()))
    asset = task.dataset.asset[test]
    at = task.dataset.at[test]
    label = task.dataset.label[test]
    turn = np.r_[True, (label[1:] != label[:-1]) | (asset[1:] != asset[:-1])]
    problem = np.cumsum(turn).astype(str)
    day = pd.Series(asset).astype(str) + "/" + pd.Series(at // DAY_MS).astype(str)
    return np.asarray(
        pd.factorize(np.where(label == 1, "problem " + pd.Series(problem), day))[0], np.int64
    )


def interval(values: Floats) -> list[float]:
    """Return the middle 95 % of the draws with both classes."""
    return [round(float(v), 4) for v in np.nanquantile(values, [0.025, 0.975])]
