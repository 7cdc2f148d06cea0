"""The model of a report: decisions, expected and real metrics, scores, drift, estimates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

import numpy as np
import pandas as pd

from alerting.reporting.base.estimates import Estimate
from alerting.reporting.definition.decisions import DecisionMade
from alerting.reporting.definition.drift import Drift, drift_of_inputs
from alerting.reporting.definition.estimated import EstimatedPerformance, estimate_performance
from alerting.reporting.definition.material import Material

SCORE_BINS = 20
NO_INTERVALS: Mapping[str, tuple[float, float]] = MappingProxyType({})


@dataclass(frozen=True)
class CameTrue:
    """A metric as it was measured at the promotion, and what came true in the period."""

    metric: str
    at_promotion: float
    now: Estimate
    low: float | None = None
    high: float | None = None

    @property
    def is_worse(self) -> bool:
        """Return whether the 95 % interval is worse than the promotion's, or than its value."""
        low = self.now.low
        high = self.now.high
        if self.now.doubt or low is None or high is None:
            return False
        if self.metric == "false_alarms_per_week":
            return low > (self.at_promotion if self.high is None else self.high)
        return high < (self.at_promotion if self.low is None else self.low)


@dataclass(frozen=True)
class ModelMetrics:
    """The model over the period. `verification`: by the values that came; empty if unknown."""

    decisions: tuple[DecisionMade, ...]
    came_true: tuple[CameTrue, ...]
    score_shares: tuple[float, ...]
    score_shares_before: tuple[float, ...]
    drift: tuple[Drift, ...]
    estimated: EstimatedPerformance | None
    reference: tuple[datetime, datetime] | None = None
    verification: str = ""

    @property
    def drifted(self) -> tuple[str, ...]:
        """Return the variables whose inputs differ clearly from those of the training."""
        return tuple(d.variable for d in self.drift if d.is_clear)

    @property
    def slow(self) -> tuple[str, ...]:
        """Return the variables that differ from the training, but no more than chance explains."""
        return tuple(d.variable for d in self.drift if d.is_slow)

    @property
    def worse_than_promotion(self) -> str:
        """Return the metric that is clearly worse than at the promotion; empty if none is."""
        return next((c.metric for c in self.came_true if c.is_worse), "")


def compute_model(
    m: Material, recall: Estimate, precision: Estimate, false_alarms: Estimate
) -> ModelMetrics:
    """Return the metrics of the model over the period; the estimates are those of its episodes."""
    serving = in_service_at_end(m.decisions)
    now = {
        "event_recall": recall,
        "episode_precision": precision,
        "false_alarms_per_week": false_alarms,
    }
    inside = {
        asset: m.reduced[asset].sample
        if asset in m.reduced
        else history.readings[
            (history.readings.index >= m.start) & (history.readings.index < m.end)
        ]
        for asset, history in m.histories.items()
    }
    return ModelMetrics(
        decisions=tuple(d for d in m.decisions if m.start <= d.at < m.end),
        came_true=came_true(serving.expected, now, serving.expected_intervals) if serving else (),
        score_shares=score_shares(m.scores),
        score_shares_before=score_shares(m.previous.scores) if m.previous else (),
        drift=drift_of_inputs(m.reference, inside),
        estimated=estimate_performance(m.scores) if len(m.scores) else None,
        reference=m.reference_period,
        verification=m.verification,
    )


def came_true(
    expected: Mapping[str, float],
    now: Mapping[str, Estimate],
    intervals: Mapping[str, tuple[float, float]] = NO_INTERVALS,
) -> tuple[CameTrue, ...]:
    """Return the metrics that are known both at the promotion and in the period."""
    return tuple(
        CameTrue(name, expected[name], estimate, *intervals.get(name, (None, None)))
        for name, estimate in now.items()
        if expected.get(name) is not None
    )


def score_shares(scores: pd.DataFrame) -> tuple[float, ...]:
    """Return the share of scores in each of twenty equal bins from 0 to 1."""
    if scores.empty:
        return ()
    bins = np.minimum(
        (scores["score"].to_numpy(np.float64) * SCORE_BINS).astype(np.int64), SCORE_BINS - 1
    )
    return tuple((np.bincount(np.maximum(bins, 0), minlength=SCORE_BINS) / len(scores)).tolist())


def in_service_at_end(decisions: Sequence[DecisionMade]) -> DecisionMade | None:
    """Return the last promotion among decisions, oldest first; None without any."""
    return next((d for d in reversed(decisions) if d.promoted), None)
