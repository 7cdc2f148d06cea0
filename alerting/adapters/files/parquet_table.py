"""Parquet as text cells, chunk by chunk."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from alerting.adapters.files.chunks import Cells, Chunk, ChunkedTable, Position, read_titles
from alerting.deferred import pa, pc, pq
from alerting.definitions.faults import UserError, shown, storable
from alerting.definitions.wording.language import ENGLISH, Styled

LONGEST_TEXT = 4_000  # bytes of a cell
LARGEST_PAGE = 128 << 20  # bytes when it is unpacked
_BATCH_BYTES = 16 << 20
_MOST_AT_ONCE = 2_000  # rows with texts
_BYTES_OF_NUMBER = 24  # as text
_HEADERS = (1 << 10, 1 << 16, 16 << 20)  # bytes; with the least and the greatest value of a page
_DEEPEST = 8
# fields of the header of a page (parquet.thrift), and types of Thrift's compact protocol
_SIZE = 2
_PACKED = 3
_DATA = 5
_DATA_2 = 8
_VALUES = 1
_ENCODING = 2
_ENCODING_2 = 4
_DELTA_BYTE_ARRAY = 7
_FLAGS = (1, 2)
_NUMBERS = (4, 5, 6)
_BYTES = 8
_STRUCT = 12

_WESTMOST = timedelta(hours=12)


class ParquetTable(ChunkedTable):
    """Parquet file whose columns become text cells that parse to the same values."""

    unit = "row"

    def __init__(self, path: Path) -> None:
        self.path = path
        self.position = Position(path)
        with _parquet(path) as file:
            names = list(file.schema_arrow.names)
            self._names = dict(zip(read_titles(path, names), names, strict=True))
            self.titles = tuple(self._names)

    def chunks(self, titles: Sequence[str]) -> Iterator[Chunk]:
        """Yield rows in file order, only with the wanted columns."""
        return self._batches(titles, max(100, min(20_000, 500_000 // max(1, len(titles)))))

    def _batches(self, titles: Sequence[str], rows: int) -> Iterator[Chunk]:
        """Yield chunks of about `rows` rows, and of less where these have many bytes."""
        self.position.reopen()
        first = 1
        columns = [self._names[t] for t in titles]
        with _parquet(self.path, as_dictionaries=True) as file:
            total = max(1, file.metadata.num_rows)
            step = self._rows_at_once(file, titles, rows)
            batches = file.iter_batches(batch_size=step, columns=columns, use_threads=False)
            for some in self._gathered(batches, titles, rows):
                cells = {t: self._text(t, some.column(self._names[t])) for t in titles}
                yield self._chunk(first, cells, some.num_rows)
                first += some.num_rows
                self.position.done = self.position.total * (first - 1) // total

    def _rows_at_once(self, file: Any, titles: Sequence[str], rows: int) -> int:
        """Return how many rows may be decoded at once. Raises UserError for a column of a kind that
        no cell has, and for a page that is too large to unpack."""
        schema = file.schema_arrow
        for title in titles:
            kind = schema.field(self._names[title]).type
            is_wide = pa.types.is_fixed_size_binary(kind) and kind.byte_width > LONGEST_TEXT
            if is_wide or pa.types.is_nested(kind):
                raise self._no_cell(title, kind)
        bytes_of_value: dict[str, float] = {}
        for title, page in _pages(self.path, file.metadata, {self._names[t]: t for t in titles}):
            if page.size > LARGEST_PAGE:
                raise UserError(
                    ENGLISH.say(
                        "{path}: column {title} has a page of {size} bytes, but at most {most} are "
                        "unpacked; write the file with smaller pages",
                        path=str(self.path),
                        title=shown(title),
                        size=Styled(page.size, "count"),
                        most=Styled(LARGEST_PAGE, "count"),
                    )
                )
            if page.bytes_of_value is not None:
                largest = max(page.bytes_of_value, bytes_of_value.get(title, 0))
                bytes_of_value[title] = largest
        if not bytes_of_value:
            return rows
        return max(1, min(rows, _MOST_AT_ONCE, int(_BATCH_BYTES / sum(bytes_of_value.values()))))

    def _gathered(self, batches: Iterator[Any], titles: Sequence[str], rows: int) -> Iterator[Any]:
        """Yield batches put together or divided, as tables of at most `rows` rows and a number of
        bytes, but of at least one row."""
        some: list[Any] = []
        size = count = 0
        for batch in batches:
            for piece, bytes_of_piece in self._divided(batch, titles):
                too_large = size + bytes_of_piece > _BATCH_BYTES or count + len(piece) > rows
                if some and too_large:
                    yield pa.Table.from_batches(some)
                    some = []
                    size = count = 0
                some.append(piece)
                size += bytes_of_piece
                count += len(piece)
        if some:
            yield pa.Table.from_batches(some)

    def _divided(self, batch: Any, titles: Sequence[str]) -> Iterator[tuple[Any, int]]:
        """Yield a batch in pieces, each with its bytes as text, which are bounded."""
        of_rows = np.zeros(len(batch), dtype=np.int64)
        for title in titles:
            of_rows += self._bytes(title, batch.column(self._names[title]))
        until = np.cumsum(of_rows)
        start = 0
        while start < len(batch):
            before = int(until[start] - of_rows[start])
            end = int(np.searchsorted(until, before + _BATCH_BYTES, side="right"))
            end = max(end, start + 1)
            yield batch.slice(start, end - start), int(until[end - 1]) - before
            start = end

    def _bytes(self, title: str, values: Any) -> npt.NDArray[np.int64] | int:
        """Return the bytes of each cell of a column as text. Raises UserError for a text that is
        too long, before it is written once for each row."""
        is_once = pa.types.is_dictionary(values.type)
        texts = values.dictionary if is_once else values
        if not _is_text(texts.type):
            return _BYTES_OF_NUMBER
        lengths = pc.binary_length(texts)
        longest = pc.max(lengths).as_py() or 0
        if longest > LONGEST_TEXT:
            raise UserError(
                ENGLISH.say(
                    "{path}: column {title} holds a text of {size} bytes, but at most {most} are "
                    "read; leave the column out, or shorten its texts",
                    path=str(self.path),
                    title=shown(title),
                    size=Styled(longest, "count"),
                    most=Styled(LONGEST_TEXT, "count"),
                )
            )
        of_rows = pc.take(lengths, values.indices) if is_once else lengths
        return np.asarray(of_rows.fill_null(0).to_numpy(zero_copy_only=False), dtype=np.int64)

    def first_rows(self, rows: int) -> Chunk | None:
        """Return at least `rows` first rows, all, or as many as fit into a chunk of the largest
        size, with all columns; None without one."""
        return next(self._batches(self.titles, rows), None)

    def newest_instant(self, title: str) -> datetime | None:
        """Return the newest instant of a column of time stamps as the foot of the file states it,
        without a read of its rows; None where it states none. Of stamps without a zone it is the
        latest that any zone makes of them."""
        with _parquet(self.path) as file:
            meta = file.metadata
            column = file.schema_arrow.names.index(self._names[title])
            stated = [meta.row_group(i).column(column) for i in range(meta.num_row_groups)]
            if file.schema_arrow.names != list(file.schema.names):
                return None  # of nested columns
        newest = [chunk.statistics.max for chunk in stated if chunk.is_stats_set]
        if not newest or len(newest) < len(stated) or not isinstance(newest[0], datetime):
            return None
        last: datetime = max(newest)
        return last.replace(tzinfo=UTC) + _WESTMOST if last.tzinfo is None else last

    def _chunk(self, first: int, cells: dict[str, Cells], rows: int) -> Chunk:
        def original(row: int) -> str:
            return ",".join(c[row].as_py() or "" for c in cells.values())

        return Chunk(np.arange(first, first + rows), cells, (), original)

    def _text(self, title: str, values: Any) -> Cells:
        kind = values.type
        try:
            if pa.types.is_timestamp(kind) and kind.tz:
                values = pc.cast(values, pa.timestamp(kind.unit, "UTC"))
            cells = pc.cast(values, pa.string()).combine_chunks()
            cells.validate(full=True)
            return cells
        except pa.ArrowInvalid as error:
            raise UserError(
                f"{self.path}: column {title!r} cannot be read as text: {error}"
            ) from error
        except pa.ArrowNotImplementedError as error:
            raise self._no_cell(title, kind) from error

    def _no_cell(self, title: str, kind: Any) -> UserError:
        return UserError(
            f"{self.path}: column {title!r} holds {kind}, which is neither number, text, boolean "
            "nor time"
        )


def _is_text(kind: Any) -> bool:
    types = pa.types
    return any(
        is_so(kind)
        for is_so in (
            types.is_string,
            types.is_large_string,
            types.is_binary,
            types.is_large_binary,
        )
    )


@contextmanager
def _parquet(path: Path, *, as_dictionaries: bool = False) -> Iterator[Any]:
    """Yield the opened file. Raises UserError if it is damaged, also while the caller reads it.

    `as_dictionaries`: texts stay as they are stored, each once.
    """
    try:
        with path.open("rb") as raw:
            # the path is faster for the library, which takes none that is no UTF-8
            source = path if storable(str(path), sys.maxsize) == str(path) else raw
            texts: list[str] = []
            if as_dictionaries:
                texts = _texts_stored_once(pq.ParquetFile(source))
                raw.seek(0)
            with pq.ParquetFile(source, buffer_size=1 << 20, read_dictionary=texts) as file:
                yield file
    except (pa.ArrowException, OSError, MemoryError) as error:
        raise UserError(
            f"{path}: the Parquet file cannot be read: "
            f"{str(error).splitlines()[0] if str(error) else error!r}"
        ) from error


def _texts_stored_once(file: Any) -> list[str]:
    """Return the columns of texts that the library can read without repeating them."""
    names = [field.name for field in file.schema_arrow if _is_text(field.type)]
    groups = [file.metadata.row_group(number) for number in range(file.metadata.num_row_groups)]
    shared = {
        column.path_in_schema
        for group in groups
        for column in map(group.column, range(group.num_columns))
        if any(encoding.startswith("DELTA") for encoding in column.encodings)
    }
    return [name for name in names if name not in shared]


class _Page(NamedTuple):
    """A page of a column: its bytes when it is unpacked, and the bytes of a value of it on average,
    None of values of one width."""

    size: int
    bytes_of_value: float | None


def _pages(path: Path, metadata: Any, titles: Mapping[str, str]) -> Iterator[tuple[str, _Page]]:
    """Yield the pages of columns, each with the title by the name of its column, from the headers
    of pages: what the end of a file states of them may be wrong. Raises OSError if one cannot be
    read."""
    with path.open("rb") as raw:
        for number in range(metadata.num_row_groups):
            group = metadata.row_group(number)
            for index in range(group.num_columns):
                column = group.column(index)
                title = titles.get(column.path_in_schema)
                for page in _pages_of(raw, column) if title is not None else ():
                    yield str(title), page


def _pages_of(raw: IO[bytes], column: Any) -> Iterator[_Page]:
    """Yield the pages of a column of a group of rows, as the library finds them."""
    at = column.data_page_offset
    if column.has_dictionary_page and column.dictionary_page_offset:
        at = min(at, column.dictionary_page_offset)
    end = at + column.total_compressed_size
    missing = column.num_values
    while missing > 0 and at < end:
        header, length = _page_header(raw, at)
        at += length + max(0, header.get(_PACKED, 0))
        size = header.get(_SIZE, 0)
        about = header.get(_DATA) or header.get(_DATA_2) or {}
        values = about.get(_VALUES, 0)
        missing -= values
        per_value: float | None = None
        if column.physical_type == "BYTE_ARRAY":
            encoding = about.get(_ENCODING if _DATA in header else _ENCODING_2)
            # of which each value may begin as all of the one before
            is_shared = encoding == _DELTA_BYTE_ARRAY
            per_value = size if is_shared else size / max(1, values)
        if per_value is not None and not about:
            per_value = 0
        yield _Page(size, per_value)


def _page_header(raw: IO[bytes], at: int) -> tuple[dict[int, Any], int]:
    """Return the fields of the header of a page, and its length. Raises OSError if it is none."""
    for longest in _HEADERS:
        raw.seek(at)
        try:
            return _read_struct(raw.read(longest), 0, 0)
        except IndexError:
            continue
    raise OSError("the header of a page cannot be read")


def _read_struct(data: bytes, at: int, depth: int) -> tuple[dict[int, Any], int]:
    """Return the fields of a structure in Thrift's compact protocol, and where it ends. Raises
    IndexError if the data end before, OSError for what no page has."""
    if depth > _DEEPEST:
        raise OSError("the header of a page cannot be read")
    fields: dict[int, Any] = {}
    field = 0
    while data[at]:
        step, kind = divmod(data[at], 16)
        at += 1
        if step:
            field += step
        else:
            field, at = _read_number(data, at)
        if kind == _STRUCT:
            fields[field], at = _read_struct(data, at, depth + 1)
        elif kind in _NUMBERS:
            fields[field], at = _read_number(data, at)
        elif kind == _BYTES:
            length, at = _read_varint(data, at)
            at += length
        elif kind not in _FLAGS:
            raise OSError("the header of a page cannot be read")
    return fields, at + 1


def _read_number(data: bytes, at: int) -> tuple[int, int]:
    number, at = _read_varint(data, at)
    return (number >> 1) ^ -(number & 1), at


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        number |= (data[at] & 0x7F) << shift
        at += 1
        if data[at - 1] < 0x80:
            return number, at
        shift += 7
