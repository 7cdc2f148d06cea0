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
from pathlib import Path
from typing import Any

import numpy as np

from alerting.adapters.files.tables.chunks import Chunk
from alerting.adapters.files.tables.csv_header import (
    first_records,
    header_record,
    outside_quotes,
    without_lines,
)
from alerting.adapters.files.tables.file_head import FileHead, find_head
from alerting.adapters.files.tables.records import Record, read_records, split_lines
from alerting.adapters.files.tables.text import Block, Position, TextEncoding, blocks
from alerting.adapters.files.tables.titles import MOST_COLUMNS, read_titles
from alerting.deferred import arrow_csv, pa
from alerting.definitions.faults import UserError, shown
from alerting.definitions.wording.language import translatable
from alerting.readings.inference import BadLine


class CsvTable:
    """Text with one record a line; its separator, else that on which header and lines agree."""

    unit = "line"

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
                translatable(
                    "{separator} is not a separator; write one character, e.g. --sep ';'",
                    separator=shown(separator),
                )
            )
        head = find_head(first, skipped, separator) if first else None
        if head is None:
            raise UserError(
                translatable(
                    "{path}: the first line is empty; it must name the columns", path=str(path)
                )
            )
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
                translatable(
                    "{path}: line 1 cannot be split into titles of columns: {error}",
                    path=str(self.path),
                    error=str(error),
                )
            ) from error

    def chunks(self, wanted: Sequence[str]) -> Iterator[Chunk]:
        """Yield rows in file order, only with the wanted columns."""
        self.position = self.position.reopen()
        for block in blocks(self.path, self.encoding, self.position):
            body = without_lines(block, self._header_lines) if block.first_line == 1 else block
            if body.data and not body.data.isspace():
                yield self._quick(body, wanted) or self._exact(body, wanted)

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

    def _quick(self, block: Block, wanted: Sequence[str]) -> Chunk | None:
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
                    include_columns=list(wanted),
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

        return Chunk(lines, {t: table[t].combine_chunks() for t in wanted}, (), original)

    def _exact(self, block: Block, wanted: Sequence[str]) -> Chunk:
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
        at = [index[t] for t in wanted]
        cells = {
            t: pa.array([r.fields[i] for r in good], pa.string())
            for t, i in zip(wanted, at, strict=True)
        }
        lines = np.array([block.first_line + r.first for r in good], dtype=np.int64)

        def original(row: int) -> str:
            return "".join(texts[good[row].first : good[row].first + good[row].count]).rstrip(
                "\r\n"
            )

        return Chunk(lines, cells, tuple(broken), original)
