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
from alerting.learning.models.trained import ModelRefused
from alerting.learning.search.search import search_candidate
from alerting.learning.selection.challenger import finish_challenger
from alerting.readings.history import from_millis
from tests import small_models
from tests.helpers.learning.trained import chosen

pytestmark = pytest.mark.models


def cached(function):
    made = {}

    def fit_family(family):
        if family not in made:
            made[family] = function(family)
        return made[family]

    return fit_family


@pytest.fixture(scope="module")
def data():
    return small_models.dataset()


@pytest.fixture(scope="module")
def finished(data):
    return cached(lambda family: finish_challenger(data, chosen(family), small_models.definition()))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_model_read_from_its_files_scores_the_same_bit_for_bit(data, finished, family):
    model, _ = finished(family)
    read = model_from_files(model_files(model))
    assert np.array_equal(read.score(data.rows), model.score(data.rows))
    assert replace(read, estimator=model.estimator, normal=None) == replace(model, normal=None)
    assert_equal(asdict(read.normal), asdict(model.normal))


@pytest.mark.parametrize("family", FAMILIES)
def test_training_again_gives_the_same_hash_and_another_threshold_another(data, finished, family):
    model, _ = finished(family)
    again, _ = finish_challenger(data, chosen(family), small_models.definition())
    assert again.hash == model.hash
    stricter, _ = finish_challenger(
        data,
        chosen(family),
        small_models.definition(operating_point={"false_alarms_per_week": 0.01}),
    )
    assert (stricter.hash == model.hash) == (stricter.threshold == model.threshold)


def test_the_test_period_changes_nothing_of_the_model(data, finished):
    model, evidence = finished("logistic_regression")
    test = data.part == "test"
    upside_down = replace(data, label=np.where(test, 1 - data.label, data.label).astype(np.int8))
    other, other_evidence = finish_challenger(
        upside_down, chosen("logistic_regression"), small_models.definition()
    )
    assert other.hash == model.hash
    assert other_evidence.rows["test"] != evidence.rows["test"]


def test_the_training_cutoff_is_the_end_of_the_last_label_window_of_validation(data, finished):
    model, _ = finished("logistic_regression")
    newest = int(data.at[data.part == "validation"].max())
    assert model.training_cutoff == from_millis(newest) + timedelta(minutes=30)
    assert newest < data.at[data.part == "test"].min()


def test_the_evidence_has_rows_events_curves_and_figures_for_the_registry(finished):
    _, evidence = finished("lightgbm")
    assert evidence.metrics["test_ap"] > 0.5
    assert (
        0
        <= evidence.metrics["test_event_recall_low"]
        <= evidence.metrics["test_event_recall_high"]
        <= 1
    )
    assert all(isinstance(value, float) for value in evidence.metrics.values())
    documents = {name: json.loads(content) for name, content in evidence.files.items()}
    assert documents["summary.json"]["n_events"] == evidence.events["test"].n_events
    assert documents["threshold_curve.json"]
    assert next(iter(documents["importance.json"])) in ("humidity", "moisture")


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (FunctionTransformer(func=json.dumps), "names untrusted types"),
        (DecisionTreeClassifier(), r"holds no model for \d+ columns"),
    ],
)
def test_a_file_that_holds_something_else_than_the_family_names_is_refused(finished, other, words):
    model, _ = finished("logistic_regression")
    with pytest.raises(ModelRefused, match=words):
        model_from_files(model_files(model) | {"model.skops": skops.io.dumps(other)})


def test_files_that_were_changed_damaged_or_lost_are_refused(finished):
    model, _ = finished("lightgbm")
    files = model_files(model)
    meta = json.loads(files[META])
    with pytest.raises(ModelRefused, match="do not fit their hash"):
        model_from_files(files | {META: json.dumps(meta | {"threshold": 0.0}).encode()})
    with pytest.raises(ModelRefused, match="this version reads format 4"):
        model_from_files(files | {META: json.dumps(meta | {"format": 2}).encode()})
    for i in range(3):
        with pytest.raises(ModelRefused, match=rf"without a readable model-{i}\.txt"):
            model_from_files(
                {name: data for name, data in files.items() if name != f"model-{i}.txt"}
            )
    with pytest.raises(ModelRefused, match=r"without a readable model\.json"):
        model_from_files({})


def silent(*_):
    pass


@pytest.fixture(scope="module")
def definition():
    return small_models.definition(learning={"trials": 1, "folds": 2})


def test_a_blend_of_an_earlier_version_is_refused_with_what_to_do(data, definition):
    found = search_candidate(data, definition, "logistic_regression", silent)
    model, _ = finish_challenger(data, found, definition)
    files = model_files(model)
    meta = json.loads(files["model.json"])
    meta |= {"weights": [0.4, 0.6], "members": meta["members"] * 2}
    with pytest.raises(ModelRefused, match=r"a blend of several families.*train the model again"):
        model_from_files(files | {"model.json": json.dumps(meta).encode()})


def test_a_model_that_reads_some_of_its_columns_is_stored_and_explained_with_these_alone(
    data, definition
):
    train = np.flatnonzero(data.part == "train")
    kept = [*train[data.label[train] == 1][:7], *train[data.label[train] == 0][:8]]
    part = np.where(data.part == "train", "purged", data.part)
    part[kept] = "train"
    found = search_candidate(data, definition, "logistic_regression", silent)
    model, _ = finish_challenger(replace(data, part=part), found, definition)
    assert len(model.plan.columns) > len(kept)
    loaded = model_from_files(model_files(model))
    assert np.array_equal(loaded.score(data.rows), model.score(data.rows))
    row = data.rows.iloc[[100]]
    shares, base = model.estimator.contributions(Columns.from_plan(model.plan).matrix(row))
    assert np.count_nonzero(shares) <= len(kept)
    assert base + shares.sum() == pytest.approx(model.estimator.margin(row)[0])
