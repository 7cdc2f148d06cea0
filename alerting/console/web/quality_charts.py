"""Charts of alarm metrics as shapes: positions of the bars and cells of the page. This module computes no metric."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from alerting.alarm_kpis.metrics import Frequent, Kpis, Priority, Spread

WIDTH, HEIGHT, FLOOR = 900.0, 190.0, 20.0
_MOST_DAYS = 31
_SCALE_S = (10, 60, 600, 3600, 6 * 3600, 24 * 3600, 7 * 24 * 3600)


@dataclass(frozen=True)
class Bar:
    """One bar of the distribution: the number of ten-minute periods with this number of alarms. `band`: EEMUA's name."""

    x: float
    y: float
    width: float
    height: float
    label: str
    periods: int
    band: str


@dataclass(frozen=True)
class Limit:
    """A limit line across the distribution."""

    x: float
    label: str


@dataclass(frozen=True)
class Distribution:
    """The bars and the two limits of the distribution."""

    bars: tuple[Bar, ...]
    limits: tuple[Limit, ...]


@dataclass(frozen=True)
class Cell:
    """One hour of the alarm calendar: the number of alarms, and the strength of its colour (0 to 1)."""

    hour: int
    alarms: int
    strength: float


@dataclass(frozen=True)
class Day:
    """One day of the alarm calendar, in the time of the plant."""

    day: date
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Share:
    """A bar of the most frequent alarms: `width` in percent of the longest, `together`: cumulative share."""

    alarm: Frequent
    width: float
    together: float


@dataclass(frozen=True)
class Lane:
    """A duration on a logarithmic scale, in percent of the scale's length."""

    name: str
    spread: Spread
    missing: str
    median: float
    p90: float
    longest: float


def distribution(kpis: Kpis, acceptable: int, most: int) -> Distribution:
    """Return bars of logarithmic height, because the few busy periods must be visible beside many quiet ones."""
    numbers = kpis.distribution
    slot = WIDTH / len(numbers)
    top = math.log10(1 + max(numbers)) or 1.0
    names = [(band.name, band.least, band.most) for band in kpis.bands]

    def bar(number: int, periods: int) -> Bar:
        height = math.log10(1 + periods) / top * (HEIGHT - FLOOR)
        band = next(name for name, least, last in names if least <= number and (last is None or number <= last))
        label = str(number) if number <= most else f"{most + 1}+"
        return Bar(number * slot + slot * 0.1, HEIGHT - height, slot * 0.8, height, label, periods, band)

    limits = (
        Limit((acceptable + 1) * slot, f"more than {acceptable}: not acceptable for long"),
        Limit((most + 1) * slot, f"more than {most}: flood"),
    )
    return Distribution(tuple(bar(n, periods) for n, periods in enumerate(numbers)), limits)


def calendar(kpis: Kpis, zone: ZoneInfo) -> list[Day]:
    """Return the hours of the period in local time, a row for each day; empty for a period of too many days.

    The repeated hour in autumn is one cell, the missing hour in spring is empty.
    """
    found: dict[date, Counter[int]] = {}
    for index, number in enumerate(kpis.hourly):
        local = (kpis.start + index * timedelta(hours=1)).astimezone(zone)
        found.setdefault(local.date(), Counter())[local.hour] += number
    if len(found) > _MOST_DAYS:
        return []
    strongest = max((n for hours in found.values() for n in hours.values()), default=0) or 1

    def cells(hours: Counter[int]) -> tuple[Cell, ...]:
        return tuple(Cell(h, hours[h], (0.2 + 0.8 * math.sqrt(hours[h] / strongest)) if hours[h] else 0.0) for h in range(24))

    return [Day(day, cells(hours)) for day, hours in found.items()]


def shares(top: Sequence[Frequent]) -> list[Share]:
    """Return the most frequent alarms with their cumulative shares."""
    longest = max((t.alarms for t in top), default=0) or 1
    return [Share(t, 100 * t.alarms / longest, sum(u.share for u in top[: i + 1])) for i, t in enumerate(top)]


def lanes(kpis: Kpis) -> list[Lane]:
    """Return the times to acknowledge and to clear."""
    return [
        _lane("to acknowledge", kpis.to_acknowledge, "not acknowledged"),
        _lane("to clear", kpis.to_clear, "still active"),
    ]


def scale() -> list[tuple[float, timedelta]]:
    """Return the marks of the logarithmic scale of durations: position in percent, duration."""
    return [(_position(timedelta(seconds=s)), timedelta(seconds=s)) for s in _SCALE_S]


def priorities(found: Sequence[Priority]) -> list[Priority]:
    """Return the priorities for display, the worst first."""
    return list(reversed(found))


def _lane(name: str, spread: Spread, missing: str) -> Lane:
    return Lane(name, spread, missing, _position(spread.median), _position(spread.p90), _position(spread.longest))


def _position(duration: timedelta | None) -> float:
    first, last = math.log(_SCALE_S[0]), math.log(_SCALE_S[-1])
    seconds = _SCALE_S[0] if duration is None else max(duration.total_seconds(), 1e-3)
    return 100 * min(max((math.log(seconds) - first) / (last - first), 0.0), 1.0)
