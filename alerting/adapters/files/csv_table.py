"""CSV of any separator as text cells, chunk by chunk, with the exact line of every row.

The fast path parses a whole chunk at once. A chunk in which rows and lines are not one to one (a
wrong number of fields, a blank line, a line break inside quotation marks) is parsed again record by
record, which gives the exact line of each.
"""

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from alerting.adapters.files.chunks import (
    MOST_COLUMNS,
    Block,
    Chunk,
    Position,
    StatedTimes,
    TextEncoding,
    blocks,
    read_titles,
)
from alerting.deferred import arrow_csv, pa
from alerting.definitions.faults import UserError, shown
from alerting.readings.foreign_columns import BadLine, split_title

_HEADER_BYTES = 5 << 20
_MOST = 0.5  # least share of lines with the header's number of fields


def header_record(block: Block, skipped: int) -> tuple[str, int]:
    """Return the first record behind the skipped lines, without line break, and its lines."""
    data = block.data[:_HEADER_BYTES]
    start = _end_of_lines(data, skipped)
    record = data[start : _end_of_record(data, start, 1)]
    lines = record.count(b"\n") + (not record.endswith(b"\n"))
    return record.decode("utf-8", "ignore").removesuffix("\n").rstrip("\r"), lines


class FittingSeparator(NamedTuple):
    """A separator; `fits`: by it most of the first lines have as many fields as the header."""

    separator: str
    fits: bool


def fit_separator(
    header: str, first: Block, skipped: int, separator: str | None
) -> FittingSeparator:
    """Return the given separator, else the one by which most of the first lines have as many fields
    as the header; and whether they have."""
    data = first.data[:_HEADER_BYTES]
    start = _end_of_lines(data, skipped)
    texts = data[start : _end_of_lines(data, 20, start)].decode("utf-8", "ignore").split("\n")
    plain = outside_quotes(header)
    probes = [outside_quotes(text) for text in texts if text.strip() and text.count('"') % 2 == 0]

    def fitness(separator: str) -> tuple[bool, float, int]:
        fields = plain.count(separator)
        fitting = sum(probe.count(separator) == fields for probe in probes)
        return bool(fields), fitting / len(probes) if probes else 1.0, fields

    best = separator or max(",;\t|", key=fitness)
    has_fields, share, _ = fitness(best)
    return FittingSeparator(best, has_fields and share >= _MOST)


def outside_quotes(text: str) -> str:
    """Return the text without its quoted parts."""
    return "".join(text.split('"')[::2])


def without_lines(block: Block, lines: int) -> Block:
    """Return the block without its first lines."""
    return Block(
        block.first_line + lines,
        block.data[_end_of_lines(block.data, lines) :],
        block.lines - lines,
    )


def first_records(block: Block, lines: int) -> Block:
    """Return the first lines of a block, extended while a quotation mark is open at their end."""
    data = block.data[: _end_of_record(block.data, 0, lines)]
    return Block(block.first_line, data, data.count(b"\n") + (not data.endswith(b"\n")))


def _end_of_record(data: bytes, start: int, lines: int) -> int:
    """Return the end of this many lines, or the first later one that leaves no quotation open."""
    end = _end_of_lines(data, lines, start)
    is_open = data.count(b'"', start, end) % 2
    while is_open and end < len(data):
        following = _end_of_lines(data, 1, end)
        is_open ^= data.count(b'"', end, following) % 2
        end = following
    return end


def _end_of_lines(data: bytes, lines: int, start: int = 0) -> int:
    for _ in range(lines):
        start = data.find(b"\n", start) + 1 or len(data)
    return start


_OPEN_QUOTE = "a quotation mark is opened and not closed on this line"


@dataclass(frozen=True)
class Record:
    """One record: index of its first line in the chunk, number of lines, fields, and its fault."""

    first: int
    count: int
    fields: Sequence[str]
    fault: str | None = None


def split_lines(data: bytes) -> list[str]:
    """Return the lines of a chunk, each with its line break."""
    texts = data.decode().split("\n")
    return [text + "\n" for text in (texts if texts[-1] else texts[:-1])]


def read_records(texts: Sequence[str], separator: str, width: int) -> Iterator[Record]:
    """Yield all records except blank lines. After a faulty record, reading resumes at the line
    after its first.

    (A stray quotation mark would otherwise absorb the lines up to the next one.)
    """
    start = 0
    while start < len(texts):
        for record in _until_faulty(texts, start, separator, width):
            start = record.first + record.count
            if record.fields or record.fault:
                yield record
        if start >= len(texts):
            return


def _until_faulty(texts: Sequence[str], start: int, separator: str, width: int) -> Iterator[Record]:
    reader = csv.reader(map(texts.__getitem__, range(start, len(texts))), delimiter=separator)
    first = start
    while first < len(texts):
        try:
            fields = next(reader, None)
        except csv.Error as error:
            open_quote = start + reader.line_num - first > 1
            yield Record(
                first,
                1,
                (),
                _OPEN_QUOTE if open_quote else f"cannot be split into fields: {error!s}",
            )
            return
        if fields is None:
            return
        count = start + reader.line_num - first
        fault = _fault(fields, width, count, texts[first : first + count])
        if fault:
            yield Record(first, 1, fields, fault)
            return
        yield Record(first, count, fields)
        first += count


def _fault(fields: Sequence[str], width: int, count: int, texts: Sequence[str]) -> str | None:
    if count > 1 and (len(fields) != width or "".join(texts).count('"') % 2):
        return _OPEN_QUOTE
    if fields and len(fields) != width:
        return f"{len(fields)} fields where the header names {width}"
    return None


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
    fitting = fit_separator(header, first, skipped + count, separator)
    head = FileHead(header, skipped + count, fitting.separator, (), ())
    fields = split_fields(header, head.separator)
    is_padded = len(fields) > 2 and _filled(fields) < 2
    if not header.strip() or is_padded or not fitting.fits:
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
        fitting = fit_separator(header, first, lines + count, separator)
        fields = split_fields(header, fitting.separator)
        names = fitting.fits and not any(_BEGINS_A_VALUE.match(field.strip()) for field in fields)
        if names and lines > skipped and _filled(fields) >= max(2, 2 * above):
            shown = title if len(title) <= _SHOWN else f"{title[: _SHOWN - 1]}…"
            note = f"line {lines + 1} names the columns; the lines above it are not read: {shown!r}"
            return FileHead(header, lines + count, fitting.separator, (), (note,))
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
    # as those of a title: `x (°C)`; a cell has them with or without brackets
    units = [split_title(f"x ({cell.strip('[]()').strip()})").unit or "" for cell in cells]
    others = [c for c, unit in zip(cells, units, strict=True) if c and not unit]
    if not any(units) or not all(_NOT_A_UNIT.fullmatch(cell.strip("[]()")) for cell in others):
        return head
    below = _first_cells(first, head.lines + count, head.separator, len(titles))
    if any(u and b and not _NUMBER.fullmatch(b) for u, b in zip(units, below, strict=True)):
        return head
    titled = [split_title(title).unit for title in titles]
    beside_titles = [
        "" if named or (i == 0 and unit in _COUNTS_TIME) else unit
        for i, (unit, named) in enumerate(zip(units, titled, strict=True))
    ]
    note = f"line {head.lines + 1} holds the units of the columns"
    return head._replace(
        lines=head.lines + count, units=tuple(beside_titles), notes=(*head.notes, note)
    )


def _first_cells(first: Block, lines: int, separator: str, width: int) -> Sequence[str]:
    """Return the first filled cell of each column below this line; empty where there is none."""
    cells = [""] * width
    for _ in range(_ROWS):
        record, count = header_record(first, lines)
        fields = split_fields(record, separator)
        if len(fields) == width:
            cells = [old or new.strip() for old, new in zip(cells, fields, strict=True)]
        lines += count
    return cells


def split_fields(record: str, separator: str) -> list[str]:
    """Return the fields of one record; one field where it cannot be split."""
    try:
        return next(csv.reader([record], delimiter=separator), [])
    except csv.Error:
        return [record]


def _filled(fields: Sequence[str]) -> int:
    return sum(bool(field.strip()) for field in fields)


class CsvTable:
    """Text with one record a line; its separator, else that on which header and lines agree."""

    unit = "line"
    stated = StatedTimes()
    title_lines: tuple[int, ...] = ()
    unit_line: int | None = None
    first_line: int | None = None

    def __init__(self, path: Path, separator: str | None, encoding: str | None) -> None:
        self.path = path
        self.encoding = TextEncoding(path, encoding)
        self.position = Position(path)
        with closing(blocks(path, self.encoding, Position(path))) as start:
            first = next(start, None)
        header, lines = header_record(first, 0) if first else ("", 0)
        # spreadsheets write this into the first line
        named = re.match(r'^"?sep=(.)"?$', header)
        skipped = 0
        if first and named:
            separator = separator or named[1]
            skipped = lines
        separator = "\t" if separator in ("\\t", "tab") else separator
        if separator is not None and (len(separator) != 1 or separator in '"\r\n'):
            raise UserError(
                f"{shown(separator)} is not a separator; write one character, e.g. --sep ';'"
            )
        head = find_head(first, skipped, separator) if first else None
        if head is None:
            raise UserError(f"{path!s}: the first line is empty; it must name the columns")
        self._header_lines = head.lines
        self.separator = head.separator
        self.notes = head.notes
        written = [title.strip() for title in self._fields(head.header)] if head.units else []
        self.titles = read_titles(path, self._titles(head))
        pairs = zip(self.titles, written, strict=True) if written else ()
        self.as_written: Mapping[str, str] = dict(pairs)

    def _titles(self, head: FileHead) -> list[str]:
        titles = self._fields(head.header)
        units = head.units or [""] * len(titles)
        return [
            f"{title.strip()} [{unit}]" if unit and title.strip() else title
            for title, unit in zip(titles, units, strict=True)
        ]

    def _fields(self, header: str) -> list[str]:
        if outside_quotes(header).count(self.separator) > 100 * MOST_COLUMNS:
            return [""] * (header.count(self.separator) + 1)
        try:
            return next(csv.reader([header], delimiter=self.separator))
        except csv.Error as error:
            raise UserError(
                f"{self.path!s}: line 1 cannot be split into titles of columns: {error!s}"
            ) from error

    def chunks(self, titles: Sequence[str]) -> Iterator[Chunk]:
        """Yield rows in file order, only with the wanted columns."""
        self.position = self.position.reopen()
        for block in blocks(self.path, self.encoding, self.position):
            body = without_lines(block, self._header_lines) if block.first_line == 1 else block
            if body.data and not body.data.isspace():
                yield self._quick(body, titles) or self._exact(body, titles)

    def first_rows(self, rows: int) -> Chunk | None:
        """Return at least `rows` first rows, or all, with all columns; None without one."""
        with closing(blocks(self.path, self.encoding, Position(self.path))) as start:
            first = next(start, None)
        body = first_records(without_lines(first, self._header_lines), rows) if first else None
        if body and body.data and not body.data.isspace():
            chunk = self._quick(body, self.titles) or self._exact(body, self.titles)
            if len(chunk.lines):
                return chunk
        return next(self.chunks(self.titles), None)

    def _quick(self, block: Block, titles: Sequence[str]) -> Chunk | None:
        """Return the chunk if each line is one whole row, else None."""
        invalid = []

        def skip(row: Any) -> str:
            invalid.append(row)
            return "skip"

        try:
            table = arrow_csv.read_csv(
                io.BytesIO(block.data),
                read_options=arrow_csv.ReadOptions(
                    use_threads=False, column_names=self.titles, block_size=len(block.data) + 1
                ),
                parse_options=arrow_csv.ParseOptions(
                    delimiter=self.separator,
                    newlines_in_values=b'"' in block.data,
                    invalid_row_handler=skip,
                ),
                convert_options=arrow_csv.ConvertOptions(
                    column_types=dict.fromkeys(self.titles, pa.string()),
                    strings_can_be_null=False,
                    include_columns=list(titles),
                ),
            )
        except pa.ArrowInvalid:
            return None
        if invalid or table.num_rows != block.lines:
            return None
        lines = np.arange(block.first_line, block.first_line + block.lines)
        texts: list[str] = []

        def original(row: int) -> str:
            if not texts:
                texts.extend(block.data.decode().split("\n"))
            return texts[row].rstrip("\r")

        return Chunk(lines, {t: table[t].combine_chunks() for t in titles}, (), original)

    def _exact(self, block: Block, titles: Sequence[str]) -> Chunk:
        """Return the chunk parsed record by record, with incomplete records listed separately."""
        texts = split_lines(block.data)
        good: list[Record] = []
        broken: list[BadLine] = []
        for record in read_records(texts, self.separator, len(self.titles)):
            line = block.first_line + record.first
            text = "".join(texts[record.first : record.first + record.count]).rstrip("\r\n")
            if record.fault:
                broken.append(BadLine(line, None, record.fault, text))
            else:
                good.append(record)
        index = {title: i for i, title in enumerate(self.titles)}
        at = [index[t] for t in titles]
        cells = {
            t: pa.array([r.fields[i] for r in good], pa.string())
            for t, i in zip(titles, at, strict=True)
        }
        lines = np.array([block.first_line + r.first for r in good], dtype=np.int64)

        def original(row: int) -> str:
            return "".join(texts[good[row].first : good[row].first + good[row].count]).rstrip(
                "\r\n"
            )

        return Chunk(lines, cells, tuple(broken), original)
