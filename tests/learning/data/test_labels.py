"""Labels: whether the problem follows, and which rows nobody can label."""

from datetime import timedelta

import numpy as np
import pytest

from alerting.definitions.asset_documents import Asset, Variable
from alerting.detection.problem_occurrences import INSIDE_PROBLEM, RECOVERY, problem_samples
from alerting.kinds.classifier.definition import ClassifierDefinition
from alerting.learning.data.row_labels import (
    IMMATURE,
    NO_SAMPLE,
    label_instants,
    label_modes,
    persistence,
)
from alerting.learning.features.point_in_time import point_in_time_view
from alerting.readings.history import to_millis
from tests.builders import T0
from tests.builders import history as recorded

MINUTE = 60_000
START = to_millis(T0)


def instants(minutes):
    return START + np.asarray(minutes, np.int64) * MINUTE


def definition(problem, horizon="20m", **more):
    base = {
        "name": "d",
        "kind": "classifier",
        "assets": ["oven"],
        "problem": problem,
        "horizon": horizon,
    }
    return ClassifierDefinition.model_validate(base | more)


def labelled(definition_, history, minutes, as_of, question="onset"):
    got = label_instants(definition_, question, history, instants(minutes), START + as_of * MINUTE)
    return [reason or int(label) for label, reason in zip(got.label, got.reason, strict=True)]


def oven(delay=0):
    return Asset(name="oven", variables={"x": Variable(delay=timedelta(minutes=delay))})


FAILURE = {"event": "failure"}


def with_events(*rows, until=200):
    return recorded(range(until + 1), oven(), [*rows], x=np.zeros(until + 1))


def test_an_onset_is_positive_when_the_problem_starts_within_the_horizon_after_the_gap():
    history = with_events(("failure", 60, 60))
    got = labelled(definition(FAILURE, gap="10m"), history, [20, 29, 30, 40, 49, 50, 51], 200)
    assert got == [0, 0, 1, 1, 1, 0, 0]


def test_each_mode_that_comes_in_the_window_is_a_label_and_several_count_alike():
    history = with_events(("failure-fan", 60, 60), ("failure-belt", 75, 75))
    modes = {"fan": {"event": "failure-fan"}, "belt": {"event": "failure-belt"}}
    asked = definition(None, modes=modes)
    assert labelled(asked, history, [39, 40, 58], 200) == [0, 1, 1]
    at = instants([39, 40, 58, 62])
    shown = label_modes(asked.mode_problems, False, "onset", history, at, at + 20 * MINUTE)
    assert shown.tolist() == [[False, False], [True, False], [True, True], [False, True]]
    assert label_modes({}, False, "onset", history, at, at).shape == (4, 0)


def test_an_instant_event_is_followed_by_its_stated_recovery_or_a_hold_off_of_one_horizon():
    history = with_events(("failure", 60, 60))
    assert labelled(definition(FAILURE), history, [50, 60, 79, 80], 200) == [
        1,
        RECOVERY,
        RECOVERY,
        0,
    ]
    recovering = definition(FAILURE | {"recovery": "15m"})
    assert labelled(recovering, history, [59, 60, 70, 75], 200) == [1, RECOVERY, RECOVERY, 0]
    none = definition(FAILURE | {"recovery": "0s"})
    assert labelled(none, history, [59, 60, 61], 200) == [1, RECOVERY, 0]


def test_rows_inside_a_lasting_problem_and_its_recovery_do_not_count():
    history = with_events(("failure", 60, 90), ("failure", 70, 75))
    assert labelled(definition(FAILURE), history, [59, 60, 89, 90], 200) == [
        1,
        INSIDE_PROBLEM,
        INSIDE_PROBLEM,
        0,
    ]
    got = labelled(definition(FAILURE | {"recovery": "10m"}), history, [59, 60, 80, 99, 100], 200)
    assert got == [1, INSIDE_PROBLEM, INSIDE_PROBLEM, RECOVERY, 0]


def test_an_ongoing_problem_leaves_out_everything_after_it():
    history = with_events(("failure", 60, None))
    assert labelled(definition(FAILURE), history, [50, 61, 170], 200) == [
        1,
        INSIDE_PROBLEM,
        INSIDE_PROBLEM,
    ]


def facts(history, minutes, as_of, problem=None):
    """Return label, whether a row is fitted on, and whether it is measured, of each instant."""
    wanted = definition(problem or FAILURE)
    got = label_instants(wanted, "onset", history, instants(minutes), START + as_of * MINUTE)
    return [got.label.tolist(), got.fit.tolist(), got.measured.tolist()]


def test_a_known_start_is_a_label_of_the_immature_end_but_none_to_judge_by():
    history = with_events(("failure", 195, 195))
    known = facts(history, [170, 174, 181], 200)
    assert known == [[0, 0, 1], [True] * 3, [True, True, False]]
    assert labelled(definition(FAILURE), history, [174, 175, 181, 194], 200) == [0, 1, 1, 1]
    other = with_events(("failure", 150, 150))
    assert labelled(definition(FAILURE), other, [181], 200) == [IMMATURE]


def test_a_recording_that_ends_with_its_failure_is_judged_to_the_end():
    history = with_events(("failure", 101, 101), until=100)
    told = facts(history, [80, 81, 95, 100], 500)
    assert told == [[0, 1, 1, 1], [True] * 4, [True] * 4]
    goes_on = with_events(("failure", 75, 76), until=100)
    assert labelled(definition(FAILURE), goes_on, [76, 79, 80, 81], 500) == [0, 0, 0, IMMATURE]
    near = with_events(("failure", 90, 91), until=100)
    assert facts(near, [81], 500) == [[1], [True], [False]]


def test_a_variable_that_falls_silent_during_repair_keeps_its_positives():
    history = recorded(range(61), oven(), x=np.where(np.arange(61) < 50, 0, 9))
    above = {"variable": "x", "above": 5, "for": "5m"}
    label, _, measured = facts(history, [29, 30, 49, 54, 55], 500, above)
    assert (label[:3], measured) == ([0, 1, 1], [True] * 3 + [False] * 2)
    reasons = labelled(definition(above), history, [54, 55], 500)
    assert reasons == [IMMATURE, INSIDE_PROBLEM]


def test_a_condition_must_hold_and_needs_as_much_longer_to_mature():
    x = np.zeros(201)
    x[60:70] = 9
    x[120:122] = 9
    history = recorded(range(201), oven(), x=x)
    got = labelled(
        definition({"variable": "x", "above": 5, "for": "5m"}),
        history,
        [50, 65, 110, 121, 175, 176],
        200,
    )
    assert got == [1, INSIDE_PROBLEM, 0, 0, 0, IMMATURE]


def test_between_its_start_and_the_moment_it_is_known_a_row_is_judged_and_not_fitted_on():
    x = np.zeros(201)
    x[60:70] = 9
    history = recorded(range(201), oven(), x=x)
    wanted = definition({"variable": "x", "above": 5, "for": "5m", "recovery": "4m"})
    got = label_instants(
        wanted, "onset", history, instants([59, 60, 64, 65, 69, 70, 73, 74]), START + 200 * MINUTE
    )
    inside = [INSIDE_PROBLEM] * 2
    recovery = [RECOVERY] * 2
    assert got.reason.tolist() == ["", "", "", *inside, *recovery, ""]
    assert got.measured.tolist() == [True] * 3 + [False] * 4 + [True]
    assert got.fit.tolist() == [True] + [False] * 6 + [True]
    state = label_instants(
        wanted, "state", history, instants([59, 64, 65, 70]), START + 200 * MINUTE
    )
    assert state.fit.all()
    assert state.measured.all()


def test_a_problem_that_starts_in_the_recovery_of_another_is_marked():
    history = with_events(("failure", 60, 60), ("failure", 70, 70), ("failure", 95, 95))
    got = label_instants(definition(FAILURE), "onset", history, instants([1]), START + 200 * MINUTE)
    assert got.problems["uncounted"].tolist() == [False, True, False]


def test_a_window_without_any_sample_is_unknown_not_negative():
    kept = [m for m in range(201) if not 50 < m <= 90]
    history = recorded(kept, oven(), x=np.zeros(len(kept)))
    for question in ("onset", "state"):
        got = labelled(
            definition({"variable": "x", "above": 5}), history, [49, 50, 70, 71], 200, question
        )
        assert got == [0, NO_SAMPLE, NO_SAMPLE, 0]


def test_a_state_is_positive_when_the_condition_holds_at_some_sample_and_drops_no_row_inside():
    x = np.zeros(201)
    x[60:100] = -9
    history = recorded(range(201), oven(), x=x)
    got = labelled(
        definition({"variable": "x", "below": -5}), history, [39, 40, 70, 98, 99, 100], 200, "state"
    )
    assert got == [0, 1, 1, 1, 0, 0]


def test_a_laboratory_value_matures_only_when_it_is_known():
    hours = np.arange(0, 11) * 60 + 5
    history = recorded(hours, oven(delay=60), x=np.zeros(11))
    hourly = definition({"variable": "x", "above": 5}, horizon="1h")
    cut = point_in_time_view(history, START + 400 * MINUTE)
    assert labelled(hourly, cut, [240, 300], 400, "state") == [0, IMMATURE]
    assert labelled(hourly, history, [540, 600, 660], 2000, "state") == [0, 0, IMMATURE]


def test_persistence_is_the_last_known_value_higher_meaning_riskier():
    history = recorded([0, 10, 20], oven(delay=10), x=[1.0, np.nan, 7.0])
    nan = np.nan
    rows = [
        ({"variable": "x", "above": 5}, [nan, 1.0, 7.0]),
        ({"variable": "x", "below": 5}, [nan, -1.0, -7.0]),
        ({"variable": "x", "below": 2, "above": 5}, [nan, 1.0, 2.0]),
        ({"variable": "x", "equals": 7}, [nan, 0.0, 1.0]),
        ({"event": "failure"}, [nan, nan, nan]),
    ]
    at = instants([9, 20, 30])
    found = [persistence(definition(problem), history, at) for problem, _ in rows]
    np.testing.assert_array_equal(found, [expected for _, expected in rows])


@pytest.mark.parametrize("more", [{"exclude": ["x"]}, {"horizon": "0s"}])
def test_persistence_is_not_known_where_the_model_may_not_see_the_variable(more):
    history = recorded([0, 10], oven(), x=[1.0, 7.0])
    question = definition({"variable": "x", "above": 5}, **more)
    assert np.isnan(persistence(question, history, instants([9, 20]))).all()
    assert "persistence" not in question.families


def test_the_unit_just_made_is_labelled_at_its_own_instant_once_its_grade_is_known():
    units = definition({"variable": "x", "above": 5}, horizon="0s", features={"stride": "1m"})
    known = recorded([0, 1, 2, 4], oven(), x=[1.0, 7.0, 1.0, 7.0])
    assert labelled(units, known, [0, 1, 2, 3, 4], 100, "state") == [0, 1, 0, NO_SAMPLE, 1]
    later = recorded([0, 1, 2], oven(delay=30), x=[1.0, 7.0, 7.0])
    view = point_in_time_view(later, START + 31 * MINUTE)
    assert labelled(units, view, [0, 1, 2], 31, "state") == [0, 1, IMMATURE]


def test_an_event_is_predicted_as_a_state_while_it_goes_on():
    attacks = [("attack", 20, 40), ("attack", 60, 60), ("attack", 90, None)]
    history = recorded(range(100), oven(), attacks, y=np.zeros(100))
    attack = {"event": "attack", "predict": "state"}
    ahead = labelled(
        definition(attack, "5m"), history, [14, 15, 39, 40, 54, 55, 60, 84, 85], 99, "state"
    )
    assert ahead == [0, 1, 1, 0, 0, 1, 0, 0, 1]
    at_once = definition(attack, "0s", features={"stride": "1m"})
    now = labelled(at_once, history, [19, 20, 40, 41, 60, 61, 89, 90, 99], 99, "state")
    assert now == [0, 1, 1, 0, 1, 0, 0, 1, 1]


def test_what_was_known_hides_later_values_events_and_ends():
    history = recorded(
        [0, 10, 20, 30],
        Asset(name="oven", variables={"x": Variable(delay=timedelta(minutes=10)), "y": Variable()}),
        [("a", 5, 25), ("b", 21, 22)],
        x=[1.0, 2.0, 3.0, 4.0],
        y=[1.0, 2.0, 3.0, 4.0],
    )
    known = point_in_time_view(history, START + 20 * MINUTE, START + 10 * MINUTE)
    assert known.readings["y"].tolist() == [2.0, 3.0]
    assert known.readings["x"].dropna().tolist() == [2.0]
    assert known.events["type"].tolist() == ["a"]
    assert known.events["end"].isna().all()


BOTH = {
    "all": [
        {"variable": "x", "above": 5, "stale_after": "10m"},
        {"variable": "y", "below": 2, "stale_after": "20m"},
    ]
}


def of_two(delay=0, **columns):
    asset = Asset(
        name="oven", variables={"x": Variable(delay=timedelta(minutes=delay)), "y": Variable()}
    )
    return recorded(range(0, 100, 5), asset, **columns)


def test_labels_of_several_variables_are_those_of_their_combined_truth():
    both = definition(BOTH)
    # y is low from 40 to 55
    data = of_two(x=[6.0] * 20, y=[3.0] * 8 + [1.0] * 4 + [3.0] * 8)
    assert labelled(both, data, [0, 20, 39, 40, 60], 200) == [0, 1, 1, INSIDE_PROBLEM, 0]
    assert labelled(both, data, [0, 20, 39, 54, 60], 200, "state") == [0, 1, 1, 1, 0]
    assert persistence(both, data, instants([0, 39, 41, 61])).tolist() == [0, 0, 1, 0]
    # y is unknown from 20 to 75
    gone = of_two(x=[6.0] * 20, y=[1.0] + [np.nan] * 15 + [3.0] * 4)
    assert labelled(both, gone, [25, 30, 60], 200, "state") == [NO_SAMPLE, NO_SAMPLE, 0]


def test_values_that_are_still_under_way_do_not_count_in_a_view():
    known = START + 50 * MINUTE
    arriving = of_two(delay=30, x=[6.0] * 5 + [4.0] * 15, y=[1.0] * 20)
    samples = problem_samples(definition(BOTH).problem, point_in_time_view(arriving, known))
    assert samples[0].tolist() == instants(range(0, 21, 5)).tolist()
