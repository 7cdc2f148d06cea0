"""Measure how long work stood still although everything it needs was up: starvation, as opposed to an outage."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

Intervals = list[tuple[float, float]]
Note = Mapping[str, Any]

LONGEST_STANDSTILL_S = 20.0
"""Longest time in which neither a round ends nor a delivery while all that is needed is up: the time-outs of one attempt and of
the database. A long round that delivers a backlog makes progress."""
LONGEST_DELIVERY_S = 30.0
"""Longest time from due to delivered at the first attempt while database, a notifier and the receiver are up: a round or two."""
SLOWEST_DELIVERY_S = 0.5
"""A receiver answers within 0.2 s; the drawing of an e-mail takes as long again."""
CLAIM_S = 120.0
LONGEST_PAUSE_S = 600.0


def longest_delivery_s(attempts: int, speed: float, ahead: int = 0) -> float:
    """Longest time that a delivery may take which was attempted so often: after each attempt that failed, the claim of a process
    that died, or the pause before the next one, whichever is longer (both are times of the plant); and its place in a backlog.
    `ahead`: deliveries that ended while it waited.
    """
    pauses = (max(CLAIM_S, 1.25 * min(5.0 * 2 ** (k - 1), LONGEST_PAUSE_S)) for k in range(1, attempts))
    return LONGEST_DELIVERY_S + sum(pauses) / speed + ahead * SLOWEST_DELIVERY_S


@dataclass(frozen=True)
class Health:
    """Return the spans in which each process was neither killed nor frozen (s since 1970), from what the storm noted."""

    up: Mapping[str, Intervals]

    @classmethod
    def of(cls, storm: Iterable[Note], parts: Sequence[str], start: float, end: float) -> "Health":
        up: dict[str, Intervals] = {name: [] for name in parts}
        since: dict[str, float | None] = dict.fromkeys(parts, start)
        for note in storm:
            name, began = note["of"], since[note["of"]]
            if note["what"] == "back":
                since[name] = note["t"]
            elif began is not None:
                up[name].append((began, note["t"]))
                since[name] = None
        for name, began in since.items():
            if began is not None:
                up[name].append((began, end))
        return cls(up)

    def healthy(self, needed: Sequence[Sequence[str]]) -> Intervals:
        """Times in which of each group at least one process was up."""
        common = union([i for name in needed[0] for i in self.up[name]])
        for group in needed[1:]:
            common = intersection(common, union([i for name in group for i in self.up[name]]))
        return common


def union(intervals: Intervals) -> Intervals:
    """The same times as disjoint intervals in order."""
    found: Intervals = []
    for start, end in sorted(intervals):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return found


def intersection(a: Intervals, b: Intervals) -> Intervals:
    """Times that lie in both."""
    pairs = ((max(s, u), min(e, v)) for s, e in a for u, v in b)
    return sorted((start, end) for start, end in pairs if start < end)


def time_within(intervals: Intervals, start: float, end: float) -> float:
    """Seconds of [start, end] that lie in the intervals."""
    return sum(max(0.0, min(e, end) - max(s, start)) for s, e in intervals)


def longest_healthy_gap(rounds: Sequence[float], healthy: Intervals) -> float:
    """The most healthy seconds between two consecutive instants of progress."""
    return max((time_within(healthy, a, b) for a, b in pairwise(rounds)), default=0.0)
