"""Samples of one variable in buckets of time: extremes, sum, counts, first and last stamp, and the
largest gap; and rollups: buckets of a minute or an hour, packed into bytes by the hour.

A sample is a bucket of one instant, and buckets of any width merge into wider ones, so the buckets
of an interval do not depend on how it was cut before. Rollups hold the content of buckets exactly:
numbers as float64, stamps as milliseconds after the beginning of their bucket.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, Literal

from alerting.deferred import np, npt
from alerting.definitions.asset_documents import Asset
from alerting.readings.history import FAR_FUTURE, NO_TIME, Floats, Millis, find_members, in_range

MINUTE = 60_000
HOUR = 60 * MINUTE
_GAP_SAMPLES = 10
"""Usual times between two samples without one that are a gap; the chart of an episode breaks its
line there, too."""


@dataclass(frozen=True)
class Buckets:
    """Buckets with at least one sample, by `start` (ms, increasing).

    `low`, `high` and `total`: of the good samples, of which there are `count`; `bad`: number of
    other samples, which are of bad quality, not finite, or outside the engineering range. `first`
    and `last`: stamps of the first and last good sample. `gap`: the longest time (ms) between two
    good samples of the bucket, which begins at `gap_start`. Without a good sample `low` and `high`
    are NaN, and the stamps NO_TIME.
    """

    start: Millis
    low: Floats
    high: Floats
    total: Floats
    count: Millis
    bad: Millis
    first: Millis
    last: Millis
    gap_start: Millis
    gap: Millis

    def take(self, rows: npt.NDArray[np.bool_] | Millis | slice) -> Buckets:
        """Return the buckets of these rows."""
        return Buckets(*(getattr(self, field.name)[rows] for field in fields(self)))

    def select(self, start: int, end: int) -> Buckets:
        """Return the buckets that begin in [start, end)."""
        first, last = np.searchsorted(self.start, [start, end])
        return self.take(slice(int(first), int(last)))

    def has_good(self) -> Buckets:
        """Return a mask of the buckets with a good sample."""
        return self.take(self.count > 0)


def sample_buckets(asset: Asset, variable: str, ts: Millis, values: Floats, bad: Millis) -> Buckets:
    """Return each sample of a numeric variable as a bucket. `bad`: instants (ms) of samples of bad
    quality."""
    is_bad = find_members(ts, bad)
    present = ~np.isnan(values) | is_bad
    at = ts[present]
    sound = in_range(asset, variable, values[present])
    good = np.isfinite(sound) & ~is_bad[present]
    number = np.where(good, sound, np.nan)
    stamp = np.where(good, at, NO_TIME)
    count = good.astype(np.int64)
    none = np.zeros(len(at), np.int64)
    total = np.where(good, sound, 0.0)
    return Buckets(at, number, number, total, count, 1 - count, stamp, stamp, none, none)


def join_buckets(pieces: Iterable[Buckets]) -> Buckets:
    """Return the buckets of consecutive pieces as one object."""
    columns = [vars(piece).values() for piece in pieces]
    if not columns:
        return no_buckets()
    return Buckets(*(np.concatenate(parts) for parts in zip(*columns, strict=True)))


def merge_buckets(buckets: Buckets, width: int) -> Buckets:
    """Merge buckets into wider ones of this width (ms), which begin at multiples of the width."""
    if not len(buckets.start):
        return buckets
    start = buckets.start // width * width
    heads = np.flatnonzero(np.diff(start, prepend=start[0] - 1))
    has_good = buckets.count > 0
    first = np.minimum.reduceat(np.where(has_good, buckets.first, FAR_FUTURE), heads)
    gap_start, gap = _largest_gaps(buckets, heads)
    count = np.add.reduceat(buckets.count, heads)
    return Buckets(
        start[heads],
        np.fmin.reduceat(buckets.low, heads),
        np.fmax.reduceat(buckets.high, heads),
        np.add.reduceat(buckets.total, heads),
        count,
        np.add.reduceat(buckets.bad, heads),
        np.where(count > 0, first, NO_TIME),
        np.maximum.reduceat(buckets.last, heads),
        gap_start,
        gap,
    )


def _largest_gaps(buckets: Buckets, heads: Millis) -> tuple[Millis, Millis]:
    """Return start and length of the longest time between good samples, within the rows from each
    head to the next."""
    group = np.zeros(len(buckets.start), np.int64)
    group[heads] = 1
    group = np.cumsum(group) - 1
    good = np.flatnonzero(buckets.count > 0)
    starts = np.zeros(len(heads), np.int64)
    lengths = np.zeros(len(heads), np.int64)
    if not len(good):
        return starts, lengths
    follows = np.flatnonzero(group[good][1:] == group[good][:-1])
    before = good[follows]
    after = good[follows + 1]
    which = np.concatenate([group[before], group[good]])
    begin = np.concatenate([buckets.last[before], buckets.gap_start[good]])
    length = np.concatenate([buckets.first[after] - buckets.last[before], buckets.gap[good]])
    # of each group the longest comes last, and of equally long ones the earliest
    order = np.lexsort((-begin, length, which))
    last = np.flatnonzero(np.diff(which[order], append=len(heads)))
    starts[which[order][last]] = begin[order][last]
    lengths[which[order][last]] = length[order][last]
    starts[lengths == 0] = 0
    return starts, lengths


def without_good(buckets: Buckets, intervals: Iterable[tuple[int, int]], width: int) -> Buckets:
    """Return buckets of a width (ms); in those that lie within one of the intervals (ms), every
    sample counts as bad."""
    inside = np.zeros(len(buckets.start), np.bool_)
    for start, end in intervals:
        inside |= (buckets.start >= start) & (buckets.start + width <= end)
    if not inside.any():
        return buckets
    return Buckets(
        buckets.start,
        np.where(inside, np.nan, buckets.low),
        np.where(inside, np.nan, buckets.high),
        np.where(inside, 0.0, buckets.total),
        np.where(inside, 0, buckets.count),
        np.where(inside, buckets.bad + buckets.count, buckets.bad),
        np.where(inside, NO_TIME, buckets.first),
        np.where(inside, NO_TIME, buckets.last),
        np.where(inside, 0, buckets.gap_start),
        np.where(inside, 0, buckets.gap),
    )


def gap_limit(buckets: Buckets, declared: int | None) -> int | None:
    """Return the time (ms) without a good sample from which on it is a gap: ten times the usual
    time between two samples.

    `declared`: the usual time, if it is stated. None if there are too few samples to tell.
    """
    if declared:
        return _GAP_SAMPLES * declared
    good = buckets.has_good()
    several = good.count > 1
    within = (good.last - good.first)[several] / (good.count[several] - 1)
    apart = within if len(within) * 2 > len(good.start) else good.first[1:] - good.last[:-1]
    return None if not len(apart) else max(1, int(_GAP_SAMPLES * np.median(apart)))


def find_gaps(buckets: Buckets, start: int, end: int, limit: int | None) -> Millis:
    """Return the gaps in [start, end] that are longer than a limit (ms), as rows of two instants;
    the whole interval if it has no good sample.

    Of several gaps within one bucket, only the longest is found.
    """
    good = buckets.has_good()
    if not len(good.start):
        return np.array([[start, end]], np.int64)
    if limit is None:
        return np.empty((0, 2), np.int64)
    begin = np.concatenate([[start], good.last, good.gap_start])
    until = np.concatenate([good.first, [end], good.gap_start + good.gap])
    long = until - begin > limit
    rows = np.stack([begin[long], until[long]], axis=1)
    gaps: Millis = rows[np.argsort(rows[:, 0], kind="stable")]
    return gaps


def find_bad(buckets: Buckets, width: int, end: int) -> Millis:
    """Return the times with samples that are not good, as rows of two instants (ms). With a width
    these are whole buckets; for samples (width 0) each lasts until the next good sample, or
    `end`."""
    is_bad = buckets.bad > 0
    heads = np.flatnonzero(np.diff(is_bad.astype(np.int64), prepend=0) == 1)
    if not len(heads):
        return np.empty((0, 2), np.int64)
    tails = np.flatnonzero(np.diff(is_bad.astype(np.int64), append=0) == -1)
    until = buckets.start[tails] + width
    if not width:
        until = np.append(buckets.start, end)[tails + 1]
    rows: Millis = np.stack([buckets.start[heads], until], axis=1)
    return rows


@cache
def no_buckets() -> Buckets:
    """Return no buckets."""
    none: Millis = np.empty(0, np.int64)
    numbers: Floats = np.empty(0, np.float64)
    return Buckets(*(none, numbers, numbers, numbers, none, none, none, none, none, none))


RollupSize = Literal["minutes", "hours"]
WIDTHS: Mapping[RollupSize, int] = {"minutes": MINUTE, "hours": HOUR}
Interval = tuple[int, int]
_STAMPS = ("first", "last", "gap_start")
_COUNTS = ("count", "bad", "gap")


@cache
def _record(size: str) -> np.dtype[Any]:
    # at most 60,000 milliseconds, and so many samples, are in a minute
    unit = "<u2" if size == "minutes" else "<u4"
    numbers = [(name, "<f8") for name in ("low", "high", "total")]
    return np.dtype(
        [("position", "u1"), *numbers, *((name, unit) for name in (*_COUNTS, *_STAMPS))]
    )


@dataclass(frozen=True)
class RolledInterval:
    """A time [start, end) (ms, whole hours) for which a variable has rollups. `basis`: hash of the
    parts of the asset's document on which they rest (`basis_of`)."""

    basis: str
    start: int
    end: int


@dataclass(frozen=True)
class RollupState:
    """Rolled-up times of an asset, by variable. `stale`: times (ms, whole hours) with readings
    written since; `arrivals`: arrival records that `stale` includes already."""

    asset: str
    spans: Mapping[str, RolledInterval]
    stale: tuple[Interval, ...] = ()
    arrivals: tuple[str, ...] = ()

    def covered(self, asset: Asset, variable: str, start: int, end: int) -> list[Interval]:
        """Return the parts of [start, end) for which the rollups of a variable are valid."""
        span = self.spans.get(variable)
        if span is None or span.basis != basis_of(asset, variable):
            return []
        first = max(start, span.start)
        last = min(end, span.end)
        return subtract([(first, last)], self.stale) if first < last else []


def basis_of(asset: Asset, variable: str) -> str:
    """Return a hash of all parts of an asset's document that decide how a variable is computed, and
    which of its values are good. If the hash changes, its rollups are made again."""
    contents = []
    for name in sorted(asset.with_parts([variable])):
        declared = asset.variables.get(name)
        if declared is not None:
            content = declared.model_dump(mode="json", include={"type", "low", "high", "computed"})
            contents.append([name, content])
    return hashlib.sha256(json.dumps(contents, sort_keys=True).encode()).hexdigest()[:16]


def subtract(spans: Iterable[Interval], without: Iterable[Interval]) -> list[Interval]:
    """Return the parts of intervals that are not in other intervals, in their order."""
    remaining = list(spans)
    for start, end in without:
        parts = [((a, min(b, start)), (max(a, end), b)) for a, b in remaining]
        remaining = [(a, b) for pair in parts for a, b in pair if a < b]
    return remaining


def merge_intervals(spans: Iterable[Interval]) -> tuple[Interval, ...]:
    """Merge intervals that touch; return them in order."""
    merged: list[Interval] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return tuple(merged)


def pack(buckets: Buckets, size: RollupSize, start: int, end: int) -> dict[int, bytes]:
    """Return the buckets of each hour of [start, end) (ms, whole hours) as bytes, by the beginning
    of the hour; an hour without a sample is absent."""
    selected = buckets.select(start, end)
    good = selected.count > 0
    records = np.zeros(len(selected.start), _record(size))
    records["position"] = selected.start % HOUR // MINUTE
    for name in ("low", "high", "total", *_COUNTS):
        records[name] = getattr(selected, name)
    for name in ("first", "last"):
        records[name] = np.where(good, getattr(selected, name) - selected.start, 0)
    records["gap_start"] = np.where(selected.gap > 0, selected.gap_start - selected.start, 0)
    hours = np.arange(start, end, HOUR)
    edges = np.searchsorted(selected.start, np.append(hours, end)).tolist()
    return {
        hour: records[first:last].tobytes()
        for hour, first, last in zip(hours.tolist(), edges[:-1], edges[1:], strict=True)
    }


def unpack(parts: Mapping[int, bytes], size: RollupSize) -> Buckets:
    """Return the buckets in packed hours, which are given by their beginning, in order."""
    if not parts:
        return no_buckets()
    record = _record(size)
    in_order = sorted(parts)
    packed = list(map(parts.__getitem__, in_order))
    records = np.frombuffer(b"".join(packed), record)
    lengths = np.array(list(map(len, packed)), np.int64) // record.itemsize
    hours = np.repeat(np.array(in_order, np.int64), lengths)
    start = hours + records["position"].astype(np.int64) * MINUTE
    count = records["count"].astype(np.int64)
    gap = records["gap"].astype(np.int64)
    return Buckets(
        start,
        records["low"].astype(np.float64),
        records["high"].astype(np.float64),
        records["total"].astype(np.float64),
        count,
        records["bad"].astype(np.int64),
        np.where(count > 0, start + records["first"], NO_TIME),
        np.where(count > 0, start + records["last"], NO_TIME),
        np.where(gap > 0, start + records["gap_start"], 0),
        gap,
    )
