"""Statistics over sliding windows of irregular samples, the same bit for bit for any set of instants computed together.

Time is cut into buckets of one width, on whose borders all evaluated instants lie; each bucket is summed up once, around
its own mean, and windows are merged from whole buckets in an order that depends on the window's length alone. So a value
depends on nothing but the samples inside its window, and large values with small noise lose nothing to cancellation.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from alerting.readings.history import Millis

Floats = npt.NDArray[np.float64]
BUCKETS_AT_ONCE = 1 << 14  # one statistic of this number of buckets stays in the processor's cache


class Moments(NamedTuple):
    """Per bucket: count, mean, sum of squares around the mean, extremes; and the same of the sample times.

    `t` is the mean sample time in seconds relative to the end of the bucket; `tt` and `tv` are the centred sums of
    squares and products with the values. An empty bucket has count 0, sums 0 and extremes +inf and -inf.
    """

    n: Floats
    mean: Floats
    m2: Floats
    low: Floats
    high: Floats
    t: Floats
    tt: Floats
    tv: Floats

    def take(self, where: slice | npt.NDArray[np.int64]) -> "Moments":
        """Return the moments of some of the buckets."""
        return Moments(*(part[where] for part in self))


class Buckets(NamedTuple):
    """`size` buckets: those with samples, the start and length of their runs of samples, and moments of the sample times."""

    size: int
    which: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]
    n: npt.NDArray[np.int64]
    t: Floats
    t_off: Floats
    tt: Floats


def bucket_index(times: Millis, start: int, width: int) -> tuple[npt.NDArray[np.int64], Floats]:
    """Return the number of the bucket (start + i·width, start + (i+1)·width] of each time, and its seconds from the end."""
    bucket = (times - (start + 1)) // width
    return bucket, (times - (start + (bucket + 1) * width)) / 1000.0


def find_runs(bucket: npt.NDArray[np.int64], seconds: Floats, size: int) -> Buckets:
    """Find the runs of samples in the same bucket, from the increasing buckets and the seconds of `bucket_index`."""
    if not len(bucket):
        return Buckets(size, bucket, bucket, bucket, seconds, seconds, seconds)
    starts = np.concatenate(([0], np.flatnonzero(bucket[1:] != bucket[:-1]) + 1))
    n = np.diff(starts, append=len(bucket))
    t = np.add.reduceat(seconds, starts) / n
    t_off = seconds - np.repeat(t, n)
    return Buckets(size, bucket[starts], starts, n, t, t_off, np.add.reduceat(t_off * t_off, starts))


def bucket_moments(buckets: Buckets, values: Floats) -> Moments:
    """Sum up the values of each bucket. The mean is corrected once (two-pass), so that 1e9 ± 1e-3 keeps its spread."""
    size, starts, n = buckets.size, buckets.starts, buckets.n
    if not len(starts):
        nothing = np.zeros(size)
        return Moments(nothing, nothing, nothing, np.full(size, np.inf), np.full(size, -np.inf), nothing, nothing, nothing)
    mean = np.add.reduceat(values, starts) / n
    off = values - np.repeat(mean, n)
    drift = np.add.reduceat(off, starts)
    m2 = np.maximum(np.add.reduceat(off * off, starts) - drift * drift / n, 0.0)
    parts = (
        (n.astype(np.float64), 0.0),
        (mean + drift / n, 0.0),
        (m2, 0.0),
        (np.minimum.reduceat(values, starts), np.inf),
        (np.maximum.reduceat(values, starts), -np.inf),
        (buckets.t, 0.0),
        (buckets.tt, 0.0),
        (np.add.reduceat(off * buckets.t_off, starts), 0.0),
    )
    if len(starts) == size:
        return Moments(*(part for part, _ in parts))
    return Moments(*(_spread(part, buckets.which, size, empty) for part, empty in parts))


def merge(older: Moments, newer: Moments, shift: float) -> Moments:
    """Merge the moments of two neighbouring intervals; `shift` is the length of the newer in seconds.

    Chan, Golub, LeVeque (1979), "Updating formulae and a pairwise algorithm for computing sample variances".
    """
    n = older.n + newer.n
    weight = newer.n / np.maximum(n, 1.0)
    cross = older.n * weight
    dv = newer.mean - older.mean
    t = older.t - shift
    dt = newer.t - t
    return Moments(
        n,
        older.mean + dv * weight,
        older.m2 + newer.m2 + dv * dv * cross,
        np.minimum(older.low, newer.low),
        np.maximum(older.high, newer.high),
        t + dt * weight,
        older.tt + newer.tt + dt * dt * cross,
        older.tv + newer.tv + dt * dv * cross,
    )


def window_moments(buckets: Moments, last: npt.NDArray[np.int64], lengths: tuple[int, ...], width: int) -> list[Moments]:
    """Compute moments of the windows that end with the buckets `last`, for each length (in buckets, at most last + 1).

    Powers of two are built by doubling; a window is merged from its binary parts, the oldest and longest first.
    """
    powers = [buckets]
    for _ in range(1, max(lengths).bit_length()):
        half = 1 << (len(powers) - 1)
        powers.append(merge(powers[-1].take(slice(None, -half)), powers[-1].take(slice(half, None)), half * width / 1000.0))
    return [_from_binary_parts(powers, last - length + 1, length, width) for length in lengths]


def _from_binary_parts(powers: list[Moments], first: npt.NDArray[np.int64], length: int, width: int) -> Moments:
    longest, *rest = (power for power in reversed(range(length.bit_length())) if length >> power & 1)
    done, at = powers[longest].take(_compact(first)), first + (1 << longest)
    for power in rest:
        done = merge(done, powers[power].take(_compact(at)), (1 << power) * width / 1000.0)
        at = at + (1 << power)
    return done


def _compact(where: npt.NDArray[np.int64]) -> slice | npt.NDArray[np.int64]:
    """Return the same positions as a slice where they are neighbours: a view instead of a copy."""
    first, end = int(where[0]), int(where[-1]) + 1
    return slice(first, end) if end - first == len(where) else where


def _spread(part: Floats, which: npt.NDArray[np.int64], size: int, empty: float) -> Floats:
    whole = np.full(size, empty)
    whole[which] = part
    return whole


def mean(m: Moments) -> Floats:
    """Return the mean; NaN without samples. It is never outside the extremes, so it is exact for a constant."""
    return np.where(m.n > 0, np.clip(m.mean, m.low, m.high), np.nan)


def std(m: Moments) -> Floats:
    """Return the sample standard deviation; NaN with fewer than two samples, exactly 0 for a constant."""
    spread = np.sqrt(m.m2 / np.maximum(m.n - 1.0, 1.0))
    return np.where(m.n > 1, np.where(m.low == m.high, 0.0, spread), np.nan)


def low(m: Moments) -> Floats:
    """Return the smallest value; NaN without samples."""
    return np.where(m.n > 0, m.low, np.nan)


def high(m: Moments) -> Floats:
    """Return the largest value; NaN without samples."""
    return np.where(m.n > 0, m.high, np.nan)


def slope(m: Moments) -> Floats:
    """Return the least-squares slope per hour; NaN with fewer than two samples, exactly 0 for a constant."""
    per_second = m.tv / np.where(m.n > 1, m.tt, 1.0)
    return np.where(m.n > 1, np.where(m.low == m.high, 0.0, per_second * 3600.0), np.nan)
