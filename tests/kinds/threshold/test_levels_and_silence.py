"""Severity by duration, and silence that is clear: what a definition does with readings, minute by
minute, and what is refused with how to write it."""

import pytest

from alerting.definitions.faults import DocumentRefused
from alerting.kinds.registry import parse_definition
from alerting.usecases.definitions.scenarios import run_scenarios

pytestmark = pytest.mark.fast

FREEZER = {"name": "warm", "kind": "threshold", "assets": ["freezer-1"], "variable": "temp"}
BOTH = {"low": {"above": -15}, "critical": {"above": -15, "for": "10m"}}
PULSE = {"equals": 1, "stale_after": "10m", "no_data": "clear"}
DETECTIONS = ["null x 5", 1, "null x 4", 1, "null x 60", 1, "null x 30"]
TABLE = {
    "one episode, low at once, critical when it has lasted ten minutes": (
        {"levels": BOTH},
        [-20, "-10 x 15", "-20 x 5"],
        ["1m  raised: low", "11m  severity: critical", "16m  closed"],
    ),
    "too short to be critical": (
        {"levels": BOTH},
        [-20, "-10 x 10", "-20 x 5", "-10 x 10", -20],
        ["1m  raised: low", "11m  closed", "16m  raised: low", "26m  closed"],
    ),
    "a gap begins the time of the worse one anew": (
        {"levels": BOTH, "stale_after": "2m"},
        [-20, "-10 x 6", "null x 4", "-10 x 11", -20],
        ["1m  raised: low", "21m  severity: critical", "22m  closed"],
    ),
    "a level has a limit beyond and a longer time": (
        {"for": "2m", "levels": {"low": {"above": -15}, "high": {"above": -10, "for": "5m"}}},
        [-20, "-12 x 4", "-5 x 6", "-20 x 2"],
        ["3m  raised: low", "10m  severity: high", "11m  closed"],
    ),
    "a worse level with a shorter time begins the episode, which goes on as the lesser one": (
        {"levels": {"low": {"above": -15, "for": "10m"}, "critical": {"above": 0}}},
        [-20, "-10 x 3", "5 x 2", "-10 x 3", "-20 x 2"],
        ["4m  raised: critical", "6m  severity: low", "9m  closed"],
    ),
    "the off-delay is that of the definition": (
        {"levels": BOTH, "clear_for": "3m"},
        ["-10 x 12", "-20 x 8"],
        ["0s  raised: low", "10m  severity: critical", "15m  closed"],
    ),
    "a pulse is over when it has been silent": (
        PULSE,
        DETECTIONS,
        ["5m  raised: medium", "20m  closed", "1h11m  raised: medium", "1h21m  closed"],
    ),
    "and later with an off-delay": (
        {**PULSE, "clear_for": "5m"},
        DETECTIONS,
        ["5m  raised: medium", "25m  closed", "1h11m  raised: medium", "1h26m  closed"],
    ),
    "an on-delay must pass before the silence": (
        {**PULSE, "for": "12m"},
        ["null x 5", 1, "null x 20", 1, "null x 8", 1, "null x 20"],
        ["38m  raised: medium", "45m  closed"],
    ),
    "bad samples are no silence": (
        {**PULSE, "stale_after": "3m"},
        [1, *["bad quality"] * 4, "null x 9"],
        ["0s  raised: medium", "7m  closed"],
    ),
    "after a silence hysteresis begins anew": (
        {"above": 10, "clear_above_at": 5, "stale_after": "3m", "no_data": "clear"},
        [20, "null x 5", "7 x 3", 20, 7, 4, "null x 3"],
        ["0s  raised: medium", "3m  closed", "9m  raised: medium", "11m  closed"],
    ),
    "held, a pulse is never over": (
        {**PULSE, "no_data": "hold"},
        DETECTIONS,
        ["5m  raised: medium"],
    ),
}


@pytest.mark.parametrize("title", TABLE)
def test_a_definition_does_this_minute_by_minute(title):
    fields, values, lines = TABLE[title]
    scenario = {"title": title, "readings": {"temp": values}, "expect": []}
    (result,) = run_scenarios({**FREEZER, **fields}, [scenario], "test")
    assert list(result.found) == lines


REFUSED = {
    "levels.critical.above: -15.0 must be greater than that of low, -15.0 (the same limit needs a "
    "longer `for` there)": {"levels": {"low": {"above": -15}, "critical": {"above": -15}}},
    "levels.critical.above: -18.0 must be greater than that of low, -15.0": {
        "levels": {"low": {"above": -15}, "critical": {"above": -18, "for": "2h"}}
    },
    "levels.high.below: 3.0 must be less than that of low, 3.0 (the same limit": {
        "for": "10m",
        "levels": {"low": {"below": 3, "for": "20m"}, "high": {"below": 3}},
    },
    "escalation: is not a field (write levels, e.g. levels: {low: {above: -15}, critical: {above: "
    "-15, for: 10m}})": {
        "above": -15,
        "escalation": [{"severity": "critical", "share": 1, "over": "10m"}],
    },
    "frozen_after: must be longer than `for`": {"levels": BOTH, "frozen_after": "5m"},
}


@pytest.mark.parametrize("fault", REFUSED)
def test_it_is_refused_with_how_to_write_it(fault):
    with pytest.raises(DocumentRefused) as refused:
        parse_definition({**FREEZER, **REFUSED[fault]})
    assert any(str(one).startswith(fault) for one in refused.value.faults), refused.value
