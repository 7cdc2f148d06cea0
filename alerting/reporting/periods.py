"""Calendar periods of reports: weeks from Monday, months and quarters, in the plant's time zone."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo

from alerting.deferred import pd
from alerting.definitions.faults import UserError
from alerting.definitions.fields.shared_fields import ReportPeriod

_LENGTHS: dict[str, ReportPeriod] = {"W": "week", "": "month", "Q": "quarter"}
_NAME = re.compile(r"(?P<year>\d{4})-(?P<mark>W(?=\d\d$)|Q(?=\d$)|(?=\d\d$))(?P<number>\d+)")
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
    return _period_of(length, at.astimezone(zone).date(), zone)


def period_before(period: Period, zone: tzinfo) -> Period:
    """Return the period of the same length before this one."""
    return period_at(period.length, period.start - timedelta(hours=12), zone)


def periods_within(
    length: ReportPeriod, at: datetime, zone: tzinfo, back: timedelta
) -> list[Period]:
    """Return the newest period that ended at an instant, and those that ended within `back`."""
    ended = [period_before(period_at(length, at, zone), zone)]
    while (period := period_before(ended[-1], zone)).end > at - back:
        ended.append(period)
    return ended


def read_period(text: str, zone: tzinfo) -> Period:
    """Return the period of a name such as `2026-W46`. Raises UserError for another text."""
    written = _NAME.fullmatch(text)
    if written is None:
        raise UserError(f"{text!r} is not a period: {_FORMS}")
    length = _LENGTHS[written["mark"]]
    year = int(written["year"])
    number = int(written["number"])
    month = 3 * number - 2 if length == "quarter" else number
    try:
        day = date.fromisocalendar(year, number, 1) if length == "week" else date(year, month, 1)
        return _period_of(length, day, zone)
    except (ValueError, OverflowError) as fault:
        raise UserError(f"{text!r} is not in the calendar: {_FORMS}") from fault


def _period_of(length: ReportPeriod, day: date, zone: tzinfo) -> Period:
    period = pd.Period(day, {"week": "W-SUN", "month": "M", "quarter": "Q"}[length])
    first = period.start_time
    quarter = f"{first:%Y}-Q{period.quarter}"
    names = {"week": f"{first:%G-W%V}", "month": f"{first:%Y-%m}", "quarter": quarter}
    after = (period + 1).start_time
    return Period(length, names[length], _midnight(first, zone), _midnight(after, zone))


def _midnight(day: date, zone: tzinfo) -> datetime:
    """Return the first instant of a local day, also where the clock skips its midnight."""
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
