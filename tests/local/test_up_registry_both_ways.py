"""A model registered through the running MLflow server is read without it, and the other way
round; the server lets in nobody without the password of the home."""

import os
import subprocess
import time

import httpx
import pytest

from alerting.adapters.mongo.running import hold
from alerting.local.parts import mlflow_part
from alerting.local.prepare import load_or_create
from alerting.settings.environment import Settings
from alerting.wiring import models, running_mlflow
from tests.support import free_port

HANG_S = 600.0  # a step that takes so long, also beside much other work, hangs
SEARCH = "/ajax-api/2.0/mlflow/experiments/search"
PATHS = ("/", "/version", SEARCH, "/health/../version", "//health/")


def new_home(folder):
    """Return the settings of a new home without a platform."""
    made = Settings(home=folder, mlflow_port=free_port())
    made.mlflow_artifacts.mkdir(parents=True)
    load_or_create(folder / "secrets")
    return made


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch):
    """The registry signs in by variables of MLflow's client, which must not outlive a test."""
    for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.setenv(name, "")


def register(registry, name, files):
    run = registry.start_run(name, "candidate", {"family": "persistence"})
    registry.log(run, metrics={"ap": 0.5}, files={"curve.json": b"[1, 2]"}, folder="curves")
    registry.finish(run)
    return run, registry.register(name, run, files, {"hash": "abc"})


def stored(registry, name, run, version):
    """Return what the registry has of a version and of its run."""
    files = registry.model_files(name, version)
    return files, registry.files(run, "curves"), registry.aliases(name).get("challenger") == version


def expected(content):
    return {"model.txt": content}, {"curve.json": b"[1, 2]"}, True


def start(settings):
    """Start the MLflow server as `alerting up` does."""
    part = mlflow_part(settings, dict(os.environ))
    return part, subprocess.Popen(
        list(part.command),
        env=dict(part.environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def assert_lets_in_the_home_alone(http, password):
    strangers = (None, ("alerting", "password"), ("admin", password), ("alerting", ""))
    search = {"url": "/api/2.0/mlflow/experiments/search", "json": {"max_results": 1}}
    got = {http.get(path, auth=one).status_code for one in strangers for path in PATHS}
    assert got <= {401, 404}
    assert {http.post(**search, auth=one).status_code for one in strangers} == {401}
    answer = http.get("/")
    assert (answer.status_code, answer.headers["www-authenticate"].split()[0]) == (401, "Basic")
    assert http.post(**search, auth=("alerting", password)).status_code == 200
    assert http.get("/health").text == "OK"


def test_runs_and_models_are_the_same_with_and_without_the_server(tmp_path):
    settings = new_home(tmp_path)
    url = f"http://127.0.0.1:{settings.mlflow_port}"
    assert running_mlflow(settings) is None
    offline = register(models(settings), "made-offline", {"model.txt": b"tree"})
    part, server = start(settings)
    with hold(tmp_path, url, lambda: None), httpx.Client(base_url=url, timeout=HANG_S) as http:
        deadline = time.monotonic() + HANG_S
        while not part.ready():
            assert time.monotonic() < deadline and server.poll() is None
            time.sleep(0.2)
        password = (tmp_path / "secrets" / "mlflow_password").read_text()
        assert_lets_in_the_home_alone(http, password)
        assert running_mlflow(settings) == url
        online = models(settings)
        assert stored(online, "made-offline", *offline) == expected(b"tree")
        during = register(online, "made-online", {"model.txt": b"forest"})
        again = register(online, "made-offline", {"model.txt": b"better tree"})
        page = f"/get-artifact?path=curves/curve.json&run_uuid={offline[0]}"
        found = http.get(page, auth=("alerting", password))
        assert found.content == b"[1, 2]"  # people see it in MLflow's pages, too
        server.terminate()
        server.communicate(timeout=HANG_S)
        assert running_mlflow(settings) is None
        assert stored(models(settings), "made-online", *during) == expected(b"forest")
        assert stored(models(settings), "made-offline", *again) == expected(b"better tree")
        assert list(models(settings).versions("made-offline")) == [offline[1], again[1]]


def test_a_server_without_a_password_ends_by_itself_and_says_why(tmp_path):
    settings = new_home(tmp_path)
    (tmp_path / "secrets" / "mlflow_password").unlink()
    said, _ = start(settings)[1].communicate(timeout=HANG_S)
    assert "ALERTING_MLFLOW_PASSWORD_FILE" in said
    assert "startup failed" in said
