"""Rows of an imported table, in a file of any format: instant and asset of each, and columns that
become variables."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from alerting.adapters.files import cells as cell
from alerting.adapters.files.cells import MISSING_TEXTS, NULLS, BoolArray, Cells, FloatArray
from alerting.adapters.files.checks import Check, read_names
from alerting.adapters.files.chunks import PARQUET, Chunk, ChunkedTable, column, magic
from alerting.adapters.files.csv_table import CsvTable, titles_of_table
from alerting.adapters.files.long_table import QUALITY_SUFFIX, LongTable
from alerting.adapters.files.parquet_table import ParquetTable
from alerting.adapters.files.recognition import (
    JOINED,
    NumberForm,
    number_form,
    sample,
)
from alerting.adapters.files.roles import find_long_form
from alerting.adapters.files.times.file_times import FileTimes
from alerting.adapters.files.written_cells import WrittenCells
from alerting.deferred import pa, pc
from alerting.definitions.asset_documents import VariableType, variable_name
from alerting.definitions.faults import UserError, shown
from alerting.definitions.file_form import FileForm
from alerting.definitions.form_fields import What
from alerting.ports import SampleColumn
from alerting.readings.foreign_columns import ColumnProfile, Units
from alerting.readings.history import (
    Millis,
    grade,
    why_no_quality,
)
from alerting.readings.unit_conversion import column_names
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
    """The columns of a table that a form names. Raises UserError if they do not exist."""

    def __init__(self, table: ChunkedTable, form: FileForm) -> None:
        if form.quality_codes and not (form.quality or form.quality_suffix):
            raise UserError(
                "--quality-codes goes with --quality or --quality-suffix, which name the columns "
                "of qualities"
            )
        self._row = column(table, form.quality, "--quality") if form.quality else None
        self._of = _by_suffix(table, form.quality_suffix) if form.quality_suffix else {}
        self._codes = form.quality_codes
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
    """A table read with a form: finds its columns, or refuses the file."""

    def __init__(
        self,
        path: Path,
        form: FileForm,
        keys: Sequence[tuple[str, str]] = (),
        *,
        units: Units | None = None,
    ) -> None:
        """Open the table. `keys`: further columns that are no values, each with the option that
        names it; they must exist.

        `units`: of the variables that there are, to which the columns may belong; None if the
        columns are attributes.
        """
        if form.asset and form.asset_column:
            raise UserError(
                "give either --asset or --asset-column: the asset is named once for all lines, or "
                "on each line"
            )
        if form.asset and form.asset_prefix:
            raise UserError(
                "--asset-prefix goes with --asset-column; write the whole name after --asset"
            )
        if form.decimal not in (".", ",", None):
            raise UserError(f"{form.decimal!r} is not a decimal mark; write . or ,")
        self.stated = form
        self.form = form
        self.table: ChunkedTable = open_table(
            path, form.separator, form.encoding, form.header_line, form.columns
        )
        self._separator = getattr(self.table, "separator", None)
        if form.decimal == "," == self._separator:
            raise UserError(
                f"{path!s}: the comma cannot separate both fields and decimals; name the "
                "separator with --sep"
            )
        self.sample = sample(self.table)
        self.asset_column = self._asset_column()
        if units is not None:
            self._use_long_form()
        form = self.form
        self.assets = TextNames("asset", form.asset_prefix)
        for title, option in keys:
            column(self.table, title, option)
        self.quality = QualityColumns(self.table, form)
        used = {self.asset_column, *(title for title, _ in keys), *self.quality.titles}
        titles = titles_of_table(self.table, form.time, form.only)
        self._units = units
        self.written = WrittenCells(self.table.path, self.sample, form.types)
        for title in form.types:
            column(self.table, title, "--column-type")
        self.file_times = FileTimes(
            self.table, form, self.sample, [t for t in used if t], with_ends=bool(keys)
        )
        self.times = self.file_times.titles
        self.time = JOINED.join(self.times)
        used |= {*self.times, *self.file_times.ignored}
        self.names = value_names(self.table, [t for t in titles if t not in used], form, units)
        self.numbers = self._numbers()
        self.stamps = self.file_times.new_stamps()
        self._missing = (*MISSING_TEXTS, *form.missing)

    def _use_long_form(self) -> None:
        """Make wide rows of a file with one row for each value the table, and their form its
        form."""
        columns = find_long_form(self.table, self.form, self.sample, self.asset_column)
        if columns is not None:
            self.table = LongTable(self.table, columns)
            self.sample = sample(self.table)
            self.form = replace(
                self.form,
                time=JOINED.join(columns.times),
                quality=None,
                quality_suffix=QUALITY_SUFFIX if columns.quality else None,
            )

    def keep_names(self, titles: Titles, units: Units | None = None) -> None:
        """Give texts that are titles of assets, and columns of declared variables, the names of
        these."""
        self.assets = TextNames("asset", self.form.asset_prefix, lambda: titles)
        if units is not None:
            self._units = units
            self.names = value_names(self.table, list(self.names), self.form, units)

    def _numbers(self) -> NumberForm:
        found = number_form(self.sample, list(self.names), self._separator)
        return replace(found, decimal=self.form.decimal, shown=True) if self.form.decimal else found

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
        self.names = value_names(self.table, list(self.names), self.form, self._units, self.written)
        return True

    @property
    def found_form(self) -> FileForm:
        """Return the form of the file as it was found."""
        times = self.file_times
        zoned = times.name_zone
        encoding = getattr(self.table, "encoding", None)
        zone = times.zone.key if times.zone else "UTC"
        long = self.table.columns if isinstance(self.table, LongTable) else None
        return replace(
            self.stated,
            encoding=encoding.name if encoding else None,
            separator=self._separator,
            decimal=self.numbers.decimal,
            title_lines=self.table.title_lines,
            unit_line=self.table.unit_line,
            first_line=self.table.first_line,
            variable_column=long.variable if long else None,
            value_column=long.value if long else None,
            unit_column=long.unit if long else None,
            quality=long.quality if long else self.stated.quality,
            time=self.time or None,
            time_format=times.name,
            zone=None if zoned else zone,
            zone_from=None if zoned else times.zone_from,
        )

    def _asset_column(self) -> str | None:
        if self.form.asset:
            return None
        return column(
            self.table,
            self.form.asset_column or DEFAULT_ASSET_COLUMN,
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
                lambda _: _NO_NUMBER if self.form.sequence else _NO_TIME,
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
        if self.numbers.decimal != "." or self.form.missing:
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
            name = self.assets.read_option(str(self.form.asset), "--asset")
            return np.full(len(chunk.lines), name, dtype=object), []
        return read_names(cells[self.asset_column], self.asset_column, self.assets)

    def _quality_check(self, cells: Cells, title: str, bad: BoolArray) -> Check:
        return Check(bad, title, lambda row: self.quality.why(cells[row].as_py()))


def value_names(
    table: ChunkedTable,
    titles: Sequence[str],
    form: FileForm,
    units: Units | None = None,
    written: WrittenCells | None = None,
) -> dict[str, str]:
    """Return the name by title of every value column. Raises UserError if two columns would get the
    same name.

    `units`: of the variables that there are; None if the columns are attributes, whose names have
    the unit in them. `written`: units in cells count as if the title stated them.
    """
    for title in form.only:
        column(table, title, "--only")
    for title in form.rename:
        column(table, title, "--rename")
    chosen = [t for t in titles if not form.only or t in form.only]
    names = {t: _given_name(t, form) if t in form.rename else variable_name(t) for t in chosen}
    if units is not None:
        others = [title for title in chosen if title not in form.rename]
        by_written = written.titles(others) if written else dict(zip(others, others, strict=True))
        taken = [names[title] for title in chosen if title in form.rename]
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


def _given_name(title: str, form: FileForm) -> str:
    name = form.rename[title]
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
    names its columns. `header_line`, `columns`: as in the form.

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


_FIRST_BYTES = 4096


def hash_form(path: Path, rows: What) -> str:
    """Return the hash of a file's form: its separator and its titles as written; of a file without
    readable ones its first line, where a digit is as good as another. `rows`: what its rows are.

    Raises UserError if there is no file, or it is empty.
    """
    magic(path)
    try:
        table = open_table(path, None, None)
    except UserError:
        return _hash(rows, _mask_first_line(path))
    titles = [table.as_written.get(title, title) for title in table.titles]
    is_untitled = table.first_line is not None and not table.title_lines
    first = [_mask_first_line(path)] if is_untitled else []
    return _hash(rows, str(getattr(table, "separator", "")), *titles, *first)


def _mask_first_line(path: Path) -> str:
    with path.open("rb") as file:
        line = file.readline(_FIRST_BYTES)
    return re.sub(r"[-+]?[0-9][0-9.]*", "0", line.decode("latin-1"))


def _hash(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode("utf-8", "replace")).hexdigest()
