"""Times and durations in texts for people: as their reader sees them, in a zone and a language."""

import re
from datetime import UTC, datetime, timedelta, tzinfo

from alerting.definitions.wording.language import ENGLISH, Language, template
from alerting.reporting.base.messages import instant

_STAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)"
_STAMPS = re.compile(rf"\b(?P<start>{_STAMP})(?: (?:to|bis|\u2013) (?P<end>{_STAMP}))?(?!\w)")
_NEAR = {
    -1: template("yesterday {time}"),
    0: template("today {time}"),
    1: template("tomorrow {time}"),
}
_HALF_A_YEAR = timedelta(days=183)


def clock_time(
    value: datetime,
    now: datetime,
    zone: tzinfo = UTC,
    language: Language = ENGLISH,
    dated: bool = False,
) -> str:
    """Format an instant for operators: `today 14:05`, `Mon 12 Jan 14:05`, `12 Jan 2025 14:05`.

    `dated`: without words such as `today`, for what may be read on another day.
    """
    local = value.astimezone(zone)
    days = (local.date() - now.astimezone(zone).date()).days
    time = f"{local:%H:%M}"
    if days in _NEAR and not dated:
        return language.say(_NEAR[days], time=time)
    if abs(local - now) <= _HALF_A_YEAR:
        return f"{language.day(local)} {time}"
    return f"{language.month_day(local)} {local.year} {time}"


def distance(value: datetime, now: datetime, language: Language = ENGLISH) -> str:
    """Describe the distance of an instant from now: `just now`, `12 min ago`, `in 18 min`."""
    passed = now - value
    if abs(passed) < timedelta(minutes=1):
        return language.say("just now")
    duration = format_minutes(abs(passed), language)
    return (
        language.say("{duration} ago", duration=duration)
        if passed > timedelta(0)
        else language.say("in {duration}", duration=duration)
    )


def format_minutes(span: timedelta, language: Language = ENGLISH) -> str:
    """Format a duration to the minute: `3 h 20 min`; in seconds below one minute."""
    minute = timedelta(minutes=1)
    return language.format_rough_duration(span // minute * minute if span >= minute else span)


def local_times(
    text: str,
    now: datetime,
    zone: tzinfo = UTC,
    language: Language = ENGLISH,
    dated: bool = False,
) -> str:
    """Return a text in the language, with every ISO 8601 stamp as the time of the plant."""

    def format_stamp(found: re.Match[str]) -> str:
        try:
            start = datetime.fromisoformat(found["start"])
            end = datetime.fromisoformat(found["end"]) if found["end"] else None
            if end is None:
                return clock_time(start, now, zone, language, dated)
            return time_range(start, end, now, zone, language, dated)
        except (ValueError, OverflowError):
            return found[0]

    return _STAMPS.sub(format_stamp, language.translate(text))


def dated_times(text: str, zone: tzinfo = UTC, language: Language = ENGLISH) -> str:
    """Return a text in the language with dates and times of a zone, for documents."""

    def format_stamp(found: re.Match[str]) -> str:
        stamps = [
            datetime.fromisoformat(stamp) for stamp in (found["start"], found["end"]) if stamp
        ]
        shown = [instant(stamp, zone) for stamp in stamps]
        return (
            shown[0]
            if len(shown) == 1
            else language.say("{start} to {end}", start=shown[0], end=shown[1])
        )

    return _STAMPS.sub(format_stamp, language.translate(text))


def time_range(
    start: datetime,
    end: datetime,
    now: datetime,
    zone: tzinfo = UTC,
    language: Language = ENGLISH,
    dated: bool = False,
) -> str:
    """Format an interval: `today 14:05 to 14:35 (30 min)`."""
    same_day = start.astimezone(zone).date() == end.astimezone(zone).date()
    since = clock_time(start, now, zone, language, dated)
    until = (
        f"{end.astimezone(zone):%H:%M}" if same_day else clock_time(end, now, zone, language, dated)
    )
    duration = format_minutes(end - start, language)
    return language.say("{start} to {end} ({duration})", start=since, end=until, duration=duration)
