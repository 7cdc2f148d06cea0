"""Predict jobs: received whole or not at all, worked at once, begun again after a worker was
killed, bounded.

Airflow calls the same method (tests/local/test_up_platform.py).
"""

from datetime import UTC, datetime, timedelta

import pytest
from fastapi.testclient import TestClient

from alerting.adapters import scored_files
from alerting.adapters.mongo.mongo import DatabaseDown, is_outage
from alerting.adapters.scored_files import JobsFull, PredictFolder, ScoredFile
from alerting.console import gate
from alerting.console.api import predict_api
from alerting.console.app import create_app
from alerting.definitions.faults import UserError
from tests.helpers.console.api import ADMIN, OPERATOR, TOKENS, VIEWER, expect_problem

PATH = "/api/v1/definitions/too-moist/predict-jobs"
PARQUET = b"PAR1 a table of readings PAR1"
FOUND = ScoredFile(3, 10, 7, {"no values are known": 2})
LASTS = timedelta(days=14)


@pytest.fixture
def files(tmp_path):
    return PredictFolder(tmp_path / "predictions")


@pytest.fixture
def client(platform, files, monkeypatch):
    monkeypatch.setattr(predict_api, "require_scores", lambda platform, name: None)
    return TestClient(
        create_app(platform, TOKENS, predict_files=files), raise_server_exceptions=False
    )


def order(files, size=30):
    return files.order("too-moist", "ada", size, {}, LASTS)


@pytest.fixture
def sent(files):
    """Return a function that makes a job whose readings have arrived, and returns its id."""

    def send():
        job = order(files)
        files.readings(job.id).write_bytes(PARQUET)
        return files.submit(job).id

    return send


@pytest.fixture
def work(platform, files, monkeypatch):
    """Return the work at a job in this process; `fault` is what scoring raises."""

    def run(id, fault=None, is_last=False):
        def score_file(platform, name, readings, layout, out):
            if fault:
                raise fault
            out.write_bytes(b"scores of " + readings.read_bytes())
            return FOUND

        monkeypatch.setattr(scored_files, "score_file", score_file)
        return files.run(platform, id, is_outage, is_last)

    return run


def send(client, body=PARQUET, headers=ADMIN, **query):
    return client.post(PATH, content=body, headers=headers, params=query)


def test_a_file_comes_in_is_scored_and_a_file_goes_out(client, files, work):
    answer = send(client, asset="oven-1")
    job = answer.json()
    expected = {
        "state": "waiting",
        "definition": "too-moist",
        "actor": "ada",
        "scores": None,
        "bytes": len(PARQUET),
    }
    assert (answer.status_code, job | expected) == (202, job)
    assert files.get(job["id"]).layout == {"asset": "oven-1"}
    address = f"/api/v1/predict-jobs/{job['id']}"
    said = expect_problem(client.get(f"{address}/scores", headers=VIEWER), 404)
    assert "is waiting: it has no scores" in said
    assert work(job["id"]).state == "done"
    left = sorted(path.name for path in (files.folder / job["id"]).iterdir())
    assert left == ["job.json", "scores.parquet"]
    shown = client.get(address, headers=VIEWER).json()
    assert (shown["state"], shown["result"]["scores"]) == ("done", 7)
    assert client.get(shown["scores"], headers=VIEWER).content == b"scores of " + PARQUET


def test_what_is_no_file_or_not_allowed_leaves_nothing(client, files, monkeypatch):
    assert "not a Parquet file" in expect_problem(send(client, b"ts,asset\n"), 422)
    expect_problem(send(client, headers=OPERATOR), 403)
    claimed = {**ADMIN, "content-length": str(gate.LARGEST_UPLOAD + 1)}
    assert "larger than 1073741824 bytes" in expect_problem(send(client, b"", headers=claimed), 413)
    monkeypatch.setattr(scored_files, "MOST_WAITING", 0)
    assert "are waiting" in expect_problem(send(client), 429)
    for id in ("..%2F..%2Fsecrets", "0" * 12):
        assert client.get(f"/api/v1/predict-jobs/{id}", headers=VIEWER).status_code in (404, 422)
    assert list(files.folder.iterdir()) == []


def test_uploads_under_way_count_with_all_that_they_will_write(files, monkeypatch):
    monkeypatch.setattr(scored_files, "MOST_BYTES", 200)
    order(files)
    order(files)
    with pytest.raises(JobsFull, match="2 predict jobs are waiting"):
        order(files)
    assert len(files.jobs()) == 2


def test_what_is_over_is_deleted_in_time_and_uploads_that_ended_without_a_trace(
    files, sent, work, monkeypatch
):
    over = sent()
    waits = sent()
    work(over)
    arriving = order(files).id
    now = datetime.now(UTC)

    def left(later):
        files.clean(now + later, LASTS)
        return {path.name for path in files.folder.iterdir()}

    assert left(timedelta(minutes=59)) == {over, waits, arriving}
    assert left(timedelta(hours=2)) == {over, waits}
    assert left(LASTS + timedelta(hours=1)) == {waits}
    work(waits)
    monkeypatch.setattr(scored_files, "MOST_JOBS", 0)
    assert left(timedelta(0)) == set()


def test_after_a_worker_that_was_killed_another_begins_again(files, sent, work):
    id = sent()
    with pytest.raises(SystemExit):
        work(id, SystemExit())
    assert files.get(id).state == "running"
    (files.folder / id / "try-killed").mkdir()
    done = work(id)
    assert (done.state, done.result) == ("done", FOUND)
    assert not list((files.folder / id).glob("try-*"))
    assert work(id, RuntimeError("a late worker")) == done
    assert files.fail(id, "a late worker") == done


def test_a_fault_that_may_pass_is_tried_until_the_last_try(files, sent, work):
    for fault in (OSError("the disk is full"), DatabaseDown("away")):
        id = sent()
        with pytest.raises(type(fault)):
            work(id, fault)
        assert files.get(id).ended_at is None
        failed = work(id, fault, is_last=True)
        found = (failed.state, failed.fault, files.readings(id).exists())
        assert found == ("failed", str(fault), False)


def test_a_faulty_file_fails_at_once_and_its_path_is_not_said(files, sent, work):
    id = sent()
    failed = work(id, UserError(f"{files.readings(id)}: it has no time"))
    assert (failed.state, failed.fault) == ("failed", "the file: it has no time")
