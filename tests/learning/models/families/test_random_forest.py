"""Trials of a forest grow fewer trees than the model that serves, and take what earlier models
were trained with."""

import numpy as np
import pytest

from alerting.learning.features.encoding import Columns
from alerting.learning.models.families.contract import LabelledRows, get_family
from alerting.learning.search.search import search_candidate
from alerting.learning.selection.challenger import finish_challenger
from tests import small_models

pytestmark = pytest.mark.models

FOREST = get_family("random_forest")
COLUMNS = Columns(tuple("abc"), {})


def rows():
    matrix = np.random.default_rng(1).normal(size=(300, 3))
    return LabelledRows(matrix, (matrix[:, 0] > 1).astype(np.int8))


def trees(estimator):
    return len(estimator.model.trees)


@pytest.mark.parametrize(("asked", "tried"), [(100, 40), (12, 12)])
def test_a_trial_grows_at_most_forty_trees_and_the_model_all(asked, tried):
    params = FOREST.defaults | {"n_estimators": asked}
    trial, _ = FOREST.fit_with_validation(params, COLUMNS, rows(), rows(), 1)
    assert trees(trial) == tried
    assert trees(FOREST.fit_final(params, COLUMNS, rows(), 1)) == asked


def test_the_candidate_of_a_search_names_the_trees_of_the_model_that_it_becomes():
    data = small_models.dataset()
    definition = small_models.definition(learning={"trials": 1, "folds": 2})
    found = search_candidate(data, definition, "random_forest", lambda *_: None)
    model, _ = finish_challenger(data, found, definition)
    assert found.params["n_estimators"] == trees(model.estimator) == 100


@pytest.mark.parametrize("share", [0.2, 0.3, "sqrt"])
def test_the_parameters_of_an_earlier_champion_are_tried_with_the_share_of_columns_of_today(share):
    data = small_models.dataset()
    definition = small_models.definition(learning={"trials": 2, "folds": 2})
    warm = FOREST.defaults | {"max_features": share, "max_samples": 0.7, "max_depth": 9}
    found = search_candidate(data, definition, "random_forest", lambda *_: None, warm)
    expected = share if share == "sqrt" else 0.3
    assert found.tried[1].params == warm | {"max_features": expected, "max_samples": 0.5}
