"""Hand-overs of shifts in MongoDB."""

from collections.abc import Collection
from datetime import datetime

from alerting.adapters.mongo.documents import (
    Document,
    MongoDatabase,
    insert_new,
    to_bson,
    to_document,
)
from alerting.adapters.mongo.each import read_one, read_stored
from alerting.adapters.mongo.indexes import HANDOVERS
from alerting.operators.handovers import Handover


class MongoHandovers:
    """Port `Handovers`."""

    def __init__(self, database: MongoDatabase) -> None:
        self._handovers = database[HANDOVERS]

    def insert(self, handover: Handover) -> bool:
        return insert_new(self._handovers, _document(handover))

    def replace(self, handover: Handover) -> bool:
        before = {"_id": handover.id, "version": handover.version - 1}
        return self._handovers.replace_one(before, _document(handover)).matched_count == 1

    def get(self, id: str) -> Handover | None:
        return read_one(HANDOVERS, Handover, self._handovers.find_one({"_id": id}), "id")

    def find(
        self,
        start: datetime | None = None,
        end: datetime | None = None,
        limit: int | None = None,
        before: tuple[datetime, str] | None = None,
        parts: Collection[str | None] | None = None,
    ) -> list[Handover]:
        query: Document = {} if parts is None else {"part": {"$in": list(parts)}}
        if start is not None:
            query["end"] = {"$gt": to_bson(start)}
        if end is not None:
            query["start"] = {"$lt": to_bson(end)}
        if before is not None:
            at = to_bson(before[0])
            # the first condition bounds the index: the second alone reads all that is newer
            query["$and"] = [
                {"start": {"$lte": at}},
                {"$or": [{"start": {"$lt": at}}, {"_id": {"$lt": before[1]}}]},
            ]
        found = self._handovers.find(query).sort([("start", -1), ("_id", -1)]).limit(limit or 0)
        return read_stored(HANDOVERS, Handover, found, "id")


def _document(handover: Handover) -> Document:
    document = to_document(handover)
    return {"_id": document.pop("id"), **document}
