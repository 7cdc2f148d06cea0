"""Alarms that no value begins, or none ends, are said with what to write; others are not."""

import numpy as np
import pytest

from alerting.definitions.asset_documents import Asset, Variable
from alerting.kinds.registry import parse_definition
from alerting.kinds.value_reach import describe_impossible, describe_impossible_so_far

pytestmark = pytest.mark.fast

OVEN = Asset(
    name="oven-1",
    attributes={"most": 900.0},
    variables={
        "temp": Variable(low=0, high=500),
        "speed": Variable(),
        "animal": Variable(),
        "state": Variable(type="category"),
        "on": Variable(type="boolean"),
    },
)
RANGE = "(low 0, high 500: a value beyond counts as missing)"
NEVER_BEGINS = f"no possible value of temp {RANGE} meets its conditions, so no alarm comes"
NEVER_ENDS = f"no possible value of temp {RANGE} ends an alarm"
TEMP = {"variable": "temp"}


def both(how, *members):
    return {how: list(members)}


def hot(**limits):
    return {"variable": "temp", **limits}


IMPOSSIBLE = {
    "a limit at the end of the range": ({**TEMP, "above": 500}, NEVER_BEGINS),
    "a limit of the asset beyond the range": (
        {**TEMP, "above": {"attribute": "most"}},
        NEVER_BEGINS,
    ),
    "below the range": ({**TEMP, "below": 0}, NEVER_BEGINS),
    "a value outside of the range": ({**TEMP, "equals": 501}, NEVER_BEGINS),
    "a band outside of the range": ({**TEMP, "inside": {"low": 600, "high": 700}}, NEVER_BEGINS),
    "a band around the whole range": ({**TEMP, "inside": {"low": -1, "high": 500}}, NEVER_ENDS),
    "back only below the range": ({**TEMP, "above": 300, "clear_above_at": -5}, NEVER_ENDS),
    "back only below the range, at one severity": (
        {**TEMP, "levels": {"low": {"above": 100}, "high": {"above": 300, "clear_above_at": -5}}},
        NEVER_ENDS,
    ),
    "above one limit and below a lesser one": (
        both("all", hot(above=100), hot(below=50)),
        NEVER_BEGINS,
    ),
    "two texts at once": (
        both("all", {"variable": "state", "equals": "a"}, {"variable": "state", "equals": "b"}),
        "no possible value of state meets its conditions, so no alarm comes",
    ),
    "above one limit or below a greater one": (
        both("any", hot(above=50), hot(below=100)),
        NEVER_ENDS,
    ),
    "all, one of which cannot be": (
        both("all", hot(above=500), {"variable": "speed", "above": 1}),
        NEVER_BEGINS,
    ),
    "any, one of which is always": (
        both("any", hot(above=-1), {"variable": "speed", "above": 1}),
        NEVER_ENDS,
    ),
}
POSSIBLE = [
    {**TEMP, "above": 499.9},
    {**TEMP, "above": 600, "no_data": "ignore"},
    {**TEMP, "above": 600, "no_data": "alert"},
    {**TEMP, "above": 1000, "rate_per": "1m"},
    {**TEMP, "above": 1000, "count_within": "1m"},
    {**TEMP, "above": {"learned": {"quantile": 0.99}}},
    {**TEMP, "above": {"attribute": "none"}},
    {**TEMP, "equals": 0},
    {**TEMP, "above": -1, "no_data": "clear"},
    {"variable": "speed", "above": 1e9},
    {"variable": "on", "equals": True},
    {"variable": "state", "equals": "a"},
    {"variable": "absent", "above": 1},
    {"event": "jam", "count_within": "1h", "above": 5},
    both("all", hot(above=100), hot(below=200)),
    both("all", hot(above=100, clear_above_at=20), hot(below=50)),
    both("any", hot(above=100), hot(below=50)),
    both("any", hot(above=500), {"variable": "speed", "above": 1}),
    both("all", hot(above=-1), {"variable": "speed", "above": 1}),
]


def definition(fields):
    common = {"name": "a", "kind": "threshold", "assets": ["oven-1"]}
    return parse_definition({**common, **fields})


@pytest.mark.parametrize("title", IMPOSSIBLE)
def test_what_no_possible_value_begins_or_ends_is_said(title):
    fields, sentence = IMPOSSIBLE[title]
    assert list(describe_impossible(definition(fields), OVEN)) == [
        f"{sentence}; write other limits"
    ]


def test_what_some_value_begins_and_ends_is_not_said():
    assert [f for f in POSSIBLE if list(describe_impossible(definition(f), OVEN))] == []


PULSE = {"variable": "animal", "equals": 1}
ONLY_ONE = (
    "animal has only been 1 in its last 3 values, which does not end an alarm; write no_data: "
    "clear, and 10m (stale_after) of silence end it, or other limits"
)
STATES = np.array(["idle", "running", "running"], object)
SEEN = {
    "a pulse that is never 0": (PULSE, {"animal": np.ones(3)}, ONLY_ONE),
    "ignored data make no difference": (
        {**PULSE, "no_data": "ignore"},
        {"animal": np.ones(3)},
        ONLY_ONE,
    ),
    "a clear limit that has never been reached": (
        {**TEMP, "above": 215, "clear_above_at": 100},
        {"temp": np.array([190.0, 220.0, 210.0])},
        "temp has only been 190 to 220 in its last 3 values, which does not end an alarm",
    ),
    "a text that never came": (
        {"variable": "state", "equals": "runing"},
        {"state": STATES},
        "state has never been runing, only idle and running, so no alarm has come; did you mean "
        "running?",
    ),
    "a text that never came, of several": (
        both("all", {"variable": "state", "equals": "blocked"}, hot(above=3)),
        {"state": STATES, "temp": np.arange(3.0)},
        "state has never been blocked, only idle and running, so no alarm has come; write one of",
    ),
    "only what it is": (
        {"variable": "state", "equals": "idle"},
        {"state": np.array(["idle"] * 4, object)},
        "state has only been idle in its last 4 values, which does not end an alarm",
    ),
}
NOT_SAID = [
    (PULSE, {"animal": np.ones(2)}),
    (PULSE, {}),
    (PULSE, {"animal": np.array([1.0, 1.0, 0.0])}),
    ({**PULSE, "no_data": "clear"}, {"animal": np.ones(9)}),
    ({**TEMP, "above": 215}, {"temp": np.full(9, 200.0)}),
    (both("all", PULSE, hot(above=3)), {"animal": np.ones(9), "temp": np.arange(9.0)}),
]


@pytest.mark.parametrize("title", SEEN)
def test_what_no_value_that_came_begins_or_ends_is_said(title):
    fields, values, sentence = SEEN[title]
    (found,) = describe_impossible_so_far(definition(fields), OVEN, values)
    assert found.startswith(sentence)


def test_what_a_value_that_came_ends_is_not_said():
    found = [
        row
        for row in NOT_SAID
        if list(describe_impossible_so_far(definition(row[0]), OVEN, row[1]))
    ]
    assert found == []
