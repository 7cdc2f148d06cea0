from dataclasses import replace
from datetime import timedelta

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from alerting.definitions.alert_definition import Problem
from alerting.definitions.asset_documents import EventType, Variable
from alerting.detection.problem_occurrences import (
    find_occurrences,
    find_problems,
    match_names,
    predicts,
    problem_delay,
    problem_lookback,
    problem_samples,
)
from alerting.kinds.classifier.definition import ClassifierDefinition
from alerting.learning.features.point_in_time import point_in_time_view
from alerting.readings.history import to_millis
from tests.builders import at, history, oven

MOIST = Problem.model_validate({"variable": "moisture", "above": 4.5, "for": "5m"})


MOISTURE = [4, 5, 4.4, 5, 4.3, 4.1, 4.4, 5, 4.2, 4.3]
RUNS = [4, 5, 5, 4, 4, 5, 4, 4, 5, 5, 4, 4, 4, 4, 5, 5, 4]
BOTH = {
    "all": [
        {"variable": "moisture", "above": 4.5, "stale_after": "3m"},
        {"variable": "temperature", "below": 180},
    ]
}
EVENTS = [
    ("failure-b", 5, 5),
    ("failure-c", 5, 5),
    ("stop", 6, 8),
    ("failure-b", 7, 12),
    ("failure-c", 9, 10),
    ("failure-d", 12, 13),
    ("failure-b", 20, None),
    ("failure-c", 30, 31),
]
UNKNOWN = None
# problem, moisture of each minute, temperature, and of each problem its start, end and when it is
# known
TABLE = {
    "it counts when it has held long enough": (
        {"above": 4.5, "for": "5m"},
        [4, 5, 5, 4, 5, 5, 5, 5, 5, 5, 5, 4],
        [(4, 11, 9)],
    ),
    "it has no end while it goes on": (
        {"above": 4.5, "for": "5m"},
        [4, 5, 5, 5, 5, 5, 5, 5],
        [(1, UNKNOWN, 6)],
    ),
    "without clear it ends at its limit": (
        {"above": 4.5},
        MOISTURE,
        [(1, 2, 1), (3, 4, 3), (7, 8, 7)],
    ),
    "clear may be the limit": (
        {"above": 4.5, "clear": 4.5},
        MOISTURE,
        [(1, 2, 1), (3, 4, 3), (7, 8, 7)],
    ),
    "with clear it is over only at it": (
        {"above": 4.5, "clear": 4.2},
        MOISTURE,
        [(1, 5, 1), (7, 8, 7)],
    ),
    "clear may be a difference": (
        {"above": 4.5, "clear": {"difference": 0.3}},
        MOISTURE,
        [(1, 5, 1), (7, 8, 7)],
    ),
    "a difference is one to both limits": (
        {"above": 4.5, "below": 3.5, "clear": {"difference": 0.3}},
        [4, 5, 4.3, 3.4, 3.6, 3.8],
        [(1, 5, 1)],
    ),
    "problems nearer than merge_within are one, and runs that did not last are none": (
        {"above": 4.5, "merge_within": "6m", "for": "2m"},
        RUNS,
        [(1, 16, 3)],
    ),
    "the second begins 5 min after the first": (
        {"above": 4.5, "merge_within": "5m", "for": "2m"},
        RUNS,
        [(1, 3, 3), (8, 16, 10)],
    ),
    "of several variables it holds while all of its conditions do": (
        BOTH,
        [5, 5, 5, 5, 5, 5, 4],
        [(0, 1, 0), (2, 5, 2)],
    ),
    "events of a type, of which those that coincide or overlap are one": (
        {"event": "failure-*"},
        [4],
        [(5, 5, 5), (7, 12, 7), (12, 13, 12), (20, UNKNOWN, 20)],
    ),
    "no events at all are no problems": ({"event": "none-*"}, [4], []),
}
COOL = [170, 190, 170, 170, 170, 190, 170]


def problem_of(**fields):
    named = {} if fields.keys() & {"event", "all", "any", "variable"} else {"variable": "moisture"}
    return Problem.model_validate(named | fields)


def minutes(instants):
    return [UNKNOWN if pd.isna(one) else (one - at(0)) / timedelta(minutes=1) for one in instants]


def test_problems_are_found_with_start_end_and_when_they_are_known():
    def problems(fields, moisture, _):
        cool = {"temperature": COOL} if "all" in fields else {}
        data = history(range(len(moisture)), moisture=moisture, events=EVENTS, **cool)
        found = find_problems(problem_of(**fields), data)
        return [*zip(*(minutes(found[name]) for name in ("start", "end", "known_at")), strict=True)]

    assert {what: problems(*row) for what, row in TABLE.items()} == {
        what: expected for what, (*_, expected) in TABLE.items()
    }
    last = find_problems(problem_of(above=4.5, clear=4.2), history(range(10), moisture=MOISTURE))[
        "last"
    ]
    assert minutes(last) == [4, 7]
    assert match_names(["failure-a", "stop"], ["failure-*"]) == ["failure-a"]


def test_a_laboratory_value_makes_the_problem_known_after_its_delay():
    asset = oven(moisture=Variable(delay="1h"))
    problem = problem_of(below=2)
    found = find_problems(problem, history([0, 60, 120], asset, moisture=[3, 1, 3]))
    assert list(found["known_at"]) == [at(120)]
    assert predicts(_question(problem, "30m"), asset) == "state"
    assert predicts(_question(MOIST, "30m"), oven()) == "onset"


def test_the_unit_just_made_is_predicted_as_a_state_and_each_bad_one_is_a_problem():
    problem = problem_of(above=4.5)
    assert predicts(_question(problem, "0s"), oven()) == "state"
    asset = oven(moisture=Variable(delay="1h"))
    found = find_problems(
        problem, history(range(5), asset, moisture=[5, 5, 4, np.nan, 5]), of_units=True
    )
    assert (
        list(found["start"]) == list(found["last"]) == list(found["end"]) == [at(0), at(1), at(4)]
    )
    assert list(found["known_at"]) == [at(60), at(61), at(64)]


def test_a_problem_can_be_one_value_and_missing_values_are_no_samples():
    table = [
        (1, [1, 0, 1, np.nan], [True, False, True]),
        (True, [1.0, 0.0, 1.0, np.nan], [True, False, True]),
        ("reject", ["reject", "good", "reject", None], [True, False, True]),
        ("reject", [1.0, 0.0, 1.0, np.nan], [False, False, False]),
    ]

    def samples(equals, values, _):
        asset = oven(quality=Variable(type="category" if isinstance(equals, str) else "number"))
        problem = problem_of(variable="quality", equals=equals)
        ts, bad = problem_samples(problem, history(range(4), asset, quality=values))
        return (ts - to_millis(at(0))) // 60_000, bad

    found = [samples(*row) for row in table]
    assert [ts.tolist() for ts, _ in found] == [[0, 1, 2]] * 4
    assert [bad.tolist() for _, bad in found] == [bad for *_, bad in table]


def test_an_event_with_a_delay_is_known_after_it():
    types = (EventType(name="complaint", duration="lasting", delay=timedelta(hours=1)),)
    data = replace(history([0], moisture=[4], events=[("complaint", 5, 9)]), event_types=types)
    problem = Problem.model_validate({"event": "complaint", "predict": "state"})
    assert list(find_problems(problem, data)["known_at"]) == [at(65)]
    found = find_occurrences(_question(problem, "30m"), data)
    assert (found.known_at.tolist(), found.over_at.tolist()) == (
        [to_millis(at(65))],
        [to_millis(at(69))],
    )
    assert not len(find_occurrences(_question(problem, "0s"), data).start)


def _question(problem, horizon):
    return ClassifierDefinition(
        name="d", kind="classifier", assets=["oven-1"], problem=problem, horizon=horizon
    )


def test_where_the_truth_is_unknown_there_is_no_sample_and_a_problem_neither_begins_nor_ends():
    missing = np.nan
    data = history(
        [0, 2, 4, 6, 8],
        moisture=[5, missing, missing, missing, 4],
        temperature=[170, 170, 170, 190, 170],
    )
    ts, is_met = problem_samples(Problem.model_validate(BOTH), data)
    # at 4 min the moisture is stale, and the oven cool
    assert [(t - to_millis(at(0))) / 60_000 for t in ts] == [
        0,
        2,
        6,
        8,
    ]
    assert list(is_met) == [True, True, False, False]
    one_of_them = {
        "any": [{"variable": "moisture", "above": 4.5}, {"variable": "temperature", "below": 180}]
    }
    assert list(
        problem_samples(
            Problem.model_validate(one_of_them), history(range(2), temperature=[190, 170])
        )[1]
    ) == [True]


def test_conditions_are_nested_once_and_of_any_type():
    problem = Problem.model_validate(
        {
            "any": [
                {"variable": "moisture", "above": 4.5},
                {"all": [{"variable": "on", "equals": True}, _inside(170, 180)]},
            ]
        }
    )
    asset = oven(on=Variable(type="boolean"))
    data = history(
        range(4),
        asset,
        moisture=[5, 4, 4, 4],
        on=[0.0, 1.0, 1.0, 0.0],
        temperature=[0, 175, 190, 175],
    )
    assert list(problem_samples(problem, data)[1]) == [True, True, False, False]
    assert problem.variables == ("moisture", "on", "temperature")


def test_several_variables_are_known_when_the_slowest_of_them_is():
    asset = oven(moisture=Variable(delay="1h"))
    problem = Problem.model_validate(BOTH)
    assert problem_delay(problem, asset, ()) == timedelta(hours=1)
    assert predicts(_question(problem, "30m"), asset) == "state"
    data = history([0, 59, 61], asset, moisture=[5, 5, 5], temperature=[170, 170, 170])
    view = point_in_time_view(data, to_millis(at(60)))
    assert len(problem_samples(problem, data)[0]) == 3
    assert list(problem_samples(problem, view)[0]) == [to_millis(at(0))]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(1, 5), st.sampled_from([None, 4, 5]), st.sampled_from([None, 170, 190])
        ),
        min_size=2,
        max_size=30,
    ),
    st.integers(0, 60),
    st.sampled_from(["all", "any"]),
)
def test_a_later_start_of_the_readings_only_leaves_samples_out(rows, begin, how):
    minutes = np.cumsum([gap for gap, *_ in rows]).tolist()
    problem = Problem.model_validate({how: BOTH["all"]})
    data = history(minutes, moisture=[m for _, m, _ in rows], temperature=[t for *_, t in rows])
    lookback = problem_lookback(problem)
    assert lookback == timedelta(minutes=10)
    whole = problem_samples(problem, data)
    part = problem_samples(problem, _from(data, begin))
    assert dict(zip(*part, strict=True)).items() <= dict(zip(*whole, strict=True)).items()
    late = part[0] > to_millis(at(begin) + lookback)
    assert list(part[0][late]) == [t for t in whole[0] if t > to_millis(at(begin) + lookback)]


def _inside(low, high):
    return {"variable": "temperature", "inside": {"low": low, "high": high}}


def _from(data, minute):
    return replace(data, readings=data.readings.loc[at(minute) :])
