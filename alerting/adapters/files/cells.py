"""Conversion of text cells into values by column: numbers, booleans, categories and instants.
Numbers with units, factors or unusual signs become plain ones first.

A missing cell is empty, or one of the words in `MISSING_TEXTS`; it never becomes a value.
Not-a-number is missing, infinity is a fault.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from alerting.deferred import pa, pc, pd
from alerting.definitions.asset_documents import VariableType
from alerting.definitions.faults import UserError, shown
from alerting.ports import SampleColumn
from alerting.readings import written_values
from alerting.readings.foreign_columns import (
    WRITTEN_NUMBER,
    ColumnProfile,
    NumberWriting,
    Units,
    find_writing,
    split_title,
    unit_parts,
)
from alerting.readings.history import DAY_MS, Millis
from alerting.readings.vocabulary import VOCABULARY
from alerting.readings.written_values import (
    BLANKS,
    MISSING_TEXTS,
    NO_VALUE_TEXTS,
    NUMBER,
    PLAINLY_GROUPED,
    SPACED,
    STATES_NO_VALUE,
)

Cells = Any  # pyarrow.StringArray; pyarrow ships no types
BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]


_SWITCH_STATES = [*map(frozenset, VOCABULARY["cells"]["switches"])]
NO_INSTANT = np.iinfo(np.int64).min
DECIMAL_COMMA = r"^[+-]?(\d+|\d{1,3}(\.\d{3})+),\d+$"
_WITH_MARK = r"^[+-]?[\d.,]*[.,][\d.,]*([eE][+-]?\d+)?$"
_SHOWS_COMMA = r"^[+-]?(\d*,(\d{1,2}|\d{4,})|0\d*,\d+|\d{4,},\d+)([eE][+-]?\d+)?$"
_SHOWS_POINT = (
    _SHOWS_COMMA.replace(",(", r"\.(").replace(r"*,\d", r"*\.\d").replace(r"},\d+)", r"}\.\d+)")
)
_GROUPED = {
    ",": r"^[+-]?[1-9]\d{0,2}(,\d{3})+(\.\d+)?$|^[+-]?[1-9]\d?(,\d\d)+,\d{3}(\.\d+)?$",
    ".": r"^[+-]?[1-9]\d{0,2}(\.\d{3})+(,\d+)?$",
}
LONG_NUMBER = r"^\d{16,}$"
_MINUS = ["-", "\u2212", "\u2013"]
_SHOWS_QUANTITY = r"^[+-]|^\d*[.,]\d"
_ZERO_FIRST = r"^0\d+$"
_IDENTIFIERS = {
    _ZERO_FIRST: "begin with a zero, which a number would lose",
    LONG_NUMBER: "have more than 15 digits, of which a number would lose some",
    r"^\d+[eE]\d+$": "have an exponent without a point, as lots may have",
}
_ISO = r"^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d([.,]\d{1,9})?)?( ?(Z|z|[+-]\d\d(:?\d\d)?))?)?$"
_ZONED = r"(Z|z|[+-]\d\d(:?\d\d)?)$"
_MIDNIGHT = r"^.{10}[T ]24:00(:00([.,]0+)?)?([^\d:.,].*)?$"
_FIRST_EPOCH_MS = 100_000_000_000  # as seconds this would be the year 5138


def clean(cells: Cells, texts: Sequence[str] = MISSING_TEXTS) -> Cells:
    """Return cells without surrounding blanks; null for the words that mark a missing value."""
    if cells.null_count == len(cells):
        return cells
    trimmed = pc.utf8_trim_whitespace(cells)
    missing = pc.is_in(trimmed, pa.array(texts, pa.string()))
    return pc.if_else(missing, None, trimmed) if pc.any(missing).as_py() else trimmed


def column(texts: Sequence[str | None]) -> Cells:
    """Return a column of these cells."""
    return pa.array(texts, pa.string())


def filled_cells(cells: Cells) -> BoolArray:
    """Return a mask of the filled cells among cleaned cells, with one entry for each cell."""
    return as_mask(pc.is_valid(cells))


def numbers(
    cells: Cells, decimal: str = ".", thousands: bool = False
) -> tuple[FloatArray, BoolArray]:
    """Return cleaned cells as float64 (NaN where missing or text), and a mask of the text cells.
    Infinity stays infinity.

    Thousands may be separated by blanks, apostrophes, or the mark that is not the decimal one:
    `1.234,5`. That mark alone is enough only if `thousands` is set: `1.234` with a decimal comma.
    """
    nothing = np.zeros(len(cells), dtype=bool)
    if cells.null_count == len(cells):
        return np.full(len(cells), np.nan), nothing
    plain = _with_decimal_point(cells, decimal)
    if re.match(NUMBER, _first(plain)):  # a cast that must fail is slow: it fails cell by cell
        with suppress(pa.ArrowInvalid):
            return _floats(plain), nothing
    cells = _without_separators(cells, decimal, thousands)
    spaced = pc.fill_null(pc.match_substring_regex(cells, SPACED), False)
    if pc.any(spaced).as_py():
        cells = pc.if_else(spaced, pc.replace_substring_regex(cells, BLANKS, ""), cells)
    cells = _with_decimal_point(cells, decimal)
    is_number = pc.match_substring_regex(cells, NUMBER)
    texts = ~as_mask(pc.fill_null(is_number, True))
    return _floats(pc.if_else(is_number, cells, None)), texts


def plain_numbers(cells: Cells) -> FloatArray | None:
    """Return uncleaned cells as float64 if each is a plain number with a point; else None."""
    is_first = len(cells) and re.match(NUMBER, cells[0].as_py() or "")
    if is_first and pc.min(pc.binary_length(cells)).as_py():
        with suppress(pa.ArrowInvalid):
            floats = _floats(cells)
            return None if np.isnan(floats).any() else floats
    return None


def _with_decimal_point(cells: Cells, decimal: str) -> Cells:
    """Return the cells with a decimal point; with a decimal comma, a point makes a cell text."""
    if decimal == "." or not len(cells):
        return cells
    dotted = pc.replace_substring(cells, ",", ".")
    return pc.if_else(pc.match_substring(cells, "."), "with a dot", dotted)


def _without_separators(cells: Cells, decimal: str, thousands: bool) -> Cells:
    mark = "," if decimal == "." else "."
    if not pc.any(pc.match_substring(cells, mark)).as_py():
        return cells
    form = _GROUPED[mark] if thousands else PLAINLY_GROUPED[mark]
    grouped = pc.fill_null(pc.match_substring_regex(cells, form), False)
    return pc.if_else(grouped, pc.replace_substring(cells, mark, ""), cells)


def plainly_grouped(cells: Cells, decimal: str) -> BoolArray:
    """Return, for each cell, whether it has an unambiguous mark of thousands: `1.234,5`,
    `1.234.567`."""
    mark = "," if decimal == "." else "."
    if pc.any(pc.match_substring(cells, mark)).as_py():
        return matching(cells, PLAINLY_GROUPED[mark])
    return np.zeros(len(cells), dtype=bool)


def decimal_mark(cells: Cells) -> tuple[int, int]:
    """Return how many cells show a decimal point, and how many a comma; `1,234` shows neither."""
    texts = cells.filter(pc.match_substring_regex(cells, _WITH_MARK)).drop_null()
    point = plainly_grouped(texts, ".")
    comma = plainly_grouped(texts, ",")
    if pc.any(pc.match_substring(texts, ".")).as_py():
        point = point | matching(texts, _SHOWS_POINT)
    if pc.any(pc.match_substring(texts, ",")).as_py():
        comma = comma | matching(texts, _SHOWS_COMMA)
    return int((point & ~comma).sum()), int((comma & ~point).sum())


def states_no_value(cells: Cells, texts: Sequence[str] = NO_VALUE_TEXTS) -> BoolArray:
    """Return a mask of cells that state a missing value, by one of these texts or a form."""
    is_word = pc.fill_null(pc.is_in(pc.utf8_lower(cells), pa.array(texts)), False)
    return as_mask(is_word) | matching(cells, STATES_NO_VALUE)


def plain_cells(cells: Cells, writing: NumberWriting, decimal: str, thousands: bool) -> Cells:
    """Return cleaned cells with plain numbers for those that are written so; the others stay.

    `1.06 K` becomes `1.06e3`: the nearest number, as if it had been written in full.
    """
    parts, fits = _parts(cells)
    suffixes = parts["suffix"].dictionary_encode()
    powers = [writing.power(text or "") for text in suffixes.dictionary.to_pylist()]
    texts = [None if power is None else f"e{power}" if power else "" for power in powers]
    power = pa.array(texts, pa.string()).take(suffixes.indices)
    is_scaled = pc.not_equal(power, "")
    core = _without_separators(parts["core"], decimal, thousands)
    core = pc.if_else(is_scaled, pc.replace_substring_regex(core, BLANKS, ""), parts["core"])
    minus = pc.or_(
        pc.or_(pc.not_equal(parts["open"], ""), pc.not_equal(parts["behind"], "")),
        pc.is_in(parts["sign"], pa.array(_MINUS)),
    )
    plain = pc.binary_join_element_wise(pc.if_else(minus, "-", ""), core, parts["power"], power, "")
    is_twice = pc.and_(is_scaled, pc.not_equal(parts["power"], ""))
    return pc.coalesce(pc.if_else(pc.and_(fits, pc.invert(is_twice)), plain, None), cells)


def count_suffixes(cells: Cells) -> tuple[Counter[str], int]:
    """Return the texts behind the numbers of cleaned cells with their counts, and the number of
    cells in brackets."""
    parts, fits = _parts(cells)
    counted = pc.value_counts(parts["suffix"].filter(fits)).to_pylist()
    suffixes = Counter({c["values"]: c["counts"] for c in counted if c["values"] is not None})
    return suffixes, int(pc.sum(pc.and_(fits, pc.not_equal(parts["open"], ""))).as_py() or 0)


def _parts(cells: Cells) -> tuple[dict[str, Cells], Cells]:
    """Return the parts of numbers by name, and a mask of the cells that are some."""
    groups = pc.extract_regex(cells, WRITTEN_NUMBER)
    parts = {field.name: pc.struct_field(groups, field.name) for field in groups.type}
    parts["suffix"] = pc.utf8_trim_whitespace(parts["suffix"])
    pairs = pc.equal(pc.binary_length(parts["open"]), pc.binary_length(parts["close"]))
    return parts, pc.fill_null(pairs, False)


def why_identifier(cells: Cells) -> str | None:
    """Return, as text for people, why the numbers of these cells are names of things rather than
    quantities; None if they are not."""
    if re.match(_SHOWS_QUANTITY, _first(cells)):
        return None
    filled = cells.drop_null()
    if not len(filled) or matching(filled, _SHOWS_QUANTITY).any():
        return None
    digits = filled.filter(pc.match_substring_regex(filled, r"^\d+$"))
    for pattern, reason in _IDENTIFIERS.items():
        names = filled.filter(pc.match_substring_regex(filled, pattern))
        is_rare = pattern == _ZERO_FIRST and 2 * len(names) <= len(filled)
        if len(names) and not (is_rare and len(pc.unique(pc.utf8_length(digits))) > 1):
            return f"numbers such as {names[0].as_py()} {reason}"
    return None


class WrittenCells:
    """The writing of each column of a table. `types`: those that the user stated, by title."""

    def __init__(
        self, path: Path, sample: Mapping[str, Cells], types: Mapping[str, VariableType]
    ) -> None:
        self._path = path
        self._sample = sample
        self._types = types
        self.writings: dict[str, NumberWriting | None] = {}
        """Those of columns whose cells are not read as they are written, by title; None of words of
        a switch."""
        self._identifiers: dict[str, str | None] = {}

    def new_columns(self, names: Mapping[str, str]) -> dict[str, ColumnProfile]:
        """Return the profiles of the columns of these names by title, before the first row."""
        if not self._identifiers:
            self._identifiers = {t: why_identifier(self._sample[t]) for t in names}
        return {
            title: ColumnProfile(
                title,
                name,
                stated=self._types.get(title),
                identifier=self._identifiers[title],
                writing=self.writings.get(title),
            )
            for title, name in names.items()
        }

    def revise(self, columns: Iterable[ColumnProfile], units: Units) -> bool:
        """Return whether the columns show another writing, so that the file must be read again.

        `units`: of the variables that there are. Raises UserError if a title and its cells state
        units of different quantities.
        """
        revised = [self._revise(c, units) for c in columns if c.writing or c.common_texts]
        return any(revised)

    def titles(self, titles: Iterable[str]) -> dict[str, str]:
        """Return each title by the title as if it stated the unit that its cells state."""
        units = {title: writing.unit for title, writing in self.writings.items() if writing}
        return {
            f"{t} [{units[t]}]" if units.get(t) and not split_title(t).unit else t: t
            for t in titles
        }

    def plain(self, title: str, cells: Cells, decimal: str, thousands: bool) -> Cells:
        """Return cleaned cells with plain numbers, and without words for no value beside two."""
        writing = self.writings[title]
        if writing is None:
            return pc.if_else(pa.array(states_no_value(cells)), None, cells)
        return plain_cells(cells, writing, decimal, thousands)

    def _revise(self, column: ColumnProfile, units: Units) -> bool:
        title = column.title
        writing: NumberWriting | None = None
        if column.stated == "category":
            return False
        if column.is_factor_after_all():
            writing = NumberWriting(has_factors=True)
        elif title not in self.writings:
            texts = pa.array(column.common_texts, pa.string())
            others = texts.filter(pa.array(~states_no_value(texts))).to_pylist()
            states = {text.lower() for text in others}
            is_switch = 0 < len(states) < len(texts) and any(states <= w for w in _SWITCH_STATES)
            if is_switch and not column.numbers:  # two opposite words beside some for no value
                self.writings[title] = None
                return True
            writing = find_writing(column, units.get(column.name, ()))
            stated = split_title(title).unit
            is_other = writing and writing.unit and writing.power(stated or "") is None
            if writing and is_other and unit_parts(stated or ""):
                text = next(iter(column.common_texts))
                raise UserError(
                    f"{self._path!s}: the title of column {shown(title)} states the unit {stated}, "
                    f"but its cells state {writing.unit} ({shown(text)}); correct one of them, or "
                    "leave the column out with --only"
                )
        if writing is not None:
            self.writings[title] = writing
        return writing is not None


def booleans_among(
    cells: Cells, floats: FloatArray, texts: BoolArray
) -> tuple[BoolArray, BoolArray]:
    """Return a mask of true cells (the word, or 1), and one of cells that are no boolean. `floats`,
    `texts`: the cells as numbers, and those that are none. Each array has one entry per cell."""
    true = false = texts
    if texts.any():
        words = pc.utf8_lower(cells)
        true = as_mask(pc.equal(words, "true").fill_null(False))
        false = as_mask(pc.equal(words, "false").fill_null(False))
    is_other = ~texts & ~np.isnan(floats) & (floats != 0) & (floats != 1)
    return true | (floats == 1), (texts & ~true & ~false) | is_other


def values(
    cells: Cells,
    type: VariableType,
    decimal: str,
    thousands: bool = False,
    floats: FloatArray | None = None,
) -> tuple[SampleColumn, BoolArray]:
    """Return cleaned cells as samples of this type, absent where missing or bad, and a mask of the
    bad cells. Both have one entry for each cell.

    `floats`: the cells as numbers, if they are parsed already and none of them is text.
    """
    bad = np.zeros(len(cells), dtype=bool)
    if type == "category":
        return SampleColumn(cells.to_numpy(zero_copy_only=False), filled_cells(cells)), bad
    if floats is None:
        floats, bad = numbers(cells, decimal, thousands)
    if type == "boolean":
        true, bad = booleans_among(cells, floats, bad)
        return SampleColumn(true, filled_cells(cells) & ~bad), bad
    bad = bad | np.isinf(floats)
    return SampleColumn(floats, ~(np.isnan(floats) | bad)), bad


def why_bad(cell: str, type: VariableType) -> str:
    """Return, as text for people, the reason why this cell is no value of that type."""
    is_comma = type != "boolean" and re.match(DECIMAL_COMMA, cell)
    advice = "; if that is a decimal comma, add --decimal ," if is_comma else ""
    return written_values.why_bad(cell, type) + advice


@dataclass(frozen=True)
class Instants:
    """Milliseconds since 1970 per cell (`NO_INSTANT` where there is none), with the assumptions and
    their counts.

    `absent` marks empty cells, `bad` cells without a readable instant. `zoneless` cells name no
    zone; `cut` cells lose parts smaller than a millisecond. `local`: the stamp as written, in
    milliseconds as if it were UTC.
    """

    at: Millis
    absent: BoolArray
    bad: BoolArray
    zoneless: int
    cut: int
    local: Millis


def iso_stamps(cells: Cells) -> tuple[Millis, BoolArray, int]:
    """Return milliseconds of cleaned cells in ISO 8601 or since 1970 (local time without a zone), a
    mask of cells without a zone, and the number of cells that lose parts of a millisecond."""
    first = _first(cells)
    if re.match(_ISO, first):  # a cast that must fail is slow: it fails cell by cell
        zoned = bool(re.search(_ZONED, first[10:]))
        with suppress(pa.ArrowInvalid):
            stamps = pc.cast(cells, pa.timestamp("ms", "UTC" if zoned else None))
            at = pc.fill_null(pc.cast(stamps, pa.int64()), NO_INSTANT)
            naive = np.zeros(len(cells), dtype=bool) if zoned else filled_cells(cells)
            return at.to_numpy(zero_copy_only=False), naive, 0
    return _parse_mixed(cells)


def why_no_instant(cell: str, zone: ZoneInfo | None) -> str:
    """Return, as text for people, the reason why this cell holds no instant."""
    if zone and re.match(_ISO, cell) and not re.search(_ZONED, cell[10:]):
        try:
            local = datetime.fromisoformat(cell.replace(",", "."))
        except ValueError:
            return f"{shown(cell)} is not a date and time of the calendar"
        return why_not_in_zone(cell, local, zone)
    if re.match(r"^\d+(\.\d+)?$", cell):
        return (
            f"{shown(cell)} is not an instant; numbers must be seconds or milliseconds since "
            "1970, and later than March 1973"
        )
    if re.match(_ISO, cell):
        return f"{shown(cell)} is not a date and time of the calendar"
    return (
        f"{shown(cell)} is not an instant; write for example 2015-01-01 06:00:00 or "
        "2015-01-01T06:00:00Z"
    )


def why_not_in_zone(cell: str, local: datetime, zone: ZoneInfo) -> str:
    """Return the reason why the local time in this cell is no instant of a zone."""
    first = local.replace(tzinfo=zone, fold=0).utcoffset()
    second = local.replace(tzinfo=zone, fold=1).utcoffset()
    if first and second and first > second:
        return (
            f"{shown(cell)} comes twice in {zone.key} (the clocks are set back), and the order "
            "of the lines does not show which one is meant; sort them by time, or write the "
            "stamps with their offset from UTC"
        )
    hours = first is not None and first.total_seconds() / 3600
    all_year = (
        f"--tz Etc/GMT{-int(hours):+d}" if hours and float(hours).is_integer() else "--tz UTC"
    )
    return (
        f"{shown(cell)} does not exist in {zone.key} (the clocks are set forward); is this "
        f"the zone of the stamps? A logger that stays on winter time all year: {all_year}"
    )


def _parse_mixed(cells: Cells) -> tuple[Millis, BoolArray, int]:
    """Return what `iso_stamps` does, cell by cell."""
    at = np.full(len(cells), NO_INSTANT, dtype=np.int64)
    iso = matching(cells, _ISO)
    zoned = iso & matching(pc.utf8_slice_codeunits(cells, 10), _ZONED)
    midnight = iso & matching(cells, _MIDNIGHT)
    dotted = pc.replace_substring(cells.filter(pa.array(iso)), ",", ".")
    if midnight.any():
        begun = pc.replace_substring_regex(dotted, "([T ])24:00", r"\100:00")
        dotted = pc.if_else(pa.array(midnight[iso]), begun, dotted)
    texts = dotted.to_pylist()
    parsed = pd.DatetimeIndex(
        pd.to_datetime(pd.Series(texts, dtype=object), format="ISO8601", errors="coerce", utc=True)
    )
    at[iso] = parsed.as_unit("ms").asi8
    at[midnight & (at != NO_INSTANT)] += DAY_MS
    cut = int(((parsed != parsed.as_unit("ms")) & parsed.notna()).sum())
    form = r"^(?P<whole>\d{9,13})(?:[.,](?P<part>\d{1,9}))?$"
    counted = matching(cells, form)
    if counted.any():
        parts = pc.extract_regex(cells.filter(pa.array(counted)), form)
        padded = pc.utf8_rpad(pc.struct_field(parts, "part"), width=9, padding="0")
        nanos = pc.cast(padded, pa.int64()).to_numpy(zero_copy_only=False)
        counts = pc.cast(pc.struct_field(parts, "whole"), pa.int64()).to_numpy(zero_copy_only=False)
        is_millis = counts >= _FIRST_EPOCH_MS
        at[counted] = np.where(is_millis, counts, counts * 1000 + nanos // 1_000_000)
        cut += int(np.count_nonzero(np.where(is_millis, nanos, nanos % 1_000_000)))
    return at, iso & ~zoned, cut


def _first(cells: Cells) -> str:
    at = pc.index(pc.is_valid(cells), True).as_py()
    return "" if at < 0 else cells[at].as_py()


def matching(cells: Cells, pattern: str) -> BoolArray:
    """Return, for each cell, whether it matches a pattern; an empty cell does not."""
    return as_mask(pc.fill_null(pc.match_substring_regex(cells, pattern), False))


def _floats(cells: Cells) -> FloatArray:
    array = pc.cast(cells, pa.float64()).to_numpy(zero_copy_only=False)
    return np.asarray(array, dtype=np.float64)


def as_mask(array: Any) -> BoolArray:
    """Return a column of booleans without nulls as a mask."""
    return np.asarray(array.to_numpy(zero_copy_only=False), dtype=bool)
