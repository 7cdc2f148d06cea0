"""Parts of a trial: the operator, the readings that can be taken back, and what physics permits."""

from dataclasses import replace
from datetime import UTC, datetime
from functools import cache

import numpy as np
import pytest

from alerting.demo.asset import demo_asset
from alerting.demo.disturbances import LineSchedule
from alerting.demo.line import SetPointChange, new_line, simulate
from alerting.episodes.episode import Change, RecommendationResult
from benchmarks.trial.operator import Operator, changes_of, release_at, with_changes
from benchmarks.trial.readings import LineReadings
from benchmarks.trial.set_points import nearest_permitted
from benchmarks.trial.shared_signature import SharedSignatureLine
from benchmarks.trial.truth import best_actions

pytestmark = pytest.mark.fast

OVEN = demo_asset()
ORIGIN = datetime(2026, 3, 1, tzinfo=UTC)


@cache
def quarter_of_an_hour():
    return simulate(new_line(1, ORIGIN, 0), 15)


def advice(*changes):
    return RecommendationResult(
        tuple(Change(*c, unit=None) for c in changes), 0.9, 0.1, helps=True, message="do it"
    )


def test_damp_air_of_the_line_with_a_shared_signature_takes_the_flame_of_a_burner_with_it():
    usual = LineSchedule(1, 0)
    shared = SharedSignatureLine(seed=1, origin=ORIGIN, live_from=0).schedule
    [damp, *_] = (d for d in usual.disturbances(240, 20_000) if d.cause == "damp-air" and d.answer)
    middle = damp.start + damp.ramp + 1
    assert usual.acting(middle) == (damp,)
    weaker, fault = shared.acting(middle)
    assert (weaker.cause, fault.cause) == ("damp-air", "burner-fault")
    assert weaker.size < damp.size
    assert 0.45 < fault.size < 0.6
    assert shared.crew_setpoint("belt_speed_setpoint", middle) == usual.crew_setpoint(
        "belt_speed_setpoint", middle
    )


def test_an_operator_decides_the_same_whenever_asked_and_follows_his_share():
    operator = Operator(seed=3, follow=0.3)
    followed = [operator.follows(minute) for minute in range(300)]
    assert followed == [operator.follows(minute) for minute in range(300)]
    assert 60 < sum(followed) < 120
    assert all(Operator(seed=3).follows(minute) for minute in range(50))


def test_a_change_is_taken_back_at_the_first_look_after_the_window_without_a_cause():
    schedule = LineSchedule(seed=1, live_from=0)  # its showcase lasts from minute 0 to 105
    assert release_at(schedule, alert=20, window=30) == 110
    assert release_at(schedule, alert=90, window=30) == 120


def test_a_setting_that_has_moved_since_the_alert_is_changed_by_the_greatest_change():
    state = quarter_of_an_hour().state
    (change,) = changes_of(OVEN, state, advice(("belt_speed_setpoint", 9.5, 7.0)), hold=60)
    present = state.setpoint("belt_speed_setpoint", 15)
    assert change == SetPointChange(
        15, "belt_speed_setpoint", round(present - 0.8, 6), present, "automatic operator", 60
    )
    assert changes_of(OVEN, state, None, hold=60) == ()


def test_nearest_permitted_settings_stay_within_limits_greatest_change_and_step():
    assert nearest_permitted(OVEN, "zone_2_setpoint", 300, 230) == 236
    assert nearest_permitted(OVEN, "zone_2_setpoint", 300, 220) == 230
    assert nearest_permitted(OVEN, "belt_speed_setpoint", 7.46, 8.0) == 7.5


def test_changes_end_together_and_then_the_crew_sets_its_own_again():
    state = quarter_of_an_hour().state
    first = with_changes(
        state, [SetPointChange(15, "zone_1_setpoint", 215, 205, "automatic operator", 30)], 45
    )
    later = replace(first, minute=20)
    second = with_changes(
        later, [SetPointChange(20, "zone_3_setpoint", 225, 215, "automatic operator", 60)], 80
    )
    assert [c.until for c in second.changes] == [80, 80]
    assert second.setpoint("zone_1_setpoint", 79) == 215
    assert second.setpoint("zone_1_setpoint", 80) == second.schedule.crew_setpoint(
        "zone_1_setpoint", 80
    )


def test_the_strongest_actions_are_all_pairs_of_set_points_moved_as_far_as_permitted():
    state = quarter_of_an_hour().state
    actions = best_actions(OVEN, state, 2)
    assert len(actions) == 6
    moved = {c.variable: c.value - c.before for action in actions for c in action}
    assert moved["zone_1_setpoint"] == 10
    assert round(moved["belt_speed_setpoint"], 6) == -0.8


def test_readings_that_are_taken_back_and_computed_again_are_the_same():
    readings = LineReadings(OVEN, rows=4)
    readings.add(quarter_of_an_hour())
    whole = readings.load(OVEN, None, None)
    readings.take_back(ORIGIN.replace(minute=5))
    assert readings.span("oven-1") == (ORIGIN.replace(minute=1), ORIGIN.replace(minute=5))
    five = simulate(new_line(1, ORIGIN, 0), 5)
    readings.add(simulate(five.state, 15))
    again = readings.load(OVEN, None, None)
    np.testing.assert_array_equal(whole.readings.to_numpy(), again.readings.to_numpy())
    assert whole.events.equals(again.events)
    assert (
        len(
            readings.load(
                OVEN, ORIGIN.replace(minute=5), ORIGIN.replace(minute=9), ["moisture"]
            ).readings
        )
        == 4
    )
