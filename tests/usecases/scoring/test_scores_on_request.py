"""A score on request equals the one that evaluation stores, for every kind that has scores; MLflow
serves the same models."""

import json
from dataclasses import asdict, replace
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from alerting.adapters.files.rows import Layout
from alerting.adapters.mlflow.mlflow_registry import MlflowModels
from alerting.adapters.predictions import score_file
from alerting.adapters.samples import parquet
from alerting.definitions.faults import NotFound, UserError
from alerting.episodes.advice import split_reasons
from alerting.kinds.anomaly.model import AnomalyModel
from alerting.kinds.registry import trained_kind_of
from alerting.ports import FixedClock
from alerting.usecases.definitions.sync import apply
from alerting.usecases.explain.explain import why
from alerting.usecases.registry.registration import ModelCache
from alerting.usecases.scoring.predict import PredictionBatch, predict
from alerting.usecases.scoring.question import PredictQuestion
from alerting.usecases.scoring.sent import sent_readings
from tests.builders import at, too_hot
from tests.helpers.scored_lines import FORECAST
from tests.humid_line import ASSET, DAY, NAME, humid_oven, learned_quickly
from tests.in_memory_platform import in_memory_platform

pytestmark = pytest.mark.models


def of_asset(platform, asset, start, end):
    """The rows that a program would send for (start, end]."""
    rows = platform.readings.load(platform.assets.get(asset), start, end).readings
    return [
        {
            "ts": ts.isoformat(),
            "values": {name: value for name, value in row.items() if not pd.isna(value)},
        }
        for ts, row in rows.iterrows()
    ]


def test_the_score_of_an_asset_is_the_one_that_evaluation_stored(served):
    kind, platform, name, asset, stored = served
    models = ModelCache(platform)
    before = list(platform.scores.for_interval(name, at(0), at(100 * DAY)))
    highest = max(stored, key=lambda row: row["score"])
    asked = [*stored[::9], highest]
    found = [predict(platform, models, name, asset, row["ts"]) for row in asked]
    expected = [(row["ts"], row["score"], row["model_version"], None) for row in asked]
    assert [(one.at, one.score, one.model_version, one.unknown) for one in found] == expected
    assert [one.would_raise for one in found] == [one.score >= one.threshold for one in found]
    half_a_minute = timedelta(seconds=30)
    later = [predict(platform, models, name, asset, row["ts"] + half_a_minute) for row in asked]
    assert [(one.at, one.score) for one in later] == [known[:2] for known in expected]
    batch = PredictionBatch(
        platform, models, name, [PredictQuestion(asset, row["ts"]) for row in asked]
    )
    together = [batch.answer(PredictQuestion(asset, row["ts"])) for row in reversed(asked)]
    assert together == found[::-1]
    told = why(platform, name, asset, highest["ts"])
    assert told.score == found[-1].score
    assert {c.message for c in split_reasons(found[-1].contributions)[0]} <= set(told.facts)
    assert bool(found[-1].forecast) == (kind == FORECAST)
    assert all(p.low <= p.median <= p.high for p in found[-1].forecast)
    assert list(platform.scores.for_interval(name, at(0), at(100 * DAY))) == before


def test_rows_that_are_sent_give_the_same_number_as_stored_ones(served):
    _, platform, name, asset, stored = served
    models = ModelCache(platform)
    for row in stored[-40::13]:
        rows = of_asset(platform, asset, row["ts"] - timedelta(days=2), row["ts"])
        given = sent_readings(platform, asset, rows)
        found = predict(platform, models, name, asset, row["ts"], given)
        assert (found.at, found.score) == (row["ts"], row["score"])


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_file_of_readings_gives_the_scores_that_evaluation_stored_in_any_chunks(
    served, ending, tmp_path, monkeypatch
):
    _, platform, name, asset, stored = served
    readings = platform.readings.load(platform.assets.get(asset), at(0), at(100 * DAY)).readings
    path = tmp_path / f"readings.{ending}"
    out = tmp_path / f"scores.{ending}"
    shuffled = readings.reset_index().sample(frac=1.0, random_state=1)
    shuffled.to_csv(path, index=False) if ending == "csv" else shuffled.to_parquet(path)
    monkeypatch.setattr(parquet, "MOST_ROWS", 700)
    before = list(platform.assets.all())
    found = score_file(platform, name, path, Layout(asset=asset), out)
    frame = pd.read_csv(out) if ending == "csv" else pd.read_parquet(out)
    frame["time"] = pd.to_datetime(frame["time"], utc=True)
    rows = frame.dropna(subset="score")
    known = dict(zip(rows["time"], rows["score"], strict=True))
    wanted = {row["ts"]: row["score"] for row in stored if row["ts"] <= readings.index[-1]}
    assert {ts: known[ts] for ts in wanted} == wanted
    assert (found.rows, found.scores, found.scores + sum(found.unknown.values())) == (
        len(readings),
        len(known),
        len(frame),
    )
    assert json.dumps(asdict(found)), "as a predict job stores it"
    assert [p.name for p in sorted(tmp_path.iterdir())] == [path.name, out.name]
    assert list(platform.assets.all()) == before


def test_a_file_that_lacks_what_the_model_reads_says_so_and_others_are_refused(served, tmp_path):
    _, platform, name, asset, _ = served
    readings = platform.readings.load(platform.assets.get(asset), at(0), at(100 * DAY)).readings
    path = tmp_path / "readings.csv"
    out = tmp_path / "scores.csv"
    readings.iloc[:, :1].to_csv(path)
    notes = score_file(platform, name, path, Layout(asset=asset), out).notes
    assert "which the file lacks: missing in every row" in notes[-1]
    with pytest.raises(UserError, match=f"applies to {asset}, and the file has readings of pump-3"):
        score_file(platform, name, path, Layout(asset="pump-3"), out)
    with pytest.raises(UserError, match="no such folder"):
        score_file(platform, name, path, Layout(asset=asset), tmp_path / "none" / "scores.csv")
    readings[:3].to_csv(path)
    with pytest.raises(UserError, match="learned from times up to"):
        score_file(platform, name, path, Layout(asset=asset), out)


def test_what_cannot_be_known_says_why_and_is_not_a_number(served, monkeypatch):
    _, platform, name, asset, stored = served
    models = ModelCache(platform)
    before = predict(platform, models, name, asset, at(10))
    assert (before.score, before.would_raise, before.contributions) == (None, None, ())
    assert before.unknown in ("no model is in service yet", "the definition is not in service")
    late = replace(platform, clock=FixedClock(at(200 * DAY)))
    assert predict(late, models, name, asset).unknown
    alone = sent_readings(platform, asset, of_asset(platform, asset, at(0), at(DAY)))
    assert predict(platform, models, name, asset, given=alone).unknown
    monkeypatch.setattr(platform.models, "reachable", False)
    lost = predict(platform, ModelCache(platform), name, asset, stored[-1]["ts"])
    reason = "the model cannot be read: the registry does not answer"
    assert (lost.score, lost.unknown) == (None, reason)


def test_questions_without_an_answer_are_refused():
    platform = in_memory_platform()
    platform.assets.store_assets([humid_oven()])
    apply(
        platform,
        [too_hot(variable="humidity", assets=[ASSET]), learned_quickly()],
        "engineer",
        at(0),
        "test",
    )
    models = ModelCache(platform)
    with pytest.raises(UserError, match="of kind threshold, which has no model"):
        predict(platform, models, "too-hot", ASSET)
    with pytest.raises(NotFound, match="no asset 'oven-7'"):
        predict(platform, models, NAME, "oven-7")
    with pytest.raises(UserError, match="there is no definition"):
        predict(platform, models, "nothing", ASSET)
    rows = [
        {"ts": "noon", "values": {"humidity": 1.0}},
        {"ts": 1767614400, "values": {"humidty": 1.0}},
    ]
    with pytest.raises(
        UserError,
        match=r"row 1: ts: 'noon' is not a time.*no variable 'humidty'; did you mean humidity\?",
    ):
        sent_readings(platform, ASSET, rows)


@pytest.fixture(scope="module")
def mlflow_store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mlflow")
    uri = f"sqlite:///{folder}/mlflow.db"
    return uri, MlflowModels(uri, artifacts=folder / "artifacts")


def test_mlflow_loads_it_and_predicts_the_numbers_of_the_platform(
    served, mlflow_store, monkeypatch
):
    import mlflow

    kind, platform, name, asset, _ = served
    version = 1
    files = platform.models.model_files(name, version)
    tags = platform.models.version_tags(name, version)
    uri, registry = mlflow_store
    number = registry.register(name, registry.start_run(name, "training", {}), files, tags)
    registry.set_alias(name, "champion", number)
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    try:
        loaded = mlflow.pyfunc.load_model(f"models:/{name}@champion")
    finally:
        mlflow.set_tracking_uri(None)
        mlflow.set_registry_uri(None)
    definition = platform.definitions.newest_revision(name).definition
    model = ModelCache(platform).get(definition, version)
    plan = trained_kind_of(definition).plan_of(model, asset)
    assert loaded.metadata.flavors["alerting"]["kind"] == kind
    rows = pd.DataFrame(
        np.random.default_rng(5).normal(50, 5, (20, len(plan.columns))), columns=list(plan.columns)
    )
    rows.iloc[3, 0] = np.nan
    said = loaded.predict(rows)
    if isinstance(model, AnomalyModel):
        matrix = rows.to_numpy(np.float64)
        assert np.array_equal(said["score"], model.by_asset[asset].score(matrix), equal_nan=True)
        assert np.array_equal(
            loaded.predict(rows.assign(asset=asset))["score"], said["score"], equal_nan=True
        )
        with pytest.raises(UserError, match="learned nothing of pump-1"):
            loaded.predict(rows.assign(asset="pump-1"))
    else:
        assert np.array_equal(said["probability"], (model.refit or model).score(rows))
