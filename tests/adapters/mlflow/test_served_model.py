"""A champion as MLflow itself loads it, and what a run shows first: through a real MLflow."""

import json
from dataclasses import replace

import pytest

from alerting.adapters.mlflow.mlflow_registry import MlflowModels
from alerting.learning.data.files import dataset_from_files
from alerting.usecases.definitions.sync import apply
from alerting.usecases.evaluation.evaluate import evaluate
from alerting.usecases.ingestion.arrivals import add_readings
from alerting.usecases.registry.onnx_export import export_onnx
from alerting.usecases.registry.registration import load_model
from alerting.usecases.training.train import train
from tests.builders import at
from tests.humid_line import DAY, NAME, humid_oven, learned_quickly, line
from tests.in_memory_platform import in_memory_platform

pytestmark = pytest.mark.models


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A platform with a champion in an MLflow of its own, and the address of that."""
    folder = tmp_path_factory.mktemp("mlflow")
    uri = f"sqlite:///{folder}/mlflow.db"
    models = MlflowModels(uri, artifacts=folder / "artifacts")
    platform = replace(in_memory_platform(), runs=models, models=models)
    platform.assets.store_assets([humid_oven()])
    add_readings(platform, line(days=8), at(0))
    learning = {"trials": 1, "folds": 2, "candidates": ["lightgbm"]}
    document = learned_quickly() | {"learning": learning}
    apply(platform, [document], "engineer", at(0), "test")
    platform.clock.instant = at(8 * DAY)
    return platform, uri, train(platform, NAME, at(8 * DAY))


@pytest.fixture
def loaded(trained, monkeypatch):
    import mlflow

    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    mlflow.set_tracking_uri(trained[1])
    mlflow.set_registry_uri(trained[1])
    yield mlflow.pyfunc.load_model(f"models:/{NAME}@champion")
    mlflow.set_tracking_uri(None)
    mlflow.set_registry_uri(None)


def test_what_mlflow_serves_takes_rows_as_json_with_what_is_not_known_left_empty(loaded):
    from mlflow.pyfunc.scoring_server import _split_data_and_params, infer_and_parse_data

    schema = loaded.metadata.get_input_schema()
    columns = schema.input_names()
    rows = [[None] * len(columns), [1.0] * len(columns)]
    body = json.dumps({"dataframe_split": {"columns": columns, "data": rows}})
    data, _ = _split_data_and_params(body)
    said = loaded.predict(infer_and_parse_data(data, schema=schema))
    assert (list(said.columns), len(said)) == (["probability"], 2)
    assert said["probability"].between(0, 1).all()


def test_evaluation_reads_the_champion_also_after_mlflow_has_put_a_file_of_its_own_beside_it(
    trained, loaded
):
    platform, _, result = trained
    flavor = loaded.metadata.flavors["python_function"]
    assert flavor["loader_module"] == "alerting.adapters.mlflow.served_model"
    files = platform.models.model_files(NAME, result.challenger_version)
    packages = {line.partition("==")[0] for line in files["requirements.txt"].decode().splitlines()}
    assert {"numpy", "pandas"} < packages & {"numpy", "pandas", "lightgbm", "scikit-learn", "skops"}
    own = files.keys() - {"registered_model_meta"}
    assert len(own) == len(files) - 1
    assert all(name.endswith((".json", ".txt", ".skops", ".npy")) for name in own), (
        "none is pickled"
    )
    add_readings(platform, line(days=9)[-144:], at(8 * DAY))
    counts = evaluate(platform, None, at(9 * DAY))
    assert counts.unreadable == {}
    assert list(platform.scores.for_interval(NAME, at(8 * DAY), at(9 * DAY)))


def test_training_stores_the_champion_as_onnx_with_the_same_probabilities_and_so_does_the_export(
    trained,
):
    onnxruntime = pytest.importorskip("onnxruntime", reason="pip install onnx onnxruntime")
    platform, _, result = trained
    rows = dataset_from_files(platform.runs.files(result.run_id, "dataset")).rows.iloc[-50:]
    definition = platform.definitions.newest_revision(NAME).definition
    champion = load_model(platform, definition, result.challenger_version).refit
    stored = platform.runs.files(result.run_id, "onnx")["model.onnx"]
    session = onnxruntime.InferenceSession(stored, providers=["CPUExecutionProvider"])
    [found] = session.run(None, {"features": champion.estimator.columns.matrix(rows)})
    assert found[:, 0] == pytest.approx(champion.score(rows), abs=1e-12)
    assert export_onnx(platform, definition, result.challenger_version) == stored
