"""Checks of the rows of a chunk, of names in it, and the bad lines that they find."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from alerting.adapters.files import cells as cell
from alerting.adapters.files.cells import BoolArray, Cells
from alerting.adapters.files.tables.chunks import Chunk
from alerting.definitions.assets import VariableType
from alerting.definitions.wording.language import translatable
from alerting.readings.inference import BadLine
from alerting.usecases.ingestion.text_names import TextNames

EXAMPLES = 5


@dataclass(frozen=True)
class Check:
    """One possible fault of rows of a chunk: a mask of the rows, the column, and the reason."""

    bad: BoolArray
    column: str
    why: Callable[[int], str]


def bad_rows(checks: Sequence[Check], rows: int) -> BoolArray:
    """Return a mask of the rows in which any check fails."""
    return np.logical_or.reduce([c.bad for c in checks]) if checks else np.zeros(rows, dtype=bool)


def faulty_lines(chunk: Chunk, checks: Sequence[Check], limit: int | None = None) -> list[BadLine]:
    """Return all lines that fail a check, each with its first reason; or the first `limit` as
    examples, without their text: there may be some for each of thousands of columns."""
    found = []
    for row in map(int, np.flatnonzero(bad_rows(checks, len(chunk.lines)))[:limit]):
        check = next(c for c in checks if c.bad[row])
        text = chunk.original(row) if limit is None else ""
        found.append(BadLine(int(chunk.lines[row]), check.column, check.why(row), text))
    return found


def bad_lines(chunk: Chunk, checks: Sequence[Check], limit: int | None = None) -> list[BadLine]:
    """Return the lines of `faulty_lines`, and those of the chunk that are no whole row."""
    return sorted(
        [*chunk.broken[:limit], *faulty_lines(chunk, checks, limit)], key=lambda line: line.line
    )[:limit]


def type_check(cells: Cells, title: str, bad: BoolArray, type: VariableType) -> Check:
    """Return the check that the cells of a column are values of its type."""
    return Check(bad, title, lambda row: cell.why_bad(cells[row].as_py(), type))


def duplicate_checks(
    rows: int, contradictions: Mapping[int, int], titles: Sequence[str]
) -> list[Check]:
    """Return the checks that no line contradicts an earlier one of the same instant."""
    checks = []
    for index in sorted(set(contradictions.values())):
        bad = np.zeros(rows, dtype=bool)
        bad[[row for row, i in contradictions.items() if i == index]] = True
        checks.append(
            Check(
                bad,
                titles[index],
                lambda _: translatable(
                    "another value than on an earlier line of the same asset and time"
                ),
            )
        )
    return checks


def read_names(
    cells: Cells, title: str, names: TextNames
) -> tuple[npt.NDArray[np.object_], list[Check]]:
    """Return the names for the texts in a column, and the checks that each row has one."""
    encoded = cells.dictionary_encode()
    absent = ~cell.filled_cells(cells)
    codes = np.where(
        absent, -1, encoded.indices.fill_null(0).to_numpy(zero_copy_only=False)
    ).astype(np.int64)
    found: list[str | None] = []
    reasons: dict[int, str] = {}
    for code, text in enumerate(encoded.dictionary.to_pylist()):
        try:
            found.append(names.read(text))
        except ValueError as reason:
            found.append(text)
            reasons[code] = reason.args[0]
    return np.array([*found, None], dtype=object)[codes], [
        Check(absent, title, lambda _: names.missing),
        Check(np.isin(codes, [*reasons]), title, lambda row: reasons[int(codes[row])]),
    ]
