"""Importance of the variables by SHAP over validation rows: it adds up, and names what the model
uses."""

from dataclasses import replace

import numpy as np
import pytest

from alerting.learning.selection.challenger import sample_shares
from alerting.recommendation.contributions import explain
from tests import small_models

pytestmark = pytest.mark.models


@pytest.fixture(scope="module")
def sampled():
    data = small_models.dataset(hours=120)
    model = small_models.linear_model(
        data.plan, data.rows, {"humidity.last": 2.0, "humidity.mean.1h": 1.0, "setpoint.last": 0.5}
    )
    return data, model, sample_shares(model, data, most=30)


def test_the_shares_of_a_row_add_up_to_its_score_less_the_usual_score(sampled):
    data, model, sample = sampled
    assert len(sample.shares) == 30
    rows = np.flatnonzero(data.measured_in("validation"))
    first = data.rows.iloc[[rows[0]]]
    assert sample.shares[0].sum() == pytest.approx(
        model.score(first)[0] - explain(model, first).usual_score
    )
    assert sample.values[0][sample.variables.index("humidity")] == first["humidity.last"].iloc[0]
    assert np.isnan(sample.values[:, sample.variables.index("crew")]).all()


def test_importance_is_by_variable_the_largest_first(sampled):
    _, _, sample = sampled
    assert list(sample.importance)[:2] == ["humidity", "setpoint"]
    assert sample.importance["belt"] == 0.0


def test_without_measured_validation_rows_there_is_none(sampled):
    data, model, _ = sampled
    assert sample_shares(model, replace(data, measured=np.zeros_like(data.measured))) is None
