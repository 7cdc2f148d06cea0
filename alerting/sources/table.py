"""Tables of text cells, chunk by chunk, with the exact line of every row: CSV of any separator, and Parquet.

The quick way parses a whole chunk at once. A chunk in which rows and lines are not one to one (a wrong number of fields, a
blank line, a line break inside quotation marks) is parsed again record by record, which tells each line exactly.
"""

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv
from pyarrow import parquet

from alerting.definitions.faults import Refused
from alerting.readings.inference import BadLine
from alerting.sources.text import PARQUET, Block, Position, blocks, magic

Cells = Any  # pyarrow.StringArray; pyarrow ships no types
_SEPARATORS = ",;\t|"
_ROWS = 20_000


@dataclass(frozen=True)
class Chunk:
    """Some rows of a table. `columns` holds text cells by title, all of one length; `lines` the line of each row."""

    lines: npt.NDArray[np.int64]
    columns: Mapping[str, Cells]
    broken: tuple[BadLine, ...]
    original: Callable[[int], str]


class Table(Protocol):
    """A file of rows and titled columns."""

    path: Path
    titles: tuple[str, ...]
    unit: str
    position: Position

    def chunks(self, wanted: Sequence[str]) -> Iterator[Chunk]: ...


def open_table(path: Path, separator: str | None = None, encoding: str = "utf-8") -> Table:
    """A table over this file; only its header has been read. Raises Refused when it has none."""
    return ParquetTable(path) if magic(path).startswith(PARQUET) else CsvTable(path, separator, encoding)


def column(table: Table, wanted: str, option: str) -> str:
    """That column's title. Raises Refused with the nearest titles when the table has no such column."""
    if wanted in table.titles:
        return wanted
    close = get_close_matches(wanted.lower(), [t.lower() for t in table.titles], n=3)
    near = [t for t in table.titles if t.lower() in close]
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    raise Refused(f"{table.path}: there is no column {wanted!r}; {hint}name it with {option}. Columns: {', '.join(table.titles)}")


def _titles(path: Path, raw: Sequence[str]) -> tuple[str, ...]:
    titles = tuple(t.strip() or f"column_{i}" for i, t in enumerate(raw, 1))
    twice = sorted({t for t in titles if titles.count(t) > 1})
    if twice:
        raise Refused(f"{path}: the header names {', '.join(map(repr, twice))} more than once; give each column its own title")
    return titles


class CsvTable:
    """Text with one record a line. Without a separator, the one that the header uses most is taken."""

    unit = "line"

    def __init__(self, path: Path, separator: str | None, encoding: str) -> None:
        self.path, self._encoding, self.position = path, encoding, Position(path)
        with closing(blocks(path, encoding, Position(path))) as start:
            header = _header(next(start))
        if not header.strip():
            raise Refused(f"{path}: the first line is empty; it must name the columns")
        separator = "\t" if separator in ("\\t", "tab") else separator
        self.separator = separator or max(_SEPARATORS, key=_outside_quotes(header).count)
        if len(self.separator) != 1:
            raise Refused(f"{self.separator!r} is no separator; it is one character, e.g. --sep ';'")
        self.titles = _titles(path, next(csv.reader([header], delimiter=self.separator)))
        self._header_lines = header.count("\n") + 1

    def chunks(self, wanted: Sequence[str]) -> Iterator[Chunk]:
        """Rows in file order, only with the wanted columns."""
        self.position = self.position.again()
        for block in blocks(self.path, self._encoding, self.position):
            body = _without_header(block, self._header_lines) if block.first_line == 1 else block
            if body.data:
                yield self._quick(body, wanted) or self._exact(body, wanted)

    def _quick(self, block: Block, wanted: Sequence[str]) -> Chunk | None:
        """The chunk when each line is one whole row, else None."""
        invalid = []

        def skip(row: Any) -> str:
            invalid.append(row)
            return "skip"

        try:
            table = arrow_csv.read_csv(
                io.BytesIO(block.data),
                read_options=arrow_csv.ReadOptions(use_threads=False, column_names=self.titles, block_size=len(block.data) + 1),
                parse_options=arrow_csv.ParseOptions(
                    delimiter=self.separator, newlines_in_values=b'"' in block.data, invalid_row_handler=skip
                ),
                convert_options=arrow_csv.ConvertOptions(
                    column_types=dict.fromkeys(self.titles, pa.string()), strings_can_be_null=False, include_columns=list(wanted)
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
        """The chunk record by record, with those that are not whole apart."""
        texts = _lines(block.data)
        good: list[_Record] = []
        broken: list[BadLine] = []
        for record in _records(texts, self.separator, len(self.titles)):
            line, text = (
                block.first_line + record.first,
                "".join(texts[record.first : record.first + record.count]).rstrip("\r\n"),
            )
            if record.fault:
                broken.append(BadLine(line, None, record.fault, text))
            else:
                good.append(record)
        at = [self.titles.index(t) for t in wanted]
        cells = {t: pa.array([r.fields[i] for r in good], pa.string()) for t, i in zip(wanted, at, strict=True)}
        lines = np.array([block.first_line + r.first for r in good], dtype=np.int64)

        def original(row: int) -> str:
            return "".join(texts[good[row].first : good[row].first + good[row].count]).rstrip("\r\n")

        return Chunk(lines, cells, tuple(broken), original)


@dataclass(frozen=True)
class _Record:
    """One record: index of its first line in the chunk, number of lines, fields, and what is wrong with it, if anything."""

    first: int
    count: int
    fields: Sequence[str]
    fault: str | None = None


def _lines(data: bytes) -> list[str]:
    texts = data.decode().split("\n")
    return [text + "\n" for text in (texts if texts[-1] else texts[:-1])]


def _records(texts: Sequence[str], separator: str, width: int) -> Iterator[_Record]:
    """All records but blank lines. After a faulty one, reading goes on at the line after its first.

    (A stray quotation mark would otherwise swallow the lines up to the next one.)
    """
    start = 0
    while start < len(texts):
        for record in _until_faulty(texts, start, separator, width):
            start = record.first + record.count
            if record.fields or record.fault:
                yield record
        if start >= len(texts):
            return


def _until_faulty(texts: Sequence[str], start: int, separator: str, width: int) -> Iterator[_Record]:
    """Records from this line on, up to and including the first faulty one."""
    reader = csv.reader(texts[start:], delimiter=separator)
    first = start
    while first < len(texts):
        try:
            fields = next(reader, None)
        except csv.Error as error:
            yield _Record(first, 1, (), f"cannot be split into fields: {error}")
            return
        if fields is None:
            return
        count = start + reader.line_num - first
        fault = _fault(fields, width, count, texts[first : first + count])
        if fault:
            yield _Record(first, 1, fields, fault)
            return
        yield _Record(first, count, fields)
        first += count


def _fault(fields: Sequence[str], width: int, count: int, texts: Sequence[str]) -> str | None:
    if count > 1 and (len(fields) != width or "".join(texts).count('"') % 2):
        return "a quotation mark is opened and not closed on this line"
    if fields and len(fields) != width:
        return f"{len(fields)} fields where the header names {width}"
    return None


def _header(block: Block) -> str:
    """The first record of the file, without its line break."""
    lines = block.data.decode().split("\n")
    header = lines[0]
    for line in lines[1:]:
        if header.count('"') % 2 == 0:
            break
        header += "\n" + line
    return header.rstrip("\r")


def _outside_quotes(text: str) -> str:
    return "".join(text.split('"')[::2])


def _without_header(block: Block, lines: int) -> Block:
    at = 0
    for _ in range(lines):
        at = block.data.find(b"\n", at) + 1 or len(block.data)
    return Block(block.first_line + lines, block.data[at:], block.lines - lines)


class ParquetTable:
    """Parquet, its columns turned into text cells that read back to the same values; rows count from 1."""

    unit = "row"

    def __init__(self, path: Path) -> None:
        self.path, self.position = path, Position(path)
        try:
            with parquet.ParquetFile(path) as file:
                self.titles = _titles(path, file.schema_arrow.names)
        except (pa.ArrowInvalid, OSError) as error:
            raise Refused(f"{path}: the Parquet file cannot be read: {error}") from error

    def chunks(self, wanted: Sequence[str]) -> Iterator[Chunk]:
        """Rows in file order, only with the wanted columns."""
        self.position = self.position.again()
        first = 1
        with parquet.ParquetFile(self.path) as file:
            names = dict(zip(self.titles, file.schema_arrow.names, strict=True))
            total = max(1, file.metadata.num_rows)
            for batch in file.iter_batches(batch_size=_ROWS, columns=[names[t] for t in wanted], use_threads=False):
                yield self._chunk(first, {t: self._text(t, batch.column(names[t])) for t in wanted}, batch.num_rows)
                first += batch.num_rows
                self.position.done = self.position.total * (first - 1) // total

    def _chunk(self, first: int, cells: dict[str, Cells], rows: int) -> Chunk:
        def original(row: int) -> str:
            return ",".join(c[row].as_py() or "" for c in cells.values())

        return Chunk(np.arange(first, first + rows), cells, (), original)

    def _text(self, title: str, values: Any) -> Cells:
        kind = values.type
        try:
            if pa.types.is_timestamp(kind) and kind.tz:
                values = pc.cast(values, pa.timestamp(kind.unit, "UTC"))
            return pc.cast(values, pa.string())
        except (pa.ArrowNotImplementedError, pa.ArrowInvalid) as error:
            raise Refused(
                f"{self.path}: column {title!r} holds {kind}, which is neither number, text, boolean nor time"
            ) from error
