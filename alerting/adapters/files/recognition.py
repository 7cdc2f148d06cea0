"""Detection of the formats of stamps and numbers, from a file's first rows."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from alerting.adapters.files import cells as cell
from alerting.adapters.files.cells import Cells
from alerting.adapters.files.chunks import (
    ChunkedTable,
)
from alerting.adapters.files.times.counts import CountFormat, count_format
from alerting.adapters.files.times.stamp_formats import (
    CLOCK_ONLY,
    FORMATS,
    ORDERS,
    StampFormat,
    fill,
    with_order,
)
from alerting.deferred import pa, pc
from alerting.definitions.faults import UserError, shown
from alerting.readings.history import DAY_MS, Millis
from alerting.readings.vocabulary import VOCABULARY

ROWS = 2_000
JOINED = " + "
MOST_PARTS = 7
LEAST_SHARE_OF_STAMPS = 0.5  # least share of stamps among the cells of a time column
HOUR = r"^(?:[01]?\d|2[0-4])$"
_FEW = 100  # cells of the first rows in which a format occurs at all
ISO_STAMP = r"^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d([.,]\d{1,9})?)?( ?(Z|z|[+-]\d\d(:?\d\d)?))?)?$"
_SHORT_NUMBER = r"^[+-]?\d{0,7}([.,]\d*)?$"  # fewer digits than yyyymmdd
_SINCE_1970 = r"^\d{9,13}([.,]\d{1,9})?$"
DAY_ONLY = fill(
    r"^(?:@letter@{2,14}[., ]+)?(?:\d{1,4}[-./]\d{1,2}[-./]\d{1,4}|(?:19|20)\d{6}"
    r"|\d{1,4}[-. /]*@letter@{3,14}[-. /]*\d{1,4}|@letter@{3,14}[. ]*\d{1,2}, ?\d{4})$"
)
_CALENDAR_STAMP = StampFormat(
    "year month day hour minute second",
    r"^(?P<Y>\d{4}|\d\d) (?P<m>\d\d?) (?P<d>\d\d?)(?: (?P<H>\d\d?)(?: (?P<M>\d\d?)"
    r"(?: (?P<S>\d\d?)(?:[.,](?P<f>\d{1,9}))?)?)?)?$",
)
_INTERVAL = fill(
    r"^(?P<start>(?:.*[^\d.:])?@plain_clock@)@blank@*(?:@dash@|bis|to|until|à|a|tot|do)"
    r"@blank@*(?:\d.*[^\d.:])?@plain_clock@"
    r"(?:@blank@*\([A-Z]{3,4} ?/ ?[A-Z]{3,4}\)|(?P<zone>@blank@*\([A-Z]{3,4}\)))?$"
)
_OFFSET_LIKE = r"[+-]\d\d:?\d\d$"
_QUARTER_MS = 900_000
_OFFSETS = 3  # most offsets of the zones of one file, which `06:00-06:15` might name

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
    marks = [cell.decimal_mark(cells[title]) for title in titles]
    point, comma = (sum(counts[mark] for counts in marks) for mark in (0, 1))
    decimal = "," if comma > point and separator != "," else "."
    thousands = any(cell.plainly_grouped(cells[title], decimal).any() for title in titles)
    return NumberForm(decimal, bool(point or comma), thousands)


def is_clock(cells: Cells) -> bool:
    filled = cells.drop_null()
    texts = _starts(filled) if len(filled) and _are_intervals(filled) else filled
    return len(texts) > 0 and float(CLOCK_ONLY.matches(texts).mean()) > LEAST_SHARE_OF_STAMPS


def restates_time(cells: Cells, title: str, at: Millis) -> bool:
    """Return whether each cell of a column is the time of its row, `at`, in any zone: as a stamp, a
    date, a clock time, or the parts of its second."""
    width = fraction_width(cells, title)
    if width:
        parts = cell.numbers(cells)[0] // 10 ** (width - 3)
        return bool((np.isnan(parts) | (parts == at % 1000)).all())
    is_number = share(cells[:_FEW], _SHORT_NUMBER) > LEAST_SHARE_OF_STAMPS
    of_clock = not is_number and is_clock(cells)
    if is_number or not (of_clock or contains_stamps(cells, title)):
        return False
    is_day = share(cells, DAY_ONLY) == 1
    form = CLOCK_ONLY if of_clock else count_format(cells, title, named=True) or stamp_format(cells)
    for order in ORDERS.get(form) or (form,):
        stamps = order.read(cells).at if order else cell.iso_stamps(cells)[0]
        behind = (at - stamps)[(at != cell.NO_INSTANT) & (stamps != cell.NO_INSTANT)]
        behind = behind % DAY_MS if of_clock else behind - is_day * DAY_MS // 2
        is_near = (np.abs(behind) < DAY_MS) & (is_day | (behind % _QUARTER_MS < _QUARTER_MS // 15))
        shifts = len(np.unique(behind // (2 * DAY_MS if is_day else _QUARTER_MS)))
        if 1 <= shifts <= 2 and is_near.all():  # that of a zone in winter, and in summer
            return True
    return False


def fraction_width(cells: Cells, title: str) -> int:
    """Return the digits that a column of milli- or microseconds has behind a second; else 0."""
    widths = [
        width
        for words, width in VOCABULARY["times"]["fractions"].items()
        if re.match(words, re.sub(r"[\[(].*", "", title).strip())
    ]
    is_whole = widths and share(cells, rf"^\d{{1,{widths[0]}}}$") == 1
    return widths[0] if is_whole else 0


def lacks_fraction(titles: Sequence[str], cells: Sample, width: int = 0) -> bool:
    """Return whether stamps end with whole seconds; a column of nanoseconds, of this `width`,
    belongs to a count of seconds, too."""
    if not titles or len(titles) == len(VOCABULARY["times"]["calendar"]):
        return bool(titles)
    seconds = r":\d\d:\d\d\D*$" + r"|^\d{9,10}$" * (width == 9)
    return share(cells[titles[-1]], seconds) > LEAST_SHARE_OF_STAMPS


def _are_intervals(cells: Cells) -> bool:
    """Return whether cells are `06:00 - 06:15`; a few ends `-05:00` may be offsets from UTC."""
    if share(cells, _INTERVAL) <= LEAST_SHARE_OF_STAMPS:
        return False
    offsets = pc.extract_regex(cells, rf"(?P<end>{_OFFSET_LIKE})").drop_null()
    distinct = len(pc.struct_field(offsets, "end").unique())
    return len(offsets) <= len(cells) / 2 or distinct > _OFFSETS


def zones_of_intervals(cells: Cells) -> list[str]:
    """Return the zones such as `(CET/CEST)` behind intervals."""
    parts = pc.extract_regex(cells, r"\d (?P<pair>\([A-Z]{3,4} ?/ ?[A-Z]{3,4}\))$")
    return [*pc.struct_field(parts, "pair").drop_null().unique().to_pylist()]


def _starts(cells: Cells) -> Cells:
    parts = pc.extract_regex(cells, _INTERVAL)
    starts = [pc.struct_field(parts, part) for part in ("start", "zone")]
    return pc.coalesce(pc.binary_join_element_wise(*starts, ""), cells)


@dataclass(frozen=True)
class TimeTexts:
    """How the cells of columns make stamps; `columns`: they, and that of zones. The last one may
    hold `fraction` digits behind the second, or hours only; `is_interval`: each cell has a start
    and an end."""

    titles: tuple[str, ...]
    columns: tuple[str, ...] = ()
    fraction: int = 0
    is_hour: bool = False
    is_interval: bool = False

    @classmethod
    def find(cls, titles: tuple[str, ...], cells: Sample, zone: str | None = None) -> TimeTexts:
        """Return how the first rows of these columns make stamps. `zone`: the column of zones."""
        if not titles:
            return cls(titles)
        last = cells[titles[-1]]
        width = fraction_width(last, titles[-1]) if len(titles) > 1 else 0
        is_hour = (
            len(titles) == 2
            and not width
            and share(cells[titles[0]], DAY_ONLY) > LEAST_SHARE_OF_STAMPS
            and share(last, HOUR) == 1
        )
        if len(titles) > 2 and not width and share(last, r"^\d{1,3}$") == 1:
            width = 3 * lacks_fraction(titles[:-1], cells)
        clock = cells[titles[-2]] if width else last
        columns = (*titles, zone) if zone else titles
        return cls(titles, columns, width, is_hour, _are_intervals(clock.drop_null()))

    def join(self, cells: Mapping[str, Cells]) -> Cells:
        """Return the stamps as one column of text; empty ones without a column."""
        if not self.titles:
            return pa.nulls(len(next(iter(cells.values()))), pa.string())
        texts = [cells[title] for title in self.titles]
        if self.is_hour:
            texts[-1] = pc.binary_join_element_wise(pc.utf8_lpad(texts[-1], 2, "0"), "00", ":")
        fraction = pc.utf8_lpad(texts.pop(), self.fraction, "0") if self.fraction else None
        text = texts[0] if len(texts) == 1 else pc.binary_join_element_wise(*texts, " ")
        text = _starts(text) if self.is_interval else text
        if fraction is not None:
            behind = pc.binary_join_element_wise(text, fraction, "\n")
            text = pc.replace_substring_regex(behind, r"^(.*\d)(\D*)\n(\d+)$", r"\1.\3\2")
        zones = [cells[title] for title in self.columns[len(self.titles) :]]
        return pc.binary_join_element_wise(text, *zones, " ") if zones else text


def has_stamps(table: ChunkedTable, time: str | None, form: StampFormat | None) -> bool:
    """Return whether a table has a column of time stamps beside another one. `time`: its title,
    below which numbers count as such; `form`: a further format."""
    cells = sample(table)
    return len(cells) > 1 and any(
        contains_stamps(column, title)
        or (
            form is not None
            and float(form.matches(column).mean() if len(column) else 0) > LEAST_SHARE_OF_STAMPS
        )
        or (title == time and share(column, _SINCE_1970) > LEAST_SHARE_OF_STAMPS)
        for title, column in cells.items()
    )


def contains_stamps(cells: Cells, title: str) -> bool:
    """Return whether most cells of a column are stamps; plain numbers only below a time's title."""
    if share(cells, ISO_STAMP) > LEAST_SHARE_OF_STAMPS:
        return True
    speaks = re.match(VOCABULARY["times"]["stamp"], title.strip()) is not None
    if share(cells, _SINCE_1970) > LEAST_SHARE_OF_STAMPS:
        return speaks
    if speaks and count_format(cells, title, named=False) is not None:
        return True
    if share(cells, _SHORT_NUMBER) > 1 - LEAST_SHARE_OF_STAMPS:
        return False
    form = stamp_format(cells)
    return form is not None and (speaks or not form.name.startswith("yyyymmdd"))


def stamp_format(cells: Cells) -> StampFormat | None:
    """Return the format of most cells; if day or month may be first, the day first."""
    filled = cells.drop_null()
    if not len(filled) or share(filled, ISO_STAMP) > LEAST_SHARE_OF_STAMPS:
        return None
    few = filled.take(pa.array(range(0, len(filled), len(filled) // _FEW + 1)))
    if _are_intervals(few):
        few = _starts(few)
        filled = _starts(filled)
    forms = (*FORMATS, *ORDERS)
    shares = {f: float(f.matches(filled).mean()) for f in forms if f.matches(few).any()}
    best = max(shares, key=lambda f: shares[f], default=None)
    return best if best and shares[best] > LEAST_SHARE_OF_STAMPS else None


def find_format(
    table: ChunkedTable, times: Sequence[str], texts: Cells, *, named: bool
) -> StampFormat | CountFormat | None:
    """Return the format of stamps in the first rows, day or month first as the file shows it; None
    for ISO 8601. `named`: the user named their columns. Raises UserError if the stamps do not show
    whether the day or the month comes first."""
    filled = texts.drop_null()
    if len(times) == 1 and (count := count_format(filled, times[0], named=named)):
        return count
    alone = (_CALENDAR_STAMP,) if len(times) > 2 else (CLOCK_ONLY,)
    for whole in alone if len(filled) else ():
        if float(whole.matches(filled).mean()) > LEAST_SHARE_OF_STAMPS:
            return whole
    detected = stamp_format(filled)
    chunks = table.chunks([times[0]]) if detected in ORDERS else ()
    form = with_order(detected, (cell.clean(chunk.columns[times[0]]) for chunk in chunks))
    if detected and not form:
        first, second = ORDERS[detected]
        raise UserError(
            f"{table.path!s}: column {shown(times[0])}: the stamps of the file do not show "
            f"whether the day or the month comes first; choose --time-format {first.name} or "
            f"--time-format {second.name}"
        )
    return form


def share(cells: Cells, pattern: str) -> float:
    filled = cells.drop_null()
    matching = pc.sum(pc.match_substring_regex(filled, pattern)).as_py() or 0
    return matching / len(filled) if len(filled) else 0.0
