"""The last value of a variable is carried forward for a time, and a row shows it until then."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from alerting.definitions.asset_documents import Asset, Variable
from alerting.kinds.classifier.definition import ClassifierDefinition
from alerting.kinds.forecast.definition import ForecastDefinition
from alerting.learning.data.quality import find_oddities
from alerting.learning.features.plan import CarryForward, CategorySource, FeaturePlan, NumberSource
from alerting.learning.features.point_in_time import (
    build_features,
    has_any_value,
    is_known,
    plan_features,
)
from alerting.readings.history import History

MINUTE = 60_000
HOUR = 3_600_000
DAY = 86_400_000
START = 1_700_000_400_000
RECIPE = Variable(type="category")
SET_POINT = Variable(controllable=True)


def definition(**features):
    document = {
        "name": "d",
        "kind": "classifier",
        "assets": ["oven"],
        "problem": {"event": "stop"},
        "horizon": "30m",
    }
    return ClassifierDefinition.model_validate(
        document | {"features": {"windows": ["30m"], **features}}
    )


def history(series, **variables):
    """Series by variable as {minute: value}; every variable has its own instants."""
    index = sorted({minute for values in series.values() for minute in values})
    ts = (START + np.array(index, np.int64) * MINUTE).astype("datetime64[ms]")
    frame = pd.DataFrame(index=pd.DatetimeIndex(ts, name="ts").tz_localize("UTC"))
    for name, values in series.items():
        words = any(isinstance(v, str) for v in values.values())
        frame[name] = pd.Series(
            [values.get(m, None if words else np.nan) for m in index],
            frame.index,
            object if words else float,
        )
    return History(Asset(name="oven", variables=variables), frame)


def every(minutes, *values, times=20):
    return {i * minutes: values[i % len(values)] for i in range(times)}


def held(series, asset=None, **features):
    found = plan_features(
        definition(**features), [history(series, **(asset or {}))]
    ).carried_forward
    return {h.name: h.span_ms / HOUR for h in found}


SENSOR = every(1, 1.0, 2.0, 3.0, times=60)


def test_a_category_that_is_reported_on_change_holds_for_three_times_its_longest_distance():
    changes = {0: "rye", 100: "oat", 130: "rye", 700: "oat", 720: "rye"}
    assert held({"recipe": changes, "x": SENSOR}, {"recipe": RECIPE}) == {"recipe": 3 * 570 / 60}


def test_set_point_or_boolean_is_reported_on_change_is_held_and_sensor_at_same_instants_is_not():
    changes = every(5, 200.0, 210.0, times=100) | {495 + 675: 205.0}
    assert held({"a": changes, "x": SENSOR}, {"a": SET_POINT}) == {"a": 3 * 675 / 60}
    assert held({"a": changes, "x": SENSOR}, {"a": Variable(type="boolean")}) == {"a": 3 * 675 / 60}
    assert held({"a": changes, "x": SENSOR}, {"a": Variable()}) == {}


def test_a_slow_variable_holds_for_three_times_the_distance_at_which_its_next_value_is_due():
    laboratory = every(480, 4.0, 5.0, times=30)
    weekend = {m + (64 * 60 if m > 7000 else 0): v for m, v in laboratory.items()}
    assert held({"moisture": weekend, "x": SENSOR}) == {"moisture": 24.0}


def test_a_recipe_that_is_reported_with_every_batch_stands_over_the_weekend():
    starts = [day * 1440 + m for day in range(14) if day % 7 < 5 for m in (360, 480, 600, 720)]
    batches = {m: ["rye", "rye", "oat"][i % 3] for i, m in enumerate(starts)}
    weekend = 3 * 1440 - 360
    assert held({"recipe": batches, "x": SENSOR}, {"recipe": RECIPE}) == {
        "recipe": 3 * weekend / 60
    }


def test_what_comes_within_the_longest_window_is_not_held():
    assert held({"x": SENSOR, "y": every(10, 1.0, 2.0)}) == {}
    repeated = every(5, "rye", "rye", "rye", "oat", times=600) | {5000: "rye"}
    assert held({"recipe": repeated}, {"recipe": RECIPE}) == {}, (
        "repeated at every sample: its silence is a gap"
    )
    assert held({"recipe": every(1440, "rye", "oat")}, {"recipe": RECIPE}, windows=["5d"]) == {}


def test_too_few_values_tell_nothing_and_no_value_holds_for_more_than_a_quarter_of_a_year():
    assert held({"x": SENSOR, "lab": every(480, 1.0, 2.0, times=3)}) == {}
    assert held({"x": SENSOR, "lab": every(60 * 1440, 1.0, 2.0, times=5)}) == {"lab": 90 * 24.0}


def test_the_document_of_an_asset_has_the_last_word_in_both_directions():
    stated = {
        "recipe": Variable(type="category", carry_forward=timedelta(days=14)),
        "x": Variable(carry_forward=timedelta(minutes=6)),
    }
    assert held({"recipe": {0: "rye"}, "x": SENSOR}, stated) == {"recipe": 14 * 24.0, "x": 0.1}
    with pytest.raises(ValueError, match="carry_forward"):
        Variable(carry_forward=timedelta(0))


def test_a_number_is_held_only_where_a_column_shows_its_last_value():
    series = {"lab": every(480, 1.0, 2.0), "x": SENSOR}
    assert held(series, aggregations=["mean", "max"]) == {}
    assert held(series, aggregations=["mean"], lags=["1h"]) == {"lab": 24.0}


def test_a_slow_set_point_does_not_lengthen_the_windows_of_all():
    series = {"setpoint": every(2 * 1440, 200.0, 210.0), "x": SENSOR, "y": SENSOR}
    plan = plan_features(definition(windows=None), [history(series, setpoint=SET_POINT)])
    assert plan.longest_window_ms == 3 * HOUR
    assert plan.carried_forward == (CarryForward("setpoint", 6 * DAY),)


# ---- what a row sees


def plan(hold, **more):
    numbers = (NumberSource("x", MINUTE), NumberSource("s", None))
    categories = (CategorySource("recipe", ("rye",)),)
    return FeaturePlan(
        10 * MINUTE,
        (30 * MINUTE,),
        ("mean", "last", "age"),
        numbers,
        categories,
        carried_forward=(CarryForward("s", hold * MINUTE), CarryForward("recipe", hold * MINUTE)),
        **more,
    )


def row(plan_, history_, minute):
    return build_features(plan_, history_, np.array([START + minute * MINUTE])).iloc[0]


def test_a_held_value_stands_with_its_age_until_it_expires_and_windows_stay_as_they_are():
    known = history({"s": {0: 200.0}, "recipe": {0: "rye"}})
    shown = ["s.last", "s.age", "recipe.last"]
    late = row(plan(600), known, 590)
    assert late[shown].tolist() == [200.0, 590 * 60, "rye"]
    assert np.isnan(late["s.mean.30m"])
    assert row(plan(600), known, 600)[shown].isna().all()
    sooner = row(plan(20), known, 20)  # than the window, if that is said
    assert sooner[["s.last", "recipe.last"]].isna().all()
    assert sooner["s.mean.30m"] == 200.0
    assert (plan(600).reach_ms, plan(600).farthest) == (30 * MINUTE, timedelta(minutes=630))


def test_a_held_value_counts_from_when_it_is_known_and_the_one_before_it_until_then():
    late = {"s": Variable(delay=timedelta(minutes=60))}
    known = history({"s": {0: 200.0, 300: 210.0}}, **late)
    last = [row(plan(600), known, m)["s.last"] for m in (50, 60, 350, 360, 950, 960)]
    np.testing.assert_array_equal(last, [np.nan, 200.0, 200.0, 210.0, 210.0, np.nan])


def test_a_lag_shows_what_held_then_and_a_value_out_of_range_ends_no_other_value():
    known = history({"s": {0: 200.0, 1000: 210.0}})
    lagged = plan(600, lags_ms=(2 * HOUR,))
    assert row(lagged, known, 610)["s.lag.2h"] == 200.0
    assert np.isnan(row(lagged, known, 730)["s.lag.2h"])
    out = history({"s": {0: 200.0, 100: 9999.0}}, s=Variable(high=300.0))
    assert row(plan(600), out, 500)["s.last"] == 200.0


def test_held_values_alone_do_not_stand_for_silent_sensors():
    known = history({"s": {0: 200.0}, "x": {0: 1.0}})
    at = START + np.array([20, 40, 590, 600]) * MINUTE
    assert has_any_value(plan(600), known, at).tolist() == [True, False, False, False]
    alone = replace(plan(600), numbers=(NumberSource("s", None),), categories=())
    assert has_any_value(alone, known, at).tolist() == [True, True, True, False]


def asking(kind, name):
    """A definition of a kind, of whose problem `s` decides."""
    problem = {"variable": "s", "above": 250.0}
    document = {"name": "d", "kind": name, "assets": ["oven"], "problem": problem}
    return kind.model_validate(document | {"horizon": "30m"})


def test_a_forecast_asks_only_where_it_sees_the_last_value_and_a_classifier_where_it_sees_any():
    late = Variable(delay=timedelta(minutes=50))
    known = history({"s": {0: 200.0, 1000: 210.0}, "x": every(5, 1.0, times=300)}, s=late)
    at = START + np.arange(0, 1700, 10) * MINUTE
    forecast = asking(ForecastDefinition, "forecast")
    for chosen in (plan(600), plan(20)):
        last = build_features(chosen, known, at)["s.last"].notna().to_numpy()
        any_value = has_any_value(chosen, known, at)
        assert 0 < last.sum() < len(at)
        assert is_known(forecast, chosen, known, at).tolist() == (last & any_value).tolist()
        of_classifier = is_known(asking(ClassifierDefinition, "classifier"), chosen, known, at)
        assert of_classifier.tolist() == any_value.tolist()
    assert not is_known(forecast, plan(600), history({"x": SENSOR}), at).any()


def test_the_quality_report_says_what_is_held_and_for_how_long():
    known = history({"recipe": every(1440, "rye", "oat"), "x": SENSOR}, recipe=RECIPE)
    chosen = plan_features(definition(), [known])
    problems = {"train": 100, "validation": 100, "test": 100}
    findings = find_oddities(definition(), chosen, [known], problems)
    assert [f.message for f in findings if f.kind == "carried_forward"] == [
        "recipe comes up to 1 d apart: its last value holds until the next one, for at most 3 d; "
        "set carry_forward of the variable if that is wrong."
    ]
