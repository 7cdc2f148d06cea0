"""Live in any chunks gives the episodes of one batch, for any readings, limits and fields of a
threshold."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerting.definitions.assets import Variable
from alerting.detection.threshold import evaluate_values
from alerting.episodes.lifecycle import ConditionState, advance
from tests.builders import at, history, oven, threshold, with_quality
from tests.helpers.threshold_in_chunks import (
    BAD,
    expect_same_for_numbers,
    expect_same_for_several,
    expect_same_for_states,
)

pytestmark = pytest.mark.fast


def spans(judged):
    return [(s.status, s.start, s.end) for s in judged.intervals]


def test_every_reading_is_judged_a_short_spike_between_two_ticks_is_seen():
    judged = evaluate_values(
        threshold(), history([1, 2, 3], temperature=[210, 230, 210]), None, at(0), at(5)
    )
    assert [s for s, *_ in spans(judged)] == ["unknown", "clear", "triggered", "clear"]
    assert spans(judged)[2][1:] == (at(2), at(3))


def test_a_value_holds_until_it_is_stale_then_the_status_is_unknown():
    judged = evaluate_values(
        threshold(stale_after="3m"), history([1, 10], temperature=[230, 230]), None, at(0), at(11)
    )
    assert spans(judged)[1:3] == [("triggered", at(1), at(4)), ("unknown", at(4), at(10))]


def test_missing_values_are_no_readings_and_never_clear():
    judged = evaluate_values(
        threshold(), history([1, 2, 3], temperature=[230, np.nan, 230]), None, at(0), at(4)
    )
    assert [s for s, *_ in spans(judged)] == ["unknown", "triggered"]


def test_no_readings_at_all_are_unknown():
    assert [
        s for s, *_ in spans(evaluate_values(threshold(), history([]), None, at(0), at(5)))
    ] == ["unknown"]


@pytest.mark.parametrize(
    ("limit", "value", "status"),
    [(0, 0.0, "clear"), (0, -0.0, "clear"), (0, 1e-9, "triggered"), (-1, 0, "triggered")],
)
def test_a_limit_or_value_of_zero_is_a_number_like_any_other(limit, value, status):
    judged = evaluate_values(
        threshold(above=limit), history([1], temperature=[value]), None, at(0), at(1)
    )
    assert judged.intervals[-1].status == status


def test_between_limit_and_clear_limit_the_status_before_is_kept():
    definition = threshold(above=215, clear_above_at=210)
    judged = evaluate_values(
        definition,
        history([1, 2, 3, 4, 5], temperature=[212, 216, 212, 210, 212]),
        None,
        at(0),
        at(5),
    )
    assert [(s, a) for s, a, _ in spans(judged)][1:] == [
        ("clear", at(1)),
        ("triggered", at(2)),
        ("clear", at(4)),
    ]


INSIDE = {
    "above": None,
    "inside": {"low": 210, "high": 220},
    "clear_outside": {"low": 205, "high": 225},
}


def test_a_band_is_over_only_outside_of_the_wider_one():
    values = [200, 207, 210, 225, 205, 226, 222, 215]
    judged = evaluate_values(
        threshold(**INSIDE), history(range(1, 9), temperature=values), None, at(0), at(8)
    )
    expected = [("clear", at(1)), ("triggered", at(3)), ("clear", at(6)), ("triggered", at(8))]
    assert [(s, a) for s, a, _ in spans(judged)][1:] == expected


def test_an_equal_number_is_over_only_outside_of_its_band():
    definition = threshold(above=None, equals=0, clear_outside={"low": -1, "high": 1})
    judged = evaluate_values(
        definition, history(range(1, 6), temperature=[0.5, 0.0, 0.9, -1.0, 1.1]), None, at(0), at(5)
    )
    assert [(s, a) for s, a, _ in spans(judged)][1:] == [
        ("clear", at(1)),
        ("triggered", at(2)),
        ("clear", at(5)),
    ]


def test_what_is_outside_of_a_band_is_over_only_inside_of_narrower_one_from_the_side_where_it_was():
    bands = {"outside": {"low": 210, "high": 230}, "clear_inside": {"low": 215, "high": 225}}
    values = [240, 228, 225, 212, 200, 212, 215, 240, 212]
    data = history(range(1, 10), temperature=values)
    judged = evaluate_values(threshold(above=None, **bands), data, None, at(0), at(9))
    expected = [
        ("triggered", 1),
        ("clear", 3),
        ("triggered", 5),
        ("clear", 7),
        ("triggered", 8),
        ("clear", 9),
    ]
    assert [(s, a) for s, a, _ in spans(judged)][1:] == [
        (status, at(minute)) for status, minute in expected
    ]
    twin = threshold(above=None, outside=bands["outside"], clear_below_at=215, clear_above_at=225)
    assert evaluate_values(twin, data, None, at(0), at(9)).intervals == judged.intervals


def test_ends_of_the_bands_may_stand_on_the_asset():
    definition = threshold(
        **{**INSIDE, "clear_outside": {"low": {"attribute": "low"}, "high": 225}}
    )
    data = history([1, 2], temperature=[215, 207])
    stated = replace(data, asset=data.asset.model_copy(update={"attributes": {"low": 206.0}}))
    assert [s for s, *_ in spans(evaluate_values(definition, stated, None, at(0), at(2)))][1:] == [
        "triggered"
    ]
    assert [s.fact for s in evaluate_values(definition, data, None, at(0), at(2)).intervals] == [
        "no_limit"
    ]


def test_below_and_above_together_mean_outside():
    definition = threshold(above=215, below=190)
    judged = evaluate_values(
        definition, history([1, 2, 3], temperature=[180, 200, 220]), None, at(0), at(3)
    )
    assert [s for s, *_ in spans(judged)][1:] == ["triggered", "clear", "triggered"]


def test_inside_a_band_both_ends_belong_to_it():
    definition = threshold(above=None, inside={"low": 190, "high": 215})
    judged = evaluate_values(
        definition, history([1, 2, 3, 4], temperature=[189, 190, 215, 216]), None, at(0), at(4)
    )
    assert [(s, a) for s, a, _ in spans(judged)][1:] == [
        ("clear", at(1)),
        ("triggered", at(2)),
        ("clear", at(4)),
    ]


def test_outside_a_band_is_below_and_above_and_knows_clear_limits():
    band = threshold(above=None, outside={"low": 190, "high": 215}, clear_above_at=210)
    limits = threshold(above=215, below=190, clear_above_at=210)
    data = history(range(1, 8), temperature=[180, 190, 212, 215, 216, 212, 209])
    assert (
        evaluate_values(band, data, None, at(0), at(9)).intervals
        == evaluate_values(limits, data, None, at(0), at(9)).intervals
    )


@pytest.mark.parametrize(
    ("kind", "equals", "values", "hits"),
    [
        ("number", 0, [0.0, -0.0, 1.0, np.nan], [True, True, False]),
        ("boolean", True, [1.0, 0.0], [True, False]),
        ("boolean", False, [1.0, 0.0], [False, True]),
        ("category", "stopped", ["running", "stopped", None, "stopped"], [False, True, True]),
    ],
)
def test_equals_is_for_states_of_every_type(kind, equals, values, hits):
    asset = oven(state=Variable(type=kind))
    data = history(range(1, len(values) + 1), asset=asset, state=values)
    judged = evaluate_values(
        threshold(variable="state", above=None, equals=equals), data, None, at(0), at(len(values))
    )
    there = [m for m, v in enumerate(values, 1) if v is not None and not pd.isna(v)]
    assert [status_at(judged, at(m)) == "triggered" for m in there] == hits


def status_at(judged, instant):
    return next(s.status for s in judged.intervals if s.start <= instant < s.end)


def test_at_least_two_of_three_readings_trigger_and_a_hole_begins_anew():
    definition = threshold(at_least={"readings": 2, "of": 3}, stale_after="5m")
    minutes = [1, 2, 3, 4, 5, 6, 20, 21]
    values = [230, 200, 230, 200, 200, 230, 230, 230]
    judged = evaluate_values(definition, history(minutes, temperature=values), None, at(0), at(21))
    assert [status_at(judged, at(m)) for m in minutes] == [
        "clear",
        "clear",
        "triggered",
        *["clear"] * 4,
        "triggered",
    ]


def test_a_rate_is_the_change_since_the_value_that_held_so_long_ago():
    definition = threshold(above=5, rate_per="2m", stale_after="10m")
    data = history([1, 2, 3, 4, 8], temperature=[200, 203, 207, 207, 230])
    judged = evaluate_values(definition, data, None, at(0), at(8))
    assert [status_at(judged, at(m)) for m in (1, 2, 3, 4, 8)] == [
        "unknown",
        "unknown",
        "triggered",
        "clear",
        "triggered",
    ]
    assert judged.intervals[1].fact == "no_rate"
    assert [judged.reading_at(at(m)).evaluated for m in (3, 4, 8)] == [7.0, 4.0, 11.5]


def test_a_rate_is_not_taken_across_a_hole_in_the_data():
    definition = threshold(above=5, rate_per="2m", stale_after="3m")
    judged = evaluate_values(
        definition, history([1, 30, 32], temperature=[100, 200, 201]), None, at(0), at(32)
    )
    assert [s.fact for s in judged.intervals if s.start >= at(30)] == ["no_rate", None]


def test_the_worst_level_reached_is_the_severity():
    definition = threshold(
        above=None,
        levels={"medium": {"above": 215, "clear_above_at": 210}, "critical": {"above": 230}},
    )
    judged = evaluate_values(
        definition, history(range(1, 6), temperature=[200, 220, 240, 212, 209]), None, at(0), at(5)
    )
    found = [(s.status, s.severity) for s in judged.intervals[1:]]
    assert found == [
        ("clear", None),
        ("triggered", "medium"),
        ("triggered", "critical"),
        ("triggered", "medium"),
        ("clear", None),
    ]


def test_limits_may_stand_on_the_asset_and_where_they_are_missing_all_is_unknown():
    definition = threshold(above={"attribute": "max_temperature"})
    data = history([1, 2], temperature=[210, 230])
    stated = replace(
        data, asset=data.asset.model_copy(update={"attributes": {"max_temperature": 220.0}})
    )
    assert [s.status for s in evaluate_values(definition, stated, None, at(0), at(2)).intervals][
        1:
    ] == ["clear", "triggered"]
    assert [
        (s.status, s.fact) for s in evaluate_values(definition, data, None, at(0), at(2)).intervals
    ] == [("unknown", "no_limit")]


MISSING = [
    ("stale", {"stale_after": "3m"}, [1, 9], [200, 200], 4),
    ("frozen", {"frozen_after": "3m"}, range(1, 9), [200] * 8, 4),
    (
        "out_of_range",
        {"frozen_after": "3m"},
        range(1, 9),
        [200, 200, 200, 900, 900, 900, 900, 900],
        4,
    ),
]


@pytest.mark.parametrize(("fact", "fields", "minutes", "values", "since"), MISSING)
@pytest.mark.parametrize(
    ("policy", "status"), [("hold", "unknown"), ("alert", "triggered"), ("ignore", None)]
)
def test_what_is_the_matter_with_the_data_is_a_fact_of_its_own(
    fact, fields, minutes, values, since, policy, status
):
    if policy == "ignore":
        fields = {k: v for k, v in fields.items() if k != "frozen_after"}
    data = history(minutes, asset=oven(temperature=Variable(low=0, high=500)), temperature=values)
    judged = evaluate_values(threshold(no_data=policy, **fields), data, None, at(0), at(8))
    marked = [(s.status, s.start) for s in judged.intervals if s.fact == fact]
    assert marked == ([] if status is None else [(status, at(since))])
    assert {s.fact for s in judged.intervals} <= {None, "waiting", fact}


def of_quality(qualities, values, minutes=None, **variables):
    data = history(
        minutes or range(1, len(values) + 1), asset=oven(**variables), temperature=values
    )
    return with_quality(data, "temperature", qualities)


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("hold", [("clear", None, 1), ("unknown", "bad_quality", 3), ("clear", None, 5)]),
        ("ignore", [("clear", None, 1), ("unknown", "bad_quality", 3), ("clear", None, 5)]),
        ("alert", [("clear", None, 1), ("triggered", "bad_quality", 3), ("clear", None, 5)]),
    ],
)
def test_from_a_bad_sample_on_it_is_unknown_what_holds_until_the_next_one_that_is_not_bad(
    policy, expected
):
    data = of_quality([None, None, "bad", "bad", None], [200.0, 200.0, 900.0, 900.0, 200.0])
    intervals = evaluate_values(threshold(no_data=policy), data, None, at(0), at(5)).intervals[1:]
    assert [(s.status, s.fact, s.start) for s in intervals] == [
        (status, fact, at(m)) for status, fact, m in expected
    ]


def test_a_bad_sample_neither_raises_nor_clears_and_begins_a_pending_condition_anew():
    definition = threshold(**{"for": "2m"})
    data = of_quality(
        [None, "bad", None, None, None, "bad"], [230.0, 100.0, 230.0, 230.0, 230.0, 100.0]
    )
    state, steps = advance(
        ConditionState(at(0)),
        evaluate_values(definition, data, None, at(0), at(9)).intervals,
        definition.hold,
        timedelta(0),
    )
    assert [(s.kind, s.at) for s in steps] == [("raised", at(5))]
    assert state.raised_at == at(5)


def test_after_a_bad_sample_data_get_stale_like_after_any_other():
    judged = evaluate_values(
        threshold(stale_after="3m"), of_quality([None, "bad"], [200.0, 200.0]), None, at(0), at(9)
    )
    assert [(s.fact, s.start) for s in judged.intervals[2:]] == [
        ("bad_quality", at(2)),
        ("stale", at(5)),
    ]


def test_uncertain_samples_count_like_good_ones():
    values = [200.0, 230.0, 230.0, 200.0]
    good = of_quality([None] * 4, values)
    uncertain = of_quality([None, "uncertain", "uncertain", None], values)
    assert (
        evaluate_values(threshold(), uncertain, None, at(0), at(5)).intervals
        == evaluate_values(threshold(), good, None, at(0), at(5)).intervals
    )


def test_a_rate_is_taken_from_the_last_value_that_was_not_bad():
    definition = threshold(above=9, rate_per="2m")
    data = of_quality([None, "bad", None], [200.0, 900.0, 210.0])
    judged = evaluate_values(definition, data, None, at(0), at(3))
    assert [(s.status, s.fact) for s in judged.intervals] == [
        ("unknown", "waiting"),
        ("unknown", "no_rate"),
        ("unknown", "bad_quality"),
        ("triggered", None),
    ]


def test_bad_samples_are_none_of_the_last_readings_that_are_counted():
    definition = threshold(at_least={"readings": 2, "of": 2})
    data = of_quality([None, "bad", "bad", None], [230.0, 0.0, 0.0, 230.0])
    assert evaluate_values(definition, data, None, at(0), at(4)).intervals[-1].status == "triggered"


def test_a_sensor_that_never_spoke_is_missing_only_after_it_could_have():
    judged = evaluate_values(
        threshold(no_data="alert", stale_after="3m"), history([]), None, at(0), at(9)
    )
    assert [(s.status, s.fact, s.end) for s in judged.intervals] == [
        ("unknown", "waiting", at(3)),
        ("triggered", "stale", at(9) + timedelta(milliseconds=1)),
    ]


NUMBERS = [
    (1, 200.0),
    (1, 220.0),
    (2, 212.0),
    (1, BAD),
    (1, 235.0),
    (9, 999.0),
    (1, float("nan")),
    (1, 209.0),
    (2, 0.0),
    (1, 216.0),
]


def test_a_condition_held_for_ever_is_raised_once():
    for hold in ("0s", "1m", "59m"):
        definition = threshold(**{"for": hold}, stale_after="2m")
        data = history(range(1, 61), temperature=[230.0] * 60)
        judged = evaluate_values(definition, data, None, at(0), at(61))
        _, steps = advance(
            ConditionState(at(0)), judged.intervals, definition.hold, definition.clear_for
        )
        assert [s.kind for s in steps] == ["raised"]
        assert steps[0].at == at(1) + definition.hold


def test_unknown_resets_a_pending_condition():
    definition = threshold(**{"for": "5m"}, stale_after="2m")
    data = history([1, 2, 9, 10], temperature=[230.0] * 4)
    judged = evaluate_values(definition, data, None, at(0), at(11))
    state, steps = advance(ConditionState(at(0)), judged.intervals, definition.hold, timedelta(0))
    assert steps == []
    assert state.pending_since == at(9)


def test_unknown_neither_closes_an_open_episode():
    definition = threshold(stale_after="2m")
    judged = evaluate_values(definition, history([1], temperature=[230.0]), None, at(0), at(30))
    state, steps = advance(ConditionState(at(0)), judged.intervals, definition.hold, timedelta(0))
    assert [s.kind for s in steps] == ["raised"]
    assert state.raised_at == at(1)


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
