"""Expected, happening, over: the course of predictions, live in any chunks, as a whole, and as
training counts them."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from alerting.detection.problem_occurrences import KnownProblem
from alerting.episodes.lifecycle import ConditionState
from alerting.episodes.prediction_rule import (
    PredictedEpisode,
    RiskSeries,
    advance_predictions,
    clear_threshold,
    false_alarms_of,
)
from alerting.readings.history import to_millis
from tests.builders import at
from tests.helpers.prediction_line import END, Line, expect_same_however_cut, instants

pytestmark = pytest.mark.fast


UNKNOWN = range(10, 60, 5)
ALWAYS = range(5, 200, 5)
# a line, until when it is evaluated, and its steps: raised, happening, closed
COURSES = {
    "an alarm ends when the risk was low for two strides": (Line({5}), 100, "r5 c20"),
    "it holds while the risk is not below its clear threshold": (
        Line({5}, held=range(10, 80, 5)),
        120,
        "r5 c90",
    ),
    "a risk that is not low raises nothing": (Line(set(), held=range(10, 80, 5)), 120, ""),
    "and holds between low ones": (Line({5}, held={15, 25, 35}), 120, "r5 c50"),
    "a problem later than the window of the last high score comes true while it is held": (
        Line({5}, (48, 60), held=range(10, 45, 5)),
        100,
        "r5 h48 c60",
    ),
    "an unknown risk neither holds nor clears, and the alarm ends with its window": (
        Line({5, 10}, unknown=range(15, 100, 5)),
        100,
        "r5 c40",
    ),
    "an unknown risk between low ones counts for none": (
        Line({5}, unknown={10, 15}),
        100,
        "r5 c30",
    ),
    "an alarm that is always on ends at its longest time": (
        Line(range(0, 400, 5), longest=120),
        300,
        "r5 c125 r125 c245 r245",
    ),
    "it comes true until the condition is false": (
        Line({5, 40, 60}, (12, 88), hold=5),
        100,
        "r5 h17 c88",
    ),
    "a laboratory value counts when it is known, also the one that ends the problem": (
        Line({5, 20}, (12, 50), delay=10),
        100,
        "r5 h22 c60",
    ),
    "closing waits while the condition is true at the end and its time is running": (
        Line({5}, (33, 60), hold=5, unknown=UNKNOWN),
        100,
        "r5 h38 c60",
    ),
    "and not longer than it is true": (Line({5}, (33, 37), hold=5, unknown=UNKNOWN), 100, "r5 c37"),
    "also where the risk is low": (Line({5}, (18, 60), hold=5), 100, "r5 h23 c60"),
    "a problem known only after the end reopens nothing": (
        Line({5}, (33, 60), delay=10),
        100,
        "r5 c20",
    ),
    "and makes the continuation happen": (
        Line({5, 35}, (33, 60), delay=10),
        100,
        "r5 c20 r35 h43 c70",
    ),
    "a model of the state that raises inside a problem says at once that it is happening": (
        Line({20, 40, 60}, (10, 50), state=True),
        100,
        "r20 h20 c50 r60 c75",
    ),
    "a score that is still high after a problem raises nothing": (
        Line(range(5, 100, 5), (12, 50)),
        79,
        "r5 h12 c50",
    ),
    "until it was lower": (
        Line({5, *range(15, 65, 5), 70, 75}, (12, 50)),
        79,
        "r5 h12 c50 r70",
    ),
    "or one horizon has passed after the recovery": (
        Line(ALWAYS, (12, 50), recovery=20),
        120,
        "r5 h12 c50 r100",
    ),
    "nothing is raised in the recovery, also without an episode before it": (
        Line({35, 60, 75, 90}, (12, 50), recovery=30),
        100,
        "r90",
    ),
}


def told(steps):
    return " ".join(f"{s.kind[0]}{(s.at - at(0)) / timedelta(minutes=1):.0f}" for s in steps)


def steps_of(what):
    line, until, _ = COURSES[what]
    return line.advance(until)


def test_predictions_take_their_course():
    found = {what: told(steps_of(what)) for what in COURSES}
    assert found == {what: course for what, (*_, course) in COURSES.items()}


def test_an_end_says_why_and_since_when_it_is_no_prediction_any_more():
    ends = {
        "an alarm ends when the risk was low for two strides": "the risk is low again",
        "an unknown risk neither holds nor clears, and the alarm ends with its window": (
            "the horizon has passed"
        ),
        "an alarm that is always on ends at its longest time": (
            "the longest time of an alarm has passed"
        ),
        "it comes true until the condition is false": "the problem is over",
        "and not longer than it is true": "the horizon has passed",
    }
    closed = {what: next(s for s in steps_of(what) if s.kind == "closed") for what in ends}
    assert {what: one.reason for what, one in closed.items()} == ends
    ended = {
        "it comes true until the condition is false": [17, 17],
        "closing waits while the condition is true at the end and its time is running": [35, 35],
        "and not longer than it is true": [35],
        "also where the risk is low": [20, 20],
    }
    found = {
        what: [step.prediction_ended_at for step in steps_of(what) if step.kind != "raised"]
        for what in ended
    }
    assert found == {what: [*map(at, minutes)] for what, minutes in ended.items()}


def test_a_raise_in_the_window_of_a_closed_one_continues_it_and_a_later_one_does_not():
    def follows(line, until=100):
        return [(s.at, s.follows) for s in line.advance(until) if s.kind == "raised"]

    assert follows(Line({5, 30, 65})) == [(at(5), None), (at(30), at(5)), (at(65), None)]
    always = Line(range(0, 400, 5), longest=120)
    assert follows(always, 300) == [(at(5), None), (at(125), at(5)), (at(245), at(125))]
    assert follows(Line({5, 35}, (33, 60), delay=10)) == [(at(5), None), (at(35), at(5))]
    happened = Line({5, 50, 60}, (12, 50))
    assert follows(happened, 70) == [(at(5), None), (at(60), None)]


def test_the_window_moves_with_the_last_high_score_and_no_score_counts_inside_a_problem():
    line = Line({5, 20}, held={25, 40}, clear_for=20)
    assert line.evaluate(120)[2] == {at(5): to_millis(at(40))}
    line = Line({35, 60, 75, 90}, (12, 50), recovery=30)
    assert line.evaluate(100)[1] == {
        m: "inside_problem" if 12 <= m < 50 else "recovery" if 50 <= m < 80 else ""
        for m in range(5, 105, 5)
    }


def test_a_chain_without_its_problem_is_a_false_alarm_for_each_window_that_it_began():
    table = [
        ([(0, 15, 5, False)], [1]),
        ([(0, 100, 95, False)], [4]),
        ([(0, 15, 5, False), (20, 28, 25, True)], [1, 0]),
        ([(0, 15, 5, False), (20, 65, 60, True)], [1, 2]),
        ([(0, 15, 5, False), (100, 130, 125, False)], [1, 1]),
    ]
    chains = [[PredictedEpisode(*one) for one in chain] for chain, _ in table]
    assert [false_alarms_of(chain, 30) for chain in chains] == [counts for _, counts in table]


def test_the_clear_threshold_lies_half_a_log_odd_below_and_never_above_the_threshold():
    table = {0.5: 0.37754, 0.8: 0.70812, 1.0: 1.0, np.inf: np.inf}
    found = {threshold: clear_threshold(threshold) for threshold in table}
    assert found == pytest.approx(table, abs=1e-5)
    assert {clear_threshold(threshold, 0.3) for threshold in table} == {0.3}
    assert clear_threshold(0.2, 0.3) == 0.2
    assert clear_threshold(0.9999999965) < 0.9999999965


OPEN = ConditionState(at(20), raised_at=at(5), last_high_at=at(20))
HAPPENING = ConditionState(at(50), raised_at=at(5), happening_since=at(12), problem_since=at(12))


def advanced(state, minutes, scores, may_raise, rule, **more):
    """Return what follows of scores at these minutes, up to minute 120."""
    risk = RiskSeries(instants(minutes), np.array(scores), 0.5)
    return advance_predictions(state, risk, np.array(may_raise), rule, at(120), **more)


def test_an_open_episode_goes_on_under_the_rule_that_holds_for_it():
    rule = Line(set()).rule(120)
    by_earlier_rule = replace(OPEN, last_high_at=None)
    four = [25, 30, 35, 40]
    low = advanced(by_earlier_rule, four, [0.4, 0.0, 0.0, 0.0], [False] * 4, rule)
    nothing = advanced(by_earlier_rule, [25], [np.nan], [False], rule)
    assert [told(low.steps), told(nothing.steps)] == ["c40", "c35"]
    of_another_problem = {"of_open": rule, "is_about_open": False}
    other = advanced(OPEN, [25, 30], [1.0, 1.0], [False, False], rule, **of_another_problem)
    assert told(other.steps) == "c50"
    older = Line(set(), (12, 20)).rule(120)
    newer = Line(set(), (60, 90)).rule(120)
    of_older = ConditionState(at(9), raised_at=at(5), raised_by=1)
    found = advanced(of_older, [50], [1.0], [True], newer, of_open=older)
    assert told(found.steps) == "h12 c20 r50 h60 c90"


def test_an_operator_ends_what_no_sample_ends_and_the_next_one_may_be_raised():
    known = Line({100}, (12, END)).rule(120, KnownProblem(at(50), at(12), is_first=False))
    rule = replace(known, occurrences=known.occurrences.ended_at(at(70)))
    found = advanced(HAPPENING, [100], [1.0], [True], rule)
    assert (told(found.steps), found.state.raised_at) == ("c70 r100", at(100))
    assert rule.occurrences.start_at(at(120)) is None


def test_any_chunks_give_the_same_steps_and_reasons_and_the_intervals_that_training_counts():
    lines = [
        Line({5, 35, 40, 90}, (12, 50), hold=3),
        Line({5, 35}, (33, 60), delay=11),
        Line(range(5, 200, 5), (12, 50), (90, 100), hold=7, recovery=40, every=3),
        Line({20, 40, 60, 65}, (10, 50), (70, 80), state=True, delay=4),
        Line({5, 30, 100, 300}, (33, 37), (120, 300), hold=20, delay=45, recovery=6, every=10),
    ]
    for line in lines:
        for cuts in ((), (7, 12, 33), (34, 35, 36, 61, 62), tuple(range(4, 120, 9))):
            expect_same_however_cut(line, cuts)
