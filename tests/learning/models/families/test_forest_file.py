"""A forest that was stored is the one that was fitted, bit for bit; what cannot be a forest is
refused. Its trials grow fewer trees. Pairs of columns are those of a search's own rows."""

from dataclasses import replace

import numpy as np
import pytest
import shap
from sklearn.ensemble import RandomForestClassifier

from alerting.learning.features.column_pairs import ColumnPairs
from alerting.learning.features.plan import Columns
from alerting.learning.models.families.contract import LabelledRows, get_family
from alerting.learning.models.families.lightgbm import informative_pairs
from alerting.learning.models.families.random_forest import FOREST, Forest
from alerting.learning.models.trained import ModelRefused
from alerting.learning.selection.classifier_search import search_candidate
from tests import small_models

pytestmark = pytest.mark.models

WIDTH = 6
FAMILY = get_family("random_forest")


def noisy_rows(missing=0.0, count=400):
    draw = np.random.default_rng(5)
    matrix = draw.normal(size=(count, WIDTH))
    label = (matrix[:, 0] + draw.normal(size=count) > 1).astype(np.int8)
    matrix[draw.random(matrix.shape) < missing] = np.nan
    return matrix, label


def grown(missing=0.0, positives=None, weights=False, **params):
    matrix, label = noisy_rows(missing)
    if positives is not None:
        label[:] = 0
        label[:positives] = 1
    weight = np.linspace(0.1, 3, len(label)) if weights else None
    forest = RandomForestClassifier(n_estimators=12, random_state=3, **params)
    return forest.fit(matrix, label, weight)


SHAPES = {
    "deep": {},
    "stumps": {"max_depth": 1},
    "weights": {"weights": True, "class_weight": {0: 0.6, 1: 4.0}, "max_samples": 0.5},
    "missing values": {"missing": 0.3},
    "trees that see one class": {"positives": 2, "max_samples": 0.1},
    "leaves alone": {"min_samples_leaf": 300},
}


@pytest.fixture(scope="module", params=SHAPES)
def forest(request):
    return grown(**SHAPES[request.param])


def stored(forest):
    return Forest([tree.tree_ for tree in forest.estimators_]).files()


def test_scores_and_explanations_are_those_of_the_fitted_forest_bit_for_bit(forest):
    matrix, _ = noisy_rows(missing=0.2)
    matrix[0] = np.nan
    matrix[1] = [np.inf, -np.inf, 1e300, -1e300, 0.0, -0.0]
    finite, _ = noisy_rows()
    explainer = shap.TreeExplainer(forest, feature_perturbation="tree_path_dependent")
    shares = explainer.shap_values(finite[:1], check_additivity=False)[0, :, 1]
    with np.errstate(over="ignore"):
        wanted = sum(t.tree_.predict(matrix.astype(np.float32))[:, 1] for t in forest.estimators_)
    model = FAMILY.load(stored(forest), WIDTH)
    assert np.array_equal(model.margin(finite), forest.predict_proba(finite)[:, 1])
    assert np.array_equal(model.margin(matrix), wanted / len(forest.estimators_))
    found, usual = model.contributions(finite[:1])
    assert np.array_equal(found, shares)
    assert usual == explainer.expected_value[1]
    assert np.array_equal(model.importance(), forest.feature_importances_)


def test_a_file_that_is_no_forest_is_refused_in_words():
    for data in (b"", b"0 " * 1000, np.zeros(3).tobytes()):
        with pytest.raises(ModelRefused, match=f"without a readable {FOREST}"):
            _ = FAMILY.load({FOREST: data}, WIDTH).trees
    with pytest.raises(ModelRefused, match="train the model again"):
        FAMILY.load({"model.skops": b""}, WIDTH)


# --- trials


def trees(estimator):
    return len(estimator.model.trees)


def test_a_trial_grows_at_most_forty_trees_and_the_model_all():
    matrix, label = noisy_rows()
    rows = LabelledRows(matrix, label)
    columns = Columns(tuple("abcdef"), {})
    grown_by = {}
    for asked in (100, 12):
        params = FAMILY.defaults | {"n_estimators": asked}
        trial, _ = FAMILY.fit_with_validation(params, columns, rows, rows, 1)
        grown_by[asked] = (trees(trial), trees(FAMILY.fit_final(params, columns, rows, 1)))
    assert grown_by == {100: (40, 100), 12: (12, 12)}


def searched(trials, warm=None):
    definition = small_models.definition(learning={"trials": trials, "folds": 2})
    data = small_models.dataset()
    return search_candidate(data, definition, "random_forest", lambda *_: None, warm)


def test_a_search_tries_the_parameters_of_an_earlier_champion_with_the_share_of_columns_of_today():
    assert searched(1).params["n_estimators"] == 100, "the trees of the model that it becomes"
    tried = {}
    for share in (0.2, "sqrt"):
        warm = FAMILY.defaults | {"max_features": share, "max_samples": 0.7, "max_depth": 9}
        own = searched(2, warm).tried[1].params
        assert own == warm | {"max_features": own["max_features"], "max_samples": 0.5}
        tried[share] = own["max_features"]
    assert tried == {0.2: 0.3, "sqrt": "sqrt"}


COLUMNS = Columns(tuple("abcdef"), {})
MATRIX = np.random.default_rng(3).normal(size=(1200, 6))
FIRST_HALF = np.arange(1200) < 600
HALVES = np.where(
    FIRST_HALF, MATRIX[:, 0] + MATRIX[:, 1] > 1, MATRIX[:, 3] + MATRIX[:, 4] > 1
).astype(np.int8)


def find(rows: LabelledRows, most: int = 2, seed: int = 1) -> ColumnPairs:
    return informative_pairs({"pairs": most}, COLUMNS, rows, seed, 1)


def labelled(first, second):
    """Rows of which the sum of two columns decides."""
    return LabelledRows(MATRIX, (MATRIX[:, first] + MATRIX[:, second] > 1).astype(np.int8))


def test_rows_that_differ_in_labels_weights_or_values_have_pairs_of_their_own():
    columns = [(0, 1), (2, 5), (0, 1)]
    assert [find(labelled(*pair)).positions for pair in columns] == [(pair,) for pair in columns]
    halves = [
        LabelledRows(MATRIX, HALVES, np.where(half, 1.0, 1e-6))
        for half in (FIRST_HALF, ~FIRST_HALF)
    ]
    assert [find(rows).positions for rows in halves] == [((0, 1),), ((3, 4),)]
    assert find(replace(labelled(0, 1), matrix=MATRIX[:, ::-1])).positions == ((4, 5),)
    noise = np.random.default_rng(5).integers(0, 2, len(MATRIX)).astype(np.int8)
    assert len({find(LabelledRows(MATRIX, noise), 3, seed).positions for seed in range(6)}) > 1
    assert {most: len(find(labelled(0, 1), most).positions) for most in (0, 2, 3)} == {
        0: 0,
        2: 1,
        3: 3,
    }
