"""Evaluate conditions of several variables: three-valued truth over readings that come at different instants.

At each instant every condition is true, false or unknown by the last value of its own variable, which holds until the next one,
for `stale_after` at most. `any` is true if one is true, else unknown if one is unknown; `all` is false if one is false, else
unknown if one is unknown (the strong logic of S. C. Kleene, Introduction to Metamathematics, 1952, section 64).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from alerting.definitions.assets import Asset
from alerting.definitions.fields.conditions import Combination, Conditions
from alerting.definitions.model import Condition, Severity
from alerting.detection.carried import Carried, ReadingInForce
from alerting.detection.evaluation import MISSING, Fact, Status, StatusInterval
from alerting.detection.threshold import Evaluated, Series, evaluate_series, evaluate_values, lookback, series_of
from alerting.readings.history import History, from_millis, to_millis

Truths = npt.NDArray[np.int8]
_STATUSES: tuple[Status, ...] = ("clear", "unknown", "triggered")  # by truth: 0 false, 1 unknown, 2 true
_COMBINED = ""  # the variable of a carried reading that consists of parts


class ConditionAt(NamedTuple):
    """One condition at an instant: its status, the fault of its data if unknown, and the reading in force, None without one."""

    condition: Condition
    status: Status
    fact: Fact | None
    reading: ReadingInForce | None


@dataclass(frozen=True)
class CombinedEvaluation:
    """Intervals from the watermark to the end without a hole, the readings carried from there, and each condition by itself."""

    intervals: list[StatusInterval]
    carried: Carried
    by_condition: tuple[tuple[Condition, Evaluated], ...]

    def at(self, instant: datetime) -> list[ConditionAt]:
        """Return every condition at an instant of the intervals, in the order in which they are written."""
        return [
            ConditionAt(condition, own.status, own.fact, evaluated.reading_at(instant))
            for condition, evaluated in self.by_condition
            for own in evaluated.intervals
            if own.start <= instant < own.end
        ]


def status_intervals(definition: Conditions, history: History, after: datetime, until: datetime) -> list[StatusInterval]:
    """Return the intervals of (after, until] of one condition or of several, of which no reading before is known."""
    combination = definition.combination
    if combination is None:
        return evaluate_values(definition, history, None, after, until).intervals
    series, severity = all_series(combination, history), severity_of_missing(definition)
    return evaluate_combination(combination, history.asset, series, None, after, until, severity).intervals


def severity_of_missing(definition: Condition) -> Severity | None:
    """Return the severity with which missing data raise an episode; None where they do not."""
    return definition.severity if definition.no_data == "alert" else None


def longest_lookback(combination: Combination) -> timedelta:
    """Return how far before the watermark an evaluation needs readings, as `threshold.lookback` does of one condition."""
    return max(lookback(condition) for condition in combination.leaves())


def all_series(combination: Combination, history: History) -> list[Series]:
    """Return the readings of each condition's variable."""
    return [series_of(condition, history) for condition in combination.leaves()]


def evaluate_combination(
    combination: Combination,
    asset: Asset,
    series: Sequence[Series],
    carried: Carried | None,
    after: datetime,
    until: datetime,
    alert_severity: Severity | None = None,
) -> CombinedEvaluation:
    """Evaluate conditions in (after, until], each by its `series`, going on from the carried readings.

    Where the truth is unknown because data are missing, `alert_severity` (None: none) is a reason to raise.
    """
    conditions = list(combination.leaves())
    parts = _parts(conditions, carried)
    found = [
        evaluate_series(condition, asset, own.ts, own.values, part, after, until, own.bad)
        for condition, own, part in zip(conditions, series, parts, strict=True)
    ]
    starts = np.unique(np.concatenate([[to_millis(one.start) for one in own.intervals] for own in found]))
    truths, facts = zip(*(_truths(own.intervals, starts) for own in found), strict=True)
    combined = _combine(combination, iter(truths))
    end = found[0].intervals[-1].end
    intervals = list(_intervals(starts, combined, [list(column) for column in zip(*facts, strict=True)], end, alert_severity))
    kept = Carried(_COMBINED, until, None, parts=tuple(own.carried for own in found))
    return CombinedEvaluation(intervals, kept, tuple(zip(conditions, found, strict=True)))


def of_variable(carried: Carried, variable: str) -> Carried:
    """Return the carried reading of one variable among several; what is carried if it is not among them."""
    return next((part for part in carried.parts if part is not None and part.variable == variable), carried)


def under_another_revision(combination: Combination, carried: Carried) -> Carried:
    """Return the carried readings for the conditions of another revision: the last value of each variable that is known."""
    found = [of_variable(carried, condition.variable) for condition in combination.leaves()]
    return Carried(_COMBINED, carried.at, None, parts=tuple(part.under_another_revision() for part in found))


def _parts(conditions: Sequence[Condition], carried: Carried | None) -> list[Carried | None]:
    if carried is None or len(carried.parts) != len(conditions):
        return [None] * len(conditions)
    return list(carried.parts)


def _truths(intervals: Sequence[StatusInterval], starts: npt.NDArray[np.int64]) -> tuple[Truths, list[Fact | None]]:
    """Return truth and fault of the data of one condition from each of the starts on."""
    own = np.searchsorted([to_millis(one.start) for one in intervals], starts, side="right") - 1
    truth = np.array([_STATUSES.index(one.status) for one in intervals], np.int8)
    return truth[own], [intervals[i].fact for i in own.tolist()]


def _combine(combination: Combination, truths: Iterator[Truths]) -> Truths:
    """Return the truth of a combination from those of its conditions, in the order in which they are written."""
    members = [_combine(m, truths) if isinstance(m, Combination) else next(truths) for m in combination.members]
    found: Truths = np.max(members, axis=0) if combination.how == "any" else np.min(members, axis=0)
    return found


def _intervals(
    starts: npt.NDArray[np.int64],
    truths: Truths,
    facts: Sequence[Sequence[Fact | None]],
    end: datetime,
    alert_severity: Severity | None,
) -> Iterator[StatusInterval]:
    """Yield the intervals of the combined truth; equal neighbours are one."""
    found: list[tuple[int, Status, Severity | None, Fact | None]] = []
    for start, truth, own in zip(starts.tolist(), truths.tolist(), facts, strict=True):
        status, severity, fact = _STATUSES[truth], None, None
        if status == "unknown":
            fact = next(f for f in own if f is not None)
            missing = next((f for f in own if f in MISSING), None)
            if missing is not None and alert_severity is not None:
                status, severity, fact = "triggered", alert_severity, missing
        if not found or found[-1][1:] != (status, severity, fact):
            found.append((start, status, severity, fact))
    stops = [*(from_millis(start) for start, *_ in found[1:]), end]
    for (start, status, severity, fact), stop in zip(found, stops, strict=True):
        yield StatusInterval(from_millis(start), stop, status, severity, fact)
