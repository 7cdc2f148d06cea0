"""Contributions of models that were really fitted, one of each family."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerting.definitions.asset_documents import Asset
from alerting.recommendation.explanation import contributions, explain
from tests import small_models
from tests.helpers.learning.trained import finished

pytestmark = pytest.mark.models

OVEN = Asset(name="oven-1", variables=small_models.VARIABLES)


MODELS = {
    "logistic_regression": {},
    "random_forest": {},
    "lightgbm": {},
    "lightgbm with pairs": {"pairs": 3},
}


@settings(max_examples=60, deadline=None)
@given(drawn=st.data())
def test_shares_of_any_row_add_up_for_every_family(drawn):
    data = small_models.dataset()
    name = drawn.draw(st.sampled_from(sorted(MODELS)))
    model, _ = finished(name.split(" ")[0], **MODELS[name])
    row = data.rows.iloc[[drawn.draw(st.integers(0, len(data.rows) - 1))]].copy()
    numbers = [column for column in data.plan.columns if column not in data.plan.levels]
    unknown = drawn.draw(st.sets(st.sampled_from(numbers), max_size=len(numbers)))
    row[sorted(unknown)] = np.nan
    row[numbers] = row[numbers] * drawn.draw(st.sampled_from([1.0, -3.0, 100.0]))
    explained = explain(model, row)
    assert explained.score == pytest.approx(float(model.score(row)[0]), abs=1e-9)
    above = pytest.approx(explained.score - explained.usual_score, abs=1e-6)
    assert explained.shares.sum() == above
    assert sum(c.share for c in contributions(model, row, OVEN, explained)) == above
