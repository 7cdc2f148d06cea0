"""Records of past evaluations in MongoDB."""

from alerting.adapters.mongo.documents import MongoDatabase, from_document, to_document
from alerting.adapters.mongo.indexes import REPLAYS
from alerting.ports import Replay


class MongoReplays:
    """Port `Replays`: append-only."""

    def __init__(self, database: MongoDatabase) -> None:
        self._replays = database[REPLAYS]

    def add(self, replay: Replay) -> None:
        """Store a record."""
        self._replays.insert_one(to_document(replay))

    def of(self, definition: str) -> list[Replay]:
        """Return records for a definition, oldest first."""
        found = self._replays.find({"definition": definition}).sort([("at", 1), ("_id", 1)])
        return [from_document(Replay, document) for document in found]
