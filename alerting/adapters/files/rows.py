"""Rows of an imported table, in a file of any format: instant and asset of each, and columns that
become variables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import numpy.typing as npt

from alerting.adapters.files import cells as cell
from alerting.adapters.files.cells import MISSING_TEXTS, NULLS, Cells, FloatArray
from alerting.adapters.files.checks import BAD, UNCERTAIN, Check, Grades, read_names
from alerting.adapters.files.chunks import Chunk
from alerting.adapters.files.find_form import FoundForm
from alerting.adapters.files.recognition import JOINED
from alerting.deferred import pa, pc
from alerting.definitions.asset_documents import VariableType
from alerting.ports import SampleColumn
from alerting.readings.history import grade, why_no_quality
from alerting.usecases.ingestion.asset_import import TextNames

_GRADES = {"good": 0, "uncertain": UNCERTAIN, "bad": BAD, None: -1}


@dataclass(frozen=True)
class Keyed:
    """A chunk with the instant and the asset of every row, and the checks that some rows fail.

    `asset_codes`: positions of the assets among those of the file; `series`: numbers of what a row
    is told apart by at one instant. `cells` of a sample of bad quality are empty. `floats`: the
    numbers of columns that hold only plain ones. `grades`: UNCERTAIN and BAD samples, by the title
    of a column that has such. Of events: their `types` and `ends`.
    """

    chunk: Chunk
    instants: cell.Instants
    assets: npt.NDArray[np.object_]
    asset_codes: npt.NDArray[np.int64]
    series: npt.NDArray[np.int64]
    cells: dict[str, Cells]
    checks: list[Check]
    floats: Mapping[str, FloatArray]
    grades: Mapping[str, Grades]
    types: npt.NDArray[np.object_] = field(default_factory=lambda: np.empty(0, dtype=object))
    ends: cell.Instants | None = None


class TableRows:
    """The rows of a file, read by its form."""

    def __init__(self, file: FoundForm) -> None:
        self.file = file
        self.table = file.table
        self.assets = TextNames("asset", file.form.asset_prefix)
        self.asset_index: dict[str, int] = {}
        self.stamps = file.times.new_stamps()

    def chunks(self, further: Sequence[str] = ()) -> Iterator[Keyed]:
        """Yield the table chunk by chunk: instants and assets checked, cells cleaned."""
        self.stamps = self.file.times.new_stamps()
        asset = [self.file.asset_column] if self.file.asset_column else []
        keys = [*self.file.times.texts.columns, *asset, *further, *self.file.qualities]
        for chunk in self.table.chunks([*keys, *self.file.names]):
            yield self._key_chunk(chunk)

    def _key_chunk(self, chunk: Chunk) -> Keyed:
        file = self.file
        floats: dict[str, FloatArray] = {}
        if file.numbers.decimal == "." and not file.form.missing:
            # columns that hold only plain numbers, none of which means missing
            parsed = {title: cell.plain_numbers(chunk.columns[title]) for title in file.names}
            floats = {title: numbers for title, numbers in parsed.items() if numbers is not None}
        cells = {}
        for title, raw in chunk.columns.items():
            cells[title] = raw
            if title not in floats:
                cells[title] = file.written.plain(title, self._clean(chunk, title), file.numbers)
        codes = np.zeros(len(chunk.lines), dtype=np.int64)
        checks: list[Check] = []
        if file.asset_column is None:
            name = self.assets.read_option(str(file.form.asset), "--asset")
            self.asset_index = {name: 0}
        else:
            codes, checks = read_names(
                cells[file.asset_column], file.asset_column, self.assets, self.asset_index
            )
        assets = np.array([*self.asset_index, None], dtype=object)[codes]
        times = file.times.texts.join(cells)
        stamps = self.stamps
        instants = stamps.read(times, None if file.asset_column is None else assets)
        time = JOINED.join(file.times.texts.titles)
        nothing = "there is no number" if file.form.sequence else "there is no time"
        checks = [
            Check(instants.absent, time, lambda _: nothing),
            Check(instants.bad, time, lambda row: stamps.why(times[row].as_py())),
            *checks,
        ]
        grades = self._grade(cells, checks) if self.file.qualities else {}
        for title, worst in grades.items():
            if (worst == BAD).any():
                cells[title] = pc.if_else(pa.array(worst == BAD), None, cells[title])
                floats.pop(title, None)
        checks = [check for check in checks if check.bad.any()]
        return Keyed(chunk, instants, assets, codes, codes, cells, checks, floats, grades)

    def _clean(self, chunk: Chunk, title: str) -> Cells:
        further = (*MISSING_TEXTS, *self.file.form.missing)
        words = NULLS if title in self.file.qualities else further
        return cell.clean(chunk.columns[title], words)

    def _grade(self, cells: Mapping[str, Cells], checks: list[Check]) -> dict[str, Grades]:
        """Return the grades of samples, and add the checks that all can be read.

        An empty quality cell means good. A bad row applies to its filled cells, or to all if none
        is filled.
        """
        by_value: dict[str | None, Grades] = {}
        for title, value in self.file.qualities.items():
            if value is None or value in self.file.names:
                encoded = cells[title].dictionary_encode()
                texts = encoded.dictionary.to_pylist()
                indices = encoded.indices.fill_null(len(texts)).to_numpy(zero_copy_only=False)
                graded = [_GRADES[grade(text, self.file.form.quality_codes)] for text in texts]
                by_value[value] = np.array([*graded, 0], np.int8)[indices]
                why = partial(self._why_no_quality, cells[title])
                checks.append(Check(by_value[value] < 0, title, why))
        filled = {title: cell.filled_cells(cells[title]) for title in self.file.names}
        nothing = ~np.logical_or.reduce(list(filled.values()))
        of_row = by_value.get(None, np.zeros(len(nothing), np.int8))
        grades = {}
        for title, is_filled in filled.items():
            worst = np.where(is_filled | nothing, of_row, 0)
            worst = np.maximum(worst, by_value.get(title, 0))
            worst[(worst < BAD) & ~is_filled] = 0
            if (worst > 0).any():
                grades[title] = np.maximum(worst, 0)
        return grades

    def _why_no_quality(self, cells: Cells, row: int) -> str:
        return why_no_quality(cells[row].as_py(), self.file.form.quality_codes)

    def values(self, keyed: Keyed, title: str, kind: VariableType) -> SampleColumn:
        """Return the samples of a column of this type; a category keeps its numbers as written."""
        cells = keyed.cells[title]
        if kind == "category" and (title in keyed.floats or title in self.file.written.writings):
            cells = self._clean(keyed.chunk, title)
            if title in keyed.grades:
                cells = pc.if_else(pa.array(keyed.grades[title] == BAD), None, cells)
        form = self.file.numbers
        floats = keyed.floats.get(title)
        return cell.values(cells, kind, form.decimal, form.thousands, floats)[0]
