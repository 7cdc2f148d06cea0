"""Contributions of models that were really fitted, one of each family."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerting.definitions.assets import Asset
from alerting.learning.models.families.contract import get_family
from alerting.learning.search.candidates import Candidate, Trial
from alerting.learning.selection.challenger import finish_challenger
from alerting.recommendation.contributions import contributions, explain
from tests import small_models

pytestmark = pytest.mark.models

OVEN = Asset(name="oven-1", variables=small_models.VARIABLES)


@pytest.fixture(scope="module")
def data():
    return small_models.dataset()


def fitted(data, family, **more):
    params = get_family(family).defaults | more
    params |= {"n_estimators": 10} if family == "random_forest" else {}
    params |= {"rounds": 30} if family == "lightgbm" else {}
    candidate = Candidate(
        family,
        params,
        np.empty(0),
        np.empty(0),
        {"ap": 0.5},
        (Trial(params, 0.5, (0.5,)),),
        1,
        False,
    )
    return finish_challenger(data, candidate, small_models.definition())[0]


@pytest.mark.parametrize("family", ["random_forest", "lightgbm"])
def test_what_decides_the_problem_has_the_largest_share(data, family):
    model = fitted(data, family)
    highest = int(np.argmax(model.score(data.rows)))
    found = contributions(model, data.rows.iloc[[highest]], OVEN)
    assert found[0].variable in ("humidity", "moisture")
    assert found[0].share > 0.1
    assert "raises the risk by" in found[0].message


@pytest.fixture(scope="module")
def every_family(data):
    """A fitted model of each family with contributions."""
    families = ("logistic_regression", "random_forest", "lightgbm")
    return {
        **{family: fitted(data, family) for family in families},
        "lightgbm with pairs": fitted(data, "lightgbm", pairs=3),
    }


@settings(max_examples=60, deadline=None)
@given(chosen=st.data())
def test_shares_of_any_row_add_up_for_every_family(data, every_family, chosen):
    name = chosen.draw(st.sampled_from(sorted(every_family)))
    row = data.rows.iloc[[chosen.draw(st.integers(0, len(data.rows) - 1))]].copy()
    numbers = [column for column in data.plan.columns if column not in data.plan.levels]
    unknown = chosen.draw(st.sets(st.sampled_from(numbers), max_size=len(numbers)))
    row[sorted(unknown)] = np.nan
    factor = chosen.draw(st.sampled_from([1.0, -3.0, 100.0]))
    row[numbers] = row[numbers] * factor
    model = every_family[name]
    explained = explain(model, row)
    assert explained.score == pytest.approx(float(model.score(row)[0]), abs=1e-9)
    assert explained.shares.sum() == pytest.approx(
        explained.score - explained.usual_score, abs=1e-6
    )
    found = contributions(model, row, OVEN, explained)
    assert sum(c.share for c in found) == pytest.approx(
        explained.score - explained.usual_score, abs=1e-6
    )
