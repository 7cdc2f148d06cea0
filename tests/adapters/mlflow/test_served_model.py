"""Champions as MLflow itself loads them, for every kind that has scores: through a real MLflow."""

import json
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fastapi.testclient import TestClient

from alerting.adapters.mlflow.mlflow_registry import MlflowModels
from alerting.definitions.faults import UserError
from alerting.kinds.anomaly.model import AnomalyModel
from alerting.kinds.registry import trained_kind_of
from alerting.learning.models.model_files import example_files
from alerting.usecases.evaluation.rounds import evaluate
from alerting.usecases.model_registry import ModelCache
from alerting.usecases.training.run_files import column_types
from tests.builders import at
from tests.helpers.scored_lines import CLASSIFIER
from tests.humid_line import DAY

pytestmark = pytest.mark.models


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A registry. Its own: MLflow serves what is in it."""
    folder = tmp_path_factory.mktemp("mlflow")
    uri = f"sqlite:///{folder}/mlflow.db"
    return uri, MlflowModels(uri, artifacts=folder / "artifacts")


@pytest.fixture
def loaded(served, store, monkeypatch):
    """Return a champion as MLflow loads it, its columns, and as the platform has it."""
    import mlflow

    kind, platform, name, asset, _ = served
    uri, registry = store
    definition = platform.definitions.newest_revision(name).definition
    model = ModelCache(platform).get(definition, 1)
    plan = trained_kind_of(definition).plan_of(model, asset)
    files = platform.models.model_files(name, 1)
    tags = platform.models.version_tags(name, 1)
    inputs = column_types(plan, has_life=False) if kind == CLASSIFIER else None
    if kind == CLASSIFIER:
        rows = pd.DataFrame([[2.0] * len(plan.columns)], columns=list(plan.columns))
        files = files | example_files(rows.iloc[:, 1:], inputs)
    run = registry.start_run(name, "training", {})
    registry.set_alias(name, "champion", registry.register(name, run, files, tags, inputs=inputs))
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    yield mlflow.pyfunc.load_model(f"models:/{name}@champion"), plan, model
    mlflow.set_tracking_uri(None)
    mlflow.set_registry_uri(None)


def test_mlflow_predicts_the_numbers_of_the_platform(served, loaded):
    kind, _, _, asset, _ = served
    of_mlflow, plan, model = loaded
    columns = list(plan.columns)
    assert of_mlflow.metadata.flavors["alerting"]["kind"] == kind
    rows = pd.DataFrame(np.random.default_rng(5).normal(50, 5, (20, len(columns))), columns=columns)
    rows.iloc[3, 0] = np.nan
    said = of_mlflow.predict(rows)
    if isinstance(model, AnomalyModel):
        own = model.by_asset[asset].score(rows.to_numpy(np.float64))
        of_asset = of_mlflow.predict(rows.assign(asset=asset))
        assert np.array_equal(said["score"], own, equal_nan=True)
        assert np.array_equal(of_asset["score"], own, equal_nan=True)
        with pytest.raises(UserError, match="learned nothing of pump-1"):
            of_mlflow.predict(rows.assign(asset="pump-1"))
    else:
        assert np.array_equal(said["probability"], (model.refit or model).score(rows))


@pytest.mark.parametrize("served", [CLASSIFIER], indirect=True)
def test_mlflow_answers_its_example_and_installs_what_the_model_needs(served, loaded, monkeypatch):
    """As `mlflow models serve` does, which reads the example and the environment in the files."""
    import mlflow
    from mlflow.environment_variables import _MLFLOW_IS_IN_SERVING_ENVIRONMENT
    from mlflow.pyfunc.scoring_server import init
    from mlflow.utils.virtualenv import _get_python_env

    _, _, name, _, _ = served
    model = loaded[0]
    monkeypatch.setenv(_MLFLOW_IS_IN_SERVING_ENVIRONMENT.name, "true")  # the server sets it
    folder = Path(mlflow.artifacts.download_artifacts(f"models:/{name}@champion"))
    with TestClient(init(model)) as server:
        sent = model.metadata.get_serving_input(str(folder))
        answer = server.post(
            "/invocations", content=sent, headers={"content-type": "application/json"}
        )
    assert answer.status_code == 200, answer.text
    expected = model.predict(model.metadata.load_input_example(str(folder)))
    assert answer.json()["predictions"] == expected.to_dict("records")
    environment = _get_python_env(folder)
    needed = {one.partition("==")[0]: one for one in environment.dependencies}
    assert {"alerting", "mlflow", "numpy", "pandas"} < needed.keys()
    assert needed["alerting"] == f"alerting=={version('alerting')}"


@pytest.mark.parametrize("served", [CLASSIFIER], indirect=True)
def test_mlflow_takes_rows_as_json_with_what_is_not_known_left_empty(loaded):
    from mlflow.pyfunc.scoring_server import _split_data_and_params, infer_and_parse_data

    of_mlflow, _, _ = loaded
    schema = of_mlflow.metadata.get_input_schema()
    columns = schema.input_names()
    rows = [[None] * len(columns), [1.0] * len(columns)]
    data, _ = _split_data_and_params(
        json.dumps({"dataframe_split": {"columns": columns, "data": rows}})
    )
    said = of_mlflow.predict(infer_and_parse_data(data, schema=schema))
    assert (list(said.columns), len(said)) == (["probability"], 2)
    assert said["probability"].between(0, 1).all()


@pytest.mark.parametrize("served", [CLASSIFIER], indirect=True)
def test_evaluation_reads_the_champion_also_after_mlflow_has_put_a_file_of_its_own_beside_it(
    served,
    loaded,
    store,
):
    _, platform, name, _, _ = served
    flavor = loaded[0].metadata.flavors["python_function"]
    assert flavor["loader_module"] == "alerting.adapters.mlflow.served_model"
    files = store[1].model_files(name, 1)
    packages = {line.partition("==")[0] for line in files["requirements.txt"].decode().splitlines()}
    assert {"numpy", "pandas"} < packages & {"numpy", "pandas", "lightgbm", "scikit-learn", "skops"}
    own = files.keys() - {"registered_model_meta"}
    assert len(own) == len(files) - 1
    assert all(file.endswith((".json", ".txt", ".skops", ".npy")) for file in own), "no pickle"
    assert evaluate(replace(platform, models=store[1]), None, at(9 * DAY)).unreadable == {}
