"""Time zones as files write them: offsets, abbreviations, names of IANA and of Windows; behind a
stamp, in the title of a column, or above a table."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from difflib import get_close_matches
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from babel.core import get_global

from alerting.definitions.faults import UserError, shown
from alerting.definitions.wording.language import join_with_or
from alerting.readings.vocabulary import VOCABULARY

ABBREVIATIONS: Mapping[str, int] = VOCABULARY["zones"]["abbreviations"]
"""Minutes ahead of UTC."""
AMBIGUOUS: Mapping[str, Sequence[str]] = VOCABULARY["zones"]["ambiguous"]
_OFFSET = r"([+\-\u2212])\s?(\d{1,2})(?::?([0-5]\d))?"
_BOTH = re.compile(r"\b([A-Z]{3,4}) ?[/|] ?([A-Z]{3,4})\b")
_IANA = re.compile(r"(?<![A-Za-z/])[A-Z][A-Za-z]+/[A-Z][A-Za-z_]+(?:/[A-Z][A-Za-z_]+|[+-]\d+)?")
_FROM_UTC = re.compile(rf"(?i)(?<![a-z])(?:UTC|GMT)\s?{_OFFSET}(?!\d)")
_BARE_OFFSET = re.compile(r"(?:^|[\[(,;]\s*)([+\-\u2212])(\d\d):?([0-5]\d)(?=$|[\])])")
_UTC = re.compile(r"(?i)(?<![a-z])(?:UTC|GMT)(?![a-z])|(?<=[a-z])UTC$|^UTC(?=[A-Z])")
_WORD = re.compile(r"(?:^|(?<=[\[(,;/_\s]))([A-Z]{3,4})(?=$|[\]),;_ ])")


def find_zone(name: str | None) -> ZoneInfo | None:
    """Return a time zone; None without a name. Raises UserError for an unknown one."""
    if name is None:
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        close = get_close_matches(name, available_timezones(), n=3, cutoff=0.5)
        hint = (
            f"did you mean {join_with_or(*close)}?" if close else "write for example Europe/Berlin"
        )
        raise UserError(f"{shown(name)} is not a time zone; {hint}") from error


def zone_in(text: str, local: ZoneInfo | None = None) -> tuple[ZoneInfo, str] | None:
    """Return the zone that a title or a line names, with its words for it; None if it names none.

    An abbreviation of several zones is that of `local`. Raises UserError if it is not its.
    """
    pair = _BOTH.search(text)
    bare = text.strip()
    windows = get_global("windows_zone_mapping").get(re.sub(r"^\(.*?\)\s*", "", bare))
    names = [(VOCABULARY["zones"]["pairs"].get("/".join(pair.groups())), pair[0])] if pair else []
    names += [(name, name) for name in _IANA.findall(text) if name in available_timezones()]
    for name, text_of_name in (*names, (windows, bare)):
        if name:
            return ZoneInfo(name), text_of_name
    if by_offset := _FROM_UTC.search(text) or _BARE_OFFSET.search(text):
        offset = by_offset[0].strip("[(,; ")
        minutes = utc_minutes(offset)
        city = _city_zone(text[by_offset.end() :], minutes)
        return (ZoneInfo(city) if city else _fixed_zone(minutes, offset)), offset
    if utc := _UTC.search(text):
        return ZoneInfo("UTC"), utc[0]
    words = (w for w in _WORD.findall(text) if w in AMBIGUOUS or w in ABBREVIATIONS)
    word = next(words, "")
    if word in ABBREVIATIONS:
        return _fixed_zone(ABBREVIATIONS[word], word), word
    if word and not (local and word in _abbreviations_of(local)):
        raise UserError(why_ambiguous(word))
    return (local, word) if local and word else None


def is_zone_name(text: str) -> bool:
    """Return whether a cell is an abbreviation, an offset from UTC, or the name of a zone."""
    is_short = text in ABBREVIATIONS or text in AMBIGUOUS
    is_short |= re.fullmatch(rf"(?:UTC|GMT){_OFFSET}|[+-]\d\d:?\d\d", text) is not None
    return is_short or ("/" in text and text in available_timezones())


def why_ambiguous(word: str) -> str:
    """Return the sentence that an abbreviation means several zones."""
    zones = AMBIGUOUS[word]
    return (
        f"{word} means several zones ({', '.join(zones)}); say which with --tz, e.g. "
        f"--tz {zones[0]}"
    )


def _city_zone(behind: str, minutes: int) -> str | None:
    """Return the zone of the first city of `) Amsterdam, Berlin, Bern` that has this offset."""
    cities = re.findall(r"[A-Z][a-z]+(?: [A-Z][a-z]+)*", behind)
    names = {name.rpartition("/")[2].replace("_", " "): name for name in available_timezones()}
    zones = [names[city] for city in cities if city in names]
    return next((z for z in zones if minutes in _abbreviations_of(ZoneInfo(z)).values()), None)


def _fixed_zone(minutes: int, text: str) -> ZoneInfo:
    """Return a zone that is this far ahead of UTC all year. Raises UserError if there is none."""
    if minutes % 60 == 0 and -12 <= minutes // 60 <= 14:
        return ZoneInfo(f"Etc/GMT{-minutes // 60:+d}" if minutes else "UTC")
    if city := VOCABULARY["zones"]["between_hours"].get(str(minutes)):
        return ZoneInfo(city)
    raise UserError(f"{shown(text)} is not a known zone; name it with --tz, e.g. Europe/Berlin")


def utc_minutes(text: str) -> int:
    """Return the minutes ahead of UTC of `+01:00`, `UTC-5`, or an abbreviation of one zone."""
    if text.upper() in ABBREVIATIONS:
        return ABBREVIATIONS[text.upper()]
    sign, hours, minutes = re.findall(_OFFSET, text)[0]
    return (1 if sign == "+" else -1) * (int(hours) * 60 + int(minutes or 0))


def minutes_of_word(text: str, local: ZoneInfo | None) -> int | None:
    """Return the minutes ahead of UTC of what stands behind a stamp; None if it is ambiguous.
    `local`: the zone whose abbreviations count first."""
    minutes = {} if local is None else _abbreviations_of(local)
    if text in minutes:
        return minutes[text]
    return None if text in AMBIGUOUS else utc_minutes(text)


@lru_cache(maxsize=100)
def _abbreviations_of(zone: ZoneInfo) -> dict[str, int]:
    """Return the abbreviations of a zone's winter and summer, each with its minutes."""
    minutes = {}
    for month in (1, 7):
        local = datetime(2026, month, 1, tzinfo=zone)
        offset = local.utcoffset()
        minutes[str(local.tzname())] = int(offset.total_seconds()) // 60 if offset else 0
    return minutes
