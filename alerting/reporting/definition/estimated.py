"""Estimated performance of scores without an outcome, by confidence-based estimation (CBPE).

A calibrated score is the probability that the problem follows. So the expected number of hits among
the scores above the threshold is the sum of those scores, and the same holds for every cell of the
confusion matrix; the ROC curve follows from expected cells at every threshold. As NannyML does it
(Białek et al. 2024, arXiv:2407.08649).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np

from alerting.deferred import pd
from alerting.definitions.wording.language import Styled, translatable, translatable_count
from alerting.learning.features.moments import Floats
from alerting.learning.metrics.bootstrap import OperatingRows, measure_operating, time_blocks
from alerting.readings.history import millis, to_millis

LEAST_SCORES = 100
WELL_CALIBRATED = 0.05  # largest mean distance of score and outcome for which an estimate is given
CONDITIONS = translatable(
    "It holds while scores are calibrated and inputs look as they did when the calibration was "
    "measured. It does not see a change of the process itself: the same inputs that now lead to "
    "the problem more often or less often."
)


@dataclass(frozen=True)
class EstimatedPerformance:
    """Expected metrics of rows without an outcome, and of those with one beside what came true.

    `recall`, `precision`: of rows at the thresholds in force; None where no row is above them.
    `calibration_error`: mean distance of score and observed share over ten bins (ECE) of the rows
    with an outcome. `doubt`: why the estimate should not be used, if so.
    """

    rows: int
    recall: float | None
    precision: float | None
    roc_auc: float | None
    known_rows: int
    expected_recall: float | None
    expected_precision: float | None
    expected_roc_auc: float | None
    realised_recall: float | None
    realised_precision: float | None
    realised_roc_auc: float | None
    calibration_error: float | None
    doubt: str = ""


@dataclass(frozen=True)
class PerformanceCheck:
    """Estimated precision and recall beside those measured at the promotion; `estimated` is None
    where a `doubt` stands against it."""

    measured: OperatingRows
    estimated: OperatingRows | None
    doubt: str = ""

    @property
    def worse(self) -> tuple[str, ...]:
        """Return what is clearly below the measured one: `precision`, `recall`."""
        now = self.estimated
        if now is None:
            return ()
        pairs = {
            "precision": (now.precision_interval, self.measured.precision_interval),
            "recall": (now.recall_interval, self.measured.recall_interval),
        }
        return tuple(name for name, (own, other) in pairs.items() if own[1] < other[0])


@dataclass(frozen=True)
class ExpectedMetrics:
    """Expected metrics of rows; None where they are not defined."""

    recall: float | None
    precision: float | None
    roc_auc: float | None


def estimate_performance(scores: pd.DataFrame) -> EstimatedPerformance | None:
    """Estimate the performance of rows without a label; None if all have one."""
    immature = scores[scores["label"].isna()]
    if immature.empty:
        return None
    mature = scores[scores["label"].notna()]
    new = expected_performance(*_columns(immature))
    known = expected_performance(*_columns(mature))
    realised = expected_performance(*_columns(mature), mature["label"].to_numpy(np.float64))
    error = _calibration_error(mature)
    return EstimatedPerformance(
        rows=len(immature),
        recall=new.recall,
        precision=new.precision,
        roc_auc=new.roc_auc,
        known_rows=len(mature),
        expected_recall=known.recall,
        expected_precision=known.precision,
        expected_roc_auc=known.roc_auc,
        realised_recall=realised.recall,
        realised_precision=realised.precision,
        realised_roc_auc=realised.roc_auc,
        calibration_error=error,
        doubt=_doubt(len(immature), len(mature), error),
    )


def compare_with_promotion(
    scores: pd.DataFrame, recent: datetime, measured: OperatingRows, gap_ms: int, horizon_ms: int
) -> PerformanceCheck:
    """Compare the performance that the scores from `recent` on lead to expect with that of the test
    period at the promotion: worse only if the whole interval is below the other's.

    `scores`: also of longer ago, whose outcome is known, so that their calibration can be measured.
    """
    at = millis(pd.DatetimeIndex(scores["ts"]))
    newest = scores[at >= to_millis(recent)]
    mature = scores[scores["label"].notna()]
    doubt = _doubt(len(newest), len(mature), _calibration_error(mature))
    if doubt:
        return PerformanceCheck(measured, None, doubt)
    score, threshold = _columns(newest)
    block = time_blocks(
        millis(pd.DatetimeIndex(newest["ts"])), newest["asset"].to_numpy(object), gap_ms, horizon_ms
    )
    found = measure_operating(score, score >= threshold, block, 0)
    if found is None:
        return PerformanceCheck(measured, None, translatable("no score was above its threshold"))
    return PerformanceCheck(measured, found)


def expected_performance(
    score: Floats, threshold: Floats, probability: Floats | None = None
) -> ExpectedMetrics:
    """Return recall, precision and ROC-AUC from scores, or labels where these are known."""
    probability = score if probability is None else probability
    above = score >= threshold
    expected = float(probability.sum())
    hits = float(probability[above].sum())
    return ExpectedMetrics(
        recall=hits / expected if expected > 0 else None,
        precision=hits / int(above.sum()) if above.any() else None,
        roc_auc=expected_roc_auc(score, probability),
    )


def expected_roc_auc(score: Floats, probability: Floats) -> float | None:
    """Return the area under the expected ROC curve; None without positives or negatives."""
    _, inverse = np.unique(-score, return_inverse=True)  # from the highest score on
    positives = np.bincount(inverse, probability)
    negatives = np.bincount(inverse, 1 - probability)
    if positives.sum() <= 0 or negatives.sum() <= 0:
        return None
    true = np.r_[0.0, np.cumsum(positives) / positives.sum()]
    false = np.r_[0.0, np.cumsum(negatives) / negatives.sum()]
    return float(np.trapezoid(true, false))


def _columns(rows: pd.DataFrame) -> tuple[Floats, Floats]:
    return rows["score"].to_numpy(np.float64), rows["threshold"].to_numpy(np.float64)


def _calibration_error(mature: pd.DataFrame) -> float | None:
    """Return the mean distance of score and observed share over ten bins, by rows."""
    if mature.empty:
        return None
    score = mature["score"].to_numpy(np.float64)
    label = mature["label"].to_numpy(np.float64)
    bins = np.minimum((score * 10).astype(np.int64), 9)
    return float(np.abs(np.bincount(bins, score - label, minlength=10)).sum() / len(score))


def _doubt(rows: int, mature: int, error: float | None) -> str:
    if rows < LEAST_SCORES:
        return translatable_count(
            "only {number} score waits for its outcome",
            "only {number} scores wait for their outcome",
            rows,
        )
    if error is None or mature < LEAST_SCORES:
        return translatable(
            "no calibration can be measured: too few scores of this period have an outcome"
        )
    if error > WELL_CALIBRATED:
        return translatable(
            "the scores of this period are not calibrated: they are {error} percentage points off "
            "on average",
            error=Styled(100 * error, ".1f"),
        )
    return ""
