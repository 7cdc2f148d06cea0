from dataclasses import replace
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerting.definitions.assets import EventType, Variable
from alerting.definitions.model import Problem
from alerting.detection.problems import (
    find_occurrences,
    find_problems,
    match_names,
    predicts,
    problem_delay,
    problem_lookback,
    problem_samples,
)
from alerting.kinds.classifier.definition import ClassifierDefinition
from alerting.learning.data.point_in_time import point_in_time_view
from alerting.readings.history import to_millis
from tests.builders import at, history, oven

pytestmark = pytest.mark.fast

MOIST = Problem.model_validate({"variable": "moisture", "above": 4.5, "for": "5m"})


def test_a_problem_counts_when_it_has_held_long_enough():
    data = history(range(12), moisture=[4, 5, 5, 4, 5, 5, 5, 5, 5, 5, 5, 4])
    found = find_problems(MOIST, data)
    assert list(found["start"]) == [at(4)]
    assert list(found["end"]) == [at(11)]
    assert list(found["known_at"]) == [at(9)]


def test_a_problem_that_goes_on_has_no_end():
    found = find_problems(MOIST, history(range(8), moisture=[4, 5, 5, 5, 5, 5, 5, 5]))
    assert list(found["start"]) == [at(1)]
    assert found["end"].isna().all()


def test_a_problem_with_clear_is_over_only_at_it():
    moist = [4, 5, 4.4, 5, 4.3, 4.1, 4.4, 5, 4.2, 4.3]
    for clear in (4.2, {"difference": 0.3}):
        found = find_problems(_limited(above=4.5, clear=clear), history(range(10), moisture=moist))
        assert list(found["start"]) == [at(1), at(7)]
        assert list(found["last"]) == [at(4), at(7)]
        assert list(found["end"]) == [at(5), at(8)]
    both = _limited(above=4.5, below=3.5, clear={"difference": 0.3})
    found = find_problems(both, history(range(6), moisture=[4, 5, 4.3, 3.4, 3.6, 3.8]))
    assert list(found["start"]) == [at(1)]
    assert list(found["end"]) == [at(5)]
    at_limit = _limited(above=4.5, clear=4.5)
    pd.testing.assert_frame_equal(
        find_problems(at_limit, history(range(10), moisture=moist)),
        find_problems(_limited(above=4.5), history(range(10), moisture=moist)),
    )


def test_problems_nearer_than_merge_within_are_one_and_runs_that_did_not_last_are_none():
    moist = [4, 5, 5, 4, 4, 5, 4, 4, 5, 5, 4, 4, 4, 4, 5, 5, 4]
    problem = _limited(above=4.5, merge_within="6m", **{"for": "2m"})
    found = find_problems(problem, history(range(17), moisture=moist))
    assert list(found["start"]) == [at(1)]
    assert list(found["end"]) == [at(16)]
    assert list(found["known_at"]) == [at(3)]
    apart = _limited(above=4.5, merge_within="5m", **{"for": "2m"})
    found = find_problems(apart, history(range(17), moisture=moist))
    assert list(found["start"]) == [at(1), at(8)], "the second begins 5 min after the first"
    assert len(find_problems(_limited(above=4.5), history(range(17), moisture=moist))) == 4


def _limited(**limits):
    return Problem.model_validate({"variable": "moisture", **limits})


def test_a_laboratory_value_makes_the_problem_known_after_its_delay():
    asset = oven(moisture=Variable(delay="1h"))
    problem = Problem.model_validate({"variable": "moisture", "below": 2})
    found = find_problems(problem, history([0, 60, 120], asset, moisture=[3, 1, 3]))
    assert list(found["known_at"]) == [at(120)]
    assert predicts(_question(problem, "30m"), asset) == "state"
    assert predicts(_question(MOIST, "30m"), oven()) == "onset"


def test_the_unit_just_made_is_predicted_as_a_state_and_each_bad_one_is_a_problem():
    problem = Problem.model_validate({"variable": "moisture", "above": 4.5})
    assert predicts(_question(problem, "0s"), oven()) == "state"
    asset = oven(moisture=Variable(delay="1h"))
    found = find_problems(
        problem, history(range(5), asset, moisture=[5, 5, 4, np.nan, 5]), of_units=True
    )
    assert (
        list(found["start"]) == list(found["last"]) == list(found["end"]) == [at(0), at(1), at(4)]
    )
    assert list(found["known_at"]) == [at(60), at(61), at(64)]


@pytest.mark.parametrize(
    ("equals", "values", "bad"),
    [
        (1, [1, 0, 1, np.nan], [True, False, True]),
        (True, [1.0, 0.0, 1.0, np.nan], [True, False, True]),
        ("reject", ["reject", "good", "reject", None], [True, False, True]),
        ("reject", [1.0, 0.0, 1.0, np.nan], [False, False, False]),
    ],
)
def test_a_problem_can_be_one_value(equals, values, bad):
    problem = Problem.model_validate({"variable": "quality", "equals": equals})
    asset = oven(quality=Variable(type="category" if isinstance(equals, str) else "number"))
    assert problem_samples(problem, history(range(4), asset, quality=values))[1].tolist() == bad


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


def test_missing_values_are_no_samples():
    ts, bad = problem_samples(MOIST, history([0, 1, 2], moisture=[5, np.nan, 4]))
    assert ts.tolist() == [to_millis(at(0)), to_millis(at(2))]
    assert bad.tolist() == [True, False]


def test_events_are_problems_by_type_with_wildcards():
    data = history(
        [0], moisture=[4], events=[("failure-b", 5, 5), ("stop", 6, 8), ("failure-a", 9, None)]
    )
    found = find_problems(Problem.model_validate({"event": "failure-*"}), data)
    assert list(found["start"]) == [at(5), at(9)]
    assert pd.isna(found["end"].iloc[1])
    assert match_names(["failure-a", "stop"], ["failure-*"]) == ["failure-a"]


def test_events_that_coincide_or_overlap_are_one_occurrence():
    events = [
        ("x-a", 5, 5),
        ("x-b", 5, 5),
        ("x-a", 7, 12),
        ("x-b", 9, 10),
        ("x-c", 12, 13),
        ("x-a", 20, None),
        ("x-b", 30, 31),
    ]
    found = find_problems(
        Problem.model_validate({"event": "x-*"}), history([0], moisture=[4], events=events)
    )
    assert list(found["start"]) == [at(5), at(7), at(12), at(20)]
    assert list(found["end"])[:3] == [at(5), at(12), at(13)]
    assert pd.isna(found["end"].iloc[3])


def test_no_events_at_all_are_no_problems():
    assert find_problems(Problem.model_validate({"event": "x-*"}), history([0], moisture=[4])).empty


BOTH = {
    "all": [
        {"variable": "moisture", "above": 4.5, "stale_after": "3m"},
        {"variable": "temperature", "below": 180},
    ]
}


def test_a_problem_of_several_variables_holds_while_all_of_its_conditions_do():
    cool = [170, 190, 170, 170, 170, 190, 170]
    found = find_problems(
        Problem.model_validate(BOTH),
        history(range(7), moisture=[5, 5, 5, 5, 5, 5, 4], temperature=cool),
    )
    assert list(found["start"]) == [at(0), at(2)]
    assert list(found["end"]) == [at(1), at(5)]


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
