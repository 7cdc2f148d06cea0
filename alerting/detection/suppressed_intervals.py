"""Suppression by design: intervals from the readings and events of a line, and from the calendar.

The functions are pure: time and histories are arguments. A state that is not known suppresses
nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatchcase

from alerting.deferred import np
from alerting.definitions.alert_definition import Condition
from alerting.definitions.fields.names_and_times import hours_in_zone, spans
from alerting.definitions.fields.problem import condition_phrase
from alerting.definitions.fields.shared_fields import LineState, Suppression
from alerting.definitions.wording.language import joined, translatable
from alerting.detection.evaluation_results_and_texts import StatusInterval, fact_message
from alerting.detection.problem_occurrences import NOT_YET
from alerting.detection.threshold import evaluate_values
from alerting.readings.history import BoolArray, History, Millis, from_millis, millis, to_millis

_MOMENT = timedelta(milliseconds=1)
_FOR_EVER = from_millis(253_402_300_799_000)  # end of the year 9999


@dataclass(frozen=True)
class SuppressedInterval:
    """Interval [start, end) in which notifications are suppressed, with the reason."""

    start: datetime
    end: datetime
    reason: str


IntervalsByAsset = Mapping[str, Sequence[SuppressedInterval]]


@dataclass(frozen=True)
class LineCondition:
    """Suppression at an instant: whether notifications are suppressed, why, and which states are
    not known."""

    suppressed: bool
    reason: str
    unknown: tuple[str, ...] = ()


def lookback(suppression: Suppression) -> timedelta:
    """Return how far before an interval readings are needed to evaluate its start."""
    return max(
        (s.hold + s.stale_after + s.recovery for s in suppression.when), default=timedelta(0)
    )


def suppressed_intervals(
    suppression: Suppression,
    chain: Sequence[History],
    start: datetime,
    end: datetime,
    inhibited: Sequence[SuppressedInterval] = (),
) -> list[SuppressedInterval]:
    """Return the suppressed intervals that meet [start, end], sorted by start; they may overlap.

    `chain`: histories of the asset and its ancestors, the nearest first, from `start -
    lookback(suppression)` on. `inhibited`: intervals in which other alerts on the asset inhibit
    this one.
    """
    intervals = list(inhibited)
    intervals += [
        interval
        for state in suppression.when
        for interval in _state_intervals(state, chain, start, end)
    ]
    intervals += _windows(suppression, start, end)
    return sorted((s for s in intervals if s.end > start), key=lambda s: (s.start, s.end))


def line_condition_at(
    suppression: Suppression,
    chain: Sequence[History],
    now: datetime,
    inhibited: Sequence[SuppressedInterval] = (),
) -> LineCondition:
    """Return the suppression at an instant. `chain`, a history for each of the asset and its
    ancestors, and `inhibited` are as for `suppressed_intervals`."""
    in_force = [
        s
        for s in suppressed_intervals(suppression, chain, now, now, inhibited)
        if s.start <= now < s.end
    ]
    unknown = tuple(reason for state in suppression.when if (reason := _unknown(state, chain, now)))
    return LineCondition(bool(in_force), describe_reasons(in_force), unknown)


def describe_reasons(intervals: Iterable[SuppressedInterval]) -> str:
    """Return the different reasons of intervals, in their order; empty without one."""
    return joined("; ", *dict.fromkeys(s.reason for s in intervals))


def first_free(intervals: Iterable[SuppressedInterval], start: datetime) -> datetime:
    """Return the first instant from `start` on that lies outside of all suppressed intervals."""
    for interval in sorted(intervals, key=lambda s: s.start):
        if interval.start <= start < interval.end:
            start = interval.end
    return start


def is_covered(intervals: Iterable[SuppressedInterval], at: Millis) -> BoolArray:
    """Return a mask of the instants (ms) that lie in a suppressed interval."""
    ordered = sorted(intervals, key=lambda s: s.start)
    if not ordered:
        return np.zeros(len(at), np.bool_)
    starts = np.array([to_millis(s.start) for s in ordered], np.int64)
    ends = np.maximum.accumulate(np.array([to_millis(s.end) for s in ordered], np.int64))
    latest = np.searchsorted(starts, at, side="right") - 1
    return (latest >= 0) & (at < ends[latest])


def touches(
    intervals: Iterable[tuple[int, int]], at: Millis, around: int, window: int
) -> BoolArray:
    """Return a mask of the instants (ms) that lie in or around an interval, or have a window that
    reaches into one. `around`, `window`: lengths in ms."""
    widened = [
        SuppressedInterval(
            from_millis(max(start - around, 0)), from_millis(end + max(around, window) + 1), ""
        )
        for start, end in intervals
    ]
    return is_covered(widened, at)


def inhibited_interval(
    definition: str, asset: str, raised_at: datetime, closed_at: datetime | None
) -> SuppressedInterval:
    """Return the interval in which an episode of another alert inhibits this one; it has no end
    while the episode is open."""
    reason = translatable("{definition} is open on {asset}", definition=definition, asset=asset)
    return SuppressedInterval(raised_at, closed_at or _FOR_EVER, reason)


def _state_intervals(
    state: LineState, chain: Sequence[History], start: datetime, end: datetime
) -> Iterator[SuppressedInterval]:
    if state.event is not None:
        yield from _event_intervals(state, chain, end)
    elif (history := _holder(state, chain)) is not None:
        condition = state_condition(state).model_copy(update={"hold": state.hold})
        reason = translatable(
            "{state} on {asset}",
            state=condition_phrase(condition, None, history.asset.variables),
            asset=history.asset.title or history.asset.name,
        )
        begin = start - state.hold - state.recovery - state.stale_after
        yield from (
            SuppressedInterval(a, b + state.recovery, reason)
            for a, b in _met_intervals(_evaluate_state(state, history, begin, end), state.hold)
        )


def _event_intervals(
    state: LineState, chain: Sequence[History], end: datetime
) -> Iterator[SuppressedInterval]:
    for history in chain:
        events = history.events
        asset = history.asset.title or history.asset.name
        reasons = {
            kind: translatable("{state} on {asset}", state=kind, asset=asset)
            for kind in set(events["type"])
            if fnmatchcase(kind, state.event or "")
        }
        for kind, begin, stop in zip(
            events["type"], millis(events["start"]), millis(events["end"]), strict=True
        ):
            if kind in reasons and begin <= to_millis(end):
                until = _FOR_EVER if stop == NOT_YET else from_millis(stop) + state.recovery
                yield SuppressedInterval(from_millis(begin), until, reasons[kind])


def _windows(
    suppression: Suppression, start: datetime, end: datetime
) -> Iterator[SuppressedInterval]:
    for hours in suppression.windows:
        shown = hours_in_zone([hours], suppression.timezone)
        reason = translatable("calendar: {hours}", hours=shown)
        yield from (
            SuppressedInterval(begin, stop, reason)
            for begin, stop in spans([hours], suppression.zone, start, end + _MOMENT)
        )


def _holder(state: LineState, chain: Sequence[History]) -> History | None:
    """Return the history of the nearest asset that has the state's variable."""
    return next((h for h in chain if state.variable in h.asset.variables), None)


def _evaluate_state(
    state: LineState, history: History, start: datetime, end: datetime
) -> list[StatusInterval]:
    return evaluate_values(state_condition(state), history, None, start - _MOMENT, end).intervals


def state_condition(state: LineState) -> Condition:
    """Return the condition of a state of the line by a variable."""
    return Condition(
        variable=state.variable or "",
        equals=state.equals,
        above=state.above,
        below=state.below,
        stale_after=state.stale_after,
    )


def _met_intervals(
    intervals: Sequence[StatusInterval], hold: timedelta
) -> Iterator[tuple[datetime, datetime]]:
    """Return the intervals in which the condition has been met for `hold` without a break."""
    since: datetime | None = None
    for interval, following in zip(intervals, [*intervals[1:], None], strict=True):
        if interval.status != "triggered":
            continue
        since = since or interval.start
        if following is None or following.status != "triggered":
            if since + hold < interval.end:
                yield since + hold, interval.end
            since = None


def _unknown(state: LineState, chain: Sequence[History], now: datetime) -> str | None:
    """Return why a state is not known at an instant; None where it is known. Events are always
    known."""
    if state.variable is None:
        return None
    history = _holder(state, chain)
    if history is None:
        return translatable("no asset has the variable {variable}", variable=state.variable)
    last = _evaluate_state(state, history, now - state.stale_after, now)[-1]
    if last.status != "unknown" or last.fact is None:
        return None
    # only the last `stale_after` was examined
    fact = "stale" if last.fact == "waiting" else last.fact
    return translatable(
        "{state} on {asset}",
        state=fact_message(state_condition(state), history.asset, fact, None),
        asset=history.asset.title or history.asset.name,
    )
