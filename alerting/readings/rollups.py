"""Rollups: buckets of a minute or an hour, packed into bytes for each hour of time.

They hold all that buckets hold, exactly: numbers as float64, stamps as milliseconds after the
beginning of their bucket.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from alerting.deferred import np
from alerting.definitions.assets import Asset
from alerting.readings.buckets import HOUR, MINUTE, Buckets, no_buckets
from alerting.readings.history import NO_TIME

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
    """The time [start, end) (ms, whole hours) of which a variable has rollups. `basis`: of what in
    the asset's document they were made."""

    basis: str
    start: int
    end: int


@dataclass(frozen=True)
class RollupState:
    """Rolled-up times of an asset, by variable. `stale`: times (ms, whole hours) with later
    readings; `arrivals`: arrival records that are in it already."""

    asset: str
    spans: Mapping[str, RolledInterval]
    stale: tuple[Interval, ...] = ()
    arrivals: tuple[str, ...] = ()

    def covered(self, asset: Asset, variable: str, start: int, end: int) -> list[Interval]:
        """Return the times of [start, end) of which the rollups of a variable are true."""
        span = self.spans.get(variable)
        if span is None or span.basis != basis_of(asset, variable):
            return []
        first = max(start, span.start)
        last = min(end, span.end)
        return subtract([(first, last)], self.stale) if first < last else []


def basis_of(asset: Asset, variable: str) -> str:
    """Return a hash of all in an asset's document by which values of a variable are good or bad, or
    computed: with another one, its rollups are made again."""
    found = []
    for name in sorted(asset.with_parts([variable])):
        declared = asset.variables.get(name)
        if declared is not None:
            of = declared.model_dump(mode="json", include={"type", "low", "high", "computed"})
            found.append([name, of])
    return hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()[:16]


def subtract(spans: Iterable[Interval], without: Iterable[Interval]) -> list[Interval]:
    """Return what is left of times after others are taken out, in their order."""
    left = list(spans)
    for start, end in without:
        parts = [((a, min(b, start)), (max(a, end), b)) for a, b in left]
        left = [(a, b) for pair in parts for a, b in pair if a < b]
    return left


def merge_intervals(spans: Iterable[Interval]) -> tuple[Interval, ...]:
    """Return times as few, in order, that do not touch."""
    found: list[Interval] = []
    for start, end in sorted(spans):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return tuple(found)


def pack(buckets: Buckets, size: RollupSize, start: int, end: int) -> dict[int, bytes]:
    """Return the buckets of each hour of [start, end) (ms, whole hours) as bytes, by its beginning;
    none of an hour without a sample."""
    of = buckets.select(start, end)
    good = of.count > 0
    records = np.zeros(len(of.start), _record(size))
    records["position"] = of.start % HOUR // MINUTE
    for name in ("low", "high", "total", *_COUNTS):
        records[name] = getattr(of, name)
    for name in ("first", "last"):
        records[name] = np.where(good, getattr(of, name) - of.start, 0)
    records["gap_start"] = np.where(of.gap > 0, of.gap_start - of.start, 0)
    hours = np.arange(start, end, HOUR)
    edges = np.searchsorted(of.start, np.append(hours, end)).tolist()
    return {
        hour: records[first:last].tobytes()
        for hour, first, last in zip(hours.tolist(), edges[:-1], edges[1:], strict=True)
    }


def unpack(parts: Mapping[int, bytes], size: RollupSize) -> Buckets:
    """Return packed buckets of hours, by their beginning, in order."""
    if not parts:
        return no_buckets()
    record = _record(size)
    in_order = sorted(parts)
    packed = list(map(parts.__getitem__, in_order))
    records = np.frombuffer(b"".join(packed), record)
    lengths = np.array(list(map(len, packed)), np.int64) // record.itemsize
    hours = np.repeat(np.array(in_order, np.int64), lengths)
    start = hours + records["position"].astype(np.int64) * MINUTE
    count, bad, gap = (records[name].astype(np.int64) for name in _COUNTS)
    first, last, gap_start = (start + records[name] for name in _STAMPS)
    return Buckets(
        start,
        records["low"].astype(np.float64),
        records["high"].astype(np.float64),
        records["total"].astype(np.float64),
        count,
        bad,
        np.where(count > 0, first, NO_TIME),
        np.where(count > 0, last, NO_TIME),
        np.where(gap > 0, gap_start, 0),
        gap,
    )
