"""Parquet as text cells, chunk by chunk."""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np

from alerting.adapters.files.chunks import (
    Cells,
    Chunk,
    ChunkedTable,
    FileContent,
    Position,
    read_titles,
)
from alerting.deferred import pa, pc, pq
from alerting.definitions.faults import UserError, first_line, shown, storable
from alerting.definitions.wording.language import ENGLISH, Styled

LONGEST_TEXT = 4_000  # bytes of a cell
LARGEST_PAGE = 128 << 20  # bytes when it is unpacked
_BATCH_BYTES = 16 << 20
_BYTES_OF_NUMBER = 24  # as text
_LONGEST_HEADER = 16 << 20  # bytes; with the least and the greatest value of a page
_DEEPEST = 8
# fields of the header of a page, and of the data of both forms below it (parquet.thrift)
_OF_PAGE = {"size": 2, "packed": 3, "data": 5, "data of form 2": 8}
_OF_DATA = {"values": 1, "encoding": 2, "encoding of form 2": 4}
# types of Thrift's compact protocol
_KINDS = {1: "flag", 2: "flag", 4: "number", 5: "number", 6: "number", 8: "bytes", 12: "fields"}
_DELTA_BYTE_ARRAY = 7


class ParquetTable(ChunkedTable):
    """Parquet file whose columns become text cells that parse to the same values."""

    unit = "row"

    def __init__(self, path: Path, content: FileContent) -> None:
        self.path = path
        self.content = content
        self.position = Position(content.file)
        with _parquet(path, content.file) as file:
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
        with _parquet(self.path, self.content.file, as_dictionaries=True) as file:
            total = max(1, file.metadata.num_rows)
            step = self._rows_at_once(file, titles, rows)
            batches = file.iter_batches(batch_size=step, columns=columns, use_threads=False)
            for some in self._gathered(batches, titles, rows):
                cells = {t: self._text(t, some.column(self._names[t])) for t in titles}
                lines = np.arange(first, first + len(some))
                yield Chunk(lines, cells, (), partial(_write, [*cells.values()]))
                first += len(some)
                self.position.done = self.position.total * (first - 1) // total

    def _gathered(self, batches: Iterator[Any], titles: Sequence[str], rows: int) -> Iterator[Any]:
        """Yield batches put together or divided, as tables of at most `rows` rows, and of a bounded
        number of bytes as text unless they have one row."""
        some: list[Any] = []
        most = count = 0
        for batch in batches:
            longest = sum(self._longest(t, batch.column(self._names[t])) for t in titles)
            fitting = max(1, min(rows, _BATCH_BYTES // max(1, longest)))
            for start in range(0, len(batch), fitting):
                piece = batch.slice(start, fitting)
                if some and count + len(piece) > min(most, fitting):
                    yield pa.Table.from_batches(some)
                    some = []
                most = min(most, fitting) if some else fitting
                count = (count if some else 0) + len(piece)
                some.append(piece)
        if some:
            yield pa.Table.from_batches(some)

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
        for title, size, per_value in _pages(
            self.content.file, file.metadata, {self._names[t]: t for t in titles}
        ):
            if size > LARGEST_PAGE:
                raise UserError(
                    ENGLISH.say(
                        "{path}: column {title} has a page of {size} bytes, but at most {most} are "
                        "unpacked; write the file with smaller pages",
                        path=str(self.path),
                        title=shown(title),
                        size=Styled(size, "count"),
                        most=Styled(LARGEST_PAGE, "count"),
                    )
                )
            if per_value is not None:
                bytes_of_value[title] = max(per_value, bytes_of_value.get(title, 0))
        if not bytes_of_value:
            return rows
        return max(1, min(rows, int(_BATCH_BYTES / sum(bytes_of_value.values()))))

    def _longest(self, title: str, values: Any) -> int:
        """Return the bytes of the longest cell of a column as text. Raises UserError for one that
        is too long, before it is written once for each row."""
        texts = values.dictionary if pa.types.is_dictionary(values.type) else values
        if not _is_text(texts.type):
            return _BYTES_OF_NUMBER
        longest: int = pc.max(pc.binary_length(texts)).as_py() or 0
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
        return longest

    def first_rows(self, rows: int) -> Chunk | None:
        """Return at least `rows` first rows, all, or as many as fit into a chunk of the largest
        size, with all columns; None without one."""
        return next(self._batches(self.titles, rows), None)

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
def _parquet(path: Path, content: Path, *, as_dictionaries: bool = False) -> Iterator[Any]:
    """Yield the opened content of a file. Raises UserError if it is damaged, also while the caller
    reads it.

    `as_dictionaries`: texts stay as they are stored, each once.
    """
    try:
        with content.open("rb") as raw:
            # the path is faster for the library, which takes none that is no UTF-8
            source = content if storable(str(content), sys.maxsize) == str(content) else raw
            texts: list[str] = []
            if as_dictionaries:
                texts = _texts_stored_once(pq.ParquetFile(source))
                raw.seek(0)
            with pq.ParquetFile(source, buffer_size=1 << 20, read_dictionary=texts) as file:
                yield file
    except (pa.ArrowException, OSError, MemoryError) as error:
        raise UserError(f"{path}: the Parquet file cannot be read: {first_line(error)}") from error


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


def _write(columns: Sequence[Cells], row: int) -> str:
    return ",".join(cells[row].as_py() or "" for cells in columns)


def _pages(
    path: Path, metadata: Any, titles: Mapping[str, str]
) -> Iterator[tuple[str, int, float | None]]:
    """Yield the pages of columns as the library finds them, by their headers: what the end of a
    file states of them may be wrong. Of each the title by the name of its column; its bytes when it
    is unpacked; the bytes of a value of it on average, None of values of one width. Raises OSError
    if one cannot be read."""
    groups = map(metadata.row_group, range(metadata.num_row_groups))
    columns = [column for group in groups for column in map(group.column, range(group.num_columns))]
    with path.open("rb") as raw:
        for column in columns:
            at = column.data_page_offset
            if column.has_dictionary_page and column.dictionary_page_offset:
                at = min(at, column.dictionary_page_offset)
            end = at + column.total_compressed_size
            missing = column.num_values if column.path_in_schema in titles else 0
            while missing > 0 and at < end:
                raw.seek(at)
                header = _read_struct(raw, at + _LONGEST_HEADER)
                at = raw.tell() + max(0, header.get(_OF_PAGE["packed"], 0))
                size = header.get(_OF_PAGE["size"], 0)
                first = header.get(_OF_PAGE["data"])
                about = first or header.get(_OF_PAGE["data of form 2"]) or {}
                values = about.get(_OF_DATA["values"], 0)
                missing -= values
                encoding = about.get(_OF_DATA["encoding" if first else "encoding of form 2"])
                # of which each value may begin as all of the one before
                is_shared = encoding == _DELTA_BYTE_ARRAY
                per_value = (size if is_shared else size / max(1, values)) if about else 0
                is_text = column.physical_type == "BYTE_ARRAY"
                yield titles[column.path_in_schema], size, per_value if is_text else None


def _read_struct(raw: IO[bytes], end: int, depth: int = 0) -> dict[int, Any]:
    """Return the fields of a structure in Thrift's compact protocol. Raises OSError for what no
    page has, and beyond the end."""
    fields: dict[int, Any] = {}
    field = 0
    while (start := raw.read(1)) != b"\0":
        step, number = divmod(start[0] if start else 0, 16)
        if number not in _KINDS or depth > _DEEPEST or raw.tell() > end:
            raise OSError("the header of a page cannot be read")
        field = field + step if step else _read_number(raw)
        match _KINDS[number]:
            case "fields":
                fields[field] = _read_struct(raw, end, depth + 1)
            case "number":
                fields[field] = _read_number(raw)
            case "bytes":
                raw.seek(min(end, _read_varint(raw)), os.SEEK_CUR)
    return fields


def _read_number(raw: IO[bytes]) -> int:
    number = _read_varint(raw)
    return (number >> 1) ^ -(number & 1)


def _read_varint(raw: IO[bytes]) -> int:
    number = shift = 0
    byte = 0x80
    while byte >= 0x80 and shift < 64:
        byte = (raw.read(1) or b"\0")[0]
        number |= (byte & 0x7F) << shift
        shift += 7
    return number
