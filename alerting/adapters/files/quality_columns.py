"""Columns of a table that state the quality of the samples in other columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from alerting.adapters.files import cells as cell
from alerting.adapters.files.cells import BoolArray, Cells
from alerting.adapters.files.tables.chunks import ChunkedTable
from alerting.adapters.files.tables.titles import column
from alerting.deferred import pa, pc
from alerting.definitions.faults import UserError
from alerting.readings.sample_quality import Codes, grade, why_no_quality

Grades = npt.NDArray[np.int8]
_UNREADABLE = -1
_GOOD = 0
_UNCERTAIN = 1
_BAD = 2
_GRADES = {"good": _GOOD, "uncertain": _UNCERTAIN, "bad": _BAD, None: _UNREADABLE}


@dataclass(frozen=True)
class QualityLayout:
    """Names of the quality columns.

    `column` states the quality of all samples of its row; a value's title with `suffix` appended
    names the column for that value alone. `codes`: the kind of numeric codes in them, where that is
    ambiguous.
    """

    column: str | None = None
    suffix: str | None = None
    codes: Codes | None = None


@dataclass(frozen=True)
class Qualities:
    """Bad and uncertain samples of a chunk, by the title of their column; titles without any are
    absent.

    `unreadable`: rows with a quality that cannot be parsed, by the title of the quality column.
    """

    bad: Mapping[str, BoolArray] = field(default_factory=dict)
    uncertain: Mapping[str, BoolArray] = field(default_factory=dict)
    unreadable: Mapping[str, BoolArray] = field(default_factory=dict)

    def without_bad(self, cells: Mapping[str, Cells]) -> dict[str, Cells]:
        """Return the cells with null for bad samples: their content is no value."""
        return {
            title: pc.if_else(pa.array(self.bad[title]), None, c) if title in self.bad else c
            for title, c in cells.items()
        }

    def comparable(self, title: str, cells: Cells) -> Cells:
        """Return cells for comparing rows: bad differs from any value and a missing cell."""
        return (
            pc.if_else(pa.array(self.bad[title]), pa.scalar("of bad quality"), cells)
            if title in self.bad
            else cells
        )


class QualityColumns:
    """The columns of a table that a layout names. Raises UserError if they do not exist."""

    def __init__(self, table: ChunkedTable, layout: QualityLayout) -> None:
        if layout.codes and not (layout.column or layout.suffix):
            raise UserError(
                "--quality-codes goes with --quality or --quality-suffix, which name the columns "
                "of qualities"
            )
        self._row = column(table, layout.column, "--quality") if layout.column else None
        self._of = _by_suffix(table, layout.suffix) if layout.suffix else {}
        self._codes = layout.codes
        self.titles = [*([self._row] if self._row else []), *self._of.values()]

    def read(self, cells: Mapping[str, Cells], values: Sequence[str]) -> Qualities:
        """Return the quality of the samples in the columns `values`.

        An empty quality cell means good. A bad row applies to its filled cells, or to all if none
        is filled.
        """
        if not self.titles:
            return Qualities()
        telling = {
            *([self._row] if self._row else []),
            *(self._of[title] for title in values if title in self._of),
        }
        grades = {title: self._grades(cells[title]) for title in telling}
        filled = {title: cell.filled_cells(cells[title]) for title in values}
        nothing = ~np.logical_or.reduce(list(filled.values()))
        bad = {}
        uncertain = {}
        for title in values:
            of_row = (
                np.where(filled[title] | nothing, grades[self._row], _GOOD)
                if self._row
                else np.zeros(len(nothing), np.int8)
            )
            worst = np.maximum(of_row, grades[self._of[title]]) if title in self._of else of_row
            bad[title] = worst == _BAD
            uncertain[title] = (worst == _UNCERTAIN) & filled[title]
        unreadable = {title: of == _UNREADABLE for title, of in grades.items()}
        return Qualities(_any(bad), _any(uncertain), _any(unreadable))

    def why(self, text: str) -> str:
        """Return, as text for people, the reason why a quality cannot be parsed."""
        return why_no_quality(text, self._codes)

    def _grades(self, cells: Cells) -> Grades:
        encoded = cells.dictionary_encode()
        graded = [_GRADES[grade(text, self._codes)] for text in encoded.dictionary.to_pylist()]
        indices = encoded.indices.fill_null(len(graded)).to_numpy(zero_copy_only=False)
        grades: Grades = np.array([*graded, _GOOD], np.int8)[indices]
        return grades


def _by_suffix(table: ChunkedTable, suffix: str) -> dict[str, str]:
    found = {title: title + suffix for title in table.titles if title + suffix in table.titles}
    if not found:
        raise UserError(
            f"{table.path}: no column has the title of another column followed by {suffix!r} "
            "(--quality-suffix). "
            f"Columns: {', '.join(table.titles)}"
        )
    return found


def _any(masks: Mapping[str, BoolArray]) -> dict[str, BoolArray]:
    return {title: mask for title, mask in masks.items() if mask.any()}
