"""Lower bounds of margins never exceed the margin of any row in the box, for each family and for
blends."""

import numpy as np
import pytest

from alerting.learning.features.encoding import Columns
from alerting.learning.features.plan import CategorySource, FeaturePlan, NumberSource
from alerting.learning.models.bounds import MarginBounds
from alerting.learning.models.estimator import Blend
from alerting.learning.models.families.contract import LabelledRows
from alerting.learning.models.families.registry import get_family

pytestmark = pytest.mark.models

PLAN = FeaturePlan(
    60_000,
    (60_000,),
    ("last",),
    tuple(NumberSource(f"v{i}", None) for i in range(5)),
    (CategorySource("c", ("a", "b", "c")),),
)
COLUMNS = Columns.from_plan(PLAN)


def rows(seed=0, count=500):
    random = np.random.default_rng(seed)
    matrix = random.normal(0, 2, (count, 6))
    matrix[:, 5] = random.integers(0, 3, count)
    label = (matrix[:, 0] * matrix[:, 1] + matrix[:, 2] - 2 * (matrix[:, 5] == 1) > 1).astype(
        np.int8
    )
    matrix[random.random(matrix.shape) < 0.07] = np.nan
    return LabelledRows(matrix, label)


def fitted(name, **params):
    family = get_family(name)
    return family.fit(family.defaults | params, COLUMNS, rows(), 0, 1)


MODELS = {
    "lightgbm": {"rounds": 30},
    "lightgbm with pairs": {"rounds": 30, "pairs": 4},
    "random_forest": {"n_estimators": 15},
    "random_forest with pairs": {"n_estimators": 15, "pairs": 4},
    "logistic_regression": {},
}


@pytest.fixture(scope="module", params=[*MODELS, "blend"])
def estimator(request):
    if request.param == "blend":
        return Blend((fitted("lightgbm", rounds=10), fitted("logistic_regression")), (0.4, 0.6))
    return fitted(request.param.split(" ")[0], **MODELS[request.param])


@pytest.mark.parametrize("columns", [[0], [0, 1], [1, 3, 5], [2, 4]])
def test_no_row_of_a_box_lies_under_its_bound(estimator, columns):
    random = np.random.default_rng(len(columns))
    free = np.isin(np.arange(6), columns)
    for base in rows(1, 12).matrix:
        bounds = MarginBounds(estimator, base, free)
        ends = random.normal(0, 2, (2, 6))
        ends[:, 5] = 0, 2
        low = np.where(free, ends.min(axis=0), base)
        high = np.where(free, ends.max(axis=0), base)
        inside = np.where(
            free, random.uniform(np.nan_to_num(low), np.nan_to_num(high), (300, 6)), base
        )
        inside[:, 5] = np.round(inside[:, 5])
        margin = estimator.margin_of(inside)
        [least] = bounds.lower_bound(low[None, :], high[None, :])
        assert least <= margin.min()
        assert bounds.restrict_to_box(low, high).lower_bound(
            low[None, :], high[None, :]
        ) == pytest.approx([least])
        points = bounds.restrict_to_box(low, high).lower_bound(inside, inside)
        assert (points <= margin + 1e-12).all()
        if not free[5] and not np.isnan(inside).any():
            assert points == pytest.approx(margin, abs=1e-6), "the bound of a point is its margin"


def test_an_unknown_value_in_a_box_is_any_value():
    estimator = fitted("lightgbm", rounds=30)
    base = rows(1).matrix[0]
    free = np.arange(6) == 0
    unknown = np.where(free, -np.inf, base), np.where(free, np.inf, base)
    [least] = MarginBounds(estimator, base, free).lower_bound(
        unknown[0][None, :], unknown[1][None, :]
    )
    for value in (np.nan, -5.0, 0.0, 5.0):
        assert least <= estimator.margin_of(np.where(free, value, base)[None, :])[0]
