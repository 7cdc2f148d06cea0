"""Models of earlier versions, and of a set of columns."""

import json
from dataclasses import replace

import numpy as np
import pytest

from alerting.learning.features.encoding import Columns
from alerting.learning.models.files import model_files, model_from_files
from alerting.learning.models.trained import ModelRefused
from alerting.learning.search.search import search_candidate
from alerting.learning.selection.challenger import finish_challenger
from tests import small_models

pytestmark = pytest.mark.models


def silent(*_):
    pass


@pytest.fixture(scope="module")
def data():
    return small_models.dataset()


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
