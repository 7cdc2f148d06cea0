"""The model of a report: decisions, expected and real metrics, what came true."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from alerting.deferred import pd
from alerting.definitions.wording.language import Styled, template, translatable
from alerting.learning.metrics.bootstrap import time_blocks
from alerting.learning.selection.base_rate import (
    BaseRateShift,
    measure_share,
    shift_base_rate,
)
from alerting.readings.history import millis
from alerting.reporting.base.estimates import Estimate
from alerting.reporting.definition.decisions import DecisionMade
from alerting.reporting.definition.material import Material
from alerting.reporting.definition.reported_problems import gap_and_horizon

_RARER = template(
    "Problems are rarer than when the threshold was set: {now} of the rows instead of {before}. "
    "About {expected} of the alarms will be right, {right} were then."
)
_MORE_FREQUENT = template(
    "Problems are more frequent than when the threshold was set: {now} of the rows instead of "
    "{before}. About {expected} of the alarms will be right, {right} were then."
)
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
    """The model over the period. `verification`: by the values that came; empty if unknown.
    `shift`: what another share of problems than in validation does to precision; empty without."""

    decisions: tuple[DecisionMade, ...]
    came_true: tuple[CameTrue, ...]
    verification: str = ""
    shift: str = ""

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
    return ModelMetrics(
        decisions=tuple(d for d in m.decisions if m.start <= d.at < m.end),
        came_true=came_true(serving.expected, now, serving.expected_intervals) if serving else (),
        verification=m.verification,
        shift=_describe_shift(m),
    )


def _describe_shift(m: Material) -> str:
    """Return what the share of problems in the period does to precision; empty without a change
    beyond chance."""
    if m.base_rate is None or m.scores.empty:
        return ""
    mature = m.scores[m.scores["label"].notna()]
    at = millis(pd.DatetimeIndex(mature["ts"]))
    block = time_blocks(at, mature["asset"].to_numpy(object), *gap_and_horizon(m.definition))
    found = measure_share(mature["label"].to_numpy(np.int8), block)
    shift = shift_base_rate(m.base_rate, found)
    return "" if shift is None else _shift_sentence(shift)


def _shift_sentence(shift: BaseRateShift) -> str:
    text = translatable(
        _RARER if shift.now < shift.before.share.value else _MORE_FREQUENT,
        now=Styled(shift.now, "share"),
        before=Styled(shift.before.share.value, "share"),
        expected=Styled(shift.expected, "share"),
        right=Styled(shift.right, "share"),
    )
    if shift.expected >= shift.wanted:
        return text
    wanted = Styled(shift.wanted, "share")
    if shift.keeps is None:
        return translatable(
            "{shift} No threshold of that training keeps {wanted}: train again on newer data.",
            shift=text,
            wanted=wanted,
        )
    return translatable(
        "{shift} The threshold {threshold} would keep {wanted} and find {found} of the problems: "
        "train again with operating_point.least_precision: {least}.",
        shift=text,
        threshold=Styled(shift.keeps.threshold, "threshold"),
        wanted=wanted,
        found=Styled(shift.keeps.found, "share"),
        least=f"{shift.least_precision:.2g}",
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
