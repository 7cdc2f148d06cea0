"""A selected time of an asset: statistics of its variables, and the times at which a condition
held, both of the readings themselves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from alerting.deferred import np, pd
from alerting.definitions.assets import Asset
from alerting.definitions.faults import NotFound, UserError
from alerting.definitions.model import Problem
from alerting.definitions.wording.language import Styled, measured, translatable
from alerting.detection.problems import problem_intervals
from alerting.ports import Readings
from alerting.readings.cleaning import has_data
from alerting.readings.history import History
from alerting.readings.instants import from_millis
from alerting.readings.selection import Statistics, statistics_of

MOST_SELECTED = 3_000_000
"""Readings of a selected time at most: four weeks at one a second are 2.4 million."""
LONGEST_SELECTED = timedelta(days=366)
MOST_TIMES = 200
_FIRST_PART = timedelta(hours=6)
_LONGEST_PART = timedelta(days=4)


@dataclass(frozen=True)
class FoundTimes:
    """The times at which a condition held: how many, how long together, and the newest of them, the
    newest first."""

    number: int
    together: timedelta
    newest: tuple[tuple[datetime, datetime], ...]


@dataclass(frozen=True)
class LimitCondition:
    """A variable above a value, below one, or outside of both, for at least a time."""

    variable: str
    above: float | None = None
    below: float | None = None
    lasting: timedelta = timedelta(0)

    def problem(self) -> Problem:
        """Return it as the problem of a definition. Raises UserError without a limit, and for
        limits of which every value is beyond one."""
        if self.above is None and self.below is None:
            raise UserError(translatable("give above, below or both"))
        if self.above is not None and self.below is not None and self.below > self.above:
            raise UserError(
                translatable(
                    "below {low} must not exceed above {high}",
                    low=measured(self.below, "g", None),
                    high=measured(self.above, "g", None),
                )
            )
        limits = {"above": self.above, "below": self.below}
        given = {name: value for name, value in limits.items() if value is not None}
        return Problem.model_validate({"variable": self.variable, "for": self.lasting, **given})


def numeric_variables(asset: Asset | None, variables: Sequence[str]) -> Asset:
    """Return the asset. Raises NotFound without it or one of the variables, UserError if one is no
    number."""
    if asset is None:
        raise NotFound("there is no such asset")
    for name in variables:
        declared = asset.variables.get(name)
        if declared is None:
            raise NotFound(f"{asset.name} has no variable {name!r}")
        if declared.type != "number":
            raise UserError(f"{name} of {asset.name} is no number but a {declared.type}")
    return asset


def selected_statistics(
    readings: Readings,
    asset: Asset,
    variables: Sequence[str],
    start: datetime,
    end: datetime,
    most: int = MOST_SELECTED,
) -> dict[str, Statistics | None]:
    """Return the statistics of numeric variables over (start, end], None of one without a value.

    Values outside a variable's engineering range count as missing. Raises UserError for more than
    `most` readings, and for a time that is empty or longer than a year.
    """
    history = load_selected(readings, asset, variables, start, end, most)
    return {
        name: statistics_of(history.readings[name].to_numpy(np.float64)[has_data(history, name)])
        if name in history.readings
        else None
        for name in variables
    }


def find_times(
    readings: Readings,
    asset: Asset,
    condition: LimitCondition,
    start: datetime,
    end: datetime,
    most: int = MOST_SELECTED,
) -> FoundTimes:
    """Return the times in (start, end] at which a condition held, by the code that finds problems.
    Raises UserError as `selected_statistics`."""
    problem = condition.problem()
    history = load_selected(readings, asset, [condition.variable], start, end, most)
    there = has_data(history, condition.variable)
    found = problem_intervals(problem, replace(history, readings=history.readings[there]))
    return FoundTimes(
        len(found),
        timedelta(milliseconds=sum(last - first for first, last in found)),
        tuple(
            (from_millis(first), from_millis(last)) for first, last in reversed(found[-MOST_TIMES:])
        ),
    )


def load_selected(
    readings: Readings,
    asset: Asset,
    variables: Sequence[str],
    start: datetime,
    end: datetime,
    most: int,
) -> History:
    """Return the readings of a selected time. Raises UserError as `selected_statistics`."""
    if start >= end:
        raise UserError(f"start {start.isoformat()} must lie before end {end.isoformat()}")
    if end - start > LONGEST_SELECTED:
        raise UserError(f"a selected time has at most {LONGEST_SELECTED.days} days")
    parts = []
    count = 0
    for part in _parts(readings, asset, variables, start, end):
        parts.append(part)
        count += len(part.readings) * len(variables)
        if count > most:
            raise UserError(
                translatable(
                    "these are more than {number} readings; choose a shorter time",
                    number=Styled(most, ",.0f"),
                )
            )
    frames = [part.readings for part in parts if len(part.readings)]
    return replace(parts[-1], readings=pd.concat(frames)) if frames else parts[-1]


def _parts(
    readings: Readings, asset: Asset, variables: Sequence[str], start: datetime, end: datetime
) -> Iterator[History]:
    """Yield the readings in parts, so that the limit is noticed before all are read."""
    first, last = readings.span(asset.name) or (end, end)
    begin = start
    until = max(start, first)
    length = _FIRST_PART
    while True:
        until = min(until + length, end)
        length = min(2 * length, _LONGEST_PART)
        is_last = until >= min(last, end)
        stop = end if is_last else until
        yield readings.load(asset, begin, stop, variables, events_since=stop)
        if is_last:
            return
        begin = stop
