"""Predict jobs: received whole or not at all, worked at one by one, cancelled, begun again after a
restart, bounded."""

import sys
import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from fastapi.testclient import TestClient
from uvicorn.config import Config

from alerting.adapters.archive import predict_jobs
from alerting.adapters.archive.predict_jobs import JobsFull, PredictJobs, write_outcome
from alerting.console import gate
from alerting.console.api import predict_jobs_api
from alerting.console.app import create_app
from alerting.console.predict_worker import PredictWorker
from alerting.console.server import PatientProtocol
from alerting.definitions.faults import NotFound
from tests.helpers.console.api import ADMIN, OPERATOR, TOKENS, VIEWER, expect_problem

PATH = "/api/v1/definitions/too-moist/predict-jobs"
PARQUET = b"PAR1 a table of readings PAR1"
NOW = datetime(2026, 1, 5, tzinfo=UTC)
RESULT = {"version": 3, "rows": 10, "scores": 7, "unknown": {"no values are known": 2}, "notes": []}


@pytest.fixture
def jobs(tmp_path):
    return PredictJobs(tmp_path / "predictions", lambda: NOW)


@pytest.fixture
def client(platform, jobs, monkeypatch):
    monkeypatch.setattr(predict_jobs_api, "_require_scores", lambda platform, name: None)
    return TestClient(
        create_app(platform, TOKENS, predict_jobs=jobs), raise_server_exceptions=False
    )


def submit(jobs, name="too-moist"):
    folder = jobs.begin(10)
    (folder / "readings.parquet").write_bytes(PARQUET)
    return jobs.submit(folder, name, "ada", {}).order.id


def send(client, body=PARQUET, headers=ADMIN, **query):
    return client.post(PATH, content=body, headers=headers, params=query)


def test_a_job_is_ordered_shown_done_and_its_scores_are_sent(client, jobs, tmp_path):
    answer = send(client, asset="oven-1")
    assert answer.status_code == 202
    job = answer.json()
    assert (job["state"], job["definition"], job["actor"], job["scores"]) == (
        "waiting",
        "too-moist",
        "ada",
        None,
    )
    assert jobs.get(job["id"]).order.layout == {"asset": "oven-1"}
    folder = tmp_path / "predictions" / job["id"]
    assert (folder / "readings.parquet").read_bytes() == PARQUET
    assert "is waiting" in expect_problem(
        client.get(f"/api/v1/predict-jobs/{job['id']}/scores", headers=VIEWER), 404
    )
    (folder / "scores.parquet").write_bytes(b"scores")
    write_outcome(folder, at=NOW, result=RESULT)
    [shown] = client.get("/api/v1/predict-jobs", headers=VIEWER).json()
    assert (shown["state"], shown["progress"], shown["result"]["scores"]) == ("done", 1.0, 7)
    assert client.get(shown["scores"], headers=VIEWER).content == b"scores"
    assert "is done already" in expect_problem(
        client.post(f"/api/v1/predict-jobs/{job['id']}/cancel", headers=ADMIN), 422
    )


def test_what_is_no_file_or_not_allowed_leaves_nothing(client, jobs, tmp_path, monkeypatch):
    assert "not a Parquet file" in expect_problem(send(client, b"ts,asset\n"), 422)
    expect_problem(send(client, headers=OPERATOR), 403)
    claimed = {**ADMIN, "content-length": str(gate.LARGEST_UPLOAD + 1)}
    assert "larger than 1073741824 bytes" in expect_problem(send(client, b"", headers=claimed), 413)
    monkeypatch.setattr(predict_jobs, "MOST_WAITING", 0)
    assert "are waiting" in expect_problem(send(client), 429)
    for id in ("..%2F..%2Fsecrets", "0" * 12):
        assert client.get(f"/api/v1/predict-jobs/{id}", headers=VIEWER).status_code in (404, 422)
    assert list((tmp_path / "predictions").iterdir()) == []


def test_without_a_folder_for_jobs_none_is_taken(platform):
    expect_problem(send(TestClient(create_app(platform, TOKENS))), 503)


def test_jobs_are_bounded_in_number_and_bytes(jobs, monkeypatch):
    submit(jobs)
    monkeypatch.setattr(predict_jobs, "MOST_BYTES", 50)
    with pytest.raises(JobsFull, match="too much"):
        jobs.begin(20)


def test_uploads_under_way_and_waiting_jobs_count_with_all_that_they_will_write(jobs, monkeypatch):
    monkeypatch.setattr(predict_jobs, "MOST_BYTES", 7_000)
    jobs.begin(1000)
    submit(jobs)
    jobs.begin(1000)
    with pytest.raises(JobsFull, match="too much"):
        jobs.begin(1000)


def test_what_is_over_is_deleted_in_time_and_unfinished_uploads_at_a_start(jobs, tmp_path):
    old = submit(jobs)
    cancelled = submit(jobs)
    waiting = submit(jobs)
    write_outcome(tmp_path / "predictions" / old, at=NOW - timedelta(days=15), result=RESULT)
    jobs.cancel(cancelled)
    jobs.begin(10)
    jobs.forget_uploads()
    jobs.clean(timedelta(days=14))
    assert {job.order.id: job.state for job in jobs.all()} == {
        cancelled: "cancelled",
        waiting: "waiting",
    }
    assert not (tmp_path / "predictions" / cancelled / "readings.parquet").exists()
    assert (tmp_path / "predictions" / waiting / "readings.parquet").exists()
    with pytest.raises(NotFound):
        jobs.get(old)


WORK = """
import json, pathlib, sys, time
folder = pathlib.Path(sys.argv[-1])
(folder / "started").write_text("x")
{then}
"""
DONE = """
(folder / "part").write_text(json.dumps({"at": "2026-01-05T00:00:00+00:00", "fault": None, "result": {}}))
(folder / "part").rename(folder / "outcome.json")
"""  # noqa: E501


def worker(jobs, then, longest_s=60.0):
    made = PredictWorker(
        jobs, timedelta(days=14), [sys.executable, "-c", WORK.format(then=then)], longest_s
    )
    made._pause_s = 0.0
    return made


def until(condition):
    for _ in range(600):
        if condition():
            return True
        time.sleep(0.02)
    return False


@pytest.fixture
def working(monkeypatch):
    monkeypatch.setattr("alerting.console.predict_worker._POLL_S", 0.02)
    stops = []

    def start(made):
        stops.append(made.start())
        return stops[-1]

    yield start
    for stop in stops:
        stop.set()


def test_jobs_are_worked_at_one_by_one_the_oldest_first(jobs, working):
    first = submit(jobs)
    second = submit(jobs)
    working(worker(jobs, DONE))
    assert until(lambda: [jobs.get(id).state for id in (first, second)] == ["done", "done"])


def test_a_job_under_way_is_cancelled_and_a_stopped_console_leaves_it_to_the_next(
    jobs, working, tmp_path
):
    first = submit(jobs)
    second = submit(jobs)
    stop = working(worker(jobs, "time.sleep(60)"))
    assert until(lambda: "running" in {job.state for job in jobs.all()})
    [running] = [job.order.id for job in jobs.all() if job.state == "running"]
    [other] = {first, second} - {running}
    jobs.cancel(running)
    assert until(lambda: jobs.get(other).state == "running")
    stop.set()
    assert until(lambda: jobs.get(other).state == "waiting")
    again = PredictJobs(tmp_path / "predictions", lambda: NOW)
    working(worker(again, DONE))
    assert until(lambda: again.get(other).state == "done")
    assert again.get(running).state == "cancelled"


def test_a_worker_that_crashes_or_takes_too_long_fails_its_job_with_the_reason(jobs, working):
    crashing = submit(jobs)
    working(worker(jobs, "sys.exit(9)"))
    assert until(lambda: jobs.get(crashing).state == "failed")
    assert "ended with 9 and without scores" in jobs.get(crashing).fault
    slow = PredictJobs(jobs._folder.parent / "slow")
    late = submit(slow)
    working(worker(slow, "time.sleep(60)", longest_s=0.2))
    assert until(lambda: slow.get(late).state == "failed")
    assert "took longer than" in slow.get(late).fault


def test_an_outage_of_the_database_fails_no_job_however_long_it_lasts(jobs, working):
    job = submit(jobs)
    fail = (
        'file = folder / "tries"; file.open("a").write("x")\nif file.stat().st_size < 6: '
        "sys.exit(69)"
    )
    working(worker(jobs, f"{fail}\n{DONE}"))
    assert until(lambda: jobs.get(job).state in ("done", "failed"))
    assert jobs.get(job).state == "done"


class Clock:
    """An event loop that notes the time limits."""

    def __init__(self):
        self.limits = []

    def call_later(self, seconds, what):
        timer = SimpleNamespace(cancel=lambda: self.limits.remove(seconds))
        self.limits.append(seconds)
        return timer


@pytest.mark.parametrize(("path", "limits"), [(PATH, [1800.0]), ("/api/v1/readings", [20.0])])
def test_only_the_body_of_a_predict_job_has_more_than_seconds_to_arrive(path, limits):
    async def app(scope, receive, send):
        pass

    config = Config(app, log_config=None)
    config.load()
    clock = Clock()
    state = SimpleNamespace(
        connections=set(),
        tasks=SimpleNamespace(add=str, discard=None),
        default_headers=[],
        total_requests=0,
    )
    protocol = PatientProtocol(config, state, {}, _loop=clock)
    clock.create_task = lambda coroutine, **_: (
        coroutine.close() or SimpleNamespace(add_done_callback=lambda _: None)
    )
    nothing = SimpleNamespace(
        get_extra_info=lambda *_: None,
        is_closing=lambda: False,
        pause_reading=lambda: None,
        abort=None,
    )
    protocol.connection_made(nothing)
    protocol.data_received(
        f"POST {path} HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\nPAR1".encode()
    )
    assert clock.limits == limits
