"""Rows of an imported table, in a file of any format: instant and asset of each, and columns that
become variables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import numpy.typing as npt

from alerting.adapters.files import cells as cell
from alerting.adapters.files.cells import MISSING_TEXTS, NULLS, BoolArray, Cells, FloatArray
from alerting.adapters.files.checks import Check, read_names
from alerting.adapters.files.chunks import Chunk
from alerting.adapters.files.find_form import FoundForm
from alerting.adapters.files.recognition import (
    JOINED,
)
from alerting.deferred import pa, pc
from alerting.definitions.asset_documents import VariableType
from alerting.ports import SampleColumn
from alerting.readings.history import Codes, Millis, grade, why_no_quality
from alerting.usecases.ingestion.asset_import import TextNames, Titles

Grades = npt.NDArray[np.int8]
_UNREADABLE = -1
_GOOD = 0
_UNCERTAIN = 1
_BAD = 2
_GRADES = {"good": _GOOD, "uncertain": _UNCERTAIN, "bad": _BAD, None: _UNREADABLE}


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
    """The columns of qualities of a table. `columns`: each with the one of which it is, None for
    all; `codes`: the kind of their numbers."""

    def __init__(self, columns: Mapping[str, str | None], codes: Codes | None) -> None:
        self._row = next((title for title, value in columns.items() if value is None), None)
        self._of = {value: title for title, value in columns.items() if value is not None}
        self._codes = codes
        self.titles = [*columns]

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
        unreadable = {title: codes == _UNREADABLE for title, codes in grades.items()}
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


def _any(masks: Mapping[str, BoolArray]) -> dict[str, BoolArray]:
    return {title: mask for title, mask in masks.items() if mask.any()}


_NO_NUMBER = "there is no number"
_NO_TIME = "there is no time"


@dataclass(frozen=True)
class Keyed:
    """A chunk with the instant and the asset of every row, the checks on them, and the quality of
    its samples.

    `cells` of a sample of bad quality are empty. `floats`: the numbers of columns that hold only
    plain ones.
    """

    chunk: Chunk
    instants: cell.Instants
    assets: npt.NDArray[np.object_]
    cells: dict[str, Cells]
    checks: list[Check]
    quality: Qualities
    floats: Mapping[str, FloatArray] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Return the bytes of its cells and numbers."""
        floats = sum(values.nbytes for values in self.floats.values())
        return floats + sum(
            int(values.nbytes) for values in (*self.chunk.columns.values(), *self.cells.values())
        )

    @property
    def at(self) -> Millis:
        return self.instants.at


class TableRows:
    """The rows of a file, read by its form."""

    def __init__(self, file: FoundForm) -> None:
        self.file = file
        self.table = file.table
        self.assets = TextNames("asset", file.form.asset_prefix)
        self.quality = QualityColumns(file.qualities, file.form.quality_codes)
        self.time = JOINED.join(file.times.texts.titles)
        self.stamps = file.times.new_stamps()
        self._missing = (*MISSING_TEXTS, *file.form.missing)

    def keep_names(self, titles: Titles) -> None:
        """Give texts that are titles of assets the names of these."""
        self.assets = TextNames("asset", self.file.form.asset_prefix, lambda: titles)

    def chunks(self, further: Sequence[str] = ()) -> Iterator[Keyed]:
        """Yield the table chunk by chunk: instants and assets checked, cells cleaned."""
        self.stamps = self.file.times.new_stamps()
        keys = [
            *self.file.times.texts.columns,
            *([self.file.asset_column] if self.file.asset_column else []),
            *further,
            *self.quality.titles,
        ]
        for chunk in self.table.chunks([*keys, *self.file.names]):
            yield self._key_chunk(chunk)

    def _key_chunk(self, chunk: Chunk) -> Keyed:
        floats = self._plain_numbers(chunk)
        cells = {
            title: v if title in floats else self._plain(title, v)
            for title, v in chunk.columns.items()
        }
        assets, named_checks = self._assets(chunk, cells)
        times = self.file.times.texts.join(cells)
        stamps = self.stamps
        instants = stamps.read(times, assets if self.file.asset_column else None)
        checks = [
            Check(
                instants.absent,
                self.time,
                lambda _: _NO_NUMBER if self.file.form.sequence else _NO_TIME,
            ),
            Check(instants.bad, self.time, lambda row: stamps.why(times[row].as_py())),
            *named_checks,
        ]
        quality = self.quality.read(cells, list(self.file.names))
        checks += [
            Check(bad, title, partial(self._why_no_quality, cells[title]))
            for title, bad in quality.unreadable.items()
        ]
        usable = {title: values for title, values in floats.items() if title not in quality.bad}
        return Keyed(chunk, instants, assets, quality.without_bad(cells), checks, quality, usable)

    def _plain_numbers(self, chunk: Chunk) -> dict[str, FloatArray]:
        """Return the value columns that hold only plain numbers, none of which means missing."""
        if self.file.numbers.decimal != "." or self.file.form.missing:
            return {}
        columns = {title: cell.plain_numbers(chunk.columns[title]) for title in self.file.names}
        return {title: floats for title, floats in columns.items() if floats is not None}

    def _clean(self, title: str, cells: Cells) -> Cells:
        return cell.clean(cells, NULLS if title in self.quality.titles else self._missing)

    def _plain(self, title: str, cells: Cells) -> Cells:
        return self.file.written.plain(title, self._clean(title, cells), self.file.numbers)

    def values(self, keyed: Keyed, title: str, kind: VariableType) -> SampleColumn:
        """Return the samples of a column of this type; a category keeps its numbers as written."""
        cells = keyed.cells[title]
        if kind == "category" and (title in keyed.floats or not self.file.written.is_plain(title)):
            cells = self._clean(title, keyed.chunk.columns[title])
            cells = keyed.quality.without_bad({title: cells})[title]
        form = self.file.numbers
        floats = keyed.floats.get(title)
        return cell.values(cells, kind, form.decimal, form.thousands, floats)[0]

    def _assets(
        self, chunk: Chunk, cells: Mapping[str, Cells]
    ) -> tuple[npt.NDArray[np.object_], list[Check]]:
        if self.file.asset_column is None:
            name = self.assets.read_option(str(self.file.form.asset), "--asset")
            return np.full(len(chunk.lines), name, dtype=object), []
        return read_names(cells[self.file.asset_column], self.file.asset_column, self.assets)

    def _why_no_quality(self, cells: Cells, row: int) -> str:
        return self.quality.why(cells[row].as_py())
