"""The model of a report: decisions, expected and real metrics, what came true."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from alerting.reporting.base.estimates import Estimate
from alerting.reporting.definition.decisions import DecisionMade
from alerting.reporting.definition.material import Material

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
    verification: str = ""


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
    return ModelMetrics(
        decisions=tuple(d for d in m.decisions if m.start <= d.at < m.end),
        came_true=came_true(serving.expected, now, serving.expected_intervals) if serving else (),
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


def in_service_at_end(decisions: Sequence[DecisionMade]) -> DecisionMade | None:
    """Return the last promotion among decisions, oldest first; None without any."""
    return next((d for d in reversed(decisions) if d.promoted), None)
