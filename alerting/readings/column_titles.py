"""Split the title of a foreign column into the name of the quantity and its unit."""

import re
from typing import NamedTuple

TITLE_LENGTH = 200
_SQUARE = re.compile(r"^(?P<title>.*?)[\s_,]*\[(?P<unit>[^\[\]]{1,20})\]$")
_ROUND = re.compile(r"^(?P<title>.*?)[\s_,]*\((?P<unit>[^()]{1,20})\)$")
_PREFIX = r"[kMGTmµμunhdc]?"
_BASE = (
    r"(?:°[CFK]?|º[CF]|%|‰|bar|Pa|psi|mmHg|Wh|VAh|VA|var|eV|Hz|Nm|Ohm|Ω|rpm|ppm|ppb|pH|dB|lx|lm|mol|min|sec|kmh|"
    r"U/min|rH|RH|[mgslLtAVWNJKhdSFCT])"
)
_POWER = r"(?:[²³23]|\^-?\d|-[123])?"
_FACTOR = rf"(?:{_PREFIX}{_BASE}{_POWER}|1|%\s?(?:rH|RH|r\.F\.))"
_UNIT = re.compile(rf"^{_FACTOR}(?:\s?[/·*.]\s?{_FACTOR}){{0,3}}$")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]+")


class ColumnTitle(NamedTuple):
    """Parts of a title: `text` without its unit; `unit`, None where the title names none."""

    text: str
    unit: str | None


def split_title(title: str) -> ColumnTitle:
    """Split a title: `Temperature [°C]` and `Temperature (°C)` give `Temperature` and `°C`.

    Square brackets enclose a unit if they contain a letter or a sign of one; round ones only if the unit is known.
    """
    clean = _clean(title)
    square, rounded = _SQUARE.match(clean), _ROUND.match(clean)
    if square and square["title"] and not re.fullmatch(r"[\s\d.,:-]*", square["unit"]):
        return ColumnTitle(_shorten(square["title"]), square["unit"].strip())
    if rounded and rounded["title"] and _UNIT.match(rounded["unit"].strip()):
        return ColumnTitle(_shorten(rounded["title"]), rounded["unit"].strip())
    return ColumnTitle(_shorten(clean), None)


def whole_title(title: str) -> str:
    """Return the title without control characters, cut where it is too long to be shown."""
    return _shorten(_clean(title))


def _clean(title: str) -> str:
    return _CONTROL.sub(" ", title).strip()


def _shorten(title: str) -> str:
    return title if len(title) <= TITLE_LENGTH else title[: TITLE_LENGTH - 1] + "…"
