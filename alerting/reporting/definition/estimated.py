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
