"""The lines of a CSV file above its first row: titles of the file, names of columns, units."""

import csv
import re
from collections.abc import Sequence
from typing import NamedTuple

from alerting.adapters.files.tables.csv_header import fit_separator, header_record
from alerting.adapters.files.tables.text import Block
from alerting.definitions.wording.language import translatable
from alerting.readings.column_titles import split_title

_MOST_ABOVE = 20
_ROWS = 50
_SHOWN = 60
_BEGINS_A_VALUE = re.compile(r"[-+]?[\d.,]*\d")
_NUMBER = re.compile(r"[-+]?\d+([.,]\d+)*")
_NOT_A_UNIT = re.compile(r"-|[dmyhsjt.:/ -]{4,}", re.IGNORECASE)  # dd.mm.yyyy
_COUNTS_TIME = ("s", "ms", "sec", "min", "h")


class FileHead(NamedTuple):
    """The line that names the columns. `lines`: how many there are up to the first row; `units`:
    those of the line below it, by column, if it holds units; `notes` say what else was found."""

    header: str
    lines: int
    separator: str
    units: tuple[str, ...]
    notes: tuple[str, ...]


def find_head(first: Block, skipped: int, separator: str | None) -> FileHead | None:
    """Return the head of a file: lines with titles of the file are not its header. None if the
    line behind the skipped ones is empty, and no later one names columns."""
    header, count = header_record(first, skipped)
    found = fit_separator(header, first, skipped + count, separator)
    head = FileHead(header, skipped + count, found.separator, (), ())
    fields = split_fields(header, head.separator)
    is_padded = len(fields) > 2 and _filled(fields) < 2
    if not header.strip() or is_padded or not found.fits:
        head = _below_titles(first, skipped, separator) or head
    return _with_units(first, head) if head.header.strip() else None


def _below_titles(first: Block, skipped: int, separator: str | None) -> FileHead | None:
    """Return the first line that names columns and has at least twice the fields of all above."""
    above = 0
    lines = skipped
    title = ""
    for _ in range(_MOST_ABOVE):
        header, count = header_record(first, lines)
        if not count or lines >= first.lines:
            return None
        found = fit_separator(header, first, lines + count, separator)
        fields = split_fields(header, found.separator)
        names = found.fits and not any(_BEGINS_A_VALUE.match(field.strip()) for field in fields)
        if names and lines > skipped and _filled(fields) >= max(2, 2 * above):
            shown = title if len(title) <= _SHOWN else f"{title[: _SHOWN - 1]}…"
            note = translatable(
                "line {line} names the columns; the lines above it are not read: {text}",
                line=lines + 1,
                text=repr(shown),
            )
            return FileHead(header, lines + count, found.separator, (), (note,))
        above = max(above, _filled(fields))
        title = title or " ".join(field.strip() for field in fields if field.strip())
        lines += count
    return None


def _with_units(first: Block, head: FileHead) -> FileHead:
    record, count = header_record(first, head.lines)
    titles = split_fields(head.header, head.separator)
    cells = [cell.strip() for cell in split_fields(record, head.separator)]
    if len(cells) != len(titles) or len(titles) < 2:
        return head
    units = [_unit(cell) for cell in cells]
    others = [c for c, unit in zip(cells, units, strict=True) if c and not unit]
    if not any(units) or not all(_NOT_A_UNIT.fullmatch(other.strip("[]()")) for other in others):
        return head
    below = _first_cells(first, head.lines + count, head.separator, len(titles))
    if any(u and b and not _NUMBER.fullmatch(b) for u, b in zip(units, below, strict=True)):
        return head
    titled = [split_title(title).unit for title in titles]
    kept = [
        "" if named or (i == 0 and unit in _COUNTS_TIME) else unit
        for i, (unit, named) in enumerate(zip(units, titled, strict=True))
    ]
    note = translatable("line {line} holds the units of the columns", line=head.lines + 1)
    return head._replace(lines=head.lines + count, units=tuple(kept), notes=(*head.notes, note))


def _unit(cell: str) -> str:
    """Return the unit that a cell holds, with or without brackets, else an empty text."""
    return split_title(f"x ({cell.strip('[]()').strip()})").unit or ""


def _first_cells(first: Block, lines: int, separator: str, width: int) -> Sequence[str]:
    """Return the first filled cell of each column below this line; empty where there is none."""
    found = [""] * width
    for _ in range(_ROWS):
        record, count = header_record(first, lines)
        fields = split_fields(record, separator)
        if len(fields) == width:
            found = [old or new.strip() for old, new in zip(found, fields, strict=True)]
        lines += count
    return found


def split_fields(record: str, separator: str) -> list[str]:
    """Return the fields of one record; one field where it cannot be split."""
    try:
        return next(csv.reader([record], delimiter=separator), [])
    except csv.Error:
        return [record]


def _filled(fields: Sequence[str]) -> int:
    return sum(bool(field.strip()) for field in fields)
