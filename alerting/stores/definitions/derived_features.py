"""Stride and windows derived for a question, in MongoDB."""

from alerting.learning.features.planning import DerivedFeatures
from alerting.stores.documents import DERIVED_FEATURES, MongoDatabase, read_one, to_document, upsert


class MongoDerivedFeatures:
    """Port `DerivedFeatureStore`: one document for each definition and question."""

    def __init__(self, database: MongoDatabase) -> None:
        self._derived = database[DERIVED_FEATURES]

    def get(self, definition: str, question: str) -> DerivedFeatures | None:
        found = self._derived.find_one({"_id": f"{definition}|{question}"})
        return read_one(DERIVED_FEATURES, DerivedFeatures, found)

    def fix(self, definition: str, question: str, derived: DerivedFeatures) -> DerivedFeatures:
        """Store the values unless some are stored already; return the stored ones."""
        one = {"_id": f"{definition}|{question}"}
        upsert(
            lambda: self._derived.update_one(
                one, {"$setOnInsert": to_document(derived)}, upsert=True
            )
        )
        return self.get(definition, question) or derived
