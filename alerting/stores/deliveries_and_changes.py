"""The progress of sources and sinks, messages that could not be stored or delivered, and changes
from change streams: what sinks deliver, in order of commit, and what the console shows live."""

import dataclasses
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any

from bson import ObjectId
from bson.timestamp import Timestamp
from pymongo import UpdateOne, WriteConcern
from pymongo.change_stream import DatabaseChangeStream
from pymongo.errors import OperationFailure

from alerting.definitions.alert_definition import SEVERITIES
from alerting.definitions.routes_and_sinks import SinkContent
from alerting.definitions.sources import parse_source
from alerting.episodes.episode import Episode
from alerting.episodes.remaining_life import RemainingLife
from alerting.ports import (
    ChangedThing,
    DeadMessage,
    Declarations,
    Delivered,
    FileMark,
    LiveChange,
    LiveEpisode,
    PollReader,
    PositionLost,
    Predicted,
    Score,
    SinkChange,
    SinkChanged,
    SinkChanges,
    SinkLetter,
    SinkProgress,
    SinkStep,
    SourceLoss,
    SourceProgress,
    StoredReading,
    TargetScore,
)
from alerting.stores.database.documents import (
    ACCESS_TOKENS,
    ACCOUNTS,
    DEAD_MESSAGES,
    DELIVERY_ANSWERS,
    EPISODES,
    MUTES,
    PLATFORM_ALERTS,
    READINGS,
    SCORES,
    SESSIONS,
    SINK_ALARMS,
    SINK_LETTERS,
    SINK_PROGRESS,
    SOURCE_FILES,
    SOURCE_PROGRESS,
    SOURCES,
    Document,
    MongoDatabase,
    from_document,
    good,
    insert_all_new,
    insert_new,
    read_one,
    read_stored,
    stored_text,
    to_bson,
    to_document,
    upsert,
    utc,
    with_ids,
)


class SourceDeliveries:
    """Deliveries and declarations of sources, and the position up to which each source is read."""

    def __init__(self, database: MongoDatabase) -> None:
        self._progress = database[SOURCE_PROGRESS]
        self._counts = database[SOURCE_PROGRESS].with_options(write_concern=WriteConcern(w=1))
        self._answers = database[DELIVERY_ANSWERS]
        self._files = database[SOURCE_FILES]

    def progress(self, name: str) -> SourceProgress:
        return (
            read_one(SOURCE_PROGRESS, SourceProgress, self._progress.find_one({"_id": name}))
            or SourceProgress()
        )

    def record(self, name: str, delivered: Delivered) -> None:
        """Count a delivery without waiting for the journal: a power cut may cost some counts."""
        change: Document = {
            "$inc": {"rows": delivered.rows, "refused": delivered.refused},
            "$unset": {"fault": "", "fault_template": ""},
        }
        if delivered.why is not None:
            change["$set"] = stored_text("last_refused", delivered.why)
        if delivered.rows:
            recent = {"at": delivered.at, "rows": delivered.rows}
            arrived = {"arrived_at": to_bson(delivered.at), "last": to_bson(delivered.last)}
            change["$set"] = change.get("$set", {}) | arrived
            change["$push"] = {"recent": {"$each": [to_bson(recent)], "$slice": -20}}
        if delivered.newest is not None:
            change["$max"] = {"newest": to_bson(delivered.newest)}
        upsert(lambda: self._counts.update_one({"_id": name}, change, upsert=True))

    def record_loss(self, name: str, loss: SourceLoss, at: datetime) -> None:
        self._change(
            name,
            {
                "$inc": {"lost": loss.count},
                "$set": {**stored_text("last_lost", loss.reason), "lost_at": to_bson(at)},
            },
        )

    def declarations(self) -> Mapping[str, Declarations]:
        """Return the declarations of each source whose rows have declared anything, or too much, by
        name.

        A sender of rows without a source has the name `sender NAME`, with a blank.
        """
        fields = [field.name for field in dataclasses.fields(Declarations)]
        counted = [{field: {"$gt": 0}} for field in ("declared_assets", "declared_variables")]
        documents = self._progress.find(
            {"$or": [*counted, {"surplus_at": {"$type": "date"}}]}, fields
        ).sort("_id", 1)
        read = {
            str(document["_id"]): read_one(SOURCE_PROGRESS, Declarations, document)
            for document in documents
        }
        return {name: declared for name, declared in read.items() if declared is not None}

    def count_declared(self, name: str, assets: int, variables: int) -> None:
        self._change(name, {"$inc": {"declared_assets": assets, "declared_variables": variables}})

    def note_surplus(self, name: str, why: str, at: datetime) -> None:
        self._change(name, {"$set": {"surplus": why, "surplus_at": to_bson(at)}})

    def note_read(self, name: str, at: datetime) -> None:
        self._change(name, {"$max": {"read_until": to_bson(at)}})

    def note_polled(self, name: str, by: PollReader, at: datetime) -> None:
        """Store when and by whom a polled source was read."""
        noted: Document = {"$set": {"polled_at": to_bson(at), "polled_by": by}}
        upsert(lambda: self._counts.update_one({"_id": name}, noted, upsert=True))

    def set_cursor(self, name: str, cursor: str, query_hash: str) -> None:
        """Store the position in a polled source. `query_hash`: hash of the query that the cursor
        belongs to."""
        self._change(name, {"$set": {"cursor": cursor, "cursor_of": query_hash}})

    def set_fault(self, name: str, fault: str | None) -> None:
        """Store why the last attempt to read a source failed; None once it is over."""
        self._change(name, {"$set": stored_text("fault", fault)})

    def file_marks(self, name: str, paths: Sequence[str]) -> list[FileMark]:
        documents = self._files.find({"source": name, "path": {"$in": list(paths)}})
        return read_stored(SOURCE_FILES, FileMark, documents)

    def mark_file(self, mark: FileMark) -> None:
        key = {"source": mark.source, "path": mark.path, "size": mark.size, "sha256": mark.sha256}
        upsert(lambda: self._files.replace_one(key, to_document(mark), upsert=True))

    def forget_files(self, name: str, before: datetime, paths: Collection[str]) -> int:
        """Remove the marks of a source from before an instant, except the marks of `paths`, whose
        files still exist. Return how many."""
        old = self._files.find({"source": name, "at": {"$lt": to_bson(before)}}, {"path": True})
        gone = [mark["_id"] for mark in old if mark.get("path") not in paths]
        return self._files.delete_many({"_id": {"$in": gone[:10_000]}}).deleted_count if gone else 0

    def answer(self, key: str) -> Document | None:
        """Return the stored answer to a delivery with this key; None without one of the last
        day."""
        document = self._answers.find_one({"_id": key})
        stored = None if document is None else document.get("answer")
        return dict(stored) if isinstance(stored, dict) else None

    def keep_answer(self, key: str, answer: Document) -> None:
        """Store the answer with the time of the server, which deletes it a day later."""
        change = {"$setOnInsert": {"answer": answer}, "$currentDate": {"at": True}}
        upsert(lambda: self._answers.update_one({"_id": key}, change, upsert=True))

    def _change(self, name: str, change: Document) -> None:
        upsert(lambda: self._progress.update_one({"_id": name}, change, upsert=True))


class DeadMessages:
    """Messages of brokers that could not be stored as rows."""

    def __init__(self, database: MongoDatabase) -> None:
        self._dead = database[DEAD_MESSAGES]

    def add_dead(self, messages: Sequence[DeadMessage]) -> None:
        insert_all_new(
            self._dead,
            [
                {**to_document(message), "_id": message.id, "size": len(message.payload)}
                for message in messages
            ],
        )

    def dead(
        self, name: str | None, limit: int, after: DeadMessage | None = None
    ) -> list[DeadMessage]:
        """Return dead messages of a source, or of all, oldest first; with `after`, the messages
        that follow it."""
        chosen: Document = {} if name is None else {"source": name}
        if after is not None:
            chosen["$or"] = [{"at": {"$gt": after.at}}, {"at": after.at, "_id": {"$gt": after.id}}]
        documents = self._dead.find(chosen).sort({"at": 1, "_id": 1}).limit(limit)
        return read_stored(DEAD_MESSAGES, DeadMessage, documents, id="id")

    def dead_bytes(self, name: str) -> int:
        """Return the total size of dead messages, from an index alone."""
        total = {"$group": {"_id": None, "bytes": {"$sum": "$size"}}}
        return sum(
            int(group["bytes"])
            for group in self._dead.aggregate(
                [{"$match": {"source": name}}, total], hint={"source": 1, "size": 1}
            )
        )

    def count_dead(self, name: str) -> int:
        return self._dead.count_documents({"source": name})

    def remove_dead(self, ids: Sequence[str]) -> None:
        self._dead.delete_many({"_id": {"$in": list(ids)}})


def source_latencies(database: MongoDatabase) -> Mapping[str, timedelta]:
    """Return, by source, how long evaluation waits for its values, for each valid source that
    states it."""
    sources = good(SOURCES, database[SOURCES].find(), parse_source)
    return {source.name: source.waits for source in sources if source.waits is not None}


# codes of CappedPositionLost, InvalidResumeToken, ChangeStreamFatalError, ChangeStreamHistoryLost
LOST = (136, 260, 280, 286)
_UNDER_WAY = timedelta(minutes=1)
"""How long before its commit the id of a score may be made, and how far clocks may differ."""
_AFTER_CLOSING = timedelta(days=1)


class SinkDeliveries:
    """The position up to which each sink has delivered, and its dead letters."""

    def __init__(self, database: MongoDatabase) -> None:
        self._progress = database[SINK_PROGRESS]
        self._alarms = database[SINK_ALARMS]
        self._letters = database[SINK_LETTERS]

    def progress(self, name: str) -> SinkProgress:
        document = self._progress.find_one({"_id": name})
        return read_one(SINK_PROGRESS, SinkProgress, document) or SinkProgress()

    def begin(self, name: str, position: str | None, at: datetime) -> None:
        """Store the first position of a new sink; leave a sink that has begun unchanged."""
        first: Document = {"position": position, "until": to_bson(at), "sent": 0, "left_out": 0}
        with_a_fault_only: Document = {"_id": name, "until": None}
        if not self._progress.update_one(with_a_fault_only, {"$set": first}).matched_count:
            insert_new(self._progress, {"_id": name, **first})

    def sent_alarms(self, name: str, episodes: Collection[str]) -> Mapping[str, int]:
        if not episodes:
            return {}
        alarms = self._alarms.find({"sink": name, "episode": {"$in": list(episodes)}})
        return {str(alarm["episode"]): int(alarm["sent"]) for alarm in alarms}

    def advance(self, name: str, before: str | None, step: SinkStep) -> bool:
        """Store a delivery, the position last. A process that dies before the position is stored
        delivers the messages once more, under the same keys."""
        insert_all_new(
            self._letters, [{**to_document(letter), "_id": letter.id} for letter in step.letters]
        )
        self._note_alarms(name, step)
        change: Document = {
            "$set": {"position": step.position, "until": to_bson(step.until)},
            "$inc": {"sent": step.sent, "left_out": step.left_out},
            "$unset": {"fault": "", "fault_template": "", "fault_at": ""},
        }
        if step.sent:
            change["$set"]["sent_at"] = to_bson(step.at)
        if step.selected is not None:
            change["$set"]["selected"] = step.selected
        done = self._progress.update_one({"_id": name, "position": before}, change)
        if done.matched_count or before is not None:
            return bool(done.matched_count)
        return insert_new(
            self._progress,
            {"_id": name, **change["$set"], "sent": step.sent, "left_out": step.left_out},
        )

    def set_fault(self, name: str, fault: str, at: datetime) -> None:
        """Store why no message goes out; `at` stays the instant of an earlier fault."""
        text = stored_text("fault", fault)
        since: Document = {"$set": {**text, "fault_at": to_bson(at)}}
        stored: Document = {"_id": name, "fault": {"$type": "string"}}
        if not self._progress.update_one(stored, {"$set": text}).matched_count:
            upsert(lambda: self._progress.update_one({"_id": name}, since, upsert=True))

    def letters(self, name: str, limit: int, *, again: bool = False) -> list[SinkLetter]:
        """Return dead letters of a sink, oldest first; with `again` only letters to be sent once
        more."""
        chosen: Document = {"sink": name, "again": True} if again else {"sink": name}
        documents = self._letters.find(chosen).sort({"at": 1, "_id": 1}).limit(limit)
        return read_stored(SINK_LETTERS, SinkLetter, documents, id="id")

    def count_letters(self, name: str) -> int:
        return self._letters.count_documents({"sink": name})

    def replace_letter(self, letter: SinkLetter) -> None:
        document = {**to_document(letter), "_id": letter.id}
        upsert(lambda: self._letters.replace_one({"_id": letter.id}, document, upsert=True))

    def remove_letters(self, ids: Collection[str]) -> None:
        self._letters.delete_many({"_id": {"$in": list(ids)}})

    def retry_letters(self, name: str) -> int:
        """Mark all dead letters of a sink to be sent once more. Return their number."""
        return self._letters.update_many({"sink": name}, {"$set": {"again": True}}).matched_count

    def _note_alarms(self, name: str, step: SinkStep) -> None:
        updates = [
            UpdateOne(
                {"sink": name, "episode": episode},
                {"$max": {"sent": count}, "$set": {"at": to_bson(step.at)}},
                upsert=True,
            )
            for episode, count in step.alarms.items()
        ]
        if updates:
            upsert(lambda: self._alarms.bulk_write(updates, ordered=False))


_Sends = Collection[SinkContent]
_VALUES = {"scores": SCORES, "forecasts": SCORES, "readings": READINGS}


class SinkFeed:
    """The changes of alarms, scores and readings in order of commit."""

    def __init__(self, database: MongoDatabase) -> None:
        self._database = database

    @contextmanager
    def read(self, position: str | None, sends: _Sends) -> Iterator["SinkReader"]:
        """Yield a reader of the changes to these contents that are committed after a position, or
        from now on. Raises PositionLost."""
        collections = sorted({_VALUES.get(content, EPISODES) for content in sends})
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
                max_await_time_ms=250,
            )
        with stream:
            yield SinkReader(stream)

    def missed(
        self, since: datetime | None, sends: _Sends, *, values_since: datetime | None, most: int
    ) -> Iterator[SinkChanged]:
        """Yield changes to these contents that may have been committed since an instant, as they
        are read: the newest `most` scores and as many readings, oldest first, then every episode
        that was open then or later (None: every open one)."""
        collections = {_VALUES.get(content, EPISODES) for content in sends}
        if values_since is not None:
            oldest = ObjectId.from_datetime(values_since - _UNDER_WAY)
            for name in sorted(collections - {EPISODES}):
                stored = self._database[name]
                newest = stored.find({"_id": {"$gte": oldest}}, {"_id": 1}, sort=[("_id", -1)])
                first = next((last["_id"] for last in newest.skip(most - 1).limit(1)), oldest)
                for document in stored.find({"_id": {"$gte": first}}, sort=[("_id", 1)]):
                    yield from good(name, [document], _READ[name])
        if EPISODES in collections:
            found_by: list[Document] = [{"condition": "open"}]
            if since is not None:
                late = {"$gte": since - _AFTER_CLOSING}
                found_by += [{"raised_at": late}, {"closed_at": late}]
            query: Document = {"backfilled": False, "$or": found_by}
            episodes = self._database[EPISODES].find(query, sort=[("raised_at", 1), ("_id", 1)])
            for document in episodes:
                yield from good(EPISODES, with_ids([document]), _episode)


class SinkReader:
    """The changes after a position."""

    def __init__(self, stream: DatabaseChangeStream[Document]) -> None:
        self._stream = stream

    def next(self, most: int) -> SinkChanges:
        """Return the next changes; none after a short wait."""
        changes: list[SinkChange] = []
        is_all = False
        read_at = datetime.now(UTC)
        with _faults():
            while len(changes) < most:
                event = self._stream.try_next()
                if event is None:
                    is_all = True
                    break
                changes += _changes(event)
        token = self._stream.resume_token or {}
        return SinkChanges(changes, str(token.get("_data", "")), read_at, is_all)


@contextmanager
def _faults(position: str | None = None) -> Iterator[None]:
    """Translate the faults of a stream. `position`: the position at which it is opened; then a
    refusal for another reason means that the position is lost."""
    try:
        yield
    except OperationFailure as fault:
        is_passing = fault.has_error_label("ResumableChangeStreamError")
        if fault.code in LOST or (position is not None and not is_passing):
            raise PositionLost(str(fault)[:200]) from fault
        raise


def _changes(event: Document) -> list[SinkChange]:
    """Return the change in an event; nothing if its document was deleted or cannot be read."""
    document = event.get("fullDocument")
    if document is None:
        return []
    collection = event["ns"]["coll"]
    at = utc(event.get("wallTime") or event["clusterTime"].as_datetime())
    position = str(event["_id"]["_data"])
    values = good(collection, with_ids([document]), _READ[collection])
    return [SinkChange(position, at, value) for value in values]


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
        life=RemainingLife.from_times(utc(document["ts"]), document.get("life")),
    )
    return TargetScore(definition, asset, score)


def _reading(document: Document) -> Any:
    values = dict.fromkeys(document.get("q", {})) | document.get("v", {})  # a bad one has no value
    arrived_at = utc(document["arrived_at"])
    return StoredReading(document["asset"], utc(document["ts"]), values, arrived_at)


_READ = {EPISODES: _episode, SCORES: _score, READINGS: _reading}
_THINGS: dict[str, ChangedThing] = {EPISODES: "episode", MUTES: "mute", PLATFORM_ALERTS: "platform"}
_ACCESS = (ACCOUNTS, ACCESS_TOKENS, SESSIONS)
_FIELDS = (
    *("definition", "asset", "severity", "condition", "is_prediction", "happening_at"),
    *("acknowledged.at", "muted_by", "backfilled", "part"),
)
_PIPELINE: list[Document] = [
    {
        "$match": {
            "$or": [
                {
                    "ns.coll": {"$in": list(_THINGS)},
                    "operationType": {"$in": ["insert", "update", "replace"]},
                    "fullDocument.backfilled": {"$ne": True},
                },
                {
                    "ns.coll": {"$in": list(_ACCESS)},
                    "operationType": {"$in": ["update", "replace", "delete"]},
                },
            ]
        }
    },
    {
        "$project": {
            "ns.coll": True,
            "documentKey": True,
            "clusterTime": True,
            **{f"fullDocument.{field}": True for field in _FIELDS},
        }
    },
]
_GATHER_S = 0.05


class ChangeFeed:
    """Changes of the database as they are committed."""

    def __init__(self, database: MongoDatabase) -> None:
        self._database = database

    @contextmanager
    def read(self) -> Iterator["ChangeReader"]:
        """Yield a reader of the changes from now on."""
        # the driver resumes after an election; where it cannot, the next stream begins with
        # what is open
        stream = self._database.watch(_PIPELINE, max_await_time_ms=100)
        with stream:
            yield ChangeReader(self._database, stream)


class ChangeReader:
    """The changes from one instant on."""

    def __init__(self, database: MongoDatabase, stream: DatabaseChangeStream[Document]) -> None:
        self._database = database
        self._stream = stream
        hello = database.client.admin.command("hello")
        self._mark = _mark(hello.get("operationTime") or Timestamp(0, 0))

    def open_episodes(self) -> list[LiveEpisode]:
        query = {"condition": "open", "backfilled": False}
        documents = self._database[EPISODES].find(query, dict.fromkeys(_FIELDS, True))
        episodes = (_live_episode(document["_id"], document) for document in documents)
        return [episode for episode in episodes if episode is not None]

    def mark(self) -> str:
        return self._mark

    def next(self) -> list[LiveChange]:
        """Return the changes since the last call, in order; none after a short wait."""
        changes: list[LiveChange] = []
        until = None
        # more follow in the next answer
        while len(changes) < 2000 and (change := self._stream.try_next()) is not None:
            changes += _live_changes(change)
            until = until or monotonic() + _GATHER_S
            if monotonic() >= until:
                break
        if changes:
            self._mark = changes[-1].mark
        return changes


def _live_changes(change: Document) -> list[LiveChange]:
    """Return the change in an event of the stream; nothing if its document cannot be read."""
    mark = _mark(change["clusterTime"])
    if change["ns"]["coll"] in _ACCESS:
        return [LiveChange(mark, "access", access=str(change["documentKey"]["_id"]))]
    thing = _THINGS[change["ns"]["coll"]]
    document = change.get("fullDocument") or {}
    if thing == "episode":
        episode = _live_episode(change["documentKey"]["_id"], document)
        return [] if episode is None else [LiveChange(mark, thing, episode.asset, episode)]
    asset = document.get("asset") or document.get("part")
    return [LiveChange(mark, thing, asset if isinstance(asset, str) else None)]


def _mark(time: Timestamp) -> str:
    return f"{time.time:010d}.{time.inc:010d}"


def _live_episode(id: Any, document: Document) -> LiveEpisode | None:
    """Return the episode in a document; None if a person has made the document unreadable."""
    definition = document.get("definition")
    asset = document.get("asset")
    severity = document.get("severity")
    if not all(isinstance(text, str) for text in (id, definition, asset, severity)):
        return None
    if severity not in SEVERITIES:
        return None
    is_expected = document.get("is_prediction") and document.get("happening_at") is None
    is_open = document.get("condition") == "open"
    return LiveEpisode(
        id,
        str(definition),
        str(asset),
        SEVERITIES[SEVERITIES.index(severity)],
        ("expected" if is_expected else "happening") if is_open else "over",
        document.get("acknowledged") is not None,
        document.get("muted_by") is not None,
    )
