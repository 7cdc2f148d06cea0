"""Labels of times in MongoDB. Undone labels stay."""

from collections.abc import Collection
from datetime import datetime

from alerting.adapters.mongo.documents import Document, MongoDatabase, insert_new, to_document
from alerting.adapters.mongo.each import read_one, read_stored
from alerting.adapters.mongo.indexes import LABELS
from alerting.readings.interval_labels import IntervalLabel


class MongoLabels:
    """Port `Labels`. A faulty document is left out: it labels nothing."""

    def __init__(self, database: MongoDatabase) -> None:
        self._labels = database[LABELS]

    def insert(self, label: IntervalLabel) -> bool:
        return insert_new(self._labels, _document(label))

    def store_undone(self, label: IntervalLabel) -> bool:
        undone = {"undone_at": label.undone_at, "undone_by": label.undone_by}
        query = {"_id": label.id, "undone_at": None}
        return self._labels.update_one(query, {"$set": undone}).modified_count == 1

    def get(self, id: str) -> IntervalLabel | None:
        return read_one(LABELS, IntervalLabel, self._labels.find_one({"_id": id}), "id")

    def in_force(self, assets: Collection[str], at: datetime | None) -> list[IntervalLabel]:
        query: Document = {"asset": {"$in": list(assets)}}
        if at is None:
            query["undone_at"] = None
        else:
            query |= {
                "made_at": {"$lte": at},
                "$or": [{"undone_at": None}, {"undone_at": {"$gt": at}}],
            }
        return self._read(query, ("start", 1), ("_id", 1))

    def newest(
        self, asset: str, limit: int, before: tuple[datetime, str] | None = None
    ) -> list[IntervalLabel]:
        query: Document = {"asset": asset}
        if before is not None:
            made_at, id = before
            query["$or"] = [{"made_at": {"$lt": made_at}}, {"made_at": made_at, "_id": {"$lt": id}}]
        return self._read(query, ("made_at", -1), ("_id", -1), limit=limit)

    def _read(
        self, query: Document, *order: tuple[str, int], limit: int = 0
    ) -> list[IntervalLabel]:
        found = self._labels.find(query).sort(list(order)).limit(limit)
        return read_stored(LABELS, IntervalLabel, found, "id")


def _document(label: IntervalLabel) -> Document:
    document = to_document(label)
    return {"_id": document.pop("id"), **document}
