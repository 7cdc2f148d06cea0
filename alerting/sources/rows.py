"""What every imported table has: an instant and an asset in each row, and columns that become variables or attributes."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

import numpy as np
import numpy.typing as npt

from alerting.definitions.assets import NAME_PATTERN, VariableType, variable_name
from alerting.definitions.faults import Refused
from alerting.readings.history import Millis
from alerting.readings.inference import BadLine, ColumnSurvey
from alerting.sources import cells as cell
from alerting.sources.cells import BoolArray, Cells
from alerting.sources.quality_columns import Qualities, QualityColumns, QualityLayout
from alerting.sources.table import Chunk, Table, column, open_table

EXAMPLES = 5
DEFAULT_ASSET_COLUMN = "asset"


@dataclass(frozen=True)
class Layout:
    """Which columns of a file mean what, and how its cells are written.

    `asset` names the one asset of the whole file; otherwise the cells of `asset_column`, after `asset_prefix`, do. `zone` is the
    time zone of stamps without one. `rename` maps titles to names, `only` lists the titles to take (empty: all). `quality`: the
    columns that say of what quality samples are.
    """

    time: str = "ts"
    asset: str | None = None
    asset_column: str | None = None
    asset_prefix: str = ""
    zone: str | None = None
    separator: str | None = None
    decimal: str = "."
    encoding: str = "utf-8"
    rename: Mapping[str, str] = field(default_factory=dict)
    only: tuple[str, ...] = ()
    quality: QualityLayout = field(default_factory=QualityLayout)


@dataclass(frozen=True)
class Check:
    """One thing that can be wrong with rows of a chunk: which rows, in which column, and why."""

    bad: BoolArray
    column: str
    why: Callable[[int], str]


def bad_rows(checks: Sequence[Check], rows: int) -> BoolArray:
    """Rows in which any check failed."""
    return np.logical_or.reduce([c.bad for c in checks]) if checks else np.zeros(rows, dtype=bool)


def faulty_lines(chunk: Chunk, checks: Sequence[Check], limit: int | None = None) -> list[BadLine]:
    """The first `limit` lines (all of them without a limit) that fail a check, in order, each with the first reason found."""
    found = []
    for row in map(int, np.flatnonzero(bad_rows(checks, len(chunk.lines)))[:limit]):
        check = next(c for c in checks if c.bad[row])
        found.append(BadLine(int(chunk.lines[row]), check.column, check.why(row), chunk.original(row)))
    return found


def bad_lines(chunk: Chunk, checks: Sequence[Check], limit: int | None = None) -> list[BadLine]:
    """As `faulty_lines`, together with the lines of the chunk that are no whole row."""
    return sorted([*chunk.broken[:limit], *faulty_lines(chunk, checks, limit)], key=lambda line: line.line)[:limit]


@dataclass(frozen=True)
class Keyed:
    """A chunk with the instant and the asset of every row, the checks on them, and the quality of its samples.

    `cells` of a sample of bad quality are empty.
    """

    chunk: Chunk
    instants: cell.Instants
    assets: npt.NDArray[np.object_]
    cells: dict[str, Cells]
    checks: list[Check]
    quality: Qualities

    @property
    def at(self) -> Millis:
        return self.instants.at


class Rows:
    """A table read with a layout: finds its columns, or refuses it."""

    def __init__(self, path: Path, layout: Layout, keys: Sequence[tuple[str, str]] = ()) -> None:
        """`keys`: further columns that are no values, each with the option that names it; they must exist."""
        if layout.asset and layout.asset_column:
            raise Refused("give either --asset or --asset-column: the asset is named once for all lines, or on each line")
        if layout.asset and layout.asset_prefix:
            raise Refused("--asset-prefix goes with --asset-column; write the whole name after --asset")
        if layout.decimal not in (".", ","):
            raise Refused(f"{layout.decimal!r} is no decimal mark; it is . or ,")
        self.layout = layout
        self.zone = _zone(layout.zone)
        self.table: Table = open_table(path, layout.separator, layout.encoding)
        if layout.decimal == "," == getattr(self.table, "separator", None):
            raise Refused(f"{path}: the comma cannot separate both fields and decimals; name the separator with --sep")
        self.time = column(self.table, layout.time, "--time")
        self.asset_column = self._asset_column()
        for title, option in keys:
            column(self.table, title, option)
        self.quality = QualityColumns(self.table, layout.quality)
        taken = {self.time, self.asset_column, *(title for title, _ in keys), *self.quality.titles}
        self.names = value_names(self.table, [t for t in self.table.titles if t not in taken], layout)

    def _asset_column(self) -> str | None:
        if self.layout.asset:
            if not re.match(NAME_PATTERN, self.layout.asset):
                raise Refused(f"{self.layout.asset!r} is no asset name: letters, digits, _ . - only")
            return None
        return column(
            self.table, self.layout.asset_column or DEFAULT_ASSET_COLUMN, "--asset-column (or name one asset with --asset)"
        )

    def chunks(self, further: Sequence[str] = ()) -> Iterator[Keyed]:
        """The table chunk by chunk, with instants and assets read and checked, and all cells cleaned."""
        keys = [self.time, *([self.asset_column] if self.asset_column else []), *further, *self.quality.titles]
        for chunk in self.table.chunks([*keys, *self.names]):
            yield self._keyed(chunk)

    def _keyed(self, chunk: Chunk) -> Keyed:
        cells = {title: cell.clean(values) for title, values in chunk.columns.items()}
        stamps = cell.instants(cells[self.time], self.zone)
        checks = [
            Check(stamps.absent, self.time, lambda _: "there is no time"),
            Check(stamps.bad, self.time, lambda row: cell.why_no_instant(cells[self.time][row].as_py(), self.zone)),
        ]
        quality = self.quality.read(cells, list(self.names))
        checks += [self._quality_check(cells[title], title, bad) for title, bad in quality.unreadable.items()]
        kept = quality.without_bad(cells)
        if self.asset_column is None:
            return Keyed(chunk, stamps, np.full(len(chunk.lines), self.layout.asset, dtype=object), kept, checks, quality)
        assets, check = named(cells[self.asset_column], self.asset_column, self.layout.asset_prefix, "asset")
        return Keyed(chunk, stamps, assets, kept, [*checks, *check], quality)

    def _quality_check(self, cells: Cells, title: str, bad: BoolArray) -> Check:
        return Check(bad, title, lambda row: self.quality.why(cells[row].as_py()))


def value_names(table: Table, titles: Sequence[str], layout: Layout) -> dict[str, str]:
    """Name by title of every column that is taken as a value. Raises Refused when two columns would get the same name."""
    for title in layout.only:
        column(table, title, "--only")
    for title in layout.rename:
        column(table, title, "--rename")
    names = {t: _name(t, layout) for t in titles if not layout.only or t in layout.only}
    first: dict[str, str] = {}
    for title, name in names.items():
        if name in first:
            raise Refused(
                f"{table.path}: the columns {first[name]!r} and {title!r} would both be called {name}; "
                f"tell them apart with --rename '{title}=another_name'"
            )
        first[name] = title
    return names


def _name(title: str, layout: Layout) -> str:
    wanted = layout.rename.get(title)
    if wanted is None:
        return variable_name(title)
    if not wanted or variable_name(wanted) != wanted:
        raise Refused(f"{wanted!r} is no legal name; write for example --rename '{title}={variable_name(wanted or title)}'")
    return wanted


def named(cells: Cells, title: str, prefix: str, what: str) -> tuple[npt.NDArray[np.object_], list[Check]]:
    """Names in a column, after a prefix; with the checks that they are there and legal."""
    encoded = cells.dictionary_encode()
    names = [prefix + n for n in encoded.dictionary.to_pylist()]
    legal = np.array([bool(re.match(NAME_PATTERN, n)) and len(n) <= 100 for n in names] + [True])
    absent = ~cell.present(cells)
    codes = np.where(absent, -1, encoded.indices.fill_null(0).to_numpy(zero_copy_only=False)).astype(np.int64)
    texts = np.array([*names, None], dtype=object)[codes]
    return texts, [
        Check(absent, title, lambda _: f"there is no {what}"),
        Check(
            ~legal[codes], title, lambda row: f"{texts[row]!r} is no name of an {what}: letters, digits, _ . - only, at most 100"
        ),
    ]


def survey_column(survey: ColumnSurvey, chunk: Chunk, cells: Cells, usable: BoolArray, decimal: str) -> BoolArray:
    """Count what the usable (cleaned) cells of one column look like; returns which of them hold anything."""
    filled = cell.present(cells) & usable
    floats, texts = cell.numbers(cells, decimal)
    infinite = np.isinf(floats) & filled
    filled &= texts | ~np.isnan(floats)
    survey.infinite += int(infinite.sum())
    texts &= filled
    _, neither = cell.booleans(cells, decimal)
    survey.numbers += int((filled & ~texts & ~infinite).sum())
    survey.texts += int((texts & neither).sum())
    survey.booleans += int((texts & ~neither).sum())
    survey.not_boolean += int((neither & filled).sum())
    if texts.any():
        survey.decimal_commas += int((texts & cell.decimal_commas(cells)).sum())
    _examples(survey.first_not_number, chunk, cells, survey.title, texts | infinite, "number")
    _examples(survey.first_not_boolean, chunk, cells, survey.title, neither & filled, "boolean")
    return filled


def _examples(found: list[BadLine], chunk: Chunk, cells: Cells, title: str, bad: BoolArray, type: VariableType) -> None:
    if len(found) < EXAMPLES and bad.any():
        found.extend(faulty_lines(chunk, [type_check(cells, title, bad, type)], EXAMPLES - len(found)))


def type_check(cells: Cells, title: str, bad: BoolArray, type: VariableType) -> Check:
    """The check that the cells of a column are values of its type."""
    return Check(bad, title, lambda row: cell.why_bad(cells[row].as_py(), type))


def repeat_check(keyed: Keyed, contradictions: Mapping[int, int], titles: Sequence[str]) -> list[Check]:
    """The checks that no line contradicts an earlier one of the same instant."""
    checks = []
    for index in sorted(set(contradictions.values())):
        bad = np.zeros(len(keyed.at), dtype=bool)
        bad[[row for row, i in contradictions.items() if i == index]] = True
        checks.append(Check(bad, titles[index], lambda _: "another value than on an earlier line of the same asset and time"))
    return checks


def _zone(name: str | None) -> ZoneInfo | None:
    if name is None:
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        close = get_close_matches(name, available_timezones(), n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(close)}?" if close else "write for example Europe/Berlin"
        raise Refused(f"{name!r} is no time zone; {hint}") from error
