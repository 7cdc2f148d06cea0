"""Measure how long work stood still although everything it needs was up: starvation, as opposed to
an outage.

A machine that gives the processes too little of its processors starves them, which is no fault of
the platform: the kernel says how long each was ready to run and did not run, and that time does not
count against the platform.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

Intervals = list[tuple[float, float]]
Note = Mapping[str, Any]

LONGEST_STANDSTILL_S = 20.0
"""Longest time in which neither a round ends nor a delivery while all that is needed is up: the
time-outs of one attempt and of the database. A long round that delivers a backlog makes progress.
"""
LONGEST_DELIVERY_S = 30.0
"""Longest time from due to delivered at the first attempt while database, a notifier and the
receiver are up: a round or two."""
SLOWEST_DELIVERY_S = 0.5
"""A receiver answers within 0.2 s; the drawing of an e-mail takes as long again."""
CLAIM_S = 120.0
LONGEST_PAUSE_S = 600.0


def longest_delivery_s(attempts: int, speed: float, ahead: int = 0) -> float:
    """Longest time that a delivery may take which was attempted so often: after each attempt that
    failed, the claim of a process that died, or the pause before the next one, whichever is longer
    (both are times of the plant); and its place in a backlog. `ahead`: deliveries that ended while
    it waited."""
    pauses = (
        max(CLAIM_S, 1.25 * min(5.0 * 2 ** (k - 1), LONGEST_PAUSE_S)) for k in range(1, attempts)
    )
    return LONGEST_DELIVERY_S + sum(pauses) / speed + ahead * SLOWEST_DELIVERY_S


@dataclass(frozen=True)
class Health:
    """Return the spans in which each process was neither killed nor frozen (s since 1970), from
    what the storm noted."""

    up: Mapping[str, Intervals]

    @classmethod
    def from_storm(
        cls, storm: Iterable[Note], parts: Sequence[str], start: float, end: float
    ) -> "Health":
        up: dict[str, Intervals] = {name: [] for name in parts}
        since: dict[str, float | None] = dict.fromkeys(parts, start)
        for note in storm:
            name = note["of"]
            began = since[note["of"]]
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


def waited_for_processor(pid: int) -> float:
    """Seconds in which threads of this process were ready to run and the machine ran others, since
    they began."""
    total = 0
    for thread in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        try:
            total += int(thread.read_text().split()[1])
        except (OSError, IndexError):  # it has ended, or the kernel does not count
            continue
    return total / 1e9


@dataclass(frozen=True)
class ProcessorWaits:
    """How long processes waited for a processor. `samples`: notes with `waits`, process number and
    seconds of each part."""

    samples: Sequence[Note]

    def seconds_waited(self, parts: Iterable[str], start: float, end: float) -> float:
        """Seconds of [start, end] in which one of these parts waited for a processor, at most all
        of them."""
        return sum(
            time_within([(a["t"], b["t"])], start, end)
            / (b["t"] - a["t"])
            * self._waited(parts, a, b)
            for a, b in pairwise(self.samples)
            if a["t"] < end and b["t"] > start and b["t"] > a["t"]
        )

    def _waited(self, parts: Iterable[str], a: Note, b: Note) -> float:
        both = [
            (a["waits"][name], b["waits"][name])
            for name in parts
            if name in a["waits"] and name in b["waits"]
        ]
        waited = sum(after - before for (pid, before), (same, after) in both if pid == same)
        return min(max(0.0, waited), float(b["t"] - a["t"]))


@dataclass(frozen=True)
class Standstill:
    """Healthy seconds without progress, and how many of them the machine gave to others."""

    seconds: float
    starved: float

    @property
    def own(self) -> float:
        """Seconds that the platform has to answer for."""
        return self.seconds - self.starved


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


def standstills(
    progress: Sequence[float], healthy: Intervals, waits: ProcessorWaits, parts: Iterable[str]
) -> list[Standstill]:
    """Return the standstill between each two consecutive instants of progress. `parts`: those that
    it needs."""
    found = []
    names = list(parts)
    for a, b in pairwise(progress):
        seconds = time_within(healthy, a, b)
        found.append(Standstill(seconds, min(seconds, waits.seconds_waited(names, a, b))))
    return found
