from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from alerting.definitions.asset_documents import Asset, Variable
from alerting.definitions.faults import UserError
from alerting.episodes.episode import Change, Quantity
from alerting.learning.features.plan import Column
from alerting.recommendation.explanation import contributions
from alerting.recommendation.variable_text import (
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


def linear(data, **weights):
    return small_models.linear_model(
        data.plan, data.rows, {name.replace("__", "."): w for name, w in weights.items()}
    )


def test_the_linear_share_is_weight_times_distance_from_the_mean_in_probability(data):
    model = linear(data, humidity__last=2.0, setpoint__last=-1.0)
    row = data.rows.iloc[[50]]
    columns = ["humidity.last", "setpoint.last"]
    filled = data.rows[columns].fillna(data.rows[columns].median())
    humidity, setpoint = (row[columns].iloc[0] - filled.mean()) / filled.std(ddof=0)
    found = contributions(model, row, OVEN)
    shares = {c.variable: c.share for c in found}
    assert shares["humidity"] / shares["setpoint"] == pytest.approx(2.0 * humidity / -setpoint)
    assert contributions(model, row[row.columns[::-1]], OVEN) == found


def test_an_ordinary_row_of_no_risk_above_the_usual_still_has_shares(data):
    model = linear(data, humidity__last=1.0, setpoint__last=1.0)
    dense = model.estimator.encoding.dense
    at = [data.plan.columns.index(f"{name}.last") for name in ("humidity", "setpoint")]
    mean, spread = (np.asarray(values)[at] for values in (dense.mean, dense.scale))
    moved = dict(zip(("humidity.last", "setpoint.last"), mean + spread * [1, -1], strict=True))
    found = contributions(model, data.rows.iloc[[0]].assign(**moved), OVEN)
    shares = {c.variable: c.share for c in found}
    # the sigmoid's slope in the middle
    assert (shares["humidity"], shares["setpoint"]) == (
        pytest.approx(0.25),
        pytest.approx(-0.25),
    )


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


def test_what_is_unusual():
    expected = {
        (-0.0902, -0.0891, None): False,
        (-0.0902, -0.0891, (-0.3, 0.2)): False,
        (33.0, 0.1, (-0.8, 1.0)): True,
        (8.11, 7.8, (7.4, 8.1)): False,
        (8.2, 7.8, (7.4, 8.1)): True,
        ("late", "early", None): True,
        (None, 3.0, (2.0, 4.0)): True,
        (None, None, None): False,
    }
    assert {values: is_unusual(*values) for values in expected} == expected


ZONE = "zone 2 temperature"
UP = "raises the risk by 20 points"
HOUR = " over 1 h"
NUMBER_WORDS = {
    ("last", 232.0, 220.0): f"{ZONE}, 12 °C above its usual, {UP}",
    ("last", 207.5, 220.0): f"{ZONE}, 12.5 °C below its usual, {UP}",
    ("last", 220.0, 220.0): f"{ZONE}, 220 °C, {UP}, but only together with other values",
    ("mean", 232.0, 220.0): f"the mean of {ZONE}{HOUR}, 12 °C above its usual, {UP}",
    ("slope", 4.0, 0.0): f"{ZONE} rising by 4 °C/h{HOUR} (usual: 0 °C/h), {UP}",
    ("slope", -33.0, 0.1, (-0.8, 1.0)): (
        f"{ZONE} falling by 33 °C/h{HOUR} (usual: -0.8 to 1 °C/h), {UP}"
    ),
    ("missing", 0.5, 0.0): (
        f"the share of missing values of {ZONE}{HOUR}, 50 % (usually 0 %), {UP}"
    ),
    ("age", 7200.0, 60.0): f"the age of the last value of {ZONE}, 2 h (usually 1 min), {UP}",
    ("last", None, 220.0): f"{ZONE} is not known (usually 220 °C), which {UP}",
}


def test_words_of_a_number():
    asset = Asset(name="a", variables={"zone_2_temperature": Variable(unit="°C")})
    found = {}
    for key in NUMBER_WORDS:
        aggregation, value, usual, *usual_range = key
        column = Column("c", "zone_2_temperature", "variable", aggregation, HOUR_MS)
        found[key] = words_of(asset, column, value, usual, 0.2, *usual_range)
    assert found == NUMBER_WORDS


def test_words_of_events_attributes_and_switches():
    asset = Asset(name="a", variables={"burner": Variable(type="boolean")})
    count = Column("c", "error1", "event", "count", 24 * HOUR_MS)
    recency = Column("c", "error1", "event", "recency")
    model = Column("c", "model", "attribute", "value")
    burner = Column("c", "burner", "variable", "last")
    rows = {
        (count, 3.0, 0.0, 0.2): f"the number of error1 events in 1 d, 3 (usually 0), {UP}",
        (recency, 3600.0, None, 0.2): (
            f"the time since the last error1 event, 1 h (usually not known), {UP}"
        ),
        (model, "m3", "m1", -0.1): "model is m3 (usually m1), which lowers the risk by 10 points",
        (model, "m1", "m1", -0.1): "model is m1 as usual and lowers the risk by 10 points",
        (burner, 1.0, 0.0, 0.2): f"burner is true (usually false), which {UP}",
    }
    assert {row: words_of(asset, *row) for row in rows} == rows


def test_a_category_has_a_share_and_its_own_words(data):
    model = linear(data)
    model.estimator.model.fitted.coef_[0, -2:] = [1.0, -1.0]  # early, late
    late = data.rows[data.rows["crew.last"] == "late"].iloc[[0]]
    (found,) = contributions(model, late, OVEN)
    assert (found.variable, found.value) == ("crew", "late")
    assert found.message.startswith("crew is late (usually ")


def words_of(asset, column, value, usual, share, usual_range=None):
    """Return the words of a column with this value."""
    window = None if column.window_ms is None else timedelta(milliseconds=column.window_ms)
    low, high = usual_range or (None, None)
    own = column_unit(asset, column)
    moved = is_unusual(value, usual, usual_range)
    shown = Quantity(column.aggregation, window, value, usual, own, moved, low, high)
    return describe_contribution(asset, column, shown, share)


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


def test_a_row_without_the_models_columns_is_refused(data):
    with pytest.raises(UserError, match="columns that these rows do not have"):
        contributions(linear(data), pd.DataFrame({"x": [1.0]}), OVEN)
