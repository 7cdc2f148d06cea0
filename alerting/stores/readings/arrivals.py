"""Arrival records and reprocessing requests in MongoDB."""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from pymongo import WriteConcern
from pymongo.client_session import ClientSession
from pymongo.errors import OperationFailure, PyMongoError

from alerting.episodes.state_table import TargetKey
from alerting.ports import Arrival, LatePart, ReprocessingRequest, Unfinished, Unit
from alerting.stores.documents import (
    ARRIVALS,
    EVALUATED_UNTIL,
    REPROCESSING_REQUESTS,
    Document,
    MongoDatabase,
    read_stored,
    repeated,
    to_bson,
    to_document,
    upsert,
    utc,
)
from alerting.stores.transactions import session_of

_DOCUMENT_ID = "evaluated_until"
_OLDEST_FIRST = {"arrived_at": 1, "_id": 1}
_UNFINISHED: list[Document] = [
    {"$match": {"waits": True}},
    {"$sort": _OLDEST_FIRST},
    {"$unionWith": {"coll": REPROCESSING_REQUESTS, "pipeline": [{"$limit": 1}]}},
]


_WRITES: list[Document] = [
    {
        "$match": {
            "$or": [
                {"operationType": {"$in": ["insert", "replace", "delete"]}},
                {"updateDescription.updatedFields.done_at": {"$exists": True}},
            ]
        }
    },
    {"$project": {"operationType": True, "documentKey": True, "fullDocument": True}},
]
_WAIT_MS = 1_000  # a change is told at once
_MOST_TARGETS = 20_000  # of a document, far below 16 MB
_MOST_OWN = 1_000
_MOST_ANNOUNCED = 10_000
_MOST_SEEN = 4 * _MOST_ANNOUNCED
NO_CHANGE_STREAMS = (13, 40573)
"""Codes of Unauthorized, and of a server that is no replica set."""
_ASK_S = 0.2
_ASKED_AGAIN_S = 5.0
_OVERLAP = timedelta(seconds=2)
"""How much of the last answers is asked for again: a record can be seen after a later one."""


class RequestPosition(NamedTuple):
    """Where a request is stored: document and position, and how many of its requests waited."""

    document: Any
    position: int
    waiting: int


@dataclass(frozen=True)
class ShardRequests:
    """Document with requests of targets that are evaluated together, as columns, and the positions
    of those that still wait."""

    id: Any
    definitions: tuple[str, ...]
    assets: tuple[str, ...]
    starts: tuple[datetime, ...]
    waiting: tuple[int, ...]

    def __post_init__(self) -> None:
        lengths = {len(self.definitions), len(self.assets), len(self.starts)}
        if len(lengths) > 1 or not set(self.waiting) <= set(range(min(lengths))):
            raise ValueError(
                "its columns do not have the same length, or a position is not in them"
            )


class MongoArrivals:
    """Port `Arrivals`."""

    def __init__(self, database: MongoDatabase) -> None:
        self._database = database
        self._arrivals = database[ARRIVALS]
        self._evaluated_until = database[EVALUATED_UNTIL]
        self._requests = database[REPROCESSING_REQUESTS]
        self._done = database[ARRIVALS].with_options(write_concern=WriteConcern(w=1))
        self._has_evaluated = False
        self._is_asked = False
        self._own: dict[str, tuple[LatePart, ...]] = {}  # as announced, the oldest first

    def store_arrival(self, arrival: Arrival) -> None:
        announced = self._own.setdefault(arrival.id, arrival.parts)
        if len(self._own) > _MOST_OWN:
            del self._own[next(iter(self._own))]
        document = to_document(arrival)
        document.pop("id")
        document["waits"] = True
        if self._is_asked and arrival.written:
            document["announced"] = to_bson(announced)
        self._arrivals.replace_one({"_id": arrival.id}, document, upsert=True)

    def remove(self, id: str) -> None:
        """Remove a record without waiting for the journal: a second routing has no effect.

        While a process asks for records, it stays for a minute as one that is done.
        """
        if self._is_asked:
            done: Document = {"$currentDate": {"done_at": True}, "$unset": {"waits": ""}}
            self._done.update_one({"_id": id}, done)
        else:
            self._done.delete_one({"_id": id})

    def evaluated_until(self) -> datetime | None:
        """Return it, and learn whether a process without change streams asks for records."""
        found = self._evaluated_until.find_one({"_id": _DOCUMENT_ID}) or {}
        self._is_asked = "asked_at" in found
        return utc(found["up_to"]) if "up_to" in found else None

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
            self._arrivals.find(
                {"arrived_at": {"$gte": to_bson(arrived_from)}, "done_at": {"$exists": False}}
            ).sort(_OLDEST_FIRST)
        )

    def written_by_others(self, stop: Callable[[], bool]) -> Iterator[tuple[LatePart, ...]]:
        """Follow the records by a change stream: a record is stored before its rows, and removed
        or completed after them. Without change streams ask for them every 200 ms."""
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
        else:
            return
        try:
            yield from self._ask(stop)
        finally:
            with suppress(PyMongoError):  # records then stay for a minute without need
                self._evaluated_until.update_one(
                    {"_id": _DOCUMENT_ID}, {"$unset": {"asked_at": ""}}
                )

    def _ask(self, stop: Callable[[], bool]) -> Iterator[tuple[LatePart, ...]]:
        """Yield what is written, from records that writers leave while `asked_at` is noted.

        By an index each: records that are done since the last answer, and those that are written
        and wait to be routed.
        """
        seen = OrderedDict[str, None]()
        since: datetime | None = None
        is_first = True
        noted = -_ASKED_AGAIN_S
        while not stop():
            if time.monotonic() - noted >= _ASKED_AGAIN_S:
                noted = time.monotonic()
                self._note_asked()
            found = self._finished(since)
            new = [one for one in found if one["_id"] not in seen and one["_id"] not in self._own]
            yield () if is_first else _announced(new)
            is_first = False
            seen.update(dict.fromkeys(one["_id"] for one in found))
            while len(seen) > _MOST_SEEN:
                seen.popitem(last=False)
            done = [one["done_at"] for one in found if "done_at" in one]
            since = max([*done, *([since] if since else [])], default=None)
            time.sleep(_ASK_S)

    def _note_asked(self) -> None:
        change: Document = {"$currentDate": {"asked_at": True}}
        upsert(lambda: self._evaluated_until.update_one({"_id": _DOCUMENT_ID}, change, upsert=True))

    def _finished(self, since: datetime | None) -> list[Document]:
        """Return records whose rows are written: done since an instant, and those that wait."""
        after = {"$type": "date"} if since is None else {"$gte": since - _OVERLAP}
        done = self._arrivals.find({"done_at": after}).sort("done_at", 1).limit(_MOST_ANNOUNCED)
        waiting = self._arrivals.find({"waits": True, "written": True}).limit(_MOST_ANNOUNCED)
        return [*done, *waiting]

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
        if change["operationType"] in ("delete", "update"):  # done, and stays for who asks
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

    def request_reprocessing(
        self,
        shards: Iterable[Mapping[TargetKey, datetime]],
        instead_of: Sequence[ReprocessingRequest] = (),
    ) -> None:
        new = [
            _requests_of(starts[first : first + _MOST_TARGETS])
            for starts in (list(of_shard.items()) for of_shard in shards)
            for first in range(0, len(starts), _MOST_TARGETS)
        ]
        if new:
            self._requests.insert_many(new, ordered=False)
        self._remove(instead_of, None)

    @repeated
    def requests(self, definitions: Sequence[str]) -> dict[TargetKey, ReprocessingRequest]:
        wanted = set(definitions)
        starts: dict[TargetKey, datetime] = {}
        stored: dict[TargetKey, list[RequestPosition]] = {}
        for one in read_stored(REPROCESSING_REQUESTS, ShardRequests, self._requests.find(), "id"):
            for position in one.waiting:
                definition = one.definitions[position]
                if definition in wanted:
                    key = definition, one.assets[position]
                    start = one.starts[position]
                    starts[key] = min(start, starts.get(key, start))
                    stored.setdefault(key, []).append(
                        RequestPosition(one.id, position, len(one.waiting))
                    )
        return {
            key: ReprocessingRequest(*key, start, tuple(stored[key]))
            for key, start in starts.items()
        }

    def remove_requests(self, requests: Sequence[ReprocessingRequest], unit: Unit) -> None:
        self._remove(requests, session_of(unit))

    def _remove(
        self, requests: Sequence[ReprocessingRequest], session: ClientSession | None
    ) -> None:
        """Remove documents of which no request waits any more; of others note which ones wait."""
        positions: dict[Any, set[int]] = {}
        waiting: dict[Any, int] = {}
        for request in requests:
            for stored in request.stored:
                positions.setdefault(stored.document, set()).add(stored.position)
                waiting[stored.document] = stored.waiting
        partly = [id for id, done in positions.items() if len(done) < waiting[id]]
        for id in partly:
            done = {"$pullAll": {"waiting": sorted(positions[id])}}
            self._requests.update_one({"_id": id}, done, session=session)
        if partly:  # by others since they were read
            self._requests.delete_many({"_id": {"$in": partly}, "waiting": []}, session=session)
        whole = [id for id in positions if id not in set(partly)]
        if whole:
            self._requests.delete_many({"_id": {"$in": whole}}, session=session)


def _announced(found: Iterable[Document]) -> tuple[LatePart, ...]:
    """Return the parts of written records as they were announced, before only late ones stayed."""
    whole = [{**one, "parts": one.get("announced", one.get("parts"))} for one in found]
    return tuple(part for arrival in _arrivals(whole) for part in arrival.parts)


def _arrivals(found: Iterable[Document]) -> list[Arrival]:
    return read_stored(ARRIVALS, Arrival, found, id="id")


def _requests_of(starts: Sequence[tuple[TargetKey, datetime]]) -> Document:
    return {
        "definitions": [definition for (definition, _), _ in starts],
        "assets": [asset for (_, asset), _ in starts],
        "starts": [to_bson(start) for _, start in starts],
        "waiting": list(range(len(starts))),
    }
