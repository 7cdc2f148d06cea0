"""Changes that sinks deliver, from the change stream: episodes and scores in order of commit."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from bson import ObjectId
from pymongo.change_stream import DatabaseChangeStream
from pymongo.errors import OperationFailure

from alerting.adapters.mongo.documents import Document, MongoDatabase, from_document, utc
from alerting.adapters.mongo.each import good
from alerting.adapters.mongo.indexes import EPISODES, SCORES
from alerting.episodes.episode import Episode
from alerting.ports.episodes import NoChangeFeed
from alerting.ports.evaluation import Predicted, Score
from alerting.ports.sinks import PositionLost, SinkChange, SinkChanges, TargetScore

_REFUSALS = (13, 40573)  # codes of Unauthorized, and of a server that is no replica set
_LOST = (136, 260, 280, 286)
# codes of CappedPositionLost, InvalidResumeToken, ChangeStreamFatalError, ChangeStreamHistoryLost
_WAIT_MS = 250
_UNDER_WAY = timedelta(minutes=1)
"""How long before its commit the id of a score may be made, and how far clocks may differ."""
_AFTER_CLOSING = timedelta(days=1)


class MongoSinkFeed:
    """Port `SinkFeed`."""

    def __init__(self, database: MongoDatabase) -> None:
        self._database = database

    @contextmanager
    def read(
        self, position: str | None, *, alarms: bool, values: bool
    ) -> Iterator["MongoSinkReader"]:
        collections = [name for name, is_read in ((EPISODES, alarms), (SCORES, values)) if is_read]
        pipeline: list[Document] = [
            {
                "$match": {
                    "ns.coll": {"$in": collections},
                    "operationType": {"$in": ["insert", "update", "replace"]},
                    "fullDocument.backfilled": {"$ne": True},
                }
            }
        ]
        after = None if position is None else {"_data": position}
        with _faults(position):
            stream = self._database.watch(
                pipeline,
                full_document="updateLookup",
                resume_after=after,
                max_await_time_ms=_WAIT_MS,
            )
        with stream:
            yield MongoSinkReader(stream)

    def missed(
        self, since: datetime | None, *, alarms: bool, values_since: datetime | None, most: int
    ) -> Iterator[Episode | TargetScore]:
        if values_since is not None:
            oldest = ObjectId.from_datetime(values_since - _UNDER_WAY)
            found = self._database[SCORES].find({"_id": {"$gte": oldest}}, sort=[("_id", -1)])
            scores = good(SCORES, reversed(found.limit(most).to_list()), _score)
            yield from scores
        if alarms:
            found_by: list[Document] = [{"condition": "open"}]
            if since is not None:
                late = {"$gte": since - _AFTER_CLOSING}
                found_by += [{"raised_at": late}, {"closed_at": late}]
            query: Document = {"backfilled": False, "$or": found_by}
            episodes = self._database[EPISODES].find(query, sort=[("raised_at", 1), ("_id", 1)])
            for document in episodes:
                yield from good(EPISODES, [_with_id(document)], _episode)


class MongoSinkReader:
    """Port `SinkReader`."""

    def __init__(self, stream: DatabaseChangeStream[Document]) -> None:
        self._stream = stream

    def next(self, most: int) -> SinkChanges:
        found: list[SinkChange] = []
        is_all = False
        read_at = datetime.now(UTC)
        with _faults():
            while len(found) < most:
                event = self._stream.try_next()
                if event is None:
                    is_all = True
                    break
                found += _changes(event)
        token = self._stream.resume_token or {}
        return SinkChanges(found, str(token.get("_data", "")), read_at, is_all)


@contextmanager
def _faults(position: str | None = None) -> Iterator[None]:
    """Name the faults of a stream. `position`: at which it is opened; any other refusal then is one
    of the position."""
    try:
        yield
    except OperationFailure as fault:
        if fault.code in _REFUSALS:
            raise NoChangeFeed(str(fault)[:200]) from fault
        is_passing = fault.has_error_label("ResumableChangeStreamError")
        if fault.code in _LOST or (position is not None and not is_passing):
            raise PositionLost(str(fault)[:200]) from fault
        raise


def _changes(event: Document) -> list[SinkChange]:
    """Return the change in an event; none for a document that is gone or cannot be read."""
    document = event.get("fullDocument")
    if document is None:
        return []
    is_score = event["ns"]["coll"] == SCORES
    at = utc(event.get("wallTime") or event["clusterTime"].as_datetime())
    position = str(event["_id"]["_data"])
    collection = SCORES if is_score else EPISODES
    read = _score if is_score else _episode
    return [SinkChange(position, at, one) for one in good(collection, [_with_id(document)], read)]


def _with_id(document: Document) -> Document:
    return {**document, "id": document["_id"]}


def _episode(document: Document) -> Any:
    return from_document(Episode, document)


def _score(document: Document) -> Any:
    """Return the score in a document. Raises an error for a faulty one."""
    values = tuple(
        Predicted(timedelta(milliseconds=lead), low, median, high)
        for lead, low, median, high in document.get("values", ())
    )
    definition = document["definition"]
    asset = document["asset"]
    if not (isinstance(definition, str) and isinstance(asset, str)):
        raise TypeError("its definition or asset is no text")
    score = Score(
        utc(document["ts"]),
        document["score"],
        document["threshold"],
        int(document["model_version"]),
        values=values,
    )
    return TargetScore(definition, asset, score)
