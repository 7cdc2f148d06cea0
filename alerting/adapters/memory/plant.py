"""Definitions with their revisions, assets and event types, readings, events and labels of times in
memory."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from datetime import datetime, timedelta

from alerting.adapters.memory.episodes import MemoryDocumentStore, MemoryRevisions
from alerting.deferred import np, pd
from alerting.definitions.alert_definition import AssetIndex, Revision
from alerting.definitions.asset_documents import (
    Asset,
    EventType,
    asset_document,
    parse_asset,
    types_of,
)
from alerting.learning.features.planning import DerivedFeatures
from alerting.ports import (
    BatchMatch,
    Document,
    EventRow,
    FaultyDocument,
    NewestReading,
    ParseRevisions,
    ReadingBatch,
    ReadingColumns,
    ReadingKey,
    ReadingRow,
    Readings,
    Wanted,
)
from alerting.readings.history import (
    Doubts,
    History,
    from_millis,
    read_computed,
    to_millis,
    whole_millis,
)
from alerting.readings.interval_labels import IntervalLabel
from alerting.readings.variable_series import LEAST_FAR, usual_instants
from alerting.stores.readings.columns import (
    events_frame,
    merge_rows,
    newest_frame,
    readings_columns,
    readings_frame,
    sample_fields,
)


class MemoryDefinitions(MemoryRevisions[Revision]):
    """Port `Definitions`."""

    def __init__(self) -> None:
        super().__init__()
        self._faults: dict[str, list[str]] = {}

    def documents(self, names: Collection[str] | None = None) -> list[Document]:
        marks = self.faulty()
        chosen = self._documents.keys() if names is None else self._documents.keys() & set(names)
        return [
            {
                **document,
                **({"_faults": marks[document["name"]]} if document["name"] in marks else {}),
            }
            for document in deepcopy([self._documents[name] for name in sorted(chosen)])
        ]

    def store_document(self, document: Document) -> None:
        self._documents[document["name"]] = deepcopy(
            {key: value for key, value in document.items() if key not in ("_faults", "_label")}
        )

    def mark_faulty(self, name: str, faults: Sequence[str]) -> None:
        self._faults[name] = list(faults)

    def faulty(self) -> dict[str, list[str]]:
        return {
            name: faults
            for name, faults in self._faults.items()
            if faults and name in self._documents
        }

    def newest_revision(self, name: str) -> Revision | None:
        return next(reversed(self.revisions(name)), None)

    def histories(self, names: Collection[str]) -> dict[str, list[Revision]]:
        return {name: self.revisions(name) for name in names if name in self._revisions}

    def load_revisions(self) -> ParseRevisions:
        latest = self.latest_revisions()
        return lambda _: (latest, [])

    def latest_revisions(
        self, having: str | None = None, names: Collection[str] | None = None
    ) -> list[Revision]:
        chosen = self._revisions if names is None else self._revisions.keys() & set(names)
        newest = [self.revisions(name)[-1] for name in sorted(chosen)]
        return [r for r in newest if having is None or getattr(r.definition, having) is not None]


class MemoryAssets(MemoryDocumentStore):
    """Port `Assets`."""

    def __init__(self) -> None:
        super().__init__()
        self._assets: dict[str, Asset] = {}
        self._types: dict[str, EventType] = {}

    def all(self) -> list[Asset]:
        return [self._assets[name] for name in sorted(self._assets)]

    def documents(self) -> list[Document]:
        return [asset_document(self._assets[name]) for name in sorted(self._assets)]

    def find(self, name: str) -> Document | None:
        return asset_document(self._assets[name]) if name in self._assets else None

    def store_document(self, document: Document) -> None:
        self._assets[document["name"]] = parse_asset(document)

    def read_all(self) -> tuple[list[Asset], list[FaultyDocument]]:
        return self.all(), []

    def find_matching(self, patterns: Collection[str]) -> list[Asset]:
        index = AssetIndex(self.all())
        names = {asset.name for asset in index.find_matching([*patterns])}
        names.update(above for name in tuple(names) for above in index.ancestors(index[name]))
        return [index[name] for name in sorted(names)]

    def get(self, name: str) -> Asset | None:
        return self._assets.get(name)

    def get_many(self, names: Collection[str]) -> dict[str, Asset]:
        return {name: self._assets[name] for name in names if name in self._assets}

    def store_assets(self, assets: Sequence[Asset]) -> None:
        self._assets |= {asset.name: asset for asset in assets}

    def event_types(self) -> list[EventType]:
        return [self._types[name] for name in sorted(self._types)]

    def put_event_types(self, types: Sequence[EventType]) -> None:
        self._types |= {type_.name: type_ for type_ in types}


class MemoryDerivedFeatures:
    """Port `DerivedFeatureStore`."""

    def __init__(self) -> None:
        self._derived: dict[tuple[str, str], DerivedFeatures] = {}

    def get(self, definition: str, question: str) -> DerivedFeatures | None:
        return self._derived.get((definition, question))

    def fix(self, definition: str, question: str, derived: DerivedFeatures) -> DerivedFeatures:
        return self._derived.setdefault((definition, question), derived)


class MemoryReadings(Readings):
    """Ports `Readings` and `ReadingWrites`: rows by instant, events by type and start."""

    def __init__(self, assets: MemoryAssets) -> None:
        self._assets = assets
        self._rows: dict[str, dict[datetime, ReadingRow]] = {}
        self._instants: dict[str, list[datetime]] = {}
        self._arrived: dict[tuple[str, datetime], datetime] = {}
        self._events: dict[str, dict[tuple[str, datetime], EventRow]] = {}

    def match(self, batch: ReadingBatch) -> BatchMatch:
        keys = list(zip(batch.assets.tolist(), batch.at.tolist(), strict=True))
        stored = self.stored(keys)
        rows = [(stored.get(key), row.values.items()) for key, row in zip(keys, batch, strict=True)]
        same = [
            row is not None and not row.quality and samples <= row.values.items()
            for row, samples in rows
        ]
        return BatchMatch(np.array([row is None for row, _ in rows]), np.array(same))

    def stored(self, keys: Iterable[ReadingKey]) -> dict[ReadingKey, ReadingRow]:
        rows = {(asset, ts): self._rows.get(asset, {}).get(from_millis(ts)) for asset, ts in keys}
        return {key: row for key, row in rows.items() if row is not None}

    def insert(self, rows: Sequence[ReadingRow], arrived_at: datetime) -> list[int]:
        for row in rows:
            self._arrived[row.asset, row.ts] = arrived_at
            self._rows.setdefault(row.asset, {})[row.ts] = row
            insort(self._instants.setdefault(row.asset, []), row.ts)
        return []

    def update(
        self, changes: Sequence[tuple[ReadingRow, ReadingRow]], arrived_at: datetime
    ) -> None:
        for stored, new in changes:
            self._arrived[new.asset, new.ts] = arrived_at
            self._rows[new.asset][new.ts] = merge_rows(stored, new)

    def delete_samples(self, rows: Sequence[ReadingRow]) -> None:
        for row in rows:
            of_asset = self._rows.get(row.asset, {})
            stored = of_asset.get(row.ts)
            if stored is None or merge_rows(stored, row) != stored:
                continue
            deleted = row.values.keys() | row.quality.keys()
            remaining = replace(
                stored,
                values={name: v for name, v in stored.values.items() if name not in deleted},
                quality={name: q for name, q in stored.quality.items() if name not in deleted},
            )
            of_asset[row.ts] = remaining
            if not remaining.values and not remaining.quality:
                del of_asset[row.ts]
                self._instants[row.asset].remove(row.ts)

    def stored_events(self, rows: Sequence[EventRow]) -> list[EventRow]:
        keys = {(row.asset, (row.type, whole_millis(row.start))) for row in rows}
        return [
            self._events[asset][key] for asset, key in keys if key in self._events.get(asset, {})
        ]

    def write_events(
        self,
        changes: Sequence[tuple[EventRow | None, EventRow]],
        arrived_at: datetime,  # noqa: ARG002
    ) -> bool:
        for _, event in changes:
            self._events.setdefault(event.asset, {})[event.type, event.start] = event
        return True

    def delete_events(self, events: Sequence[EventRow]) -> None:
        for event in events:
            of_asset = self._events.get(event.asset, {})
            if of_asset.get((event.type, event.start)) == event:
                del of_asset[event.type, event.start]

    def has_events(self, event_type: str) -> bool:
        return any(name == event_type for stored in self._events.values() for name, _ in stored)

    def load(
        self,
        asset: Asset,
        start: datetime | None,
        end: datetime | None,
        variables: Iterable[str] | None = None,
        events_since: datetime | None = None,
        with_events: bool = True,
    ) -> History:
        def read(names: Sequence[str], since: datetime | None) -> tuple[pd.DataFrame, Doubts]:
            return readings_frame(
                asset.name, self._documents(asset.name, since, end), types_of(asset, names)
            )

        readings, doubts = read_computed(
            asset, asset.variables if variables is None else variables, start, read
        )
        if not with_events:
            return History(asset, readings, doubts=doubts)
        event_types = tuple(self._assets.event_types())
        instant = frozenset(type_.name for type_ in event_types if type_.duration == "instant")
        events = events_frame(self._find_events(asset.name, instant, end, events_since), instant)
        return History(asset, readings, events, event_types, doubts)

    def _documents(
        self, asset: str, start: datetime | None, end: datetime | None
    ) -> Iterator[Document]:
        instants = self._instants.get(asset, [])
        of_asset = self._rows.get(asset, {})
        first = 0 if start is None else bisect_right(instants, start)
        last = len(instants) if end is None else bisect_right(instants, end)
        return ({"ts": ts, **sample_fields(of_asset[ts])} for ts in instants[first:last])

    def _find_events(
        self, asset: str, instant: Collection[str], end: datetime | None, since: datetime | None
    ) -> list[Document]:
        """Return events that start until `end`. Of the events until `since`, only the last one of
        each type and the lasting ones."""
        events = sorted(
            map(vars, self._events.get(asset, {}).values()),
            key=lambda event: (event["start"], event["type"]),
        )
        events = [event for event in events if end is None or event["start"] <= end]
        if since is None:
            return events
        last = {event["type"]: event for event in events if event["start"] <= since}
        return [
            e
            for e in events
            if e["start"] > since
            or e is last[e["type"]]
            or (e["type"] not in instant and (e["end"] is None or e["end"] > since))
        ]

    def load_many(self, requests: Sequence[Wanted], end: datetime) -> dict[str, ReadingColumns]:
        return {
            w.asset: readings_columns(w.asset, self._documents(w.asset, w.start, end), w.types)
            for w in requests
        }

    def newest_values(
        self, asset: Asset, since: Mapping[str, datetime], until: datetime
    ) -> pd.DataFrame:
        return newest_frame(self.load, asset, since, until)

    def newest_readings(
        self, until: datetime | None = None, assets: Collection[str] | None = None
    ) -> dict[str, NewestReading]:
        counted = {
            asset: len(all_) if until is None else bisect_right(all_, until)
            for asset, all_ in self._instants.items()
        }
        newest = {
            asset: self._instants[asset][count - 1] for asset, count in counted.items() if count
        }
        names = newest.keys() if assets is None else newest.keys() & set(assets)
        return {
            asset: NewestReading(newest[asset], self._arrived[asset, newest[asset]])
            for asset in sorted(names)
        }

    def span(self, asset: str, until: datetime | None = None) -> tuple[datetime, datetime] | None:
        stored = self._instants.get(asset, [])
        instants = stored if until is None else stored[: bisect_right(stored, until)]
        if not instants:
            return None
        first = 0
        if instants[-1] - instants[0] >= timedelta(milliseconds=LEAST_FAR):
            first = usual_instants(np.array([to_millis(at) for at in instants], np.int64)).start
        return instants[first], instants[-1]


class MemoryLabels:
    """Port `IntervalLabels`."""

    def __init__(self) -> None:
        self._labels: dict[str, IntervalLabel] = {}

    def insert(self, label: IntervalLabel) -> bool:
        return self._labels.setdefault(label.id, label) is label

    def in_force(self, assets: Collection[str], at: datetime | None) -> list[IntervalLabel]:
        labels = [o for o in self._labels.values() if o.asset in assets and o.in_force(at)]
        return sorted(labels, key=lambda label: (label.start, label.id))
