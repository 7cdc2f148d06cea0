"""Statistics over sliding windows of irregular samples, bit for bit in any order.

Time is cut into buckets of one width, on whose borders all evaluated instants lie; each bucket is
summed up once, around its own mean, and windows are merged from whole buckets in an order that
depends on the window's length alone. So a value depends on nothing but the samples inside its
window, and large values with small noise lose nothing to cancellation. Arrays have a row for each
variable: many variables of few instants are computed together.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple, TypeAlias

from alerting.deferred import np, npt
from alerting.readings.history import BoolArray, Floats, Millis

Index: TypeAlias = "npt.NDArray[np.int64]"
EMPTY = (0.0, 0.0, 0.0, math.inf, -math.inf, 0.0, 0.0, 0.0)  # the moments of an empty bucket


class Moments(NamedTuple):
    """Per variable and bucket: count, mean, squares around it, extremes; the same of times.

    `t` is the mean sample time in seconds relative to the end of the bucket; `tt` and `tv` are the
    centred sums of squares and products with the values. An empty bucket has count 0, sums 0 and
    extremes +inf and -inf. Each is an array (variables x buckets).
    """

    n: Floats
    mean: Floats
    m2: Floats
    low: Floats
    high: Floats
    t: Floats
    tt: Floats
    tv: Floats

    def take(self, where: slice | Index) -> Moments:
        """Return the moments of some of the buckets."""
        return Moments(*[part[:, where] for part in self])


class BucketRows(NamedTuple):
    """Rows in `size` buckets: bucket and seconds from the end. `alone`: no two share one."""

    size: int
    bucket: Index
    seconds: Floats
    alone: bool


def bucket_rows(times: Millis, start: int, width: int, size: int) -> BucketRows:
    """Assign increasing times to the buckets (start + i·width, start + (i+1)·width]."""
    bucket = (times - (start + 1)) // width
    seconds = (times - (start + (bucket + 1) * width)) / 1000.0
    return BucketRows(size, bucket, seconds, bool(np.all(bucket[1:] != bucket[:-1])))


def bucket_moments(rows: BucketRows, values: Floats, has_value: BoolArray) -> Moments:
    """Sum up the values (variables x rows) of each bucket; missing ones do not count."""
    if rows.alone:
        return _moments_of_single(rows, values, has_value)
    variable, row = np.nonzero(has_value)
    where, runs = run_moments(
        rows.bucket[row] + variable * rows.size, rows.seconds[row], values[has_value] + 0.0
    )
    shape = (len(values), rows.size)
    return Moments(
        *(_spread(run, where, shape, empty) for run, empty in zip(runs, EMPTY, strict=True))
    )


def _moments_of_single(rows: BucketRows, values: Floats, has_value: BoolArray) -> Moments:
    """Return the moments of buckets with one row at most, bit for bit as `run_moments`."""
    where = compact(rows.bucket)
    shape = (len(values), rows.size)
    nothing = np.zeros(shape)
    value = np.where(has_value, values, 0.0) + 0.0

    def spread(part: Floats, empty: float) -> Floats:
        if part.shape == shape:
            return part
        whole = np.full(shape, empty)
        whole[:, where] = part
        return whole

    return Moments(
        spread(has_value.astype(np.float64), 0.0),
        spread(value, 0.0),
        nothing,
        spread(np.where(has_value, value, np.inf), np.inf),
        spread(np.where(has_value, value, -np.inf), -np.inf),
        spread(rows.seconds * has_value, 0.0),
        nothing,
        nothing,
    )


def run_moments(bucket: Index, seconds: Floats, values: Floats) -> tuple[Index, tuple[Floats, ...]]:
    """Sum up runs of values in one bucket: return the buckets, which increase, and their moments.

    The mean is corrected once (two-pass), so that 1e9 ± 1e-3 keeps its spread.
    """
    starts = np.flatnonzero(np.append(True, bucket[1:] != bucket[:-1])[: len(bucket)])
    if not len(starts):
        return bucket, (np.empty(0),) * len(EMPTY)
    n = np.diff(starts, append=len(bucket))
    t = np.add.reduceat(seconds, starts) / n
    t_off = seconds - np.repeat(t, n)
    mean = np.add.reduceat(values, starts) / n
    off = values - np.repeat(mean, n)
    drift = np.add.reduceat(off, starts)
    return bucket[starts], (
        n.astype(np.float64),
        mean + drift / n,
        np.maximum(np.add.reduceat(off * off, starts) - drift * drift / n, 0.0),
        np.minimum.reduceat(values, starts),
        np.maximum.reduceat(values, starts),
        t,
        np.add.reduceat(t_off * t_off, starts),
        np.add.reduceat(off * t_off, starts),
    )


def _spread(runs: Floats, where: Index, shape: tuple[int, int], empty: float) -> Floats:
    whole = np.full(shape, empty)
    whole.ravel()[where] = runs
    return whole


def merge(older: Moments, newer: Moments, shift: float) -> Moments:
    """Merge the moments of neighbouring intervals; `shift`: seconds of the newer.

    Chan, Golub, LeVeque (1979), "Updating formulae and a pairwise algorithm for computing sample
    variances". Results are written over what is not needed any more: most of the time goes into
    memory.
    """
    n = older.n + newer.n
    weight = np.maximum(n, 1.0)
    np.divide(newer.n, weight, out=weight)
    dv = newer.mean - older.mean
    dt = newer.t - older.t
    dt += shift
    mean = dv * weight
    mean += older.mean
    t = dt * weight
    t += older.t
    t -= shift
    weight *= older.n
    weighted = np.multiply(dv, weight)
    m2 = np.multiply(dv, weighted, out=dv)
    m2 += older.m2
    m2 += newer.m2
    tv = np.multiply(weighted, dt, out=weighted)
    tv += older.tv
    tv += newer.tv
    weight *= dt
    tt = np.multiply(weight, dt, out=weight)
    tt += older.tt
    tt += newer.tt
    return Moments(
        n, mean, m2, np.minimum(older.low, newer.low), np.maximum(older.high, newer.high), t, tt, tv
    )


class Ending(NamedTuple):
    """Windows of one length in buckets: the positions of the needed windows among all computed
    windows of this length."""

    length: int
    where: slice | Index


class WindowPositions(NamedTuple):
    """How windows are merged: by length in buckets, the older and the newer part; and the positions
    of the returned windows, `size` of each length."""

    merges: dict[int, tuple[Ending, Ending]]
    returned: tuple[Ending, ...]
    size: int


def window_positions(last: Index, lengths: tuple[int, ...]) -> WindowPositions:
    """Return the windows that must be computed for the windows that end with the buckets `last`."""
    if len(last) == 1:
        return _positions_of_one(int(last[0]), lengths)
    return _positions(last, lengths)


@lru_cache(64)
def _positions_of_one(last: int, lengths: tuple[int, ...]) -> WindowPositions:
    return _positions(np.array([last]), lengths)


def _positions(last: Index, lengths: tuple[int, ...]) -> WindowPositions:
    steps = merge_steps(lengths)
    needed = {length: [last] for length in lengths}
    ends = {}
    for length, (older, newer) in reversed(steps.items()):
        ends[length] = np.unique(np.concatenate(needed[length]))
        needed.setdefault(older, []).append(ends[length] - newer)
        needed.setdefault(newer, []).append(ends[length])

    def ending(length: int, at: Index) -> Ending:
        where = at if length == 1 else np.searchsorted(ends[length], at)
        return Ending(length, compact(where))

    return WindowPositions(
        {
            length: (ending(older, ends[length] - newer), ending(newer, ends[length]))
            for length, (older, newer) in steps.items()
        },
        tuple(ending(length, last) for length in lengths),
        len(last),
    )


def window_moments(buckets: Moments, positions: WindowPositions, width: int) -> Moments:
    """Compute moments of the windows (variables x lengths x windows). `width`: of a bucket
    in ms."""
    by_length = {1: buckets}
    for length, (older, newer) in positions.merges.items():
        by_length[length] = merge(
            by_length[older.length].take(older.where),
            by_length[newer.length].take(newer.where),
            newer.length * width / 1000.0,
        )
    shape = len(buckets.n), len(positions.returned), positions.size
    whole = Moments(*[np.empty(shape) for _ in buckets])
    for number, (length, where) in enumerate(positions.returned):
        for part, column in zip(whole, by_length[length], strict=True):
            part[:, number] = column[:, where]
    return whole


def merge_steps(lengths: tuple[int, ...]) -> dict[int, tuple[int, int]]:
    """Return, for each length, the two lengths from which it is merged, the older first: lengths
    are doubled while they fit."""
    steps: dict[int, tuple[int, int]] = {}

    def add(length: int) -> None:
        longest = max(n for n in (1, *steps) if n <= length)
        while 2 * longest <= length:
            steps[2 * longest] = (longest, longest)
            longest *= 2
        if longest < length:
            add(length - longest)
            steps[length] = (longest, length - longest)

    for length in sorted(lengths):
        add(length)
    return steps


def compact(where: Index) -> slice | Index:
    """Return increasing positions as a slice where they are neighbours: a view, no copy."""
    if not len(where):
        return where
    first = int(where[0])
    end = int(where[-1]) + 1
    return slice(first, end) if end - first == len(where) else where


def mean(m: Moments, out: Floats) -> None:
    """Write the mean; NaN without samples. It lies within the extremes."""
    np.minimum(m.mean, m.high, out=out)
    np.maximum(out, m.low, out=out)
    _leave_out(m, 1, out)


def std(m: Moments, out: Floats) -> None:
    """Write the sample standard deviation; NaN below two samples, 0 for a constant."""
    np.subtract(m.n, 1.0, out=out)
    np.maximum(out, 1.0, out=out)
    np.divide(m.m2, out, out=out)
    np.sqrt(out, out=out)
    _leave_out(m, 2, out, constant=0.0)


def low(m: Moments, out: Floats) -> None:
    """Write the smallest value; NaN without samples."""
    np.copyto(out, m.low)
    _leave_out(m, 1, out)


def high(m: Moments, out: Floats) -> None:
    """Write the largest value; NaN without samples."""
    np.copyto(out, m.high)
    _leave_out(m, 1, out)


def slope(m: Moments, out: Floats) -> None:
    """Write the least-squares slope per hour; NaN below two samples, 0 for a constant."""
    with np.errstate(invalid="ignore", divide="ignore"):
        np.divide(m.tv, m.tt, out=out)
    out *= 3600.0
    _leave_out(m, 2, out, constant=0.0)


def _leave_out(m: Moments, least: int, out: Floats, constant: float | None = None) -> None:
    """Write `constant` where all values are the same, NaN for fewer than `least`."""
    if constant is not None:
        out[m.low == m.high] = constant
    if m.n.min(initial=least) < least:
        out[m.n < least] = np.nan
