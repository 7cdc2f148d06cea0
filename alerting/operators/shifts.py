"""Shifts of a plant: the one that runs at an instant, the one before it and the one after it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from zoneinfo import ZoneInfo

from alerting.definitions.hours import Hours, spans

CHANGE_LASTS = timedelta(minutes=30)
"""Time before and after a change of shift in which a shift is handed over."""
USUAL_STARTS: Mapping[int, tuple[str, ...]] = MappingProxyType(
    {8: ("06:00", "14:00", "22:00"), 12: ("06:00", "18:00"), 24: ("06:00",)}
)
"""Local times at which shifts of so many hours start, where no route names shifts."""
_SEARCHED = timedelta(days=8)


@dataclass(frozen=True)
class ShiftHours:
    """Hours of shifts in a time zone. `name`: of the route that names them, empty for usual
    hours."""

    name: str
    hours: tuple[Hours, ...]
    zone: ZoneInfo


@dataclass(frozen=True)
class Shift:
    """One shift in [start, end), by the name of its route, empty for usual hours."""

    name: str
    start: datetime
    end: datetime


def usual_hours(length: int, zone: ZoneInfo) -> ShiftHours:
    """Return the hours of shifts of 8, 12 or 24 hours."""
    starts = USUAL_STARTS[length]
    pairs = zip(starts, (*starts[1:], starts[0]), strict=True)
    hours = (Hours.model_validate({"from": start, "to": end}) for start, end in pairs)
    return ShiftHours("", tuple(hours), zone)


def find_running(
    plans: Iterable[ShiftHours], at: datetime, name: str | None = None
) -> Shift | None:
    """Return the shift that runs at an instant; where none does the one that ended last, at most
    eight days ago.

    Of several that run the one of this name, else the one that began last.
    """
    around = _shifts_around(plans, at)
    running = [shift for shift in around if shift.start <= at < shift.end]
    if running:
        return max(running, key=lambda s: (s.name == name, s.start, s.start - s.end, s.name))
    over = [shift for shift in around if shift.end <= at]
    return max(over, key=lambda s: (s.end, s.name == name, s.start, s.name), default=None)


def find_others(plans: Iterable[ShiftHours], shift: Shift, at: datetime) -> list[Shift]:
    """Return the other shifts that run at an instant."""
    return [s for s in _shifts_around(plans, at) if s.start <= at < s.end and s != shift]


def find_previous(plans: Iterable[ShiftHours], shift: Shift) -> Shift | None:
    """Return the earlier shift whose end is nearest to the start of this one."""
    earlier = [
        s
        for s in _shifts_around(plans, shift.start)
        if s.start < shift.start and s.end <= shift.end
    ]
    return min(
        earlier, key=lambda s: (abs(s.end - shift.start), s.end - s.start, s.name), default=None
    )


def find_next(plans: Iterable[ShiftHours], shift: Shift) -> Shift | None:
    """Return the later shift whose start is nearest to the end of this one."""
    later = [
        s for s in _shifts_around(plans, shift.end) if s.start > shift.start and s.end >= shift.end
    ]
    return min(
        later, key=lambda s: (abs(s.start - shift.end), s.end - s.start, s.name), default=None
    )


def find_change(plans: Iterable[ShiftHours], at: datetime) -> Shift | None:
    """Return the shift that is handed over at an instant: the one that ends within half an hour, or
    ended at most half an hour ago; None at other times."""
    near = [s for s in _shifts_around(plans, at) if abs(s.end - at) <= CHANGE_LASTS]
    return min(near, key=lambda s: (abs(s.end - at), s.start, s.name), default=None)


def _shifts_around(plans: Iterable[ShiftHours], at: datetime) -> list[Shift]:
    """Return the shifts of eight days before and after an instant, oldest first."""
    found = [
        Shift(plan.name, start, end)
        for plan in plans
        for start, end in spans(plan.hours, plan.zone, at - _SEARCHED, at + _SEARCHED)
    ]
    return sorted(dict.fromkeys(found), key=lambda s: (s.start, s.end, s.name))
