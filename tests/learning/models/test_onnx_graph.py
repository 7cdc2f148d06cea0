"""A model in ONNX gives the probabilities of the model itself, calibration, encoding and
missing values included."""

import json
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from alerting.definitions.faults import UserError
from alerting.definitions.fields.learning import BUILT_IN
from alerting.learning.features.plan import CategorySource, Columns, FeaturePlan, NumberSource
from alerting.learning.models.families.contract import LabelledRows, get_family
from alerting.learning.models.trained import Platt, TrainedModel
from alerting.usecases.model_registry import onnx_file
from tests.builders import at

pytestmark = pytest.mark.models

onnx = pytest.importorskip("onnx", reason="pip install onnx")
onnxruntime = pytest.importorskip("onnxruntime", reason="pip install onnxruntime")

LEVELS = tuple(f"level {number}" for number in range(40))  # more than the bits of one word
PLAN = FeaturePlan(
    60_000,
    (60_000,),
    ("last",),
    tuple(NumberSource(f"v{i}", None) for i in range(5)),
    (CategorySource("c", LEVELS),),
)
COLUMNS = Columns.from_plan(PLAN)
MODELS = {
    "lightgbm": {"rounds": 30},
    "lightgbm with pairs": {"rounds": 30, "pairs": 4},
    "random_forest": {"n_estimators": 15},
    "random_forest with pairs": {"n_estimators": 15, "pairs": 4},
    "logistic_regression": {},
}


def rows(seed, count=600, missing=0.07):
    random = np.random.default_rng(seed)
    matrix = random.normal(0, 2, (count, 6)).round(2)
    matrix[:, 5] = random.integers(0, len(LEVELS), count)
    label = (matrix[:, 0] * matrix[:, 1] + matrix[:, 2] - 3 * (matrix[:, 5] > 30) > 1).astype(
        np.int8
    )
    matrix[random.random(matrix.shape) < missing] = np.nan
    return LabelledRows(matrix, label)


def fitted(name, learned, **params):
    family = get_family(name)
    return family.fit(family.defaults | params, COLUMNS, learned, 0, 1)


def model(estimator):
    calibrated = Platt(1.3, -0.4)
    return TrainedModel(
        "too-moist",
        3,
        PLAN,
        estimator,
        calibrated,
        0.31,
        at(0),
        at(0),
        timedelta(0),
        timedelta(0),
        {},
        {},
        "h",
    )


def probabilities(data, matrix):
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    return session.run(["probability"], {"features": matrix})[0]


def hard_rows(learned):
    """Return rows as at training, others far away, every learned value, without any value, and with
    unknown values."""
    edges = np.where(np.isnan(learned.matrix), 0.0, learned.matrix)
    beside = [
        np.column_stack([np.nextafter(edges[:, :5], way), edges[:, 5]]) for way in (-np.inf, np.inf)
    ]
    far = np.array(
        [
            [1e9, -1e9, 1e-300, -0.0, 5e-324, 39.0],
            [-np.inf, np.inf, 0.0, 1.0, 2.0, np.nan],
            [np.nan] * 6,
        ]
    )
    return np.vstack([rows(1).matrix, edges, *beside, far])


def known(matrix):
    """Return the rows as `Columns.matrix` gives them: without infinite numbers."""
    return np.where(np.isinf(matrix), np.nan, matrix)


def assert_same(estimator, matrix):
    found = probabilities(onnx_file(model(estimator)), matrix)
    expected = model(estimator).score_matrix(known(matrix))
    assert (found.shape, found.dtype) == ((len(matrix), 1), np.float64)
    assert np.abs(found[:, 0] - expected).max() < 1e-12


@pytest.mark.parametrize("name", MODELS)
def test_every_family_gives_the_same_probabilities(name):
    for missing in (0.0, 0.07):
        learned = rows(0, missing=missing)
        assert_same(fitted(name.split(" ")[0], learned, **MODELS[name]), hard_rows(learned))


def test_a_mean_of_boosters_and_trees_of_one_leaf_give_the_same_probabilities():
    learned = rows(0)
    family = get_family("lightgbm")
    boosters = family.fit_final(family.defaults | {"rounds": 7}, COLUMNS, learned, 0)
    assert len(boosters.model.boosters) == 3
    assert_same(boosters, hard_rows(learned))
    leaves = fitted("lightgbm", learned, rounds=3, min_data_in_leaf=len(learned.label))
    assert_same(leaves, hard_rows(learned))


def test_a_model_of_some_columns_gives_the_same_probabilities():
    learned = rows(0)
    some = Columns(tuple(COLUMNS.names[i] for i in SOME), COLUMNS.levels)
    part = LabelledRows(learned.matrix[:, SOME], learned.label)
    for name in ("lightgbm", "random_forest with pairs", "logistic_regression"):
        family = get_family(name.split(" ")[0])
        made = family.fit(family.defaults | MODELS[name], some, part, 0, 1)
        encoding = replace(made.encoding, columns=SOME)
        assert_same(replace(made, columns=COLUMNS, encoding=encoding), hard_rows(learned))


SOME = (1, 3, 5)


def test_the_file_names_columns_levels_threshold_and_model():
    read = onnx.load_from_string(onnx_file(model(fitted("logistic_regression", rows(0)))))
    properties = {entry.key: entry.value for entry in read.metadata_props}
    assert json.loads(properties["columns"]) == list(COLUMNS.names)
    assert json.loads(properties["levels"]) == {"c.last": list(LEVELS)}
    told = {
        "threshold": "0.31",
        "definition": "too-moist",
        "revision": "3",
        "training_cutoff": at(0).isoformat(),
    }
    assert properties.items() >= told.items()


@pytest.mark.parametrize("name", ["persistence", "xgboost"])
def test_a_family_without_a_graph_is_refused_with_those_that_have_one(name):
    names = ", ".join(BUILT_IN)
    with pytest.raises(
        UserError, match=f"family {name} has no ONNX graph; those of these families have: {names}"
    ):
        onnx_file(model(fitted(name, rows(0))))
