"""Formats of a date and time, detected or named: digits in any order, months and halves of the day
in words of many languages, zones behind them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from alerting.adapters.files.cells import NO_INSTANT, BoolArray, Cells, as_mask
from alerting.adapters.files.times.zones import ABBREVIATIONS, AMBIGUOUS, minutes_of_word
from alerting.deferred import pa, pc
from alerting.definitions.faults import UserError, shown
from alerting.readings.history import DAY_MS, Millis
from alerting.readings.vocabulary import VOCABULARY

Ints = npt.NDArray[np.int64]

_UNCLEAR = -99_999  # minutes of an ambiguous zone
_VOCABULARY = VOCABULARY["stamps"]
_HALVES: Mapping[str, int] = _VOCABULARY["halves"]
_MONTHS = {"": 0} | {
    word: number for number, words in enumerate(_VOCABULARY["months"], 1) for word in words.split()
}
_WEEKDAYS = dict.fromkeys(["", *_VOCABULARY["weekdays"].split()], 0)
_PARTS: Mapping[str, str] = {
    **_VOCABULARY["parts"],
    "halves": "|".join(
        r"\.?@blank@?".join(letter.replace("o", "[oö]") for letter in word) for word in _HALVES
    ),
    "zones": "|".join(sorted({*ABBREVIATIONS, *AMBIGUOUS} - {"Z", "UTC", "GMT"}, reverse=True)),
}


def fill(pattern: str) -> str:
    """Return a pattern with the parts that it names: `@blank@`."""
    return re.sub(r"@(\w+)@", lambda name: fill(_PARTS[name[1]]), pattern)


_NARROWER = {
    fill("@weekday@"): "",
    fill("@zone@"): "",
    fill("@half@"): fill("@plain_half@"),
    fill("@letter@"): "[A-Za-z]",
    fill("@blank@"): " ",
}
ISO = "ISO 8601"


@dataclass(frozen=True)
class StampFormat:
    """One format of stamps. `pattern` names its groups after the directives of strptime."""

    name: str
    pattern: str

    def matches(self, cells: Cells) -> BoolArray:
        """Return a mask of the cells in this format; their numbers may still be no date."""
        mask = as_mask(pc.fill_null(pc.match_substring_regex(cells, self.pattern), False))
        if "(?P<w>" in self.pattern and mask.any():
            parts = pc.extract_regex(cells, self.pattern)
            mask &= _by_word(pc.struct_field(parts, "w"), _WEEKDAYS, -1) >= 0
            if "(?P<b>" in self.pattern:
                mask &= _by_word(pc.struct_field(parts, "b"), _MONTHS, -1) >= 0
        return mask

    def read(self, cells: Cells, zone: ZoneInfo | None = None) -> LocalStamps:
        """Return cells as milliseconds since 1970, local time as UTC; else `NO_INSTANT`. `zone`:
        the one whose abbreviations count first."""
        digits = self._of_one_width(cells)
        if digits is not None:
            at, valid, cut = _assemble(digits, np.ones(len(cells), dtype=bool))
            return LocalStamps(np.where(valid, at, NO_INSTANT), valid, cut)
        parts = self._parts(cells)
        texts = {field.name: pc.struct_field(parts, field.name) for field in parts.type}
        numbers = _numbers(texts)
        valid = as_mask(pc.is_valid(parts))
        if "w" in texts:
            valid &= _by_word(texts["w"], _WEEKDAYS, -1) >= 0
        at, valid, cut = _assemble(numbers, valid)
        zoned = np.zeros(len(cells), dtype=bool)
        if "z" in texts:
            minutes = _by_word(texts["z"], lambda z: minutes_of_word(z, zone) if z else 0, _UNCLEAR)
            zoned = as_mask(pc.greater(pc.fill_null(pc.binary_length(texts["z"]), 0), 0))
            valid &= ~zoned | (minutes != _UNCLEAR)
            at = np.where(zoned, at - minutes * 60_000, at)
        return LocalStamps(np.where(valid, at, NO_INSTANT), valid & ~zoned, cut)

    def _parts(self, cells: Cells) -> Any:
        """Return the parts of cells by group; by a narrow pattern, which is faster, if it fits."""
        narrow = self.pattern
        for part, text in _NARROWER.items():
            narrow = narrow.replace(part, text)
        first = cells[0].as_py() if len(cells) else None
        if first and re.match(narrow, first):
            parts = pc.extract_regex(cells, narrow)
            if parts.null_count == cells.null_count:
                return parts
        return pc.extract_regex(cells, self.pattern)

    def _of_one_width(self, cells: Cells) -> dict[str, Any] | None:
        """Return the numbers of cells whose digits are all where the first one's are; else None."""
        first = cells[0].as_py() if len(cells) and not cells.null_count else None
        match = re.match(self.pattern, first) if first and first.isascii() else None
        if match is None or any(match.groupdict().get(name) for name in "zpbw"):
            return None
        spans = {name: match.span(name) for name, text in match.groupdict().items() if text}
        _, buffer, data = cells.buffers()
        ends = np.frombuffer(buffer, np.int32)[cells.offset : cells.offset + len(cells) + 1]
        if (np.diff(ends) != len(match[0])).any():
            return None
        texts = np.frombuffer(data, np.uint8)[ends[0] : ends[-1]].reshape(len(cells), -1)
        inside = np.zeros(len(match[0]), dtype=bool)
        for start, end in spans.values():
            inside[start:end] = True
        digits = texts - np.uint8(48)
        if (digits[:, inside] > 9).any() or (texts[:, ~inside] != texts[0, ~inside]).any():
            return None
        numbers = {
            name: digits[:, start:end] @ 10 ** np.arange(end - start)[::-1]
            for name, (start, end) in spans.items()
        }
        if "Y" in numbers:
            numbers["Y"] = _with_century(numbers["Y"], np.full(len(cells), len(match["Y"]) == 2))
        if "f" in numbers:
            numbers["f"] *= 10 ** (9 - len(match["f"]))
        return numbers


@dataclass(frozen=True)
class LocalStamps:
    """Stamps as milliseconds.

    `naive` stamps name no zone: they are local time; the others are UTC. `cut` of them lose parts
    of a millisecond.
    """

    at: Millis
    naive: BoolArray
    cut: int


NAMED = {name: StampFormat(name, fill(p)) for name, p in _VOCABULARY["formats"].items()}
# 02.03.26 is a date
CLOCK_ONLY = StampFormat("HH:MM:SS", fill(r"^(?P<H>\d{1,2})[:hH]@digits@@zone@$"))
ORDERS: Mapping[Any, tuple[StampFormat, ...]] = {
    NAMED[first]: (NAMED[first], NAMED[second])
    for first, second in (("dd/mm/yyyy", "mm/dd/yyyy"), ("dd-mm-yyyy", "mm-dd-yyyy"))
}
"""Formats with the day before the month: they, and those with the month before the day."""
FORMATS = tuple(f for f in NAMED.values() if not any(f in orders for orders in ORDERS.values()))
_IN_FRONT = fill(r"^@weekday@(?P<a>\d{1,2})[-/](?P<b>\d{1,2})[-/]")
_DIRECTIVES: Mapping[str, str] = {d: fill(part) for d, part in _VOCABULARY["directives"].items()}


def named_format(text: str) -> StampFormat | None:
    """Return the format of `--time-format`; None for ISO 8601.

    The text is a name such as dd.mm.yyyy, or directives such as %d.%m.%Y %H:%M. Raises UserError if
    it is neither, or lacks a part of the date.
    """
    if text.strip().lower() in ("iso", ISO.lower()):
        return None
    if "%" not in text:
        name = re.split(r"(?<![ ,])[ ,]+hh?:mm", text.strip().lower())[0]
        by_name = {f.lower(): form for f, form in NAMED.items()} | {
            "yyyymmdd": NAMED["yyyymmddHHMMSS"],
            "yyyymmddhhmm": NAMED["yyyymmddHHMMSS"],
        }
        if name in by_name:
            return by_name[name]
        names = ", ".join(NAMED)
        raise UserError(
            f"{shown(text)} is not a format of stamps (--time-format); write {names}, or a "
            "pattern such as %d.%m.%Y %H:%M:%S"
        )
    parts = re.split("%(.)", text)  # literal text, a directive, literal text …
    unknown = [d for d in parts[1::2] if d not in _DIRECTIVES] + [""] * ("%" in parts[-1])
    if unknown:
        raise UserError(
            f"{shown(text)} (--time-format): %{unknown[0]} is not known; known are "
            + " ".join(f"%{directive}" for directive in _DIRECTIVES)
        )
    literal = [re.escape(part).replace(r"\ ", "[ T\u00a0\u202f]+") for part in parts]
    pattern = "".join(_DIRECTIVES[p] if i % 2 else literal[i] for i, p in enumerate(parts))
    groups = re.findall(r"\?P<(\w)>", pattern)
    is_whole = {"d", "Y"} <= {*groups} and {"m", "b"} & {*groups}
    if not is_whole or len({*groups}) != len(groups):
        raise UserError(
            f"{shown(text)} (--time-format) must name day, month and year once each, e.g. "
            "%d.%m.%Y %H:%M:%S"
        )
    return StampFormat(text, f"^{pattern}$")


def with_order(form: StampFormat | None, columns: Iterable[Cells]) -> StampFormat | None:
    """Return the format, day or month first as a number above 12 in one of these columns shows it;
    None if none does."""
    if form not in ORDERS:
        return form
    for cells in columns:
        parts = pc.extract_regex(cells, _IN_FRONT)
        for order, part in zip(ORDERS[form], "ab", strict=True):
            if _ints(pc.struct_field(parts, part)).max(initial=0) > 12:
                return order
    return None


def _numbers(texts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parts of stamps as numbers: nanoseconds, months, halves of the day in hours."""
    numbers: dict[str, Any] = {name: _ints(texts[name]) for name in "dmYHMS" if name in texts}
    if "Y" in texts:
        numbers["Y"] = _with_century(
            numbers["Y"], as_mask(pc.equal(pc.fill_null(pc.binary_length(texts["Y"]), 0), 2))
        )
    if "b" in texts:
        numbers["m"] = _by_word(texts["b"], _MONTHS, 0)
    if "f" in texts:
        padded = pc.utf8_rpad(pc.fill_null(texts["f"], ""), width=9, padding="0")
        numbers["f"] = pc.cast(padded, pa.int64()).to_numpy(zero_copy_only=False)
    if "p" in texts:
        numbers["p"] = _by_word(texts["p"], _HALVES, -1)
    return numbers


def _assemble(numbers: Mapping[str, Any], valid: BoolArray) -> tuple[Millis, BoolArray, int]:
    zero = np.zeros(len(valid), dtype=np.int64)
    defaults = {"Y": 1970, "m": 1, "d": 1, "H": 0, "M": 0, "S": 0, "f": 0, "p": -1}
    parts = (numbers.get(name, zero + default) for name, default in defaults.items())
    year, month, day, hour, minute, second, nanos, half = parts
    valid = valid & ((half < 0) | ((hour >= 1) & (hour <= 12)))
    hour = np.where(half < 0, hour, hour % 12 + half)
    first = ((year - 1970) * 12 + month - 1).astype("datetime64[M]")
    days = first.astype("datetime64[D]") + day - 1
    valid &= (year >= 1) & (month >= 1) & (month <= 12) & (days.astype("datetime64[M]") == first)
    midnight = (hour == 24) & (minute == 0) & (second == 0)
    valid &= ((hour < 24) | midnight) & (minute < 60) & (second < 60)
    seconds = (hour * 60 + minute) * 60 + second
    at = days.astype(np.int64) * DAY_MS + seconds * 1000 + nanos // 1_000_000
    return at, valid, int(((nanos % 1_000_000 != 0) & valid).sum())


def _with_century(year: Ints, is_short: BoolArray) -> Ints:
    """Return years; of two digits those from 1970 to 2069. `0001` is a null date of programs."""
    return np.where(is_short, year + np.where(year < 70, 2000, 1900), year)


def fold(word: str) -> str:
    """Return the letters of a word alone, without case and accents: `févr.` is fevr."""
    letters = unicodedata.normalize("NFKD", word.casefold().replace("µ", "μ"))
    return "".join(c for c in letters if c.isalpha())


def _by_word(
    texts: Any, value: Callable[[str], int | None] | Mapping[str, int], absent: int
) -> Ints:
    """Return the value of each cell's word, `absent` for an unknown word."""
    encoded = pc.fill_null(texts, "").dictionary_encode()
    words = encoded.dictionary.to_pylist()
    by_code = [value(w) if callable(value) else value.get(fold(w)) for w in words]
    indices = encoded.indices.to_numpy(zero_copy_only=False)
    numbers = np.array([absent if v is None else v for v in by_code], dtype=np.int64)
    return np.asarray(numbers[indices])


def _ints(texts: Any) -> Ints:
    digits = pc.if_else(pc.equal(pc.fill_null(pc.binary_length(texts), 0), 0), None, texts)
    return np.asarray(
        pc.fill_null(pc.cast(digits, pa.int64()), 0).to_numpy(zero_copy_only=False),
        dtype=np.int64,
    )
