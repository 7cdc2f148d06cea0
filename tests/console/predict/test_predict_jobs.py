"""Predict jobs: received whole or not at all, worked at by one use case, cancelled, begun again
after a worker was killed, bounded.

Airflow calls the same use case (tests/scenarios/platform/test_scheduler.py).
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from types import SimpleNamespace

import pytest
from fastapi.testclient import TestClient
from uvicorn.config import Config

from alerting.adapters.mongo.mongo import DatabaseDown, is_outage
from alerting.adapters.predictions import file_scores
from alerting.adapters.predictions.job_files import JobFolder
from alerting.console import gate
from alerting.console.api import predict_jobs_api
from alerting.console.app import create_app
from alerting.console.server import PatientProtocol
from alerting.definitions.faults import Unreachable, UserError
from alerting.ports import PredictJob, ScoredFile
from alerting.usecases.scoring import jobs as use_case
from alerting.usecases.scoring.jobs import (
    JobsFull,
    TryAgain,
    cancel,
    clean,
    describe_wait,
    order,
    run_job,
    submit,
    unfinished,
)
from tests.helpers.console.api import ADMIN, OPERATOR, TOKENS, VIEWER, expect_problem

PATH = "/api/v1/definitions/too-moist/predict-jobs"
PARQUET = b"PAR1 a table of readings PAR1"
NOW = datetime(2026, 1, 5, tzinfo=UTC)
FOUND = ScoredFile(3, 10, 7, {"no values are known": 2})
LASTS = timedelta(days=14)


@pytest.fixture
def files(tmp_path):
    return JobFolder(tmp_path / "predictions")


@pytest.fixture
def client(platform, files, monkeypatch):
    monkeypatch.setattr(predict_jobs_api, "_require_scores", lambda platform, name: None)
    return TestClient(
        create_app(platform, TOKENS, predict_files=files), raise_server_exceptions=False
    )


@pytest.fixture
def send_job(platform, files):
    """Return a function that sends a job and returns its id; each is a second younger."""
    jobs = platform.predict_jobs

    def send():
        number = len(jobs.all())
        job = PredictJob(f"{number:012x}", "too-moist", "ada", NOW + timedelta(seconds=number), 30)
        order(jobs, files, job)
        files.create(job.id).write_bytes(PARQUET)
        submit(jobs, job, "hash")
        return job.id

    return send


@pytest.fixture
def work(platform, files, monkeypatch):
    """Return the work at a job in this process; `score` is what scoring does with its progress."""

    def run(id, score=lambda report: None, at=NOW, using=files):
        def score_file(platform, name, readings, layout, out, report):
            score(report)
            out.write_bytes(b"scores of " + readings.read_bytes())
            return FOUND

        monkeypatch.setattr(file_scores, "score_file", score_file)
        seconds = count(0, 2)
        now = lambda: at + timedelta(seconds=next(seconds))  # noqa: E731 - a clock that ticks
        return run_job(platform, platform.predict_jobs, using, id, now, is_outage)

    return run


def raising(fault):
    def score(report):
        raise fault

    return score


def send(client, body=PARQUET, headers=ADMIN, **query):
    return client.post(PATH, content=body, headers=headers, params=query)


def test_a_job_is_ordered_shown_done_and_its_scores_are_sent(client, platform, work, tmp_path):
    answer = send(client, asset="oven-1")
    assert answer.status_code == 202
    job = answer.json()
    assert (job["state"], job["definition"], job["actor"], job["scores"], job["step"]) == (
        "waiting",
        "too-moist",
        "ada",
        None,
        "Airflow starts it within a minute",
    )
    assert platform.predict_jobs.get(job["id"]).layout == {"asset": "oven-1"}
    folder = tmp_path / "predictions" / job["id"]
    assert (folder / "readings.parquet").read_bytes() == PARQUET
    assert "is waiting" in expect_problem(
        client.get(f"/api/v1/predict-jobs/{job['id']}/scores", headers=VIEWER), 404
    )
    assert work(job["id"]).state == "done"
    assert [path.name for path in folder.iterdir()] == ["scores.parquet"]
    [shown] = client.get("/api/v1/predict-jobs", headers=VIEWER).json()
    assert (shown["state"], shown["progress"], shown["result"]["scores"]) == ("done", 1.0, 7)
    assert client.get(shown["scores"], headers=VIEWER).content == b"scores of " + PARQUET
    assert "is done already" in expect_problem(
        client.post(f"/api/v1/predict-jobs/{job['id']}/cancel", headers=ADMIN), 422
    )


def test_what_is_no_file_or_not_allowed_leaves_nothing(client, platform, tmp_path, monkeypatch):
    assert "not a Parquet file" in expect_problem(send(client, b"ts,asset\n"), 422)
    expect_problem(send(client, headers=OPERATOR), 403)
    claimed = {**ADMIN, "content-length": str(gate.LARGEST_UPLOAD + 1)}
    assert "larger than 1073741824 bytes" in expect_problem(send(client, b"", headers=claimed), 413)
    monkeypatch.setattr(use_case, "MOST_WAITING", 0)
    assert "are waiting" in expect_problem(send(client), 429)
    for id in ("..%2F..%2Fsecrets", "0" * 12):
        assert client.get(f"/api/v1/predict-jobs/{id}", headers=VIEWER).status_code in (404, 422)
    assert list((tmp_path / "predictions").iterdir()) == []
    assert platform.predict_jobs.all() == []


def test_without_a_folder_for_jobs_none_is_taken(platform):
    expect_problem(send(TestClient(create_app(platform, TOKENS))), 503)


def test_without_a_shared_disk_a_file_is_refused_and_scores_are_where_they_were_copied(
    client, platform, files, send_job, work
):
    id = send_job()
    apart = replace(files, is_shared=False)
    client.app.state.predict_files = apart
    assert "send the address of a file in an object store" in expect_problem(send(client), 422)
    stored = platform.predict_jobs.get(id)
    with_copy = replace(stored, scores_to="s3://plant-lab/scores", version=stored.version + 1)
    assert platform.predict_jobs.replace(with_copy)
    with pytest.raises(UserError, match="operator allows folders"):
        apart.copy(with_copy)
    failed = work(id, using=apart)
    assert (failed.state, "operator allows folders" in failed.fault) == ("failed", True)
    assert not (files.folder / id).exists()
    found = replace(FOUND, copy_at="s3://plant-lab/scores/a")
    done = replace(failed, state="done", result=found, version=failed.version + 1)
    assert platform.predict_jobs.replace(done)
    shown = client.get(f"/api/v1/predict-jobs/{id}", headers=VIEWER).json()
    assert (shown["scores"], shown["result"]["copy_at"]) == (None, "s3://plant-lab/scores/a")
    answer = client.get(f"/api/v1/predict-jobs/{id}/scores", headers=VIEWER)
    assert "s3://plant-lab/scores/a" in expect_problem(answer, 404)


def test_a_worker_without_the_readings_names_the_setting(send_job, work, files):
    id = send_job()
    files.drop_readings(id)
    assert "ALERTING_SHARED_HOME=no" in work(id).fault


def test_jobs_are_bounded_in_number_and_bytes(platform, send_job, monkeypatch):
    send_job()
    monkeypatch.setattr(use_case, "MOST_BYTES", 150)
    with pytest.raises(JobsFull, match="too much"):
        send_job()
    monkeypatch.setattr(use_case, "MOST_BYTES", 8 << 30)
    monkeypatch.setattr(JobFolder, "free", lambda _: 1 << 30)
    with pytest.raises(JobsFull, match="too little free space"):
        send_job()
    assert len(platform.predict_jobs.all()) == 1


def test_uploads_under_way_count_with_all_that_they_will_write(platform, files, monkeypatch):
    monkeypatch.setattr(use_case, "MOST_BYTES", 7_000)
    job = PredictJob("0" * 12, "too-moist", "ada", NOW, 1000)
    for number in range(2):
        order(platform.predict_jobs, files, replace(job, id=f"{number:012x}"))
    with pytest.raises(JobsFull, match="too much"):
        order(platform.predict_jobs, files, replace(job, id="2" * 12))


def test_what_is_over_is_deleted_in_time_and_uploads_that_ended_without_a_trace(
    platform, files, send_job, work
):
    jobs = platform.predict_jobs
    old = send_job()
    work(old, at=NOW - timedelta(days=15))
    cancelled = send_job()
    waiting = send_job()
    cancel(jobs, files, cancelled, NOW)
    lost = PredictJob("f" * 12, "too-moist", "ada", NOW - timedelta(hours=2), 10)
    jobs.insert(lost)
    files.create(lost.id).write_bytes(b"PAR1")
    clean(jobs, files, NOW, LASTS)
    assert {job.id: job.state for job in jobs.all()} == {
        cancelled: "cancelled",
        waiting: "waiting",
    }
    assert {path.name for path in files.folder.iterdir()} == {cancelled, waiting}
    assert [files.has_readings(id) for id in (cancelled, waiting)] == [False, True]


def test_a_job_under_way_is_cancelled_at_its_next_portion_and_leaves_nothing(
    platform, files, send_job, work
):
    first = send_job()
    second = send_job()
    jobs = platform.predict_jobs

    def score(report):
        assert jobs.get(first).state == "running"
        cancel(jobs, files, first, NOW)
        report("scoring oven-1", 1, 4)
        raise AssertionError("the job goes on")

    ended = work(first, score)
    assert (ended.state, ended.result) == ("cancelled", None)
    assert [job.id for job in unfinished(jobs)] == [second]
    assert work(first).state == "cancelled"
    with pytest.raises(UserError, match="is cancelled already"):
        cancel(jobs, files, first, NOW)


def test_a_worker_that_was_killed_is_followed_by_one_that_begins_again_and_its_late_end_counts_not(
    platform, files, send_job, work
):
    """The worker that was taken for dead goes on beside the next one."""
    id = send_job()

    def twin(report):
        assert work(id).state == "done"
        report("scoring oven-1", 1, 4)
        raise AssertionError("the job goes on")

    assert work(id, twin).state == "done"
    job = platform.predict_jobs.get(id)
    assert (job.tries, job.result) == (2, FOUND)
    assert files.scores(id).read_bytes() == b"scores of " + PARQUET


def test_a_job_whose_workers_are_killed_three_times_fails_and_others_go_on(files, send_job, work):
    bad = send_job()
    good = send_job()
    for _ in range(3):
        with pytest.raises(SystemExit):
            work(bad, raising(SystemExit()))
    left = files.folder / bad / "try-3" / "scores.parquet.part"
    left.parent.mkdir(exist_ok=True)
    left.write_bytes(b"half of the scores")
    failed = work(bad)
    assert list((files.folder / bad).iterdir()) == []
    assert (failed.state, failed.fault.partition(";")[0]) == (
        "failed",
        "its worker ended 3 times without scores",
    )
    assert work(good).state == "done"


def test_a_fault_that_may_pass_is_tried_three_times_and_a_faulty_file_once(
    platform, files, send_job, work
):
    passing = send_job()
    for _ in range(2):
        with pytest.raises(TryAgain, match="no answer"):
            work(passing, raising(Unreachable("no answer")))
        assert platform.predict_jobs.get(passing).state == "waiting"
    assert work(passing, raising(Unreachable("no answer"))).fault == "no answer"
    faulty = send_job()
    fault = UserError(f"{files.readings(faulty)}: line 3 has no time")
    assert work(faulty, raising(fault)).fault == "the file: line 3 has no time"
    assert not files.has_readings(faulty)


def test_an_outage_of_the_database_fails_no_job(platform, send_job, work):
    job = send_job()
    with pytest.raises(DatabaseDown):
        work(job, raising(DatabaseDown("away")))
    assert work(job).state == "done"


def test_a_job_that_takes_too_long_fails_with_the_reason(send_job, work):
    def score(report):
        for _ in range(4 * 3600):
            report("scoring oven-1", 1, 4)

    assert "took longer than 6h" in work(send_job(), score).fault


def test_a_job_says_what_it_waits_for(platform, files, send_job, work):
    jobs = platform.predict_jobs
    first = send_job()
    second = send_job()

    def says(id, minutes):
        return describe_wait(jobs.all(), jobs.get(id), NOW + timedelta(minutes=minutes))

    assert says(first, 1) == "Airflow starts it within a minute"
    assert says(second, 1) == "jobs before it: 1"
    assert says(first, 7).startswith("Airflow has done nothing for 7 minutes: it is away")
    assert "Airflow has done nothing" in says(second, 7)
    with pytest.raises(TryAgain):
        work(first, raising(Unreachable("the store is away")))
    assert says(first, 1) == "tried again: the store is away"
    cancel(jobs, files, first, NOW + timedelta(minutes=6))
    assert says(second, 7) == "Airflow starts it within a minute"
    assert says(first, 7) is None
    with pytest.raises(SystemExit):
        work(second, lambda report: (report("scoring oven-1", 1, 4), raising(SystemExit())(report)))
    assert says(second, 1) == "scoring oven-1"
    assert "Airflow has done nothing" in says(second, 20)


def test_the_id_of_a_job_never_leads_out_of_its_folder(files):
    for id in ("../secrets", "", "0" * 13, "0" * 11 + "/", "0" * 12 + "\n"):
        with pytest.raises(ValueError, match="not the id"):
            files.drop(id)


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
