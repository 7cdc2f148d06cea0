"""Rows of an imported table, in a file of any format: instant and asset of each, and columns that
become variables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt

from alerting.adapters.files import cells as cell
from alerting.adapters.files.cells import MISSING_TEXTS, NULLS, BoolArray, Cells, FloatArray
from alerting.adapters.files.checks import Check, read_names
from alerting.adapters.files.chunks import PARQUET, Chunk, ChunkedTable, column, magic
from alerting.adapters.files.csv_table import CsvTable, titles_of_table
from alerting.adapters.files.long_form import find_long_form
from alerting.adapters.files.long_table import QUALITY_SUFFIX, LongTable
from alerting.adapters.files.parquet_table import ParquetTable
from alerting.adapters.files.recognition import (
    JOINED,
    NumberForm,
    number_form,
    sample,
)
from alerting.adapters.files.times.file_times import FileTimes
from alerting.adapters.files.written_cells import WrittenCells
from alerting.deferred import pa, pc
from alerting.definitions.asset_documents import VariableType, variable_name
from alerting.definitions.faults import UserError, shown
from alerting.ports import SampleColumn
from alerting.readings.foreign_columns import ColumnProfile, Units
from alerting.readings.history import (
    Codes,
    Millis,
    grade,
    why_no_quality,
)
from alerting.readings.unit_conversion import column_names
from alerting.usecases.ingestion.asset_import import TextNames, Titles
from alerting.usecases.ingestion.imported_files import DuplicatesRule
from alerting.usecases.ingestion.reading_plan import ReadingPlan

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


def _by_suffix(table: ChunkedTable, suffix: str) -> dict[str, str]:
    columns = {title: title + suffix for title in table.titles if title + suffix in table.titles}
    if not columns:
        raise UserError(
            f"{table.path}: no column has the title of another column followed by {suffix!r} "
            "(--quality-suffix). "
            f"Columns: {', '.join(table.titles)}"
        )
    return columns


def _any(masks: Mapping[str, BoolArray]) -> dict[str, BoolArray]:
    return {title: mask for title, mask in masks.items() if mask.any()}


DEFAULT_ASSET_COLUMN = "asset"
_NO_NUMBER = "there is no number"
_NO_TIME = "there is no time"


@dataclass(frozen=True)
class Layout:
    """Meaning of the columns of a file, and the format of its cells.

    `asset` is the name or title of the one asset of the whole file; otherwise the cells of
    `asset_column` are, after `asset_prefix`. `zone` is the time zone of stamps without one; if left
    out, it is `plant_zone`, or UTC if that is not set either. `time`, `time_format`, `separator`,
    `decimal` and `encoding` are detected from the file where they are None. `rename` maps titles to
    names, `only` lists the titles to import (empty: all). `missing`: further texts for no value.
    `quality`: the columns with the quality of samples. `sequence`: rows without time stamps are
    this far apart, from `start` on (None: DEFAULT_START), by their order, or by the number in
    `time`. `duplicates`: how readings of one instant are merged. `header_line`: the line that names
    the columns (0: none does), found where it is None; `columns`: the names of columns instead of
    those of the file. `variable_column`, `value_column`: of a file with one line for each value,
    found where they are None; `is_wide`: it is none. `types`: types of new variables by title.
    """

    time: str | None = None
    time_format: str | None = None
    asset: str | None = None
    asset_column: str | None = None
    asset_prefix: str = ""
    zone: str | None = None
    plant_zone: str | None = None
    separator: str | None = None
    decimal: str | None = None
    encoding: str | None = None
    rename: Mapping[str, str] = field(default_factory=dict)
    only: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    quality: QualityLayout = field(default_factory=QualityLayout)
    sequence: timedelta | None = None
    start: str | None = None
    duplicates: DuplicatesRule = "refuse"
    header_line: int | None = None
    columns: tuple[str, ...] = ()
    variable_column: str | None = None
    value_column: str | None = None
    is_wide: bool = False
    types: Mapping[str, VariableType] = field(default_factory=dict)


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
    """A table read with a layout: finds its columns, or refuses the file."""

    def __init__(
        self,
        path: Path,
        layout: Layout,
        keys: Sequence[tuple[str, str]] = (),
        *,
        units: Units | None = None,
    ) -> None:
        """Open the table. `keys`: further columns that are no values, each with the option that
        names it; they must exist.

        `units`: of the variables that there are, to which the columns may belong; None if the
        columns are attributes.
        """
        if layout.asset and layout.asset_column:
            raise UserError(
                "give either --asset or --asset-column: the asset is named once for all lines, or "
                "on each line"
            )
        if layout.asset and layout.asset_prefix:
            raise UserError(
                "--asset-prefix goes with --asset-column; write the whole name after --asset"
            )
        if layout.decimal not in (".", ",", None):
            raise UserError(f"{layout.decimal!r} is not a decimal mark; write . or ,")
        self.layout = layout
        self.table: ChunkedTable = open_table(
            path, layout.separator, layout.encoding, layout.header_line, layout.columns
        )
        self._separator = getattr(self.table, "separator", None)
        if layout.decimal == "," == self._separator:
            raise UserError(
                f"{path!s}: the comma cannot separate both fields and decimals; name the "
                "separator with --sep"
            )
        self.sample = sample(self.table)
        self.asset_column = self._asset_column()
        if units is not None:
            layout = self._use_long_form()
        self.assets = TextNames("asset", layout.asset_prefix)
        for title, option in keys:
            column(self.table, title, option)
        self.quality = QualityColumns(self.table, layout.quality)
        used = {self.asset_column, *(title for title, _ in keys), *self.quality.titles}
        titles = titles_of_table(self.table, layout.time, layout.only)
        self._units = units
        self.written = WrittenCells(self.table.path, self.sample, layout.types)
        for title in layout.types:
            column(self.table, title, "--column-type")
        self.file_times = FileTimes(
            self.table, layout, self.sample, [t for t in used if t], with_ends=bool(keys)
        )
        self.times = self.file_times.titles
        self.time = JOINED.join(self.times)
        used |= {*self.times, *self.file_times.ignored}
        self.names = value_names(self.table, [t for t in titles if t not in used], layout, units)
        self.numbers = self._numbers()
        self.stamps = self.file_times.new_stamps()
        self._missing = (*MISSING_TEXTS, *layout.missing)

    def _use_long_form(self) -> Layout:
        """Return the layout; of a file with one row for each value that of its wide rows, which
        become the table."""
        layout = self.layout
        columns = find_long_form(self.table, layout, self.sample, self.asset_column)
        if columns is not None:
            self.table = LongTable(self.table, columns)
            self.sample = sample(self.table)
            suffix = QUALITY_SUFFIX if columns.quality else None
            quality = QualityLayout(None, suffix, layout.quality.codes)
            layout = replace(layout, time=JOINED.join(columns.times), quality=quality)
            self.layout = layout
        return layout

    def keep_names(self, titles: Titles, units: Units | None = None) -> None:
        """Give texts that are titles of assets, and columns of declared variables, the names of
        these."""
        self.assets = TextNames("asset", self.layout.asset_prefix, lambda: titles)
        if units is not None:
            self._units = units
            self.names = value_names(self.table, list(self.names), self.layout, units)

    def _numbers(self) -> NumberForm:
        form = number_form(self.sample, list(self.names), self._separator)
        return (
            NumberForm(self.layout.decimal, True, form.thousands) if self.layout.decimal else form
        )

    def revise(self, keyed: Keyed, columns: Iterable[ColumnProfile]) -> bool:
        """Return whether this chunk shows another format, so that the file must be read again."""
        if self.file_times.revise(
            keyed.instants, None if self.asset_column is None else keyed.assets
        ):
            return True
        if (
            not self.numbers.shown
            and self._separator != ","
            and any(c.decimal_commas for c in columns)
        ):
            self.numbers = NumberForm(",", True)
            return True
        if not self.numbers.thousands and any(c.grouped for c in columns):
            self.numbers = replace(self.numbers, thousands=True)
            return True
        if self._units is None or not self.written.revise(columns, self._units):
            return False
        self.names = value_names(
            self.table, list(self.names), self.layout, self._units, self.written
        )
        return True

    @property
    def plan(self) -> ReadingPlan:
        """Return the format of the file for people."""
        times = self.file_times
        zoned = times.name_zone
        encoding = getattr(self.table, "encoding", None)
        zone = times.zone.key if times.zone else "UTC"
        long = self.table.columns if isinstance(self.table, LongTable) else None
        return ReadingPlan(
            encoding=encoding.name if encoding else None,
            separator=self._separator,
            decimal=self.numbers.decimal,
            title_lines=self.table.title_lines,
            unit_line=self.table.unit_line,
            first_line=self.table.first_line,
            variable_column=long.variable if long else None,
            value_column=long.value if long else None,
            unit_column=long.unit if long else None,
            quality_column=long.quality if long else None,
            time_columns=self.times,
            time_format=times.name,
            zone=None if zoned else zone,
            zone_from=None if zoned else times.zone_from,
            sequence=self.layout.sequence,
        )

    def _asset_column(self) -> str | None:
        if self.layout.asset:
            return None
        return column(
            self.table,
            self.layout.asset_column or DEFAULT_ASSET_COLUMN,
            "--asset-column (or name one asset with --asset)",
        )

    def chunks(self, further: Sequence[str] = ()) -> Iterator[Keyed]:
        """Yield the table chunk by chunk: instants and assets checked, cells cleaned."""
        self.stamps = self.file_times.new_stamps()
        keys = [
            *self.file_times.columns,
            *([self.asset_column] if self.asset_column else []),
            *further,
            *self.quality.titles,
        ]
        for chunk in self.table.chunks([*keys, *self.names]):
            yield self._key_chunk(chunk)

    def _key_chunk(self, chunk: Chunk) -> Keyed:
        floats = self._plain_numbers(chunk)
        cells = {
            title: v if title in floats else self._plain(title, v)
            for title, v in chunk.columns.items()
        }
        assets, named_checks = self._assets(chunk, cells)
        times = self.file_times.texts.join(cells)
        stamps = self.stamps
        instants = stamps.read(times, assets if self.asset_column else None)
        checks = [
            Check(
                instants.absent,
                self.time,
                lambda _: _NO_NUMBER if self.layout.sequence else _NO_TIME,
            ),
            Check(instants.bad, self.time, lambda row: stamps.why(times[row].as_py())),
            *named_checks,
        ]
        quality = self.quality.read(cells, list(self.names))
        checks += [
            self._quality_check(cells[title], title, bad)
            for title, bad in quality.unreadable.items()
        ]
        usable = {title: values for title, values in floats.items() if title not in quality.bad}
        return Keyed(chunk, instants, assets, quality.without_bad(cells), checks, quality, usable)

    def _plain_numbers(self, chunk: Chunk) -> dict[str, FloatArray]:
        """Return the value columns that hold only plain numbers, none of which means missing."""
        if self.numbers.decimal != "." or self.layout.missing:
            return {}
        columns = {title: cell.plain_numbers(chunk.columns[title]) for title in self.names}
        return {title: floats for title, floats in columns.items() if floats is not None}

    def _clean(self, title: str, cells: Cells) -> Cells:
        return cell.clean(cells, NULLS if title in self.quality.titles else self._missing)

    def _plain(self, title: str, cells: Cells) -> Cells:
        return self.written.plain(title, self._clean(title, cells), self.numbers)

    def values(self, keyed: Keyed, title: str, kind: VariableType) -> SampleColumn:
        """Return the samples of a column of this type; a category keeps its numbers as written."""
        cells = keyed.cells[title]
        if kind == "category" and (title in keyed.floats or not self.written.is_plain(title)):
            cells = self._clean(title, keyed.chunk.columns[title])
            cells = keyed.quality.without_bad({title: cells})[title]
        form = self.numbers
        floats = keyed.floats.get(title)
        return cell.values(cells, kind, form.decimal, form.thousands, floats)[0]

    def _assets(
        self, chunk: Chunk, cells: Mapping[str, Cells]
    ) -> tuple[npt.NDArray[np.object_], list[Check]]:
        if self.asset_column is None:
            name = self.assets.read_option(str(self.layout.asset), "--asset")
            return np.full(len(chunk.lines), name, dtype=object), []
        return read_names(cells[self.asset_column], self.asset_column, self.assets)

    def _quality_check(self, cells: Cells, title: str, bad: BoolArray) -> Check:
        return Check(bad, title, lambda row: self.quality.why(cells[row].as_py()))


def value_names(
    table: ChunkedTable,
    titles: Sequence[str],
    layout: Layout,
    units: Units | None = None,
    written: WrittenCells | None = None,
) -> dict[str, str]:
    """Return the name by title of every value column. Raises UserError if two columns would get the
    same name.

    `units`: of the variables that there are; None if the columns are attributes, whose names have
    the unit in them. `written`: units in cells count as if the title stated them.
    """
    for title in layout.only:
        column(table, title, "--only")
    for title in layout.rename:
        column(table, title, "--rename")
    chosen = [t for t in titles if not layout.only or t in layout.only]
    names = {t: _given_name(t, layout) if t in layout.rename else variable_name(t) for t in chosen}
    if units is not None:
        others = [title for title in chosen if title not in layout.rename]
        by_written = written.titles(others) if written else dict(zip(others, others, strict=True))
        taken = [names[title] for title in chosen if title in layout.rename]
        derived = column_names(by_written, units, taken=taken)
        names |= {by_written[title]: name for title, name in derived.items()}
    first: dict[str, str] = {}
    for title, name in names.items():
        if name in first:
            raise UserError(
                f"{table.path!s}: the columns {shown(first[name])} and {shown(title)} would both "
                f"be called {name}; rename one with --rename '{title}=another_name'"
            )
        first[name] = title
    return names


def _given_name(title: str, layout: Layout) -> str:
    name = layout.rename[title]
    if not name or variable_name(name) != name:
        raise UserError(
            f"{shown(name)} is not a legal name; write for example --rename "
            f"'{title}={variable_name(name or title)}'"
        )
    return name


def open_table(
    path: Path,
    separator: str | None = None,
    encoding: str | None = "utf-8",
    header_line: int | None = None,
    columns: Sequence[str] = (),
) -> ChunkedTable:
    """Return a table over this file and read only its first lines. Raises UserError if no line
    names its columns. `header_line`, `columns`: as in the layout.

    Without an encoding, the table detects it from the bytes.
    """
    if not magic(path).startswith(PARQUET):
        return CsvTable(path, separator, encoding, header_line, columns)
    if header_line is not None or columns:
        raise UserError(
            f"{path!s} is a Parquet file, which names its columns itself; leave out --header-line "
            "and --columns (--rename gives a column another name)"
        )
    return ParquetTable(path)
