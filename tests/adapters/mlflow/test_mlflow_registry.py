"""The model registry against a real MLflow: on a database without a server, and behind a server
that hands out artifacts."""

import os
import signal
import socket
import subprocess
import sys
import time

import httpx
import pytest

from alerting.adapters.mlflow import model_files
from alerting.adapters.mlflow.mlflow_registry import MlflowModels, RegistryUnavailable
from alerting.definitions.faults import UserError
from alerting.ports import ModelUnavailable
from tests.support import free_port, local_client

pytestmark = pytest.mark.server

FILES = {"meta.json": b'{"threshold": 0.5}', "booster.txt": b"tree\n", "deep/er/levels.json": b"[]"}


@pytest.fixture(scope="module")
def without_server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mlflow")
    return MlflowModels(f"sqlite:///{folder}/new/mlflow.db", artifacts=folder / "artifacts")


@pytest.fixture(scope="module")
def behind_server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mlflow_server")
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--workers",
        "1",
    ]
    command += [
        "--backend-store-uri",
        f"sqlite:///{folder}/mlflow.db",
        "--artifacts-destination",
        str(folder / "artifacts"),
    ]
    environ = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            command, cwd=folder, env=environ, stdout=log, stderr=log, start_new_session=True
        )
    try:
        _wait_until_healthy(port, server, folder / "log")
        yield MlflowModels(f"http://127.0.0.1:{port}")
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait(600)


def _wait_until_healthy(port, server, log):
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline:
        assert server.poll() is None, log.read_text()
        try:
            if local_client().get(f"http://127.0.0.1:{port}/health").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    pytest.fail(log.read_text())


@pytest.fixture(params=["without_server", "behind_server"])
def models(request):
    return request.getfixturevalue(request.param)


def test_a_run_keeps_parameters_metrics_tags_and_files(models):
    run = models.start_run("kept", "train kept", {"revision": "3"})
    many = {f"metric_{i}": i / 2 for i in range(250)}
    models.log(
        run,
        params={"trials": 8, "family": "lightgbm"},
        metrics=many,
        tags={"as_of": "2026-01-01"},
        files=FILES,
        folder="candidate",
    )
    models.log(run, files={"late.txt": b"later"}, folder="candidate")
    assert (
        models.tags(run).items()
        >= {"revision": "3", "as_of": "2026-01-01", "mlflow.runName": "train kept"}.items()
    )
    assert models.files(run, "candidate") == {**FILES, "late.txt": b"later"}
    with models._connection.client() as client:
        data = client.get_run(run).data
    assert data.params == {"trials": "8", "family": "lightgbm"}
    assert data.metrics == many


def test_a_folder_that_nobody_wrote_has_no_files(models):
    run = models.start_run("kept", "empty", {})
    assert models.files(run, "nothing") == {}


def test_children_are_found_under_their_parent_alone(models):
    parent = models.start_run("family", "parent", {})
    children = [
        models.start_run("family", name, {"family": name}, parent=parent)
        for name in ("random_forest", "lightgbm")
    ]
    models.start_run(
        "family", "stranger", {}, parent=models.start_run("family", "other parent", {})
    )
    found = models.searches(parent)
    assert [run.id for run in found] == children
    assert [run.tags["family"] for run in found] == ["random_forest", "lightgbm"]


def test_a_finished_run_says_how_it_ended(models):
    good, bad = (models.start_run("ended", name, {}) for name in ("good", "bad"))
    models.finish(good)
    models.finish(bad, failed=True)
    with models._connection.client() as client:
        assert [client.get_run(run).info.status for run in (good, bad)] == ["FINISHED", "FAILED"]


def test_model_files_come_back_as_they_were_registered(models):
    run = models.start_run("oven.too-moist", "train", {})
    version = models.register(
        "oven.too-moist",
        run,
        FILES,
        {"hash": "abc"},
        inputs={"moisture__mean": "double", "recipe": "string"},
    )
    assert models.model_files("oven.too-moist", version) == FILES
    assert models.version_tags("oven.too-moist", version) == {"hash": "abc"}
    assert models.alias("oven.too-moist", "challenger") == version


def test_the_same_run_registers_once_and_another_run_the_next_version(models):
    runs = [models.start_run("once", name, {}) for name in ("first", "second")]
    first = models.register("once", runs[0], FILES, {})
    assert models.register("once", runs[0], FILES, {}) == first
    second = models.register("once", runs[1], FILES, {})
    assert models.versions("once") == [first, second] == [1, 2]
    assert models.alias("once", "challenger") == second


def test_aliases_move_and_go(models):
    runs = [models.start_run("aliased", name, {}) for name in ("first", "second")]
    first, second = (models.register("aliased", run, FILES, {}) for run in runs)
    models.set_alias("aliased", "champion", first)
    models.set_alias("aliased", "champion", second)
    assert models.alias("aliased", "champion") == second
    models.set_alias("aliased", "champion", None)
    models.set_alias("aliased", "champion", None)
    assert models.alias("aliased", "champion") is None


def test_a_definition_never_trained_has_no_versions_and_no_champion(models):
    assert models.versions("never") == []
    assert models.alias("never", "champion") is None


def test_a_version_that_does_not_exist_is_unavailable(models):
    with pytest.raises(ModelUnavailable):
        models.model_files("never", 1)
    with pytest.raises(ModelUnavailable):
        models.version_tags("never", 1)


def test_an_experiment_in_the_bin_is_taken_out_again(models):
    run = models.start_run("binned", "train", {})
    with models._connection.client() as client:
        client.delete_experiment(client.get_run(run).info.experiment_id)
    again = models.start_run("binned", "train again", {})
    assert models.tags(again)["mlflow.runName"] == "train again"


def test_a_missing_server_is_said_within_seconds_and_says_what_to_do():
    models = MlflowModels(f"http://user:secret@127.0.0.1:{free_port()}")
    began = time.monotonic()
    with pytest.raises(RegistryUnavailable, match="ALERTING_MLFLOW_URI") as refusal:
        models.model_files("any", 1)
    assert time.monotonic() - began < 60  # MLflow's own patience is minutes
    assert "secret" not in str(refusal.value)
    assert isinstance(refusal.value, UserError)


def test_a_silent_server_is_given_up_within_seconds():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        models = MlflowModels(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=1)
        began = time.monotonic()
        with pytest.raises(ModelUnavailable):
            models.alias("any", "champion")
        assert time.monotonic() - began < 60


def test_a_database_that_cannot_be_opened_is_unavailable(tmp_path):
    (tmp_path / "mlflow.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(ModelUnavailable):
        MlflowModels(f"sqlite:///{tmp_path}/mlflow.db", artifacts=tmp_path).versions("any")


def test_a_version_with_more_than_a_model_has_is_not_fetched(models, monkeypatch):
    run = models.start_run("large", "train", {})
    version = models.register("large", run, {**FILES, "model.bin": b"0" * 5000}, {})
    monkeypatch.setattr(model_files, "MOST_BYTES", 4000)
    monkeypatch.setattr(
        "mlflow.artifacts.download_artifacts", lambda **_: pytest.fail("it was fetched")
    )
    with pytest.raises(
        ModelUnavailable, match="more than a model of this platform has; it was not read"
    ):
        models.model_files("large", version)
