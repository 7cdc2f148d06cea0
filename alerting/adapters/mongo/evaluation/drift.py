"""The last check of drift of each definition, in MongoDB."""

from collections.abc import Collection

from alerting.adapters.mongo.documents import MongoDatabase, to_document, upsert
from alerting.adapters.mongo.each import read_one, read_stored
from alerting.adapters.mongo.indexes import DRIFT_CHECKS
from alerting.learning.metrics.drift_findings import (
    MOST_DISMISSALS,
    DefinitionDrift,
    Dismissal,
)


class MongoDriftChecks:
    """Port `DriftChecks`: one document for each definition."""

    def __init__(self, database: MongoDatabase) -> None:
        self._checks = database[DRIFT_CHECKS]

    def get(self, definition: str) -> DefinitionDrift | None:
        found = self._checks.find_one({"_id": definition})
        return read_one(DRIFT_CHECKS, DefinitionDrift, found)

    def all_checks(self) -> list[DefinitionDrift]:
        return read_stored(DRIFT_CHECKS, DefinitionDrift, self._checks.find().sort("_id", 1))

    def store_check(self, check: DefinitionDrift) -> None:
        fields = to_document(check)
        del fields["dismissals"]  # of people, who may add one meanwhile
        one = {"_id": check.definition}
        upsert(lambda: self._checks.update_one(one, {"$set": fields}, upsert=True))

    def add_dismissal(self, definition: str, dismissal: Dismissal) -> bool:
        added = {"$each": [to_document(dismissal)], "$slice": -MOST_DISMISSALS}
        change = {"$push": {"dismissals": added}}
        return self._checks.update_one({"_id": definition}, change).matched_count == 1

    def keep_only(self, definitions: Collection[str]) -> None:
        self._checks.delete_many({"_id": {"$nin": list(definitions)}})
