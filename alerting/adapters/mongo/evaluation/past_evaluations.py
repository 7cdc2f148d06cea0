"""Records of past evaluations in MongoDB."""

from datetime import datetime

from alerting.adapters.mongo.documents import MongoDatabase, from_document, to_document
from alerting.adapters.mongo.indexes import PAST_EVALUATIONS
from alerting.ports import Document, PastEvaluation


class MongoPastEvaluations:
    """Port `PastEvaluations`: append-only."""

    def __init__(self, database: MongoDatabase) -> None:
        self._evaluations = database[PAST_EVALUATIONS]

    def add(self, evaluation: PastEvaluation) -> None:
        self._evaluations.insert_one(to_document(evaluation))

    def of(self, definition: str) -> list[PastEvaluation]:
        return self._find({"definition": definition})

    def between(self, start: datetime, end: datetime) -> list[PastEvaluation]:
        return self._find({"start": {"$lt": end}, "end": {"$gt": start}})

    def _find(self, query: Document) -> list[PastEvaluation]:
        found = self._evaluations.find(query).sort([("at", 1), ("_id", 1)])
        return [from_document(PastEvaluation, document) for document in found]
