"""Predict jobs in MongoDB."""

from alerting.adapters.mongo.documents import MongoDatabase, insert_new, to_document
from alerting.adapters.mongo.each import read_one, read_stored
from alerting.adapters.mongo.indexes import PREDICT_JOBS
from alerting.ports import PredictJob


class MongoJobs:
    """Port `PredictJobs`."""

    def __init__(self, database: MongoDatabase) -> None:
        self._jobs = database[PREDICT_JOBS]

    def insert(self, job: PredictJob) -> bool:
        return insert_new(self._jobs, _document(job))

    def replace(self, job: PredictJob) -> bool:
        before = {"_id": job.id, "version": job.version - 1}
        return self._jobs.replace_one(before, _document(job)).matched_count == 1

    def get(self, id: str) -> PredictJob | None:
        return read_one(PREDICT_JOBS, PredictJob, self._jobs.find_one({"_id": id}), "id")

    def all(self) -> list[PredictJob]:
        found = self._jobs.find().sort([("created_at", -1), ("_id", -1)])
        return read_stored(PREDICT_JOBS, PredictJob, found, "id")

    def forget(self, id: str) -> None:
        self._jobs.delete_one({"_id": id})


def _document(job: PredictJob) -> dict[str, object]:
    document = to_document(job)
    return {"_id": document.pop("id"), **document}
