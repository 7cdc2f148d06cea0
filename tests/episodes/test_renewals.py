"""Which condition keeps an episode open."""

from datetime import timedelta

import pytest

from alerting.detection.evaluation_results_and_texts import Evaluation, StatusInterval
from alerting.episodes.lifecycle import ConditionState, advance
from tests.builders import at
from tests.helpers.episodes import episode

pytestmark = pytest.mark.fast
NONE = timedelta(0)


def hot(minute, cause="above"):
    return Evaluation(at(minute), "triggered", f"hot at {minute}", 150.0, 100.0, cause=cause)


def test_a_state_without_a_known_cause_learns_it_at_once():
    state = ConditionState(at(1), raised_at=at(1), severity="high")
    interval = StatusInterval(at(2), at(3), "triggered", "high", cause="above")
    after, steps = advance(state, [interval], timedelta(minutes=9), NONE, ("high",))
    assert [(s.kind, s.at, s.cause) for s in steps] == [("renewed", at(2), "above")]
    assert after.cause == "above"


def test_an_alarm_without_a_known_cause_takes_its_reason_without_a_transition():
    before = episode()
    assert before.evaluation.cause is None
    after = before.with_renewal(hot(2))
    assert (after.current.reason, after.transitions) == ("hot at 2", before.transitions)


def test_renewals_are_bounded_however_many_conditions_come_and_go():
    found = episode(evaluation=hot(0, "stale"))
    for minute in range(1, 300):
        found = found.with_renewal(hot(minute, f"{minute % 200}.above"))
    assert len(found.renewals) == 51
    assert found.current.reason == "hot at 299"


def test_each_other_condition_has_its_own_on_delay():
    state = ConditionState(watermark=at(1), raised_at=at(1), severity="high", cause="a")
    intervals = [
        StatusInterval(at(start), at(end), "triggered", "high", cause=cause)
        for start, end, cause in [(2, 3, "b"), (3, 9, "c")]
    ]
    _, steps = advance(state, intervals, timedelta(minutes=2), NONE, ("high",))
    assert [(s.kind, s.at, s.cause) for s in steps] == [("renewed", at(5), "c")]
