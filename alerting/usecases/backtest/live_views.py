"""The readings of the live platform, read-only and without data after an instant."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import pandas as pd

from alerting.definitions.assets import Asset
from alerting.ports import EventRow, ReadingColumns, ReadingRow, Readings, Wanted
from alerting.readings.history import History


class LiveWrite(Exception):
    """A sandbox was asked to write readings, which only a live platform may do: a fault in the program."""


class ReadingsUntil:
    """Port `Readings`, read-only. A request beyond the instant returns the readings up to it."""

    def __init__(self, live: Readings, until: datetime) -> None:
        self._live, self._until = live, until

    def add_readings(self, rows: Sequence[ReadingRow], arrived_at: datetime) -> int:  # noqa: ARG002
        raise LiveWrite

    def add_events(self, rows: Sequence[EventRow], arrived_at: datetime) -> int:  # noqa: ARG002
        raise LiveWrite

    def load(
        self,
        asset: Asset,
        start: datetime | None,
        end: datetime | None,
        variables: Iterable[str] | None = None,
        events_since: datetime | None = None,
    ) -> History:
        return self._live.load(asset, start, self._until if end is None else min(end, self._until), variables, events_since)

    def load_many(self, wanted: Sequence[Wanted], end: datetime) -> dict[str, ReadingColumns]:
        return self._live.load_many(wanted, min(end, self._until))

    def newest(self, asset: Asset, since: Mapping[str, datetime], until: datetime) -> pd.DataFrame:
        return self._live.newest(asset, since, min(until, self._until))

    def index_newest(self, variables: Iterable[str]) -> None:
        """Create nothing: the search for values is slower without an index, and as right."""

    def newest_instants(self) -> dict[str, datetime]:
        spans = {asset: self.span(asset) for asset in self._live.newest_instants()}
        return {asset: span[1] for asset, span in spans.items() if span is not None}

    def span(self, asset: str) -> tuple[datetime, datetime] | None:
        span = self._live.span(asset)
        return None if span is None or span[0] > self._until else (span[0], min(span[1], self._until))
