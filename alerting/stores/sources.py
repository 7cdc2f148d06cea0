"""How far each source has delivered, and messages that could not be stored."""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

from pymongo import WriteConcern

from alerting.definitions.sources.source import parse_source
from alerting.ports import (
    DeadMessage,
    Declarations,
    Delivered,
    FileMark,
    PollReader,
    SourceLoss,
    SourceProgress,
)
from alerting.stores.documents import (
    DEAD_MESSAGES,
    DELIVERY_ANSWERS,
    SOURCE_FILES,
    SOURCE_PROGRESS,
    SOURCES,
    Document,
    MongoDatabase,
    good,
    insert_all_new,
    read_one,
    read_stored,
    stored_text,
    to_bson,
    to_document,
    upsert,
)

_RECENT = 20
_MOST_FORGOTTEN = 10_000


class SourceDeliveries:
    """Deliveries and declarations of sources, and how far each source is read."""

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
        """Return what each source has declared, of those whose rows have declared anything, or too
        much, by name.

        A sender of rows without a source is among them, under a name with a blank: `sender NAME`.
        """
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

    def note_polled(self, name: str, by: PollReader, at: datetime) -> None:
        """Store when and by whom a polled source was read."""
        noted: Document = {"$set": {"polled_at": to_bson(at), "polled_by": by}}
        upsert(lambda: self._counts.update_one({"_id": name}, noted, upsert=True))

    def set_cursor(self, name: str, cursor: str, of: str) -> None:
        """Store how far a polled source is read. `of`: hash of what the cursor belongs to."""
        self._change(name, {"$set": {"cursor": cursor, "cursor_of": of}})

    def set_fault(self, name: str, fault: str | None) -> None:
        """Store why the last attempt to read a source failed; None once it is over."""
        self._change(name, {"$set": stored_text("fault", fault)})

    def file_marks(self, name: str, paths: Sequence[str]) -> list[FileMark]:
        found = self._files.find({"source": name, "path": {"$in": list(paths)}})
        return read_stored(SOURCE_FILES, FileMark, found)

    def mark_file(self, mark: FileMark) -> None:
        key = {"source": mark.source, "path": mark.path, "size": mark.size, "sha256": mark.sha256}
        upsert(lambda: self._files.replace_one(key, to_document(mark), upsert=True))

    def forget_files(self, name: str, before: datetime, there: Collection[str]) -> int:
        """Remove the marks of a source from before an instant, except of paths that are still
        there. Return how many."""
        old = self._files.find({"source": name, "at": {"$lt": to_bson(before)}}, {"path": True})
        gone = [mark["_id"] for mark in old if mark.get("path") not in there]
        return (
            self._files.delete_many({"_id": {"$in": gone[:_MOST_FORGOTTEN]}}).deleted_count
            if gone
            else 0
        )

    def answer(self, key: str) -> Document | None:
        """Return the stored answer to a delivery with this key; None without one of the last
        day."""
        found = self._answers.find_one({"_id": key})
        stored = None if found is None else found.get("answer")
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
            [{**to_document(one), "_id": one.id, "size": len(one.payload)} for one in messages],
        )

    def dead(
        self, name: str | None, limit: int, after: DeadMessage | None = None
    ) -> list[DeadMessage]:
        """Return such messages of a source, or of all, oldest first; with `after`, those that
        follow it."""
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


def source_latencies(database: MongoDatabase) -> Mapping[str, timedelta]:
    """Return how long evaluation waits for values of each source that states it and is valid."""
    found = good(SOURCES, database[SOURCES].find(), parse_source)
    return {source.name: source.waits for source in found if source.waits is not None}
