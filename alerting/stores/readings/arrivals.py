"""Arrival records and reprocessing requests in MongoDB."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from pymongo import ReturnDocument, WriteConcern
from pymongo.client_session import ClientSession

from alerting.episodes.evaluation_plan import TargetKey
from alerting.ports import Arrival, LatePart, ReprocessingRequest, Unfinished, Unit
from alerting.stores.database.documents import (
    ARRIVALS,
    EVALUATED_UNTIL,
    REPROCESSING_REQUESTS,
    Document,
    MongoDatabase,
    read_stored,
    repeated,
    to_bson,
    to_identified,
    upsert,
    utc,
)
from alerting.stores.database.transactions_and_leases import session_of

_DOCUMENT_ID = "evaluated_until"
_OLDEST_FIRST = {"arrived_at": 1, "_id": 1}


_WRITES: list[Document] = [
    {"$match": {"operationType": {"$in": ["insert", "replace", "delete"]}}},
    {"$project": {"operationType": True, "documentKey": True, "fullDocument": True}},
]
_WAIT_MS = 1_000  # a change is told at once
_MOST_TARGETS = 20_000  # of a document, far below 16 MB


class RequestPosition(NamedTuple):
    """Where a request is stored: document and position in it, and how many requests of the document
    waited."""

    document: Any
    position: int
    waiting: int


@dataclass(frozen=True)
class ShardRequests:
    """Document with requests of targets that are evaluated together, as columns, and the positions
    of the requests that still wait."""

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
        self._own: dict[str, None] = {}  # the oldest first

    def store_arrival(self, arrival: Arrival) -> None:
        self._own.setdefault(arrival.id)
        if len(self._own) > 1_000:
            del self._own[next(iter(self._own))]
        document = {**to_identified(arrival), "waits": True}
        self._arrivals.replace_one({"_id": arrival.id}, document, upsert=True)

    def remove(self, id: str) -> None:
        """Remove a record without waiting for the journal: routing it a second time has no
        effect."""
        self._done.delete_one({"_id": id})

    def evaluated_until(self) -> datetime | None:
        document = self._evaluated_until.find_one({"_id": _DOCUMENT_ID}) or {}
        return utc(document["up_to"]) if "up_to" in document else None

    def has_evaluated(self) -> bool:
        self._has_evaluated = self._has_evaluated or self.evaluated_until() is not None
        return self._has_evaluated

    def extend_evaluated_until(self, up_to: datetime) -> datetime:
        """Advance the instant; an earlier one changes nothing."""
        change = {"$max": {"up_to": to_bson(up_to)}}
        document = upsert(
            lambda: self._evaluated_until.find_one_and_update(
                {"_id": _DOCUMENT_ID}, change, upsert=True, return_document=ReturnDocument.AFTER
            )
        )
        return utc(document["up_to"]) if document else up_to

    def lower_evaluated_until(self, recorded: datetime, up_to: datetime) -> None:
        self._evaluated_until.update_one(
            {"_id": _DOCUMENT_ID, "up_to": recorded}, {"$set": {"up_to": to_bson(up_to)}}
        )

    @repeated
    def unfinished(self) -> Unfinished:
        documents = list(
            self._arrivals.aggregate(
                [
                    {"$match": {"waits": True}},
                    {"$sort": _OLDEST_FIRST},
                    {"$unionWith": {"coll": REPROCESSING_REQUESTS, "pipeline": [{"$limit": 1}]}},
                ]
            )
        )
        waiting = [document for document in documents if "waits" in document]
        return Unfinished(_arrivals(waiting), len(waiting) < len(documents))

    @repeated
    def arrived_since(self, arrived_from: datetime) -> list[Arrival]:
        documents = self._arrivals.find({"arrived_at": {"$gte": to_bson(arrived_from)}})
        return _arrivals(documents.sort(_OLDEST_FIRST))

    def written_by_others(self, stop: Callable[[], bool]) -> Iterator[tuple[LatePart, ...]]:
        """Yield, until `stop`, the rows that other objects write from now on, once they are
        written; at the start and now and then yield nothing.

        A change stream follows the records: a record is stored before its rows, and removed or
        completed after them.
        """
        announced = OrderedDict[str, tuple[LatePart, ...]]()
        with self._arrivals.watch(_WRITES, max_await_time_ms=_WAIT_MS) as stream:
            yield ()
            while stream.alive and not stop():
                change = stream.try_next()
                yield () if change is None else self._written(change, announced)

    def as_another(self) -> "MongoArrivals":
        """Return the same records for another writer of this process: this object's
        `written_by_others` yields the rows of that writer."""
        return MongoArrivals(self._database)

    def _written(
        self, change: Mapping[str, Any], announced: OrderedDict[str, tuple[LatePart, ...]]
    ) -> tuple[LatePart, ...]:
        """Return the rows of a record, as it announced them, once they are written. For an
        announcement note the rows and return nothing."""
        id = change["documentKey"]["_id"]
        if id in self._own:
            return ()
        if change["operationType"] == "delete":
            return announced.pop(id, ())
        for arrival in _arrivals([change["fullDocument"]]):  # none if its document is faulty
            if arrival.written:
                return announced.pop(id, arrival.parts)
            announced[id] = arrival.parts
        if len(announced) > 10_000:  # of writers that were killed
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
        """Remove routed arrival records from before an instant; return their number."""
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
        chosen = set(definitions)
        starts: dict[TargetKey, datetime] = {}
        stored: dict[TargetKey, list[RequestPosition]] = {}
        for shard in read_stored(REPROCESSING_REQUESTS, ShardRequests, self._requests.find(), "id"):
            for position in shard.waiting:
                definition = shard.definitions[position]
                if definition in chosen:
                    key = definition, shard.assets[position]
                    start = shard.starts[position]
                    starts[key] = min(start, starts.get(key, start))
                    stored.setdefault(key, []).append(
                        RequestPosition(shard.id, position, len(shard.waiting))
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
        """Remove documents without a waiting request; in the other documents note which requests
        wait."""
        positions: dict[Any, set[int]] = {}
        waiting: dict[Any, int] = {}
        for request in requests:
            for stored in request.keys:
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


def _arrivals(documents: Iterable[Document]) -> list[Arrival]:
    return read_stored(ARRIVALS, Arrival, documents, id="id")


def _requests_of(starts: Sequence[tuple[TargetKey, datetime]]) -> Document:
    return {
        "definitions": [definition for (definition, _), _ in starts],
        "assets": [asset for (_, asset), _ in starts],
        "starts": [to_bson(start) for _, start in starts],
        "waiting": list(range(len(starts))),
    }
