from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from alerting.definitions.assets import Asset, Variable
from alerting.definitions.wording.spoken import spoken_share
from alerting.learning.data.dataset import build_dataset
from alerting.learning.features.build import build_features
from alerting.readings.history import to_millis
from alerting.recommendation.levers import find_levers
from alerting.recommendation.situation import base_row
from alerting.recommendation.whatif import MARGIN, recommend
from tests import small_models

pytestmark = pytest.mark.models

HISTORY = small_models.line()
AT = small_models.START + timedelta(hours=100)
PRESENT = float(HISTORY.readings.loc[:AT, "setpoint"].iloc[-1])


@pytest.fixture(scope="module")
def data():
    return small_models.dataset()


def model(data, weights, **settings):
    return small_models.linear_model(data.plan, data.rows, weights, **settings)


def with_variables(**changes):
    asset = Asset(name="oven-1", variables=small_models.VARIABLES | changes)
    return replace(HISTORY, asset=asset)


def risk_with(made, changes):
    """The model's own risk with the changed readings, computed anew from nothing."""
    readings = HISTORY.readings.copy()
    for change in changes:
        recent = (readings.index > AT - timedelta(minutes=30)) & (readings.index <= AT)
        readings.loc[recent & readings[change.variable].notna(), change.variable] = change.after
    changed = replace(HISTORY, readings=readings)
    return float(made.score(build_features(made.plan, changed, np.array([to_millis(AT)])))[0])


def before(made):
    return risk_with(made, [])


def test_the_smallest_change_that_keeps_the_risk_under_the_threshold_is_recommended(data):
    made = model(data, {"setpoint.last": 2.0})
    made = replace(made, threshold=before(made) * 0.9)
    found = recommend(made, HISTORY, AT, max_changes=2)
    assert found.helps
    (change,) = found.changes
    assert (change.variable, change.before, change.unit) == ("setpoint", PRESENT, "°C")
    assert change.after < PRESENT
    assert found.risk_after < MARGIN * made.threshold < made.threshold <= found.risk_before
    assert (found.safety, found.search) == ("aim", "least")
    assert risk_with(made, [replace(change, after=change.after + 1)]) < MARGIN * made.threshold, (
        "missed by a step"
    )
    assert risk_with(made, [replace(change, after=change.after + 2)]) >= MARGIN * made.threshold, (
        "one step less is not safe"
    )


def test_where_the_margin_is_out_of_reach_the_smallest_change_under_the_threshold_is_recommended(
    data,
):
    made = model(data, {"setpoint.last": 2.0})
    lowest = recommend(replace(made, threshold=1e-9), HISTORY, AT, max_changes=1).risk_after
    made = replace(
        made, threshold=(lowest + before(made)) / 2 if lowest > before(made) / 3 else lowest * 1.5
    )
    found = recommend(made, HISTORY, AT, max_changes=1)
    assert found.helps
    assert MARGIN * made.threshold <= found.risk_after < made.threshold


def test_the_risk_afterwards_is_that_of_all_features_computed_anew(data):
    made = model(
        data,
        {
            "setpoint.mean.1h": 2.0,
            "setpoint.std.1h": 0.1,
            "setpoint.last": 1.0,
            "humidity.last": 1.0,
        },
    )
    made = replace(made, threshold=before(made) * 0.8)
    found = recommend(made, HISTORY, AT, max_changes=1)
    assert found.changes
    assert found.risk_before == before(made)
    assert found.risk_after == pytest.approx(risk_with(made, found.changes), abs=1e-12)


def test_the_words_are_an_order_for_an_operator_with_the_risk_before_and_after(data):
    made = model(data, {"setpoint.last": 2.0})
    made = replace(made, threshold=before(made) * 0.9)
    found = recommend(made, HISTORY, AT, max_changes=1)
    after = f"{found.changes[0].after:g}"
    risk = f"{spoken_share(found.risk_before)} → {spoken_share(found.risk_after)}"
    assert found.message == f"Set oven set-point from {PRESENT:g} to {after} °C. Risk {risk}."
    assert found.background == "It is not known whether these settings are within normal operation."


def test_where_nothing_suffices_the_greatest_reduction_is_given_and_said_not_to_suffice(data):
    made = model(data, {"setpoint.last": 0.5}, intercept=8.0)
    found = recommend(made, HISTORY, AT, max_changes=2)
    assert not found.helps
    assert found.changes
    assert made.threshold < found.risk_after < found.risk_before
    assert found.message.startswith(
        "No permitted change is enough (alarm at 50 %). The largest effect: Set "
    )


def test_where_nothing_lowers_the_risk_no_change_is_given(data):
    found = recommend(
        model(data, {"humidity.last": 1.0}, intercept=3.0), HISTORY, AT, max_changes=2
    )
    assert not found.helps
    assert found.changes == ()
    assert found.risk_after == found.risk_before
    assert found.message == "No permitted change lowers the risk (93 %; alarm at 50 %)."


def test_two_changes_are_combined_only_where_they_may_be(data):
    made = model(data, {"setpoint.last": 1.0, "belt.last": 1.0})
    one = recommend(replace(made, threshold=0.0), HISTORY, AT, max_changes=1)
    two = recommend(replace(made, threshold=0.0), HISTORY, AT, max_changes=2)
    assert len(one.changes) == 1
    assert {c.variable for c in two.changes} == {"setpoint", "belt"}
    assert two.risk_after < one.risk_after
    between = replace(made, threshold=(one.risk_after + two.risk_after) / 2)
    assert not recommend(between, HISTORY, AT, max_changes=1).helps
    assert recommend(between, HISTORY, AT, max_changes=2).helps


def test_cheap_changes_are_preferred(data):
    made = model(data, {"setpoint.last": 1.0, "belt.last": 1.0})
    made = replace(made, threshold=before(made) * 0.95)
    for dear, cheap in (("setpoint", "belt"), ("belt", "setpoint")):
        costs = {dear: {"cost": 1000.0, "tolerance": 0.0}, cheap: {"tolerance": 0.0}}
        line = with_variables(
            **{
                n: small_models.VARIABLES[n].model_copy(update=changes)
                for n, changes in costs.items()
            }
        )
        assert [c.variable for c in recommend(made, line, AT, 1).changes] == [cheap]


def levers(made, history, at):
    return find_levers(made, history, to_millis(at), base_row(made, history, to_millis(at)), {})


def test_the_present_setting_limits_and_largest_change_bound_the_search(data):
    made = model(data, {"setpoint.last": 1.0})
    narrow = with_variables(
        setpoint=small_models.VARIABLES["setpoint"].model_copy(
            update={"min": PRESENT - 4, "max_change": 3.0}
        )
    )
    found = next(lever for lever in levers(made, narrow, AT) if lever.name == "setpoint")
    assert (found.present, found.settings) == (
        PRESENT,
        tuple(PRESENT + d for d in (-3, -2, -1, 1, 2, 3)),
    )


def test_settings_far_from_anything_seen_are_refused(data):
    wide = with_variables(
        setpoint=small_models.VARIABLES["setpoint"].model_copy(
            update={"min": 0.0, "max": 1000.0, "max_change": None, "step": 5.0}
        )
    )
    made = replace(model(data, {"setpoint.last": 1.0}), threshold=0.0)
    (change,) = recommend(made, wide, AT, max_changes=1).changes
    assert 214 <= change.after <= 226  # training has seen 215 to 225


def test_if_all_settings_are_far_from_anything_seen_the_model_cannot_tell(data):
    made = replace(model(data, {"setpoint.last": 1.0}), threshold=0.01)
    now = build_features(made.plan, HISTORY, np.array([to_millis(AT)])).iloc[0]
    seen = {name: (now[name], now[name]) for name in made.ranges}
    found = recommend(replace(made, ranges=seen), HISTORY, AT, max_changes=2)
    assert found.changes == ()
    assert "far from the training data of the model" in found.message


def test_without_a_controllable_variable_there_is_nothing_to_recommend(data):
    fixed = with_variables(setpoint=Variable(), belt=Variable())
    found = recommend(
        replace(model(data, {"setpoint.last": 1.0}), threshold=0.01), fixed, AT, max_changes=2
    )
    assert (found.helps, found.changes) == (False, ())
    assert "no variable that operators can set" in found.message


def test_what_becomes_known_after_the_instant_changes_nothing(data):
    made = replace(model(data, {"setpoint.mean.1h": 1.0}), threshold=0.4)
    past = replace(HISTORY, readings=HISTORY.readings.loc[:AT])
    assert recommend(made, HISTORY, AT, 2) == recommend(made, past, AT, 2)
    needed = replace(HISTORY, readings=HISTORY.readings.loc[AT - made.plan.lookback : AT])
    assert recommend(made, needed, AT, 2) == recommend(made, past, AT, 2)


def test_of_a_risk_that_is_under_the_threshold_only_the_risk_is_told(data):
    found = recommend(
        replace(model(data, {"setpoint.last": 1.0}), threshold=0.99), HISTORY, AT, max_changes=2
    )
    assert (found.helps, found.changes, found.risk_after) == (False, (), found.risk_before)
    assert found.message.startswith("The risk is ")
    assert ", below the alarm at 99 %. Keep an eye on it" in found.message


def test_a_set_point_that_is_older_than_every_window_can_be_changed_while_it_holds():
    changes = HISTORY.readings["setpoint"].where(HISTORY.readings["setpoint"].diff() != 0)
    held = replace(HISTORY, readings=HISTORY.readings.assign(setpoint=changes))
    data = build_dataset(small_models.definition(), 1, [held], small_models.as_of(held))
    assert "setpoint" in data.plan.carried_longer
    last = changes[:AT].last_valid_index()
    at = last + timedelta(hours=4)
    made = model(data, {"setpoint.last": 2.0})
    whole = recommend(replace(made, threshold=0.01), held, at, max_changes=1)
    (change,) = whole.changes
    assert (change.variable, change.before) == ("setpoint", changes[last])
    assert change.after < change.before
    changed = held.readings.copy()
    changed.loc[last, "setpoint"] = change.after
    row = build_features(made.plan, replace(held, readings=changed), np.array([to_millis(at)]))
    assert whole.risk_after == pytest.approx(float(made.score(row)[0]))
    start = at - made.plan.lookback
    needed = replace(
        held, readings=held.readings[(held.readings.index > start) | (held.readings.index == last)]
    )
    assert recommend(replace(made, threshold=0.01), needed, at, max_changes=1) == whole
    expired = replace(
        held,
        readings=held.readings.assign(setpoint=changes[: small_models.START + timedelta(hours=1)]),
    )
    assert [lever.name for lever in levers(made, expired, at)] == ["belt"]
