"""Statuses of a threshold by the readings of one variable; live in any chunks gives the episodes of
one batch, for any readings, limits and fields."""

from datetime import timedelta

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from alerting.definitions.asset_documents import Variable
from alerting.detection.threshold import evaluate_values
from alerting.episodes.lifecycle import ConditionState, advance
from tests.builders import at, history, oven, threshold, with_quality
from tests.helpers.threshold_in_chunks import (
    BAD,
    expect_same_for_numbers,
    expect_same_for_several,
    expect_same_for_states,
)

NAN = np.nan
OVEN = oven(
    temperature=Variable(low=-1000, high=500),
    on=Variable(type="boolean"),
    state=Variable(type="category"),
    meter=Variable(counter=True),
).model_copy(update={"attributes": {"low": 206.0, "max_temperature": 220.0}})
INSIDE = {"above": None, "inside": {"low": 210, "high": 220}}
OUTSIDE = {"above": None, "outside": {"low": 210, "high": 230}}
LEVELS = {"medium": {"above": 215, "clear_above_at": 210}, "critical": {"above": 230}}
FROZEN = {"frozen_after": "3m", "stale_after": "1h"}
IN_RANGE_AT_FIRST = [200, 200, 200, *[900] * 5]
# fields, readings from minute 1 on (or by minute), and from which minute on which status, with the
# severity or what is the matter with the data
TABLE = {
    "every reading is judged, also a short spike between two ticks": (
        {},
        [210, 230, 210],
        ["1 clear", "2 triggered", "3 clear"],
    ),
    "a value holds until it is stale, then the status is unknown": (
        {"stale_after": "3m"},
        {1: 230, 10: 230},
        ["1 triggered", "4 unknown stale", "10 triggered"],
    ),
    "missing values are no readings and never clear": ({}, [230, NAN, 230], ["1 triggered"]),
    "no readings at all are unknown": ({}, {}, []),
    "between limit and clear limit the status before is kept": (
        {"clear_above_at": 210},
        [212, 216, 212, 210, 212],
        ["1 clear", "2 triggered", "4 clear"],
    ),
    "a band is over only outside of the wider one": (
        INSIDE | {"clear_outside": {"low": 205, "high": 225}},
        [200, 207, 210, 225, 205, 226, 222, 215],
        ["1 clear", "3 triggered", "6 clear", "8 triggered"],
    ),
    "an equal number is over only outside of its band": (
        {"above": None, "equals": 0, "clear_outside": {"low": -1, "high": 1}},
        [0.5, 0.0, 0.9, -1.0, 1.1],
        ["1 clear", "2 triggered", "5 clear"],
    ),
    "outside of a band is over inside of a narrower one, from the side where it was": (
        OUTSIDE | {"clear_inside": {"low": 215, "high": 225}},
        [240, 228, 225, 212, 200, 212, 215, 240, 212],
        ["1 triggered", "3 clear", "5 triggered", "7 clear", "8 triggered", "9 clear"],
    ),
    "and so written with two clear limits": (
        OUTSIDE | {"clear_below_at": 215, "clear_above_at": 225},
        [240, 228, 225, 212, 200, 212, 215, 240, 212],
        ["1 triggered", "3 clear", "5 triggered", "7 clear", "8 triggered", "9 clear"],
    ),
    "outside of a band is below and above it": (
        OUTSIDE | {"clear_above_at": 225},
        [200, 210, 226, 230, 231, 226, 224],
        ["1 triggered", "2 clear", "5 triggered", "7 clear"],
    ),
    "ends of a band may stand on the asset": (
        INSIDE | {"clear_outside": {"low": {"attribute": "low"}, "high": 225}},
        [215, 207],
        ["1 triggered"],
    ),
    "one that does not makes all unknown": (
        INSIDE | {"clear_outside": {"low": {"attribute": "none"}, "high": 225}},
        [215, 207],
        ["0 unknown no_limit"],
    ),
    "limits may stand on the asset": (
        {"above": {"attribute": "max_temperature"}},
        [210, 230],
        ["1 clear", "2 triggered"],
    ),
    "one that does not makes unknown, too": (
        {"above": {"attribute": "none"}},
        [210, 230],
        ["0 unknown no_limit"],
    ),
    "below and above together mean outside": (
        {"below": 190},
        [180, 200, 220],
        ["1 triggered", "2 clear", "3 triggered"],
    ),
    "both ends of a band belong to it": (
        INSIDE,
        [209, 210, 220, 221],
        ["1 clear", "2 triggered", "4 clear"],
    ),
    "a number equals zero of either sign": (
        {"above": None, "equals": 0},
        [0.0, -0.0, 1.0, NAN],
        ["1 triggered", "3 clear"],
    ),
    "a limit of zero is a number like any other": (
        {"above": 0},
        [0.0, -0.0, 1e-9],
        ["1 clear", "3 triggered"],
    ),
    "a value of zero is one too": ({"above": -1}, [0], ["1 triggered"]),
    "a boolean is true": (
        {"variable": "on", "above": None, "equals": True},
        [1.0, 0.0],
        ["1 triggered", "2 clear"],
    ),
    "a boolean is false": (
        {"variable": "on", "above": None, "equals": False},
        [1.0, 0.0],
        ["1 clear", "2 triggered"],
    ),
    "a category is a text": (
        {"variable": "state", "above": None, "equals": "stopped"},
        ["running", "stopped", None, "stopped"],
        ["1 clear", "2 triggered"],
    ),
    "two of three readings trigger, and a hole begins anew": (
        {"at_least": {"readings": 2, "of": 3}, "stale_after": "5m"},
        {1: 230, 2: 200, 3: 230, 4: 200, 5: 200, 6: 230, 20: 230, 21: 230},
        ["1 clear", "3 triggered", "4 clear", "11 unknown stale", "20 clear", "21 triggered"],
    ),
    "a rate is the change since the value that held so long ago": (
        {"above": 5, "rate_per": "2m"},
        {1: 200, 2: 203, 3: 207, 4: 207, 8: 230},
        ["1 unknown no_rate", "3 triggered", "4 clear", "8 triggered"],
    ),
    "a rate is not taken across a hole in the data": (
        {"above": 5, "rate_per": "2m", "stale_after": "3m"},
        {1: 100, 30: 200, 32: 201},
        ["1 unknown no_rate", "4 unknown stale", "30 unknown no_rate", "32 clear"],
    ),
    "an increase goes on where a counter begins again or rolls over, and through one zero": (
        {"above": 3, "rate_per": "2m", "counter": True, "rolls_over_at": 256},
        [240, 242, 244, 246, 0, 250, 252, 254, 0, 2, 8, 14, 1, 7, 13],
        ["1 unknown no_rate", "3 triggered"],
    ),
    "a counter of the asset falls where the definition says that it is none": (
        {"variable": "meter", "above": 3, "rate_per": "2m", "counter": False},
        [10, 12, 14, 16, 1, 3, 5],
        ["1 unknown no_rate", "3 triggered", "5 clear", "7 triggered"],
    ),
    "an increase is exact at a limit": (
        {"variable": "meter", "above": 0.3, "rate_per": "2m"},
        [0.9, 1.1, 0.2, 0.3],
        ["1 unknown no_rate", "4 clear"],
    ),
    "the worst level reached is the severity": (
        {"above": None, "levels": LEVELS},
        [200, 220, 240, 212, 209],
        ["1 clear", "2 triggered", "3 triggered critical", "4 triggered", "5 clear"],
    ),
    "stale data are unknown": (
        {"stale_after": "3m"},
        {1: 200, 9: 200},
        ["1 clear", "4 unknown stale", "9 clear"],
    ),
    "stale data are an alert": (
        {"stale_after": "3m", "no_data": "alert"},
        {1: 200, 9: 200},
        ["1 clear", "4 triggered stale", "9 clear"],
    ),
    "stale data are ignored": (
        {"stale_after": "3m", "no_data": "ignore"},
        {1: 200, 9: 200},
        ["1 clear"],
    ),
    "frozen data are unknown": (FROZEN, [200] * 8, ["1 clear", "4 unknown frozen"]),
    "frozen data are an alert": (
        FROZEN | {"no_data": "alert"},
        [200] * 8,
        ["1 clear", "4 triggered frozen"],
    ),
    "impossible values are unknown": (
        FROZEN,
        IN_RANGE_AT_FIRST,
        ["1 clear", "4 unknown out_of_range"],
    ),
    "impossible values are an alert": (
        {"no_data": "alert"},
        IN_RANGE_AT_FIRST,
        ["1 clear", "4 triggered out_of_range"],
    ),
    "impossible values are values like others": (
        {"no_data": "ignore"},
        IN_RANGE_AT_FIRST,
        ["1 clear", "4 triggered"],
    ),
    "a sensor that never spoke is missing only after it could have": (
        {"no_data": "alert", "stale_after": "3m"},
        {},
        ["3 triggered stale"],
    ),
}
BAD_IS_UNKNOWN = ["1 clear", "3 unknown bad_quality", "5 clear"]
TWO_BAD = {1: 200, 2: 200, 3: (900, "bad"), 4: (900, "bad"), 5: 200}
# a sample beside its quality
TABLE |= {
    "from a bad sample on it is unknown what holds": ({}, TWO_BAD, BAD_IS_UNKNOWN),
    "also where missing data are ignored": ({"no_data": "ignore"}, TWO_BAD, BAD_IS_UNKNOWN),
    "a bad sample may be an alert": (
        {"no_data": "alert"},
        TWO_BAD,
        ["1 clear", "3 triggered bad_quality", "5 clear"],
    ),
    "after a bad sample data get stale like after any other": (
        {"stale_after": "3m"},
        {1: 200, 2: (200, "bad")},
        ["1 clear", "2 unknown bad_quality", "5 unknown stale"],
    ),
    "uncertain samples count like good ones": (
        {},
        {1: 200, 2: (230, "uncertain"), 3: (230, "uncertain"), 4: 200},
        ["1 clear", "2 triggered", "4 clear"],
    ),
    "a rate is taken from the last value that was not bad": (
        {"above": 9, "rate_per": "2m"},
        {1: 200, 2: (900, "bad"), 3: 210},
        ["1 unknown no_rate", "2 unknown bad_quality", "3 triggered"],
    ),
    "bad samples are none of the last readings that are counted": (
        {"at_least": {"readings": 2, "of": 2}},
        {1: 230, 2: (0, "bad"), 3: (0, "bad"), 4: 230},
        ["1 clear", "2 unknown bad_quality", "4 triggered"],
    ),
}


def evaluated(fields, readings):
    """Return a definition and the evaluation of readings of its variable."""
    definition = threshold(**{"stale_after": "1h", **fields})
    if not isinstance(readings, dict):
        readings = dict(enumerate(readings, 1))
    samples = [one if isinstance(one, tuple) else (one, "good") for one in readings.values()]
    data = history([*readings], OVEN, **{definition.variable: [value for value, _ in samples]})
    data = with_quality(data, definition.variable, [quality for _, quality in samples])
    return definition, evaluate_values(definition, data, None, at(0), at(max([*readings, 9])))


def course(fields, readings):
    """Return from which minute on which status holds, without the time before the first reading,
    and without the severity of an alert of one level."""
    _, judged = evaluated(fields, readings)
    told = [
        (f"{(s.start - at(0)) / timedelta(minutes=1):.0f}", s.status, s.severity, s.fact)
        for s in judged.intervals
        if s.fact != "waiting"
    ]
    return [" ".join(part for part in one if part not in (None, "medium")) for one in told]


def test_readings_give_statuses():
    found = {what: course(*row[:2]) for what, row in TABLE.items()}
    assert found == {what: expected for what, (*_, expected) in TABLE.items()}
    rate = evaluated(*TABLE["a rate is the change since the value that held so long ago"][:2])[1]
    assert [rate.reading_at(at(minute)).evaluated for minute in (3, 4, 8)] == [7.0, 4.0, 11.5]


def test_statuses_raise_and_close():
    """An alarm that is held for ever is raised once; unknown resets what is pending, and closes
    nothing; a bad sample neither raises nor clears."""
    table = {
        ("1m", "2m"): [230.0] * 60,
        ("59m", "2m"): [230.0] * 60,
        ("5m", "2m"): {1: 230, 2: 230, 9: 230, 10: 230},
        ("0s", "2m"): [230.0],
        ("2m", "1h"): [230, (100, "bad"), 230, 230, 230, (100, "bad")],
    }

    def life(hold, stale_after, readings):
        fields = {"for": hold, "stale_after": stale_after}
        definition, judged = evaluated(fields, readings)
        state, steps = advance(
            ConditionState(at(0)), judged.intervals, definition.hold, timedelta(0)
        )
        kept = [(step.kind, step.at) for step in steps if step.kind != "renewed"]
        return kept, state.pending_since

    assert {fields: life(*fields, readings) for fields, readings in table.items()} == {
        ("1m", "2m"): ([("raised", at(2))], None),
        ("59m", "2m"): ([("raised", at(60))], None),
        ("5m", "2m"): ([], at(9)),
        ("0s", "2m"): ([("raised", at(1))], None),
        ("2m", "1h"): ([("raised", at(5))], None),
    }


VALUES = [
    BAD,
    200.0,
    212.0,
    220.0,
    235.0,
    999.0,
    0.0,
    -0.0,
    float("nan"),
    float("inf"),
    float("-inf"),
]
GAPS = st.sampled_from([1, 1, 1, 1, 2, 9])
READINGS = st.lists(st.tuples(GAPS, st.sampled_from(VALUES)), min_size=5, max_size=25)
CUTS = st.lists(st.integers(1, 60), max_size=6)
CONDITIONS = st.sampled_from(
    [
        {"clear_above_at": 210},
        {"below": 200, "clear_below_at": 212},
        {"above": None, "inside": {"low": 210, "high": 230}},
        {
            "above": None,
            "inside": {"low": 210, "high": 215},
            "clear_outside": {"low": 205, "high": 225},
        },
        {
            "above": None,
            "outside": {"low": 210, "high": 230},
            "clear_inside": {"low": 214, "high": 216},
        },
        {"above": None, "equals": 212, "clear_outside": {"low": 200, "high": 220}},
        {"above": None, "outside": {"low": 210, "high": 230}, "clear_below_at": 215},
        {"above": None, "equals": 0},
        {"above": {"attribute": "limit"}},
        {
            "above": None,
            "levels": {
                "medium": {"above": 210},
                "high": {"above": 215, "below": 0},
                "critical": {"above": 230},
            },
        },
        {
            "above": None,
            "levels": {"low": {"above": 200, "clear_above_at": 100}, "critical": {"above": 212}},
        },
    ]
)
FIELDS = st.fixed_dictionaries(
    {
        "for": st.sampled_from(["0s", "3m", "12m"]),
        "clear_for": st.sampled_from(["0s", "4m"]),
        "stale_after": st.sampled_from(["1m", "7m", "3h"]),
        "no_data": st.sampled_from(["hold", "alert"]),
    },
    optional={
        "rate_per": st.sampled_from(["1m", "5m"]),
        "counter": st.sampled_from([True, False]),
        "at_least": st.sampled_from(
            [{"readings": 2, "of": 3}, {"readings": 1, "of": 4}, {"readings": 5, "of": 5}]
        ),
        "frozen_after": st.sampled_from(["13m", "25m"]),
    },
)
TIMES = st.sampled_from(["0s", "2m", "9m", "20m"])
STATES = ["running", "stopped", "cleaning", None, BAD]


@settings(max_examples=50, deadline=None)
@given(READINGS, CUTS, CONDITIONS, FIELDS)
def test_live_in_any_chunks_gives_the_episodes_of_one_batch(readings, cuts, condition, fields):
    expect_same_for_numbers(readings, cuts, condition, fields)


@settings(max_examples=40, deadline=None)
@given(
    READINGS,
    CUTS,
    st.tuples(TIMES, TIMES, TIMES),
    st.sampled_from(["hold", "alert", "ignore", "clear"]),
    st.sampled_from(["0s", "4m"]),
)
def test_severities_with_times_of_their_own_in_any_chunks_give_the_episodes_of_one_batch(
    readings, cuts, times, policy, clear_for
):
    limits = {
        "low": {"above": 205, "below": 100},
        "high": {"above": 215},
        "critical": {"above": 230, "below": 0},
    }
    levels = {name: {**limits[name], "for": t} for name, t in zip(limits, times, strict=True)}
    fields = {"no_data": policy, "stale_after": "7m", "clear_for": clear_for}
    expect_same_for_numbers(readings, cuts, {"above": None, "levels": levels}, fields)


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.tuples(GAPS, st.sampled_from(STATES)), min_size=5, max_size=20),
    CUTS,
    st.sampled_from(["hold", "alert", "ignore", "clear"]),
    st.booleans(),
)
def test_states_in_any_chunks_give_the_episodes_of_one_batch(readings, cuts, policy, counted):
    expect_same_for_states(readings, cuts, policy, counted)


HOT = {"variable": "temperature", "above": 215, "clear_above_at": 205}
MOIST = {"variable": "moisture", "above": 4.5, "stale_after": "20m"}
RYE = {"variable": "recipe", "equals": "rye", "no_data": "ignore"}
SEVERAL = st.sampled_from(
    [
        {"all": [HOT, MOIST]},
        {"any": [HOT, MOIST, RYE]},
        {
            "all": [
                RYE,
                {
                    "any": [
                        HOT,
                        {"variable": "temperature", "below": 200},
                        {"variable": "moisture", "below": 1},
                    ]
                },
            ]
        },
        {
            "any": [
                {"all": [RYE, MOIST]},
                {"variable": "temperature", "above": 5, "rate_per": "5m", "no_data": "hold"},
            ]
        },
    ]
)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            GAPS,
            st.sampled_from([None, BAD, 190.0, 210.0, 220.0, 999.0]),
            st.sampled_from([None, None, BAD, 0.0, 4.0, 5.0]),
            st.sampled_from([None, None, BAD, "rye", "wheat"]),
        ),
        min_size=5,
        max_size=25,
    ),
    CUTS,
    SEVERAL,
    st.fixed_dictionaries(
        {
            "for": st.sampled_from(["0s", "3m"]),
            "clear_for": st.sampled_from(["0s", "4m"]),
            "stale_after": st.sampled_from(["2m", "7m"]),
            "no_data": st.sampled_from(["hold", "alert", "ignore", "clear"]),
        }
    ),
)
def test_conditions_of_several_variables_in_any_chunks_give_the_episodes_of_one_batch(
    readings, cuts, conditions, fields
):
    expect_same_for_several(readings, cuts, conditions, fields)
