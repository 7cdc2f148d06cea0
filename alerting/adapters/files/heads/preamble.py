"""Statements above a table on its times: a zone, a date, the start of the recording."""

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

from alerting.adapters.files.cells import NO_INSTANT, column
from alerting.adapters.files.chunks import StatedTimes
from alerting.adapters.files.recognition import stamp_format
from alerting.adapters.files.times.stamp_formats import with_order
from alerting.readings.vocabulary import VOCABULARY

CLOCK = re.compile(r"(?i)^\d{1,2}:\d\d(:\d\d([.,:]\d{1,9})?)?(\s?[ap]\.?\s?m\.?)?$")
_LABELLED = re.compile(r"^(?P<label>[^:=]{2,40}?)\s*[:=]\s*(?P<value>\S.*)$")
_LABELS = {role: re.compile(words) for role, words in VOCABULARY["preamble"].items()}


def read_stated(lines: Iterable[Sequence[str]]) -> StatedTimes:
    """Return what the lines above a table, each in its fields, say of its times; of several lines
    that say the same the lowest counts."""
    zone = date = clock = start = None
    for label, value in _labelled_values(lines):
        roles = {role for role, words in _LABELS.items() if words.match(label)}
        stamp = _iso_stamp(value) if roles & {"date", "start"} else None
        if "zone" in roles:
            zone = value
        elif "date" in roles and stamp:
            date = stamp[:10]
            start = stamp if "T" in stamp else start
        elif "start" in roles and stamp:
            start = stamp
        elif roles & {"start", "clock"} and CLOCK.match(value):
            clock = value
    if clock and date and not start:
        start = _iso_stamp(f"{date} {clock}")
    return StatedTimes(zone, date or (start[:10] if start else None), start)


def _labelled_values(lines: Iterable[Sequence[str]]) -> Iterator[tuple[str, str]]:
    for fields in lines:
        filled = [field.strip(" \t#/;\"'") for field in fields if field.strip(" \t#/;\"'")]
        if len(filled) > 1:
            has_clock = len(filled) > 2 and CLOCK.match(filled[2]) and not CLOCK.match(filled[1])
            yield filled[0].rstrip(": ="), " ".join(filled[1 : 3 if has_clock else 2])
        for match in map(_LABELLED.match, filled):
            if match:
                yield match["label"], match["value"]


def _iso_stamp(text: str) -> str | None:
    """Return a date, or a date and time, as ISO 8601; None for text that is none, or that does not
    show whether its day or its month is first."""
    text = re.sub(r"(:\d\d:\d\d)[,:](\d{1,9})", r"\1.\2", text.strip())
    try:
        datetime.fromisoformat(text)
        return text.replace(" ", "T", 1) if len(text) > 10 else text
    except ValueError:
        cells = column([text])
    form = with_order(stamp_format(cells), [cells])
    stamps = form.read(cells) if form else None
    if stamps is None or stamps.at[0] == NO_INSTANT:
        return None
    at = datetime.fromtimestamp(int(stamps.at[0]) / 1000, UTC).replace(tzinfo=None)
    written = at.isoformat(timespec="milliseconds").removesuffix(".000")
    return written + "Z" * (not stamps.naive[0]) if ":" in text else written[:10]
