"""Predict jobs and imports in MongoDB."""

from typing import Generic, TypeVar

from alerting.adapters.mongo.documents import Document, MongoDatabase, insert_new, to_document
from alerting.adapters.mongo.each import read_one, read_stored
from alerting.ports import ImportJob, PredictJob

J = TypeVar("J", PredictJob, ImportJob)


class MongoJobs(Generic[J]):
    """Ports `PredictJobs` and `ImportJobs`, each on a collection of its own."""

    def __init__(self, database: MongoDatabase, collection: str, job: type[J]) -> None:
        self._jobs = database[collection]
        self._collection = collection
        self._type: type[J] = job

    def insert(self, job: J) -> bool:
        return insert_new(self._jobs, _document(job))

    def replace(self, job: J) -> bool:
        before = {"_id": job.id, "version": job.version - 1}
        return self._jobs.replace_one(before, _document(job)).matched_count == 1

    def get(self, id: str) -> J | None:
        return read_one(self._collection, self._type, self._jobs.find_one({"_id": id}), "id")

    def all(self) -> list[J]:
        found = self._jobs.find().sort([("created_at", -1), ("_id", -1)])
        return read_stored(self._collection, self._type, found, "id")

    def forget(self, id: str) -> None:
        self._jobs.delete_one({"_id": id})


def _document(job: PredictJob | ImportJob) -> Document:
    document = to_document(job)
    return {"_id": document.pop("id"), **document}
