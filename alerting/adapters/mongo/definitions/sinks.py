"""How far each sink has delivered, in MongoDB."""

from collections.abc import Collection, Mapping
from datetime import datetime

from pymongo import UpdateOne

from alerting.adapters.mongo.documents import (
    Document,
    MongoDatabase,
    insert_all_new,
    insert_new,
    stored_text,
    to_bson,
    to_document,
    upsert,
)
from alerting.adapters.mongo.each import read_one, read_stored
from alerting.adapters.mongo.indexes import (
    SINK_ALARMS,
    SINK_LETTERS,
    SINK_PROGRESS,
)
from alerting.ports.sinks import SinkLetter, SinkProgress, SinkStep


class MongoSinkDeliveries:
    """Port `SinkDeliveries`."""

    def __init__(self, database: MongoDatabase) -> None:
        self._progress = database[SINK_PROGRESS]
        self._alarms = database[SINK_ALARMS]
        self._letters = database[SINK_LETTERS]

    def progress(self, name: str) -> SinkProgress:
        found = self._progress.find_one({"_id": name})
        return read_one(SINK_PROGRESS, SinkProgress, found) or SinkProgress()

    def begin(self, name: str, position: str | None, at: datetime) -> None:
        first: Document = {"position": position, "until": to_bson(at), "sent": 0, "left_out": 0}
        with_a_fault_only: Document = {"_id": name, "until": None}
        if not self._progress.update_one(with_a_fault_only, {"$set": first}).matched_count:
            insert_new(self._progress, {"_id": name, **first})

    def sent_alarms(self, name: str, episodes: Collection[str]) -> Mapping[str, int]:
        if not episodes:
            return {}
        found = self._alarms.find({"sink": name, "episode": {"$in": list(episodes)}})
        return {str(one["episode"]): int(one["sent"]) for one in found}

    def advance(self, name: str, before: str | None, step: SinkStep) -> bool:
        """Store what was delivered, the position last: a process that dies before it delivers
        these messages once more, under the same keys."""
        self._add_letters(step)
        self._note_alarms(name, step)
        change: Document = {
            "$set": {"position": step.position, "until": to_bson(step.until)},
            "$inc": {"sent": step.sent, "left_out": step.left_out},
            "$unset": {"fault": "", "fault_at": ""},
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
        text = stored_text("fault", fault)
        since: Document = {"$set": {**text, "fault_at": to_bson(at)}}
        stored: Document = {"_id": name, "fault": {"$type": "string"}}
        if not self._progress.update_one(stored, {"$set": text}).matched_count:
            upsert(lambda: self._progress.update_one({"_id": name}, since, upsert=True))

    def letters(self, name: str, limit: int, *, again: bool = False) -> list[SinkLetter]:
        chosen: Document = {"sink": name, "again": True} if again else {"sink": name}
        found = self._letters.find(chosen).sort({"at": 1, "_id": 1}).limit(limit)
        return read_stored(SINK_LETTERS, SinkLetter, found, id="id")

    def count_letters(self, name: str) -> int:
        return self._letters.count_documents({"sink": name})

    def replace_letter(self, letter: SinkLetter) -> None:
        document = {**to_document(letter), "_id": letter.id}
        upsert(lambda: self._letters.replace_one({"_id": letter.id}, document, upsert=True))

    def remove_letters(self, ids: Collection[str]) -> None:
        self._letters.delete_many({"_id": {"$in": list(ids)}})

    def retry_letters(self, name: str) -> int:
        done = self._letters.update_many({"sink": name}, {"$set": {"again": True}})
        return done.matched_count

    def _add_letters(self, step: SinkStep) -> None:
        insert_all_new(self._letters, [{**to_document(one), "_id": one.id} for one in step.letters])

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
