"""Alarm load of an operator position and its budget, floods of alarms, and changes of limits or
on-delays that make a condition raise fewer alarms, after EEMUA 191 and ISA-18.2.

The expected load of a definition that is not in service yet comes from evaluating the past with the
functions of live evaluation. Alarm metrics, reports, backtests and the alarm budget all count
floods by this module and one setting.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import isclose
from typing import NamedTuple

from alerting.deferred import np
from alerting.definitions.alert_definition import Condition, Severity
from alerting.definitions.faults import format_duration
from alerting.definitions.platform_limits import NO_GATE
from alerting.definitions.threshold_limits import level_delays, severities
from alerting.definitions.wording.language import Styled, Value, join_first, joined, translatable
from alerting.detection.suppressed_intervals import SuppressedInterval, first_free
from alerting.detection.threshold import evaluate_values
from alerting.episodes.lifecycle import ConditionState, Step, advance
from alerting.readings.history import History, Millis, duration_millis, to_millis


@dataclass(frozen=True)
class Alarms:
    """Alarms at one position: their number `per_day`, by definition, and the instants of all alarms
    in the evaluated past."""

    by_definition: Mapping[str, float] = field(default_factory=dict)
    at: tuple[datetime, ...] = ()

    @property
    def per_day(self) -> float:
        """Return the alarms a day of all definitions."""
        return sum(self.by_definition.values())

    def plus(self, more: Alarms) -> Alarms:
        """Return the alarms of this object and another, of other definitions, together."""
        return Alarms({**self.by_definition, **more.by_definition}, (*self.at, *more.at))


@dataclass(frozen=True)
class PositionLoad:
    """Alarms a day at a position: `expected` ones of one definition, and `now` of all other
    definitions, `users` with their alarms a day.

    `floods`: share of the ten-minute periods of the evaluated past that are in a flood, counting
    all alarms; `floods_now`: the same share without this definition. `before`: alarms a day of the
    revision in service now.
    """

    position: str
    expected: float
    now: float
    budget: float
    floods: float
    floods_now: float
    before: float = 0.0
    users: Mapping[str, float] = field(default_factory=dict)

    def breaks(self, most_floods: float) -> bool:
        """Return whether the definition breaks the budget: too many alarms a day, or floods too
        often. What adds next to nothing breaks none."""
        if not _is_more(self.expected, self.before + _NEGLIGIBLE * self.budget):
            return False
        floods = self.floods >= most_floods and self.floods > self.floods_now
        return _is_more(self.expected + self.now, self.budget) or floods

    @property
    def message(self) -> str:
        """Return `expected 3.1 alarms a day at position oven; budget 144, now 20, with this one
        23.1; the present ones come from too-hot (18), too-wet (2)`."""
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
        parts = [expected]
        if self.users:
            most = sorted(self.users, key=lambda name: (-self.users[name], name))
            parts[0] = translatable(
                "{expected}, with this one {sum}; the present ones come from {users}",
                expected=expected,
                sum=Styled(self.expected + self.now, ".3g"),
                users=join_first([f"{name} ({self.users[name]:.3g})" for name in most], 3),
            )
        if self.floods:
            share = Styled(self.floods * 100, ".1f")
            parts.append(translatable("{share} % of ten-minute periods in flood", share=share))
        return joined("; ", *parts)


_NEGLIGIBLE = 0.01  # of a budget: what a definition may add to any load


def _is_more(first: float, second: float) -> bool:
    """Return whether one rate exceeds another by more than rounding errors of sums."""
    return first > second and not isclose(first, second, rel_tol=1e-9)


def replay(definition: Condition, history: History, start: datetime, end: datetime) -> list[Step]:
    """Return the steps that a definition would have made in (start, end], sorted by time."""
    _, steps = advance(
        ConditionState(watermark=start),
        evaluate_values(definition, history, None, start, end).intervals,
        definition.hold,
        definition.clear_for,
        severities(definition),
        level_delays(definition),
    )
    return steps


def time_in_alarm(steps: Sequence[Step], end: datetime) -> timedelta:
    """Return the total time in alarm: the durations of all episodes of these steps, those still
    open counted until `end`."""
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
    """Return the instants at which recipients would have been notified of raises.

    That is the raise itself, or the instant at which suppression or a mute ends, or at which the
    severity becomes one that suppression does not mute. An episode that was muted until it ended
    has no instant; a prediction ends here with its prediction window, unless its problem was known
    at the raise.
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
    for raised_at, severity_steps in turns.items():
        at = _first_notified(severity_steps, silent, still_notify, muted)
        if at < ends.get(raised_at, end):
            instants.append(at)
    return instants


def _first_notified(
    turns: Sequence[Step],
    silent: Sequence[SuppressedInterval],
    still_notify: Sequence[Severity],
    muted: Sequence[SuppressedInterval],
) -> datetime:
    """Return the first instant at which an episode is neither muted nor suppressed at its
    severity."""
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
    """Return the share of ten-minute periods that are in a flood; a flood begins with more than
    `above` alarms."""
    counts = count_by_period(at, start, end)
    return time_in_flood(find_floods(counts, start, above), len(counts))


_DELAYS = tuple(timedelta(seconds=s) for s in (5, 10, 15, 30, 60, 120, 300, 600, 1800))
Fields = dict[str, float | str]


class LimitChange(NamedTuple):
    """A change of limits or delays: the changed fields as an engineer would write them, and the
    changed condition."""

    fields: Fields
    condition: Condition


@dataclass(frozen=True)
class LimitProposal:
    """A proposed change that makes alarms rare enough, with the number of raises before and after
    it."""

    change: Fields
    raises_before: int
    raises_after: int
    message: str


def quieten(
    definition: Condition,
    history: History,
    start: datetime,
    end: datetime,
    quiet: Callable[[list[Step]], bool],
) -> tuple[LimitProposal, ...]:
    """Return the smallest change of the clear limits and the smallest change of the on-delay with
    which a condition raises few enough alarms; no change if it does so already. It is evaluated
    again on the rows of the history in (start, end]. `quiet`: whether the alarms of steps are few
    enough."""
    before = replay(definition, history, start, end)
    if quiet(before):
        return ()
    proposals = []
    for changes, advice in (
        (_clear_limits(definition, history), "it clears further inside its limits"),
        (_delays(definition), "only where an alarm that clears at once needs no action"),
    ):
        for change in changes:
            after = replay(change.condition, history, start, end)
            if quiet(after):
                proposals.append(_proposal(change.fields, _raises(before), _raises(after), advice))
                break
    return tuple(proposals)


def noise(values: np.ndarray) -> float:
    """Return the standard deviation of the noise in values, in their unit: 1.4826 times the median
    difference of neighbours, divided by √2.

    Differences remove the trend, the median removes the jumps; for the factor see Rousseeuw and
    Croux, 1993. Where more than half of the neighbours are equal: the smallest difference that
    occurs.
    """
    differences = np.abs(np.diff(values[np.isfinite(values)]))
    changes = differences[differences > 0]
    if not len(changes):
        return 0.0
    return float(1.4826 * np.median(differences) / np.sqrt(2)) or float(changes.min())


def _clear_limits(condition: Condition, history: History) -> Iterator[LimitChange]:
    above = condition.above
    below = condition.below
    if condition.variable not in history.readings or not _plain(above, below):
        return
    sigma = noise(history.readings[condition.variable].to_numpy(np.float64))
    for step in (1, 2, 3, 4, 6, 8) if sigma else ():
        fields: Fields = {}
        if isinstance(above, int | float):
            fields["clear_above_at"] = _round_to_noise(above - step * sigma, sigma)
        if isinstance(below, int | float):
            fields["clear_below_at"] = _round_to_noise(below + step * sigma, sigma)
        if _further_inside(condition, fields) and _apart(fields):
            yield LimitChange(fields, condition.model_copy(update=fields))


def _plain(*limits: object) -> bool:
    """Return whether limits are written as numbers, at least one of them."""
    stated = [limit for limit in limits if limit is not None]
    return bool(stated) and all(isinstance(limit, int | float) for limit in stated)


def _further_inside(definition: Condition, change: Fields) -> bool:
    high = definition.clear_above_at
    low = definition.clear_below_at
    above = not isinstance(high, int | float) or float(change.get("clear_above_at", high)) <= high
    below = not isinstance(low, int | float) or float(change.get("clear_below_at", low)) >= low
    return above and below


def _apart(change: Fields) -> bool:
    return (
        "clear_above_at" not in change
        or "clear_below_at" not in change
        or float(change["clear_below_at"]) < float(change["clear_above_at"])
    )


def _round_to_noise(value: float, sigma: float) -> float:
    """Return the value rounded to the first significant digit of the noise."""
    return round(value, -int(np.floor(np.log10(sigma))))


def _delays(condition: Condition) -> Iterator[LimitChange]:
    for delay in _DELAYS:
        if delay > condition.hold:
            fields: Fields = {"for": format_duration(delay)}
            yield LimitChange(fields, condition.model_copy(update={"hold": delay}))


def _raises(steps: list[Step]) -> int:
    return sum(step.kind == "raised" for step in steps)


def _proposal(change: Fields, before: int, after: int, advice: str) -> LimitProposal:
    fields = ", ".join(
        f"{name}: {value if isinstance(value, str) else format(value, 'g')}"
        for name, value in change.items()
    )
    return LimitProposal(
        change,
        before,
        after,
        f"{fields} ({advice}): raised {after} times instead of {before} on these readings",
    )


PERIOD = timedelta(minutes=10)
ABOVE = NO_GATE.flood_above  # default without a setting


@dataclass(frozen=True)
class FloodInterval:
    """A flood: it begins with the first period with more alarms than the flood limit, and ends
    before the first period with few enough."""

    start: datetime
    end: datetime
    alarms: int
    peak: int


def ends_below(above: int) -> int:
    """Return the number of alarms below which a flood ends: half of the number that begins one, at
    least one."""
    return max(above // 2, 1)


def count_by_period(
    at: Iterable[datetime], start: datetime, end: datetime, period: timedelta = PERIOD
) -> Millis:
    """Return the alarms in each period of [start, end); the last one may be shorter."""
    begin = to_millis(start)
    width = duration_millis(period)
    number = max(-(-(to_millis(end) - begin) // width), 0)
    indices = [index for t in at if 0 <= (index := (to_millis(t) - begin) // width) < number]
    return np.bincount(np.array(indices, np.int64), minlength=number).astype(np.int64)


def find_floods(
    counts: Millis, start: datetime, above: int = ABOVE, below: int | None = None
) -> tuple[FloodInterval, ...]:
    """Return the floods in the `counts` of periods. Each begins with more than `above` alarms in a
    period, and ends before a period with fewer than `below` (None: `ends_below`)."""
    least = ends_below(above) if below is None else below
    floods: list[FloodInterval] = []
    began: int | None = None
    for i, count in enumerate([*counts.tolist(), -1]):
        if began is None and count > above:
            began = i
        elif began is not None and count < least:
            inside = counts[began:i]
            floods.append(
                FloodInterval(
                    start + began * PERIOD, start + i * PERIOD, int(inside.sum()), int(inside.max())
                )
            )
            began = None
    return tuple(floods)


def time_in_flood(floods: Sequence[FloodInterval], periods: int) -> float:
    """Return the share of ten-minute periods that are in a flood. `periods`: number of all
    periods."""
    return sum((f.end - f.start for f in floods), timedelta(0)) / (max(periods, 1) * PERIOD)
