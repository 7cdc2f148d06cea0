"""Half-open intervals [from, to): merged, what lies between them, what two lists share."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

Interval = tuple[datetime, datetime]


def merge(intervals: Iterable[Interval], start: datetime, end: datetime) -> list[Interval]:
    """Return the intervals within [start, end), sorted; those that touch or overlap become one."""
    merged: list[Interval] = []
    for a, b in sorted(intervals):
        begin = max(a, start)
        stop = min(b, end)
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], stop))
        elif stop > begin:
            merged.append((begin, stop))
    return merged


def find_gaps(intervals: Sequence[Interval], start: datetime, end: datetime) -> list[Interval]:
    """Return the intervals of [start, end) between merged ones."""
    edges = [start, *(t for interval in intervals for t in interval), end]
    return [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if b - a > timedelta(0)]


def intersection(one: Sequence[Interval], other: Sequence[Interval]) -> list[Interval]:
    """Return the times that lie in both lists, sorted. Within a list, intervals do not overlap."""
    shared = ((max(a, c), min(b, d)) for a, b in one for c, d in other)
    return sorted((begin, stop) for begin, stop in shared if stop > begin)


def length(intervals: Iterable[Interval]) -> timedelta:
    """Return the length of all intervals together."""
    return sum((b - a for a, b in intervals), timedelta(0))
