"""Names, texts and times of documents, and the base class of all documents; hours of the week in a
time zone, such as shifts and quiet hours, across daylight saving, also as text for people; and
half-open intervals [from, to): their union, gaps and intersection."""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from hashlib import sha256
from typing import Annotated, Literal, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    StringConstraints,
    WithJsonSchema,
)

from alerting.definitions.faults import Duration, shown
from alerting.definitions.wording.language import joined, template, translatable

NAME_PATTERN = r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$"
VARIABLE_PATTERN = r"^[A-Za-z_][A-Za-z0-9_-]*$"

NAME_LENGTH = 100
_MARK_LENGTH = 8

# these reverse the order of letters
_OVERRIDES = {
    "LRE",
    "RLE",
    "LRO",
    "RLO",
    "PDF",
    "LRI",
    "RLI",
    "FSI",
    "PDI",
}
_EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)
_LATEST = datetime(2200, 1, 1, tzinfo=UTC)


def _require_printable(text: str) -> str:
    if text.isprintable():
        return text
    for character in text:
        if not character.isprintable() and character not in "\n\t" and _is_control(character):
            raise ValueError(f"holds the control character {f'U+{ord(character):04X}'}; remove it")
    return text


def _is_control(character: str) -> bool:
    return (
        unicodedata.category(character) in ("Cc", "Cs")
        or unicodedata.bidirectional(character) in _OVERRIDES
    )


def _longer_than_zero(duration: timedelta) -> timedelta:
    if duration <= timedelta(0):
        raise ValueError("must be longer than 0s")
    return duration


def require_no_number(value: object) -> object:
    """Return an instant as written. Raises ValueError for a number, which pydantic would read as
    seconds."""
    if isinstance(value, str):
        try:
            float(value[:100])
        except ValueError:
            return value
    elif not isinstance(value, int | float):  # also true and false
        return value
    raise ValueError(
        f"{shown(value)} is a number and no instant; write for example 2026-01-31T06:00Z"
    )


def _in_reach(instant: datetime) -> datetime:
    try:
        in_utc = instant.astimezone(UTC)
    except OverflowError:
        in_utc = datetime.min.replace(tzinfo=UTC)
    if not _EARLIEST <= in_utc < _LATEST:
        raise ValueError(f"must lie between the years {_EARLIEST.year} and {_LATEST.year}")
    return instant


_control_free = AfterValidator(_require_printable)
Line = Annotated[str, StringConstraints(max_length=200), _control_free]
Paragraph = Annotated[str, StringConstraints(max_length=2000), _control_free]
Tag = Annotated[str, StringConstraints(min_length=1, max_length=100), _control_free]
LongerThanZero = Annotated[Duration, AfterValidator(_longer_than_zero)]
Instant = Annotated[AwareDatetime, BeforeValidator(require_no_number), AfterValidator(_in_reach)]
Number = Annotated[float, Strict()]
"""A number; pydantic alone takes true as 1, and a text that reads as a number."""
Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN, max_length=100)]
VariableName = Annotated[str, StringConstraints(pattern=VARIABLE_PATTERN, max_length=100)]


class Closed(BaseModel):
    """A document without unknown fields, immutable once it is read."""

    # Validators are built at first use: a command that reads two kinds of document builds two.
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True, allow_inf_nan=False)


Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = get_args(Day)


_ZONE_PATTERN = r"^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,3}$"
_LONGEST_ZONE = 64


def time_zone(name: str) -> ZoneInfo:
    """Return the IANA time zone of a name.

    Raises ValueError for any other text, also for a folder or file beside the zones.
    """
    try:
        if len(name) > _LONGEST_ZONE or not re.fullmatch(_ZONE_PATTERN, name):
            raise ZoneInfoNotFoundError(name)
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{shown(name)} is not an IANA time zone (e.g. Europe/Berlin)") from None


def _zone_name(name: str) -> str:
    time_zone(name)
    return name


TimeZone = Annotated[
    str,
    AfterValidator(_zone_name),
    WithJsonSchema({"type": "string", "pattern": _ZONE_PATTERN, "maxLength": _LONGEST_ZONE}),
]


def _from_yaml(value: object) -> object:
    """Return hours as text of two digits; readers of YAML take 22:00 as the number 1320."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 1440:
        return f"{value // 60:02d}:{value % 60:02d}"
    return (
        f"0{value}" if isinstance(value, str) and re.fullmatch("[0-9]:[0-9]{2}", value) else value
    )


TimeOfDay = Annotated[
    str,
    StringConstraints(pattern=r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"),
    BeforeValidator(_from_yaml),
]


class Hours(Closed):
    """Hours of some days of the week; hours that end before they start go on into the next day."""

    days: tuple[Day, ...] = Field(
        DAYS,
        min_length=1,
        max_length=7,
        description="Days on which it starts.",
    )
    start: TimeOfDay = Field(alias="from", description="Local time at which it starts, e.g. 22:00.")
    to: TimeOfDay = Field(description="Local time at which it ends; the same as from: a whole day.")


def spans(
    hours: Sequence[Hours], zone: ZoneInfo, start: datetime, end: datetime
) -> list[tuple[datetime, datetime]]:
    """Return intervals [begin, stop) that meet [start, end), in UTC, sorted by begin."""
    first = start.astimezone(zone).date() - timedelta(days=2)
    last = end.astimezone(zone).date() + timedelta(days=1)
    return sorted(
        (a, b) for a, b in _hours_between(hours, zone, first, last) if a < end and start < b
    )


def is_within(hours: Sequence[Hours], zone: ZoneInfo, now: datetime) -> bool:
    """Return whether `now` lies in any of the intervals [start, end)."""
    return any(start <= now < end for start, end in _around(hours, zone, now))


def end_of(hours: Sequence[Hours], zone: ZoneInfo, now: datetime) -> datetime | None:
    """Return the end of the interval around `now`; None if no interval is around it.

    Intervals that follow each other without a break count as one.
    """
    until = None
    for start, end in sorted(_around(hours, zone, now)):
        if start <= (until or now) < end:
            until = end
    return until


def _around(
    hours: Sequence[Hours], zone: ZoneInfo, now: datetime
) -> Iterator[tuple[datetime, datetime]]:
    """Return the intervals from two days before to eight days after the day of `now`."""
    today = now.astimezone(zone).date()
    return _hours_between(hours, zone, today - timedelta(days=2), today + timedelta(days=8))


def _hours_between(
    hours: Sequence[Hours], zone: ZoneInfo, first: date, last: date
) -> Iterator[tuple[datetime, datetime]]:
    for day in (first + timedelta(days=n) for n in range((last - first).days + 1)):
        for period in hours:
            if DAYS[day.weekday()] in period.days:
                last = day if period.start < period.to else day + timedelta(days=1)
                yield _instant(day, period.start, zone), _instant(last, period.to, zone)


def _instant(day: date, clock: str, zone: ZoneInfo) -> datetime:
    """Return the instant of a local time: the first of two, or, for a time that the clock skips,
    the first one after it."""
    if clock == "24:00":
        day = day + timedelta(days=1)
        clock = "00:00"
    local = datetime.combine(day, time.fromisoformat(clock), zone)
    instant = local.astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) == local.replace(tzinfo=None):
        return instant
    # the clocks are put forward between these two
    before = local.replace(fold=1).astimezone(UTC)
    after = instant
    while after - before > timedelta(seconds=1):
        middle = before + (after - before) / 2
        if middle.astimezone(zone).utcoffset() == before.astimezone(zone).utcoffset():
            before = middle
        else:
            after = middle
    return after.replace(microsecond=0)


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


Interval = tuple[datetime, datetime]


def merge(intervals: Iterable[Interval], start: datetime, end: datetime) -> list[Interval]:
    """Return the intervals within [start, end), sorted; those that touch or overlap become one."""
    merged: list[Interval] = []
    for a, b in sorted(intervals):
        begin = max(a, start)
        stop = min(b, end)
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], stop))
        elif stop > begin:
            merged.append((begin, stop))
    return merged


def find_gaps(intervals: Sequence[Interval], start: datetime, end: datetime) -> list[Interval]:
    """Return the parts of [start, end) between merged intervals."""
    edges = [start, *(t for interval in intervals for t in interval), end]
    return [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if b - a > timedelta(0)]


def intersection(first: Sequence[Interval], second: Sequence[Interval]) -> list[Interval]:
    """Return the intervals that lie in both lists, sorted. Within a list, intervals do not
    overlap."""
    shared = ((max(a, c), min(b, d)) for a, b in first for c, d in second)
    return sorted((begin, stop) for begin, stop in shared if stop > begin)


def length(intervals: Iterable[Interval]) -> timedelta:
    """Return the length of all intervals together."""
    return sum((b - a for a, b in intervals), timedelta(0))


def variable_name(foreign: str) -> str:
    """Derive a legal name from any column title: `Air temperature [K]` gives `Air_temperature_K`.

    Attributes are named so; `column_titles.derive_name` names variables.

    A title that is too long for a name, or has no legal character, gets a hash of the whole title,
    which keeps names distinct.
    """
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", foreign.strip()).strip("_")
    legal = name if re.match(VARIABLE_PATTERN, name) else f"v_{name}"
    if name and len(legal) <= NAME_LENGTH:
        return legal
    mark = sha256(foreign.strip().encode("utf-8", "surrogatepass")).hexdigest()[:_MARK_LENGTH]
    return f"{legal[: NAME_LENGTH - _MARK_LENGTH - 1].rstrip('_')}_{mark}"
