"""What was registered through the running MLflow server is read without it, and the other way round."""

import os
import subprocess
import time

import httpx
import pytest

from alerting.local.parts import mlflow_part
from alerting.local.ports import free_port
from alerting.settings import Settings
from alerting.stores.running import hold
from alerting.wiring import models, running_mlflow

pytestmark = pytest.mark.e2e


@pytest.fixture
def settings(tmp_path):
    made = Settings(home=tmp_path, mlflow_port=free_port())
    made.mlflow_artifacts.mkdir(parents=True)
    return made


def register(registry, name, files):
    run = registry.start_run(name, "candidate", {"family": "baseline"})
    registry.log(run, metrics={"ap": 0.5}, files={"curve.json": b"[1, 2]"}, folder="curves")
    registry.finish(run)
    return run, registry.register(name, run, files, {"hash": "abc"})


def assert_reads(registry, name, run, version, files):
    assert registry.model_files(name, version) == files
    assert registry.files(run, "curves") == {"curve.json": b"[1, 2]"}
    assert registry.alias(name, "challenger") == version


class Server:
    """The MLflow server as `alerting up` starts it."""

    def __init__(self, settings):
        part = mlflow_part(settings, dict(os.environ))
        self.process = subprocess.Popen(
            list(part.command), env=dict(part.environ), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 90
        while not part.ready():
            assert time.monotonic() < deadline and self.process.poll() is None
            time.sleep(0.2)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(30)


def test_runs_and_models_are_the_same_with_and_without_the_server(settings):
    offline = models(settings)
    assert running_mlflow(settings) is None
    before = register(offline, "made-offline", {"model.txt": b"tree"})
    with hold(settings.home, f"http://127.0.0.1:{settings.mlflow_port}", lambda: None), Server(settings):
        assert running_mlflow(settings) == f"http://127.0.0.1:{settings.mlflow_port}"
        online = models(settings)
        assert_reads(online, "made-offline", *before, {"model.txt": b"tree"})
        during = register(online, "made-online", {"model.txt": b"forest"})
        again = register(online, "made-offline", {"model.txt": b"better tree"})
        found = httpx.get(f"http://127.0.0.1:{settings.mlflow_port}/get-artifact?path=curves/curve.json&run_uuid={before[0]}")
        assert found.content == b"[1, 2]"  # people see it in MLflow's pages, too
    assert_reads(models(settings), "made-online", *during, {"model.txt": b"forest"})
    assert_reads(models(settings), "made-offline", *again, {"model.txt": b"better tree"})
    assert models(settings).versions("made-offline") == [before[1], again[1]]
