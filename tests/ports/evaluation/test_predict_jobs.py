"""Port `PredictJobs`."""

from dataclasses import replace

import pytest
from pymongo.errors import WriteError

from alerting.adapters.mongo.documents import to_document
from alerting.adapters.mongo.indexes import PREDICT_JOBS
from alerting.ports import PredictJob, ScoredFile
from tests.builders import at

JOB = PredictJob("0123456789ab", "too-moist", "ada", at(0), 10, {"asset": "oven-1"}, "hash")


def test_a_job_is_stored_as_it_is_and_the_newest_is_first(stores):
    younger = replace(JOB, id="f" * 12, created_at=at(1))
    assert stores.predict_jobs.insert(JOB)
    assert stores.predict_jobs.insert(younger)
    assert not stores.predict_jobs.insert(JOB)
    assert stores.predict_jobs.all() == [younger, JOB]
    result = ScoredFile(3, 10, 7, {"no value of 5.0 m": 2}, ("a note",), "s3://plant/scores")
    done = replace(JOB, state="done", tries=1, result=result, version=2, ended_at=at(2))
    assert stores.predict_jobs.replace(done)
    assert stores.predict_jobs.get(JOB.id) == done
    stores.predict_jobs.forget(JOB.id)
    stores.predict_jobs.forget(JOB.id)
    assert (stores.predict_jobs.get(JOB.id), stores.predict_jobs.all()) == (None, [younger])


def test_a_job_changes_only_to_the_next_version_of_the_stored_one(stores):
    running = replace(JOB, state="running", tries=1, version=2)
    assert not stores.predict_jobs.replace(running)
    stores.predict_jobs.insert(JOB)
    assert stores.predict_jobs.replace(running)
    assert not stores.predict_jobs.replace(replace(JOB, state="waiting", version=2))
    assert stores.predict_jobs.get(JOB.id) == running


def test_the_server_refuses_a_job_whose_id_is_no_name_of_a_folder(real):
    document = to_document(JOB)
    del document["id"]
    with pytest.raises(WriteError):
        real.database[PREDICT_JOBS].insert_one({"_id": "../../etc", **document})
