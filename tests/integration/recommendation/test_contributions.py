from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from alerting.definitions.assets import Asset, Variable
from alerting.episodes.episode import Change
from alerting.learning.features.plan import Column
from alerting.recommendation.contributions import contributions
from alerting.recommendation.messages import describe_contribution, describe_setting
from tests import small_models

HOUR_MS = 3_600_000
OVEN = Asset(name="oven-1", variables=small_models.VARIABLES)


@pytest.fixture(scope="module")
def data():
    return small_models.dataset()


def test_the_linear_share_is_weight_times_distance_from_the_mean_in_probability(data):
    model = small_models.linear_model(data.plan, data.rows, {"humidity.last": 2.0, "setpoint.last": -1.0}, intercept=-1.0)
    row = data.rows.iloc[[50]]
    z = {n: (row[n].iloc[0] - data.rows[n].fillna(data.rows[n].median()).mean()) for n in ("humidity.last", "setpoint.last")}
    scaled = {n: z[n] / data.rows[n].fillna(data.rows[n].median()).std(ddof=0) for n in z}
    found = {c.variable: c.share for c in contributions(model, row, OVEN)}
    assert found["humidity"] / found["setpoint"] == pytest.approx(2.0 * scaled["humidity.last"] / -scaled["setpoint.last"])


def test_an_ordinary_row_of_no_risk_above_the_usual_still_has_shares(data):
    model = small_models.linear_model(data.plan, data.rows, {"humidity.last": 1.0, "setpoint.last": 1.0})
    mean, spread = (np.asarray(values) for values in (model.estimator.encoding.dense.mean, model.estimator.encoding.dense.scale))
    humidity, setpoint = (data.plan.columns.index(n) for n in ("humidity.last", "setpoint.last"))
    row = data.rows.iloc[[0]].assign(
        **{"humidity.last": mean[humidity] + spread[humidity], "setpoint.last": mean[setpoint] - spread[setpoint]}
    )
    shares = {c.variable: c.share for c in contributions(model, row, OVEN)}
    assert shares["humidity"] == pytest.approx(0.25)  # the sigmoid's slope in the middle
    assert shares["setpoint"] == pytest.approx(-0.25)


def test_value_and_usual_are_the_level_of_the_variable(data):
    model = small_models.linear_model(data.plan, data.rows, {"humidity.std.1h": 1.0})
    row = data.rows.iloc[[50]]
    (found,) = contributions(model, row, OVEN)
    assert found.value == row["humidity.last"].iloc[0]
    assert found.usual == pytest.approx(data.rows["humidity.last"].median())
    assert found.message.startswith("the spread of air humidity over 1 h, ")


def test_a_category_has_a_share_and_its_own_words(data):
    model = small_models.linear_model(data.plan, data.rows, {})
    model.estimator.model.fitted.coef_[0, -2:] = [1.0, -1.0]  # early, late
    late = int(np.flatnonzero(data.rows["crew.last"] == "late")[0])
    (found,) = contributions(replace(model), data.rows.iloc[[late]], OVEN)
    assert found.variable == "crew"
    assert found.value == "late"
    assert found.message.startswith("crew is late (usually ")


@pytest.mark.parametrize(
    ("aggregation", "value", "usual", "share", "words"),
    [
        ("last", 232.0, 220.0, 0.31, "zone 2 temperature, 12 °C above its usual, raises the risk by 31 points"),
        ("last", 207.5, 220.0, -0.1, "zone 2 temperature, 12.5 °C below its usual, lowers the risk by 10 points"),
        ("last", 220.0, 220.0, 0.1, "zone 2 temperature, at its usual 220 °C, raises the risk by 10 points"),
        (
            "mean",
            232.0,
            220.0,
            0.31,
            "the mean of zone 2 temperature over 1 h, 12 °C above its usual, raises the risk by 31 points",
        ),
        (
            "slope",
            4.0,
            0.0,
            0.2,
            "the trend of zone 2 temperature over 1 h, 4 °C/h (usually 0 °C/h), raises the risk by 20 points",
        ),
        (
            "missing",
            0.5,
            0.0,
            0.2,
            "the share of missing values of zone 2 temperature over 1 h, 50 % (usually 0 %), raises the risk by 20 points",
        ),
        (
            "age",
            7200.0,
            60.0,
            0.2,
            "the age of the last value of zone 2 temperature, 2 h (usually 1 min), raises the risk by 20 points",
        ),
        ("last", None, 220.0, 0.2, "zone 2 temperature is not known (usually 220 °C), which raises the risk by 20 points"),
    ],
)
def test_words_of_a_number(aggregation, value, usual, share, words):
    asset = Asset(name="a", variables={"zone_2_temperature": Variable(unit="°C")})
    column = Column("c", "zone_2_temperature", "variable", aggregation, HOUR_MS)
    assert describe_contribution(asset, column, value, usual, share) == words


def test_a_title_begins_small_inside_a_sentence():
    asset = Asset(
        name="a", variables={"belt": Variable(title="Belt speed set-point", unit="m/min"), "co2": Variable(title="CO2")}
    )
    changes = [Change("belt", 8.0, 7.4, "m/min"), Change("co2", 40.0, 60.0, "%")]
    assert describe_setting(asset, changes) == "Set belt speed set-point from 8.0 to 7.4 m/min and CO2 from 40 to 60 % now"
    mean = Column("c", "belt", "variable", "mean", HOUR_MS)
    assert describe_contribution(asset, mean, 8.5, 8.0, 0.025) == (
        "the mean of belt speed set-point over 1 h, 0.5 m/min above its usual, raises the risk by 2.5 points"
    )


def test_words_of_events_attributes_and_switches():
    asset = Asset(name="a", variables={"burner": Variable(type="boolean")})
    count = Column("c", "error1", "event", "count", 24 * HOUR_MS)
    assert describe_contribution(asset, count, 3.0, 0.0, 0.1) == (
        "the number of error1 events in 1 d, 3 (usually 0), raises the risk by 10 points"
    )
    recency = Column("c", "error1", "event", "recency")
    assert describe_contribution(asset, recency, 3600.0, None, 0.1) == (
        "the time since the last error1 event, 1 h (usually not known), raises the risk by 10 points"
    )
    model = Column("c", "model", "attribute", "value")
    assert describe_contribution(asset, model, "m3", "m1", -0.1) == "model is m3 (usually m1), which lowers the risk by 10 points"
    assert describe_contribution(asset, model, "m1", "m1", -0.1) == "model is m1 as usual and lowers the risk by 10 points"
    burner = Column("c", "burner", "variable", "last")
    assert (
        describe_contribution(asset, burner, 1.0, 0.0, 0.1)
        == "burner is true (usually false), which raises the risk by 10 points"
    )


def test_a_row_without_the_models_columns_is_refused(data):
    with pytest.raises(Exception, match="columns that these rows do not have"):
        contributions(small_models.linear_model(data.plan, data.rows, {}), pd.DataFrame({"x": [1.0]}), OVEN)
