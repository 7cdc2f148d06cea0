"""Promotion decisions in MongoDB."""

from pymongo.errors import DuplicateKeyError

from alerting.pipelines.ports import DecisionRecord
from alerting.stores.documents import MongoDatabase, from_document, to_document
from alerting.stores.indexes import DECISIONS


class MongoDecisions:
    """Port `Decisions`. `run_key` is absent from decisions made by hand, which belong to no run and may be many;
    `place_key` from those that promote nothing.
    """

    def __init__(self, database: MongoDatabase) -> None:
        self._decisions = database[DECISIONS]

    def add(self, decision: DecisionRecord, place: int | None = None) -> bool:
        """Keep it; False if this definition and run have one already, or another promotion took the place."""
        document = to_document(decision)
        if place is not None:
            document["place_key"] = f"{decision.definition}|{place}"
        if decision.run_id is not None:
            document["run_key"] = f"{decision.definition}|{decision.run_id}"
        try:
            self._decisions.insert_one(document)
        except DuplicateKeyError:
            return False
        return True

    def of(self, definition: str) -> list[DecisionRecord]:
        """Decisions on a definition, oldest first."""
        found = self._decisions.find({"definition": definition}).sort([("at", 1), ("_id", 1)])
        return [from_document(DecisionRecord, document) for document in found]
