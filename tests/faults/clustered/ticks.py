"""Whether the ticks of the scheduler came in time, beside the times without database or broker."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

LATEST_S = 60.0
EVERY_S = 60.0
Interval = tuple[float, float]


@dataclass(frozen=True)
class Tick:
    """One round of evaluation: the instant at which it was due, and its end (s since 1970)."""

    due: float
    ended: float


def outages(notes: Iterable[Mapping[str, Any]], names: Sequence[str]) -> list[Interval]:
    """Return the times from each loss of one of these parts to its return, as a storm noted
    them."""
    found = []
    lost: dict[str, float] = {}
    for note in notes:
        if note["of"] not in names:
            continue
        if note["what"] == "back":
            found.append((lost.pop(note["of"]), note["t"]))
        elif note["what"] in ("kill", "step down"):
            lost[note["of"]] = note["t"]
    return found


def seconds_late(tick: Tick, away: Sequence[Interval]) -> float:
    """Return how long after its due time a tick ended, without the time in which database or broker
    were away."""
    covered = 0.0
    reached = tick.due
    for start, end in sorted(away):
        covered += max(0.0, min(end, tick.ended) - max(start, reached))
        reached = max(reached, end)
    return tick.ended - tick.due - covered


def late_ticks(ticks: Sequence[Tick], away: Sequence[Interval]) -> list[tuple[Tick, float]]:
    """Return the ticks that ended more than a minute late, with their delays."""
    found = [(tick, round(seconds_late(tick, away), 1)) for tick in ticks]
    return [(tick, late) for tick, late in found if late > LATEST_S]


def left_out(ticks: Sequence[Tick], away: Sequence[Interval]) -> list[Interval]:
    """Return the times of more than two minutes, beside outages, in which no tick was due."""
    dues = sorted(tick.due for tick in ticks)
    return [
        (before, after)
        for before, after in pairwise(dues)
        if seconds_late(Tick(before, after), away) >= EVERY_S + LATEST_S
    ]
