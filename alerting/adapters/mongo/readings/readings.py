"""Readings and events in MongoDB: one document per asset and instant, one per event.

A plain collection with a unique index, so that a second import changes nothing; `arrived_at` is when a document last changed.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from itertools import groupby
from typing import Any

import pandas as pd
from pymongo import UpdateOne
from pymongo.errors import BulkWriteError

from alerting.adapters.mongo.definitions.assets import MongoAssets
from alerting.adapters.mongo.documents import Document, MongoDatabase, only_duplicates, utc
from alerting.adapters.mongo.indexes import EVENTS, READINGS
from alerting.adapters.mongo.readings.arrivals import MongoArrivals
from alerting.adapters.mongo.readings.batch_bson import batch_documents
from alerting.adapters.mongo.readings.events import load_events
from alerting.adapters.mongo.readings.newest import index_newest, newest_readings
from alerting.adapters.samples.columns import CHUNK, readings_columns, readings_frame
from alerting.adapters.samples.late_parts import batch_parts, event_parts, reading_parts, turn_of
from alerting.adapters.samples.samples import merge_event, sample_fields, sample_update, samples_in, samples_of
from alerting.definitions.assets import Asset, VariableType, types_of
from alerting.definitions.faults import UserError
from alerting.ports import EventRow, ReadingBatch, ReadingColumns, ReadingRow, Wanted
from alerting.readings.history import History
from alerting.readings.instants import from_millis, whole_millis
from alerting.readings.sample_quality import Doubts

_ATTEMPTS = 10
_SAMPLES: Document = {"_id": False, "ts": True, "v": True, "q": True}
_FEW = 50  # most variables that a query names; with more, it reads all
Key = tuple[str, datetime]


class MongoReadings:
    """Port `Readings`."""

    def __init__(self, database: MongoDatabase) -> None:
        self._readings = database[READINGS]
        self._events = database[EVENTS]
        self._assets = MongoAssets(database)
        self._arrivals = MongoArrivals(database)

    def add_readings(self, rows: Sequence[ReadingRow], arrived_at: datetime) -> int:
        """Merge rows by (asset, ts); return how many changed a value. Of two rows for one instant the later one wins."""
        if isinstance(rows, ReadingBatch) and len(rows) <= CHUNK and self._is_all_new(rows):
            return self._insert_batch(rows, arrived_at)
        return sum(self._merge_readings(rows[start : start + CHUNK], arrived_at) for start in range(0, len(rows), CHUNK))

    def _is_all_new(self, batch: ReadingBatch) -> bool:
        """Return whether no reading is stored from the first to the last instant of each asset, and no instant repeats."""
        keys = pd.DataFrame({"asset": batch.assets, "ts": batch.at})
        if keys.duplicated().any():
            return False
        bounds = keys.groupby("asset")["ts"].agg(["min", "max"])
        return not any(
            self._any_stored(str(asset), from_millis(first), from_millis(last)) for asset, first, last in bounds.itertuples()
        )

    def _any_stored(self, asset: str, first: datetime, last: datetime) -> bool:
        between = {"asset": asset, "ts": {"$gte": first, "$lte": last}}
        return self._readings.find_one(between, {"_id": True}) is not None

    def _insert_batch(self, batch: ReadingBatch, arrived_at: datetime) -> int:
        """Insert rows of which none is stored; merge a row that another process has inserted meanwhile."""
        documents = None if batch.quality else batch_documents(batch, arrived_at)
        if documents is None:
            return self._merge_readings(batch, arrived_at)
        with self._arrivals.writing(partial(batch_parts, batch), arrived_at):
            late = self._insert(documents)
        return len(batch) - len(late) + (self._merge_readings([batch[i] for i in late], arrived_at) if late else 0)

    def _insert(self, documents: Sequence[Any]) -> list[int]:
        """Insert documents; return the positions of those that another process has inserted meanwhile."""
        try:
            self._readings.insert_many(documents, ordered=False)
        except BulkWriteError as error:
            return only_duplicates(error)
        return []

    def _merge_readings(self, rows: Sequence[ReadingRow], arrived_at: datetime) -> int:
        stored, doubted = self._stored_samples(rows)
        new: dict[Key, Document] = {}
        changes: dict[Key, Document] = {}
        changed = 0
        for row in rows:
            key, samples = (row.asset, whole_millis(row.ts)), samples_of(row)
            if key in stored:
                existing, sink = stored[key], changes.setdefault(key, {})
            elif key in new:
                existing = sink = new[key]
            else:
                new[key] = samples
                changed += 1
                continue
            difference = {name: sample for name, sample in samples.items() if name not in existing or existing[name] != sample}
            existing.update(difference)
            sink.update(difference)
            changed += bool(difference)
        written = [*((key, values) for key, values in changes.items() if values), *new.items()]
        if not written:
            return 0
        with self._arrivals.writing(partial(reading_parts, written), arrived_at):
            self._update_readings(changes, doubted, arrived_at)
            late = self._insert_readings(new, any(row.quality for row in rows), arrived_at)
        return changed - len(late) + (self._merge_readings(late, arrived_at) if late else 0)

    def _stored_samples(self, rows: Sequence[ReadingRow]) -> tuple[dict[Key, Document], dict[Key, Document]]:
        """Return stored samples by asset and instant, and the quality of those that are not good.

        Cheap if a batch is all new or all stored already.
        """
        stored: dict[Key, Document] = {}
        doubted: dict[Key, Document] = {}
        for asset, group in groupby(sorted(rows, key=_asset), key=_asset):
            instants = list({whole_millis(row.ts) for row in group})
            if not self._any_stored(asset, min(instants), max(instants)):
                continue
            for document in self._readings.find({"asset": asset, "ts": {"$in": instants}}, _SAMPLES):
                key = asset, utc(document["ts"])
                stored[key] = samples_in(document) if "q" in document else document["v"]
                if "q" in document:
                    doubted[key] = document["q"]
        return stored, doubted

    def _insert_readings(self, new: Mapping[Key, Document], graded: bool, arrived_at: datetime) -> list[ReadingRow]:
        """Insert documents; return as rows those that another process has inserted meanwhile. `graded`: some have a quality."""
        if not new:
            return []
        documents: list[Document] = [
            {"asset": asset, "ts": ts, **(sample_fields(samples) if graded else {"v": samples}), "arrived_at": arrived_at}
            for (asset, ts), samples in new.items()
        ]
        late = [documents[position] for position in self._insert(documents)]
        return [ReadingRow(d["asset"], d["ts"], d["v"], d.get("q", {})) for d in late]

    def _update_readings(self, changes: Mapping[Key, Document], doubted: Mapping[Key, Document], arrived_at: datetime) -> None:
        updates = [
            UpdateOne({"asset": key[0], "ts": key[1]}, sample_update({"arrived_at": arrived_at}, samples, doubted.get(key, ())))
            for key, samples in changes.items()
            if samples
        ]
        if updates:
            self._readings.bulk_write(updates, ordered=False)

    def add_events(self, rows: Sequence[EventRow], arrived_at: datetime) -> int:
        """Merge events by (asset, type, start): a new end or attribute replaces the old one, an omitted one stays."""
        return sum(self._merge_events(rows[start : start + CHUNK], arrived_at) for start in range(0, len(rows), CHUNK))

    def _merge_events(self, rows: Sequence[EventRow], arrived_at: datetime) -> int:
        merged, changed = self._find_changed_events(rows)
        for _ in range(_ATTEMPTS):
            if self._record_and_write_events(merged, arrived_at):
                return changed
            merged, _changed_since = self._find_changed_events(rows)
        raise UserError(f"another process keeps changing events of {rows[0].asset!r}: import them again later")

    def _find_changed_events(self, rows: Sequence[EventRow]) -> tuple[list[tuple[Document | None, Document]], int]:
        """Return stored and merged documents that differ, and how many rows caused a change."""
        stored = {_event_key(document): document for document in self._stored_events(rows)}
        merged: dict[tuple[str, str, datetime], Document] = {}
        changed = 0
        for row in rows:
            key = (row.asset, row.type, whole_millis(row.start))
            event = merged.get(key) or stored.get(key)
            after = merge_event(event, row)
            if event is None or after != event:
                merged[key] = after
                changed += 1
        return [(stored.get(key), after) for key, after in merged.items()], changed

    def _stored_events(self, rows: Sequence[EventRow]) -> Iterator[Document]:
        for asset, group in groupby(sorted(rows, key=_asset), key=_asset):
            starts = list({whole_millis(row.start) for row in group})
            yield from self._events.find({"asset": asset, "start": {"$in": starts}})

    def _record_and_write_events(self, merged: Sequence[tuple[Document | None, Document]], arrived_at: datetime) -> bool:
        """Write changed events, with an arrival record for changes of an evaluation: starts and ends."""
        turns = [(after, turn) for before, after in merged if (turn := turn_of(before, after)) is not None]
        if not turns:
            return not merged or self._write_events(merged, arrived_at)
        with self._arrivals.writing(partial(event_parts, turns), arrived_at):
            return self._write_events(merged, arrived_at)

    def _write_events(self, merged: Sequence[tuple[Document | None, Document]], arrived_at: datetime) -> bool:
        """Write changed events; return False if another process has changed one of them meanwhile."""
        new = [{**after, "arrived_at": arrived_at} for before, after in merged if before is None]
        updates = [
            UpdateOne(
                {"_id": before["_id"], "end": before["end"], "attributes": before["attributes"]},
                {"$set": {"end": after["end"], "attributes": after["attributes"], "arrived_at": arrived_at}},
            )
            for before, after in merged
            if before is not None
        ]
        alone = True
        if updates:
            alone = self._events.bulk_write(updates, ordered=False).matched_count == len(updates)
        try:
            if new:
                self._events.insert_many(new, ordered=False)
        except BulkWriteError as error:
            only_duplicates(error)
            return False
        return alone

    def load(
        self,
        asset: Asset,
        start: datetime | None,
        end: datetime | None,
        variables: Iterable[str] | None = None,
        events_since: datetime | None = None,
    ) -> History:
        """Return readings with start < ts <= end, and the events that start at or before end.

        The columns are the given variables, or all that the asset declares; a variable without a reading is all missing. With
        `events_since`, of earlier events only the last one of each type, and lasting ones that go on after it. Raises UserError
        if a stored value is not of its variable's type.
        """
        types = types_of(asset, asset.variables if variables is None else variables)
        event_types = tuple(self._assets.event_types())
        readings, doubts = self._load_readings(asset.name, start, end, types)
        return History(
            asset, readings, load_events(self._events, asset.name, event_types, end, events_since), event_types, doubts
        )

    def _load_readings(
        self, asset: str, start: datetime | None, end: datetime | None, types: Mapping[str, VariableType]
    ) -> tuple[pd.DataFrame, Doubts]:
        query: Document = {"asset": asset}
        if within := {op: at for op, at in (("$gt", start), ("$lte", end)) if at is not None}:
            query["ts"] = within
        cursor = self._readings.find(query, _fields("ts", types)).sort([("asset", 1), ("ts", 1)]).batch_size(CHUNK)
        return readings_frame(asset, cursor, types)

    def load_many(self, wanted: Sequence[Wanted], end: datetime) -> dict[str, ReadingColumns]:
        """Return readings of many assets up to and including end, by asset: one query for all that begin at the same instant."""
        found: dict[str, ReadingColumns] = {}
        for start, group in groupby(sorted(wanted, key=_start), key=_start):
            found |= self._load_from(list(group), start, end)
        return found

    def _load_from(self, wanted: Sequence[Wanted], start: datetime, end: datetime) -> dict[str, ReadingColumns]:
        types = {w.asset: w.types for w in wanted}
        names = {name for known in types.values() for name in known}
        query: Document = {"asset": {"$in": list(types)}, "ts": {"$gt": start, "$lte": end}}
        cursor = self._readings.find(query, _fields("asset ts", names)).sort([("asset", 1), ("ts", 1)]).batch_size(CHUNK)
        read = {name: readings_columns(name, group, types[name]) for name, group in groupby(cursor, key=_asset_of)}
        return {name: read[name] if name in read else readings_columns(name, iter(()), types[name]) for name in types}

    def newest(self, asset: Asset, since: Mapping[str, datetime], until: datetime) -> pd.DataFrame:
        """Return the newest value of each variable in (since, until] within its engineering range, as readings of a history.

        Raises UserError if a stored value is not of its variable's type.
        """
        return newest_readings(self._readings, asset, since, until)

    def index_newest(self, variables: Iterable[str]) -> None:
        index_newest(self._readings, variables)

    def newest_instants(self) -> dict[str, datetime]:
        """Return the instant of the newest reading of each asset, by name, with one index lookup each."""
        newest: list[Document] = [{"$sort": {"asset": -1, "ts": -1}}, {"$group": {"_id": "$asset", "ts": {"$first": "$ts"}}}]
        return {found["_id"]: utc(found["ts"]) for found in self._readings.aggregate(newest)}

    def span(self, asset: str) -> tuple[datetime, datetime] | None:
        ends = [self._readings.find_one({"asset": asset}, {"ts": True}, sort=[("ts", way)]) for way in (1, -1)]
        first, last = ends
        return None if first is None or last is None else (utc(first["ts"]), utc(last["ts"]))


def _fields(keys: str, variables: Collection[str]) -> Document:
    """Return the projection of these fields and of the samples of these variables."""
    values = [f"v.{name}" for name in variables] if 0 < len(variables) <= _FEW else ["v"]
    return {"_id": False, **dict.fromkeys([*keys.split(), "q", *values], True)}


def _start(wanted: Wanted) -> datetime:
    return wanted.start


def _asset_of(document: Document) -> str:
    name: str = document["asset"]
    return name


def _asset(row: ReadingRow | EventRow) -> str:
    return row.asset


def _event_key(document: Document) -> tuple[str, str, datetime]:
    return document["asset"], document["type"], utc(document["start"])
