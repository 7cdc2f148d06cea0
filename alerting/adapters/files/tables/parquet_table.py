"""Parquet as text cells, chunk by chunk."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any

import numpy as np

from alerting.adapters.files.tables.chunks import Cells, Chunk
from alerting.adapters.files.tables.text import Position
from alerting.adapters.files.tables.titles import read_titles
from alerting.deferred import pa, pc, pq
from alerting.definitions.faults import UserError, storable

_WESTMOST = timedelta(hours=12)


class ParquetTable:
    """Parquet file whose columns become text cells that parse to the same values."""

    unit = "row"
    notes: tuple[str, ...] = ()

    def __init__(self, path: Path) -> None:
        self.path = path
        self.position = Position(path)
        self.as_written: Mapping[str, str] = {}
        with _parquet(path) as file:
            names = list(file.schema_arrow.names)
            self._names = dict(zip(read_titles(path, names), names, strict=True))
            self.titles = tuple(self._names)

    def chunks(self, wanted: Sequence[str]) -> Iterator[Chunk]:
        """Yield rows in file order, only with the wanted columns."""
        return self._batches(wanted, max(100, min(20_000, 500_000 // max(1, len(wanted)))))

    def _batches(self, wanted: Sequence[str], rows: int) -> Iterator[Chunk]:
        self.position = self.position.reopen()
        first = 1
        with _parquet(self.path) as file:
            total = max(1, file.metadata.num_rows)
            columns = [self._names[t] for t in wanted]
            for batch in file.iter_batches(batch_size=rows, columns=columns, use_threads=False):
                cells = {t: self._text(t, batch.column(self._names[t])) for t in wanted}
                yield self._chunk(first, cells, batch.num_rows)
                first += batch.num_rows
                self.position.done = self.position.total * (first - 1) // total

    def first_rows(self, rows: int) -> Chunk | None:
        """Return at least `rows` first rows, or all, with all columns; None without one."""
        return next(self._batches(self.titles, rows), None)

    def latest(self, title: str) -> datetime | None:
        """Return the newest instant of a column of time stamps as the foot of the file states it,
        without a read of its rows; None where it states none. Of stamps without a zone it is the
        latest that any zone makes of them."""
        with _parquet(self.path) as file:
            meta = file.metadata
            column = file.schema_arrow.names.index(self._names[title])
            stated = [meta.row_group(i).column(column) for i in range(meta.num_row_groups)]
            if file.schema_arrow.names != list(file.schema.names):
                return None  # of nested columns
        found = [one.statistics.max for one in stated if one.is_stats_set]
        if not found or len(found) < len(stated) or not isinstance(found[0], datetime):
            return None
        last: datetime = max(found)
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
            cells = pc.cast(values, pa.string())
            cells.validate(full=True)
            return cells
        except pa.ArrowInvalid as error:
            raise UserError(
                f"{self.path}: column {title!r} cannot be read as text: {error}"
            ) from error
        except pa.ArrowNotImplementedError as error:
            raise UserError(
                f"{self.path}: column {title!r} holds {kind}, which is neither number, text, "
                "boolean nor time"
            ) from error


@contextmanager
def _parquet(path: Path) -> Iterator[Any]:
    """Yield the opened file. Raises UserError if it is damaged, also while the caller reads it."""
    try:
        with (
            path.open("rb") as raw,
            pq.ParquetFile(_readable(path, raw), buffer_size=1 << 20) as file,
        ):
            yield file
    except (pa.ArrowException, OSError, MemoryError) as error:
        raise UserError(
            f"{path}: the Parquet file cannot be read: "
            f"{str(error).splitlines()[0] if str(error) else error!r}"
        ) from error


def _readable(path: Path, raw: IO[bytes]) -> Path | IO[bytes]:
    """Return the path, which is faster for the library; the file if its name is no UTF-8."""
    return path if storable(str(path), sys.maxsize) == str(path) else raw
