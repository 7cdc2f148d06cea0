"""Sources of an import: a file that is checked once and read once, and its profile."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Literal, Protocol

from alerting.deferred import np
from alerting.definitions.assets import VariableType
from alerting.ports import EventRow, Progress, ReadingBatch
from alerting.readings.column_titles import Units
from alerting.readings.history import Millis
from alerting.readings.inference import BadLine, ColumnProfile
from alerting.usecases.ingestion.text_names import Titles


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


Duration = Literal["instant", "lasting"]
DuplicatesRule = Literal["refuse", "last", "mean"]
"""Lines that state the same instant of an asset: refuse contradictions, or merge them into the last
values or the mean."""
Reject = Callable[[BadLine], None]


@dataclass
class Profile:
    """Result of the first pass. `bad` counts lines that are bad under any types; `first_bad` shows
    the first few.

    `assets`: names of the columns filled anywhere, by asset. `repeated` lines add nothing to an
    earlier one, or are merged with it by the rule `duplicates`; `contradictions` are bad lines with
    another value for an instant; `empty` lines have no value; `rows` counts the good ones.
    `zoneless` stamps were taken as UTC; `cut` stamps lost parts of a millisecond. `incomplete`:
    the rest of a file with bad lines was not read. `clock_changes`: by day on which the clocks
    of `zone` were set back, how many stamps were taken for the first and for the second of the
    times that come twice. `asset_texts`: the text by asset where it is not the name.
    `head_notes`: sentences
    on lines above the first row. `ends`: the first and the last thousand instants (ms) of its rows.
    """

    columns: dict[str, ColumnProfile] = field(default_factory=dict)
    assets: dict[str, set[str]] = field(default_factory=dict)
    lines: int = 0
    bad: int = 0
    first_bad: list[BadLine] = field(default_factory=list)
    repeated: int = 0
    duplicates: DuplicatesRule = "refuse"
    contradictions: int = 0
    empty: int = 0
    rows: int = 0
    zoneless: int = 0
    cut: int = 0
    incomplete: bool = False
    zone: str | None = None
    clock_changes: Mapping[date, tuple[int, int]] = field(default_factory=dict)
    asset_texts: Mapping[str, str] = field(default_factory=dict)
    head_notes: tuple[str, ...] = ()
    first: datetime | None = None
    last: datetime | None = None
    ends: Millis = field(default_factory=lambda: np.empty(0, np.int64))


@dataclass
class EventTypeProfile:
    """Profile of one event type: whether any event has an end after its start, and the first such
    lines."""

    ends: int = 0
    first_ends: list[BadLine] = field(default_factory=list)


@dataclass
class EventsProfile(Profile):
    """A profile of events. `end_column`: whether the file has one; `stamps`: the titles of other
    columns that hold time stamps; `type_texts`: the text by event type where it is not the name."""

    types: dict[str, EventTypeProfile] = field(default_factory=dict)
    end_column: bool = False
    stamps: Sequence[str] = ()
    type_texts: Mapping[str, str] = field(default_factory=dict)


class Source(Protocol):
    """A file, as messages name it. `unit` is the word for its lines: line, or row."""

    name: str
    unit: str

    @property
    def form(self) -> FileForm: ...


class ReadingSource(Source, Protocol):
    """Readings in a file, read once to check and once to import."""

    def newest_instant(self) -> datetime | None:
        """Return the newest instant that the file states without being read; None if it does
        not."""
        ...

    def keep_names(self, titles: Titles, units: Units) -> None:
        """Give texts that are titles of assets, and columns of declared variables, the names of
        these; before the profile."""
        ...

    def profile(self, progress: Progress, *, stop_early: bool = False) -> Profile:
        """`stop_early`: stop soon after the first bad line."""
        ...

    def read(
        self, types: Mapping[str, VariableType], reject: Reject, progress: Progress
    ) -> Iterator[ReadingBatch]:
        """Yield batches of rows with the columns of these types. Every bad line is passed to
        `reject`."""
        ...


class EventSource(Source, Protocol):
    """Events in a file, read once to check and once to import."""

    def keep_names(self, titles: Titles, types: Titles) -> None:
        """Give texts that are titles of assets or event types the names of these; before the
        profile."""
        ...

    def profile(self, progress: Progress, *, stop_early: bool = False) -> EventsProfile:
        """`stop_early`: stop soon after the first bad line."""
        ...

    def read(
        self,
        types: Mapping[str, VariableType],
        durations: Mapping[str, Duration],
        reject: Reject,
        progress: Progress,
    ) -> Iterator[Sequence[EventRow]]:
        """Yield batches of events with attributes of these types. Every bad line is passed to
        `reject`."""
        ...
