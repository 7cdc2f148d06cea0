"""Rollups in MongoDB: a document per asset, variable and day (minutes) or month (hours), in which
each hour is a field of packed buckets; labels of times."""

from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from functools import lru_cache, partial
from typing import Any

import bson
from pymongo import UpdateOne

from alerting.definitions.faults import shown
from alerting.ports import HourlyParts
from alerting.readings.buckets import HOUR, Buckets, RollupSize, RollupState, join_buckets, unpack
from alerting.readings.history import from_millis, month_interval, month_of, to_millis
from alerting.readings.interval_labels import IntervalLabel
from alerting.stores.database.documents import (
    CODEC,
    LABELS,
    ROLLUP_STATES,
    ROLLUPS,
    Document,
    MongoDatabase,
    Read,
    document_bounds,
    good_values,
    insert_new,
    read_one,
    read_stored,
    to_document,
    to_identified,
    upsert,
    utc,
)

_DAY = timedelta(days=1)


class Rollups:
    """Packed buckets of minutes and hours, and the variables from which they were made."""

    def __init__(self, database: MongoDatabase) -> None:
        self._rollups = database[ROLLUPS]
        self._states = database[ROLLUP_STATES]

    def state(self, asset: str) -> RollupState | None:
        """Return the state of the rollups of an asset; None if nothing is rolled up yet."""
        states = read_stored(ROLLUP_STATES, RollupState, self._states.find({"asset": asset}))
        return states[0] if states else None

    def states(self) -> dict[str, RollupState]:
        stored = read_stored(ROLLUP_STATES, RollupState, self._states.find())
        return {state.asset: state for state in stored}

    def store_state(self, state: RollupState) -> None:
        document = to_document(state)
        query = {"asset": state.asset}
        upsert(lambda: self._states.replace_one(query, document, upsert=True))

    def store(self, asset: str, size: RollupSize, parts: HourlyParts) -> None:
        updates = [
            UpdateOne(
                {"asset": asset, "variable": variable, "size": size, "start": start},
                _change(hours),
                upsert=any(hours.values()),
            )
            for variable, hourly in parts.items()
            for start, hours in _group_by_document(size, hourly).items()
        ]
        if updates:
            upsert(lambda: self._rollups.bulk_write(updates, ordered=False))

    def load(
        self, asset: str, variables: Collection[str], size: RollupSize, start: int, end: int
    ) -> dict[str, Buckets]:
        first, _ = _document_span(size, from_millis(start))
        query: Document = {
            "asset": asset,
            "variable": {"$in": list(variables)},
            "size": size,
            "start": {"$gte": first, "$lt": from_millis(end)},
        }
        fields = {"_id": False, "variable": True, "start": True, "parts": True}
        parse = _month if size == "hours" else partial(_unpack_document, size="minutes")
        batches: Any = self._rollups.find_raw_batches(
            query, fields, sort=[("asset", 1), ("variable", 1), ("size", 1), ("start", 1)]
        )
        pieces: dict[str, list[Buckets]] = {name: [] for name in variables}
        read = (
            _read(asset, batch[begin:stop], parse)
            for batch in batches
            for begin, stop in document_bounds(batch)
        )
        for variable, buckets in good_values(ROLLUPS, read):
            pieces[variable].append(buckets)
        return {name: join_buckets(parts).select(start, end) for name, parts in pieces.items()}

    def forget(self, asset: str, before: int, variables: Collection[str] | None = None) -> int:
        """Delete the documents of these variables, or of all, that end by an instant (ms); return
        their number."""
        of_variables: Document = {} if variables is None else {"variable": {"$in": list(variables)}}
        limit = from_millis(before)
        deleted = 0
        month, _ = month_interval(month_of(limit))
        last_whole_month, _ = month_interval(month_of(month - _DAY))
        for size, longest in (("minutes", limit - _DAY), ("hours", last_whole_month)):
            old = {"asset": asset, **of_variables, "size": size, "start": {"$lte": longest}}
            deleted += self._rollups.delete_many(old).deleted_count
        return deleted


def _read(
    asset: str, document: bytes, parse: Callable[[bytes], tuple[str, Buckets]]
) -> Read[tuple[str, Buckets]]:
    try:
        return Read("", parse(document))
    except Exception as fault:
        return Read(asset, None, (f"cannot be read: {type(fault).__name__}: {shown(str(fault))}",))


@lru_cache(600)  # months, of .1 MB each: twelve variables of a year, and of a page of assets
def _month(document: bytes) -> tuple[str, Buckets]:
    """Read the hours of a month as they are stored; the hours of most months never change again."""
    return _unpack_document(document, "hours")


def _unpack_document(document: bytes, size: RollupSize) -> tuple[str, Buckets]:
    fields = bson.decode(document, CODEC)
    begin = to_millis(utc(fields["start"]))
    parts = {begin + int(at) * HOUR: part for at, part in fields.get("parts", {}).items()}
    return fields["variable"], unpack(parts, size)


def _change(hours: dict[str, bytes]) -> Document:
    filled = {f"parts.{key}": part for key, part in hours.items() if part}
    empty = {f"parts.{key}": "" for key, part in hours.items() if not part}
    return {**({"$set": filled} if filled else {}), **({"$unset": empty} if empty else {})}


def _group_by_document(size: RollupSize, parts: Any) -> dict[datetime, dict[str, bytes]]:
    documents: dict[datetime, dict[str, bytes]] = {}
    for at, part in parts.items():
        start, _ = _document_span(size, from_millis(at))
        documents.setdefault(start, {})[str((at - to_millis(start)) // HOUR)] = part
    return documents


def _document_span(size: RollupSize, at: datetime) -> tuple[datetime, datetime]:
    if size == "hours":
        return month_interval(month_of(at))
    start = at.replace(hour=0, minute=0, second=0, microsecond=0)
    return start, start + _DAY


class MongoLabels:
    """Port `IntervalLabels`. A faulty document is left out: it labels nothing."""

    def __init__(self, database: MongoDatabase) -> None:
        self._labels = database[LABELS]

    def insert(self, label: IntervalLabel) -> bool:
        return insert_new(self._labels, to_identified(label))

    def store_undone(self, label: IntervalLabel) -> bool:
        undone = {"undone_at": label.undone_at, "undone_by": label.undone_by}
        query = {"_id": label.id, "undone_at": None}
        return self._labels.update_one(query, {"$set": undone}).modified_count == 1

    def get(self, id: str) -> IntervalLabel | None:
        return read_one(LABELS, IntervalLabel, self._labels.find_one({"_id": id}), "id")

    def in_force(self, assets: Collection[str], at: datetime | None) -> list[IntervalLabel]:
        query: Document = {"asset": {"$in": list(assets)}}
        if at is None:
            query["undone_at"] = None
        else:
            query |= {
                "made_at": {"$lte": at},
                "$or": [{"undone_at": None}, {"undone_at": {"$gt": at}}],
            }
        return self._read(query, ("start", 1), ("_id", 1))

    def newest_labels(
        self, asset: str, limit: int, before: tuple[datetime, str] | None = None
    ) -> list[IntervalLabel]:
        query: Document = {"asset": asset}
        if before is not None:
            made_at, id = before
            query["$or"] = [{"made_at": {"$lt": made_at}}, {"made_at": made_at, "_id": {"$lt": id}}]
        return self._read(query, ("made_at", -1), ("_id", -1), limit=limit)

    def _read(
        self, query: Document, *order: tuple[str, int], limit: int = 0
    ) -> list[IntervalLabel]:
        documents = self._labels.find(query).sort(list(order)).limit(limit)
        return read_stored(LABELS, IntervalLabel, documents, "id")
