"""Arrival records and reprocessing requests in MongoDB."""

import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from pymongo import DeleteOne, UpdateOne, WriteConcern
from pymongo.errors import OperationFailure

from alerting.adapters.mongo.documents import (
    Document,
    MongoDatabase,
    repeated,
    to_bson,
    to_document,
    upsert,
    utc,
)
from alerting.adapters.mongo.each import read_stored
from alerting.adapters.mongo.indexes import ARRIVALS, EVALUATED_UNTIL, REPROCESSING_REQUESTS
from alerting.adapters.mongo.transactions import session_of
from alerting.episodes.state_table import TargetKey
from alerting.ports.late import Arrival, LatePart, ReprocessingRequest, Unfinished
from alerting.ports.unit_of_work import Unit

_DOCUMENT_ID = "evaluated_until"
_OLDEST_FIRST = {"arrived_at": 1, "_id": 1}
_UNFINISHED: list[Document] = [
    {"$match": {"waits": True}},
    {"$sort": _OLDEST_FIRST},
    {"$unionWith": {"coll": REPROCESSING_REQUESTS, "pipeline": [{"$limit": 1}]}},
]


_WRITES: list[Document] = [
    {"$match": {"operationType": {"$in": ["insert", "replace", "delete"]}}},
    {"$project": {"operationType": True, "documentKey": True, "fullDocument": True}},
]
_WAIT_MS = 1_000  # a change is told at once
_MOST_OWN = 1_000
_MOST_ANNOUNCED = 10_000
NO_CHANGE_STREAMS = (13, 40573)
"""Codes of Unauthorized, and of a server that is no replica set."""


class MongoArrivals:
    """Port `Arrivals`."""

    def __init__(self, database: MongoDatabase) -> None:
        self._database = database
        self._arrivals = database[ARRIVALS]
        self._evaluated_until = database[EVALUATED_UNTIL]
        self._requests = database[REPROCESSING_REQUESTS]
        self._done = database[ARRIVALS].with_options(write_concern=WriteConcern(w=1))
        self._has_evaluated = False
        self._own: dict[str, None] = {}  # ids, the oldest first

    def store_arrival(self, arrival: Arrival) -> None:
        self._own[arrival.id] = None
        if len(self._own) > _MOST_OWN:
            del self._own[next(iter(self._own))]
        document = to_document(arrival)
        document.pop("id")
        self._arrivals.replace_one({"_id": arrival.id}, {**document, "waits": True}, upsert=True)

    def remove(self, id: str) -> None:
        """Remove a record without waiting for the journal: a second routing has no effect."""
        self._done.delete_one({"_id": id})

    def evaluated_until(self) -> datetime | None:
        found = self._evaluated_until.find_one({"_id": _DOCUMENT_ID})
        return None if found is None else utc(found["up_to"])

    def has_evaluated(self) -> bool:
        self._has_evaluated = self._has_evaluated or self.evaluated_until() is not None
        return self._has_evaluated

    def extend_evaluated_until(self, up_to: datetime) -> None:
        """Advance the instant; an earlier one changes nothing."""
        change = {"$max": {"up_to": to_bson(up_to)}}
        upsert(lambda: self._evaluated_until.update_one({"_id": _DOCUMENT_ID}, change, upsert=True))

    @repeated
    def unfinished(self) -> Unfinished:
        found = list(self._arrivals.aggregate(_UNFINISHED))
        waiting = [document for document in found if "waits" in document]
        return Unfinished(_arrivals(waiting), len(waiting) < len(found))

    @repeated
    def arrived_since(self, arrived_from: datetime) -> list[Arrival]:
        return _arrivals(
            self._arrivals.find({"arrived_at": {"$gte": to_bson(arrived_from)}}).sort(_OLDEST_FIRST)
        )

    def written_by_others(self, stop: Callable[[], bool]) -> Iterator[tuple[LatePart, ...]]:
        """Follow the records by a change stream: a record is stored before its rows, and removed
        or completed after them."""
        announced = OrderedDict[str, tuple[LatePart, ...]]()
        try:
            with self._arrivals.watch(_WRITES, max_await_time_ms=_WAIT_MS) as stream:
                yield ()
                while stream.alive and not stop():
                    change = stream.try_next()
                    yield () if change is None else self._written(change, announced)
        except OperationFailure as fault:
            if fault.code not in NO_CHANGE_STREAMS:
                raise

    def as_another(self) -> "MongoArrivals":
        return MongoArrivals(self._database)

    def _written(
        self, change: Mapping[str, Any], announced: OrderedDict[str, tuple[LatePart, ...]]
    ) -> tuple[LatePart, ...]:
        """Return what is written by now, as it was announced; nothing of an announcement, which is
        noted."""
        id = change["documentKey"]["_id"]
        if id in self._own:
            return ()
        if change["operationType"] == "delete":
            return announced.pop(id, ())
        for arrival in _arrivals([change["fullDocument"]]):  # none if its document is faulty
            if arrival.written:
                return announced.pop(id, arrival.parts)
            announced[id] = arrival.parts
        if len(announced) > _MOST_ANNOUNCED:  # of writers that were killed
            announced.popitem(last=False)
        return ()

    @repeated
    def mark_routed(self, routed: Sequence[tuple[Arrival, int]], at: datetime) -> None:
        alike: dict[tuple[bool, int], list[str]] = {}
        for arrival, too_late in routed:
            alike.setdefault((arrival.written, too_late), []).append(arrival.id)
        for (written, too_late), ids in alike.items():
            done = {
                "$set": {"routed_at": to_bson(at), "too_late": too_late},
                "$unset": {"waits": True},
            }
            self._arrivals.update_many({"_id": {"$in": ids}, "written": written}, done)

    @repeated
    def forget(self, before: datetime) -> int:
        old = {"arrived_at": {"$lt": to_bson(before)}, "waits": {"$exists": False}}
        return self._arrivals.delete_many(old).deleted_count

    def request_reprocessing(self, starts: Mapping[TargetKey, datetime]) -> None:
        token = {"$set": {"token": uuid.uuid4().hex}}
        updates = [
            UpdateOne(
                {"definition": definition, "asset": asset},
                {"$min": {"start": to_bson(start)}, **token},
                upsert=True,
            )
            for (definition, asset), start in starts.items()
        ]
        if updates:
            upsert(lambda: self._requests.bulk_write(updates, ordered=False))

    @repeated
    def requests(self, definitions: Sequence[str]) -> dict[TargetKey, ReprocessingRequest]:
        wanted = set(definitions)
        found = read_stored(REPROCESSING_REQUESTS, ReprocessingRequest, self._requests.find())
        return {(d.definition, d.asset): d for d in found if d.definition in wanted}

    def remove_requests(self, requests: Sequence[ReprocessingRequest], unit: Unit) -> None:
        done = [
            DeleteOne({"definition": r.definition, "asset": r.asset, "token": r.token})
            for r in requests
        ]
        if done:
            self._requests.bulk_write(done, ordered=False, session=session_of(unit))


def _arrivals(found: Iterable[Document]) -> list[Arrival]:
    return read_stored(ARRIVALS, Arrival, found, id="id")
