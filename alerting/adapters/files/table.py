"""Tables of text cells, chunk by chunk, with the exact line of every row: CSV of any separator, and Parquet.

The quick way parses a whole chunk at once. A chunk in which rows and lines are not one to one (a wrong number of fields, a
blank line, a line break inside quotation marks) is parsed again record by record, which tells each line exactly.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
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

from alerting.adapters.files.text import PARQUET, Block, Encoding, Position, blocks, magic
from alerting.definitions.faults import UserError
from alerting.readings.inference import BadLine

Cells = Any  # pyarrow.StringArray; pyarrow ships no types
MOST_COLUMNS = 10_000
_SEPARATORS = ",;\t|"
_SEPARATOR_LINE = re.compile(r'^"?sep=(.)"?$')  # what spreadsheets write into the first line
_HEADER_BYTES = 5 << 20
_HOPELESS = 100 * MOST_COLUMNS
_PROBED = 20
_LISTED = 20
_NEAR = 0.75
_OPEN_QUOTE = "a quotation mark is opened and not closed on this line"
_ROWS = 20_000
_CELLS = 500_000
_PARQUET_BUFFER = 1 << 20


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

    def first(self, rows: int) -> Chunk | None:
        """At least so many of the first rows, all columns, if there are as many; None when there is none."""
        ...


def open_table(path: Path, separator: str | None = None, encoding: str | None = "utf-8") -> Table:
    """A table over this file; only its header has been read. Raises UserError when it has none.

    Without an encoding it is found from the bytes.
    """
    return ParquetTable(path) if magic(path).startswith(PARQUET) else CsvTable(path, separator, encoding)


def column(table: Table, wanted: str, option: str) -> str:
    """That column's title. Raises UserError with the nearest titles when the table has no such column."""
    if wanted in table.titles:
        return wanted
    near = nearest(wanted, table.titles)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    raise UserError(f"{table.path}: there is no column {wanted!r}; {hint}name it with {option}. Columns: {listed(table.titles)}")


def nearest(wanted: str, titles: Sequence[str]) -> list[str]:
    """Titles that are written nearly like this one: the same letters, one within the other, or with a slip of the pen."""
    folded = {title: _letters(title) for title in titles}
    plain = _letters(wanted)
    same = [title for title, letters in folded.items() if plain and letters == plain]
    if same:
        return same[:3]
    close = set(get_close_matches(plain, [letters for letters in folded.values() if letters], n=3, cutoff=_NEAR))
    within = {f for f in folded.values() if min(len(f), len(plain)) > 2 and (plain in f or f in plain)}
    return [title for title, letters in folded.items() if letters in close | within][:3]


def _letters(title: str) -> str:
    return re.sub(r"[^\w]|_", "", title.casefold())


def listed(titles: Sequence[str]) -> str:
    """The first titles, and how many there are besides."""
    shown = ", ".join(t if len(t) <= 60 else t[:59] + "…" for t in titles[:_LISTED])
    return shown + (f" and {len(titles) - _LISTED:,} more" if len(titles) > _LISTED else "")


def _titles(path: Path, raw: Sequence[str]) -> tuple[str, ...]:
    if len(raw) > MOST_COLUMNS:
        raise UserError(
            f"{path}: line 1 names {len(raw):,} columns, and at most {MOST_COLUMNS:,} are read; "
            "export fewer variables into one file, e.g. those of one asset"
        )
    titles = tuple(t.strip() or f"column_{i}" for i, t in enumerate(raw, 1))
    twice = sorted(t for t, count in Counter(titles).items() if count > 1)
    if twice:
        named = listed([repr(t) for t in twice])
        raise UserError(f"{path}: the header names {named} more than once; give each column its own title")
    return titles


class CsvTable:
    """Text with one record a line. Without a separator, the one is taken that the header and the first lines agree on."""

    unit = "line"

    def __init__(self, path: Path, separator: str | None, encoding: str | None) -> None:
        self.path, self.encoding, self.position = path, Encoding(path, encoding), Position(path)
        with closing(blocks(path, self.encoding, Position(path))) as start:
            first = next(start, None)
        header, lines = _header(first, 0) if first else ("", 0)
        told = _SEPARATOR_LINE.match(header)
        self._header_lines = 0
        if first and told:
            separator, self._header_lines = separator or told[1], lines
            header, lines = _header(first, lines)
        self._header_lines += lines
        if not header.strip():
            raise UserError(f"{path}: the first line is empty; it must name the columns")
        separator = "\t" if separator in ("\\t", "tab") else separator
        self.separator = separator or _separator(header, first, self._header_lines)
        if len(self.separator) != 1 or self.separator in '"\r\n':
            raise UserError(f"{self.separator!r} is no separator; it is one character, e.g. --sep ';'")
        self.titles = _titles(path, self._fields(header))

    def _fields(self, header: str) -> list[str]:
        if _outside_quotes(header).count(self.separator) > _HOPELESS:
            return [""] * (header.count(self.separator) + 1)
        try:
            return next(csv.reader([header], delimiter=self.separator))
        except csv.Error as error:
            raise UserError(f"{self.path}: line 1 cannot be split into titles of columns: {error}") from error

    def chunks(self, wanted: Sequence[str]) -> Iterator[Chunk]:
        """Rows in file order, only with the wanted columns."""
        self.position = self.position.again()
        for block in blocks(self.path, self.encoding, self.position):
            body = _without_header(block, self._header_lines) if block.first_line == 1 else block
            if body.data and not body.data.isspace():
                yield self._quick(body, wanted) or self._exact(body, wanted)

    def first(self, rows: int) -> Chunk | None:
        """At least so many of the first rows, all columns, if there are as many; None when there is none."""
        with closing(blocks(self.path, self.encoding, Position(self.path))) as start:
            first = next(start, None)
        body = _first_records(_without_header(first, self._header_lines), rows) if first else None
        if body and body.data and not body.data.isspace():
            chunk = self._quick(body, self.titles) or self._exact(body, self.titles)
            if len(chunk.lines):
                return chunk
        return next(self.chunks(self.titles), None)

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
        index = {title: i for i, title in enumerate(self.titles)}
        at = [index[t] for t in wanted]
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
    reader = csv.reader(map(texts.__getitem__, range(start, len(texts))), delimiter=separator)
    first = start
    while first < len(texts):
        try:
            fields = next(reader, None)
        except csv.Error as error:
            open_quote = start + reader.line_num - first > 1
            yield _Record(first, 1, (), _OPEN_QUOTE if open_quote else f"cannot be split into fields: {error}")
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
        return _OPEN_QUOTE
    if fields and len(fields) != width:
        return f"{len(fields)} fields where the header names {width}"
    return None


def _header(block: Block, skipped: int) -> tuple[str, int]:
    """The first record behind these lines, without its line break, and how many lines it takes."""
    data = block.data[:_HEADER_BYTES]
    start = _end_of_lines(data, skipped)
    record = data[start : _end_of_record(data, start, 1)]
    lines = record.count(b"\n") + (not record.endswith(b"\n"))
    return record.decode("utf-8", "ignore").removesuffix("\n").rstrip("\r"), lines


def _separator(header: str, first: Block | None, skipped: int) -> str:
    """The separator with which most of the first lines have as many fields as the header; of several, the one with most."""
    data = first.data[:_HEADER_BYTES] if first else b""
    start = _end_of_lines(data, skipped)
    texts = data[start : _end_of_lines(data, _PROBED, start)].decode("utf-8", "ignore").split("\n")
    plain = _outside_quotes(header)
    probes = [_outside_quotes(text) for text in texts if text.strip() and text.count('"') % 2 == 0]

    def fitness(separator: str) -> tuple[bool, float, int]:
        fields = plain.count(separator)
        fitting = sum(probe.count(separator) == fields for probe in probes)
        return bool(fields), fitting / len(probes) if probes else 1.0, fields

    return max(_SEPARATORS, key=fitness)


def _outside_quotes(text: str) -> str:
    return "".join(text.split('"')[::2])


def _without_header(block: Block, lines: int) -> Block:
    return Block(block.first_line + lines, block.data[_end_of_lines(block.data, lines) :], block.lines - lines)


def _first_records(block: Block, lines: int) -> Block:
    """The first lines of a block, and further ones as far as a quotation mark is open behind them."""
    data = block.data[: _end_of_record(block.data, 0, lines)]
    return Block(block.first_line, data, data.count(b"\n") + (not data.endswith(b"\n")))


def _end_of_record(data: bytes, start: int, lines: int) -> int:
    """Where so many lines end, or, if a quotation mark is open there, the first line behind them at whose end none is."""
    end = _end_of_lines(data, lines, start)
    is_open = data.count(b'"', start, end) % 2
    while is_open and end < len(data):
        following = _end_of_lines(data, 1, end)
        is_open ^= data.count(b'"', end, following) % 2
        end = following
    return end


def _end_of_lines(data: bytes, lines: int, start: int = 0) -> int:
    """Where so many lines end."""
    for _ in range(lines):
        start = data.find(b"\n", start) + 1 or len(data)
    return start


class ParquetTable:
    """Parquet, its columns turned into text cells that read back to the same values; rows count from 1."""

    unit = "row"

    def __init__(self, path: Path) -> None:
        self.path, self.position = path, Position(path)
        with _parquet(path) as file:
            self._names = _parquet_names(path, file)
            self.titles = tuple(self._names)

    def chunks(self, wanted: Sequence[str]) -> Iterator[Chunk]:
        """Rows in file order, only with the wanted columns."""
        return self._batches(wanted, max(100, min(_ROWS, _CELLS // max(1, len(wanted)))))

    def _batches(self, wanted: Sequence[str], rows: int) -> Iterator[Chunk]:
        self.position = self.position.again()
        first = 1
        with _parquet(self.path) as file:
            total = max(1, file.metadata.num_rows)
            columns = [self._names[t] for t in wanted]
            for batch in file.iter_batches(batch_size=rows, columns=columns, use_threads=False):
                cells = {t: self._text(t, batch.column(self._names[t])) for t in wanted}
                yield self._chunk(first, cells, batch.num_rows)
                first += batch.num_rows
                self.position.done = self.position.total * (first - 1) // total

    def first(self, rows: int) -> Chunk | None:
        """At least so many of the first rows, all columns, if there are as many; None when there is none."""
        return next(self._batches(self.titles, rows), None)

    def _chunk(self, first: int, cells: dict[str, Cells], rows: int) -> Chunk:
        def original(row: int) -> str:
            return ",".join(c[row].as_py() or "" for c in cells.values())

        return Chunk(np.arange(first, first + rows), cells, (), original)

    def _text(self, title: str, values: Any) -> Cells:
        kind = values.type
        try:
            if pa.types.is_timestamp(kind) and kind.tz:
                values = pc.cast(values, pa.timestamp(kind.unit, "UTC"))
            cells = pc.cast(values, pa.string())
            cells.validate(full=True)
            return cells
        except pa.ArrowInvalid as error:
            raise UserError(f"{self.path}: column {title!r} cannot be read as text: {error}") from error
        except pa.ArrowNotImplementedError as error:
            raise UserError(
                f"{self.path}: column {title!r} holds {kind}, which is neither number, text, boolean nor time"
            ) from error


@contextmanager
def _parquet(path: Path) -> Iterator[Any]:
    """The file, opened; whatever is wrong with its bytes is a refusal, also while it is being read."""
    try:
        with parquet.ParquetFile(path, buffer_size=_PARQUET_BUFFER) as file:
            yield file
    except (pa.ArrowException, OSError, MemoryError) as error:
        raise UserError(
            f"{path}: the Parquet file cannot be read: {str(error).splitlines()[0] if str(error) else error!r}"
        ) from error


def _parquet_names(path: Path, file: Any) -> dict[str, str]:
    names = list(file.schema_arrow.names)
    return dict(zip(_titles(path, names), names, strict=True))
