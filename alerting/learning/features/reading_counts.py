"""Counts of readings in the windows before an instant: after a pause, a window with few readings
says little.

A mean of one reading varies more than the mean of ten from which a model has learned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import NamedTuple, TypeAlias

from alerting.deferred import np, npt, pd
from alerting.definitions.wording.language import translatable
from alerting.learning.features import moments
from alerting.learning.features.moments import BucketRows, Index
from alerting.learning.features.plan import FeaturePlan, UsualCount
from alerting.readings.history import (
    BoolArray,
    Floats,
    History,
    Millis,
    column_index,
    duration_millis,
    engineering_range,
    in_range,
    millis,
)

_FEW_VALUES = 20_000  # of all columns, which are read at once
TOO_FEW = translatable("too few readings since the pause")
_LEAST = 3  # usual readings; half of fewer is any reading at all
_REGULAR = 0.95  # of the running windows have half of the usual readings, else a count says nothing
_LEAST_WINDOWS = 20
_MOST_VALUES = 4_000_000  # that are counted at once
_MOST_INSTANTS = 10_000  # of a history, from which the usual counts are taken
Counts: TypeAlias = "npt.NDArray[np.int32]"


class Samples(NamedTuple):
    """Values that are not missing, and when each became known."""

    times: Millis
    values: Floats


class WindowRows(NamedTuple):
    """The rows that become known in an interval with one delay, their buckets, and how many rows
    are known at each instant."""

    rows: slice
    times: Millis
    buckets: BucketRows
    until: Index


class AssetReadings:
    """The readings of one asset, sliced by the time they are known."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.ts = millis(history.readings.index)
        self._values: dict[str, Floats] = {}
        self._samples: dict[str, Samples] = {}

    def values(self, name: str) -> Floats | None:
        """Return all values of a number variable, None for a variable without readings."""
        if name not in self._values and name in self.history.readings:
            self._values[name] = in_range(
                self.history.asset, name, self.history.readings[name].to_numpy(np.float64)
            )
        return self._values.get(name)

    def matrix(self, names: Sequence[str], rows: slice) -> Floats:
        """Return the values of number variables in these rows; NaN is missing."""
        if len(names) == 1:
            column = self.values(names[0])
            return (
                np.full((1, rows.stop - rows.start), np.nan)
                if column is None
                else column[None, rows]
            )
        out = self._columns(names, rows)
        low, high = np.array([engineering_range(self.history.asset, name) for name in names]).T
        wrong = (out < low[:, None]) | (out > high[:, None])
        return np.where(wrong, np.nan, out) if wrong.any() else out

    def _columns(self, names: Sequence[str], rows: slice) -> Floats:
        """Return the stored values of variables in these rows; NaN where there is no column."""
        readings = self.history.readings
        few = (rows.stop - rows.start) * readings.shape[1] <= _FEW_VALUES
        if few and readings.columns.equals(column_index(tuple(names))):
            return readings.iloc[rows].to_numpy(np.float64).T
        out = np.full((len(names), rows.stop - rows.start), np.nan)
        position = {str(name): number for number, name in enumerate(readings.columns)}
        is_present = [name in position for name in names]
        columns = [position[name] for name in names if name in position]
        # a choice of columns takes pandas ten times as long as the array of all
        whole = readings.iloc[rows].to_numpy() if few else None
        if whole is not None and whole.dtype == np.float64:
            out[is_present] = whole[:, columns].T
        else:
            out[is_present] = readings.iloc[rows, columns].to_numpy(np.float64).T
        return out

    def samples(self, name: str) -> Samples:
        """Return all samples of a variable that is carried forward; set-points have few."""
        if name not in self._samples:
            column = self.values(name)
            times = self.ts + duration_millis(self.history.delay(name))
            self._samples[name] = _finite_samples(
                times, np.full(len(times), np.nan) if column is None else column
            )
        return self._samples[name]

    def rows_known(self, delay: int, after: int, until: int) -> slice:
        """Return the rows whose values, with this delay, became known in (after, until]."""
        first, last = np.searchsorted(self.ts, [after - delay, until - delay], side="right")
        return slice(int(first), int(last))


def _finite_samples(times: Millis, values: Floats) -> Samples:
    """Return the samples that have a value, -0.0 as 0.0."""
    has_value = np.isfinite(values)
    return Samples(times[has_value], values[has_value] + 0.0)


class ReadingInterval:
    """An interval of nearby instants, and the samples known in the windows before them."""

    def __init__(self, plan: FeaturePlan, readings: AssetReadings, at: Millis) -> None:
        self.plan = plan
        self.readings = readings
        self.at = at
        self.after = int(at[0]) - plan.longest_window_ms
        self.size = (int(at[-1]) - self.after) // plan.bucket_ms
        self.last = (at - self.after) // plan.bucket_ms - 1
        lengths = tuple(window // plan.bucket_ms for window in plan.windows_ms)
        self.windows, self.steps = moments.merge_steps(lengths)
        self._by_delay: dict[int, WindowRows] = {}

    def delay_ms(self, name: str) -> int:
        """Return how long after its instant a value of a variable becomes known."""
        return duration_millis(self.readings.history.delay(name))

    def window_rows(self, delay: int) -> WindowRows:
        """Return the rows that, with this delay, become known in the windows."""
        if delay not in self._by_delay:
            rows = self.readings.rows_known(delay, self.after, int(self.at[-1]))
            times = self.readings.ts[rows] + delay
            buckets = moments.bucket_rows(times, self.after, self.plan.bucket_ms, self.size)
            self._by_delay[delay] = WindowRows(
                rows, times, buckets, np.searchsorted(times, self.at, side="right")
            )
        return self._by_delay[delay]

    def lag_samples(self, name: str, lag: int) -> Samples:
        """Return the samples that are needed for the values in force one lag before each
        instant."""
        if self.plan.is_carried_forward(name):
            return self.readings.samples(name)
        delay = self.delay_ms(name)
        rows = self.readings.rows_known(
            delay, int(self.at[0]) - lag - self.plan.longest_window_ms, int(self.at[-1]) - lag
        )
        column = self.readings.values(name)
        return (
            Samples(self.readings.ts[:0], np.empty(0))
            if column is None
            else _finite_samples(self.readings.ts[rows] + delay, column[rows])
        )


def newest_sample(times: Millis, at: Millis, span: int) -> Index:
    """Return, for each instant t, the index of the newest sample known in (t - span, t], -1 without
    any."""
    newest = np.searchsorted(times, at, side="right") - 1
    if len(times):
        newest[times[newest] <= at - span] = -1
    return newest


def take(values: Floats, index: npt.NDArray[np.int64]) -> Floats:
    """Return the value at each index, NaN where the index is -1."""
    return np.append(values, np.nan)[index]


class Windowed(NamedTuple):
    """Readings in windows before instants: `counts` of (variable, window) in columns.

    `running`: whether the asset had readings in both halves of each window (instants x windows).
    `whole`: whether no pause longer than half of the window ends in it.
    """

    counts: Counts
    running: BoolArray
    whole: BoolArray


def count_readings(
    history: History, names: Sequence[str], windows_ms: Sequence[int], at: Millis
) -> Windowed:
    """Return how many readings of each variable lie in each window (t - w, t] before instants.

    The first reading counts as the end of a pause, so the history must reach back half a window
    more.
    """
    counts, times = _count_values(history, names, windows_ms, at)
    return Windowed(
        counts,
        np.stack([_runs(times, at, w) for w in windows_ms], axis=1),
        np.stack([_is_whole(times, at, w) for w in windows_ms], axis=1),
    )


def _count_values(
    history: History, names: Sequence[str], windows_ms: Sequence[int], at: Millis
) -> tuple[Counts, Millis]:
    """Return the counts of `count_readings`, and the instants of readings of any variable in its
    windows and half a window before."""
    counts = np.zeros((len(at), len(names) * len(windows_ms)), np.int32)
    if not len(at):
        return counts, np.empty(0, np.int64)
    readings = AssetReadings(history)
    rows = readings.rows_known(0, int(at.min()) - 3 * max(windows_ms) // 2, int(at.max()))
    ts = readings.ts[rows]
    has_any = np.zeros(len(ts), np.bool_)
    until = np.searchsorted(ts, at, side="right")
    since = [np.searchsorted(ts, at - window, side="right") for window in windows_ms]
    size = max(1, _MOST_VALUES // max(len(ts), 1))
    for first in range(0, len(names), size):
        some = names[first : first + size]
        has_value = np.isfinite(readings.matrix(some, rows))
        has_any |= has_value.any(axis=0)
        sums = np.zeros((len(some), len(ts) + 1), np.int32)
        np.cumsum(has_value, axis=1, dtype=np.int32, out=sums[:, 1:])
        for number, start in enumerate(since):
            columns = (first + np.arange(len(some))) * len(windows_ms) + number
            counts[:, columns] = (sums[:, until] - sums[:, start]).T
    return counts, ts[has_any]


def _runs(times: Millis, at: Millis, window: int) -> BoolArray:
    """Return whether there are readings in both halves of the window before each instant."""
    bounds = np.searchsorted(times, [at - window, at - window // 2, at], side="right")
    return np.asarray((np.diff(bounds, axis=0) > 0).all(axis=0))


def _is_whole(times: Millis, at: Millis, window: int) -> BoolArray:
    """Return whether no pause longer than half a window ends in the window before each instant."""
    resumed = times[np.diff(times, prepend=np.iinfo(np.int64).min // 2) > window // 2]
    count = np.searchsorted(resumed, [at - window, at], side="right")
    return np.asarray(count[0] == count[1])


def reach_of_pauses(plan: FeaturePlan) -> timedelta:
    """Return how far before the windows of a plan a pause begins that still counts in them."""
    return timedelta(milliseconds=plan.longest_window_ms // 2)


def regular_names(plan: FeaturePlan, history: History) -> tuple[str, ...]:
    """Return the numbers of a plan whose windows fill as the asset runs: each is known at once,
    sampled within the shortest window, and not carried forward longer."""
    return tuple(
        number.name
        for number in plan.numbers
        if not duration_millis(history.delay(number.name))
        and not plan.is_carried_forward(number.name)
        and (number.sampling_ms or 0) <= plan.windows_ms[0]
    )


def usual_counts(
    names: Sequence[str], windows_ms: Sequence[int], windowed: Windowed
) -> tuple[UsualCount, ...]:
    """Return the median count of each variable and window, over windows in which the asset ran.

    There is no count for a variable with fewer than three readings in a window, or with varying
    counts.
    """
    usual = []
    columns = [(name, window) for name in names for window in range(len(windows_ms))]
    for position, (name, window) in enumerate(columns):
        counts = windowed.counts[windowed.running[:, window], position]
        if len(counts) < _LEAST_WINDOWS:
            continue
        median = int(np.median(counts))
        if median >= _LEAST and float((2 * counts >= median).mean()) >= _REGULAR:
            usual.append(UsualCount(name, windows_ms[window], median))
    return tuple(usual)


def with_usual_counts(plan: FeaturePlan, histories: Sequence[History]) -> FeaturePlan:
    """Return the plan of a model of a problem, with the usual counts of its shortest window.

    Longer windows do not count, because waiting for them would silence a model for hours after each
    pause.
    """
    names = [
        name
        for name in (regular_names(plan, histories[0]) if histories else ())
        if all(name in regular_names(plan, history) for history in histories)
    ]
    parts = []
    windows = plan.windows_ms[:1]
    for history in histories:
        ts = millis(pd.DatetimeIndex(history.readings.index))
        chosen = ts[:: max(1, len(ts) // _MOST_INSTANTS)]
        parts.append(count_readings(history, names, windows, chosen))
    if not parts or not names:
        return plan
    windowed = Windowed(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))
    return replace(plan, usual=usual_counts(names, windows, windowed))


def has_enough_readings(plan: FeaturePlan, history: History, at: Millis) -> BoolArray:
    """Return a mask of the instants at which every window of a variable with readings is at least
    half filled, most windows are filled, and no pause ends in one.

    A variable without any reading is silent, which counts do not decide. The history must reach
    back by `reach_of_pauses` more than features need.
    """
    if not plan.usual:
        return np.ones(len(at), np.bool_)
    names, windows = _usual_windows(plan)
    return are_filled(plan, names, windows, count_readings(history, names, windows, at))


def most_have_enough_readings(plan: FeaturePlan, history: History, at: Millis) -> BoolArray:
    """Return a mask of the instants (ms) at which at least half of the variables have half of their
    usual readings; so one silent sensor is no pause."""
    if not plan.usual:
        return np.ones(len(at), np.bool_)
    names, windows = _usual_windows(plan)
    counts, _ = _count_values(history, names, windows, at)
    return _mostly_filled(_usual_columns(plan, names, windows, counts), plan)


def _usual_windows(plan: FeaturePlan) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Return the variables and the windows (ms) with usual counts."""
    names = dict.fromkeys(usual.name for usual in plan.usual)
    return tuple(names), tuple(sorted({usual.window_ms for usual in plan.usual}))


def _usual_columns(
    plan: FeaturePlan, names: Sequence[str], windows: Sequence[int], counts: Counts
) -> Counts:
    """Return the counts of the windows that have a usual one (instants x usual counts)."""
    return counts[
        :,
        [
            names.index(usual.name) * len(windows) + windows.index(usual.window_ms)
            for usual in plan.usual
        ],
    ]


def _short(counts: Counts, plan: FeaturePlan) -> BoolArray:
    return np.asarray(2 * counts < np.array([usual.readings for usual in plan.usual], np.int32))


def _mostly_filled(counts: Counts, plan: FeaturePlan) -> BoolArray:
    return np.asarray(2 * _short(counts, plan).sum(axis=1) <= len(plan.usual))


def are_filled(
    plan: FeaturePlan, names: Sequence[str], windows: Sequence[int], windowed: Windowed
) -> BoolArray:
    """Return for counted instants what `has_enough_readings` returns. `names`, `windows` (ms): of
    which readings were counted."""
    counts = _usual_columns(plan, names, windows, windowed.counts)
    partly = (_short(counts, plan) & (counts > 0)).any(axis=1)
    counted = [windows.index(window) for window in {usual.window_ms for usual in plan.usual}]
    return np.asarray(
        _mostly_filled(counts, plan) & ~partly & windowed.whole[:, counted].all(axis=1)
    )
