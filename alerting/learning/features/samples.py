"""Samples of one asset by the time at which they are known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from alerting.deferred import np, npt
from alerting.learning.features import moments
from alerting.learning.features.moments import (
    BoolArray,
    BucketRows,
    Floats,
    Index,
    Moments,
    WindowPositions,
)
from alerting.learning.features.plan import FeaturePlan
from alerting.readings.cleaning import engineering_range, in_range
from alerting.readings.history import History, Millis, column_index, duration_millis, millis

_FEW_VALUES = 20_000  # of all columns, which are read at once


class Samples(NamedTuple):
    """Values that are there, and when each became known."""

    times: Millis
    values: Floats


class WindowRows(NamedTuple):
    """The rows known in an interval with one delay, their buckets, and how many are known."""

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
        there = [name in position for name in names]
        columns = [position[name] for name in names if name in position]
        # a choice of columns takes pandas ten times as long as the array of all
        whole = readings.iloc[rows].to_numpy() if few else None
        if whole is not None and whole.dtype == np.float64:
            out[there] = whole[:, columns].T
        else:
            out[there] = readings.iloc[rows, columns].to_numpy(np.float64).T
        return out

    def samples(self, name: str) -> Samples:
        """Return all samples of a variable that is carried forward; set-points have few."""
        if name not in self._samples:
            column = self.values(name)
            times = self.ts + duration_millis(self.history.delay(name))
            self._samples[name] = _there(
                times, np.full(len(times), np.nan) if column is None else column
            )
        return self._samples[name]

    def rows_known(self, delay: int, after: int, until: int) -> slice:
        """Return the rows whose values, with this delay, became known in (after, until]."""
        first, last = np.searchsorted(self.ts, [after - delay, until - delay], side="right")
        return slice(int(first), int(last))


def _there(times: Millis, values: Floats) -> Samples:
    """Return the samples that have a value, -0.0 as 0.0."""
    there = np.isfinite(values)
    return Samples(times[there], values[there] + 0.0)


class ReadingInterval:
    """An interval of nearby instants, and the samples known in the windows before them."""

    def __init__(self, plan: FeaturePlan, readings: AssetReadings, at: Millis) -> None:
        self.plan = plan
        self.readings = readings
        self.at = at
        self.after = int(at[0]) - plan.longest_window_ms
        self.size = (int(at[-1]) - self.after) // plan.bucket_ms
        self.last = (at - self.after) // plan.bucket_ms - 1
        self.lengths = tuple(window // plan.bucket_ms for window in plan.windows_ms)
        self._by_delay: dict[int, WindowRows] = {}
        self._positions: WindowPositions | None = None

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

    def window_moments(self, buckets: Moments) -> Moments:
        """Return the moments of the windows that end at each instant (variables x lengths x
        instants)."""
        if self._positions is None:
            self._positions = moments.window_positions(self.last, self.lengths)
        return moments.window_moments(buckets, self._positions, self.plan.bucket_ms)

    def lag_samples(self, name: str, lag: int) -> Samples:
        """Return the samples that are needed for values in force one lag before."""
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
            else _there(self.readings.ts[rows] + delay, column[rows])
        )


def newest_sample(times: Millis, at: Millis, span: int) -> Index:
    """Return the index of the newest sample known in (t - span, t], -1 without any."""
    return drop_old_samples(times, at, span, np.searchsorted(times, at, side="right") - 1)


def newest_there(there: BoolArray, until: Index) -> Index:
    """Return the newest row that is there among the first `until`, -1 without any."""
    found = np.maximum.accumulate(np.where(there, np.arange(there.shape[1]), -1), axis=1)
    # before the first row: the last element
    return np.append(found, np.full((len(there), 1), -1), axis=1)[:, until - 1]


def drop_old_samples(times: Millis, at: Millis, span: int, found: Index) -> Index:
    """Replace the index of a sample that was known at t - span or before by -1."""
    if len(times):
        found[times[found] <= at - span] = -1
    return found


def take(values: Floats, index: npt.NDArray[np.int64]) -> Floats:
    """Return the values at these indices, NaN where the index is -1."""
    return np.append(values, np.nan)[index]
