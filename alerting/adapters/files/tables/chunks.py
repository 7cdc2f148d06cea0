"""Rows of a table in chunks."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from alerting.adapters.files.tables.text import Position
from alerting.readings.inference import BadLine

Cells = Any  # pyarrow.StringArray; pyarrow ships no types


@dataclass(frozen=True)
class Chunk:
    """Some rows of a table: text cells by title, all of one length, and the line of each row."""

    lines: npt.NDArray[np.int64]
    columns: Mapping[str, Cells]
    broken: tuple[BadLine, ...]
    original: Callable[[int], str]


class ChunkedTable(Protocol):
    """A file of rows and titled columns. `notes`: sentences on lines above the rows;
    `as_written`: titles without the units of a line below them, by title."""

    path: Path
    titles: tuple[str, ...]
    unit: str
    notes: tuple[str, ...]
    as_written: Mapping[str, str]
    position: Position

    def chunks(self, wanted: Sequence[str]) -> Iterator[Chunk]: ...

    def first_rows(self, rows: int) -> Chunk | None:
        """Return at least `rows` first rows, or all, with all columns; None without one."""
