"""The form of a file, found from its first lines and rows where it is not stated."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from alerting.adapters.files.cells import Instants, WrittenCells, plainly_grouped
from alerting.adapters.files.chunks import (
    PARQUET,
    Block,
    ChunkedTable,
    FileContent,
    TextEncoding,
    column,
    first_block,
    magic,
)
from alerting.adapters.files.csv_table import CsvTable, titles_of_table
from alerting.adapters.files.heads.file_head import find_head
from alerting.adapters.files.long_table import QUALITY_SUFFIX, LongTable
from alerting.adapters.files.packed import SheetWanted, find_content
from alerting.adapters.files.parquet_table import ParquetTable
from alerting.adapters.files.recognition import JOINED, NumberForm, Sample, number_form, sample
from alerting.adapters.files.roles import find_long_form
from alerting.adapters.files.times.counts import NAMED_COUNTS
from alerting.adapters.files.times.find_times import FileTimes, find_times
from alerting.adapters.files.times.instants import zone_shown
from alerting.definitions.asset_documents import variable_name
from alerting.definitions.faults import UserError, shown
from alerting.definitions.file_form import FileForm
from alerting.definitions.form_fields import What
from alerting.readings.foreign_columns import ColumnProfile, Units
from alerting.readings.unit_conversion import column_names

DEFAULT_ASSET_COLUMN = "asset"
_BETWEEN_ORIGINS = timedelta(days=1462)  # of days of Excel
_HEAD_BYTES = 5 << 20
_CONTRADICTIONS: Mapping[str, Callable[[FileForm], object]] = {
    "give either --asset or --asset-column: the asset is named once for all lines, or on each "
    "line": lambda form: form.asset and form.asset_column,
    "--asset-prefix goes with --asset-column; write the whole name after --asset": (
        lambda form: form.asset and form.asset_prefix
    ),
    "give either --type or --type-column: the type is named once for all lines, or on each line": (
        lambda form: form.event_type and form.type_column
    ),
    "--type-prefix goes with --type-column; write the whole name after --type": (
        lambda form: form.event_type and form.type_prefix
    ),
    "--quality-codes goes with --quality or --quality-suffix, which name the columns of "
    "qualities": (lambda form: form.quality_codes and not (form.quality or form.quality_suffix)),
}
_FIRST_BYTES = 4096
_LONGEST_SHOWN = 4096


@dataclass(frozen=True)
class FoundForm:
    """A file and how it is read. `form`: that of its rows, which are wide; `found`: all that was
    stated or found, but the encoding, which later bytes may show. `names`: of the value columns by
    title; `units`: of the variables that there are, None if the columns are attributes.
    `qualities`: the columns of these, each with the column of which it is, None for all."""

    form: FileForm
    found: FileForm
    table: ChunkedTable
    sample: Sample
    asset_column: str | None
    qualities: Mapping[str, str | None]
    times: FileTimes
    names: dict[str, str]
    numbers: NumberForm
    written: WrittenCells
    units: Units | None

    def report(self) -> FileForm:
        """Return the form with all that was found; final after the whole file was read."""
        encoding = self.table.encoding
        return replace(self.found, encoding=encoding.name if encoding else None)

    def with_units(self, units: Units) -> FoundForm:
        """Return the form with the names of declared variables for their columns; `units`: of these
        variables."""
        names = value_names(self.table, list(self.names), self.form, units, self.written)
        return replace(self, units=units, names=names)

    def with_zone(self) -> FoundForm:
        """Return the form with the zone of the stamps that name none, which there are."""
        zone = self.times.zone.key if self.times.zone else "UTC"
        return replace(self, found=replace(self.found, zone=zone, zone_from=self.times.zone_from))

    def notes(self, last: datetime | None) -> tuple[str, ...]:
        """Return sentences on how the file is read. `last`: its last instant."""
        notes = (*self.table.notes, *self.times.notes)
        written = datetime.fromtimestamp(self.table.path.stat().st_mtime, UTC)
        is_old = last is not None and written - last > _BETWEEN_ORIGINS - timedelta(days=366)
        if is_old and self.times.name == NAMED_COUNTS["excel"].name and not self.form.time_format:
            notes += (
                "the stamps count days since 1899-12-30, and end years before the file was "
                "written: if they count from 1904, as some spreadsheets do, add --time-format "
                "excel-1904",
            )
        return notes


def complete(
    file: FoundForm,
    instants: Instants,
    assets: npt.NDArray[np.object_],
    columns: Iterable[ColumnProfile],
) -> FoundForm:
    """Return the form with what further rows show: `instants`, `assets`, and the profiles of their
    `columns`; the same one if they show nothing new, else the file must be read again."""
    series = None if file.asset_column is None else assets
    zone = (
        zone_shown(instants.local, series)
        if instants.zoneless and file.times.zone is None
        else None
    )
    if zone is not None:
        why = "shown by the hour that comes twice in the file"
        new_stamps = partial(file.times.new_stamps, zone=zone)
        times = file.times._replace(new_stamps=new_stamps, zone=zone, zone_from=why)
        return replace(file, times=times).with_zone()
    numbers = file.numbers
    if not numbers.shown and file.found.separator != "," and any(c.decimal_commas for c in columns):
        return replace(
            file,
            numbers=NumberForm(",", True),
            found=replace(file.found, decimal=","),
        )
    if not numbers.thousands and any(c.grouped for c in columns):
        return replace(file, numbers=replace(numbers, thousands=True))
    if file.units is None or not file.written.revise(columns, file.units):
        return file
    return file.with_units(file.units)


def find_form(
    path: Path,
    form: FileForm,
    keys: Sequence[tuple[str, str]] = (),
    *,
    units: Units | None = None,
) -> FoundForm:
    """Return the form of a file: what is stated, and for the rest what its first lines and rows
    show. Raises UserError if it cannot be read so, or more than one way may be meant.

    `keys`: further columns that are no values, each with the option that names it; they must
    exist. `units`: of the variables that there are, to which the columns may belong; None if the
    columns are attributes.
    """
    for sentence, is_so in _CONTRADICTIONS.items():
        if is_so(form):
            raise UserError(sentence.format(form=form))
    stated = form
    table = open_table(path, form)
    sheet = table.content.sheet
    if form.decimal == "," == table.separator:
        raise UserError(
            f"{path!s}: the comma cannot separate both fields and decimals; name the separator "
            "with --sep"
        )
    cells = sample(table)
    asset = None
    if not form.asset:
        option = "--asset-column (or name one asset with --asset)"
        asset = column(table, form.asset_column or DEFAULT_ASSET_COLUMN, option)
    long = find_long_form(table, form, cells, asset) if units is not None else None
    if long is not None:
        table = LongTable(table, long)
        cells = sample(table)
        suffix = QUALITY_SUFFIX if long.quality else None
        form = replace(form, time=JOINED.join(long.times), quality=None, quality_suffix=suffix)
    for title, option in [*keys, *((title, "--column-type") for title in form.types)]:
        column(table, title, option)
    titles = titles_of_table(table, form.time, form.only)
    used = [*([asset] if asset else []), *(title for title, _ in keys)]
    qualities = _quality_columns(table, form)
    used += qualities
    times = find_times(table, form, cells, used, with_ends=bool(keys))
    used += [*times.texts.titles, *times.ignored]
    names = value_names(table, [title for title in titles if title not in used], form, units)
    if form.decimal:
        thousands = any(plainly_grouped(cells[title], form.decimal).any() for title in names)
        numbers = NumberForm(form.decimal, True, thousands)
    else:
        numbers = number_form(cells, list(names), table.separator)
    written = WrittenCells(path, cells, form.types)
    whole = replace(
        stated,
        sheet=sheet,
        separator=table.separator,
        decimal=numbers.decimal,
        title_lines=table.title_lines,
        unit_line=table.unit_line,
        first_line=table.first_line,
        variable_column=long.variable if long else None,
        value_column=long.value if long else None,
        unit_column=long.unit if long else None,
        quality=long.quality if long else stated.quality,
        time=JOINED.join(times.texts.titles) or None,
        time_format=times.name,
        zone=None,
        zone_from=None,
    )
    file = FoundForm(
        *(form, whole, table, cells, asset, qualities, times, names, numbers, written, units)
    )
    return file if times.are_zoned else file.with_zone()


def _quality_columns(table: ChunkedTable, form: FileForm) -> dict[str, str | None]:
    """Return the columns of qualities, each with the column of which it is, None for all. Raises
    UserError if there is none such as is stated."""
    columns: dict[str, str | None] = {}
    if form.quality:
        columns[column(table, form.quality, "--quality")] = None
    if suffix := form.quality_suffix:
        of_one = {t + suffix: t for t in table.titles if t + suffix in table.titles}
        columns |= of_one
        if not of_one:
            raise UserError(
                f"{table.path}: no column has the title of another column followed by {suffix!r} "
                f"(--quality-suffix). Columns: {', '.join(table.titles)}"
            )
    return columns


def open_table(path: Path, form: FileForm | None = None) -> ChunkedTable:
    """Return a table over this file and read only its first lines. Raises UserError if no line
    names its columns, SheetWanted if it has several sheets."""
    form = form or FileForm()
    content = find_content(path, form.sheet, form.decimal)
    if not magic(path, content.file).startswith(PARQUET):
        encoding, first = _read_first(path, content, form.encoding)
        form = replace(form, separator="\t") if content.sheet else form
        head = find_head(path, first.data[:_HEAD_BYTES] if first else b"", form)
        return CsvTable(path, head, encoding, first, content)
    if form.header_line is not None or form.columns:
        raise UserError(
            f"{path!s} is a Parquet file, which names its columns itself; leave out --header-line "
            "and --columns (--rename gives a column another name)"
        )
    return ParquetTable(path, content)


def _read_first(
    path: Path, content: FileContent, encoding: str | None
) -> tuple[TextEncoding, Block | None]:
    of_text = TextEncoding(path, "utf-8" if content.sheet else encoding, content.file)
    return of_text, first_block(path, of_text)


def first_lines(path: Path, form: FileForm, most: int) -> list[str]:
    """Return the first lines of a text file or sheet as they are written; none of a file that is no
    text, or is not written in the encoding of the form."""
    try:
        content = find_content(path, form.sheet, form.decimal)
        if magic(path, content.file).startswith(PARQUET):
            return []
        _, first = _read_first(path, content, form.encoding)
    except UserError:
        return []
    data = first.data if first else b""
    lines = data.removesuffix(b"\n").split(b"\n", most)[:most]
    return [line[:_LONGEST_SHOWN].decode("utf-8", "replace").rstrip("\r") for line in lines]


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
    for option, stated in (("--only", form.only), ("--rename", form.rename)):
        for title in stated:
            column(table, title, option)
    chosen = [t for t in titles if not form.only or t in form.only]
    names = {title: form.rename.get(title) or variable_name(title) for title in chosen}
    for title in (title for title in chosen if title in form.rename):
        name = form.rename[title]
        if not name or variable_name(name) != name:
            raise UserError(
                f"{shown(name)} is not a legal name; write for example --rename "
                f"'{title}={variable_name(name or title)}'"
            )
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


def hash_form(path: Path, rows: What) -> str:
    """Return the hash of a file's form: its separator and its titles as written; of a file without
    readable ones its first line, where a digit is as good as another; of several sheets their
    names. `rows`: what its rows are.

    Raises UserError if there is no file, or it is empty.
    """
    magic(path)
    with path.open("rb") as file:
        line = file.readline(_FIRST_BYTES).decode("latin-1")
    texts = [re.sub(r"[-+]?[0-9][0-9.]*", "0", line)]
    table = None
    try:
        table = open_table(path)
    except SheetWanted as refusal:
        texts = [*refusal.sheets]
    except UserError:
        pass
    if table is not None:
        titles = [table.as_written.get(title, title) for title in table.titles]
        is_untitled = table.first_line is not None and not table.title_lines
        texts = [table.separator or "", *titles, *(texts if is_untitled else ())]
    return hashlib.sha256("\0".join([rows, *texts]).encode("utf-8", "replace")).hexdigest()
