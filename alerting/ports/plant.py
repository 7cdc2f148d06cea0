"""Ports for the data of a plant. Documents that people write: alert definitions, assets, event
types, routes. Readings and events, as single rows, or in columns as files deliver them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, overload

from alerting.deferred import np, npt
from alerting.definitions.alert_definition import Definition, Revision
from alerting.definitions.asset_documents import Asset, EventType, VariableType
from alerting.definitions.faults import UserError
from alerting.learning.features.planning import DerivedFeatures
from alerting.readings.history import NO_DOUBTS, Doubts, Millis, Quality, datetimes
from alerting.readings.interval_labels import IntervalLabel

if TYPE_CHECKING:
    import pandas as pd

    from alerting.readings.history import History

Document = dict[str, Any]
Files = Mapping[str, bytes]


@dataclass(frozen=True)
class FaultyDocument:
    """A document that cannot be read and is left out, with the reasons."""

    collection: str
    name: str
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class DocumentRevision:
    """An immutable, numbered copy of a document: author, time and reason of the change."""

    name: str
    number: int
    at: datetime
    actor: str
    document: Mapping[str, Any]
    reason: str = ""


class DocumentStore(Protocol):
    """Documents of a kind, as people wrote them, and their revisions."""

    def documents(self) -> list[Document]:
        """Return all documents without `_id`, sorted by name, valid or not."""

    def find(self, name: str) -> Document | None:
        """Return the document of a name, valid or not; None without one."""

    def store_document(self, document: Document) -> None:
        """Insert or replace the document of that name. Raises UserError if the server refuses
        it."""

    def remove(self, name: str) -> bool:
        """Remove a document; return False if there was none. Its revisions stay."""

    def add_revision(self, revision: DocumentRevision) -> bool:
        """Store a revision; return False if that number exists already."""

    def revisions(self, name: str) -> list[DocumentRevision]:
        """Return all valid revisions of a document, oldest first."""

    def last_number(self, name: str) -> int:
        """Return the highest number of its revisions, valid or not; 0 if it has none."""


ParseRevisions = Callable[[Mapping[str, Definition]], tuple[list[Revision], list[FaultyDocument]]]
"""Returns the newest valid revision of every definition, sorted by name, and all revisions that
cannot be read; takes valid definitions by name, which are not parsed again where a revision stores
the same."""


@dataclass(frozen=True)
class DocumentEdit:
    """A document that was added, changed or removed in the database itself.

    `kind`: a definition, asset, event type, route or source. `before`: as the platform last wrote
    or read it, None if it is new; `after`: as it is now, None if it was removed.
    """

    collection: str
    kind: str
    name: str
    before: Document | None
    after: Document | None


class Documents(Protocol):
    """Documents of collections that people may edit in the database."""

    def edits(self) -> list[DocumentEdit]:
        """Return the edits that were not noted yet."""

    def note(self, edit: DocumentEdit) -> None:
        """Note an edit, so that `edits` does not return it again."""

    def faulty(self, collections: Collection[str] | None = None) -> list[FaultyDocument]:
        """Return omitted documents of these collections; by default of all except definitions and
        their revisions."""


class NoDocuments:
    """Port `Documents` of a platform without edited documents."""

    def faulty(self, collections: Collection[str] | None = None) -> list[FaultyDocument]:  # noqa: ARG002
        return []

    def edits(self) -> list[DocumentEdit]:
        return []

    def note(self, edit: DocumentEdit) -> None:
        """Do nothing: there is no edit."""


NOT_EDITED = NoDocuments()


class Definitions(Protocol):
    """Current documents, as people wrote them, and their immutable revisions."""

    def documents(self, names: Collection[str] | None = None) -> list[Document]:
        """Return all current documents, or those of these names, without `_id`, sorted by name,
        valid or not.

        `_faults`: the faults of a marked document; `_label`: the name of its mark, if the document
        has no name.
        """

    def store_document(self, document: Document) -> None:
        """Insert or replace the current document of that name. Raises UserError if the server
        refuses it."""

    def mark_faulty(self, name: str, faults: Sequence[str]) -> None:
        """Mark the current document as faulty, or unmark it without faults; its text does not
        change."""

    def faulty(self) -> dict[str, list[str]]:
        """Return faults by definition name."""

    def add_revision(self, revision: Revision) -> bool:
        """Store a revision; return False if that number exists already."""

    def revisions(self, name: str) -> list[Revision]:
        """Return all valid revisions of a definition, oldest first."""

    def newest_revision(self, name: str) -> Revision | None:
        """Return the newest valid revision of a definition, None without one; reads one
        document."""

    def histories(self, names: Collection[str]) -> dict[str, list[Revision]]:
        """Return all valid revisions of each of these definitions, oldest first; a definition
        without any is absent."""

    def last_number(self, name: str) -> int:
        """Return the highest number of its revisions, valid or not; 0 if it has none."""

    def load_revisions(self) -> ParseRevisions:
        """Load all revisions; documents read after this call are not older than these revisions."""

    def latest_revisions(
        self, having: str | None = None, names: Collection[str] | None = None
    ) -> list[Revision]:
        """Return the newest revision of every definition, sorted by name; with `having` only
        definitions with this field, with `names` only these."""


class Assets(DocumentStore, Protocol):
    """Assets and event types."""

    def all(self) -> list[Asset]: ...

    def read_all(self) -> tuple[list[Asset], list[FaultyDocument]]:
        """Return all valid assets, sorted by name, and the documents that cannot be read, by one
        read."""

    def find_matching(self, patterns: Collection[str]) -> list[Asset]:
        """Return the valid assets of these names or patterns with *, and all their known ancestors,
        sorted by name.

        The cost depends on the number of these assets, not on the number of all assets.
        """

    def get(self, name: str) -> Asset | None: ...

    def get_many(self, names: Collection[str]) -> dict[str, Asset]:
        """Return the valid assets of these names, by name."""

    def store_assets(self, assets: Sequence[Asset]) -> None: ...

    def event_types(self) -> list[EventType]: ...

    def put_event_types(self, types: Sequence[EventType]) -> None: ...


class DerivedFeatureStore(Protocol):
    """Stride and windows that were derived for a definition's question; once stored, they never
    change."""

    def get(self, definition: str, question: str) -> DerivedFeatures | None: ...

    def fix(self, definition: str, question: str, derived: DerivedFeatures) -> DerivedFeatures:
        """Store the values unless some are stored already; return the stored ones."""


@dataclass(frozen=True)
class ReadingRow:
    """Values of one asset at one instant; booleans as bool, numbers as float, categories as str;
    missing ones absent.

    `quality`: by variable, the quality of samples that are not good; a bad sample has no value.
    """

    asset: str
    ts: datetime
    values: Mapping[str, float | str | bool]
    quality: Mapping[str, Quality] = field(default_factory=dict)


@dataclass(frozen=True)
class EventRow:
    """One event; `end` is None while a lasting event is in progress, and equals `start` for an
    instant event."""

    asset: str
    type: str
    start: datetime
    end: datetime | None
    source: str
    attributes: Mapping[str, str | float | bool] = field(default_factory=dict)


@dataclass(frozen=True)
class Wanted:
    """A request for readings after `start` of some variables of one asset, with their types."""

    asset: str
    types: Mapping[str, VariableType]
    start: datetime


class WantedHistory(NamedTuple):
    """A request for readings after `start` of some variables of one asset, with its events; without
    `with_events` events may be missing."""

    asset: Asset
    start: datetime
    names: tuple[str, ...]
    with_events: bool = True


@dataclass(frozen=True)
class ReadingColumns:
    """Readings of one asset: instants in ms, increasing, and a column per variable with the
    conventions of `History`.

    `faults`: variables with a stored value that is not of their type, each with its remedy; these
    have no column. `doubts`: samples whose quality is not good; a bad sample is missing in its
    column.
    """

    ts: Millis
    values: Mapping[str, npt.NDArray[Any]]
    faults: Mapping[str, str] = field(default_factory=dict)
    doubts: Doubts = NO_DOUBTS


@dataclass(frozen=True)
class NewestReading:
    """Instant of the newest reading of an asset, and when it reached the platform."""

    ts: datetime
    arrived_at: datetime


ReadingKey = tuple[str, int]
"""An asset, and an instant in ms."""


class BatchMatch(NamedTuple):
    """Masks of the rows of a batch. `free`: nothing is stored at the row's instant. `same`: all
    samples of the row are stored; of all other rows some samples may be stored."""

    free: npt.NDArray[np.bool_]
    same: npt.NDArray[np.bool_]


class ReadingWrites(Protocol):
    """Writes of readings and events that the caller has merged with the stored ones. Instants are
    whole milliseconds."""

    def match(self, batch: ReadingBatch) -> BatchMatch:
        """Compare a batch without qualities with what is stored."""

    def stored(self, keys: Iterable[ReadingKey]) -> dict[ReadingKey, ReadingRow]:
        """Return all samples that are stored at these instants."""

    def insert(self, rows: Sequence[ReadingRow], arrived_at: datetime) -> list[int]:
        """Insert rows; return the positions of those whose instant another process has inserted
        meanwhile."""

    def update(
        self, changes: Sequence[tuple[ReadingRow, ReadingRow]], arrived_at: datetime
    ) -> None:
        """Replace or add samples in rows. `changes`: by row, the row as it was stored, and its new
        samples."""

    def delete_samples(self, rows: Sequence[ReadingRow]) -> None:
        """Delete the samples of each row that is still stored exactly so."""

    def stored_events(self, rows: Sequence[EventRow]) -> list[EventRow]:
        """Return the stored events with the asset, type and start of any of these events, and
        perhaps further events."""

    def write_events(
        self, changes: Sequence[tuple[EventRow | None, EventRow]], arrived_at: datetime
    ) -> bool:
        """Write events, each with the stored event that it replaces; return False if another
        process has written one of them meanwhile."""

    def delete_events(self, events: Sequence[EventRow]) -> None:
        """Delete events that are still stored exactly so."""

    def has_events(self, event_type: str) -> bool:
        """Return whether an event of a type is stored, of any asset."""


class Readings(Protocol):
    """Readings and events over time."""

    def load(
        self,
        asset: Asset,
        start: datetime | None,
        end: datetime | None,
        variables: Iterable[str] | None = None,
        events_since: datetime | None = None,
        with_events: bool = True,
    ) -> History:
        """Return readings with start < ts <= end (None: unbounded), and the events that start at or
        before end.

        `events_since`: of the events that start at or before it, only the last one of each type,
        and lasting events that go on after it, are returned. `with_events`: False returns readings
        alone, with fewer queries; types of events are then missing, too.
        """

    def load_many(self, requests: Sequence[Wanted], end: datetime) -> dict[str, ReadingColumns]:
        """Return readings of many assets up to and including end, by asset, without events, with as
        few queries as possible."""

    def load_histories(
        self, requests: Sequence[WantedHistory], end: datetime
    ) -> dict[str, History]:
        """Return, by asset, the result of `load` from `start` on, with `start` as `events_since`,
        with fewer queries if the store can. Assets may be missing, such as those that `load`
        refuses: call `load` for them."""
        histories = {}
        for asset, start, names, with_events in requests:
            with suppress(UserError):
                histories[asset.name] = self.load(asset, start, end, names, start, with_events)
        return histories

    def newest_values(
        self, asset: Asset, since: Mapping[str, datetime], until: datetime
    ) -> pd.DataFrame:
        """Return the newest value of each variable in (since, until] within its engineering range,
        as readings of a history."""

    def index_newest(self, variables: Iterable[str]) -> None:  # noqa: ARG002 - of those that do
        """Prepare the search of `newest` for these variables, so that it takes no longer with more
        readings. Idempotent. Readings that are stored elsewhere prepare nothing."""
        return

    def newest_readings(
        self, until: datetime | None = None, assets: Collection[str] | None = None
    ) -> dict[str, NewestReading]:
        """Return instant and arrival of the newest reading of each asset, by name; an asset without
        readings is absent.

        `until`: later instants do not count, such as those of a source whose clock is wrong.
        `assets`: return only these (None: all).
        """

    def span(self, asset: str, until: datetime | None = None) -> tuple[datetime, datetime] | None:
        """Return first and last instant with a reading; None without readings.

        A few readings that lie far before all others, such as those from a clock that was not set,
        do not count (`usual_instants`). `until`: later readings do not count.
        """


class IntervalLabels(Protocol):
    """Labels of times of assets; undone labels stay stored."""

    def insert(self, label: IntervalLabel) -> bool:
        """Insert; return False if this id is stored already."""

    def in_force(self, assets: Collection[str], at: datetime | None) -> list[IntervalLabel]:
        """Return the labels of assets that were in force at an instant (None: all labels that are
        not undone), by start."""


HourlyParts = Mapping[str, Mapping[int, bytes]]
"""Packed buckets by variable and beginning of their hour (ms); empty of an hour without any."""


@dataclass(frozen=True)
class SampleColumn:
    """Samples of one variable, one per row: `values` are float64, bool, or str as object; `present`
    marks rows with a sample."""

    values: npt.NDArray[Any]
    present: npt.NDArray[np.bool_]

    def take(self, rows: npt.NDArray[np.int64] | slice) -> SampleColumn:
        """Return the samples of these rows."""
        return SampleColumn(self.values[rows], self.present[rows])

    def tolist(self) -> list[Any]:
        """Return the samples as Python values, None for a row without a sample."""
        if self.present.all():
            return list(self.values.tolist())
        values = self.values.astype(object)
        values[~self.present] = None
        return list(values)


@dataclass(frozen=True, eq=False)
class ReadingBatch(Sequence[ReadingRow]):
    """Rows of readings by column. As a sequence, it holds the rows themselves.

    `assets` and `at` have one entry per row, `columns` one column per variable. `quality`: by
    position of the row and by variable, the quality of samples that are not good; a bad sample has
    no value.
    """

    assets: npt.NDArray[np.object_]
    at: Millis
    columns: Mapping[str, SampleColumn]
    quality: Mapping[int, Mapping[str, Quality]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.at)

    @overload
    def __getitem__(self, index: int) -> ReadingRow: ...
    @overload
    def __getitem__(self, index: slice) -> list[ReadingRow]: ...
    def __getitem__(self, index: int | slice) -> ReadingRow | list[ReadingRow]:
        return self._rows[index]

    def __iter__(self) -> Iterator[ReadingRow]:
        return iter(self._rows)

    @cached_property
    def _rows(self) -> list[ReadingRow]:
        names = list(self.columns)
        samples = zip(*(column.tolist() for column in self.columns.values()), strict=True)
        values = [
            {n: v for n, v in zip(names, row, strict=True) if v is not None} for row in samples
        ]
        keyed = zip(self.assets.tolist(), datetimes(self.at), values, strict=True)
        return [
            ReadingRow(asset, ts, v, self.quality.get(i, {}))
            for i, (asset, ts, v) in enumerate(keyed)
        ]
