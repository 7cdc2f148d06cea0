"""CSV of any separator as text cells, chunk by chunk, with the exact line of every row.

The fast path parses a whole chunk at once. A chunk in which rows and lines are not one to one (a
wrong number of fields, a blank line, a line break inside quotation marks) is parsed again record by
record, which gives the exact line of each.
"""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from alerting.adapters.files.chunks import (
    Block,
    Chunk,
    ChunkedTable,
    Position,
    TextEncoding,
    blocks,
    read_titles,
)
from alerting.adapters.files.heads.file_head import other_columns
from alerting.adapters.files.heads.plain_head import FileHead
from alerting.deferred import arrow_csv, pa, pc
from alerting.definitions.faults import UserError, shown
from alerting.definitions.wording.language import count_in_english
from alerting.readings.foreign_columns import BadLine


def without_lines(block: Block, lines: int) -> Block:
    """Return the block without its first lines."""
    return Block(
        block.first_line + lines,
        block.data[_end_of_lines(block.data, lines) :],
        block.lines - lines,
    )


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


class Widths(NamedTuple):
    """The number of titles; that of the fields of most rows; whether rows between them are whole,
    too, since columns were added."""

    titles: int
    usual: int
    grows: bool = False

    def allows(self, fields: Sequence[str]) -> bool:
        """Return whether these are the fields of a whole row."""
        count = len(fields)
        is_between = self.grows and self.usual <= count <= self.titles
        return (is_between or count in self[:2]) and not any(fields[self.titles :])


def read_records(texts: Sequence[str], separator: str, widths: Widths) -> Iterator[Record]:
    """Yield all records except blank lines. After a faulty record, reading resumes at the line
    after its first.

    (A stray quotation mark would otherwise absorb the lines up to the next one.)
    """
    start = 0
    while start < len(texts):
        for record in _until_faulty(texts, start, separator, widths):
            start = record.first + record.count
            if record.fields or record.fault:
                yield record
        if start >= len(texts):
            return


def _until_faulty(
    texts: Sequence[str], start: int, separator: str, widths: Widths
) -> Iterator[Record]:
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
        fault = _fault(fields, widths, count, texts[first : first + count])
        if fault:
            yield Record(first, 1, fields, fault)
            return
        yield Record(first, count, fields)
        first += count


def _fault(fields: Sequence[str], widths: Widths, count: int, texts: Sequence[str]) -> str | None:
    is_whole = widths.allows(fields)
    if count > 1 and (not is_whole or "".join(texts).count('"') % 2):
        return _OPEN_QUOTE
    if fields and not is_whole:
        more = "; if a column was added, name all with --columns" * (len(fields) > widths.titles)
        return f"{len(fields)} fields where the header names {widths.titles}{more}"
    return None


class CsvTable:
    """Text with one record a line. `tables`: the titles of each of several tables side by side."""

    unit = "line"

    def __init__(self, path: Path, head: FileHead, encoding: TextEncoding) -> None:
        self.path = path
        self.encoding = encoding
        self.position = Position(path)
        self._head = head
        self.separator = head.separator
        self.title_lines = head.title_lines
        self.unit_line = head.unit_line
        self.first_line: int | None = head.lines + 1
        self.notes = head.notes
        self.stated = head.stated
        pairs = list(zip(head.titles, head.units, strict=True))
        self.titles = read_titles(path, [f"{t} [{u}]" if t and u else t for t, u in pairs])
        written = zip(self.titles, head.titles, strict=True) if any(head.units) else ()
        self.as_written: Mapping[str, str] = dict(written)
        self.tables = tuple(tuple(self.titles[c] for c in table) for table in head.tables)
        # the fields of most rows; those behind the titles are empty
        further = [f"\0{number}" for number in range(len(self.titles), head.width)]
        self._fields = (*self.titles, *further)[: head.width]
        self._widths = Widths(len(self.titles), head.width, head.grows)
        self._widest = head.width
        self._passed = 0

    def chunks(self, titles: Sequence[str]) -> Iterator[Chunk]:
        """Yield rows in file order, only with the wanted columns; of tables side by side only rows
        with a cell in one of them."""
        self.position = self.position.reopen()
        self._passed = 0
        for block in blocks(self.path, self.encoding, self.position):
            body = without_lines(block, self._head.lines) if block.first_line == 1 else block
            if body.data and not body.data.isspace():
                chunk = self._quick(body, titles) or self._exact(body, titles)
                yield _filled_rows(chunk) if self.tables else chunk
        if self._widths.grows and self._widest < len(self.titles):
            raise other_columns(self.path, len(self.titles), self._widths.usual)
        if self._passed:
            note = count_in_english(
                "{number} line that is a comment or repeats the head was passed over",
                "{number} lines that are comments or repeat the head were passed over",
                self._passed,
            )
            self.notes = (*self._head.notes, note)

    def first_rows(self, rows: int) -> Chunk | None:
        """Return at least `rows` first rows, or all, with all columns; None without one."""
        with closing(blocks(self.path, self.encoding, Position(self.path))) as start:
            first = next(start, None)
        body = without_lines(first, self._head.lines) if first else None
        if body and body.data and not body.data.isspace():
            data = body.data[: _end_of_record(body.data, 0, rows)]
            lines = data.count(b"\n") + (not data.endswith(b"\n"))
            body = Block(body.first_line, data, lines)
            chunk = self._quick(body, self.titles) or self._exact(body, self.titles)
            if len(chunk.lines):
                return chunk
        return next(self.chunks(self.titles), None)

    def _quick(self, block: Block, titles: Sequence[str]) -> Chunk | None:
        """Return the chunk if each line is one whole row, else None."""
        # lines may be comments, or titles again
        marks = [mark.encode() for mark in (*self._head.comments, *self._head.title_texts)]
        if any(block.data.startswith(m) or b"\n" + m in block.data for m in marks):
            return None
        invalid = []

        def skip(row: Any) -> str:
            invalid.append(row)
            return "skip"

        names = self._fields
        if self._widths.grows and b'"' not in block.data:
            count = block.data[: block.data.find(b"\n")].count(self.separator.encode()) + 1
            names = self.titles[: max(count, len(names))]
            self._widest = max(self._widest, len(names))
        further = names[len(self.titles) :]
        try:
            table = arrow_csv.read_csv(
                io.BytesIO(block.data),
                read_options=arrow_csv.ReadOptions(
                    use_threads=False, column_names=names, block_size=len(block.data) + 1
                ),
                parse_options=arrow_csv.ParseOptions(
                    delimiter=self.separator,
                    newlines_in_values=b'"' in block.data,
                    invalid_row_handler=skip,
                ),
                convert_options=arrow_csv.ConvertOptions(
                    column_types=dict.fromkeys(names, pa.string()),
                    strings_can_be_null=False,
                    include_columns=[t for t in (*titles, *further) if t in names],
                ),
            )
        except pa.ArrowInvalid:
            return None
        if invalid or table.num_rows != block.lines:
            return None
        if any(pc.any(pc.not_equal(table[title], "")).as_py() for title in further):
            return None
        for title in (title for title in titles if title not in names):
            table = table.append_column(title, pa.array([""] * table.num_rows))
        lines = np.arange(block.first_line, block.first_line + block.lines)
        texts: list[str] = []

        def original(row: int) -> str:
            if not texts:
                texts.extend(block.data.decode().split("\n"))
            return texts[row].rstrip("\r")

        return Chunk(lines, {t: table[t].combine_chunks() for t in titles}, (), original)

    def _exact(self, block: Block, titles: Sequence[str]) -> Chunk:
        """Return the chunk parsed record by record, with incomplete records listed separately."""
        texts = [text + "\n" for text in block.data.decode().removesuffix("\n").split("\n")]
        good: list[Record] = []
        broken: list[BadLine] = []
        for record in read_records(texts, self.separator, self._widths):
            line = block.first_line + record.first
            text = "".join(texts[record.first : record.first + record.count]).rstrip("\r\n")
            bare = texts[record.first].rstrip("\r\n")
            if bare in self._head.texts or bare.startswith(self._head.comments):
                self._passed += 1
            elif record.fault:
                broken.append(BadLine(line, None, record.fault, text))
            else:
                good.append(record)
                self._widest = max(self._widest, len(record.fields))
        index = {title: i for i, title in enumerate(self.titles)}
        at = [index[t] for t in titles]
        cells = {
            t: pa.array([r.fields[i] if i < len(r.fields) else "" for r in good], pa.string())
            for t, i in zip(titles, at, strict=True)
        }
        lines = np.array([block.first_line + r.first for r in good], dtype=np.int64)

        def original(row: int) -> str:
            return "".join(texts[good[row].first : good[row].first + good[row].count]).rstrip(
                "\r\n"
            )

        return Chunk(lines, cells, tuple(broken), original)


def _filled_rows(chunk: Chunk) -> Chunk:
    """Return the rows of a chunk with any cell."""
    rows = np.zeros(len(chunk.lines), dtype=bool)
    for cells in chunk.columns.values():
        rows |= pc.not_equal(cells, "").to_numpy(zero_copy_only=False)
    columns = {title: cells.filter(pa.array(rows)) for title, cells in chunk.columns.items()}
    at = np.flatnonzero(rows)
    return Chunk(chunk.lines[rows], columns, chunk.broken, lambda row: chunk.original(int(at[row])))


def titles_of_table(table: ChunkedTable, times: str | None, only: Sequence[str]) -> Sequence[str]:
    """Return the titles of a table; of tables side by side, those of the one with these times.
    Raises UserError if they are not stated, or columns of another one are wanted."""
    tables: Sequence[Sequence[str]] = getattr(table, "tables", ())
    if not tables:
        return table.titles
    time = (times or "").split("+")[0].strip()
    titles = next((titles for titles in tables if times in titles or time in titles), None)
    if titles is not None and all(title in titles for title in only):
        return titles
    parts = "".join(f"\n  - {', '.join(map(repr, titles))}" for titles in tables)
    raise UserError(
        f"{table.path!s} holds tables side by side, each with its own stamps, and each needs its "
        f"own import: name its stamps with --time, e.g. --time {shown(tables[0][0])}, and with "
        f"--only no column of another table:{parts}"
    )
