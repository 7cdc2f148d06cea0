"""A model registered through the running MLflow server is read without it, and the other way
round."""

import os
import subprocess
import time

import httpx
import pytest

from alerting.adapters.embedded.running import hold
from alerting.local.parts import mlflow_part
from alerting.local.secrets import load_or_create
from alerting.settings.environment import Settings
from alerting.wiring import models, running_mlflow
from tests.support import free_port

pytestmark = pytest.mark.server
HANG_S = 600.0  # a step that takes so long, also beside much other work, hangs


def new_home(folder):
    """Return the settings of a new home without a platform."""
    made = Settings(home=folder, mlflow_port=free_port())
    made.mlflow_artifacts.mkdir(parents=True)
    load_or_create(folder / "secrets")
    return made


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    return new_home(tmp_path_factory.mktemp("home"))


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


def assert_reads(registry, name, run, version, files):
    assert registry.model_files(name, version) == files
    assert registry.files(run, "curves") == {"curve.json": b"[1, 2]"}
    assert registry.alias(name, "challenger") == version


def password(settings):
    return (settings.home / "secrets" / "mlflow_password").read_text()


class Server:
    """The MLflow server as `alerting up` starts it."""

    def __init__(self, settings):
        part = mlflow_part(settings, dict(os.environ))
        self.process = subprocess.Popen(
            list(part.command),
            env=dict(part.environ),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + HANG_S
        while not part.ready():
            assert time.monotonic() < deadline and self.process.poll() is None
            time.sleep(0.2)

    def stop(self):
        self.process.terminate()
        self.process.wait(HANG_S)


@pytest.fixture(scope="module")
def made_offline(settings):
    """A run and a model that were made before the server was started."""
    assert running_mlflow(settings) is None
    return register(models(settings), "made-offline", {"model.txt": b"tree"})


@pytest.fixture(scope="module")
def server(settings, made_offline):
    with hold(settings.home, f"http://127.0.0.1:{settings.mlflow_port}", lambda: None):
        started = Server(settings)
        yield started
        started.stop()


def test_the_server_lets_in_nobody_without_the_password_of_the_home(settings, server):
    url = f"http://127.0.0.1:{settings.mlflow_port}"
    search = {"url": f"{url}/api/2.0/mlflow/experiments/search", "json": {"max_results": 1}}
    for strange in (
        None,
        ("alerting", "password"),
        ("admin", password(settings)),
        ("alerting", ""),
    ):
        for path in (
            "/",
            "/version",
            "/ajax-api/2.0/mlflow/experiments/search",
            "/health/../version",
            "//health/",
        ):
            assert httpx.get(f"{url}{path}", auth=strange, timeout=HANG_S).status_code in {
                401,
                404,
            }, (
                strange,
                path,
            )
        assert httpx.post(**search, auth=strange, timeout=HANG_S).status_code == 401
        assert "experiments" not in httpx.post(**search, auth=strange, timeout=HANG_S).text
    answer = httpx.get(url, timeout=HANG_S)
    assert (answer.status_code, answer.headers["www-authenticate"].split()[0]) == (401, "Basic")
    assert (
        httpx.post(**search, auth=("alerting", password(settings)), timeout=HANG_S).status_code
        == 200
    )
    assert httpx.get(f"{url}/health", timeout=HANG_S).text == "OK"


def test_runs_and_models_are_the_same_with_and_without_the_server(settings, server, made_offline):
    """The last test on the server, which it stops."""
    assert running_mlflow(settings) == f"http://127.0.0.1:{settings.mlflow_port}"
    online = models(settings)
    assert_reads(online, "made-offline", *made_offline, {"model.txt": b"tree"})
    during = register(online, "made-online", {"model.txt": b"forest"})
    again = register(online, "made-offline", {"model.txt": b"better tree"})
    page = f"http://127.0.0.1:{settings.mlflow_port}/get-artifact?path=curves/curve.json&run_uuid={made_offline[0]}"
    found = httpx.get(page, auth=("alerting", password(settings)), timeout=HANG_S)
    assert found.content == b"[1, 2]"  # people see it in MLflow's pages, too
    server.stop()
    assert running_mlflow(settings) is None
    assert_reads(models(settings), "made-online", *during, {"model.txt": b"forest"})
    assert_reads(models(settings), "made-offline", *again, {"model.txt": b"better tree"})
    assert models(settings).versions("made-offline") == [made_offline[1], again[1]]


def test_a_server_without_a_password_does_not_start(tmp_path):
    settings = new_home(tmp_path)
    (settings.home / "secrets" / "mlflow_password").unlink()
    part = mlflow_part(settings, dict(os.environ))
    done = subprocess.run(
        list(part.command),
        env=dict(part.environ),
        capture_output=True,
        text=True,
        timeout=HANG_S,
        check=False,
    )
    # it has ended by itself, and said why
    assert "ALERTING_MLFLOW_PASSWORD_FILE" in done.stdout + done.stderr
    assert "startup failed" in done.stdout + done.stderr
