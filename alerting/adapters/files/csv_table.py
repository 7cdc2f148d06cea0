"""CSV of any separator as text cells, chunk by chunk, with the exact line of every row.

The fast path parses a whole chunk at once. A chunk in which rows and lines are not one to one (a
wrong number of fields, a blank line, a line break inside quotation marks) is parsed again record by
record, which gives the exact line of each.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from alerting.adapters.files.chunks import (
    Block,
    Chunk,
    ChunkedTable,
    FileContent,
    Position,
    TextEncoding,
    blocks,
    count_lines,
    read_titles,
)
from alerting.adapters.files.heads.file_head import other_columns
from alerting.adapters.files.heads.plain_head import FileHead
from alerting.deferred import arrow_csv, pa, pc
from alerting.definitions.faults import UserError, shown
from alerting.definitions.wording.language import count_in_english
from alerting.readings.foreign_columns import BadLine

_OPEN_QUOTE = "a quotation mark is opened and not closed on this line"
Record = tuple[int, int, Sequence[str], str | None]
"""One record: index of its first line in the chunk, number of lines, fields, and its fault."""


class CsvTable(ChunkedTable):
    """Text with one record a line. `first`: its first block."""

    def __init__(
        self,
        path: Path,
        head: FileHead,
        encoding: TextEncoding,
        first: Block | None,
        content: FileContent,
    ) -> None:
        self.path = path
        self.content = content
        self._encoding = encoding
        self.position = Position(content.file)
        self._head = head
        self._first = first
        if content.sheet is None:  # the text of a sheet is ours
            self.encoding = encoding
            self.separator = head.separator
        else:
            self.unit = "row"
        self.title_lines = head.title_lines
        self.unit_line = head.unit_line
        self.first_line = head.lines + 1
        self.notes = head.notes
        self.stated = head.stated
        pairs = list(zip(head.titles, head.units, strict=True))
        self.titles = read_titles(path, [f"{t} [{u}]" if t and u else t for t, u in pairs])
        if any(head.units):
            self.as_written = dict(zip(self.titles, head.titles, strict=True))
        self.tables = tuple(tuple(self.titles[c] for c in table) for table in head.tables)
        # the fields of most rows; those behind the titles are empty
        further = [f"\0{number}" for number in range(len(self.titles), head.width)]
        self._fields = (*self.titles, *further)[: head.width]
        self._widest = head.width
        self._passed = 0

    def chunks(self, titles: Sequence[str]) -> Iterator[Chunk]:
        """Yield rows in file order, only with the wanted columns; of tables side by side only rows
        with a cell in one of them. Raises UserError after the last row if the table never has as
        many columns as `--columns` names."""
        self.position.reopen()
        self._passed = 0
        for block in blocks(self.path, self._encoding, self.position):
            chunk = self._parse(block, titles)
            if chunk is not None and self.tables:
                filled = [pc.not_equal(c, "").to_numpy(False) for c in chunk.columns.values()]
                chunk = chunk.take(np.flatnonzero(np.logical_or.reduce(filled)))
            if chunk is not None:
                yield chunk
        if self._head.grows and self._widest < len(self.titles):
            raise other_columns(self.path, len(self.titles), self._head.width)
        if self._passed:
            self.notes = (
                *self._head.notes,
                count_in_english(
                    "{number} line that is a comment or repeats the head was passed over",
                    "{number} lines that are comments or repeat the head were passed over",
                    self._passed,
                ),
            )

    def first_rows(self, rows: int) -> Chunk | None:
        """Return at least `rows` first rows, or all, with all columns; None without one."""
        data = self._first.data if self._first else b""
        start = _end_of_lines(data, self._head.lines)
        end = _end_of_lines(data, rows, start)
        is_open = data.count(b'"', start, end) % 2
        while is_open and end < len(data):  # up to the first line that leaves no quotation open
            following = _end_of_lines(data, 1, end)
            is_open ^= data.count(b'"', end, following) % 2
            end = following
        chunk = self._parse(Block(1, data[:end], count_lines(data[:end])), self.titles)
        if chunk is not None and len(chunk.lines):
            return chunk
        return next(self.chunks(self.titles), None)

    def _parse(self, block: Block, titles: Sequence[str]) -> Chunk | None:
        """Return the rows of a block, None of a blank one."""
        if block.first_line == 1:
            above = self._head.lines
            below = block.data[_end_of_lines(block.data, above) :]
            block = Block(above + 1, below, block.lines - above)
        if not block.data or block.data.isspace():
            return None
        return self._quick(block, titles) or self._exact(block, titles)

    def _quick(self, block: Block, titles: Sequence[str]) -> Chunk | None:
        """Return the chunk if each line is one whole row, else None."""
        data = block.data
        # lines may be comments, or titles again
        marks = [mark.encode() for mark in (*self._head.comments, *self._head.title_texts)]
        if any(m[:1] in data and (data.startswith(m) or b"\n" + m in data) for m in marks):
            return None
        names = self._fields
        is_quoted = b'"' in data
        if self._head.grows and not is_quoted:
            count = data[: data.find(b"\n")].count(self._head.separator.encode()) + 1
            names = self.titles[: max(count, len(names))]
            self._widest = max(self._widest, len(names))
        further = names[len(self.titles) :]
        try:
            table = arrow_csv.read_csv(
                io.BytesIO(data),
                read_options=arrow_csv.ReadOptions(
                    use_threads=False, column_names=names, block_size=len(data) + 1
                ),
                parse_options=arrow_csv.ParseOptions(
                    delimiter=self._head.separator, newlines_in_values=is_quoted
                ),
                convert_options=arrow_csv.ConvertOptions(
                    column_types=dict.fromkeys(names, pa.string()),
                    strings_can_be_null=False,
                    include_columns=[t for t in (*titles, *further) if t in names],
                ),
            )
        except pa.ArrowInvalid:
            return None
        is_behind = any(pc.any(pc.not_equal(table[title], "")).as_py() for title in further)
        if is_behind or table.num_rows != block.lines:
            return None
        missing = pa.array([""] * table.num_rows)
        cells = {t: table[t].combine_chunks() if t in names else missing for t in titles}
        lines = np.arange(block.first_line, block.first_line + table.num_rows)
        texts: list[str] = []

        def original(row: int) -> str:
            if not texts:
                texts.extend(data.decode().split("\n"))
            return texts[row].rstrip("\r")

        return Chunk(lines, cells, (), original)

    def _exact(self, block: Block, titles: Sequence[str]) -> Chunk:
        """Return the chunk parsed record by record, with incomplete records listed separately."""
        texts = [text + "\n" for text in block.data.decode().removesuffix("\n").split("\n")]
        good: list[Sequence[str]] = []
        at: list[slice] = []
        broken: list[BadLine] = []
        for first, count, fields, fault in self._records(texts):
            bare = texts[first].rstrip("\r\n")
            if bare in self._head.texts or bare.startswith(self._head.comments):
                self._passed += 1
            elif fault:
                broken.append(BadLine(block.first_line + first, None, fault, bare))
            else:
                good.append(fields)
                at.append(slice(first, first + count))
                self._widest = max(self._widest, len(fields))
        cells = {}
        for title in titles:
            index = self.titles.index(title)
            column = [fields[index] if index < len(fields) else "" for fields in good]
            cells[title] = pa.array(column, pa.string())
        lines = np.array([block.first_line + lines.start for lines in at], dtype=np.int64)
        return Chunk(
            lines, cells, tuple(broken), lambda row: "".join(texts[at[row]]).rstrip("\r\n")
        )

    def _records(self, texts: Sequence[str]) -> Iterator[Record]:
        """Yield all records except blank lines. After a faulty record, reading resumes at the line
        after its first.

        (A stray quotation mark would otherwise absorb the lines up to the next one.)
        """
        first = 0
        reader = csv.reader(iter(texts), delimiter=self._head.separator)
        while first < len(texts):
            begun = reader.line_num
            fault = None
            fields: list[str] = []
            try:
                fields = next(reader)
            except csv.Error as error:
                is_open = reader.line_num - begun > 1
                fault = _OPEN_QUOTE if is_open else f"cannot be split into fields: {error!s}"
            count = reader.line_num - begun
            fault = fault or self._fault(fields, texts[first : first + count])
            if fields or fault:
                yield first, count, fields, fault
            first += 1 if fault else count
            if fault:
                following = map(texts.__getitem__, range(first, len(texts)))
                reader = csv.reader(following, delimiter=self._head.separator)

    def _fault(self, fields: Sequence[str], texts: Sequence[str]) -> str | None:
        """Return why fields, written in these lines, are no whole row."""
        titles = len(self.titles)
        is_between = self._head.grows and self._head.width <= len(fields) <= titles
        is_wide = is_between or len(fields) in (titles, self._head.width)
        is_whole = is_wide and not any(fields[titles:])
        if len(texts) > 1 and (not is_whole or "".join(texts).count('"') % 2):
            return _OPEN_QUOTE
        if fields and not is_whole:
            more = "; if a column was added, name all with --columns" * (len(fields) > titles)
            return f"{len(fields)} fields where the header names {titles}{more}"
        return None


def _end_of_lines(data: bytes, lines: int, start: int = 0) -> int:
    for _ in range(lines):
        start = data.find(b"\n", start) + 1 or len(data)
    return start


def titles_of_table(table: ChunkedTable, times: str | None, only: Sequence[str]) -> Sequence[str]:
    """Return the titles of a table; of tables side by side, those of the one with these times.
    Raises UserError if they are not stated, or columns of another one are wanted."""
    if not table.tables:
        return table.titles
    time = (times or "").split("+")[0].strip()
    titles = next((titles for titles in table.tables if times in titles or time in titles), None)
    if titles is not None and all(title in titles for title in only):
        return titles
    parts = "".join(f"\n  - {', '.join(map(repr, titles))}" for titles in table.tables)
    raise UserError(
        f"{table.path!s} holds tables side by side, each with its own stamps, and each needs its "
        f"own import: name its stamps with --time, e.g. --time {shown(table.tables[0][0])}, and "
        f"with --only no column of another table:{parts}"
    )
