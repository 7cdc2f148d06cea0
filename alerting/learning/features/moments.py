"""Samples summed up in buckets, and the order in which windows are merged from buckets.

Time is cut into buckets of one width, on whose borders all evaluated instants lie; each bucket is
summed up once, around its own mean, and windows are merged from whole buckets in an order that
depends on the window's length alone (`compiled.py`). So a value depends on nothing but the samples
inside its window, bit for bit, and large values with small noise lose nothing to cancellation.

The moments of a bucket or window are eight numbers: count, mean, squares around it, extremes; mean
time in seconds relative to its end, squares around that, products of both. Without samples the
extremes are +inf and -inf, the others 0.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple, TypeAlias

from alerting.deferred import np, npt
from alerting.readings.history import Floats, Millis

Index: TypeAlias = "npt.NDArray[np.int64]"


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


class BucketRuns(NamedTuple):
    """What the buckets of several numbers hold, one number after the other.

    `where`: the buckets, which increase in each number. `runs`: their moments (buckets x 8), or a
    value and its seconds (buckets x 2) if each has one row. `begins`: where each number begins, and
    the end (numbers + 1).
    """

    where: Index
    runs: Floats
    begins: Index


def sum_up(rows: BucketRows, values: Floats) -> BucketRuns:
    """Sum up the finite values (numbers x rows) of each bucket."""
    if rows.alone:
        pairs = np.stack([values, np.broadcast_to(rows.seconds, values.shape)], axis=2)
        begins = np.arange(len(values) + 1) * len(rows.bucket)
        return BucketRuns(np.tile(rows.bucket, len(values)), pairs.reshape(-1, 2), begins)
    finite = np.flatnonzero(np.isfinite(values))
    first = np.arange(len(values) + 1) * rows.size
    where, runs = _run_moments(
        (rows.bucket + first[:-1, None]).ravel()[finite],
        np.tile(rows.seconds, len(values))[finite],
        values.ravel()[finite] + 0.0,
    )
    return BucketRuns(where % rows.size, runs, np.searchsorted(where, first))


def _run_moments(bucket: Index, seconds: Floats, values: Floats) -> tuple[Index, Floats]:
    """Sum up runs of values in one bucket: return the buckets and their moments (buckets x 8).

    The mean is corrected once (two-pass), so that 1e9 ± 1e-3 keeps its spread.
    """
    starts = np.flatnonzero(np.append(True, bucket[1:] != bucket[:-1])[: len(bucket)])
    if not len(starts):
        return bucket, np.empty((0, 8))
    n = np.diff(starts, append=len(bucket))
    t = np.add.reduceat(seconds, starts) / n
    t_off = seconds - np.repeat(t, n)
    mean = np.add.reduceat(values, starts) / n
    off = values - np.repeat(mean, n)
    drift = np.add.reduceat(off, starts)
    moments = (
        n,
        mean + drift / n,
        np.maximum(np.add.reduceat(off * off, starts) - drift * drift / n, 0.0),
        np.minimum.reduceat(values, starts),
        np.maximum.reduceat(values, starts),
        t,
        np.add.reduceat(t_off * t_off, starts),
        np.add.reduceat(off * t_off, starts),
    )
    return bucket[starts], np.stack(moments, axis=1)


@lru_cache(64)
def merge_steps(lengths: tuple[int, ...]) -> tuple[dict[int, int], Index]:
    """Return the position of the window of each length, in buckets; and how each but the first,
    which is the bucket, is merged (steps x 3): from which older and newer window, and the newer's
    length. Lengths are doubled while they fit."""
    windows = {1: 0}
    steps: list[tuple[int, int, int]] = []

    def merge(older: int, newer: int) -> None:
        steps.append((windows[older], windows[newer], newer))
        windows[older + newer] = len(steps)

    def add(length: int) -> None:
        longest = max(n for n in windows if n <= length)
        while 2 * longest <= length:
            merge(longest, longest)
            longest *= 2
        if longest < length:
            add(length - longest)
            merge(longest, length - longest)

    for length in sorted(lengths):
        add(length)
    return windows, np.array(steps, np.int64).reshape(-1, 3)
