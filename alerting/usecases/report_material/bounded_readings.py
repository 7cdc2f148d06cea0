"""A report's readings within bounded memory: many are reduced while they are read.

Of many, each minute keeps the first, last, lowest and highest value of the evaluated variable, and
every change of the problem's condition. So charts look the same, and problems and labels are exact,
as a minute, or the shorter time that is taken where it does not, divides the stride and is no
longer than the prediction window. Gaps are found in all readings, part after part.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from math import gcd
from typing import Any

import numpy as np

from alerting.alarm_kpis.intervals import Interval
from alerting.deferred import pd
from alerting.definitions.assets import Asset
from alerting.definitions.model import Definition, ModelDefinition, TrainedDefinition
from alerting.detection.occurrences import ends_of_runs
from alerting.detection.problems import BoolArray, needed_samples, problem_delay
from alerting.kinds.registry import kind_of
from alerting.ports import Readings
from alerting.readings.history import History, duration_millis, millis, no_readings
from alerting.readings.sample_quality import Doubts, Instants, join_instants
from alerting.reporting.definition.material import Reduced
from alerting.reporting.page.details import variable_of

# Rows of one asset that are held as they are: a reading every 10 s over two months.
MOST_ROWS = 500_000
# Rows that one query should return; the time that it covers follows the rate of the readings before
# it.
CHUNK_ROWS = 200_000
_LONGEST_CHUNK = timedelta(days=14)
_WIDTH_MS = 60_000
_SHORTEST_MS = 1_000
_FIRST_CHUNK = timedelta(hours=6)
_MOST_GROWTH = 8


def load_bounded(
    readings: Readings,
    definition: Definition,
    asset: Asset,
    start: datetime,
    end: datetime,
    period: Interval,
    most: int = MOST_ROWS,
    chunk: int = CHUNK_ROWS,
) -> tuple[History, Reduced | None]:
    """Return an asset's history in (start, end], and how it was reduced, if it was.

    `period`: the one that is reported: its values are counted. At most about `most` and
    `chunk` rows are held at once, beside those that the reduction keeps.
    """
    whole: list[History] = []
    reduction: _Reduction | None = None
    for part in _parts(readings, asset, start, end, chunk):
        if reduction is None:
            whole.append(part)
            if sum(len(p.readings) for p in whole) > most:
                reduction = _Reduction(definition, period, _width_ms(definition, asset))
                while whole:
                    reduction.add(whole.pop(0))
        else:
            reduction.add(part)
    if reduction is not None:
        return reduction.history(part), reduction.reduced()
    frames = [p.readings for p in whole if len(p.readings)]
    doubts = Doubts(
        join_instants([p.doubts.bad for p in whole]),
        join_instants([p.doubts.uncertain for p in whole]),
    )
    return replace(
        part, readings=pd.concat(frames) if frames else part.readings, doubts=doubts
    ), None


def _parts(
    readings: Readings, asset: Asset, start: datetime, end: datetime, chunk: int
) -> Iterator[History]:
    """Yield the history in parts of about so many rows. The last one has all events."""
    first, last = readings.span(asset.name) or (end, end)
    begin = start
    length = _FIRST_CHUNK
    per_second = 0.0
    while True:
        stop = max(begin, first) + length
        is_last = stop >= min(last, end)
        stop = end if is_last else stop
        part = readings.load(asset, begin, stop, events_since=None if is_last else stop)
        yield part
        if is_last:
            return
        begin = stop
        per_second = max(per_second, len(part.readings) / length.total_seconds())
        at_rate = timedelta(seconds=chunk / per_second) if per_second else _LONGEST_CHUNK
        length = min(at_rate, _MOST_GROWTH * length, _LONGEST_CHUNK)


@dataclass
class _Reduction:
    """The reduced readings of one asset, to which part after part is added in the order of time."""

    definition: Definition
    period: Interval
    width_ms: int
    frames: list[pd.DataFrame] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    gaps: list[Interval] = field(default_factory=list)
    bad: list[dict[str, Instants]] = field(default_factory=list)
    uncertain: list[dict[str, Instants]] = field(default_factory=list)
    before: pd.DataFrame = field(default_factory=no_readings)

    def add(self, part: History) -> None:
        """Reduce the next part."""
        frame = part.readings
        self.bad.append(dict(part.doubts.bad))
        self.uncertain.append(dict(part.doubts.uncertain))
        if frame.empty:
            return
        self._find_gaps(part)
        inside = frame[(frame.index >= self.period[0]) & (frame.index < self.period[1])]
        self.counts.update(
            {str(name): int(column.notna().sum()) for name, column in inside.items()}
        )
        own = [name for name in self._variables(part.asset) if name in frame] or [
            str(frame.columns[0])
        ]
        self.frames.append(frame.loc[self._needed_rows(part, own), own])

    def _variables(self, asset: Asset) -> list[str]:
        named = {variable_of(self.definition), getattr(self.definition, "variable", None)}
        if self.definition.problem is not None:
            named |= set(self.definition.problem.variables)
        if not isinstance(self.definition, ModelDefinition):
            named |= self.definition.variables_evaluated(asset)
        return sorted(name for name in named if name)

    def _needed_rows(self, part: History, names: list[str]) -> BoolArray:
        at = millis(pd.DatetimeIndex(part.readings.index))
        keep = ends_of_runs(-(-at // self.width_ms))
        for name in names:
            column = part.readings[name]
            there = np.flatnonzero(column.notna().to_numpy())
            bucket = -(-at[there] // self.width_ms)
            keep[there[ends_of_runs(bucket)]] = True
            if column.dtype == object:
                keep[there[ends_of_runs(pd.factorize(column.to_numpy()[there])[0])]] = True
            else:
                values = column.to_numpy(np.float64)[there]
                order = np.lexsort((values, bucket))
                kept = np.zeros(len(values), np.bool_)
                kept[order[ends_of_runs(bucket[order])]] = True
                keep[there[kept]] = True
        if self.definition.problem is not None:
            keep[np.searchsorted(at, needed_samples(self.definition.problem, part))] = True
        return keep

    def _find_gaps(self, part: History) -> None:
        """Find a part's gaps, with the earlier readings that are still in force."""
        if isinstance(self.definition, TrainedDefinition):
            return  # times that do not count follow from the problems
        frame = part.readings
        joined = replace(
            part, readings=pd.concat([self.before, frame]) if len(self.before) else frame
        )
        first = (
            (self.before if len(self.before) else frame)
            .index[-1 if len(self.before) else 0]
            .to_pydatetime()
        )
        last = frame.index[-1].to_pydatetime()
        self.gaps += (
            kind_of(self.definition).data_gaps(self.definition, joined, first, last)
            if first < last
            else ()
        )
        inputs = kind_of(self.definition).inputs(self.definition, part.asset)
        since = last - max(inputs.lookback + inputs.stale_after, timedelta(hours=1))
        keep = np.asarray(joined.readings.index >= since)
        for name in self._variables(part.asset):
            if name in joined.readings:
                keep |= _last_run(joined.readings[name])
        self.before = joined.readings[keep]

    def history(self, last: History) -> History:
        """Return the reduced history. `last`: the part with all events."""
        frame = pd.concat(self.frames) if self.frames else last.readings
        return replace(
            last,
            readings=frame,
            doubts=Doubts(join_instants(self.bad), join_instants(self.uncertain)),
        )

    def reduced(self) -> Reduced:
        """Return what was kept beside the history."""
        is_own = not isinstance(self.definition, TrainedDefinition)
        return Reduced(
            timedelta(milliseconds=self.width_ms),
            dict(self.counts),
            _merged(self.gaps) if is_own else None,
        )


def _merged(gaps: list[Interval]) -> tuple[Interval, ...]:
    """Return all parts' gaps; one that goes on begins a millisecond later."""
    found: list[Interval] = []
    for begin, end in gaps:
        goes_on = bool(found) and begin - found[-1][1] <= timedelta(milliseconds=1)
        found.append((found.pop()[0] if goes_on else begin, end))
    return tuple(found)


def _width_ms(definition: Definition, asset: Asset) -> int:
    """Return the longest time, 1 s to 1 min, that divides what labels and values compare."""
    if isinstance(definition, TrainedDefinition):
        problem = definition.problem
        edges = [
            definition.stride,
            definition.schedule.every,
            *map(abs, definition.window),
            problem_delay(problem, asset, ()),
        ]
        edges += [
            leaf.stale_after
            for leaf in (problem.combination.leaves() if problem.combination else ())
        ]
    else:
        edges = [kind_of(definition).inputs(definition, asset).stale_after / 2]
    return max(gcd(_WIDTH_MS, *(duration_millis(edge) for edge in edges)), _SHORTEST_MS)


def _last_run(column: pd.Series[Any]) -> BoolArray:
    """Return the last value, and the one since which it has not changed."""
    there = np.flatnonzero(column.notna().to_numpy())
    keep = np.zeros(len(column), np.bool_)
    if len(there):
        changes = np.flatnonzero(ends_of_runs(pd.factorize(column.to_numpy()[there])[0]))
        keep[there[changes[-2:]]] = True
    return keep
