"""Models of earlier versions, and of a set of columns."""

import json
from dataclasses import asdict, replace
from datetime import timedelta

import numpy as np
import pytest
import skops.io
from numpy.testing import assert_equal
from sklearn.preprocessing import FunctionTransformer
from sklearn.tree import DecisionTreeClassifier

from alerting.definitions.families import BUILT_IN as FAMILIES
from alerting.learning.features.encoding import Columns
from alerting.learning.models.files import META, model_files, model_from_files
from alerting.learning.models.trained import ModelRefused, model_hash
from alerting.learning.selection.challenger import finish_challenger
from alerting.readings.history import from_millis
from tests import small_models
from tests.helpers.learning.trained import chosen, finished

pytestmark = pytest.mark.models


@pytest.fixture(scope="module")
def data():
    return small_models.dataset()


@pytest.mark.parametrize("family", FAMILIES)
def test_a_model_read_from_its_files_scores_the_same_bit_for_bit(data, family):
    model, _ = finished(family)
    read = model_from_files(model_files(model))
    assert np.array_equal(read.score(data.rows), model.score(data.rows))
    same = {"estimator": model.estimator, "normal": None, "refit": None}
    assert replace(read, **same) == replace(model, **same)
    assert_equal(asdict(read.normal), asdict(model.normal))


def trained(data, **changes):
    return finish_challenger(
        data, chosen("logistic_regression"), small_models.definition(**changes)
    )


def test_training_again_gives_the_same_hash_whatever_the_test_period_and_another_threshold_another(
    data,
):
    model, evidence = finished("logistic_regression")
    test = data.part == "test"
    upside_down = replace(data, label=np.where(test, 1 - data.label, data.label).astype(np.int8))
    other, other_evidence = trained(upside_down)
    assert other.hash == model.hash
    assert other_evidence.rows["test"] != evidence.rows["test"]
    parts = (model.estimator, model.calibration)
    hashes = [model_hash(*parts, threshold, model.plan) for threshold in (model.threshold, 0.9)]
    assert hashes[0] == model.hash != hashes[1]


def test_the_training_cutoff_is_the_end_of_the_last_label_window_of_validation(data):
    model, _ = finished("logistic_regression")
    newest = int(data.at[data.part == "validation"].max())
    assert model.training_cutoff == from_millis(newest) + timedelta(minutes=30)


def test_the_evidence_has_rows_events_curves_and_figures_for_the_registry():
    _, evidence = finished("lightgbm")
    figures = evidence.metrics
    assert figures["test_ap"] > 0.5
    low, high = (figures[f"test_event_recall_{end}"] for end in ("low", "high"))
    assert 0 <= low <= high <= 1
    assert all(isinstance(value, float) for value in figures.values())
    documents = {name: json.loads(content) for name, content in evidence.files.items()}
    assert documents["summary.json"]["n_events"] == evidence.events["test"].n_events
    assert documents["threshold_curve.json"]
    assert next(iter(documents["importance.json"])) in ("humidity", "moisture")


def test_files_that_hold_something_else_or_were_changed_or_lost_are_refused_with_what_to_do():
    files = model_files(finished("logistic_regression")[0])
    meta = json.loads(files[META])
    blend = {"weights": [0.4, 0.6], "members": meta["members"] * 2}
    function = FunctionTransformer(func=json.dumps)
    forged = {
        "names untrusted types": {"model.skops": skops.io.dumps(function)},
        r"holds no model for \d+ columns": {
            "model.skops": skops.io.dumps(DecisionTreeClassifier())
        },
        "do not fit their hash": {META: json.dumps(meta | {"threshold": 0.0}).encode()},
        "this version reads format 4": {META: json.dumps(meta | {"format": 2}).encode()},
        r"a blend of several families.*train the model again": {
            META: json.dumps(meta | blend).encode()
        },
    }
    for words, changed in forged.items():
        with pytest.raises(ModelRefused, match=words):
            model_from_files(files | changed)
    for lost in files:
        with pytest.raises(ModelRefused, match=rf"without a readable {lost}"):
            model_from_files({name: data for name, data in files.items() if name != lost})


def test_a_model_that_reads_some_of_its_columns_is_stored_and_explained_with_these_alone(data):
    train = np.flatnonzero(data.part == "train")
    kept = [*train[data.label[train] == 1][:7], *train[data.label[train] == 0][:8]]
    part = np.where(data.part == "train", "purged", data.part)
    part[kept] = "train"
    model, _ = trained(replace(data, part=part))
    assert len(model.plan.columns) > len(kept)
    loaded = model_from_files(model_files(model))
    assert np.array_equal(loaded.score(data.rows), model.score(data.rows))
    row = data.rows.iloc[[100]]
    shares, base = model.estimator.contributions(Columns.from_plan(model.plan).matrix(row))
    assert np.count_nonzero(shares) <= len(kept)
    assert base + shares.sum() == pytest.approx(model.estimator.margin(row)[0])
