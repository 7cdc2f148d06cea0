"""Records of past evaluations in MongoDB."""

from alerting.adapters.mongo.documents import MongoDatabase, from_document, to_document
from alerting.adapters.mongo.indexes import PAST_EVALUATIONS
from alerting.ports import PastEvaluation


class MongoPastEvaluations:
    """Port `PastEvaluations`: append-only."""

    def __init__(self, database: MongoDatabase) -> None:
        self._evaluations = database[PAST_EVALUATIONS]

    def add(self, evaluation: PastEvaluation) -> None:
        """Store a record."""
        self._evaluations.insert_one(to_document(evaluation))

    def of(self, definition: str) -> list[PastEvaluation]:
        """Return records for a definition, oldest first."""
        found = self._evaluations.find({"definition": definition}).sort([("at", 1), ("_id", 1)])
        return [from_document(PastEvaluation, document) for document in found]
