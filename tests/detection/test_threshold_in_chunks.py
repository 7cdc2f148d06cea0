"""Live in any chunks gives the episodes of one batch, for any readings, limits and fields of a
threshold."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.threshold_in_chunks import (
    BAD,
    expect_same_for_numbers,
    expect_same_for_several,
    expect_same_for_states,
)

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
        "at_least": st.sampled_from(
            [{"readings": 2, "of": 3}, {"readings": 1, "of": 4}, {"readings": 5, "of": 5}]
        ),
        "frozen_after": st.sampled_from(["13m", "25m"]),
    },
)
STATES = ["running", "stopped", "cleaning", None, BAD]


@settings(max_examples=50, deadline=None)
@given(READINGS, CUTS, CONDITIONS, FIELDS)
def test_live_in_any_chunks_gives_the_episodes_of_one_batch(readings, cuts, condition, fields):
    expect_same_for_numbers(readings, cuts, condition, fields)


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.tuples(GAPS, st.sampled_from(STATES)), min_size=5, max_size=20),
    CUTS,
    st.sampled_from(["hold", "alert", "ignore"]),
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
            "no_data": st.sampled_from(["hold", "alert", "ignore"]),
        }
    ),
)
def test_conditions_of_several_variables_in_any_chunks_give_the_episodes_of_one_batch(
    readings, cuts, conditions, fields
):
    expect_same_for_several(readings, cuts, conditions, fields)
