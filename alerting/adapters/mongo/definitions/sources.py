"""How far each source has delivered, in MongoDB."""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

from pymongo import ReturnDocument, WriteConcern
from pymongo.errors import DuplicateKeyError

from alerting.adapters.mongo.documents import (
    Document,
    MongoDatabase,
    insert_all_new,
    stored_text,
    to_bson,
    to_document,
    upsert,
)
from alerting.adapters.mongo.each import good, read_one, read_stored
from alerting.adapters.mongo.indexes import (
    DEAD_MESSAGES,
    DELIVERY_ANSWERS,
    SOURCE_FILES,
    SOURCE_PROGRESS,
    SOURCES,
    STREAM_PROCESSES,
)
from alerting.definitions.sources.source import PROCESS_GONE, parse_source
from alerting.ports.sources import (
    POLL_ABANDONED,
    DeadMessage,
    Declarations,
    Delivered,
    FileMark,
    PollReader,
    SourceLoss,
    SourceProgress,
    StreamProcess,
)

_RECENT = 20
_MOST_FORGOTTEN = 10_000


class MongoSourceDeliveries:
    """Ports `SourceDeliveries`, `DeadMessages` and `StreamProcesses`."""

    def __init__(self, database: MongoDatabase) -> None:
        self._progress = database[SOURCE_PROGRESS]
        self._counts = database[SOURCE_PROGRESS].with_options(write_concern=WriteConcern(w=1))
        self._answers = database[DELIVERY_ANSWERS]
        self._dead = database[DEAD_MESSAGES]
        self._files = database[SOURCE_FILES]
        self._processes = database[STREAM_PROCESSES]

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
            change["$push"] = {"recent": {"$each": [to_bson(recent)], "$slice": -_RECENT}}
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
        fields = [field.name for field in dataclasses.fields(Declarations)]
        counted = [{field: {"$gt": 0}} for field in ("declared_assets", "declared_variables")]
        found = self._progress.find(
            {"$or": [*counted, {"surplus_at": {"$type": "date"}}]}, fields
        ).sort("_id", 1)
        read = {str(one["_id"]): read_one(SOURCE_PROGRESS, Declarations, one) for one in found}
        return {name: declared for name, declared in read.items() if declared is not None}

    def count_declared(self, name: str, assets: int, variables: int) -> None:
        self._change(name, {"$inc": {"declared_assets": assets, "declared_variables": variables}})

    def note_surplus(self, name: str, why: str, at: datetime) -> None:
        self._change(name, {"$set": {"surplus": why, "surplus_at": to_bson(at)}})

    def note_read(self, name: str, at: datetime) -> None:
        self._change(name, {"$max": {"read_until": to_bson(at)}})

    def claim_poll(self, name: str, token: str) -> bool:
        """Claim by one command where no other reader has the source. The reader of a stale claim is
        replaced if it is still the one that was seen."""
        claim: Document = {"$set": {"poller": token}, "$currentDate": {"claimed_at": True}}
        own = {"_id": name, "poller": {"$in": [None, token]}}
        try:
            self._counts.update_one(own, claim, upsert=True)
        except DuplicateKeyError:
            return self._replace_abandoned(name, claim)
        return True

    def _replace_abandoned(self, name: str, claim: Document) -> bool:
        seen = self._counts.find_one_and_update(
            {"_id": name},
            {"$currentDate": {"claim_seen_at": True}},
            {"poller": True, "claimed_at": True, "claim_seen_at": True},
            return_document=ReturnDocument.AFTER,
        )
        if seen is None or seen["claim_seen_at"] - seen["claimed_at"] <= POLL_ABANDONED:
            return False
        abandoned = {"_id": name, "poller": seen["poller"], "claimed_at": seen["claimed_at"]}
        return self._counts.update_one(abandoned, claim).matched_count == 1

    def end_poll(self, name: str, token: str, by: PollReader, at: datetime) -> None:
        end: Document = {
            "$set": {"polled_at": to_bson(at), "polled_by": by},
            "$unset": {"poller": "", "claimed_at": "", "claim_seen_at": ""},
        }
        self._counts.update_one({"_id": name, "poller": token}, end)

    def set_cursor(self, name: str, cursor: str, of: str) -> None:
        self._change(name, {"$set": {"cursor": cursor, "cursor_of": of}})

    def set_fault(self, name: str, fault: str | None) -> None:
        self._change(name, {"$set": stored_text("fault", fault)})

    def file_marks(self, name: str, paths: Sequence[str]) -> list[FileMark]:
        found = self._files.find({"source": name, "path": {"$in": list(paths)}})
        return read_stored(SOURCE_FILES, FileMark, found)

    def mark_file(self, mark: FileMark) -> None:
        key = {"source": mark.source, "path": mark.path, "size": mark.size, "sha256": mark.sha256}
        upsert(lambda: self._files.replace_one(key, to_document(mark), upsert=True))

    def forget_files(self, name: str, before: datetime, there: Collection[str]) -> int:
        old = self._files.find({"source": name, "at": {"$lt": to_bson(before)}}, {"path": True})
        gone = [mark["_id"] for mark in old if mark.get("path") not in there]
        return (
            self._files.delete_many({"_id": {"$in": gone[:_MOST_FORGOTTEN]}}).deleted_count
            if gone
            else 0
        )

    def add_dead(self, messages: Sequence[DeadMessage]) -> None:
        insert_all_new(
            self._dead,
            [{**to_document(one), "_id": one.id, "size": len(one.payload)} for one in messages],
        )

    def dead(
        self, name: str | None, limit: int, after: DeadMessage | None = None
    ) -> list[DeadMessage]:
        chosen: Document = {} if name is None else {"source": name}
        if after is not None:
            chosen["$or"] = [{"at": {"$gt": after.at}}, {"at": after.at, "_id": {"$gt": after.id}}]
        found = self._dead.find(chosen).sort({"at": 1, "_id": 1}).limit(limit)
        return read_stored(DEAD_MESSAGES, DeadMessage, found, id="id")

    def dead_bytes(self, name: str) -> int:
        """Return the sum of the sizes, from an index alone."""
        total = {"$group": {"_id": None, "bytes": {"$sum": "$size"}}}
        return sum(
            int(found["bytes"])
            for found in self._dead.aggregate(
                [{"$match": {"source": name}}, total], hint={"source": 1, "size": 1}
            )
        )

    def count_dead(self, name: str) -> int:
        return self._dead.count_documents({"source": name})

    def remove_dead(self, ids: Sequence[str]) -> None:
        self._dead.delete_many({"_id": {"$in": list(ids)}})

    def note_process(
        self, process: str, reads: Collection[str] = ()
    ) -> Mapping[str, Collection[str]]:
        change = {"$currentDate": {"at": True}, "$set": {"reads": list(reads), "waiting": False}}
        upsert(lambda: self._processes.update_one({"_id": process}, change, upsert=True))
        working = {"waiting": {"$ne": True}, "at": {"$type": "date"}}
        found = {str(one["_id"]): one for one in self._processes.find(working).sort("_id", 1)}
        since = found[process]["at"] - PROCESS_GONE
        return {other: one.get("reads", []) for other, one in found.items() if one["at"] > since}

    def forget_process(self, process: str) -> None:
        self._processes.delete_one({"_id": process})

    def processes(self) -> list[StreamProcess]:
        working = {"waiting": {"$ne": True}, "at": {"$type": "date"}}
        found = self._processes.find(working).sort("_id", 1)
        return [StreamProcess(str(p["_id"]), p.get("reads", []), p["at"]) for p in found]

    def has_processes(self) -> bool:
        return self._processes.find_one({}, {"_id": True}) is not None

    def answer(self, key: str) -> Document | None:
        found = self._answers.find_one({"_id": key})
        stored = None if found is None else found.get("answer")
        return dict(stored) if isinstance(stored, dict) else None

    def keep_answer(self, key: str, answer: Document) -> None:
        """Store the answer with the time of the server, which deletes it a day later."""
        change = {"$setOnInsert": {"answer": answer}, "$currentDate": {"at": True}}
        upsert(lambda: self._answers.update_one({"_id": key}, change, upsert=True))

    def _change(self, name: str, change: Document) -> None:
        upsert(lambda: self._progress.update_one({"_id": name}, change, upsert=True))


def source_latencies(database: MongoDatabase) -> Mapping[str, timedelta]:
    """Return how long evaluation waits for values of each source that states it and is valid."""
    found = good(SOURCES, database[SOURCES].find(), parse_source)
    return {source.name: source.waits for source in found if source.waits is not None}
