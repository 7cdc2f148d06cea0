"""Description of a file to import, printed before anything is written."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from alerting.definitions.assets import VariableType


@dataclass(frozen=True)
class FileForm:
    """Format of a file. None where it does not apply: a Parquet file has no separator, a table of
    assets no time.

    `time_columns` are two if date and time are separate, none if the rows of a `sequence` without
    stamps are this far apart, in their order. `zone` is that of stamps without a zone, `zone_from`
    its reason.
    """

    encoding: str | None = None
    separator: str | None = None
    decimal: str | None = None
    time_columns: tuple[str, ...] = ()
    time_format: str | None = None
    zone: str | None = None
    zone_from: str | None = None
    sequence: timedelta | None = None


@dataclass(frozen=True)
class UnderstoodColumn:
    """One column: `title` as the file writes it, `name` of the variable or attribute.

    `values` counts good cells, `missing` empty ones, `bad` those that do not hold a value;
    `bad_cells` are the most frequent of these with their counts, `first_bad` the first ones with
    their lines. `every_s` (s) is the usual distance of values if it is much longer than that of the
    lines. `new` is true if no asset has declared the variable before.
    """

    title: str
    name: str
    type: VariableType
    unit: str | None
    new: bool
    values: int
    missing: int
    bad: int
    bad_cells: Mapping[str, int]
    first_bad: tuple[str, ...] = ()
    every_s: float | None = None


@dataclass(frozen=True)
class Understood:
    """A file as it will be imported. `lines` are all lines below the header, `rows` the good ones;
    `notes` are sentences. `removes`: how many of its rows are stored exactly so, if an import is
    taken back."""

    source: str
    form: FileForm
    lines: int
    rows: int
    first: datetime | None
    last: datetime | None
    assets: tuple[str, ...]
    new_assets: tuple[str, ...]
    columns: tuple[UnderstoodColumn, ...]
    event_types: Mapping[str, str]
    notes: tuple[str, ...]
    removes: int | None = None
