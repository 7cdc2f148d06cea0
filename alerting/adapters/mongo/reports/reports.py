"""Performance reports in MongoDB."""

from datetime import datetime

from alerting.adapters.mongo.documents import Document, MongoDatabase, fingerprint, to_bson
from alerting.adapters.mongo.indexes import REPORTS


class MongoReports:
    """Port `Reports`: one document per definition and period; a new report replaces the previous one."""

    def __init__(self, database: MongoDatabase) -> None:
        self._reports = database[REPORTS]

    def put(self, definition: str, start: datetime, end: datetime, metrics: Document, page: str, at: datetime) -> str:
        """Store a report and return its id, the same for the same definition and period."""
        identity = fingerprint(definition, start, end)
        document = to_bson(
            {"definition": definition, "start": start, "end": end, "at": at, "metrics": metrics, "page": page},
        )
        self._reports.replace_one({"_id": identity}, document, upsert=True)
        return identity

    def of(self, definition: str) -> list[Document]:
        """Return documents {id, definition, start, end, at, figures}, newest period first."""
        found = self._reports.find({"definition": definition}, {"page": False}).sort([("start", -1), ("end", -1)])
        return [{"id": document.pop("_id"), **document} for document in found]

    def names(self, start: datetime, end: datetime) -> set[str]:
        """Return the definitions that have a report on this period; an index answers it."""
        found = self._reports.find({"start": start, "end": end}, {"_id": False, "definition": True})
        return {str(document["definition"]) for document in found}

    def newest(self, limit: int) -> list[Document]:
        """Return documents {id, definition, start, end, at, figures: {judgement}} of the latest periods, newest first."""
        shown = {"definition": True, "start": True, "end": True, "at": True, "metrics.judgement": True}
        found = self._reports.find({}, shown).sort([("start", -1), ("_id", -1)]).limit(limit)
        return [{"id": document.pop("_id"), **document} for document in found]

    def page(self, id: str) -> str | None:
        found = self._reports.find_one({"_id": id}, {"page": True})
        return None if found is None else str(found["page"])
