"""Readings that are given with a question, in place of the stored ones of the same assets."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from alerting.deferred import pd
from alerting.definitions.assets import Asset
from alerting.ports import NewestReading, ReadingColumns, Readings, Wanted, WantedHistory, load_each
from alerting.readings.history import History


class GivenReadings:
    """Port `Readings`: those given for these assets, else the stored ones; stored events."""

    def __init__(self, given: Readings, assets: Collection[str], stored: Readings) -> None:
        self._given = given
        self._assets = frozenset(assets)
        self._stored = stored

    def _readings_for(self, asset: str) -> Readings:
        return self._given if asset in self._assets else self._stored

    def load(
        self,
        asset: Asset,
        start: datetime | None,
        end: datetime | None,
        variables: Iterable[str] | None = None,
        events_since: datetime | None = None,
        with_events: bool = True,
    ) -> History:
        if asset.name not in self._assets:
            return self._stored.load(asset, start, end, variables, events_since, with_events)
        found = self._given.load(asset, start, end, variables, with_events=False)
        if not with_events:
            return found
        # of no reading, but of the events up to the end
        stored = self._stored.load(asset, end, end, (), events_since)
        return replace(found, events=stored.events, event_types=stored.event_types)

    def load_many(self, wanted: Sequence[Wanted], end: datetime) -> dict[str, ReadingColumns]:
        by_given = [one for one in wanted if one.asset in self._assets]
        others = [one for one in wanted if one.asset not in self._assets]
        return {**self._given.load_many(by_given, end), **self._stored.load_many(others, end)}

    def load_histories(self, wanted: Sequence[WantedHistory], end: datetime) -> dict[str, History]:
        return load_each(self, wanted, end)

    def newest_values(
        self, asset: Asset, since: Mapping[str, datetime], until: datetime
    ) -> pd.DataFrame:
        return self._readings_for(asset.name).newest_values(asset, since, until)

    def index_newest(self, variables: Iterable[str]) -> None:
        """Prepare nothing: no reading is stored."""

    def newest_readings(
        self, until: datetime | None = None, assets: Collection[str] | None = None
    ) -> dict[str, NewestReading]:
        stored = self._stored.newest_readings(until, assets)
        given = self._given.newest_readings(until, assets)
        return {name: found for name, found in stored.items() if name not in self._assets} | given

    def span(self, asset: str, until: datetime | None = None) -> tuple[datetime, datetime] | None:
        return self._readings_for(asset).span(asset, until)
