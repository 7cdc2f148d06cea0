"""Checks of the rows of a chunk, of names in it, and the bad lines that they find."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from alerting.adapters.files import cells as cell
from alerting.adapters.files.cells import BoolArray, Cells, FloatArray
from alerting.adapters.files.recognition import NumberForm
from alerting.adapters.files.tables.chunks import Chunk
from alerting.deferred import pc
from alerting.definitions.assets import VariableType
from alerting.readings.inference import BadLine, ColumnProfile
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
                lambda _: "another value than on an earlier line of the same asset and time",
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


MOST_TEXTS = 20


def profile_column(
    profile: ColumnProfile,
    chunk: Chunk,
    cells: Cells,
    usable: BoolArray,
    numbers: NumberForm,
    floats: FloatArray | None = None,
) -> BoolArray:
    """Count the kinds of usable (cleaned) cells of one column; return a mask of the filled cells.

    Counts the removed content of cleaned cells as well. `floats`: the cells as numbers, where all
    are plain ones.
    """
    is_present = cell.filled_cells(cells)
    filled = is_present & usable
    texts = np.zeros(len(cells), dtype=bool)
    if floats is None:
        floats, texts = cell.numbers(cells, numbers.decimal, numbers.thousands)
    _, neither = cell.booleans_among(cells, floats, texts)
    infinite = np.isinf(floats) & filled
    filled &= texts | ~np.isnan(floats)
    profile.infinite += int(infinite.sum())
    texts &= filled
    profile.numbers += int((filled & ~texts & ~infinite).sum())
    profile.texts += int((texts & neither).sum())
    profile.booleans += int((texts & ~neither).sum())
    profile.not_boolean += int((neither & filled).sum())
    _count_marks(profile, chunk.columns[profile.title], usable & ~is_present)
    if texts.any():
        profile.decimal_commas += int((texts & cell.decimal_commas(cells)).sum())
        profile.faults += int((texts & cell.first_line(cells)).sum())
        profile.grouped += int(cell.plainly_grouped(cells, numbers.decimal).any())
        _count_texts(profile.common_texts, cells, texts)
    _examples(profile.first_not_number, chunk, cells, profile.title, texts | infinite, "number")
    _examples(profile.first_not_boolean, chunk, cells, profile.title, neither & filled, "boolean")
    return filled


def _count_marks(profile: ColumnProfile, written: Cells, missing: BoolArray) -> None:
    if not missing.any():
        return
    texts = pc.utf8_trim_whitespace(written)
    marked = missing & cell.as_mask(pc.greater(pc.fill_null(pc.binary_length(texts), 0), 0))
    if marked.any():
        profile.marked += int(marked.sum())
        _count_texts(profile.marks, texts, marked)


def _count_texts(found: dict[str, int], cells: Cells, among: BoolArray) -> None:
    for word, count in cell.commonest(cells, among, MOST_TEXTS).items():
        if word in found or len(found) < MOST_TEXTS:
            found[word] = found.get(word, 0) + count


def _examples(
    found: list[BadLine], chunk: Chunk, cells: Cells, title: str, bad: BoolArray, type: VariableType
) -> None:
    if len(found) < EXAMPLES and bad.any():
        found.extend(
            faulty_lines(chunk, [type_check(cells, title, bad, type)], EXAMPLES - len(found))
        )
