"""Alarm load of an operator position and its budget, after EEMUA 191 and ISA-18.2.

For an expected load the past is evaluated with a definition that is not in service yet, by the
functions of live evaluation.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import isclose

from alerting.alarm_kpis.floods import count_by_period, find_floods, time_in_flood
from alerting.definitions.limits import severities
from alerting.definitions.model import Condition, Severity
from alerting.definitions.wording.language import Styled, Value, joined, translatable
from alerting.detection.suppression import SuppressedInterval, first_free
from alerting.detection.threshold import evaluate_values
from alerting.episodes.lifecycle import ConditionState, Step, advance
from alerting.readings.history import History


@dataclass(frozen=True)
class Alarms:
    """Alarms at one position: `per_day`, and the instants of those in the evaluated past."""

    per_day: float = 0.0
    at: tuple[datetime, ...] = ()

    def plus(self, other: "Alarms") -> "Alarms":
        """Return the sum of both."""
        return Alarms(self.per_day + other.per_day, (*self.at, *other.at))


@dataclass(frozen=True)
class PositionLoad:
    """Alarms a day that one definition adds at a position: `expected`, and `now` of others.

    `floods`: share of ten-minute periods of the evaluated past in a flood, with all alarms;
    `floods_now`: without this definition. `before`: alarms a day of the definition as it is in
    service now.
    """

    position: str
    expected: float
    now: float
    budget: float
    floods: float
    floods_now: float
    before: float = 0.0

    def breaks(self, most_floods: float) -> bool:
        """Return whether it causes too many alarms: over the budget, or floods too often."""
        if not _is_more(
            self.expected, self.before
        ):  # it adds no more alarms than the definition in service
            return False
        floods = self.floods >= most_floods and self.floods > self.floods_now
        return _is_more(self.expected + self.now, self.budget) or floods

    @property
    def message(self) -> str:
        """Return `expected 3.1 alarms a day at position oven-operator; budget 144, now 20`."""
        values: dict[str, Value] = {
            "number": Styled(self.expected, ".3g"),
            "position": self.position,
            "budget": Styled(self.budget, "g"),
            "now": Styled(self.now, ".3g"),
        }
        expected = (
            translatable(
                "expected {number} alarms a day (as it is now {before}) at position {position}; "
                "budget {budget}, now {now}",
                before=Styled(self.before, ".3g"),
                **values,
            )
            if self.before
            else translatable(
                "expected {number} alarms a day at position {position}; budget {budget}, now {now}",
                **values,
            )
        )
        if not self.floods:
            return expected
        floods = translatable(
            "{share} % of ten-minute periods in flood", share=Styled(self.floods * 100, ".1f")
        )
        return joined("; ", expected, floods)


def _is_more(one: float, other: float) -> bool:
    """Return whether a rate exceeds another by more than the rounding of sums."""
    return one > other and not isclose(one, other, rel_tol=1e-9)


def replay(definition: Condition, history: History, start: datetime, end: datetime) -> list[Step]:
    """Return the steps that a definition would have made in (start, end]."""
    _, steps = advance(
        ConditionState(watermark=start),
        evaluate_values(definition, history, None, start, end).intervals,
        definition.hold,
        definition.clear_for,
        severities(definition),
    )
    return steps


def time_in_alarm(steps: Sequence[Step], end: datetime) -> timedelta:
    """Return how long the episodes of these steps are open, an open one until `end`."""
    raised = {step.raised_at: end for step in steps if step.kind == "raised"}
    raised |= {step.raised_at: step.at for step in steps if step.kind == "closed"}
    return sum((until - since for since, until in raised.items()), timedelta(0))


def notification_instants(
    steps: Sequence[Step],
    silent: Sequence[SuppressedInterval],
    still_notify: Sequence[Severity],
    end: datetime,
    muted: Sequence[SuppressedInterval] = (),
) -> list[datetime]:
    """Return when recipients would have been notified of each raise.

    At once, or when suppression or a mute ends, or when its severity becomes one that suppression
    does not mute. An episode that came and went while muted has no instant; of a prediction the end
    of the prediction counts, unless its problem was known at the raise.
    """
    ends = {step.raised_at: step.at for step in steps if step.kind == "closed"}
    ends |= {
        s.raised_at: s.prediction_ended_at
        for s in steps
        if s.prediction_ended_at and s.prediction_ended_at > s.raised_at
    }
    turns: dict[datetime, list[Step]] = {}
    for step in steps:
        if step.kind == "raised" or (step.kind == "severity" and step.raised_at in turns):
            turns.setdefault(step.raised_at, []).append(step)
    instants = []
    for raised_at, own in turns.items():
        at = _first_notified(own, silent, still_notify, muted)
        if at < ends.get(raised_at, end):
            instants.append(at)
    return instants


def _first_notified(
    turns: Sequence[Step],
    silent: Sequence[SuppressedInterval],
    still_notify: Sequence[Severity],
    muted: Sequence[SuppressedInterval],
) -> datetime:
    """Return when an episode is first neither muted nor suppressed at its severity."""
    at = turns[0].at
    before = None
    while at != before:
        before = at
        at = first_free(muted, at)
        severity = next(turn.severity for turn in reversed(turns) if turn.at <= at)
        if severity not in still_notify:
            worse = [turn.at for turn in turns if turn.at > at and turn.severity in still_notify]
            at = min(first_free(silent, at), *worse) if worse else first_free(silent, at)
    return at


def flood_share(at: Iterable[datetime], start: datetime, end: datetime, above: int) -> float:
    """Return the share of ten-minute periods in a flood, of more than `above` alarms."""
    counts = count_by_period(at, start, end)
    return time_in_flood(find_floods(counts, start, above), len(counts))
