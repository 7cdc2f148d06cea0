"""Set-points that a person may change, and when a change takes effect."""

from datetime import UTC, datetime

import pytest

from alerting.definitions.faults import UserError
from alerting.demo.line import demo_asset, new_line, simulate
from alerting.demo.stored_line import SetPointRequest, check_set_point, take_over

pytestmark = pytest.mark.fast

OVEN = demo_asset()


def test_a_value_is_rounded_to_the_step_of_the_panel_and_the_largest_change_is_allowed() -> None:
    assert check_set_point(OVEN, "belt_speed_setpoint", 7.2, 8.0) == 7.2
    assert check_set_point(OVEN, "zone_2_setpoint", 228.3, 225) == 228
    assert check_set_point(OVEN, "belt_speed_setpoint", 7.64, 8.0) == 7.6


REFUSED = (
    ("zone_2_setpoin", 228, 225, "did you mean zone_2_setpoint?"),
    ("moisture", 3, 3, "is not a set-point of oven-1"),
    ("zone_2_setpoint", 260, 225, "260 °C is outside of its limits, 205 to 236 °C"),
    ("zone_2_setpoint", 205, 225, "more than the largest change at once, 10 °C"),
    ("zone_2_setpoint", float("nan"), 225, "is not a number"),
)


def test_what_the_panel_does_not_offer_is_refused_with_the_reason() -> None:
    said = {}
    for name, value, current, message in REFUSED:
        with pytest.raises(UserError) as refused:
            check_set_point(OVEN, name, value, current)
        said[message] = str(refused.value)
    assert {message: text for message, text in said.items() if message not in text} == {}


def test_a_request_is_in_force_from_the_next_minute_and_the_later_of_two_wins() -> None:
    state = simulate(new_line(1, datetime(2026, 3, 1, tzinfo=UTC), 30), 60).state
    requests = [
        SetPointRequest(i, "zone_1_setpoint", v, "anna") for i, v in (("a", 210.0), ("b", 212.0))
    ]
    after = simulate(take_over(state, requests), 62)
    assert [row.values["zone_1_setpoint"] for row in after.rows] == [212.0, 212.0]
    assert [e.attributes["value"] for e in after.events] == [212.0]
