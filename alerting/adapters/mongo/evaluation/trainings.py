"""The newest training of every question, in MongoDB."""

from collections.abc import Collection

from alerting.adapters.mongo.documents import MongoDatabase, to_document, upsert
from alerting.adapters.mongo.each import read_stored
from alerting.adapters.mongo.indexes import TRAININGS
from alerting.ports import Training


class MongoTrainings:
    """Port `Trainings`: one document for each definition and question."""

    def __init__(self, database: MongoDatabase) -> None:
        self._trainings = database[TRAININGS]

    def for_definitions(self, definitions: Collection[str]) -> list[Training]:
        found = self._trainings.find({"definition": {"$in": list(definitions)}}).sort(
            [("started_at", 1), ("_id", 1)]
        )
        return read_stored(TRAININGS, Training, found)

    def begin(self, training: Training) -> None:
        one = {"_id": f"{training.definition}|{training.question}"}
        upsert(lambda: self._trainings.replace_one(one, to_document(training), upsert=True))

    def end(self, training: Training) -> bool:
        own = {"_id": f"{training.definition}|{training.question}", "run": training.run}
        return self._trainings.replace_one(own, to_document(training)).matched_count == 1
