"""How long an alert was watched and how long it was in alarm: times in which nothing was known are neither.

The number, the longest episode, the load on operators and the drawing of a report all rest on these stretches.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

Stretch = tuple[datetime, datetime]


def without(stretch: Stretch, gaps: Iterable[Stretch]) -> tuple[Stretch, ...]:
    """The parts of a stretch [from, to) that lie in none of the gaps, which are sorted and do not overlap."""
    start, end = stretch
    parts: list[Stretch] = []
    for first, last in gaps:
        if first > start and start < end:
            parts.append((start, min(first, end)))
        start = max(start, last)
    return (*parts, (start, end)) if start < end else tuple(parts)


def total(parts: Sequence[Stretch]) -> timedelta:
    """How long they are together."""
    return sum((end - start for start, end in parts), timedelta(0))
