"""The oven by itself: heat, belt and baking do what docs/demo-line.md says."""

from dataclasses import replace
from math import exp

import pytest

from alerting.demo.physics import (
    COOLING_LENGTH,
    DRYING,
    OVEN_LENGTH,
    ZONE_LENGTH,
    Oven,
    OvenConditions,
    run_minute,
)

pytestmark = pytest.mark.fast

USUAL = OvenConditions(
    setpoint=(205.0, 225.0, 215.0),
    belt=8.0,
    dough=22.0,
    humidity=50.0,
    efficiency=(1.0, 1.0, 1.0),
    least_power=(0.0, 0.0, 0.0),
    draught=(0.0, 0.0, 0.0),
    flour=1.0,
)


def after(minutes: int, conditions: OvenConditions = USUAL, oven: Oven | None = None) -> Oven:
    oven = oven or Oven()
    for _ in range(minutes):
        run_minute(oven, conditions)
    return oven


def moisture(conditions: OvenConditions) -> float:
    value = after(120, conditions).moisture
    assert value is not None
    return value


def test_zones_settle_at_their_set_points() -> None:
    assert after(120).temperature == pytest.approx([205, 225, 215], abs=0.2)


def test_moisture_is_the_exponential_of_drying_over_the_time_in_each_zone() -> None:
    expected = 22.0 * exp(-sum(DRYING) * ZONE_LENGTH / 8.0)
    assert moisture(USUAL) == pytest.approx(expected, rel=0.02)


def test_first_biscuit_reaches_gauges_after_the_length_of_oven_and_cooling_over_the_belt_speed() -> (  # noqa: E501
    None
):
    minutes = int((OVEN_LENGTH + COOLING_LENGTH) / 8.0)
    assert after(minutes).moisture is None
    assert after(minutes + 1).moisture is not None


@pytest.mark.parametrize(
    ("change", "sign"),
    [
        ({"belt": 8.8}, 1),
        ({"belt": 7.2}, -1),
        ({"dough": 28.0}, 1),
        ({"humidity": 80.0}, 1),
        ({"setpoint": (205.0, 235.0, 215.0)}, -1),
        ({"efficiency": (1.0, 0.45, 1.0)}, 1),
        ({"flour": 0.9}, 1),
    ],
)
def test_moisture_moves_the_way_it_should(change: dict[str, object], sign: int) -> None:
    difference = moisture(replace(USUAL, **change)) - moisture(USUAL)
    assert difference * sign > 0.2


def test_a_weak_burner_is_made_up_for_by_power_until_there_is_no_more() -> None:
    fouled, faulty = (after(120, replace(USUAL, efficiency=(1.0, e, 1.0))) for e in (0.85, 0.45))
    assert fouled.temperature[1] == pytest.approx(225, abs=0.2)
    assert fouled.power[1] > 0.6
    assert faulty.power[1] == 1.0
    assert faulty.temperature[1] < 190


def test_a_valve_that_cannot_close_overheats_its_zone() -> None:
    assert after(60, replace(USUAL, least_power=(0.0, 0.7, 0.0))).temperature[1] > 250


def test_hotter_and_slower_baking_is_darker() -> None:
    usual = after(60).colour or 0.0
    assert (after(60, replace(USUAL, belt=7.2)).colour or 0.0) < usual - 1
    assert (after(60, replace(USUAL, setpoint=(205.0, 235.0, 225.0))).colour or 0.0) < usual - 1


def test_a_standing_belt_is_cleared_and_delivers_nothing() -> None:
    oven = after(2, replace(USUAL, belt=0.0), after(60))
    assert oven.parcels == []
    assert oven.moisture is None
