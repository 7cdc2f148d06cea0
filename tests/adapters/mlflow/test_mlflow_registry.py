"""The model registry against a real MLflow on a database without a server; the same behind a server
that hands out artifacts: tests/local/test_up_registry_both_ways.py."""

import re
import socket
import time

import pytest
from mlflow.models import Model

from alerting.adapters.mlflow import mlflow_registry as model_files
from alerting.adapters.mlflow.mlflow_registry import MlflowModels, RegistryUnavailable
from alerting.definitions.faults import UserError
from alerting.ports import ModelUnavailable
from tests.helpers.refusals import assert_refused
from tests.support import free_port

FILES = {"meta.json": b'{"threshold": 0.5}', "booster.txt": b"tree\n", "deep/er/levels.json": b"[]"}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A registry. Its own: it begins without a folder."""
    folder = tmp_path_factory.mktemp("mlflow")
    return MlflowModels(f"sqlite:///{folder}/new/mlflow.db", artifacts=folder / "artifacts")


def test_a_run_keeps_parameters_metrics_tags_files_and_how_it_ended(models):
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
    kept = {"revision": "3", "as_of": "2026-01-01", "mlflow.runName": "train kept"}
    assert models.tags(run).items() >= kept.items()
    assert models.files(run, "candidate") == {**FILES, "late.txt": b"later"}
    assert models.files(run, "nothing") == {}
    bad = models.start_run("kept", "bad", {})
    models.finish(run)
    models.finish(bad, failed=True)
    with models._connection.client() as client:
        data = client.get_run(run).data
        assert [client.get_run(one).info.status for one in (run, bad)] == ["FINISHED", "FAILED"]
    assert (data.params, data.metrics) == ({"trials": "8", "family": "lightgbm"}, many)


def test_the_page_of_a_definition_is_that_of_its_runs(models, monkeypatch):
    run = models.start_run("paged", "train paged", {})
    assert models.runs_page("paged") is None  # a database has no pages
    monkeypatch.setattr(type(models._connection), "page_address", "http://host")
    [experiment] = re.findall(r"experiments/(\d+)/runs/", models.page(run))
    runs = f"http://host/#/experiments/{experiment}/runs?workflowType=machine_learning"
    assert (models.runs_page("paged"), models.runs_page("never")) == (runs, None)


def test_children_are_found_under_their_parent_alone(models):
    parent, other = (models.start_run("family", name, {}) for name in ("parent", "other"))
    children = [
        (models.start_run("family", name, {"family": name}, parent=parent), name)
        for name in ("random_forest", "lightgbm")
    ]
    models.start_run("family", "stranger", {}, parent=other)
    assert [(run.id, run.tags["family"]) for run in models.searches(parent)] == children


def test_versions_come_back_as_they_were_registered_once_for_each_run(models):
    name = "oven.too-moist"
    assert (models.versions(name), models.aliases(name)) == ({}, {})
    runs = [models.start_run(name, run, {}) for run in ("first", "second")]
    inputs = {"moisture__mean": "double", "recipe": "string"}
    first = models.register(name, runs[0], FILES, {"hash": "abc"}, inputs=inputs)
    assert models.model_files(name, first) == FILES
    assert models.version_tags(name, first) == {"hash": "abc"}
    assert models.register(name, runs[0], FILES, {}) == first
    second = models.register(name, runs[1], FILES, {})
    assert list(models.versions(name).items()) == [(1, {"hash": "abc"}), (2, {})]
    assert models.aliases(name) == {"challenger": 2}
    champions = []
    for version in (first, second, None, None):
        models.set_alias(name, "champion", version)
        champions.append(models.aliases(name).get("champion"))
    assert champions == [first, second, None, None]


def test_metrics_of_a_run_after_its_registration_are_those_of_the_model_too(models):
    run = models.start_run("measured", "train", {})
    models.log(run, metrics={"rows": 100.0})
    models.register("measured", run, FILES, {})
    models.log(run, metrics={"ap": 0.5})
    with models._connection.client() as client:
        (output,) = client.get_run(run).outputs.model_outputs
        of_model = {one.key: one.value for one in client.get_logged_model(output.model_id).metrics}
        of_run = client.get_run(run).data.metrics
    assert (of_model, of_run) == ({"ap": 0.5}, {"rows": 100.0, "ap": 0.5})


@pytest.mark.parametrize(
    ("beside", "outputs"),
    [
        ((), ["probability"]),
        (("life-0-booster.txt",), ["probability", "low", "median", "high"]),
        (("life-0-booster.txt", "refit-meta.json"), ["probability"]),
        (("refit-meta.json", "refit-life-0-a.txt"), ["probability", "low", "median", "high"]),
    ],
)
def test_the_signature_has_a_remaining_life_if_the_model_that_scores_has_one(
    models, beside, outputs
):
    """The plan of each has the columns of a life."""
    name = f"press.{len(beside)}-{len(outputs)}"
    run = models.start_run(name, "train", {})
    files = FILES | dict.fromkeys(beside, b"tree")
    version = models.register(name, run, files, {}, inputs={"life/age": "double"})
    with models._connection.client() as client:
        location = client.get_model_version(name, str(version)).source
    assert Model.load(location.removeprefix("file://")).signature.outputs.input_names() == outputs


def test_a_version_that_does_not_exist_is_unavailable(models):
    assert_refused("", models.model_files, "never", 1, fault=ModelUnavailable)
    assert_refused("", models.version_tags, "never", 1, fault=ModelUnavailable)


def test_an_experiment_in_the_bin_is_taken_out_again(models):
    run = models.start_run("binned", "train", {})
    with models._connection.client() as client:
        client.delete_experiment(client.get_run(run).info.experiment_id)
    assert (
        models.tags(models.start_run("binned", "train again", {}))["mlflow.runName"]
        == "train again"
    )


def test_a_missing_server_is_said_within_seconds_and_says_what_to_do():
    models = MlflowModels(f"http://user:secret@127.0.0.1:{free_port()}")
    began = time.monotonic()
    with pytest.raises(RegistryUnavailable, match="ALERTING_MLFLOW_URI") as refusal:
        models.model_files("any", 1)
    assert time.monotonic() - began < 60  # MLflow's own patience is minutes
    assert "secret" not in str(refusal.value)
    assert isinstance(refusal.value, UserError)


def test_a_silent_server_is_given_up_within_seconds():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        models = MlflowModels(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=1)
        began = time.monotonic()
        assert_refused("", models.aliases, "any", fault=ModelUnavailable)
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
    assert_refused(
        "more than a model of this platform has; it was not read",
        models.model_files,
        "large",
        version,
        fault=ModelUnavailable,
    )
