"""Feature rows for a model: the point-in-time view of an asset at given instants, column by column as its plan says.

A value is known at ts + delay; a window of length w at t covers the known times (t - w, t]. The last value of a variable is
carried forward until the next one is known, at most as long as the plan says. A row depends only on its windows and on values
carried forward (events' recency: on nothing after t). So it is the same, bit for bit, from a year of readings and from a slice
that just covers `plan.lookback` and begins with the newest earlier value of each variable in `plan.carried_longer`. A value
outside the engineering range of its variable is missing.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from alerting.learning.features import moments
from alerting.learning.features.moments import Floats, Moments, Rows
from alerting.learning.features.plan import CategorySource, FeaturePlan, NumberSource
from alerting.learning.features.planning import plan_features
from alerting.readings.cleaning import in_range
from alerting.readings.history import History, Millis, duration_millis, event_delays, millis

__all__ = ["FeaturePlan", "build_features", "build_features_many", "grid", "plan_features"]

THREADS = 4  # that fill in the columns of a table; numpy works without Python's lock
SMALL = 1_000_000  # values up to which one thread is as quick as several
WINDOWS_AT_ONCE = 8  # least length of an interval that is worked on at once, in windows: each begins with one window more
Codes = npt.NDArray[np.integer]
_OF_MOMENTS: Mapping[str, Callable[[Moments, Floats], None]] = {
    "mean": moments.mean,
    "std": moments.std,
    "min": moments.low,
    "max": moments.high,
    "slope": moments.slope,
}


def grid(start_ms: int, end_ms: int, stride_ms: int) -> Millis:
    """Return the instants t with start < t <= end that are whole strides since 1970."""
    return np.arange(start_ms // stride_ms + 1, end_ms // stride_ms + 1, dtype=np.int64) * stride_ms


def build_features(plan: FeaturePlan, history: History, at: Millis) -> pd.DataFrame:
    """Return one row per instant, columns as `plan.columns`: float64, and categoricals with the plan's levels; missing is NaN.

    `at` increases. On the plan's stride grid it is fastest, and each other phase of the grid costs one more pass: a caller may
    score a model in service at the stride of a newer revision. Units: those of the readings; slope per hour, age and recency in
    seconds, missing a share from 0 to 1, count a number of events.
    """
    if np.any(np.diff(at) <= 0):
        raise ValueError("instants of features must increase")
    phases = at % plan.bucket_ms
    if len(distinct := np.unique(phases)) > 1:
        passes = [build_features(plan, history, at[phases == p]).set_axis(np.flatnonzero(phases == p)) for p in distinct]
        return pd.concat(passes).sort_index().set_axis(pd.RangeIndex(len(at)))
    readings = _Readings(history)
    floats = np.empty((len(at), len(plan.columns) - len(plan.levels)), order="F")
    span = _chunk_span(plan)
    with ThreadPoolExecutor(THREADS) as threads:
        each = threads.map if floats.size > SMALL else map
        for part in _chunks(at, span):
            _fill_numbers(plan, readings, at[part], floats[part], plan.number_blocks, each)
    _fill_events(plan, history, at, floats)
    _fill_attributes(plan, history, floats)
    return _frame(plan, floats, _categories(plan, readings, at))


def build_features_many(
    plan: FeaturePlan, history: History, at: int | Millis, changes: Sequence[Mapping[str, Floats]]
) -> pd.DataFrame:
    """Return one row per what-if: the history with some number variables' values replaced, at one instant or one for each.

    Each change maps variables to new values, one per row of `history.readings`. Only their columns are computed again,
    those of all what-ifs of the same variables together, which makes thousands of them cheap; each row equals that of
    `build_features` on the changed history. The instants lie whole buckets of the plan apart.
    """
    instants = np.broadcast_to(np.asarray(at, np.int64), (len(changes),))
    distinct, which = np.unique(instants, return_inverse=True)
    before = build_features(plan, history, distinct)
    floats = before[list(plan.columns[: len(before.columns) - len(plan.levels)])].to_numpy()[which]
    by_names: dict[frozenset[str], list[int]] = {}
    for i, change in enumerate(changes):
        by_names.setdefault(frozenset(set(change) & set(plan.number_blocks)), []).append(i)
    most = max(1, SMALL // max(1, len(history.readings)))
    for names, members in by_names.items():
        for first in range(0, len(members) if names else 0, most):
            some = members[first : first + most]
            tiled, seen = _tile(plan, history, instants[some], {n: [changes[i][n] for i in some] for n in sorted(names)})
            part = floats[some]
            for chunk in _chunks(seen, _chunk_span(plan)):
                _fill_numbers(plan, _Readings(tiled), seen[chunk], part[chunk], names, map)
            floats[some] = part
    codes = {name: before[name].cat.codes.to_numpy()[which] for name in plan.levels}
    return _frame(plan, floats, codes)


def _tile(plan: FeaturePlan, history: History, at: Millis, values: Mapping[str, Sequence[Floats]]) -> tuple[History, Millis]:
    """Return one history with all what-ifs one after another, so far apart that none sees another, and their instants."""
    ts = millis(pd.DatetimeIndex(history.readings.index))
    carry = max((plan.carry_ms(name) for name in values), default=0)
    delay = max((duration_millis(history.delay(name)) for name in values), default=0)
    first, last = (int(ts[0]), int(ts[-1])) if len(ts) else (0, 0)
    seen = last - int(at.min()) + plan.reach_ms + carry + 2 * delay
    apart = (max(seen, last - first, int(at.max() - at.min())) // plan.bucket_ms + 1) * plan.bucket_ms
    shift = np.arange(len(at), dtype=np.int64) * apart
    index = pd.DatetimeIndex((ts[None, :] + shift[:, None]).ravel().astype("M8[ms]"), tz="UTC", name="ts")
    columns = {name: np.concatenate([np.asarray(v, np.float64) for v in each]) for name, each in values.items()}
    return History(history.asset, pd.DataFrame(columns, index=index)), at + shift


def _chunk_span(plan: FeaturePlan) -> int:
    return max(moments.BUCKETS_AT_ONCE * plan.bucket_ms, WINDOWS_AT_ONCE * plan.longest_window_ms)


class _Readings:
    """The samples of one asset, sliced by the time they are known."""

    def __init__(self, history: History, changed: Mapping[str, Floats] | None = None) -> None:
        self.history = history
        self.ts = millis(pd.DatetimeIndex(history.readings.index))
        self._values = {n: in_range(history.asset, n, np.asarray(v, np.float64)) for n, v in (changed or {}).items()}
        self._samples: dict[str, tuple[Millis, Floats]] = {}

    def values(self, name: str) -> Floats | None:
        """Return all values of a number variable, None for a variable without readings."""
        if name not in self._values and name in self.history.readings:
            self._values[name] = in_range(self.history.asset, name, self.history.readings[name].to_numpy(np.float64))
        return self._values.get(name)

    def samples(self, name: str) -> tuple[Millis, Floats]:
        """Return known times and values of all samples of a variable that is carried forward; set-points have few."""
        if name not in self._samples:
            column = self.values(name)
            times = self.ts + duration_millis(self.history.delay(name))
            self._samples[name] = _there(times, np.full(len(times), np.nan) if column is None else column)
        return self._samples[name]

    def rows_known(self, delay: int, after: int, until: int) -> slice:
        """Return the rows whose values, with this delay, became known in (after, until]."""
        first, last = np.searchsorted(self.ts, [after - delay, until - delay], side="right")
        return slice(int(first), int(last))


def _there(times: Millis, values: Floats) -> tuple[Millis, Floats]:
    """Return the samples that have a value, -0.0 as 0.0."""
    there = np.isfinite(values)
    return times[there], values[there] + 0.0


class _WindowRows(NamedTuple):
    """The rows known in an interval with one delay, when, in which buckets; and the number of them known at each instant."""

    rows: slice
    times: Millis
    buckets: Rows
    until: npt.NDArray[np.int64]


class _ReadingInterval:
    """An interval of nearby instants, and the samples known in the windows before them."""

    def __init__(self, plan: FeaturePlan, readings: _Readings, at: Millis) -> None:
        self.plan, self.readings, self.at = plan, readings, at
        self.after = int(at[0]) - plan.longest_window_ms
        self.size = (int(at[-1]) - self.after) // plan.bucket_ms
        self.last = (at - self.after) // plan.bucket_ms - 1
        self.lengths = tuple(window // plan.bucket_ms for window in plan.windows_ms)
        self._by_delay: dict[int, _WindowRows] = {}

    def values(self, name: str, rows: _WindowRows) -> Floats:
        """Return the values of a variable in these rows; NaN is missing."""
        column = self.readings.values(name)
        return np.full(len(rows.times), np.nan) if column is None else column[rows.rows]

    def lagged(self, name: str, lag: int) -> Floats:
        """Return the value in force one lag before each instant."""
        at, delay = self.at - lag, duration_millis(self.readings.history.delay(name))
        if self.plan.is_carried_forward(name):
            times, values = self.readings.samples(name)
        else:
            rows = self.readings.rows_known(delay, int(at[0]) - self.plan.longest_window_ms, int(at[-1]))
            column = self.readings.values(name)
            values = np.empty(0) if column is None else column[rows]
            times, values = _there(self.readings.ts[rows][: len(values)] + delay, values)
        return _take(values, _newest(times, at, self.plan.carry_ms(name)))

    def window_rows(self, name: str) -> _WindowRows:
        """Return the rows of a variable that become known in the windows."""
        delay = duration_millis(self.readings.history.delay(name))
        if delay not in self._by_delay:
            rows = self.readings.rows_known(delay, self.after, int(self.at[-1]))
            times = self.readings.ts[rows] + delay
            buckets = moments.bucket_rows(times, self.after, self.plan.bucket_ms, self.size)
            self._by_delay[delay] = _WindowRows(rows, times, buckets, np.searchsorted(times, self.at, side="right"))
        return self._by_delay[delay]


def _chunks(at: Millis, span: int) -> Iterator[slice]:
    """Return runs of instants, each in one interval, so that memory does not grow with the length of a history."""
    if len(at):
        edges = [0, *(np.flatnonzero(np.diff((at - at[0]) // span)) + 1).tolist(), len(at)]
        yield from (slice(first, end) for first, end in pairwise(edges))


def _fill_numbers(
    plan: FeaturePlan, readings: _Readings, at: Millis, out: Floats, names: Collection[str], each: Callable[..., Iterator[None]]
) -> None:
    """Fill in the columns of these numbers. `each`: `map` in one thread or in several."""
    interval = _ReadingInterval(plan, readings, at)
    wanted = [number for number in plan.numbers if number.name in names]
    for _ in each(lambda number: _fill_number(interval, number, out), wanted):
        pass


def _fill_number(interval: _ReadingInterval, number: NumberSource, out: Floats) -> None:
    plan, rows, block = interval.plan, interval.window_rows(number.name), interval.plan.number_blocks[number.name]
    values = interval.values(number.name, rows)
    there = np.isfinite(values)
    buckets = moments.bucket_moments(rows.buckets, values, there)
    summed = moments.window_moments(buckets, interval.last, interval.lengths, plan.bucket_ms)
    windows = dict(zip(plan.windows_ms, summed, strict=True))
    carry, times = plan.carry_ms(number.name), rows.times
    if plan.is_carried_forward(number.name):
        times, values = interval.readings.samples(number.name)
        newest = _newest(times, interval.at, carry)
    else:
        newest = _within(times, interval.at, carry, _newest_there(there, rows.until))
    for position in range(block.start, block.stop):
        column, into = plan.layout[position], out[:, position]
        span = column.window_ms or plan.longest_window_ms
        if column.aggregation == "lag":
            into[:] = interval.lagged(number.name, span)
        elif column.aggregation == "last":
            np.add(_take(values, newest), 0.0, out=into)
        elif column.aggregation == "age":
            into[:] = (interval.at - _take(times.astype(np.float64), newest)) / 1000.0
        elif column.aggregation == "missing":
            into[:] = _missing_share(windows[span].n, span, number.sampling_ms or span)
        else:
            _OF_MOMENTS[column.aggregation](windows[span], into)


def _newest(times: Millis, at: Millis, span: int) -> npt.NDArray[np.int64]:
    """Return the index of the newest sample known in (t - span, t], -1 without any."""
    return _within(times, at, span, np.searchsorted(times, at, side="right") - 1)


def _newest_there(there: npt.NDArray[np.bool_], until: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the index of the newest row that is there among the first `until` rows, -1 without any."""
    newest = np.maximum.accumulate(np.where(there, np.arange(len(there)), -1))
    return np.append(newest, -1)[until - 1]  # before the first row: the last element


def _within(times: Millis, at: Millis, span: int, newest: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Replace the index of a sample that was known at t - span or before by -1."""
    if len(times):
        newest[times[newest] <= at - span] = -1
    return newest


def _take(values: Floats, index: npt.NDArray[np.int64]) -> Floats:
    """Return the values at these indices, NaN where the index is -1."""
    return np.append(values, np.nan)[index]


def _missing_share(n: Floats, span_ms: int, sampling_ms: int) -> Floats:
    expected = max(span_ms // sampling_ms, 1)
    return np.clip(1.0 - n / expected, 0.0, 1.0)


def _fill_events(plan: FeaturePlan, history: History, at: Millis, out: Floats) -> None:
    types, starts = history.events["type"].to_numpy(), millis(history.events["start"]) + event_delays(history)
    before = {event: starts[types == event] for event in plan.events}  # one type has one delay, so they stay sorted
    for position, column in enumerate(plan.layout):
        if column.kind != "event":
            continue
        begins = before[column.source]
        until = np.searchsorted(begins, at, side="right")
        if column.window_ms:
            out[:, position] = until - np.searchsorted(begins, at - column.window_ms, side="right")
        else:
            out[:, position] = (at - _take(begins.astype(np.float64), until - 1)) / 1000.0


def _fill_attributes(plan: FeaturePlan, history: History, out: Floats) -> None:
    for position, column in enumerate(plan.layout[: out.shape[1]]):
        if column.kind == "attribute":
            value = history.asset.attributes.get(column.source)
            out[:, position] = value if isinstance(value, (int, float)) else np.nan


def _categories(plan: FeaturePlan, readings: _Readings, at: Millis) -> dict[str, Codes]:
    """Return the codes of every categorical column; -1 is missing."""
    attributes = readings.history.asset.attributes
    codes = {f"{c.name}.last": _last_code(plan, readings, c, at) for c in plan.categories}
    for attribute in plan.category_attributes:
        level = str(attributes[attribute.name]) if attribute.name in attributes else None
        code = attribute.levels.index(level) if level in attribute.levels else -1
        codes[f"attribute/{attribute.name}"] = np.full(len(at), code)
    return codes


def _last_code(plan: FeaturePlan, readings: _Readings, category: CategorySource, at: Millis) -> Codes:
    if category.name not in readings.history.readings or not len(at):
        return np.full(len(at), -1, np.int64)
    delay = duration_millis(readings.history.delay(category.name))
    carry = plan.carry_ms(category.name)
    rows = readings.rows_known(delay, int(at[0]) - carry, int(at[-1]))
    values = readings.history.readings[category.name].iloc[rows]
    there = values.notna().to_numpy()
    times = (readings.ts[rows] + delay)[there]
    newest = _newest(times, at, carry)
    codes = pd.Index(category.levels).get_indexer(pd.Index(values[there].astype(str)))
    return np.append(codes, -1)[newest]


def _frame(plan: FeaturePlan, floats: Floats, codes: Mapping[str, Codes]) -> pd.DataFrame:
    frame = pd.DataFrame(floats, columns=list(plan.columns[: floats.shape[1]]), copy=False)
    for name, levels in plan.levels.items():
        frame[name] = pd.Categorical.from_codes(codes[name], categories=pd.Index(levels, dtype=object))
    return frame
