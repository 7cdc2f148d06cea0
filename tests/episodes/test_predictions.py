"""Expected, happening, over: the course of predictions, live in any chunks, as a whole, and as
training counts them."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from alerting.detection.occurrences import KnownProblem
from alerting.episodes.counting import PredictedEpisode, false_alarms_of
from alerting.episodes.lifecycle import ConditionState
from alerting.episodes.predictions import (
    RiskSeries,
    advance_predictions,
    clear_threshold,
)
from alerting.readings.instants import to_millis
from tests.builders import at
from tests.helpers.prediction_line import END, Line, expect_same_however_cut, instants

pytestmark = pytest.mark.fast


def told(steps):
    return [(s.kind, (s.at - at(0)) / timedelta(minutes=1)) for s in steps]


def test_an_alarm_ends_when_the_risk_was_low_for_two_strides_and_says_so():
    steps = Line({5}).advance(100)
    assert told(steps) == [("raised", 5), ("closed", 20)]
    assert steps[1].reason == "the risk is low again"


def test_an_alarm_holds_while_the_risk_is_not_below_its_clear_threshold():
    assert told(Line({5}, held=range(10, 80, 5)).advance(120)) == [("raised", 5), ("closed", 90)]
    assert told(Line(set(), held=range(10, 80, 5)).advance(120)) == []
    assert told(Line({5}, held={15, 25, 35}).advance(120)) == [("raised", 5), ("closed", 50)]


def test_the_prediction_window_moves_with_the_last_high_score():
    line = Line({5, 20}, held={25, 40}, clear_for=20)
    assert line.evaluate(120)[2] == {at(5): to_millis(at(40))}
    assert told(Line({5}, (48, 60), held=range(10, 45, 5)).advance(100)) == [
        ("raised", 5),
        ("happening", 48),
        ("closed", 60),
    ]


def test_an_unknown_risk_neither_holds_nor_clears_and_the_alarm_ends_with_its_window():
    steps = Line({5, 10}, unknown=range(15, 100, 5)).advance(100)
    assert told(steps) == [("raised", 5), ("closed", 40)]
    assert steps[1].reason == "the horizon has passed"
    assert told(Line({5}, unknown={10, 15}).advance(100)) == [("raised", 5), ("closed", 30)]


def test_an_alarm_that_is_always_on_ends_at_its_longest_time_and_its_successor_continues_it():
    steps = Line(range(0, 400, 5), longest=120).advance(300)
    assert told(steps) == [
        ("raised", 5),
        ("closed", 125),
        ("raised", 125),
        ("closed", 245),
        ("raised", 245),
    ]
    assert steps[1].reason == "the longest time of an alarm has passed"
    assert [s.follows for s in steps if s.kind == "raised"] == [None, at(5), at(125)]


def test_a_raise_in_the_window_of_a_closed_one_continues_it_and_a_later_one_does_not():
    raised = [s for s in Line({5, 30, 65}).advance(100) if s.kind == "raised"]
    assert [(s.at, s.follows) for s in raised] == [(at(5), None), (at(30), at(5)), (at(65), None)]


def test_a_chain_without_its_problem_is_a_false_alarm_for_each_window_that_it_began():
    def counts(*episodes):
        return false_alarms_of([PredictedEpisode(*e) for e in episodes], 30)

    assert counts((0, 15, 5, False)) == [1]
    assert counts((0, 100, 95, False)) == [4]
    assert counts((0, 15, 5, False), (20, 28, 25, True)) == [1, 0]
    assert counts((0, 15, 5, False), (20, 65, 60, True)) == [1, 2]
    assert counts((0, 15, 5, False), (100, 130, 125, False)) == [1, 1]


def test_an_episode_that_was_raised_by_the_earlier_rule_goes_on_from_its_raise():
    rule = Line(set()).rule(120)
    open_one = ConditionState(at(20), raised_at=at(5))
    risk = RiskSeries(instants([25, 30, 35, 40]), np.array([0.4, 0.0, 0.0, 0.0]), 0.5)
    advanced = advance_predictions(open_one, risk, risk.score >= 0.5, rule, at(120))
    assert told(advanced.steps) == [("closed", 40)]
    nothing = RiskSeries(instants([25]), np.array([np.nan]), 0.5)
    advanced = advance_predictions(open_one, nothing, np.array([False]), rule, at(120))
    assert told(advanced.steps) == [("closed", 35)]


def test_a_score_about_another_problem_does_not_hold_an_open_alarm():
    rule = Line(set()).rule(120)
    open_one = ConditionState(at(20), raised_at=at(5), last_high_at=at(20))
    risk = RiskSeries(instants([25, 30]), np.array([1.0, 1.0]), 0.5)
    never = np.array([False, False])
    advanced = advance_predictions(open_one, risk, never, rule, at(120), rule, is_about_open=False)
    assert told(advanced.steps) == [("closed", 50)]


@pytest.mark.parametrize(
    ("threshold", "clear"), [(0.5, 0.37754), (0.8, 0.70812), (1.0, 1.0), (np.inf, np.inf)]
)
def test_the_clear_threshold_lies_half_a_log_odd_below_and_never_above_the_threshold(
    threshold, clear
):
    assert clear_threshold(threshold) == pytest.approx(clear, abs=1e-5)
    assert clear_threshold(threshold, 0.3) == 0.3
    assert clear_threshold(0.2, 0.3) == 0.2
    assert clear_threshold(0.9999999965) < 0.9999999965


def test_a_prediction_that_comes_true_is_happening_until_the_condition_is_false():
    steps = Line({5, 40, 60}, (12, 88), hold=5).advance(100)
    assert told(steps) == [("raised", 5), ("happening", 17), ("closed", 88)]
    assert steps[1].prediction_ended_at == steps[2].prediction_ended_at == at(17)
    assert steps[2].reason == "the problem is over"


def test_a_laboratory_value_counts_when_it_is_known_also_the_one_that_ends_the_problem():
    assert told(Line({5, 20}, (12, 50), delay=10).advance(100)) == [
        ("raised", 5),
        ("happening", 22),
        ("closed", 60),
    ]


def test_closing_waits_while_the_condition_is_true_at_the_end_and_its_time_is_running():
    became = Line({5}, (33, 60), hold=5, unknown=range(10, 60, 5)).advance(100)
    short = Line({5}, (33, 37), hold=5, unknown=range(10, 60, 5)).advance(100)
    low = Line({5}, (18, 60), hold=5).advance(100)
    assert told(low) == [("raised", 5), ("happening", 23), ("closed", 60)]
    assert low[1].prediction_ended_at == at(20)
    assert told(became) == [("raised", 5), ("happening", 38), ("closed", 60)]
    assert became[1].prediction_ended_at == at(35)
    assert told(short) == [("raised", 5), ("closed", 37)]
    assert (short[1].prediction_ended_at, short[1].reason) == (at(35), "the horizon has passed")


def test_a_problem_known_only_after_the_end_reopens_nothing_and_makes_the_continuation_happen():
    alone = Line({5}, (33, 60), delay=10).advance(100)
    continued = Line({5, 35}, (33, 60), delay=10).advance(100)
    assert told(alone) == [("raised", 5), ("closed", 20)]
    assert told(continued) == [
        ("raised", 5),
        ("closed", 20),
        ("raised", 35),
        ("happening", 43),
        ("closed", 70),
    ]
    assert continued[2].follows == at(5)


def test_a_model_of_the_state_that_raises_inside_a_problem_says_at_once_that_it_is_happening():
    steps = Line({20, 40, 60}, (10, 50), state=True).advance(100)
    assert told(steps) == [
        ("raised", 20),
        ("happening", 20),
        ("closed", 50),
        ("raised", 60),
        ("closed", 75),
    ]


def test_no_continuation_follows_a_happening_one():
    assert [s.follows for s in Line({5, 50, 60}, (12, 50)).advance(70) if s.kind == "raised"] == [
        None,
        None,
    ]


def test_an_operator_ends_what_no_sample_ends_and_the_next_one_may_be_raised():
    line = Line({100}, (12, END))
    open_one = ConditionState(at(50), raised_at=at(5), happening_since=at(12), problem_since=at(12))
    known = line.rule(120, KnownProblem(at(50), at(12), is_first=False))
    rule = replace(known, occurrences=known.occurrences.ended_at(at(70)))
    risk = RiskSeries(instants([100]), np.array([1.0]), 0.5)
    advanced = advance_predictions(open_one, risk, np.array([True]), rule, at(120))
    assert told(advanced.steps) == [("closed", 70), ("raised", 100)]
    assert advanced.state.raised_at == at(100)
    assert rule.occurrences.start_at(at(120)) is None


def test_the_rule_of_an_open_episode_ends_it_alone_and_the_next_one_has_its_own():
    older = Line(set(), (12, 20)).rule(120)
    newer = Line(set(), (60, 90)).rule(120)
    open_one = ConditionState(at(9), raised_at=at(5), raised_by=1)
    risk = RiskSeries(instants([50]), np.array([1.0]), 0.5)
    advanced = advance_predictions(open_one, risk, np.array([True]), newer, at(120), older)
    assert told(advanced.steps) == [
        ("happening", 12),
        ("closed", 20),
        ("raised", 50),
        ("happening", 60),
        ("closed", 90),
    ]


def test_a_score_that_is_still_high_after_a_problem_raises_nothing_until_it_was_lower():
    assert told(Line(range(5, 100, 5), (12, 50)).advance(79)) == [
        ("raised", 5),
        ("happening", 12),
        ("closed", 50),
    ]
    high = {5, *range(15, 65, 5), 70, 75}
    assert [at_ for kind, at_ in told(Line(high, (12, 50)).advance(79)) if kind == "raised"] == [
        5,
        70,
    ]


def test_a_score_that_stays_high_raises_again_one_horizon_after_the_recovery():
    raised = [
        at_
        for kind, at_ in told(Line(range(5, 200, 5), (12, 50), recovery=20).advance(120))
        if kind == "raised"
    ]
    assert raised == [5, 100]


def test_nothing_is_raised_in_the_recovery_also_without_an_episode_before_it():
    line = Line({35, 60, 75, 90}, (12, 50), recovery=30)
    assert [at_ for kind, at_ in told(line.advance(100)) if kind == "raised"] == [90]
    assert line.evaluate(100)[1] == {
        m: "inside_problem" if 12 <= m < 50 else "recovery" if 50 <= m < 80 else ""
        for m in range(5, 105, 5)
    }


@pytest.mark.parametrize("cuts", [(), (7, 12, 33), (34, 35, 36, 61, 62), tuple(range(4, 120, 9))])
@pytest.mark.parametrize(
    "line",
    [
        Line({5, 35, 40, 90}, (12, 50), hold=3),
        Line({5, 35}, (33, 60), delay=11),
        Line(range(5, 200, 5), (12, 50), (90, 100), hold=7, recovery=40, every=3),
        Line({20, 40, 60, 65}, (10, 50), (70, 80), state=True, delay=4),
        Line({5, 30, 100, 300}, (33, 37), (120, 300), hold=20, delay=45, recovery=6, every=10),
    ],
)
def test_any_chunks_give_the_same_steps_and_reasons_and_the_intervals_that_training_counts(
    line, cuts
):
    expect_same_however_cut(line, cuts)
