"""Suppression by design as people may write it, and the messages on faults in it."""

import pytest

from alerting.definitions.assets import Asset, AssetTree, EventType, Variable
from alerting.definitions.checks.against_assets import faults_against_assets
from alerting.definitions.faults import DefinitionRefused
from alerting.definitions.revisions import definition_document
from alerting.kinds.validation import parse_definition
from tests.builders import oven, threshold, too_hot

pytestmark = pytest.mark.fast

LINE = Asset(
    name="line-1",
    variables={"line_state": Variable(type="category"), "speed": Variable(sampling="1h")},
)
EVENTS = [
    EventType(name="maintenance", duration="lasting"),
    EventType(name="knock", duration="instant"),
]


def faults(suppression):
    with pytest.raises(DefinitionRefused) as refused:
        parse_definition(too_hot(suppression=suppression))
    return [str(fault) for fault in refused.value.faults]


def faults_on(when, parent="line-1"):
    machine = oven().model_copy(update={"parent": parent})
    found = faults_against_assets(threshold(suppression={"when": when}), [machine, LINE], EVENTS)
    return [str(fault) for fault in found]


def test_one_state_may_be_written_without_a_list():
    state = {"variable": "line_state", "equals": "stopped"}
    assert threshold(suppression={"when": state}) == threshold(suppression={"when": [state]})


def test_what_was_written_comes_back_as_it_was_written():
    written = {
        "when": [
            {"variable": "speed", "below": 0.1, "for": "5m"},
            {"event": "maintenance", "recovery": "10m"},
        ],
        "windows": [{"days": ["sat"], "from": "22:00", "to": "06:00"}],
        "timezone": "Europe/Berlin",
        "still_notify": ["critical"],
    }
    definition = threshold(suppression=written)
    assert definition_document(definition)["suppression"] == written
    assert parse_definition(definition_document(definition)) == definition


@pytest.mark.parametrize(
    ("suppression", "words"),
    [
        ({}, "suppression: is empty"),
        ({"windows": [{"from": "22:00", "to": "6"}]}, "suppression.windows.0.to"),
        (
            {"windows": [{"from": "22:00", "to": "06:00"}], "timezone": "Berlin"},
            "is not an IANA time zone",
        ),
        ({"when": {"variable": "speed"}}, "has no value for speed"),
        ({"when": {"below": 1}}, "needs either a variable with a value, or an event type"),
        ({"when": {"variable": "speed", "below": 1, "event": "stop"}}, "needs either a variable"),
        ({"when": {"event": "stop", "for": "5m"}}, "an event has no value and no `for`"),
        (
            {"when": {"variable": "speed", "equals": 0, "below": 1}},
            "cannot stand beside above or below",
        ),
        ({"when": {"variable": "speed", "below": 2, "above": 1}}, "must be less than above"),
        (
            {"when": {"variable": "speed", "below": 1, "stale_after": "0s"}},
            "must be longer than 0s",
        ),
        (
            {"when": {"variable": "speed", "equals": {"attribute": "idle"}}},
            "suppression.when.0.equals",
        ),
        ({"when": {"variabel": "speed", "below": 1}}, "did you mean variable?"),
        (
            {"windows": [{"from": "22:00", "to": "06:00"}], "still_notify": ["worst"]},
            "still_notify",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_place_and_a_hint(suppression, words):
    assert any(words in fault for fault in faults(suppression))


def test_all_faults_are_told_at_once():
    found = faults(
        {"when": [{"variable": "speed"}, {"event": "stop", "below": 1}], "timezone": "Berlin"}
    )
    assert len(found) == 3


def test_a_variable_may_be_one_of_the_line_above():
    assert faults_on({"variable": "line_state", "equals": "stopped"}) == []


@pytest.mark.parametrize(
    ("when", "words"),
    [
        ({"variable": "line_stat", "equals": "stopped"}, "did you mean line_state?"),
        (
            {"variable": "line_state", "equals": 1},
            "is not a possible value of 'line_state', a category (write text)",
        ),
        ({"variable": "line_state", "below": 1}, "is a category; above and below need a number"),
        (
            {"variable": "speed", "below": 1},
            "10m is shorter than the sampling of 'speed' on 'line-1', 1h",
        ),
        ({"event": "maintenence"}, "did you mean maintenance?"),
        ({"event": "knock"}, "is an instant event and has no duration"),
    ],
)
def test_what_the_line_cannot_be_asked_is_refused(when, words):
    [fault] = faults_on(when)
    assert words in fault


def test_without_a_parent_the_line_is_not_asked():
    [fault] = faults_on({"variable": "line_state", "equals": "stopped"}, parent=None)
    assert "there is no variable 'line_state' on 'oven-1'" in fault


def test_the_way_up_ends_even_where_parents_go_in_a_circle():
    a = Asset(name="a", parent="b")
    b = Asset(name="b", parent="a")
    assert [x.name for x in AssetTree([a, b]).asset_and_ancestors(a)] == ["a", "b"]
    assert [
        x.name for x in AssetTree([a, b]).asset_and_ancestors(Asset(name="c", parent="nowhere"))
    ] == ["c"]
