"""A forest that was stored is the one that was fitted, bit for bit; what cannot be a forest is
refused."""

import numpy as np
import pytest
import shap
from sklearn.ensemble import RandomForestClassifier

from alerting.learning.models.families.contract import get_family
from alerting.learning.models.families.random_forest import FOREST, Forest
from alerting.learning.models.trained import ModelRefused

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


@pytest.mark.parametrize(
    "data", [b"", b"0 " * 1000, np.zeros(3).tobytes()], ids=["empty", "text", "bytes"]
)
def test_a_file_that_is_no_forest_is_refused_in_words(data):
    with pytest.raises(ModelRefused, match=f"without a readable {FOREST}"):
        _ = FAMILY.load({FOREST: data}, WIDTH).trees
    with pytest.raises(ModelRefused, match="train the model again"):
        FAMILY.load({"model.skops": data}, WIDTH)
