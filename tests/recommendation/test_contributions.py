from dataclasses import replace
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from alerting.definitions.assets import Asset, Variable
from alerting.episodes.episode import Change, Quantity
from alerting.learning.features.plan import Column
from alerting.recommendation.contributions import contributions
from alerting.recommendation.messages import (
    column_unit,
    describe_contribution,
    describe_setting,
    is_unusual,
    quantity_name,
    quantity_usual,
    quantity_value,
)
from tests import small_models

pytestmark = pytest.mark.models

HOUR_MS = 3_600_000
OVEN = Asset(name="oven-1", variables=small_models.VARIABLES)


@pytest.fixture(scope="module")
def data():
    return small_models.dataset()


def test_the_linear_share_is_weight_times_distance_from_the_mean_in_probability(data):
    model = small_models.linear_model(
        data.plan, data.rows, {"humidity.last": 2.0, "setpoint.last": -1.0}, intercept=-1.0
    )
    row = data.rows.iloc[[50]]
    z = {
        n: (row[n].iloc[0] - data.rows[n].fillna(data.rows[n].median()).mean())
        for n in ("humidity.last", "setpoint.last")
    }
    scaled = {n: z[n] / data.rows[n].fillna(data.rows[n].median()).std(ddof=0) for n in z}
    found = {c.variable: c.share for c in contributions(model, row, OVEN)}
    assert found["humidity"] / found["setpoint"] == pytest.approx(
        2.0 * scaled["humidity.last"] / -scaled["setpoint.last"]
    )


def test_an_ordinary_row_of_no_risk_above_the_usual_still_has_shares(data):
    model = small_models.linear_model(
        data.plan, data.rows, {"humidity.last": 1.0, "setpoint.last": 1.0}
    )
    mean, spread = (
        np.asarray(values)
        for values in (model.estimator.encoding.dense.mean, model.estimator.encoding.dense.scale)
    )
    humidity, setpoint = (data.plan.columns.index(n) for n in ("humidity.last", "setpoint.last"))
    row = data.rows.iloc[[0]].assign(
        **{
            "humidity.last": mean[humidity] + spread[humidity],
            "setpoint.last": mean[setpoint] - spread[setpoint],
        }
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


def test_a_reason_names_and_shows_quantity_that_moved_and_not_the_usual_one_with_the_larger_share(
    data,
):
    model = small_models.linear_model(
        data.plan, data.rows, {"humidity.last": 40.0, "humidity.std.1h": 2.0}
    )
    (low, high) = model.usual_ranges["humidity.last"]
    spread = model.usual_ranges["humidity.std.1h"][1]
    row = data.rows.iloc[[50]].assign(**{"humidity.last": high, "humidity.std.1h": 3 * spread})
    (found,) = contributions(model, row, OVEN)
    shown = found.quantity
    assert (shown.statistic, shown.window, shown.is_unusual) == ("std", timedelta(hours=1), True)
    assert (shown.value, shown.usual_high) == (pytest.approx(3 * spread), spread)
    assert found.message.startswith("the spread of air humidity over 1 h, ")
    assert str(quantity_name(shown)) == "spread over 1 h"
    assert str(quantity_value(shown)) in found.message
    assert str(quantity_usual(shown)) in found.message
    assert (found.value, found.usual_low, found.usual_high) == (high, low, high)


def test_a_variable_without_anything_unusual_raises_the_risk_only_with_others(data):
    model = small_models.linear_model(data.plan, data.rows, {"humidity.last": 4.0})
    usual = data.rows.iloc[[50]].assign(
        **{"humidity.last": model.usual_ranges["humidity.last"][1] * 1.0001}
    )
    (found,) = contributions(model, usual, OVEN)
    assert found.share > 0
    assert not found.quantity.is_unusual
    assert found.message.endswith("points, but only together with other values")
    assert "usual" not in found.message


@pytest.mark.parametrize(
    ("value", "usual", "usual_range", "unusual"),
    [
        (-0.0902, -0.0891, None, False),
        (-0.0902, -0.0891, (-0.3, 0.2), False),
        (33.0, 0.1, (-0.8, 1.0), True),
        (8.11, 7.8, (7.4, 8.1), False),
        (8.2, 7.8, (7.4, 8.1), True),
        ("late", "early", None, True),
        (None, 3.0, (2.0, 4.0), True),
        (None, None, None, False),
    ],
)
def test_what_is_unusual(value, usual, usual_range, unusual):
    assert is_unusual(value, usual, usual_range) is unusual


def test_a_trend_is_told_as_rising_or_falling_with_its_usual_range():
    asset = Asset(name="a", variables={"moisture": Variable(unit="%")})
    slope = Column("c", "moisture", "variable", "slope", HOUR_MS)
    assert words_of(asset, slope, 33.0, 0.1, 0.26, (-0.8, 1.0)) == (
        "moisture rising by 33 %/h over 1 h (usual: -0.8 to 1 %/h), raises the risk by 26 points"
    )
    assert words_of(asset, slope, -33.0, 0.1, -0.26, (-0.8, 1.0)) == (
        "moisture falling by 33 %/h over 1 h (usual: -0.8 to 1 %/h), lowers the risk by 26 points"
    )


def test_a_category_has_a_share_and_its_own_words(data):
    model = small_models.linear_model(data.plan, data.rows, {})
    model.estimator.model.fitted.coef_[0, -2:] = [1.0, -1.0]  # early, late
    late = int(np.flatnonzero(data.rows["crew.last"] == "late")[0])
    (found,) = contributions(replace(model), data.rows.iloc[[late]], OVEN)
    assert found.variable == "crew"
    assert found.value == "late"
    assert found.message.startswith("crew is late (usually ")


def words_of(asset, column, value, usual, share, usual_range=None):
    """Return the words of a column with this value."""
    window = None if column.window_ms is None else timedelta(milliseconds=column.window_ms)
    low, high = usual_range or (None, None)
    own = column_unit(asset, column)
    moved = is_unusual(value, usual, usual_range)
    shown = Quantity(column.aggregation, window, value, usual, own, moved, low, high)
    return describe_contribution(asset, column, shown, share)


@pytest.mark.parametrize(
    ("aggregation", "value", "usual", "share", "words"),
    [
        (
            "last",
            232.0,
            220.0,
            0.31,
            "zone 2 temperature, 12 °C above its usual, raises the risk by 31 points",
        ),
        (
            "last",
            207.5,
            220.0,
            -0.1,
            "zone 2 temperature, 12.5 °C below its usual, lowers the risk by 10 points",
        ),
        (
            "last",
            220.0,
            220.0,
            0.1,
            "zone 2 temperature, 220 °C, raises the risk by 10 points, but only together with "
            "other values",
        ),
        (
            "mean",
            232.0,
            220.0,
            0.31,
            "the mean of zone 2 temperature over 1 h, 12 °C above its usual, raises the risk by "
            "31 points",
        ),
        (
            "slope",
            4.0,
            0.0,
            0.2,
            "zone 2 temperature rising by 4 °C/h over 1 h (usual: 0 °C/h), raises the risk by 20 "
            "points",
        ),
        (
            "missing",
            0.5,
            0.0,
            0.2,
            "the share of missing values of zone 2 temperature over 1 h, 50 % (usually 0 %), "
            "raises the risk by 20 points",
        ),
        (
            "age",
            7200.0,
            60.0,
            0.2,
            "the age of the last value of zone 2 temperature, 2 h (usually 1 min), raises the "
            "risk by 20 points",
        ),
        (
            "last",
            None,
            220.0,
            0.2,
            "zone 2 temperature is not known (usually 220 °C), which raises the risk by 20 points",
        ),
    ],
)
def test_words_of_a_number(aggregation, value, usual, share, words):
    asset = Asset(name="a", variables={"zone_2_temperature": Variable(unit="°C")})
    column = Column("c", "zone_2_temperature", "variable", aggregation, HOUR_MS)
    assert words_of(asset, column, value, usual, share) == words


def test_a_title_stays_inside_a_sentence_as_people_wrote_it():
    asset = Asset(
        name="a",
        variables={
            "belt": Variable(title="Belt speed set-point", unit="m/min"),
            "co2": Variable(title="CO2"),
            "pressure": Variable(title="Massedruck", unit="bar"),
        },
    )
    changes = [Change("belt", 8.0, 7.4, "m/min"), Change("co2", 40.0, 60.0, "%")]
    assert (
        describe_setting(asset, changes)
        == "Set Belt speed set-point from 8.0 to 7.4 m/min and CO2 from 40 to 60 %"
    )
    mean = Column("c", "pressure", "variable", "mean", HOUR_MS)
    assert words_of(asset, mean, 8.5, 8.0, 0.025) == (
        "the mean of Massedruck over 1 h, 0.5 bar above its usual, raises the risk by 2.5 points"
    )


def test_words_of_events_attributes_and_switches():
    asset = Asset(name="a", variables={"burner": Variable(type="boolean")})
    count = Column("c", "error1", "event", "count", 24 * HOUR_MS)
    assert words_of(asset, count, 3.0, 0.0, 0.1) == (
        "the number of error1 events in 1 d, 3 (usually 0), raises the risk by 10 points"
    )
    recency = Column("c", "error1", "event", "recency")
    assert words_of(asset, recency, 3600.0, None, 0.1) == (
        "the time since the last error1 event, 1 h (usually not known), raises the risk by 10 "
        "points"
    )
    model = Column("c", "model", "attribute", "value")
    assert (
        words_of(asset, model, "m3", "m1", -0.1)
        == "model is m3 (usually m1), which lowers the risk by 10 points"
    )
    assert (
        words_of(asset, model, "m1", "m1", -0.1)
        == "model is m1 as usual and lowers the risk by 10 points"
    )
    burner = Column("c", "burner", "variable", "last")
    assert (
        words_of(asset, burner, 1.0, 0.0, 0.1)
        == "burner is true (usually false), which raises the risk by 10 points"
    )


def test_the_order_of_the_columns_of_a_row_does_not_matter(data):
    model = small_models.linear_model(
        data.plan, data.rows, {"humidity.last": 2.0, "setpoint.last": -1.0}
    )
    row = data.rows.iloc[[50]]
    found = contributions(model, row, OVEN)
    assert found
    assert contributions(model, row[row.columns[::-1]], OVEN) == found


def test_a_row_without_the_models_columns_is_refused(data):
    with pytest.raises(Exception, match="columns that these rows do not have"):
        contributions(
            small_models.linear_model(data.plan, data.rows, {}), pd.DataFrame({"x": [1.0]}), OVEN
        )
