"""Models of earlier versions: a blend, and a model of a set of columns, are read, scored and
explained, and not refitted."""

from dataclasses import replace

import numpy as np
import pytest

from alerting.definitions.families import BUILT_IN as FAMILIES
from alerting.learning.features.encoding import Columns
from alerting.learning.models.estimator import blend_of
from alerting.learning.models.files import model_files, model_from_files
from alerting.learning.models.trained import ModelRefused, model_hash
from alerting.learning.search.search import search_candidate
from alerting.learning.selection.challenger import finish_challenger
from alerting.learning.selection.refit import is_trained_no_more
from alerting.recommendation.contributions import explain
from tests import small_models

pytestmark = pytest.mark.models

WEIGHTS = (0.2, 0.3, 0.5)


def silent(*_):
    pass


@pytest.fixture(scope="module")
def data():
    return small_models.dataset()


@pytest.fixture(scope="module")
def definition():
    return small_models.definition(learning={"trials": 1, "folds": 2})


@pytest.fixture(scope="module")
def single(data, definition):
    """A fitted model of each family."""
    return [
        finish_challenger(data, search_candidate(data, definition, family, silent), definition)[0]
        for family in FAMILIES
    ]


@pytest.fixture(scope="module")
def blend(single):
    """A blend as earlier versions trained it."""
    estimator = blend_of([model.estimator for model in single], WEIGHTS)
    calibration = single[0].calibration
    threshold = single[0].threshold
    plan = single[0].plan
    members = [
        {"family": m.family, "weight": weight, "params": dict(m.params)}
        for m, weight in zip(single, WEIGHTS, strict=True)
    ]
    hashed = model_hash(estimator, calibration, threshold, plan)
    return replace(single[0], estimator=estimator, hash=hashed, params={"members": members})


def test_the_score_of_a_blend_is_the_weighted_mean_of_its_members_after_calibration(data, blend):
    matrix = blend.estimator.columns.matrix(data.rows)
    mean = sum(
        w * member.probability_of(matrix)
        for member, w in zip(blend.estimator.members, WEIGHTS, strict=True)
    )
    assert blend.score(data.rows) == pytest.approx(blend.calibration.probability(mean))
    assert blend.family == "blend"


def test_a_blend_is_read_back_bit_for_bit_and_a_changed_one_is_refused(data, blend):
    files = model_files(blend)
    assert set(files) == {
        "model.json",
        "0-model.skops",
        "1-forest.npy",
        "2-model-0.txt",
        "2-model-1.txt",
        "2-model-2.txt",
    }
    read = model_from_files(files)
    assert np.array_equal(read.score(data.rows), blend.score(data.rows))
    assert read.hash == blend.hash
    with pytest.raises(ModelRefused, match="do not fit their hash"):
        model_from_files(files | {"model.json": files["model.json"].replace(b"0.3", b"0.4", 1)})
    with pytest.raises(ModelRefused, match="without a readable"):
        model_from_files(
            {name: content for name, content in files.items() if name != "2-model-1.txt"}
        )


def test_the_reasons_of_a_blend_add_up_and_its_importance_is_shared(data, blend):
    row = data.rows.iloc[[7]]
    explained = explain(blend, row)
    assert explained.shares.sum() == pytest.approx(blend.score(row)[0] - explained.usual_score)
    assert blend.estimator.importance().sum() == pytest.approx(1)


def test_a_blend_and_a_model_of_a_set_of_columns_are_not_refitted_and_others_are(single, blend):
    assert is_trained_no_more(blend)
    assert is_trained_no_more(replace(single[0], params={**single[0].params, "columns": "compact"}))
    assert not is_trained_no_more(single[0])


def test_a_champion_of_a_set_of_columns_lends_its_other_parameters_to_the_next_search(data):
    definition = small_models.definition(learning={"trials": 2, "folds": 2})
    found = search_candidate(
        data, definition, "logistic_regression", silent, {"C": 0.5, "columns": "own"}
    )
    assert found.tried[1].params == found.tried[0].params | {"C": 0.5}


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
