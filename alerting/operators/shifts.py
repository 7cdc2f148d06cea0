"""Shifts of a plant: the one that runs at an instant, the one before it and the one after it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from alerting.definitions.fields.hours import Hours, spans

CHANGE_LASTS = timedelta(minutes=30)
"""Time before and after a change of shift in which a shift is handed over."""
_USUAL = [("06:00", "14:00"), ("14:00", "22:00"), ("22:00", "06:00")]
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

    def has(self, at: datetime | None) -> bool:
        """Return whether an instant lies in the shift."""
        return at is not None and self.start <= at < self.end


def usual_hours(zone: ZoneInfo) -> ShiftHours:
    """Return the hours of three shifts, for a plant whose routes name none."""
    hours = [Hours.model_validate({"from": start, "to": end}) for start, end in _USUAL]
    return ShiftHours("", tuple(hours), zone)


def find_running(plans: Sequence[ShiftHours], at: datetime, name: str | None = None) -> list[Shift]:
    """Return the shifts that run at an instant; where none does the one that ended last, at most
    eight days ago.

    First the one of this name, else the one that began last.
    """
    around = _shifts_around(plans, at)
    over = sorted((s for s in around if s.end <= at), key=lambda s: s.end)[-1:]
    found = [shift for shift in around if shift.has(at)] or over
    return sorted(found, key=lambda s: (s.name == name, s.start, s.start - s.end), reverse=True)


def find_neighbours(plans: Sequence[ShiftHours], shift: Shift) -> tuple[Shift | None, Shift | None]:
    """Return the earlier shift that ends nearest to the start of this one, and the later one that
    starts nearest to its end."""
    earlier = [s for s in _shifts_around(plans, shift.start) if s.start < shift.start]
    later = [s for s in _shifts_around(plans, shift.end) if s.start > shift.start]
    return (
        min(earlier, key=lambda s: (abs(s.end - shift.start), s.end - s.start), default=None),
        min(later, key=lambda s: (abs(s.start - shift.end), s.end - s.start), default=None),
    )


def find_change(plans: Sequence[ShiftHours], at: datetime) -> Shift | None:
    """Return the shift that is handed over at an instant: the one that ends within half an hour, or
    ended at most half an hour ago; None at other times."""
    near = [s for s in _shifts_around(plans, at) if abs(s.end - at) <= CHANGE_LASTS]
    return min(near, key=lambda s: (abs(s.end - at), s.start, s.name), default=None)


def _shifts_around(plans: Sequence[ShiftHours], at: datetime) -> list[Shift]:
    """Return the shifts of eight days before and after an instant, oldest first."""
    found = {
        Shift(plan.name, start, end)
        for plan in plans
        for start, end in spans(plan.hours, plan.zone, at - _SEARCHED, at + _SEARCHED)
    }
    return sorted(found, key=lambda s: (s.start, s.end, s.name))
