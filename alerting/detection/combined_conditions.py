"""Evaluate conditions of several variables, in three-valued logic, over readings that come at
different instants.

At each instant every condition is true, false or unknown by the last value of its variable, which
is carried forward until the next value, for `stale_after` at most. `any` is true if one is true,
else unknown if one is unknown; `all` is false if one is false, else unknown if one is unknown (the
strong logic of S. C. Kleene, Introduction to Metamathematics, 1952, section 64).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import NamedTuple, TypeAlias

from alerting.deferred import np, npt
from alerting.definitions.alert_definition import Condition, Severity
from alerting.definitions.asset_documents import Asset
from alerting.definitions.fields.condition_fields import Combination, Conditions
from alerting.detection.carried_reading import Carried
from alerting.detection.evaluation_results_and_texts import (
    MISSING,
    ConditionAt,
    Fact,
    Status,
    StatusInterval,
)
from alerting.detection.learned_limits import LearnedLimits
from alerting.detection.threshold import Evaluated, evaluate_series, evaluate_values, lookback
from alerting.readings.history import BoolArray, History, Millis, from_millis, to_millis
from alerting.readings.variable_series import Series, has_value, series_of

Truths: TypeAlias = "npt.NDArray[np.int8]"
# The status of each truth: 0 false, 1 unknown, 2 true.
_STATUSES: tuple[Status, ...] = ("clear", "unknown", "triggered")
_UNKNOWN = _STATUSES.index("unknown")
# The last value of a variable that is sent only when it changes is looked up this far back.
_LONGEST_SEARCH = timedelta(days=90)
_COMBINED = ""  # the variable of a carried reading that consists of parts
Gap = tuple[datetime, datetime]


class _Result(NamedTuple):
    """Truth from each of several instants on; where it is unknown, the fault of the data on which
    it depends; and where it is true, which conditions make it so."""

    truth: Truths
    facts: Sequence[Fact | None]
    causes: Sequence[str]


@dataclass(frozen=True)
class CombinedEvaluation:
    """Intervals from the watermark to the end without a hole, the readings carried from that end,
    and the result of each condition."""

    intervals: list[StatusInterval]
    carried: Carried
    by_condition: tuple[tuple[Condition, Evaluated], ...]

    def conditions_at(self, instant: datetime) -> list[ConditionAt]:
        """Return every condition at an instant of the intervals, in the order in which they are
        written."""
        return [
            ConditionAt(condition, interval.status, interval.fact, evaluated.reading_at(instant))
            for condition, evaluated in self.by_condition
            for interval in evaluated.intervals
            if interval.start <= instant < interval.end
        ]

    def is_missing(self, instant: datetime) -> bool:
        """Return whether the truth at an instant of the intervals depends on missing data."""
        return any(
            interval.fact in MISSING
            for interval in self.intervals
            if interval.start <= instant < interval.end
        )


def status_intervals(
    definition: Conditions, history: History, after: datetime, until: datetime
) -> list[StatusInterval]:
    """Return the status intervals of (after, until] of a condition on one or several variables,
    sorted by time, if no reading before the first row of the history is known."""
    combination = definition.combination
    if combination is None:
        return evaluate_values(definition, history, None, after, until).intervals
    series = all_series(combination, history)
    return evaluate_combination(
        combination, history.asset, series, None, after, until, severity_of_missing(definition)
    ).intervals


def severity_of_missing(definition: Condition) -> Severity | None:
    """Return the severity with which missing data raise an episode; None if they raise none."""
    return definition.severity if definition.no_data == "alert" else None


def longest_lookback(combination: Combination, asset: Asset) -> timedelta:
    """Return how far before the watermark an evaluation of several conditions needs readings; for
    one condition see `threshold.lookback`."""
    return max(lookback(condition, asset) for condition in combination.leaves())


def search_from(condition: Condition, at: datetime) -> datetime:
    """Return the instant after which a value must lie to still count at `at` for a condition."""
    return at - (_LONGEST_SEARCH if condition.no_data == "ignore" else condition.stale_after)


def all_series(combination: Combination, history: History) -> list[Series]:
    """Return the readings of each condition's variable."""
    return [series_of(condition, history) for condition in combination.leaves()]


def known_truths(combination: Combination, history: History) -> tuple[Millis, BoolArray]:
    """Return the instants (ms, increasing) of all readings of the conditions' variables at which
    the truth is known, and the truth at each.

    Readings before the history are unknown, so a longer history makes more truths known, but never
    changes a known one.
    """
    series = all_series(combination, history)
    at = np.unique(np.concatenate([readings.ts[has_value(readings.values)] for readings in series]))
    if not len(at):
        return at, np.empty(0, np.bool_)
    after = from_millis(int(at[0]) - 1)
    intervals = evaluate_combination(
        combination, history.asset, series, None, after, from_millis(int(at[-1]))
    ).intervals
    result = _result(intervals, at)
    return at[result.truth != _UNKNOWN], result.truth[result.truth != _UNKNOWN] > _UNKNOWN


def conditions_at(combination: Combination, history: History, at: datetime) -> list[ConditionAt]:
    """Return every condition at an instant, by the readings of a history up to that instant."""
    series = all_series(combination, history)
    after = at - 2 * max(leaf.stale_after for leaf in combination.leaves())
    evaluated = evaluate_combination(combination, history.asset, series, None, after, at)
    return [
        condition._replace(fact="stale") if condition.fact == "waiting" else condition
        for condition in evaluated.conditions_at(at)
    ]


def combined_truth(combination: Combination, conditions: Sequence[ConditionAt]) -> Status:
    """Return whether a combination holds if its conditions have these results."""
    results = (
        _Result(np.array([_STATUSES.index(condition.status)], np.int8), [condition.fact], [""])
        for condition in conditions
    )
    return _STATUSES[int(_combine(combination, results).truth[0])]


def conditions_that_count(
    combination: Combination, conditions: Sequence[ConditionAt]
) -> list[ConditionAt]:
    """Return the conditions that make a combination true, or unknown; none from an inner list that
    does not hold.

    If the combination is unknown, conditions that hold are returned, too; if it does not hold, all
    conditions are.
    """
    truth = combined_truth(combination, conditions)
    if truth == "clear":
        return list(conditions)
    remaining = iter(conditions)
    counted = list[ConditionAt]()
    for member in combination.members:
        inner = member if isinstance(member, Combination) else None
        of_member = list(islice(remaining, len(list(inner.leaves())) if inner else 1))
        status = combined_truth(inner, of_member) if inner else of_member[0].status
        if status in ("triggered", truth):
            counted += conditions_that_count(inner, of_member) if inner else of_member
    return counted


def evaluate_combination(
    combination: Combination,
    asset: Asset,
    series: Sequence[Series],
    carried: Carried | None,
    after: datetime,
    until: datetime,
    alert_severity: Severity | None = None,
    learned: LearnedLimits | None = None,
) -> CombinedEvaluation:
    """Evaluate conditions in (after, until], each by its series, continuing from the carried
    readings.

    `alert_severity`: severity of an interval that is unknown because data are missing; None: it
    stays unknown. `learned`: the learned limits in force.
    """
    conditions = list(combination.leaves())
    parts: Sequence[Carried | None] = [None] * len(conditions)
    if carried is not None and len(carried.parts) == len(conditions):
        parts = carried.parts
    evaluated = [
        evaluate_series(
            condition,
            asset,
            readings.ts,
            readings.values,
            part,
            after,
            until,
            readings.bad,
            learned,
        )
        for condition, readings, part in zip(conditions, series, parts, strict=True)
    ]
    starts = np.unique([to_millis(interval.start) for e in evaluated for interval in e.intervals])
    combined = _combine(combination, (_result(e.intervals, starts) for e in evaluated))
    intervals = list(_intervals(starts, combined, evaluated[0].intervals[-1].end, alert_severity))
    at_end = combine_carried((e.carried for e in evaluated), until)
    return CombinedEvaluation(intervals, at_end, tuple(zip(conditions, evaluated, strict=True)))


def under_another_revision(
    conditions: Sequence[Condition], carried: Carried
) -> list[Carried | None]:
    """Return the carried reading for each condition of another revision; None for a condition on a
    variable without a carried reading.

    The side of a limit is retained if the variable has as many conditions as before; they are
    matched in written order.
    """
    readings: list[Carried | None] = []
    names = [condition.variable for condition in conditions]
    for position, name in enumerate(names):
        before = [
            part
            for part in carried.parts or (carried,)
            if part is not None and part.variable == name
        ]
        reading = replace(before[0], beyond=()) if before else None
        if len(before) == names.count(name):
            reading = before[names[:position].count(name)]
        readings.append(None if reading is None else reading.under_another_revision())
    return readings


def combine_carried(parts: Iterable[Carried | None], at: datetime) -> Carried:
    """Return the carried readings of several conditions as one carried reading."""
    return Carried(_COMBINED, at, None, parts=tuple(parts))


def _result(intervals: Sequence[StatusInterval], starts: npt.NDArray[np.int64]) -> _Result:
    """Return the result of one condition from each of these starts on."""
    position = (
        np.searchsorted([to_millis(interval.start) for interval in intervals], starts, side="right")
        - 1
    )
    truth = np.array([_STATUSES.index(interval.status) for interval in intervals], np.int8)
    at_starts = [intervals[i] for i in position.tolist()]
    return _Result(truth[position], [i.fact for i in at_starts], [i.cause for i in at_starts])


def _combine(combination: Combination, results: Iterator[_Result]) -> _Result:
    """Return the result of a combination from the results of its conditions, given in written
    order."""
    members = [
        _combine(m, results) if isinstance(m, Combination) else next(results)
        for m in combination.members
    ]
    truths = [member.truth for member in members]
    truth: Truths = np.max(truths, axis=0) if combination.how == "any" else np.min(truths, axis=0)
    facts: list[Fact | None] = [None] * len(truth)
    for i in np.flatnonzero(truth == _UNKNOWN).tolist():
        causes = [member.facts[i] for member in members if member.truth[i] == _UNKNOWN]
        facts[i] = next((fact for fact in causes if fact in MISSING), causes[0])
    met = [
        "+".join(member.causes[i] for member in members if member.truth[i] > _UNKNOWN)
        for i in range(len(truth))
    ]
    return _Result(truth, facts, met)


def _intervals(
    starts: npt.NDArray[np.int64], combined: _Result, end: datetime, alert_severity: Severity | None
) -> Iterator[StatusInterval]:
    """Yield the intervals of the combined truth, with equal neighbours joined."""
    runs: list[tuple[int, Status, Severity | None, Fact | None, str]] = []
    for start, truth, fact, met in zip(
        starts.tolist(), combined.truth.tolist(), combined.facts, combined.causes, strict=True
    ):
        status = _STATUSES[truth]
        severity = None
        cause = met if truth > _UNKNOWN else ""
        if fact in MISSING and alert_severity is not None:
            status = "triggered"
            severity = alert_severity
            cause = fact
        if not runs or runs[-1][1:] != (status, severity, fact, cause):
            runs.append((start, status, severity, fact, cause))
    stops = [*(from_millis(start) for start, *_ in runs[1:]), end]
    yield from (
        StatusInterval(from_millis(start), stop, status, severity, fact, cause)
        for (start, status, severity, fact, cause), stop in zip(runs, stops, strict=True)
    )


def unevaluated_intervals(
    definition: Conditions, history: History, start: datetime, end: datetime
) -> tuple[Gap, ...]:
    """Return the intervals in (start, end] whose status is unknown, as in live evaluation, sorted
    by time.

    `history` begins before `start`, so that the value in force at `start` is known.
    """
    first = (
        min(start, history.readings.index[0].to_pydatetime() - timedelta(milliseconds=1))
        if len(history.readings)
        else start
    )
    gaps: list[Gap] = []
    for interval in status_intervals(definition, history, first, end):
        begin = max(interval.start, start)
        stop = min(interval.end, end)
        if interval.status != "unknown" or begin >= stop:
            continue
        if gaps and gaps[-1][1] == begin:
            gaps[-1] = (gaps[-1][0], stop)
        else:
            gaps.append((begin, stop))
    return tuple(gaps)
