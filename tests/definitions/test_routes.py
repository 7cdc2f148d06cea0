import pytest

from alerting.definitions.routes import Route, RouteRefused, parse_route, route_document

pytestmark = pytest.mark.fast

NIGHT = {
    "name": "night",
    "match": {"severity": ["high"], "assets": ["oven-*"]},
    "channels": ["pager"],
    "timezone": "Europe/Berlin",
    "quiet": [{"days": ["sat"], "from": "22:00", "to": "06:00"}],
    "repeat": "30m",
    "escalation": [{"after": "15m", "channels": ["chief"]}],
}


def faults(**changes):
    with pytest.raises(RouteRefused) as refusal:
        parse_route({"name": "r", "channels": ["log"], **changes})
    return {f.path: str(f) for f in refusal.value.faults}


def test_two_lines_are_a_route():
    assert parse_route({"name": "all", "channels": ["log"]}).match.assets == ("*",)


def test_a_route_is_written_as_people_would_and_read_back_the_same():
    assert route_document(parse_route(NIGHT)) == NIGHT


def test_every_fault_is_named_with_its_place():
    found = faults(
        channels=[],
        chanels=["x"],
        quiet=[{"from": "6", "to": "07:00"}],
        match={"severity": ["awful"], "assets": ["north", ""]},
    )
    assert set(found) == {
        "channels",
        "chanels",
        "quiet.0.from",
        "match.severity.0",
        "match.assets.1",
    }
    assert "time of day" in found["quiet.0.from"]


def test_a_zone_that_does_not_exist_and_times_too_short_are_faults():
    found = faults(
        timezone="Europe/Berlln",
        repeat="30s",
        heartbeat="0s",
        escalation=[{"after": "1s", "channels": ["log"]}],
    )
    assert set(found) == {"timezone", "repeat", "heartbeat", "escalation.0.after"}


def test_every_field_is_described():
    assert all(field.description for field in Route.model_fields.values())
