import numpy as np
import pandas as pd

from alerting.definitions.assets import Variable
from alerting.definitions.model import Problem
from alerting.detection.problems import find_problems, matching, predicts, problem_samples
from alerting.readings.history import to_millis
from tests.builders import at, history, oven

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


def test_a_laboratory_value_makes_the_problem_known_after_its_delay():
    asset = oven(moisture=Variable(delay="1h"))
    problem = Problem.model_validate({"variable": "moisture", "below": 2})
    found = find_problems(problem, history([0, 60, 120], asset, moisture=[3, 1, 3]))
    assert list(found["known_at"]) == [at(120)]
    assert predicts(problem, asset) == "state"
    assert predicts(MOIST, oven()) == "onset"


def test_missing_values_are_no_samples():
    ts, bad = problem_samples(MOIST, history([0, 1, 2], moisture=[5, np.nan, 4]))
    assert ts.tolist() == [to_millis(at(0)), to_millis(at(2))]
    assert bad.tolist() == [True, False]


def test_events_are_problems_by_type_with_wildcards():
    data = history([0], moisture=[4], events=[("failure-b", 5, 5), ("stop", 6, 8), ("failure-a", 9, None)])
    found = find_problems(Problem.model_validate({"event": "failure-*"}), data)
    assert list(found["start"]) == [at(5), at(9)]
    assert pd.isna(found["end"].iloc[1])
    assert matching(["failure-a", "stop"], ["failure-*"]) == ["failure-a"]


def test_events_that_coincide_or_overlap_are_one_occurrence():
    events = [("x-a", 5, 5), ("x-b", 5, 5), ("x-a", 7, 12), ("x-b", 9, 10), ("x-c", 12, 13), ("x-a", 20, None), ("x-b", 30, 31)]
    found = find_problems(Problem.model_validate({"event": "x-*"}), history([0], moisture=[4], events=events))
    assert list(found["start"]) == [at(5), at(7), at(12), at(20)]
    assert list(found["end"])[:3] == [at(5), at(12), at(13)]
    assert pd.isna(found["end"].iloc[3])


def test_no_events_at_all_are_no_problems():
    assert find_problems(Problem.model_validate({"event": "x-*"}), history([0], moisture=[4])).empty
