"""Calendar periods of reports: weeks from Monday, months and quarters, in the plant's time zone."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from itertools import takewhile

from alerting.definitions.faults import UserError
from alerting.definitions.fields.shared_fields import ReportPeriod

_WEEK = re.compile(r"(\d{4})-W(\d{2})")
_MONTH = re.compile(r"(\d{4})-(\d{2})")
_QUARTER = re.compile(r"(\d{4})-Q([1-4])")
_FORMS = "write 2026-W46 for a week, 2026-11 for a month, or 2026-Q4 for a quarter"


@dataclass(frozen=True)
class Period:
    """A calendar period [start, end) in UTC. `name`: `2026-W46`, `2026-11` or `2026-Q4`."""

    length: ReportPeriod
    name: str
    start: datetime
    end: datetime


def period_at(length: ReportPeriod, at: datetime, zone: tzinfo) -> Period:
    """Return the period of this length that holds an instant, by the plant's calendar."""
    return _period_from(length, _first_day(length, at.astimezone(zone).date()), zone)


def period_before(period: Period, zone: tzinfo) -> Period:
    """Return the period of the same length before this one."""
    return period_at(period.length, period.start - timedelta(hours=12), zone)


def periods_back(length: ReportPeriod, at: datetime, zone: tzinfo) -> Iterator[Period]:
    """Yield the periods that ended at or before an instant, the newest first, without end."""
    period = period_before(period_at(length, at, zone), zone)
    while True:
        yield period
        period = period_before(period, zone)


def periods_within(
    length: ReportPeriod, at: datetime, zone: tzinfo, back: timedelta
) -> list[Period]:
    """Return the newest period that ended at an instant, and those that ended within `back`."""
    ended = periods_back(length, at, zone)
    return [next(ended), *takewhile(lambda p: p.end > at - back, ended)]


def read_period(text: str, zone: tzinfo) -> Period:
    """Return the period of a name such as `2026-W46`. Raises UserError for another text."""
    try:
        if week := _WEEK.fullmatch(text):
            return _period_from("week", date.fromisocalendar(int(week[1]), int(week[2]), 1), zone)
        if month := _MONTH.fullmatch(text):
            return _period_from("month", date(int(month[1]), int(month[2]), 1), zone)
        if quarter := _QUARTER.fullmatch(text):
            first_month = 3 * int(quarter[2]) - 2
            return _period_from("quarter", date(int(quarter[1]), first_month, 1), zone)
    except (ValueError, OverflowError) as fault:
        raise UserError(f"{text!r} is not in the calendar: {_FORMS}") from fault
    raise UserError(f"{text!r} is not a period: {_FORMS}")


def _first_day(length: ReportPeriod, day: date) -> date:
    if length == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(
        day=1, month=day.month if length == "month" else day.month - (day.month - 1) % 3
    )


def _period_from(length: ReportPeriod, first: date, zone: tzinfo) -> Period:
    if length == "week":
        year, number, _ = first.isocalendar()
        return _period_between(
            length, f"{year}-W{number:02d}", first, first + timedelta(days=7), zone
        )
    index = first.year * 12 + first.month - 1 + (1 if length == "month" else 3)
    name = f"{first:%Y-%m}" if length == "month" else f"{first.year}-Q{(first.month + 2) // 3}"
    return _period_between(length, name, first, date(index // 12, index % 12 + 1, 1), zone)


def _period_between(
    length: ReportPeriod, name: str, first: date, after: date, zone: tzinfo
) -> Period:
    return Period(length, name, _midnight(first, zone), _midnight(after, zone))


def _midnight(day: date, zone: tzinfo) -> datetime:
    """Return the first instant of a local day, also where the clock skips its midnight."""
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
