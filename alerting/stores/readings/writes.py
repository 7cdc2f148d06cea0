"""Writes of readings and events in MongoDB: one document per asset and instant, one per event.

A plain collection with a unique index, so that a second import changes nothing; `arrived_at` is the
last change of a document. A batch is written one column at a time: its documents form one matrix of
bytes, one row each, laid out as if every row had every sample and every text were as long as the
longest text of its column; a mask selects the bytes that are written.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any, TypeAlias

from bson.raw_bson import RawBSONDocument
from pymongo import DeleteOne, UpdateOne

from alerting.deferred import np, npt, pd
from alerting.definitions.asset_documents import VariableType
from alerting.ports import (
    BatchMatch,
    EventRow,
    ReadingBatch,
    ReadingColumns,
    ReadingKey,
    ReadingRow,
    SampleColumn,
)
from alerting.readings.history import (
    Millis,
    datetimes,
    find_members,
    from_millis,
    to_millis,
    whole_millis,
)
from alerting.stores.database.documents import (
    EVENTS,
    READINGS,
    Document,
    MongoDatabase,
    from_document,
    insert_all_new,
    repeated,
    to_document,
    upsert,
    utc,
)
from alerting.stores.readings.columns import sample_fields
from alerting.stores.readings.readings import read_pieces

_Positions: TypeAlias = "npt.NDArray[np.int64]"

_MOST_IN_RANGE = 2000
"""Instants that are looked at in a range before each wanted one is searched by itself."""
_SAMPLES: Document = {"_id": False, "asset": True, "ts": True, "v": True, "q": True}
_SMALL_BATCH = 1000
LARGEST = 1 << 26  # bytes of the matrix
_DOUBLE = b"\x01"
_STRING = b"\x02"
_DOCUMENT = b"\x03"
_OBJECT_ID = b"\x07"
_BOOLEAN = b"\x08"
_DATE = b"\x09"
_END = b"\x00"
Sizes: TypeAlias = "npt.NDArray[np.int64]"


class MongoReadingWrites:
    """Port `ReadingWrites`."""

    def __init__(self, database: MongoDatabase) -> None:
        self._readings = database[READINGS]
        self._events = database[EVENTS]

    @repeated
    def match(self, batch: ReadingBatch) -> BatchMatch:
        """Compare a batch with the stored readings, by one short query if all rows are new."""
        matches = BatchMatch(np.ones(len(batch), bool), np.zeros(len(batch), bool))
        codes, assets = pd.factorize(batch.assets)
        within = {"$gte": from_millis(batch.at.min()), "$lte": from_millis(batch.at.max())}
        query = {"asset": {"$in": assets.tolist()}, "ts": within}
        if self._readings.find_one(query, {"_id": True}) is None:
            return matches
        for code, asset in enumerate(assets):
            rows = np.flatnonzero(codes == code)
            for piece in self._pieces_at(asset, batch.at[rows], _types(batch)):
                if not len(piece.ts):
                    continue
                positions = np.minimum(np.searchsorted(piece.ts, batch.at[rows]), len(piece.ts) - 1)
                is_stored = piece.ts[positions] == batch.at[rows]
                matches.free[rows[is_stored]] = False
                matches.same[rows[is_stored]] = _are_same(
                    batch, rows[is_stored], piece, positions[is_stored]
                )
        return matches

    def _pieces_at(
        self, asset: str, at: Millis, types: Mapping[str, VariableType]
    ) -> list[ReadingColumns]:
        """Return the readings at these instants: all readings from the first to the last instant,
        unless most of them are at other instants."""
        within = {"$gte": from_millis(at.min()), "$lte": from_millis(at.max())}
        most = 2 * len(at)
        query: Document = {"asset": asset, "ts": within}
        pieces = list(read_pieces(self._readings, asset, query, types, limit=most))
        if sum(len(piece.ts) for piece in pieces) < most:
            return pieces
        query["ts"] = {"$in": datetimes(at)}
        return list(read_pieces(self._readings, asset, query, types))

    @repeated
    def stored(self, keys: Iterable[ReadingKey]) -> dict[ReadingKey, ReadingRow]:
        """Return all stored samples at these instants: for a small batch by one query.

        A large batch takes one short query per asset if all samples of the asset are new.
        """
        by_asset: dict[str, set[int]] = {}
        for asset, at in keys:
            by_asset.setdefault(asset, set()).add(at)
        pairs = sum(map(len, by_asset.values()))
        if pairs <= _SMALL_BATCH:
            instants = set[int]().union(*by_asset.values())
            is_mixed = len(by_asset) * len(instants) > 4 * pairs
            return self._find_stored(
                self._rows_within(by_asset, min(instants), max(instants)) if is_mixed else by_asset
            )
        rows: dict[ReadingKey, ReadingRow] = {}
        for asset, instants in by_asset.items():
            between = {"$gte": from_millis(min(instants)), "$lte": from_millis(max(instants))}
            if self._readings.find_one({"asset": asset, "ts": between}, {"_id": True}) is not None:
                rows |= self._find_stored({asset: instants})
        return rows

    def _find_stored(self, by_asset: Mapping[str, set[int]]) -> dict[ReadingKey, ReadingRow]:
        """Return stored samples at these instants: the index is searched once per asset and
        instant."""
        if not by_asset:
            return {}
        instants = set[int]().union(*by_asset.values())
        query = {
            "asset": {"$in": list(by_asset)},
            "ts": {"$in": [from_millis(at) for at in instants]},
        }
        rows: dict[ReadingKey, ReadingRow] = {}
        for document in self._readings.find(query, _SAMPLES):
            asset = document["asset"]
            ts = utc(document["ts"])
            at = to_millis(ts)
            if at in by_asset[asset]:
                rows[asset, at] = ReadingRow(
                    asset, ts, document.get("v", {}), document.get("q", {})
                )
        return rows

    def _rows_within(
        self, by_asset: Mapping[str, set[int]], first: int, last: int
    ) -> Mapping[str, set[int]]:
        """Return the stored instants among the wanted ones, by one scan of the index from first to
        last.

        So an asset that reports at instants of its own is not searched at the instants of all
        others. If too many entries lie in between, return all wanted instants.
        """
        query = {
            "asset": {"$in": list(by_asset)},
            "ts": {"$gte": from_millis(first), "$lte": from_millis(last)},
        }
        stored: dict[str, set[int]] = {}
        covered = self._readings.find(query, {"_id": False, "asset": True, "ts": True}).limit(
            _MOST_IN_RANGE
        )
        for number, document in enumerate(covered, 1):
            if number == _MOST_IN_RANGE:
                return by_asset
            at = to_millis(utc(document["ts"]))
            if at in by_asset[document["asset"]]:
                stored.setdefault(document["asset"], set()).add(at)
        return stored

    def insert(self, rows: Sequence[ReadingRow], arrived_at: datetime) -> list[int]:
        documents: Sequence[Any] | None = None
        if isinstance(rows, ReadingBatch) and not rows.quality:
            documents = batch_documents(rows, arrived_at)
        if documents is None:
            documents = [
                {"asset": r.asset, "ts": r.ts, **sample_fields(r), "arrived_at": arrived_at}
                for r in rows
            ]
        return insert_all_new(self._readings, documents)

    def update(
        self, changes: Sequence[tuple[ReadingRow, ReadingRow]], arrived_at: datetime
    ) -> None:
        """Put samples into rows."""
        updates = [
            UpdateOne(
                {"asset": new.asset, "ts": new.ts},
                _sample_update(stored, new, arrived_at),
                upsert=True,
            )
            for stored, new in changes
        ]
        if updates:
            upsert(lambda: self._readings.bulk_write(updates, ordered=False))

    @repeated
    def delete_samples(self, rows: Sequence[ReadingRow]) -> None:
        """Delete samples, and then the documents without any sample."""
        if not rows:
            return
        places = [{"asset": row.asset, "ts": row.ts} for row in rows]
        updates = [
            UpdateOne(place | match, {"$unset": dict.fromkeys(match, "")})
            for place, match in zip(places, map(_match_row, rows), strict=True)
        ]
        self._readings.bulk_write(updates, ordered=False)
        nothing: Document = {"v": {}, "q": {"$in": [None, {}]}}
        self._readings.bulk_write([DeleteOne(place | nothing) for place in places], ordered=False)

    @repeated
    def stored_events(self, rows: Sequence[EventRow]) -> list[EventRow]:
        starts: dict[str, set[datetime]] = {}
        for row in rows:
            starts.setdefault(row.asset, set()).add(whole_millis(row.start))
        queries = [
            {"asset": asset, "start": {"$in": list(of_asset)}} for asset, of_asset in starts.items()
        ]
        return [
            from_document(EventRow, document)
            for query in queries
            for document in self._events.find(query)
        ]

    def write_events(
        self, changes: Sequence[tuple[EventRow | None, EventRow]], arrived_at: datetime
    ) -> bool:
        new = [
            {**to_document(after), "arrived_at": arrived_at}
            for before, after in changes
            if before is None
        ]
        updates = [
            UpdateOne(
                to_document(before), {"$set": {**to_document(after), "arrived_at": arrived_at}}
            )
            for before, after in changes
            if before is not None
        ]
        alone = True
        if updates:
            alone = self._events.bulk_write(updates, ordered=False).matched_count == len(updates)
        return not insert_all_new(self._events, new) and alone

    @repeated
    def delete_events(self, events: Sequence[EventRow]) -> None:
        deletions = [DeleteOne(to_document(event)) for event in events]
        if deletions:
            self._events.bulk_write(deletions, ordered=False)

    @repeated
    def has_events(self, event_type: str) -> bool:
        return self._events.find_one({"type": event_type}, {"_id": True}) is not None


def _match_row(row: ReadingRow) -> Document:
    """Return the condition that exactly these samples are stored, with their qualities."""
    values = {f"v.{name}": row.values.get(name) for name in (*row.values, *row.quality)}
    return values | {f"q.{name}": row.quality.get(name) for name in (*row.values, *row.quality)}


def _types(batch: ReadingBatch) -> dict[str, VariableType]:
    kinds: dict[type, VariableType] = {np.object_: "category", np.bool_: "boolean"}
    return {n: kinds.get(c.values.dtype.type, "number") for n, c in batch.columns.items()}


def _are_same(
    batch: ReadingBatch, rows: _Positions, stored: ReadingColumns, positions: _Positions
) -> npt.NDArray[np.bool_]:
    """Return which rows of a batch have only samples that are stored at these positions with good
    quality."""
    same = np.ones(len(rows), bool)
    for name, column in batch.columns.items():
        samples = column.take(rows)
        if name in stored.faults:
            same &= ~samples.present
            continue
        same &= ~samples.present | (samples.values == stored.values[name][positions])
        for doubtful in (stored.doubts.bad, stored.doubts.uncertain):
            if name in doubtful:
                same &= ~find_members(batch.at[rows], doubtful[name])
    return same


def _sample_update(stored: ReadingRow, new: ReadingRow, arrived_at: datetime) -> Document:
    put = {"v": new.values, "q": new.quality}
    gone = [f"v.{name}" for name in new.quality if name not in new.values]
    gone += [
        f"q.{name}" for name in stored.quality if name in new.values and name not in new.quality
    ]
    fields = {
        f"{part}.{name}": sample
        for part, samples in put.items()
        for name, sample in samples.items()
    }
    update = {"$set": {**fields, "arrived_at": arrived_at}}
    return {**update, "$unset": dict.fromkeys(gone, "")} if gone else update


def batch_documents(batch: ReadingBatch, arrived_at: datetime) -> list[RawBSONDocument] | None:
    """Return the documents {_id, asset, ts, v, arrived_at} of a batch without qualities, new ids
    included.

    Return None if the matrix would be larger than `LARGEST`, because of a long text.
    """
    rows = len(batch)
    asset = _Texts.encode(_key(_STRING, "asset"), batch.assets)
    texts = {
        n: _Texts.encode(_key(_STRING, n), c.values)
        for n, c in batch.columns.items()
        if c.values.dtype == object
    }
    if rows * (asset.longest + sum(text.longest for text in texts.values())) > LARGEST:
        return None
    samples = [
        texts[n].field_bytes() if n in texts else _sample(n, column)
        for n, column in batch.columns.items()
    ]
    within = _total(samples, rows) + 4 + len(_END)
    end = _FieldBytes(_END, np.empty(rows, "V0"))
    body = [
        _FieldBytes(_key(_OBJECT_ID, "_id"), _new_ids(rows)),
        asset.field_bytes(),
        _FieldBytes(_key(_DATE, "ts"), batch.at.astype("<i8", copy=False)),
        _FieldBytes(_key(_DOCUMENT, "v"), within.astype("<i4")),
        *samples,
        end,
        _FieldBytes(_key(_DATE, "arrived_at"), np.full(rows, to_millis(arrived_at), "<i8")),
        end,
    ]
    sizes = _total(body, rows) + 4
    raw = _join_fields([_FieldBytes(b"", sizes.astype("<i4")), *body], rows)
    return [
        RawBSONDocument(raw[start:end]) for start, end in pairwise([0, *np.cumsum(sizes).tolist()])
    ]


@dataclass(frozen=True)
class _FieldBytes:
    """One field of all rows: the same key, then the bytes of one item of `values` for each row; of
    key and bytes together the first `sizes` (None: all) are written."""

    key: bytes
    values: npt.NDArray[Any]
    sizes: Sizes | None = None

    @property
    def width(self) -> int:
        return len(self.key) + self.values.itemsize


@dataclass(frozen=True)
class _Texts:
    """Fields of text: the distinct texts, and the index of the text of each row (-1: none)."""

    fields: Sequence[bytes]
    codes: npt.NDArray[np.int64]

    @classmethod
    def encode(cls, key: bytes, values: npt.NDArray[Any]) -> _Texts:
        codes, different = pd.factorize(values)
        texts = [text.encode() + _END for text in different]
        return cls([key + len(text).to_bytes(4, "little") + text for text in texts], codes)

    @property
    def longest(self) -> int:
        return max(map(len, self.fields), default=0)

    def field_bytes(self) -> _FieldBytes:
        fields = [*self.fields, b""]
        data = np.array(fields, f"V{self.longest}")
        sizes = np.array([len(field) for field in fields], np.int64)[self.codes]
        return _FieldBytes(b"", data[self.codes], None if (sizes == self.longest).all() else sizes)


def _new_ids(rows: int) -> npt.NDArray[np.void]:
    """Return new object ids, made as drivers make them: the second, five random bytes, and a
    counter."""
    ids = np.empty((rows, 12), np.uint8)
    ids[:, :9] = np.frombuffer(int(time.time()).to_bytes(4, "big") + os.urandom(5), np.uint8)
    ids[:, 9:] = np.arange(rows, dtype=">u4").view(np.uint8).reshape(rows, 4)[:, 1:]
    return ids.view("V12").reshape(rows)


def _key(type_: bytes, name: str) -> bytes:
    return type_ + name.encode() + _END


def _sample(name: str, column: SampleColumn) -> _FieldBytes:
    is_boolean = column.values.dtype == np.bool_
    key = _key(_BOOLEAN if is_boolean else _DOUBLE, name)
    values = column.values if is_boolean else column.values.astype("<f8", copy=False)
    if column.present.all():
        return _FieldBytes(key, values)
    return _FieldBytes(key, values, np.where(column.present, len(key) + values.itemsize, 0))


def _total(fields: Sequence[_FieldBytes], rows: int) -> Sizes:
    total = np.zeros(rows, np.int64)
    for field in fields:
        total += field.width if field.sizes is None else field.sizes
    return total


def _join_fields(fields: Sequence[_FieldBytes], rows: int) -> bytes:
    starts = np.cumsum([0, *(field.width for field in fields)]).tolist()
    data = np.empty((rows, starts[-1]), np.uint8)
    keys = b"".join(field.key + bytes(field.values.itemsize) for field in fields)
    data[:] = np.frombuffer(keys, np.uint8)
    for field, start in zip(fields, starts, strict=False):
        item = np.dtype(
            {
                "names": ["one"],
                "formats": [field.values.dtype],
                "offsets": [start + len(field.key)],
                "itemsize": starts[-1],
            }
        )
        data.reshape(-1).view(item)["one"] = field.values
    if all(field.sizes is None for field in fields):
        return data.tobytes()
    is_written = np.ones(data.shape, dtype=bool)
    for field, start in zip(fields, starts, strict=False):
        if field.sizes is not None:
            is_written[:, start : start + field.width] = (
                np.arange(field.width) < field.sizes[:, None]
            )
    return data[is_written].tobytes()
