"""Values and stamps as cells of files and fields of messages write them: the words for no value,
the forms of numbers, and why a text is no value of its type.

A file is read column by column, by the same words and patterns (`adapters/files/cells.py`); here is
what a message needs, whose values are few and mostly no text. JSON states the type of a value, so a
message is stricter: its text is never the number of a new variable, true is no number, and a text
of a declared category is one of its values.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from itertools import islice
from typing import Any

from alerting.definitions.asset_documents import VariableType
from alerting.definitions.faults import legible, shown
from alerting.readings.history import FIRST_INSTANT, LAST_INSTANT, whole_millis
from alerting.readings.vocabulary import VOCABULARY

Scalar = float | str | bool
NULLS = ("", "nan", "NaN", "Nan", "NAN", "null", "NULL", "NA", "N/A", "n/a", "#N/A")
MISSING_TEXTS = (*NULLS, *VOCABULARY["cells"]["missing"])
NO_VALUE_TEXTS = VOCABULARY["cells"]["no_value"]
FAULT_TEXTS = (*NO_VALUE_TEXTS, *VOCABULARY["cells"]["states"])
STATES_NO_VALUE = (
    r"(?is)^(bad|uncertain|error)[_ :-]\w.*$|^(bad|uncertain)[a-z]{2,}$|^#{2,}$|^\[-\d+\]"
    r"|^[-+*]{5,}$"
)
STATES_BEYOND = "(?s)^[<>\u2264\u2265]=?" r"\s*[+-]?[\d.,]+([eE][+-]?\d+)?(\s*[^\d\s].*)?$"
NUMBER = r"^[+-]?((\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?|(?i:inf|infinity|nan))$"
PLAINLY_GROUPED = {
    ",": r"^[+-]?\d{1,3}(,\d{3})+(\.\d+)$|^[+-]?\d{1,3}(,\d{3}){2,}$"
    r"|^[+-]?\d{1,2}(,\d\d)+,\d{3}(\.\d+)?$",  # of India: 1,23,456
    ".": r"^[+-]?\d{1,3}(\.\d{3})+(,\d+)$|^[+-]?\d{1,3}(\.\d{3}){2,}$",
}
BLANKS = "[ '\u2019\u00a0\u202f\u2009]"
SPACED = rf"^[+-]?\d{{1,3}}({BLANKS}\d{{3}})+([.,]\d+)?$"
MISSING = frozenset(MISSING_TEXTS)
_NUMBER = re.compile(NUMBER, re.ASCII)
_GROUPED = re.compile(PLAINLY_GROUPED[","], re.ASCII)
_SPACED = re.compile(SPACED, re.ASCII)
_BLANKS = re.compile(BLANKS)
_LONGEST_TEXT = 1000
_SHOWN = 80  # characters of a value in a sentence
_NUMBERS = frozenset([float, int])
_HALF = re.compile("[\ud800-\udfff]")
# a number below each is of seconds, milli-, micro- and nanoseconds: from March 1973 on; a smaller
# one is of a clock that was not set
_FEWEST = 1e8
_UNITS = ((1e11, 1), (1e14, 10**3), (1e17, 10**6), (1e20, 10**9))
_DIGITS = re.compile(r"\d{9,19}(\.\d{1,9})?")
_COUNTS = (int, float, Decimal)
_CALENDAR = re.compile(r"(?:19|20)\d{10}(?:\d\d)?")
_MIDNIGHT = re.compile(r"(.{8,10}[T ])24((?::?00){0,2}(?:[.,]0+)?)(Z|[+-].*)?", re.IGNORECASE)
_UTC = re.compile(r"(?<!\s)\s*(?:z|utc|gmt)$", re.IGNORECASE)


def show(value: Any) -> str:
    """Return a value for a sentence, as its message has it: as JSON."""
    if value is None or isinstance(value, bool | list | tuple | dict):
        try:
            parts = json.JSONEncoder(ensure_ascii=False, default=str).iterencode(value)
            return legible("".join(islice(parts, _SHOWN + 1)), _SHOWN)
        except (ValueError, RecursionError):
            return shown(value)
    return str(value) if isinstance(value, Decimal | datetime) else shown(value)


def why_bad(written: Any, type: VariableType) -> str:
    """Return, as text for people, the reason why what is written is no value of that type."""
    text = str(written)
    size = "larger than the largest number that can be stored"
    size = "infinite; a measured value is finite" if "inf" in text.lower() else size
    why = f"is {size}" if _NUMBER.fullmatch(text) else "is not a number"
    return f"{show(written)} {'is neither true nor false' if type == 'boolean' else why}"


def read_scalar(value: Any) -> Scalar | None:
    """Return a value of a message as it is stored, None for null, not-a-number and an empty text.
    Raises ValueError with the reason for lists, objects, and texts and numbers that cannot be
    stored."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float | Decimal):
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if math.isinf(number):
            raise ValueError(why_bad(value, "number"))
        if value and not number:
            raise ValueError(f"{show(value)} is too small a number to be stored")
        return None if math.isnan(number) else number
    if isinstance(value, datetime):
        return value.isoformat()
    if not isinstance(value, str):
        raise ValueError(f"{show(value)} is not a number, text, true or false")
    text = value.strip()
    if len(text) > _LONGEST_TEXT:
        raise ValueError(
            f"the text has {len(text)} characters; at most {_LONGEST_TEXT} are allowed"
        )
    if not is_utf8(text):
        raise ValueError(f"{show(value)} holds half a character")
    return text or None


def is_utf8(text: str) -> bool:
    """Return whether a text can be stored: JSON can hold halves of surrogate pairs, UTF-8
    cannot."""
    return _HALF.search(text) is None


def as_type(value: Scalar, type: VariableType) -> Scalar:
    """Return a value in the type of its variable, as a file has it; a number is text with all its
    digits. Raises ValueError with the reason if it is none of this type."""
    if type == "category":
        if isinstance(value, bool):
            return str(value).lower()
        # all digits, e.g. of a lot; a whole number has no decimal point
        is_whole = isinstance(value, float) and value.is_integer()
        return str(int(value)) if is_whole else str(value)
    number = _read_number(value) if isinstance(value, str) else value
    if type == "number" and isinstance(number, float) and math.isfinite(number):
        return number
    if type == "boolean" and number in (0, 1):
        return bool(number)
    raise ValueError(why_bad(value, type))


def _read_number(text: str) -> float | bool | None:
    """Return the number or the truth value of a text; None for any other text."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    if _GROUPED.fullmatch(text):
        text = text.replace(",", "")
    elif _SPACED.fullmatch(text):
        text = _BLANKS.sub("", text)
    return float(text) if _NUMBER.fullmatch(text) else None


def finite_numbers(
    fields: Mapping[str, Any], names: Sequence[str] | None
) -> dict[str, float] | None:
    """Return the values of a row by variable if their sum is a finite number, so that each value is
    finite; None for other values, and without names."""
    values = fields.values()
    types = set(map(type, values))
    try:
        if names and types <= _NUMBERS and math.isfinite(sum(values)):
            is_as_it_is = int not in types and names == tuple(fields)
            return dict(fields if is_as_it_is else zip(names, map(float, values), strict=True))
    except OverflowError:
        return None
    return None


def read_instant(written: Any, zone: tzinfo) -> datetime:
    """Return the instant (UTC, whole milliseconds) of a stamp of a message: ISO 8601, or a count
    since 1970 of seconds to nanoseconds, as a file has them. Raises ValueError with the reason for
    anything else.

    `zone`: of stamps without one; of an hour that comes twice, they mean the first. A single
    message shows no order of day and month, so it has no other format.
    """
    try:
        at = _parse_stamp(written)
        at = (at if at.tzinfo else at.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, ArithmeticError, OSError):
        raise ValueError(
            f"{show(written)} is not a time; write ISO 8601, or seconds, milliseconds, micro- or "
            "nanoseconds since 1970, later than March 1973"
        ) from None
    if not FIRST_INSTANT <= at < LAST_INSTANT:
        raise ValueError(why_beyond(show(written)))
    return whole_millis(at)


def why_beyond(written: str) -> str:
    """Return, as text for people, that a stamp lies in no year of a measurement."""
    return f"{written} does not lie between the years {FIRST_INSTANT.year} and {LAST_INSTANT.year}"


def _parse_stamp(written: Any) -> datetime:
    """Return an instant of a stamp; one without a zone stays without. Raises an error for anything
    else."""
    if isinstance(written, datetime):
        return written
    if isinstance(written, str) and written[4:5] == "-":
        with suppress(ValueError):
            return datetime.fromisoformat(written)
    text = str(written).strip() if isinstance(written, (str, *_COUNTS)) else ""
    if _CALENDAR.fullmatch(text):
        text = f"{text[:8]}T{text[8:]}"
    elif type(written) in _COUNTS or _DIGITS.fullmatch(text):
        number = Decimal(text) if isinstance(written, str) else written
        unit = next((unit for most, unit in _UNITS if _FEWEST <= number < most), 0)
        return datetime.fromtimestamp(float(number / unit), UTC)
    midnight = _MIDNIGHT.fullmatch(text)
    if midnight:
        text = f"{midnight[1]}00{midnight[2]}{midnight[3] or ''}"
    at = datetime.fromisoformat(_UTC.sub("+00:00", text))
    return at + timedelta(days=1) if midnight else at
