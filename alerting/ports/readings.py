"""Port for readings and events, with its row types."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

import numpy.typing as npt
import pandas as pd

from alerting.definitions.assets import Asset, VariableType
from alerting.readings.history import History, Millis
from alerting.readings.sample_quality import NO_DOUBTS, Doubts, Quality


@dataclass(frozen=True)
class ReadingRow:
    """Values of one asset at one instant; booleans as bool, numbers as float, categories as str; missing ones absent.

    `quality`: of the samples that are not good, by variable; a bad one has no value.
    """

    asset: str
    ts: datetime
    values: Mapping[str, float | str | bool]
    quality: Mapping[str, Quality] = field(default_factory=dict)


@dataclass(frozen=True)
class EventRow:
    """One event; `end` is None while a lasting event is in progress, and equals `start` for an instant event."""

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


@dataclass(frozen=True)
class ReadingColumns:
    """Readings of one asset: instants in ms, increasing, and a column per variable with the conventions of `History`.

    `faults`: variables with a stored value that is not of their type, each with its remedy; they have no column.
    `doubts`: samples whose quality is not good; a bad one is missing in its column.
    """

    ts: Millis
    values: Mapping[str, npt.NDArray[Any]]
    faults: Mapping[str, str] = field(default_factory=dict)
    doubts: Doubts = NO_DOUBTS


class Readings(Protocol):
    """Readings and events over time."""

    def add_readings(self, rows: Sequence[ReadingRow], arrived_at: datetime) -> int:
        """Merge rows by (asset, ts); return how many changed a value.

        A row replaces the value, the quality, or both of each of its variables; variables that it omits stay.
        """

    def add_events(self, rows: Sequence[EventRow], arrived_at: datetime) -> int:
        """Merge events by (asset, type, start); return how many changed."""

    def load(
        self,
        asset: Asset,
        start: datetime | None,
        end: datetime | None,
        variables: Iterable[str] | None = None,
        events_since: datetime | None = None,
    ) -> History:
        """Return readings with start < ts <= end (None: unbounded), and the events that start at or before end.

        With `events_since`, of the events that start at or before it, only the last one of each type and the lasting ones that
        go on after it.
        """

    def load_many(self, wanted: Sequence[Wanted], end: datetime) -> dict[str, ReadingColumns]:
        """Return readings of many assets up to and including end, by asset, without events, with as few queries as possible."""

    def newest(self, asset: Asset, since: Mapping[str, datetime], until: datetime) -> pd.DataFrame:
        """Return the newest value of each variable in (since, until] within its engineering range, as readings of a history."""

    def index_newest(self, variables: Iterable[str]) -> None:
        """Prepare the search of `newest` for these variables, so that it takes no longer with more readings. Idempotent."""

    def newest_instants(self) -> dict[str, datetime]:
        """Return the instant of the newest reading of each asset, by name; an asset without readings is absent."""

    def span(self, asset: str) -> tuple[datetime, datetime] | None:
        """Return first and last instant with a reading; None without readings."""
