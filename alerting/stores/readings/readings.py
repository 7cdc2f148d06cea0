"""Readings and events from MongoDB: all up to an instant, those that matter from another instant
on, or the newest value of a variable that is carried forward.

A separate index finds the newest value, so that the search does not depend on the number of later
readings. The index is made when a model that needs it is put into service.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby, pairwise
from operator import attrgetter, itemgetter
from typing import Any, TypeAlias

import bson
from bson.codec_options import CodecOptions
from pymongo import ASCENDING, DESCENDING
from pymongo.cursor import Cursor
from pymongo.errors import OperationFailure

from alerting.deferred import np, npt, pd
from alerting.definitions.asset_documents import Asset, EventType, VariableType, types_of
from alerting.ports import NewestReading, ReadingColumns, Wanted, WantedHistory
from alerting.readings.history import (
    EVENT_COLUMNS,
    FIRST_INSTANT,
    Doubts,
    History,
    Millis,
    from_millis,
    has_data,
    no_events,
    read_computed,
    to_millis,
)
from alerting.readings.variable_series import LEAST_FAR, usual_instants
from alerting.stores.assets import MongoAssets
from alerting.stores.database.documents import (
    EVENTS,
    READINGS,
    Document,
    MongoCollection,
    MongoDatabase,
    good,
    repeated,
    utc,
    without_none,
)
from alerting.stores.readings.columns import (
    CHUNK,
    events_frame,
    frame_of,
    join_columns,
    joined_frame,
    joined_newest,
    newest_frame,
    readings_columns,
    readings_frame,
)

_NAIVE: CodecOptions[Document] = CodecOptions(tz_aware=False)  # half the time of decoding
_LAST = datetime(9999, 1, 1, tzinfo=UTC)
_ENDS = 1000  # first and last instants among which few far from all others are looked for
_MOST_COUNTED = 100 * _ENDS - 1  # few are then fewer than _ENDS: between the ends is no gap
_FEW = 50  # most variables that a query names; with more, it reads all
_DOUBLE = 0x01
_DOCUMENT = 0x03
_DATE = 0x09
Bytes: TypeAlias = "npt.NDArray[np.uint8]"


class MongoReadings:
    """Port `Readings`."""

    def __init__(self, database: MongoDatabase) -> None:
        # which halves the time of decoding
        without_zone = database.codec_options.with_options(tz_aware=False, tzinfo=None)
        self._readings = database[READINGS].with_options(without_zone)
        self._events = database[EVENTS]
        self._assets = MongoAssets(database)

    @repeated
    def load(self, request: WantedHistory) -> History:
        asset = request.asset

        def read(names: Sequence[str], since: datetime | None) -> tuple[pd.DataFrame, Doubts]:
            types = types_of(asset, names)
            query: Document = {"asset": asset.name}
            within = without_none({"$gt": since, "$lte": request.end})
            if within:
                query["ts"] = within
            return joined_frame(list(read_pieces(self._readings, asset.name, query, types)), types)

        event_types = tuple(self._assets.event_types()) if request.with_events else ()
        readings, doubts = read_computed(asset, request.names, request.start, read)
        if not request.with_events:
            return History(asset, readings, doubts=doubts)
        events = load_events(
            self._events, asset.name, event_types, request.end, request.events_since
        )
        return History(asset, readings, events, event_types, doubts)

    @repeated
    def load_many(self, requests: Sequence[Wanted], end: datetime) -> dict[str, ReadingColumns]:
        """Return readings of assets until `end`, by one query for all assets with the same
        begin."""
        columns: dict[str, ReadingColumns] = {}
        by_start = attrgetter("start")
        for start, group in groupby(sorted(requests, key=by_start), key=by_start):
            columns |= self._load_from(list(group), start, end)
        return columns

    @repeated
    def load_histories(self, requests: Sequence[WantedHistory]) -> dict[str, History]:
        """Return the histories of assets, except assets with a computed variable or a value of the
        wrong type."""
        if not requests:
            return {}
        measured = [
            request
            for request in requests
            if not any(map(request.asset.is_computed, request.names))
        ]
        end = requests[0].end
        columns = self.load_many(
            [
                Wanted(r.asset.name, types_of(r.asset, r.names), r.start or FIRST_INSTANT)
                for r in measured
            ],
            end or _LAST,
        )
        by_events = [request.asset.name for request in measured if request.with_events]
        event_types = tuple(self._assets.event_types()) if by_events else ()
        with_events = self._assets_with_events(by_events) if by_events else set()
        return {
            request.asset.name: History(
                request.asset,
                frame_of(columns[request.asset.name]),
                load_events(
                    self._events, request.asset.name, event_types, end, request.events_since
                )
                if request.asset.name in with_events
                else no_events(),
                event_types if request.with_events else (),
                columns[request.asset.name].doubts,
            )
            for request in measured
            if not columns[request.asset.name].faults
        }

    def _assets_with_events(self, assets: Sequence[str]) -> set[str]:
        """Return which assets have events, by one index entry each."""
        of_assets: Document = {"$match": {"asset": {"$in": list(assets)}}}
        group: Document = {"$group": {"_id": "$asset"}}
        return {
            document["_id"]
            for document in self._events.aggregate([of_assets, {"$sort": {"asset": 1}}, group])
        }

    def _load_from(
        self, requests: Sequence[Wanted], start: datetime, end: datetime
    ) -> dict[str, ReadingColumns]:
        types = {w.asset: w.types for w in requests}
        names = {name for of_asset in types.values() for name in of_asset}
        within = {"$gt": start, "$lte": end}
        if len(types) == 1:
            ((asset, asset_types),) = types.items()
            selection: Document = {"asset": asset, "ts": within}
            pieces = list(read_pieces(self._readings, asset, selection, asset_types))
            return {
                asset: join_columns(pieces, asset_types, sum(len(piece.ts) for piece in pieces))
            }
        query: Document = {"asset": {"$in": list(types)}, "ts": within}
        cursor = (
            self._readings.find(query, _fields("asset ts", names))
            .sort([("asset", 1), ("ts", 1)])
            .batch_size(CHUNK)
        )
        by_asset = groupby(_documents(cursor), key=itemgetter("asset"))
        read = {name: readings_columns(name, group, types[name]) for name, group in by_asset}
        return {
            name: read[name] if name in read else readings_columns(name, iter(()), types[name])
            for name in types
        }

    @repeated
    def newest_values(
        self, asset: Asset, since: Mapping[str, datetime], until: datetime
    ) -> pd.DataFrame:
        """Return the newest value of each variable in (since, until] within its engineering range,
        as readings of a history.

        Raises UserError if a stored value is not of its variable's type.
        """
        measured = {name: start for name, start in since.items() if not asset.is_computed(name)}
        at: dict[datetime, Document] = {}
        for name, start in measured.items():
            document = _newest_of_bucket(self._readings, asset, name, start, until)
            if document is not None:
                at.setdefault(utc(document["ts"]), {}).update(document.get("v", {}))
        documents = ({"ts": ts, "v": at[ts]} for ts in sorted(at))
        frame = readings_frame(asset.name, documents, types_of(asset, measured))[0]
        computed = {name: start for name, start in since.items() if name not in measured}
        return (
            joined_newest(frame, newest_frame(self.load, asset, computed, until))
            if computed
            else frame
        )

    def index_newest(self, variables: Iterable[str]) -> None:
        """Create the index of each variable, unless the server refuses it. Idempotent."""
        keys = [("asset", ASCENDING), ("ts", DESCENDING)]
        for name in variables:
            has_variable = {f"v.{name}": {"$exists": True}}
            try:
                self._readings.create_index(
                    keys, name=_index(name), partialFilterExpression=has_variable
                )
            except OperationFailure as error:
                # codes of Unauthorized and CannotCreateIndex: a collection has at most 64
                if error.code not in (13, 67):
                    raise

    def newest_readings(
        self, until: datetime | None = None, assets: Collection[str] | None = None
    ) -> dict[str, NewestReading]:
        """Return instant and arrival of the newest reading of each asset, by name, with one index
        lookup each.

        An asset with readings after `until` needs one more lookup.
        """
        first: Document = {
            "_id": "$asset",
            "ts": {"$first": "$ts"},
            "arrived_at": {"$first": "$arrived_at"},
        }
        stages: list[Document] = (
            [] if assets is None else [{"$match": {"asset": {"$in": list(assets)}}}]
        )
        documents = self._readings.aggregate(
            [*stages, {"$sort": {"asset": -1, "ts": -1}}, {"$group": first}]
        )
        read = {
            document["_id"]: _newest_reading(document)
            for document in documents
            if isinstance(document["_id"], str)
        }
        newest = {asset: reading for asset, reading in read.items() if reading is not None}
        late = [
            asset
            for asset, reading in read.items()
            if reading is None or (until is not None and reading.ts > until)
        ]
        for asset in late:
            # instants alone compare with one
            query = {
                "asset": asset,
                "ts": {"$lte": _LAST if until is None else until},
            }
            earlier = self._readings.find_one(
                query, {"ts": True, "arrived_at": True}, sort=[("ts", -1)]
            )
            newest.pop(asset, None)
            if (reading := _newest_reading(earlier)) is not None:
                newest[asset] = reading
        return newest

    def span(self, asset: str, until: datetime | None = None) -> tuple[datetime, datetime] | None:
        query: Document = {"asset": asset, "ts": {"$lte": until or _LAST}}
        first, last = self._ends(query, 1)
        if not len(first):
            return None
        if last[0] - first[0] >= LEAST_FAR:
            first, last = self._ends(query, _ENDS)
            at = np.unique(np.concatenate([first, last]))
            few = len(at) < 2 * _ENDS
            total = len(at) if few else self._readings.count_documents(query, limit=_MOST_COUNTED)
            first = at[usual_instants(at, total)]
        return from_millis(int(first[0])), from_millis(int(last[-1]))

    def _ends(self, query: Document, count: int) -> tuple[Millis, Millis]:
        """Return the first and the last instants that a query finds, each in order."""
        return self._first(query, ASCENDING, count), self._first(query, DESCENDING, count)[::-1]

    def _first(self, query: Document, direction: int, count: int) -> Millis:
        documents = self._readings.find(query, {"_id": False, "ts": True}).sort(
            [("asset", direction), ("ts", direction)]
        )
        instants = [to_millis(utc(document["ts"])) for document in documents.limit(count)]
        return np.array(instants, np.int64)


def read_pieces(
    readings: MongoCollection,
    asset: str,
    query: Document,
    types: Mapping[str, VariableType],
    limit: int = 0,
) -> Iterator[ReadingColumns]:
    """Yield the readings of one asset that a query finds, sorted, batch after batch; at most
    `limit` (0: all)."""
    batches: Any = readings.find_raw_batches(
        query, _fields("ts", types), sort=[("asset", 1), ("ts", 1)], batch_size=CHUNK, limit=limit
    )
    yield from (_columns(asset, batch, types) for batch in batches)


def _columns(asset: str, batch: bytes, types: Mapping[str, VariableType]) -> ReadingColumns:
    columns = None if "category" in types.values() else uniform_columns(batch, types)
    if columns is not None:
        return columns
    return readings_columns(asset, iter(bson.decode_all(batch, _NAIVE)), types)


def _newest_reading(document: Document | None) -> NewestReading | None:
    if document is None or not isinstance(document["ts"], datetime):
        return None
    arrived_at = document.get("arrived_at")
    return NewestReading(
        utc(document["ts"]), utc(arrived_at if isinstance(arrived_at, datetime) else document["ts"])
    )


def _fields(keys: str, variables: Collection[str]) -> Document:
    values = [f"v.{name}" for name in variables] if 0 < len(variables) <= _FEW else ["v"]
    return {"_id": False, **dict.fromkeys([*keys.split(), "q", *values], True)}


def _documents(cursor: Cursor[Document]) -> Iterator[Document]:
    """Yield the documents of a cursor, a chunk at a time, which is faster than one at a time."""
    while chunk := cursor.to_list(CHUNK):
        yield from chunk


_FIELDS = dict.fromkeys(EVENT_COLUMNS, True)


def load_events(
    events: MongoCollection,
    asset: str,
    event_types: Sequence[EventType],
    end: datetime | None,
    since: datetime | None = None,
) -> pd.DataFrame:
    """Return the events that start at or before `end`, as a frame.

    With `since`, the events that start at or before it are only the last one of each type and the
    lasting ones that go on after it. They are found without reading the others.
    """
    instant = frozenset(type_.name for type_ in event_types if type_.duration == "instant")
    within = without_none({"$gt": since, "$lte": end})
    query: Document = {"asset": asset, **({"start": within} if within else {})}
    events_within = list(events.find(query, _FIELDS).sort([("start", 1), ("type", 1)]))
    earlier = [] if since is None else _earlier(events, asset, instant, since)
    return events_frame(good(EVENTS, [*earlier, *events_within], _require_event), instant)


def _require_event(document: Document) -> Document:
    end = document["end"]
    if not (isinstance(document["start"], datetime) and isinstance(document["type"], str)):
        raise TypeError("its start is no instant, or its type no text")
    if not (end is None or isinstance(end, datetime)):
        raise TypeError("its end is no instant")
    return document


def _earlier(
    events: MongoCollection, asset: str, instant: Collection[str], since: datetime
) -> list[Document]:
    """Return, sorted, the last event of each type until an instant, and the lasting events before
    it that go on."""
    last = events.aggregate(
        [
            {"$match": {"asset": asset, "start": {"$lte": since}}},
            # with this order the server looks up one document of each type
            {"$sort": {"type": -1, "start": -1}},
            {"$group": {"_id": "$type", "event": {"$first": "$$ROOT"}}},
        ]
    )
    by_id = {
        group["event"]["_id"]: group["event"] for group in last if isinstance(group["_id"], str)
    }
    lasting = sorted({event["type"] for event in by_id.values()}.difference(instant))
    if lasting:
        ongoing = {"$or": [{"end": None}, {"end": {"$gt": since}}]}
        query = {"asset": asset, "type": {"$in": lasting}, "start": {"$lte": since}, **ongoing}
        by_id.update((event["_id"], event) for event in events.find(query, _FIELDS))
    return sorted(by_id.values(), key=lambda event: (event["start"], str(event["type"])))


def uniform_columns(batch: bytes, names: Collection[str]) -> ReadingColumns | None:
    """Return documents {ts, v} of a batch as columns of numbers, a missing variable as NaN.

    None unless all documents have the same fields, and every value is a float: only then has each
    document the same length, and instants and values lie at the same offsets.
    """
    size = int.from_bytes(batch[:4], "little")
    if not batch or len(batch) % size:
        return None
    offsets = _offsets(batch[:size])
    if offsets is None or "ts" not in offsets:
        return None
    rows = np.frombuffer(batch, np.uint8).reshape(-1, size)
    fixed = np.ones(size, np.bool_)
    for offset in offsets.values():
        fixed[offset : offset + 8] = False
    edges = np.flatnonzero(np.diff(np.r_[False, fixed, False])).tolist()
    for first, last in list(pairwise(edges))[::2]:
        if not (rows[:, first:last] == rows[0, first:last]).all():
            return None
    values = {
        name: _eight(rows, offsets[f"v.{name}"]).view("<f8").astype(np.float64, copy=False)
        if f"v.{name}" in offsets
        else np.full(len(rows), np.nan)
        for name in names
    }
    return ReadingColumns(
        _eight(rows, offsets["ts"]).view("<i8").astype(np.int64, copy=False), values
    )


def _offsets(document: bytes) -> dict[str, int] | None:
    """Return the offset of the eight bytes of each field of a document {ts, v}, or None."""
    offsets: dict[str, int] = {}
    prefix = ""
    at = 4
    while at < len(document):
        kind = document[at]
        if kind == 0:
            at += 1
            prefix = ""
            continue
        end = document.index(0, at)
        name = document[at + 1 : end].decode()
        at = end + 1
        if kind == _DOCUMENT and not prefix and name == "v":
            prefix = "v."
            at += 4
        elif kind == (_DOUBLE if prefix else _DATE):
            offsets[prefix + name] = at
            at += 8
        else:
            return None
    return offsets


def _eight(rows: Bytes, offset: int) -> Bytes:
    return np.ascontiguousarray(rows[:, offset : offset + 8]).reshape(-1)


def _newest_of_bucket(
    readings: MongoCollection, asset: Asset, name: str, start: datetime, until: datetime
) -> Document | None:
    """Return the newest good reading of a variable, through its index or by a slower search."""
    field = f"v.{name}"
    query: Document = {
        "asset": asset.name,
        "ts": {"$gt": start, "$lte": until},
        field: {"$exists": True},
    }
    cursor = (
        readings.find(query, {"_id": False, "ts": True, "q": True, field: True})
        .sort("ts", DESCENDING)
        .batch_size(10)
    )
    try:
        return _first_present(cursor.clone().hint(_index(name)), asset, name)
    except OperationFailure as error:
        if error.code != 2:  # BadValue: the hint names no index
            raise
        return _first_present(cursor, asset, name)


def _first_present(documents: Iterable[Document], asset: Asset, name: str) -> Document | None:
    for document in documents:
        frame, _ = readings_frame(asset.name, iter([document]), types_of(asset, [name]))
        if has_data(History(asset, frame), name)[0]:
            return document
    return None


def _index(name: str) -> str:
    return f"newest_{name}"
