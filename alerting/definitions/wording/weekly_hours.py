"""Hours of the week as text for people."""

from collections.abc import Mapping, Sequence

from alerting.definitions.hours import DAYS, Day, Hours
from alerting.definitions.wording.language import joined, template, translatable

_DAY_NAMES: Mapping[Day, str] = {
    "mon": template("mon"),
    "tue": template("tue"),
    "wed": template("wed"),
    "thu": template("thu"),
    "fri": template("fri"),
    "sat": template("sat"),
    "sun": template("sun"),
}


def hours_text(weekly: Sequence[Hours]) -> str:
    """Return hours of the week: `mon to fri 22:00 to 06:00; sat, sun all day`."""
    return joined("; ", *map(_hours, weekly))


def hours_in_zone(weekly: Sequence[Hours], zone: str) -> str:
    """Return hours of the week with the time zone in which they are."""
    return translatable("{hours} ({zone})", hours=hours_text(weekly), zone=zone)


def _hours(hours: Hours) -> str:
    days = _days(hours)
    if hours.start == hours.to:
        return translatable("{days} all day", days=days)
    return translatable(
        "{days} {start} to {end}", days=days, start=str(hours.start), end=str(hours.to)
    )


def _days(hours: Hours) -> str:
    days = sorted(DAYS.index(day) for day in hours.days)
    names = [translatable(_DAY_NAMES[DAYS[day]]) for day in days]
    if len(days) == len(DAYS):
        return translatable("daily")
    if len(days) > 2 and days[-1] - days[0] == len(days) - 1:
        return translatable("{first} to {last}", first=names[0], last=names[-1])
    return joined(", ", *names)
