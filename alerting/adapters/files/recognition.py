"""Detection of the time column and of the formats of stamps and numbers from a file's first rows,
and the formats of a date and time, besides ISO 8601 and seconds since 1970: detected or named."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from alerting.adapters.files import cells as cell
from alerting.adapters.files.cells import NO_INSTANT, BoolArray, Cells, as_mask
from alerting.adapters.files.chunks import (
    ChunkedTable,
    no_column,
    similar_titles,
    title_list,
)
from alerting.deferred import pa, pc
from alerting.definitions.faults import UserError, shown
from alerting.readings.history import Millis

ROWS = 2_000
DEFAULT_TIME = "ts"
JOINED = " + "
_LEAST_SHARE_OF_STAMPS = 0.5  # least share of stamps among the cells of a time column
_ISO_STAMP = r"^\d{4}-\d\d-\d\d([T ]\d\d:\d\d.*)?$"
_SINCE_1970 = r"^\d{9,13}(\.\d{1,9})?$"
_CLOCK_ONLY = r"^\d{1,2}:\d\d(:\d\d([.,]\d{1,9})?)?( ?[AaPp]\.?[Mm]\.?)?$"
_DAY_ONLY = r"^\d{1,4}[-./]\d{1,2}[-./]\d{1,4}$|^(19|20)\d{6}$"
_TIME_TITLES = r"(?i)^(ts|t|time|times|date|utc|.*zeit.*|datum.*|.*time.?stamp.*|epoch.*|unix.*|.*date.*time.*)$"  # noqa: E501
_PREFERRED_TITLES = (
    *("ts", "_time", "timestamp", "datetime", "date_time", "zeitstempel", "time", "zeit"),
    *("timestring", "last_changed"),
)

Sample = Mapping[str, Cells]


@dataclass(frozen=True)
class NumberForm:
    """Format of numbers. `shown`: the file has proved it, so that no later row changes it."""

    decimal: str
    shown: bool
    thousands: bool = False


def sample(table: ChunkedTable) -> dict[str, Cells]:
    """Return the first rows of a table, its cells cleaned."""
    rows = max(50, min(ROWS, 200_000 // len(table.titles)))
    first = table.first_rows(rows)
    if first is None:
        return {title: cell.column([]) for title in table.titles}
    return {title: cell.clean(cells.slice(0, rows)) for title, cells in first.columns.items()}


def number_form(cells: Sample, titles: Sequence[str], separator: str | None) -> NumberForm:
    """Return the decimal mark that most numbers of these columns show; else a point."""
    point = comma = 0
    for title in titles:
        points, commas = cell.decimal_mark(cells[title])
        point += points
        comma += commas
    decimal = "," if comma > point and separator != "," else "."
    thousands = any(cell.plainly_grouped(cells[title], decimal).any() for title in titles)
    return NumberForm(decimal, bool(point or comma), thousands)


def time_columns(
    table: ChunkedTable, time: str | None, cells: Sample, others: Sequence[str]
) -> tuple[str, ...]:
    """Return the title of the column of stamps, or those of date and time; `others` have another
    known meaning.

    Raises UserError if there is none, or several match.
    """
    if time is not None:
        return _find_titles(table, time, cells)
    if DEFAULT_TIME in table.titles:
        return (DEFAULT_TIME,)
    candidates = [
        title
        for title in table.titles
        if title not in others and contains_stamps(cells[title], title)
    ]
    if len(candidates) > 1:
        days = [t for t in candidates if _share(cells[t], _DAY_ONLY) > _LEAST_SHARE_OF_STAMPS]
        candidates = [t for t in candidates if t not in days] or candidates
    if len(candidates) == 1 and _share(cells[candidates[0]], _DAY_ONLY) > _LEAST_SHARE_OF_STAMPS:
        clocks = [
            title
            for title in table.titles
            if _share(cells[title], _CLOCK_ONLY) > _LEAST_SHARE_OF_STAMPS
        ]
        candidates += clocks if len(clocks) == 1 else []
        return tuple(candidates)
    named = [t for word in _PREFERRED_TITLES for t in candidates if t.lower() == word]
    if len(candidates) > 1 and named:
        return (named[0],)
    if len(candidates) > 1:
        raise UserError(
            f"{table.path!s}: the columns {title_list([repr(t) for t in candidates])} all hold "
            "time stamps; name with --time the one of the measurement, of events that of their "
            "starts"
        )
    if not candidates:
        raise UserError(
            f"{table.path!s}: no column of time stamps was found: there is no column "
            f"{shown(DEFAULT_TIME)}; name it with --time. Columns: {title_list(table.titles)}"
        )
    return (candidates[0],)


def _find_titles(table: ChunkedTable, time: str, cells: Sample) -> tuple[str, ...]:
    if time in table.titles:
        return (time,)
    parts = tuple(part.strip() for part in time.split("+"))
    if len(parts) == 2 and all(part in table.titles for part in parts):
        return parts
    stamps = [title for title in table.titles if contains_stamps(cells[title], title)]
    near = similar_titles(time, stamps) or stamps[:3] or similar_titles(time, table.titles)
    raise no_column(table, time, "--time", near)


def has_stamps(table: ChunkedTable, time: str | None, form: StampFormat | None) -> bool:
    """Return whether a table has a column of time stamps beside another one. `time`: its title,
    below which numbers count as such; `form`: a further format."""
    cells = sample(table)
    return len(cells) > 1 and any(
        contains_stamps(column, title)
        or (
            form is not None
            and float(form.matches(column).mean() if len(column) else 0) > _LEAST_SHARE_OF_STAMPS
        )
        or (title == time and _share(column, _SINCE_1970) > _LEAST_SHARE_OF_STAMPS)
        for title, column in cells.items()
    )


def contains_stamps(cells: Cells, title: str) -> bool:
    """Return whether most cells of a column are stamps; plain numbers only below a time's title."""
    if _share(cells, _ISO_STAMP) > _LEAST_SHARE_OF_STAMPS:
        return True
    speaks = re.match(_TIME_TITLES, title.strip()) is not None
    if _share(cells, _SINCE_1970) > _LEAST_SHARE_OF_STAMPS:
        return speaks
    form = stamp_format(cells)
    return form is not None and (speaks or not form.name.startswith("yyyymmdd"))


def stamp_format(cells: Cells) -> StampFormat | None:
    """Return the format of most cells; if day or month may be first, the day first."""
    filled = cells.drop_null()
    if not len(filled) or _share(filled, _ISO_STAMP) > _LEAST_SHARE_OF_STAMPS:
        return None
    shares = {
        f: float(f.matches(filled).mean())
        for f in (*FORMATS, *(orders[0] for orders in ORDERS.values()))
    }
    best = max(shares, key=lambda f: shares[f])
    return best if shares[best] > _LEAST_SHARE_OF_STAMPS else None


def with_order(table: ChunkedTable, title: str, form: StampFormat) -> StampFormat:
    """Return the format, month first if the file shows it. Raises UserError without proof."""
    mark = next((mark for mark, orders in ORDERS.items() if form == orders[0]), None)
    if mark is None:
        return form
    for chunk in table.chunks([title]):
        order = order_shown(cell.clean(chunk.columns[title]), mark)
        if order >= 0:
            return ORDERS[mark][order]
    first, second = ORDERS[mark]
    raise UserError(
        f"{table.path!s}: column {shown(title)}: the stamps of the file do not show "
        f"whether the day or the month comes first; choose --time-format {first.name} or "
        f"--time-format {second.name}"
    )


def _share(cells: Cells, pattern: str) -> float:
    filled = cells.drop_null()
    matching = pc.sum(pc.match_substring_regex(filled, pattern)).as_py() or 0
    return matching / len(filled) if len(filled) else 0.0


Ints = npt.NDArray[np.int64]

_CLOCK = (
    r"(?P<H>\d{1,2})[:.](?P<M>\d\d)(?:[:.](?P<S>\d\d)(?:[.,:](?P<f>\d{1,9}))?)?(?: "
    r"?(?P<p>[AaPp])\.?[Mm]\.?)?"
)
_ZONE = r"(?: ?(?P<z>Z|UTC|GMT|CET|CEST|MEZ|MESZ|[+-]\d\d:?\d\d))?"
_MONTHS = {
    **{
        name: i
        for i, name in enumerate(
            ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"], 1
        )
    },
    "mrz": 3,
    "mär": 3,
    "mae": 3,
    "mai": 5,
    "okt": 10,
    "dez": 12,
}
_ZONES = {"Z": 0, "UTC": 0, "GMT": 0, "CET": 60, "MEZ": 60, "CEST": 120, "MESZ": 120}
_DAYS = np.array([31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
ISO = "ISO 8601"
EPOCH = "seconds or milliseconds since 1970"


@dataclass(frozen=True)
class StampFormat:
    """One format of stamps. `pattern` names its groups after the directives of strptime."""

    name: str
    pattern: str

    def matches(self, cells: Cells) -> BoolArray:
        """Return a mask of the cells in this format; their numbers may still be no date."""
        return as_mask(pc.fill_null(pc.match_substring_regex(cells, self.pattern), False))

    def read(self, cells: Cells) -> LocalStamps:
        """Return cells as milliseconds since 1970, local time as UTC; else `NO_INSTANT`."""
        digits = self._of_one_width(cells)
        if digits is not None:
            at, valid, cut = _assemble(digits, np.ones(len(cells), dtype=bool))
            return LocalStamps(np.where(valid, at, NO_INSTANT), valid, cut)
        parts = pc.extract_regex(cells, self.pattern)
        numbers = _numbers({field.name: pc.struct_field(parts, field.name) for field in parts.type})
        at, valid, cut = _assemble(numbers, as_mask(pc.is_valid(parts)))
        offset = numbers.get("z", 0)
        zoned = numbers.get("zoned", np.zeros(len(cells), dtype=bool))
        return LocalStamps(np.where(valid, at - offset, NO_INSTANT), valid & ~zoned, cut)

    def _of_one_width(self, cells: Cells) -> dict[str, Any] | None:
        """Return the numbers of cells whose digits are all where the first one's are; else None."""
        first = cells[0].as_py() if len(cells) and not cells.null_count else None
        match = re.match(self.pattern, first) if first and first.isascii() else None
        if match is None or any(match.groupdict().get(name) for name in "zpb"):
            return None
        spans = {name: match.span(name) for name, text in match.groupdict().items() if text}
        texts = _same_width(cells, len(match[0]))
        if texts is None:
            return None
        inside = np.zeros(len(match[0]), dtype=bool)
        for start, end in spans.values():
            inside[start:end] = True
        digits = texts - np.uint8(48)
        if (digits[:, inside] > 9).any() or (texts[:, ~inside] != texts[0, ~inside]).any():
            return None
        numbers = {name: _number(digits[:, start:end]) for name, (start, end) in spans.items()}
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


def _date(pattern: str) -> str:
    return "^" + pattern + rf"(?:(?:[ T]+|, ?){_CLOCK})?{_ZONE}$"


_D = r"(?P<d>\d{1,2})"
_M = r"(?P<m>\d{1,2})"
_Y = r"(?P<Y>\d{4}|\d\d)"
_Y4 = r"(?P<Y>\d{4})"
_COMPACT_DAY = r"(?P<Y>(?:19|20)\d\d)(?P<m>0[1-9]|1[0-2])(?P<d>0[1-9]|[12]\d|3[01])"
_COMPACT_CLOCK = (
    r"(?:[ T_-]?(?P<H>[01]\d|2[0-3])(?P<M>[0-5]\d)(?:(?P<S>[0-5]\d)(?:[.,]?(?P<f>\d{3}))?)?)?"
)
COMPACT = StampFormat("yyyymmddHHMMSS", f"^{_COMPACT_DAY}{_COMPACT_CLOCK}{_ZONE}$")
FORMATS = (
    StampFormat("dd.mm.yyyy", _date(rf"{_D}\.{_M}\.{_Y}")),
    StampFormat("yyyy/mm/dd", _date(rf"{_Y4}/{_M}/{_D}")),
    StampFormat("yyyy.mm.dd", _date(rf"{_Y4}\.{_M}\.{_D}")),
    StampFormat("yyyy-mm-dd", _date(rf"{_Y4}-{_M}-{_D}")),
    StampFormat("dd-mon-yyyy", _date(rf"{_D}[-. /](?P<b>[A-Za-zä]{{3}})[a-z]*[-. /]+{_Y}")),
    COMPACT,
)
ORDERS = {
    mark: (
        StampFormat(f"dd{mark}mm{mark}yyyy", _date(rf"{_D}{mark}{_M}{mark}{_Y}")),
        StampFormat(f"mm{mark}dd{mark}yyyy", _date(rf"{_M}{mark}{_D}{mark}{_Y}")),
    )
    for mark in "/-"
}
NAMED = {f.name: f for f in (*FORMATS, *(f for orders in ORDERS.values() for f in orders))}
_DIRECTIVES = {
    "d": r"(?P<d>\d{1,2})",
    "m": r"(?P<m>\d{1,2})",
    "Y": r"(?P<Y>\d{4})",
    "y": r"(?P<Y>\d\d)",
    "H": r"(?P<H>\d{1,2})",
    "I": r"(?P<H>\d{1,2})",
    "M": r"(?P<M>\d{1,2})",
    "S": r"(?P<S>\d{1,2})",
    "f": r"(?P<f>\d{1,9})",
    "p": r"(?P<p>[AaPp])\.?[Mm]\.?",
    "b": r"(?P<b>[A-Za-zä]{3})[a-z]*",
    "B": r"(?P<b>[A-Za-zä]{3})[a-z]*",
    "z": r"(?P<z>Z|UTC|GMT|CET|CEST|MEZ|MESZ|[+-]\d\d:?\d\d)",
    "%": "%",
}


def named_format(text: str) -> StampFormat | None:
    """Return the format of `--time-format`; None for ISO 8601.

    The text is a name such as dd.mm.yyyy, or directives such as %d.%m.%Y %H:%M. Raises UserError if
    it is neither, or lacks a part of the date.
    """
    if text.strip().lower() in ("iso", ISO.lower()):
        return None
    if "%" not in text:
        name = re.sub(r"[ T,]+hh?:mm.*$", "", text.strip().lower())
        by_name = {f.lower(): form for f, form in NAMED.items()} | {
            "yyyymmdd": COMPACT,
            "yyyymmddhhmm": COMPACT,
        }
        if name in by_name:
            return by_name[name]
        names = ", ".join(NAMED)
        raise UserError(
            f"{shown(text)} is not a format of stamps (--time-format); write {names}, or a "
            "pattern such as %d.%m.%Y %H:%M:%S"
        )
    pattern, groups = _from_directives(text)
    if (
        not {"d", "Y"} <= set(groups)
        or not {"m", "b"} & set(groups)
        or len(set(groups)) != len(groups)
    ):
        raise UserError(
            f"{shown(text)} (--time-format) must name day, month and year once each, e.g. "
            "%d.%m.%Y %H:%M:%S"
        )
    return StampFormat(text, pattern)


def _from_directives(text: str) -> tuple[str, list[str]]:
    pattern = ""
    groups = []
    at = 0
    while at < len(text):
        if text[at] != "%":
            pattern += "[ T]+" if text[at] == " " else re.escape(text[at])
            at += 1
            continue
        directive = text[at + 1 : at + 2]
        if directive not in _DIRECTIVES:
            directives = " ".join(f"%{d}" for d in _DIRECTIVES)
            raise UserError(
                f"{shown(text)} (--time-format): %{directive} is not known; known are {directives}"
            )
        pattern += _DIRECTIVES[directive]
        at += 2
        if directive != "%":
            groups.append({"y": "Y", "I": "H", "B": "b"}.get(directive, directive))
    return f"^{pattern}$", groups


def order_shown(cells: Cells, mark: str) -> int:
    """Return the index in `ORDERS` that these cells show by a number above 12; -1 without one."""
    parts = pc.extract_regex(cells, rf"^(?P<a>\d{{1,2}}){mark}(?P<b>\d{{1,2}}){mark}")
    first = _ints(pc.struct_field(parts, "a"), 0)
    second = _ints(pc.struct_field(parts, "b"), 0)
    if len(first) and first.max() > 12:
        return 0
    return 1 if len(second) and second.max() > 12 else -1


def _same_width(cells: Cells, width: int) -> npt.NDArray[np.uint8] | None:
    """Return the bytes of the cells, one row each, if every cell has this many; else None."""
    _, ends, data = cells.buffers()
    ends = np.frombuffer(ends, np.int32)[cells.offset : cells.offset + len(cells) + 1]
    if (np.diff(ends) != width).any():
        return None
    return np.frombuffer(data, np.uint8)[ends[0] : ends[-1]].reshape(len(cells), width)


def _number(digits: npt.NDArray[np.uint8]) -> Ints:
    number = np.zeros(len(digits), dtype=np.int64)
    for position in range(digits.shape[1]):
        number = number * 10 + digits[:, position]
    return number


def _numbers(texts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parts of stamps as numbers: nanoseconds, months, zones in milliseconds."""
    numbers: dict[str, Any] = {name: _ints(texts[name], 0) for name in "dmYHMS" if name in texts}
    numbers["Y"] = _with_century(
        numbers["Y"], as_mask(pc.equal(pc.fill_null(pc.binary_length(texts["Y"]), 0), 2))
    )
    if "b" in texts:
        numbers["m"] = _months(texts["b"])
    if "f" in texts:
        padded = pc.utf8_rpad(pc.fill_null(texts["f"], ""), width=9, padding="0")
        numbers["f"] = pc.cast(padded, pa.int64()).to_numpy(zero_copy_only=False)
    if "p" in texts:
        numbers["p"] = texts["p"]
    if "z" in texts:
        numbers["z"], numbers["zoned"] = _offsets(texts["z"])
    return numbers


def _assemble(numbers: Mapping[str, Any], valid: BoolArray) -> tuple[Millis, BoolArray, int]:
    year = numbers["Y"]
    month = numbers["m"]
    day = numbers["d"]
    zero = np.zeros_like(year)
    minute = numbers.get("M", zero)
    second = numbers.get("S", zero)
    nanos = numbers.get("f", zero)
    hour, of_clock = _by_half_day(numbers.get("H", zero), numbers.get("p"))
    months = np.where((month >= 1) & (month <= 12), month, 1)
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    days = np.where((months == 2) & ~leap, 28, _DAYS[months - 1])
    valid = valid & (month == months) & (day >= 1) & (day <= days) & (year >= 1)
    midnight = (hour == 24) & (minute == 0) & (second == 0)
    valid &= of_clock & ((hour < 24) | midnight) & (minute < 60) & (second < 60)
    first = (
        ((year - 1970) * 12 + months - 1)
        .astype("datetime64[M]")
        .astype("datetime64[D]")
        .astype(np.int64)
    )
    at = (
        (first + day - 1) * 86_400_000
        + ((hour * 60 + minute) * 60 + second) * 1000
        + nanos // 1_000_000
    )
    return at, valid, int(((nanos % 1_000_000 != 0) & valid).sum())


def _with_century(year: Ints, is_short: BoolArray) -> Ints:
    """Return years; of two digits those from 1970 to 2069. `0001` is a null date of programs."""
    return np.where(is_short, year + np.where(year < 70, 2000, 1900), year)


def _by_half_day(hour: Ints, half: Any) -> tuple[Ints, BoolArray]:
    if half is None:
        return hour, np.ones(len(hour), dtype=bool)
    letter = pc.utf8_lower(half)
    after = as_mask(pc.fill_null(pc.equal(letter, "p"), False))
    before = as_mask(pc.fill_null(pc.equal(letter, "a"), False))
    has_half = after | before
    return np.where(has_half, hour % 12 + 12 * after, hour), ~has_half | (
        (hour >= 1) & (hour <= 12)
    )


def _months(names: Any) -> Ints:
    keys = pa.array(list(_MONTHS))
    index = pc.index_in(pc.utf8_lower(names), keys)
    months = np.array([*_MONTHS.values(), 0])
    return np.asarray(
        months[pc.fill_null(index, len(months) - 1).to_numpy(zero_copy_only=False)], dtype=np.int64
    )


def _offsets(zones: Any) -> tuple[Ints, BoolArray]:
    """Return each zone's offset ahead of UTC in milliseconds, and a mask of cells with one."""
    zoned = as_mask(pc.greater(pc.fill_null(pc.binary_length(zones), 0), 0))
    encoded = pc.fill_null(zones, "").dictionary_encode()
    offsets = np.array([_minutes(text) for text in encoded.dictionary.to_pylist()], dtype=np.int64)
    return offsets[encoded.indices.to_numpy(zero_copy_only=False)] * 60_000, zoned


def _minutes(zone: str) -> int:
    if not zone or zone in _ZONES:
        return _ZONES.get(zone, 0)
    sign = -1 if zone[0] == "-" else 1
    digits = zone[1:].replace(":", "")
    return sign * (int(digits[:2]) * 60 + int(digits[2:]))


def _ints(texts: Any, absent: int) -> Ints:
    digits = pc.if_else(pc.equal(pc.fill_null(pc.binary_length(texts), 0), 0), None, texts)
    return np.asarray(
        pc.fill_null(pc.cast(digits, pa.int64()), absent).to_numpy(zero_copy_only=False),
        dtype=np.int64,
    )


def iso_or_epoch(cells: Cells) -> str:
    """Return the name of the format of stamps that are ISO 8601, or counts since 1970."""
    filled = cells.drop_null()
    return EPOCH if len(filled) and re.match(r"^\d+(\.\d+)?$", filled[0].as_py()) else ISO
