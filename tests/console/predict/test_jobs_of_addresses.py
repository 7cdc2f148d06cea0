"""Predict jobs with readings in an object store: only below what the operator allows, bounded,
fetched whole or not at all."""

import hashlib
import time
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials
from fastapi.testclient import TestClient

from alerting.adapters.mongo.mongo import DatabaseDown, is_outage
from alerting.adapters.predictions import addresses as job_addresses
from alerting.adapters.predictions import file_scores
from alerting.adapters.predictions.addresses import JobAddresses
from alerting.adapters.predictions.job_files import JobFolder
from alerting.adapters.predictions.s3_objects import (
    Credentials,
    S3Objects,
    object_path,
    read_credentials,
    sign,
)
from alerting.console.api import predict_jobs_api
from alerting.console.app import create_app
from alerting.definitions.faults import Unreachable, UserError
from alerting.ports import ScoredFile, silent
from alerting.usecases.scoring.jobs import TryAgain, run_job
from tests.helpers.console.api import ADMIN, OPERATOR, TOKENS, expect_problem
from tests.helpers.file_servers import create_bucket, s3_server  # noqa: F401 - a fixture

PATH = "/api/v1/definitions/too-moist/predict-jobs"
PARQUET = b"PAR1 a table of readings PAR1"
FROM = ("plant-lab", "exports")
TO = ("plant-lab", "scores")
ADDRESS = "s3://plant-lab/exports/week 1/line=4.parquet"


def environ_of(port):
    secrets = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
    return {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}", **secrets}


@pytest.fixture(scope="module")
def store(s3_server, tmp_path_factory):  # noqa: F811
    create_bucket(s3_server, "plant-lab")
    put = S3Objects(environ_of(s3_server))
    file = tmp_path_factory.mktemp("store") / "file"

    def write(content, *path):
        file.write_bytes(content)
        put.write(("plant-lab", *path), file)

    write(PARQUET, "exports", "week 1", "line=4.parquet")
    write(b"ts,asset\n", "exports", "table.csv")
    write(PARQUET, "secrets", "a.parquet")
    write(PARQUET, "exports-of-others", "a.parquet")
    return s3_server, write


@pytest.fixture
def addresses(store):
    return JobAddresses((FROM,), (TO,), environ_of(store[0]))


@pytest.fixture
def files(tmp_path, addresses):
    return JobFolder(tmp_path / "predictions", addresses)


@pytest.fixture
def client(platform, files, monkeypatch):
    monkeypatch.setattr(predict_jobs_api, "_require_scores", lambda platform, name: None)
    return TestClient(
        create_app(platform, TOKENS, predict_files=files), raise_server_exceptions=False
    )


def order(client, address=ADDRESS, headers=ADMIN, **more):
    return client.post(
        PATH, json={"address": address, **more}, headers=headers, params={"asset": "oven-1"}
    )


@pytest.fixture
def work(platform, files, monkeypatch):
    """Return the work at a job in this process: its file is scored with nothing but its size."""

    def score(platform, name, readings, layout, out, progress):
        out.write_bytes(b"scores of " + readings.read_bytes())
        return ScoredFile(3, 1, 1, {})

    monkeypatch.setattr(file_scores, "score_file", score)

    def run(id, using=files, **changed):
        using = replace(using, addresses=replace(using.addresses, **changed))
        now = partial(datetime.now, UTC)
        return run_job(platform, platform.predict_jobs, using, id, now, is_outage)

    return run


def other_addresses(client, files, **changed):
    """Let the console allow other addresses."""
    client.app.state.predict_files = replace(files, addresses=replace(files.addresses, **changed))


def test_a_job_of_an_address_is_fetched_hashed_scored_and_its_scores_are_stored_beside(
    client, platform, work, addresses
):
    answer = order(client, scores_to="s3://plant-lab/scores/line 4")
    assert answer.status_code == 202
    job = answer.json()
    assert (job["state"], job["address"], job["bytes"], job["sha256"]) == (
        "waiting",
        ADDRESS,
        len(PARQUET),
        None,
    )
    assert platform.predict_jobs.get(job["id"]).layout == {"asset": "oven-1"}
    assert work(job["id"]).state == "done"
    done = client.get(f"/api/v1/predict-jobs/{job['id']}", headers=ADMIN).json()
    assert (done["state"], done["sha256"]) == ("done", hashlib.sha256(PARQUET).hexdigest())
    copy = ("plant-lab", "scores", "line 4", f"scores-{job['id']}.parquet")
    assert done["result"]["copy_at"] == "s3://" + "/".join(copy)
    stored = S3Objects(addresses.environ)
    assert b"".join(stored.read(copy, stored.state(copy).etag)) == b"scores of " + PARQUET
    assert client.get(done["scores"], headers=ADMIN).content == b"scores of " + PARQUET


def test_without_a_setting_no_address_is_read_or_written_and_the_words_say_how_to_allow_it(
    client, files
):
    other_addresses(client, files, readable=())
    assert "ALERTING_PREDICTIONS_FROM=s3://" in expect_problem(order(client), 422)
    other_addresses(client, files, writable=())
    assert "ALERTING_PREDICTIONS_TO=s3://" in expect_problem(
        order(client, scores_to="s3://plant-lab/scores"), 422
    )


@pytest.mark.parametrize(
    "address",
    [
        "s3://plant-lab/secrets/a.parquet",
        "s3://plant-lab/exports-of-others/a.parquet",
        "s3://plant-lab/exports/../secrets/a.parquet",
        "s3://plant-lab/exports/./a.parquet",
        "s3://plant-lab/exports//a.parquet",
        "s3://plant-lab/exports/..\\secrets",
        "s3://plant-lab",
        "s3://other/exports/a.parquet",
        "s3://key:secret@plant-lab/exports/a.parquet",
        "s3://@?endpoint_url=http://127.0.0.1:1/plant-lab/exports",
        "s3://169.254.169.254/latest/meta-data",
        "http://127.0.0.1:8000/api/v1/health",
        "file:///etc/passwd",
        "/etc/passwd",
        "gs://plant-lab/exports/a.parquet",
        "s3://plant-lab/exports/a\r\nx-injected: 1",
        "s3://plant-lab/exports/" + "x" * 1030,
    ],
)
def test_an_address_outside_of_the_folders_is_refused_before_the_store_is_asked(
    client, files, address
):
    other_addresses(client, files, environ={})  # to ask would fail with another message
    detail = expect_problem(order(client, address), 422)
    assert any(
        words in detail for words in ("ALERTING_PREDICTIONS_FROM", "object store", "no object")
    )
    assert "AWS_" not in detail
    assert "secret@" not in detail


def test_a_percent_in_a_name_is_no_way_out_of_a_folder(client):
    assert "no such object" in expect_problem(
        order(client, "s3://plant-lab/exports/%2e%2e/secrets/a.parquet"), 422
    )


def test_the_body_is_closed_and_small_and_the_role_is_engineer(client):
    assert "there is no such field" in expect_problem(
        order(client, endpoint="http://127.0.0.1"), 422
    )
    assert "there is no such field" in expect_problem(order(client, key="AKIA"), 422)
    expect_problem(order(client, headers=OPERATOR), 403)
    large = {**ADMIN, "content-type": "application/json; charset=utf-8"}
    expect_problem(client.post(PATH, content=b'{"address": "' + b"x" * 70_000, headers=large), 413)
    expect_problem(client.post(PATH, content=b"{", headers=large), 400)


def test_a_missing_object_a_large_one_and_a_busy_store_are_refused_at_once(
    client, addresses, monkeypatch, tmp_path
):
    assert "no such object" in expect_problem(
        order(client, "s3://plant-lab/exports/none.parquet"), 422
    )
    monkeypatch.setattr(job_addresses, "LARGEST", 10)
    assert f"has {len(PARQUET)} bytes" in expect_problem(order(client), 422)
    with addresses._free, addresses._free:
        assert "under way" in expect_problem(order(client), 429)
    assert not list(tmp_path.glob("predictions/*"))


def test_an_object_that_was_replaced_is_no_parquet_or_no_longer_allowed_fails_its_job(
    client, store, work
):
    replaced = order(client, "s3://plant-lab/exports/table.csv").json()["id"]
    assert "not a Parquet file" in work(replaced).fault
    store[1](PARQUET, "exports", "again.parquet")
    replaced = order(client, "s3://plant-lab/exports/again.parquet").json()["id"]
    store[1](PARQUET + PARQUET, "exports", "again.parquet")
    assert "was replaced" in work(replaced).fault
    later = order(client).json()["id"]
    assert "may not read" in work(later, readable=(("plant-lab", "else"),)).fault


def test_a_fetch_that_was_interrupted_begins_again_and_a_complete_one_is_not_repeated(
    client, files, work, monkeypatch
):
    job = order(client).json()["id"]
    left = files.folder / job / "try-0" / "readings.parquet.part"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"PAR1 a ta")

    def down(*_, **__):
        raise DatabaseDown("away")

    with monkeypatch.context() as patch:
        patch.setattr(file_scores, "score_file", down)
        with pytest.raises(DatabaseDown):
            work(job)
    assert sorted(path.name for path in (files.folder / job).rglob("readings*")) == [
        "readings.parquet"
    ]
    assert work(job, environ={}).state == "done"


def test_a_store_that_is_away_is_tried_three_times_and_the_fault_names_it(client, work):
    job = order(client).json()["id"]
    away = {**environ_of(1)}
    for _ in range(2):
        with pytest.raises(TryAgain):
            work(job, environ=away)
    assert "does not answer" in work(job, environ=away).fault


def test_a_copy_that_cannot_be_stored_is_a_note_and_the_scores_are_there(client, work):
    job = order(client, scores_to="s3://plant-lab/scores").json()["id"]
    found = work(job, writable=(("plant-lab", "else"),))
    assert found.state == "done"
    assert "the scores are not in s3://plant-lab/scores" in found.result.notes[0]


def test_without_a_shared_disk_a_job_reads_and_writes_the_store_alone(client, files, work):
    apart = replace(files, is_shared=False)
    client.app.state.predict_files = apart
    assert "and scores_to" in expect_problem(order(client), 422)
    job = order(client, scores_to="s3://plant-lab/scores").json()["id"]
    files_of_worker = replace(apart, folder=files.folder.with_name("worker"))
    found = work(job, using=files_of_worker)
    assert (found.state, found.result.copy_at) == (
        "done",
        f"s3://plant-lab/scores/scores-{job}.parquet",
    )
    assert not list(files_of_worker.folder.glob("*"))


class Server:
    """A store that answers each request with one status, and records what it was asked."""

    def __init__(self, status, location="", pause_s=0.0):
        seen = self.seen = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                seen.append((self.command, self.path))
                self.send_response(status)
                self.send_header("location", location)
                self.send_header("content-length", "8")
                self.end_headers()
                for byte in b"PAR1PAR1" if self.command == "GET" else b"":
                    self.wfile.write(bytes([byte]))
                    time.sleep(pause_s)

            def do_HEAD(self):
                self.do_GET()

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port
        Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self):
        self._server.shutdown()
        self._server.server_close()


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(status):
    victim = Server(200)
    store = Server(status, f"http://127.0.0.1:{victim.port}/secret")
    objects = S3Objects(environ_of(store.port))
    for ask in (lambda: objects.state(FROM), lambda: list(objects.read(FROM, ""))):
        with pytest.raises(UserError, match="redirect, which is not followed"):
            ask()
    assert len(store.seen) == 2
    assert victim.seen == []
    for one in (store, victim):
        one.stop()


def test_an_object_longer_than_its_state_said_is_not_read_further(tmp_path):
    store = Server(200)
    addresses = JobAddresses((FROM,), (), environ_of(store.port))
    state = replace(addresses.state(ADDRESS, None), size=4)
    with pytest.raises(UserError, match="longer than it should be"):
        addresses.fetch(ADDRESS, state, tmp_path / "readings.parquet", silent)
    assert not (tmp_path / "readings.parquet").exists()
    store.stop()


def test_a_store_that_sends_little_at_a_time_is_not_read_for_longer_than_it_may_be(
    monkeypatch, tmp_path
):
    monkeypatch.setattr(job_addresses, "LONGEST_FETCH_S", 0.5)
    store = Server(200, pause_s=0.1)
    addresses = JobAddresses((FROM,), (), environ_of(store.port))
    seen = []
    with pytest.raises(UserError, match="it took longer than"):
        addresses.fetch(
            ADDRESS,
            addresses.state(ADDRESS, None),
            tmp_path / "readings.parquet",
            lambda *step: seen.append(step),
        )
    assert seen
    store.stop()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AWS_ENDPOINT_URL", "https://[x"),
        ("AWS_ENDPOINT_URL", "https://minio.plant:99x"),
        ("AWS_ENDPOINT_URL", "https://:9000"),
        ("AWS_ENDPOINT_URL", "ftp://minio.plant"),
        ("AWS_CA_BUNDLE", "/no/such/file.pem"),
    ],
)
def test_a_faulty_setting_is_refused_in_words(name, value):
    with pytest.raises(UserError, match=name):
        S3Objects({**environ_of(9000), name: value})


def test_a_server_with_a_fault_is_away_and_not_wrong():
    store = Server(503)
    with pytest.raises(Unreachable, match="503"):
        S3Objects(environ_of(store.port)).state(FROM)
    store.stop()


@pytest.mark.parametrize(
    "parts", [("plant", "a.parquet"), ("plant", "week 1", "é+%=&~*'()!@:,$;[].parquet")]
)
@pytest.mark.parametrize("token", [None, "token/=+"])
def test_requests_are_signed_as_botocore_signs_them(parts, token, monkeypatch):
    at = datetime(2026, 1, 5, 12, 30, 15, tzinfo=UTC)
    monkeypatch.setattr(
        "botocore.auth.get_current_datetime", lambda *_, **__: at.replace(tzinfo=None)
    )
    path = object_path(parts)
    request = AWSRequest("GET", f"https://minio.plant:9000{path}", headers={})
    S3SigV4Auth(BotoCredentials("key", "secret", token), "s3", "eu-central-1").add_auth(request)
    ours = sign(
        "GET",
        "minio.plant:9000",
        path,
        hashlib.sha256(b"").hexdigest(),
        Credentials("key", "secret", token),
        "eu-central-1",
        at,
    )
    signature = request.headers["Authorization"].rpartition("Signature=")[2]
    assert ours["x-amz-date"] == request.headers["X-Amz-Date"]
    assert ours["authorization"].rpartition("Signature=")[2] == signature


def test_credentials_are_those_of_the_environment_or_of_a_mounted_private_file(tmp_path):
    file = tmp_path / "credentials"
    file.write_text(
        "[default]\naws_access_key_id = a\naws_secret_access_key = b%c\n[lab]\naws_access_key_id = "
        "d\n"
    )
    environ = {"AWS_SHARED_CREDENTIALS_FILE": str(file)}
    file.chmod(0o644)
    with pytest.raises(UserError, match="may be read by others"):
        read_credentials(environ)
    file.chmod(0o600)
    assert read_credentials(environ) == Credentials("a", "b%c")
    assert read_credentials(environ | environ_of(1)) == Credentials("key", "secret")
    for without in ({}, environ | {"AWS_PROFILE": "lab"}, environ | {"AWS_PROFILE": "none"}):
        with pytest.raises(UserError, match="AWS_SHARED_CREDENTIALS_FILE"):
            read_credentials(without)
