"""Ports for readings and events, with their rows: one by one, or by column as files deliver
them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, overload

from alerting.deferred import np, npt
from alerting.definitions.assets import Asset, VariableType
from alerting.definitions.faults import UserError
from alerting.readings.history import NO_DOUBTS, Doubts, Millis, Quality, datetimes
from alerting.readings.interval_labels import IntervalLabel

if TYPE_CHECKING:  # a process without histories needs no library of frames
    import pandas as pd

    from alerting.readings.history import History


@dataclass(frozen=True)
class ReadingRow:
    """Values of one asset at one instant; booleans as bool, numbers as float, categories as str;
    missing ones absent.

    `quality`: of the samples that are not good, by variable; a bad one has no value.
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
    """Variables of one asset, with their types, whose readings after `start` are wanted."""

    asset: str
    types: Mapping[str, VariableType]
    start: datetime


class WantedHistory(NamedTuple):
    """Variables of one asset whose readings after `start` are wanted, with its events; without
    `with_events` there may be none."""

    asset: Asset
    start: datetime
    names: tuple[str, ...]
    with_events: bool = True


@dataclass(frozen=True)
class ReadingColumns:
    """Readings of one asset: instants in ms, increasing, and a column per variable with the
    conventions of `History`.

    `faults`: variables with a stored value that is not of their type, each with its remedy; they
    have no column. `doubts`: samples whose quality is not good; a bad one is missing in its column.
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
    """Masks of the rows of a batch. `free`: nothing is stored at their instant. `same`: all their
    samples are stored; of the other rows some may be, too."""

    free: npt.NDArray[np.bool_]
    same: npt.NDArray[np.bool_]


class ReadingWrites(Protocol):
    """Writes of readings and events that are merged with the stored ones already. Instants are
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
        """Put samples into rows. `changes`: each row as it was stored, and the samples to replace
        or to add."""

    def delete_samples(self, rows: Sequence[ReadingRow]) -> None:
        """Delete the samples of rows of which each is still stored exactly so."""

    def stored_events(self, rows: Sequence[EventRow]) -> list[EventRow]:
        """Return the stored events with asset, type and start of one of these, and perhaps
        others."""

    def write_events(
        self, changes: Sequence[tuple[EventRow | None, EventRow]], arrived_at: datetime
    ) -> bool:
        """Write events, each after the one that it replaces; False if another process has written
        one of them meanwhile."""

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

        With `events_since`, of the events that start at or before it, only the last one of each
        type and the lasting ones that go on after it. `with_events`: False for readings alone,
        which takes fewer queries; then there are no types of events either.
        """

    def load_many(self, wanted: Sequence[Wanted], end: datetime) -> dict[str, ReadingColumns]:
        """Return readings of many assets up to and including end, by asset, without events, with as
        few queries as possible."""

    def load_histories(self, wanted: Sequence[WantedHistory], end: datetime) -> dict[str, History]:
        """Return by asset what `load` returns from `start` on, with `start` as `events_since`. An
        asset may be left out, as one that `load` refuses: `load` it. A store that can reads all
        with fewer queries."""
        found = {}
        for asset, start, names, with_events in wanted:
            with suppress(UserError):
                found[asset.name] = self.load(asset, start, end, names, start, with_events)
        return found

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

        `until`: later instants do not count, as of a source whose clock is wrong. `assets`: only of
        these (None: of all).
        """

    def span(self, asset: str, until: datetime | None = None) -> tuple[datetime, datetime] | None:
        """Return first and last instant with a reading; None without readings.

        A few that lie far before all others, as of a clock that was not set, do not count
        (`usual_instants`). `until`: later ones do not count.
        """


class IntervalLabels(Protocol):
    """Labels of times of assets; undone ones stay."""

    def insert(self, label: IntervalLabel) -> bool:
        """Insert; return False if this id is stored already."""

    def in_force(self, assets: Collection[str], at: datetime | None) -> list[IntervalLabel]:
        """Return the labels of assets that were in force at an instant (None: that nobody has
        undone), by start."""


HourlyParts = Mapping[str, Mapping[int, bytes]]
"""Packed buckets by variable and beginning of their hour (ms); empty of an hour without any."""


@dataclass(frozen=True)
class SampleColumn:
    """Samples of one variable, one per row: `values` are float64, bool, or str as object; `present`
    marks rows with a sample."""

    values: npt.NDArray[Any]
    present: npt.NDArray[np.bool_]

    def take(self, rows: npt.NDArray[np.int64]) -> SampleColumn:
        """Return the samples of these rows."""
        return SampleColumn(self.values[rows], self.present[rows])

    def tolist(self) -> list[Any]:
        """Return the samples as Python values, None where a row has none."""
        if self.present.all():
            return list(self.values.tolist())
        values = self.values.astype(object)
        values[~self.present] = None
        return list(values)


@dataclass(frozen=True, eq=False)
class ReadingBatch(Sequence[ReadingRow]):
    """Rows of readings by column. As a sequence, it holds the rows themselves.

    `assets` and `at` have one entry per row, `columns` one column per variable. `quality`: of the
    samples that are not good, by position of their row and by variable; a bad one has no value.
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
