"""Profile of one column: counts of its kinds of cells, with the first invalid cells."""

import numpy as np

from alerting.adapters.files import cells as cell
from alerting.adapters.files.cells import BoolArray, Cells, FloatArray
from alerting.adapters.files.checks import EXAMPLES, faulty_lines, type_check
from alerting.adapters.files.recognition import NumberForm
from alerting.adapters.files.tables.chunks import Chunk
from alerting.deferred import pc
from alerting.definitions.assets import VariableType
from alerting.readings.inference import BadLine, ColumnProfile

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
