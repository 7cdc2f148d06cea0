"""Moving many pairs on together says exactly what judging each of them reading by reading says."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from alerting.definitions.asset_documents import Variable
from alerting.definitions.threshold_limits import severities
from alerting.detection.carried_reading import Carried
from alerting.detection.threshold_batch import (
    LimitColumns,
    ending_message,
    evaluate_unchanged,
    limits_of,
)
from alerting.episodes.evaluation_plan import ConditionTable, advance_states, find_unchanged
from alerting.episodes.lifecycle import ConditionState
from alerting.kinds.protocol import TargetEvaluation, VersionInterval
from alerting.kinds.threshold.kind import evaluate_threshold_interval
from alerting.readings.history import millis, to_millis
from alerting.readings.variable_series import pack, series_of, summarise_windows
from tests.builders import at, history, oven, revision, threshold

ASSET = oven(temperature=Variable(low=-50, high=500)).model_copy(
    update={"attributes": {"limit": 211.0}}
)
VALUES = [
    200.0,
    211.0,
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
RUNS = st.lists(
    st.tuples(st.sampled_from(VALUES), st.integers(1, 12), st.sampled_from([0, 1, 5])),
    min_size=1,
    max_size=8,
)
CONDITIONS = st.sampled_from(
    [
        {},
        {"clear_above_at": 210},
        {"above": None, "below": 200},
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
        {"above": None, "equals": 235},
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
        {"above": None, "levels": {"high": {"above": 215, "clear_above_at": 205}}},
    ]
)
FIELDS = st.fixed_dictionaries(
    {
        "for": st.sampled_from(["0s", "0s", "3m"]),
        "clear_for": st.sampled_from(["0s", "4m"]),
        "stale_after": st.sampled_from(["1m", "7m", "3h"]),
        "no_data": st.sampled_from(["hold", "alert", "ignore"]),
        "severity": st.sampled_from(["medium", "critical"]),
    },
    optional={"frozen_after": st.sampled_from(["13m", "25m"])},
)


def one_by_one(definition, data, state, start, end):
    """The state after a stretch, judged reading by reading, and whether anything was raised,
    changed or closed."""
    part = VersionInterval(start, end, revision(definition), None)
    judged = evaluate_threshold_interval(
        definition, data.asset, series_of(definition, data), TargetEvaluation(state), part
    )
    count = state.unknown_count + 1 if judged.unknown else 0
    return replace(judged.state, unknown_count=count, unknown_reason=judged.unknown), judged.steps


def together(definition, data, states, start, end):
    """Return which of these states stay as they are over the stretch, and the states after it."""
    table = ConditionTable([("too-hot", f"oven-{i}") for i in range(len(states))])
    rows = len(states)
    for row, state in enumerate(states):
        table.write_state(row, state)
    begin = np.full(rows, to_millis(start) + 1)
    stop = np.full(rows, to_millis(end) + 1)
    packed = pack(
        [(millis(data.readings.index), data.readings["temperature"].to_numpy(np.float64))]
    )
    of = [severities(definition)] * rows
    seen = summarise_windows(packed, np.zeros(rows, np.int64), begin, stop)
    limits = LimitColumns([limits_of(definition, data.asset)] * rows)
    found = evaluate_unchanged(limits, table.carried_columns(of), seen, begin, stop)
    unknown = ending_message(found, [definition.variable] * rows, limits)
    return find_unchanged(table, of, found), advance_states(table, found, unknown, stop - 1)


def expect_equal_walks(definition, data, instants):
    """Hold both ways against each other from instant to instant; returns how often a pair stayed as
    it was."""
    state = ConditionState(at(instants[0]))
    stayed = 0
    if len(severities(definition)) == 1:  # it waits for its first reading
        state = replace(state, carried=Carried(definition.variable, at(instants[0]), None))
    for start, end in pairwise(instants):
        after, steps = one_by_one(definition, data, state, at(start), at(end))
        if state.carried is not None:
            (stays,), moved = together(definition, data, [state], at(start), at(end))
            if stays:
                assert steps == []
                assert moved.state(0) == after
            stayed += stays
        state = after
    return stayed


def readings(runs):
    minutes = []
    values = []
    now = 0
    for value, count, pause in runs:
        now += pause
        for _ in range(count):
            now += 1
            minutes.append(now)
            values.append(value)
    return history(minutes, asset=ASSET, temperature=values)


@settings(max_examples=80, deadline=None)
@given(RUNS, st.sampled_from([1, 2, 5, 17]), CONDITIONS, FIELDS)
def test_what_moves_on_together_is_where_judging_reading_by_reading_leads(
    runs, step, condition, fields
):
    if fields["no_data"] == "ignore":
        fields = {k: v for k, v in fields.items() if k != "frozen_after"}
    data = readings(runs)
    expect_equal_walks(threshold(**condition, **fields), data, range(0, 91, step))


WIDE = {"low": 100, "high": 300}
NARROW = {"above": None, "inside": {"low": 199, "high": 200}, "clear_outside": WIDE}
WITHIN = [200.0] * 3 + [150.0, 250.0] * 30
LEVELS = {"medium": {"above": 210}, "high": {"above": 215}}
OUTSIDE = {"low": 300, "high": 400}
STEADY = [
    ({}, [200.0, 201.0] * 30, 56),
    ({"clear_above_at": 210}, [200.0] * 20 + [212.0] * 40, 56),
    ({"clear_above_at": 210}, [230.0] * 20 + [212.0] * 40, 56),
    ({"above": None, "below": 250}, [200.0] * 60, 56),
    ({"above": None, "inside": WIDE}, [200.0] * 60, 56),
    (NARROW, WITHIN, 56),
    (NARROW, [250.0] * 60, 56),
    ({"above": None, "equals": 200, "clear_outside": WIDE}, WITHIN, 56),
    (
        {"above": None, "outside": OUTSIDE, "clear_inside": {"low": 320, "high": 380}},
        [310.0] * 60,
        56,
    ),
    ({"above": None, "equals": 200}, [200.0] * 60, 56),
    ({"above": None, "levels": LEVELS}, [200.0] * 60, 56),
    ({"stale_after": "5m"}, [200.0] * 10, 40),
    ({"stale_after": "5m", "no_data": "alert"}, [200.0] * 10, 40),
    ({"frozen_after": "2h"}, [200.0] * 60, 56),
]


def test_what_stays_as_it_is_is_seen_to_stay():
    stayed = []
    for fields, values, least in STEADY:
        data = history(range(1, len(values) + 1), asset=ASSET, temperature=values)
        found = expect_equal_walks(threshold(**fields), data, range(60))
        stayed.append((fields, found >= least))
    assert stayed == [(fields, True) for fields, _, _ in STEADY]


EVERY = [
    {"rate_per": "5m"},
    {"at_least": {"readings": 2, "of": 3}},
    {"above": {"attribute": "other"}},
]


def test_what_needs_every_reading_is_left_to_judging_one_by_one():
    assert [limits_of(threshold(**fields), ASSET) for fields in EVERY] == [None] * 3
