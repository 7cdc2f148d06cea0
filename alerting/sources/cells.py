"""Text cells into values, a column at a time: numbers, booleans, categories and instants.

A missing cell is empty, or one of the words in `MISSING_WORDS`; it never becomes a value. Not-a-number is missing, infinity is
a fault.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from alerting.definitions.assets import VariableType
from alerting.readings.history import Millis

Cells = Any  # pyarrow.StringArray; pyarrow ships no types
BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]

MISSING_WORDS = ("", "nan", "NaN", "NAN", "null", "NULL", "NA", "N/A", "n/a", "#N/A")
NO_INSTANT = np.iinfo(np.int64).min
_NUMBER = r"^[+-]?((\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|(?i:inf|infinity|nan))$"
_DECIMAL_COMMA = r"^[+-]?\d+,\d+$"
_ISO = r"^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d([.,]\d{1,9})?)?( ?(Z|z|[+-]\d\d(:?\d\d)?))?)?$"
_ZONED = r"(Z|z|[+-]\d\d(:?\d\d)?)$"
_EPOCH = r"^\d{9,13}$"
_EPOCH_WITH_FRACTION = r"^\d{9,13}\.\d{1,9}$"
_FIRST_EPOCH_MS = 100_000_000_000  # as seconds this would be the year 5138


def clean(cells: Cells) -> Cells:
    """Cells without blanks around them; null where missing."""
    trimmed = pc.utf8_trim_whitespace(cells)
    missing = pc.is_in(trimmed, pa.array(MISSING_WORDS))
    return pc.if_else(missing, None, trimmed) if pc.any(missing).as_py() else trimmed


def present(cells: Cells) -> BoolArray:
    """Which cleaned cells hold anything."""
    return _mask(pc.is_valid(cells))


def numbers(cells: Cells, decimal: str = ".") -> tuple[FloatArray, BoolArray]:
    """Cleaned cells as float64 (NaN where missing or text), and which of them are text. Infinity stays infinity."""
    nothing = np.zeros(len(cells), dtype=bool)
    if decimal == "," and len(cells):
        dotted = pc.match_substring(cells, ".")
        cells = pc.if_else(dotted, "with a dot", pc.replace_substring(cells, ",", "."))
    if re.match(_NUMBER, _first(cells)):  # a cast that must fail is slow: it fails cell by cell
        try:
            return _floats(pc.cast(cells, pa.float64())), nothing
        except pa.ArrowInvalid:
            pass
    is_number = pc.match_substring_regex(cells, _NUMBER)
    return _floats(pc.cast(pc.if_else(is_number, cells, None), pa.float64())), ~_mask(pc.fill_null(is_number, True))


def booleans(cells: Cells, decimal: str = ".") -> tuple[BoolArray, BoolArray]:
    """Which cleaned cells are true (the word, or 1), and which are neither true nor false (nor 0, nor missing)."""
    floats, texts = numbers(cells, decimal)
    true, false = (
        _mask(pc.equal(pc.utf8_lower(cells), word).fill_null(False)) if texts.any() else texts for word in ("true", "false")
    )
    return true | (floats == 1), (texts & ~true & ~false) | (~texts & ~np.isnan(floats) & (floats != 0) & (floats != 1))


def decimal_commas(cells: Cells) -> BoolArray:
    """Which cleaned cells look like `12,5`."""
    return _matching(cells, _DECIMAL_COMMA)


def values(cells: Cells, type: VariableType, decimal: str) -> tuple[list[Any], BoolArray]:
    """Cleaned cells as Python values of this type, None where missing or bad; and which are bad."""
    if type == "number":
        floats, texts = numbers(cells, decimal)
        bad = texts | np.isinf(floats)
        missing = np.isnan(floats) | bad
        return (_with_none(floats, missing) if missing.any() else floats.tolist()), bad
    if type == "boolean":
        true, bad = booleans(cells, decimal)
        missing = bad | ~present(cells)
        return (_with_none(true, missing) if missing.any() else true.tolist()), bad
    return cells.to_pylist(), np.zeros(len(cells), dtype=bool)


def why_bad(cell: str, type: VariableType) -> str:
    """The reason why this cell is no value of that type, in plain words."""
    if type == "boolean":
        return f"{cell!r} is neither true nor false"
    if re.match(r"(?i)^[+-]?(inf|infinity)$", cell):
        return f"{cell!r} is infinite, which no measured value is"
    if re.match(_NUMBER, cell):
        return f"{cell!r} is larger than any number that can be kept"
    hint = "; if that is a decimal comma, add --decimal ," if re.match(_DECIMAL_COMMA, cell) else ""
    return f"{cell!r} is not a number{hint}"


@dataclass(frozen=True)
class Instants:
    """Milliseconds since 1970 per cell (`NO_INSTANT` where there is none), and what had to be assumed for how many cells.

    `absent` says which cells are empty, `bad` which hold no readable instant; `zoneless` were taken as UTC, `cut` had parts
    smaller than a millisecond, which are dropped.
    """

    at: Millis
    absent: BoolArray
    bad: BoolArray
    zoneless: int
    cut: int


def instants(cells: Cells, zone: ZoneInfo | None) -> Instants:
    """Cleaned cells as instants: ISO 8601 with or without zone, or seconds or milliseconds since 1970.

    A stamp without a zone is local time of `zone`, UTC without one; a local time that is skipped or comes twice when the
    clocks change is bad.
    """
    absent = ~present(cells)
    local, naive, cut = _uniform(cells, absent) or _mixed(cells)
    at = _local_to_utc(local, naive, zone) if zone else local
    return Instants(at, absent, (at == NO_INSTANT) & ~absent, 0 if zone else int((naive & ~absent).sum()), cut)


def _uniform(cells: Cells, absent: BoolArray) -> tuple[Millis, BoolArray, int] | None:
    """As `_mixed`, quickly, for cells that are all ISO 8601 without a zone, or all with one; None if they are not."""
    first = _first(cells)
    if not re.match(_ISO, first):  # a cast that must fail is slow: it fails cell by cell
        return None
    zoned = bool(re.search(_ZONED, first[10:]))
    try:
        stamps = _stamps(pc.cast(cells, pa.timestamp("ms", "UTC" if zoned else None)))
    except pa.ArrowInvalid:
        return None
    return stamps, np.zeros_like(absent) if zoned else ~absent, 0


def why_no_instant(cell: str, zone: ZoneInfo | None) -> str:
    """The reason why this cell holds no instant, in plain words."""
    if zone and re.match(_ISO, cell) and not re.search(_ZONED, cell[10:]):
        try:
            local = datetime.fromisoformat(cell.replace(",", "."))
        except ValueError:
            return f"{cell!r} is no date and time of the calendar"
        first, second = (local.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1))
        if first and second and first > second:
            return f"{cell!r} comes twice in {zone.key} (the clocks are set back); write the stamps with their offset from UTC"
        return f"{cell!r} does not exist in {zone.key} (the clocks are set forward); is this the zone of the stamps?"
    if re.match(r"^\d+(\.\d+)?$", cell):
        return f"{cell!r} is no instant; numbers must be seconds or milliseconds since 1970, and later than March 1973"
    if re.match(_ISO, cell):
        return f"{cell!r} is no date and time of the calendar"
    return f"{cell!r} is no instant; write for example 2015-01-01 06:00:00 or 2015-01-01T06:00:00Z"


def _mixed(cells: Cells) -> tuple[Millis, BoolArray, int]:
    """Milliseconds (local time where there is no zone), which have no zone, and how many lost parts of a millisecond."""
    at = np.full(len(cells), NO_INSTANT, dtype=np.int64)
    iso = _matching(cells, _ISO)
    zoned = iso & _matching(pc.utf8_slice_codeunits(cells, 10), _ZONED)
    texts = pc.replace_substring(cells.filter(pa.array(iso)), ",", ".").to_pylist()
    parsed = pd.DatetimeIndex(pd.to_datetime(pd.Series(texts, dtype=object), format="ISO8601", errors="coerce", utc=True))
    at[iso] = parsed.as_unit("ms").asi8
    cut = int(((parsed != parsed.as_unit("ms")) & parsed.notna()).sum())
    whole = _matching(cells, _EPOCH)
    counts = pc.cast(cells.filter(pa.array(whole)), pa.int64()).to_numpy(zero_copy_only=False)
    at[whole] = np.where(counts >= _FIRST_EPOCH_MS, counts, counts * 1000)
    for row in np.flatnonzero(_matching(cells, _EPOCH_WITH_FRACTION)):
        at[row], lost = _since_1970(cells[int(row)].as_py())
        cut += lost
    return at, iso & ~zoned, cut


def _since_1970(text: str) -> tuple[int, bool]:
    whole, _, fraction = text.partition(".")
    if int(whole) >= _FIRST_EPOCH_MS:
        return int(whole), bool(fraction.strip("0"))
    digits = fraction.ljust(3, "0")
    return int(whole) * 1000 + int(digits[:3]), bool(digits[3:].strip("0"))


def _local_to_utc(local: Millis, naive: BoolArray, zone: ZoneInfo) -> Millis:
    at = local.copy()
    stamps = pd.DatetimeIndex(local[naive].view("datetime64[ms]"))
    at[naive] = stamps.tz_localize(zone, ambiguous="NaT", nonexistent="NaT").asi8
    return at


def _stamps(array: Any) -> Millis:
    return np.asarray(pc.fill_null(pc.cast(array, pa.int64()), NO_INSTANT).to_numpy(zero_copy_only=False))


def _first(cells: Cells) -> str:
    """The first cell that holds anything, or an empty text."""
    at = pc.index(pc.is_valid(cells), True).as_py()
    return "" if at < 0 else cells[at].as_py()


def _matching(cells: Cells, pattern: str) -> BoolArray:
    return _mask(pc.fill_null(pc.match_substring_regex(cells, pattern), False))


def _floats(array: Any) -> FloatArray:
    return np.asarray(array.to_numpy(zero_copy_only=False), dtype=np.float64)


def _mask(array: Any) -> BoolArray:
    return np.asarray(array.to_numpy(zero_copy_only=False), dtype=bool)


def _with_none(values: npt.NDArray[Any], missing: BoolArray) -> list[Any]:
    objects = values.astype(object)
    objects[missing] = None
    return list(objects)
