"""A forest that was stored is the one that was fitted, bit for bit; what cannot be a forest is
refused; the skops files of earlier versions are read."""

import warnings
from dataclasses import fields

import numpy as np
import pytest
import shap
import skops.io
from sklearn.ensemble import RandomForestClassifier

from alerting.learning.models.families.forest_file import dump_nodes, nodes_of
from alerting.learning.models.families.random_forest import Forest
from alerting.learning.models.families.registry import get_family
from alerting.learning.models.files import model_files, model_from_files
from alerting.learning.models.trained import ModelRefused
from alerting.learning.search.search import search_candidate
from alerting.learning.selection.challenger import finish_challenger
from tests import small_models
from tests.learning.models.earlier_forests import earlier_files
from tests.learning.models.hostile_files import FOREST, SKLEARN, forests

pytestmark = pytest.mark.models

WIDTH = 6
FAMILY = get_family("random_forest")


def rows(missing=0.0, count=400):
    draw = np.random.default_rng(5)
    matrix = draw.normal(size=(count, WIDTH))
    label = (matrix[:, 0] + draw.normal(size=count) > 1).astype(np.int8)
    matrix[draw.random(matrix.shape) < missing] = np.nan
    return matrix, label


def grown(missing=0.0, positives=None, weights=False, **params):
    matrix, label = rows(missing)
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


def reads(forest):
    """Return the model as it is read from each form of file, at first and after a check."""
    earlier = {SKLEARN: skops.io.dumps(forest)}
    return [
        read(files, WIDTH)
        for files in (stored(forest), earlier)
        for read in (FAMILY.load, FAMILY.load_checked)
    ]


def test_scores_and_explanations_are_those_of_the_fitted_forest_bit_for_bit(forest):
    matrix, _ = rows(missing=0.2)
    matrix[0] = np.nan
    matrix[1] = [np.inf, -np.inf, 1e300, -1e300, 0.0, -0.0]
    finite, _ = rows()
    explainer = shap.TreeExplainer(forest, feature_perturbation="tree_path_dependent")
    shares = explainer.shap_values(finite[:1], check_additivity=False)[0, :, 1]
    with np.errstate(over="ignore"):
        wanted = sum(t.tree_.predict(matrix.astype(np.float32))[:, 1] for t in forest.estimators_)
    for model in reads(forest):
        assert np.array_equal(model.margin(finite), forest.predict_proba(finite)[:, 1])
        assert np.array_equal(model.margin(matrix), wanted / len(forest.estimators_))
        found, usual = model.contributions(finite[:1])
        assert np.array_equal(found, shares)
        assert usual == explainer.expected_value[1]
        assert np.array_equal(model.importance(), forest.feature_importances_)


def test_hashes_formulas_and_files_are_those_of_the_fitted_forest(forest):
    fitted = Forest([tree.tree_ for tree in forest.estimators_])
    for model in reads(forest):
        assert list(model.fitted_bytes()) == list(fitted.fitted_bytes())
        assert model.files() == fitted.files()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert all(
                np.array_equal(getattr(model.formula, f.name), getattr(fitted.formula, f.name))
                for f in fields(fitted.formula)
            )


HOSTILE = dict(forests(stored(grown())[FOREST]))


@pytest.mark.parametrize("way", HOSTILE)
def test_a_file_that_is_no_forest_is_refused_in_words(way):
    with pytest.raises(ModelRefused, match=rf"^{FOREST} (holds|is damaged)"):
        FAMILY.load({FOREST: HOSTILE[way]}, WIDTH)


def test_a_limit_above_all_numbers_is_read_as_scikit_learn_makes_one_where_values_are_missing():
    nodes = nodes_of([tree.tree_ for tree in grown().estimators_])
    nodes["threshold"][0] = np.inf
    loaded = FAMILY.load({FOREST: dump_nodes(nodes)}, WIDTH)
    assert loaded.trees[0].threshold[0] == np.inf


@pytest.mark.parametrize("width", [1, WIDTH - 1, 0])
def test_a_forest_for_more_columns_is_refused(width):
    with pytest.raises(ModelRefused, match=f"not for {width} columns"):
        FAMILY.load(stored(grown()), width)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("left_child", 10**6, "point outside"),
        ("right_child", 0, "point outside"),
        ("feature", WIDTH, f"not for {WIDTH} columns"),
        ("threshold", np.nan, "not numbers"),
        ("impurity", np.inf, "not numbers"),
    ],
)
def test_an_earlier_file_with_a_forged_node_is_refused(field, value, words):
    forest = grown()
    tree = forest.estimators_[4].tree_
    state = tree.__getstate__()
    state["nodes"] = state["nodes"].copy()
    state["nodes"][field][0] = value
    tree.__setstate__(state)
    with pytest.raises(ModelRefused, match=f"^{SKLEARN} holds a tree .*{words}"):
        FAMILY.load({SKLEARN: skops.io.dumps(forest)}, WIDTH)


@pytest.mark.parametrize("width", [WIDTH - 1, WIDTH + 1])
def test_an_earlier_file_for_another_number_of_columns_is_refused(width):
    with pytest.raises(ModelRefused, match=f"not for {width} columns"):
        FAMILY.load({SKLEARN: skops.io.dumps(grown())}, width)


def test_an_earlier_file_of_three_classes_is_refused():
    matrix, _ = rows()
    forest = RandomForestClassifier(2).fit(matrix, np.arange(len(matrix)) % 3)
    with pytest.raises(ModelRefused, match="not for 6 columns"):
        FAMILY.load({SKLEARN: skops.io.dumps(forest)}, WIDTH)


def test_a_champion_of_an_earlier_version_scores_the_same_and_is_stored_in_the_new_form():
    data = small_models.dataset()
    definition = small_models.definition(learning={"trials": 1, "folds": 2})
    found = search_candidate(data, definition, "random_forest", lambda *_: None)
    model, _ = finish_challenger(data, found, definition)
    files = earlier_files(model, model.estimator.model._classifier)
    assert set(files) == {"model.json", SKLEARN}
    for checked in (False, True):
        read = model_from_files(files, checked=checked)
        assert read.hash == model.hash
        assert np.array_equal(read.score(data.rows), model.score(data.rows))
        assert model_files(read) == model_files(model)
