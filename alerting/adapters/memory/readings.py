"""Readings and events in memory."""

from bisect import bisect_right, insort
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial

import pandas as pd

from alerting.adapters.memory.arrivals import MemoryArrivals
from alerting.adapters.memory.definitions import MemoryAssets
from alerting.adapters.samples.columns import events_frame, readings_columns, readings_frame
from alerting.adapters.samples.late_parts import Key, event_parts, reading_parts, turn_of
from alerting.adapters.samples.samples import merge_event, sample_fields, samples_of
from alerting.definitions.assets import Asset, types_of
from alerting.ports import Document, EventRow, ReadingColumns, ReadingRow, Wanted
from alerting.readings.cleaning import present
from alerting.readings.history import History
from alerting.readings.instants import whole_millis


class MemoryReadings:
    """Port `Readings`: the samples of each asset by instant, the events of each asset by type and start."""

    def __init__(self, assets: MemoryAssets, arrivals: MemoryArrivals) -> None:
        self._assets, self._arrivals = assets, arrivals
        self._samples: dict[str, dict[datetime, Document]] = {}
        self._instants: dict[str, list[datetime]] = {}
        self._events: dict[str, dict[tuple[str, datetime], Document]] = {}

    def add_readings(self, rows: Sequence[ReadingRow], arrived_at: datetime) -> int:
        written: dict[Key, Document] = {}
        changed = 0
        for row in rows:
            ts, samples = whole_millis(row.ts), samples_of(row)
            of_asset = self._samples.setdefault(row.asset, {})
            if is_new := ts not in of_asset:
                of_asset[ts] = {}
                insort(self._instants.setdefault(row.asset, []), ts)
            stored = of_asset[ts]
            difference = {name: sample for name, sample in samples.items() if name not in stored or stored[name] != sample}
            if is_new or difference:
                stored.update(difference)
                written.setdefault((row.asset, ts), {}).update(difference)
                changed += 1
        self._arrivals.record(partial(reading_parts, list(written.items())), arrived_at)
        return changed

    def add_events(self, rows: Sequence[EventRow], arrived_at: datetime) -> int:
        before = {asset: dict(events) for asset, events in self._events.items()}
        changed: list[tuple[str, tuple[str, datetime]]] = []
        for row in rows:
            events, key = self._events.setdefault(row.asset, {}), (row.type, whole_millis(row.start))
            after = merge_event(events.get(key), row)
            if after != events.get(key):
                events[key] = after
                changed.append((row.asset, key))
        merged = [(before.get(asset, {}).get(key), self._events[asset][key]) for asset, key in dict.fromkeys(changed)]
        turns = [(after, turn) for stored, after in merged if (turn := turn_of(stored, after)) is not None]
        self._arrivals.record(partial(event_parts, turns), arrived_at)
        return len(changed)

    def load(
        self,
        asset: Asset,
        start: datetime | None,
        end: datetime | None,
        variables: Iterable[str] | None = None,
        events_since: datetime | None = None,
    ) -> History:
        types = types_of(asset, asset.variables if variables is None else variables)
        event_types = tuple(self._assets.event_types())
        readings, doubts = readings_frame(asset.name, self._documents(asset.name, start, end), types)
        instant = frozenset(type_.name for type_ in event_types if type_.duration == "instant")
        events = events_frame(self._find_events(asset.name, instant, end, events_since), instant)
        return History(asset, readings, events, event_types, doubts)

    def _documents(self, asset: str, start: datetime | None, end: datetime | None) -> Iterator[Document]:
        """Return documents {ts, v, q} with start < ts <= end, oldest first."""
        instants, of_asset = self._instants.get(asset, []), self._samples.get(asset, {})
        first = 0 if start is None else bisect_right(instants, start)
        last = len(instants) if end is None else bisect_right(instants, end)
        return ({"ts": ts, **sample_fields(of_asset[ts])} for ts in instants[first:last])

    def _find_events(self, asset: str, instant: Collection[str], end: datetime | None, since: datetime | None) -> list[Document]:
        """Return the events that start at or before `end`; until `since` only the last of each type, and those that go on."""
        found = sorted(self._events.get(asset, {}).values(), key=lambda event: (event["start"], event["type"]))
        found = [event for event in found if end is None or event["start"] <= end]
        if since is None:
            return found
        last = {event["type"]: event for event in found if event["start"] <= since}
        return [e for e in found if e["start"] > since or e is last[e["type"]] or _lasts(e, instant, since)]

    def load_many(self, wanted: Sequence[Wanted], end: datetime) -> dict[str, ReadingColumns]:
        return {w.asset: readings_columns(w.asset, self._documents(w.asset, w.start, end), w.types) for w in wanted}

    def newest(self, asset: Asset, since: Mapping[str, datetime], until: datetime) -> pd.DataFrame:
        found: dict[datetime, Document] = {}
        for name, start in since.items():
            history = self.load(asset, start, until, [name])
            for ts, value in history.readings[name][present(history, name)].iloc[-1:].items():
                found.setdefault(pd.Timestamp(str(ts)).to_pydatetime(), {})[name] = value
        documents = ({"ts": ts, "v": found[ts]} for ts in sorted(found))
        return readings_frame(asset.name, documents, types_of(asset, since))[0]

    def index_newest(self, variables: Iterable[str]) -> None:
        """Prepare nothing: every search looks at all readings of an asset."""

    def newest_instants(self) -> dict[str, datetime]:
        return {asset: instants[-1] for asset, instants in self._instants.items()}

    def span(self, asset: str) -> tuple[datetime, datetime] | None:
        instants = self._instants.get(asset)
        return (instants[0], instants[-1]) if instants else None


def _lasts(event: Document, instant: Collection[str], since: datetime) -> bool:
    return event["type"] not in instant and (event["end"] is None or event["end"] > since)
