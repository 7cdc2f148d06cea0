"""Silences in MongoDB. Ended silences stay."""

from datetime import datetime

from alerting.adapters.mongo.documents import Document, MongoDatabase, insert_new, to_document
from alerting.adapters.mongo.each import read_one, read_stored
from alerting.adapters.mongo.indexes import SILENCES
from alerting.operators.silences import Silence


class MongoSilences:
    """Port `Silences`. A faulty document is left out: it mutes nothing."""

    def __init__(self, database: MongoDatabase) -> None:
        self._silences = database[SILENCES]

    def insert(self, silence: Silence) -> bool:
        return insert_new(self._silences, _document(silence))

    def replace(self, silence: Silence) -> bool:
        stored = {"_id": silence.id, "version": silence.version - 1}
        return self._silences.replace_one(stored, _document(silence)).matched_count == 1

    def get(self, id: str) -> Silence | None:
        return read_one(SILENCES, Silence, self._silences.find_one({"_id": id}), "id")

    def not_ended(self) -> list[Silence]:
        found = self._silences.find({"ended_at": None}).sort([("since", 1), ("_id", 1)])
        return read_stored(SILENCES, Silence, found, "id")

    def overlapping(self, start: datetime | None, end: datetime, limit: int = 0) -> list[Silence]:
        query: Document = {"since": {"$lt": end}}
        if start is not None:
            query["until"] = {"$gt": start}
        found = self._silences.find(query).sort([("since", -1), ("_id", -1)]).limit(limit)
        return read_stored(SILENCES, Silence, found, "id")


def _document(silence: Silence) -> Document:
    document = to_document(silence)
    return {"_id": document.pop("id"), **document}
