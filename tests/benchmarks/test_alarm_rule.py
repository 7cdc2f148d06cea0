"""Both rules of the benchmark `alarm_rule` on a line whose risk stays high before its problem."""

import numpy as np
import pandas as pd
import pytest

from alerting.episodes.predictions import AlarmEnd
from alerting.learning.selection.operating_point import observe_rows
from benchmarks.kinds.alarm_rule import Scored, judge, with_both_rules

pytestmark = pytest.mark.models
MINUTE = 60_000
HORIZON = 30 * MINUTE


def day(problem_at, high):
    """A day with a problem in a minute, and a risk that is high in these minutes, every ten."""
    at = np.arange(0, 1440, 10, dtype=np.int64) * MINUTE
    start = pd.to_datetime([problem_at * MINUTE], unit="ms", utc=True)
    problems = pd.DataFrame(dict.fromkeys(("start", "last", "end", "known_at"), start))
    problems["asset"] = "a"
    fields = ("start", "true_at", "known_at", "over_at", "recovered_at")
    instant = np.array([problem_at * MINUTE])
    occurrences = pd.DataFrame({"asset": ["a"], **dict.fromkeys(fields, instant)})
    everywhere = np.full(len(at), "a", dtype=object)
    observed = observe_rows(
        at,
        everywhere,
        np.ones(len(at), bool),
        problems,
        occurrences,
        True,
        {"a": 86_400.0},
        0,
        HORIZON,
        AlarmEnd(None, 20 * MINUTE, 4 * HORIZON),
    )
    minutes = at // MINUTE
    score = np.where((minutes >= high[0]) & (minutes < high[1]), 0.9, 0.1)
    return Scored(with_both_rules(observed), score)


def test_the_earlier_alarm_ends_a_horizon_after_its_raise_and_another_one_finds_the_problem():
    scored = day(problem_at=675, high=(600, 670))
    earlier = judge(scored, "earlier", 0.5)
    today = judge(scored, "today", 0.5)
    assert (earlier.false, today.false) == (2, 0)
    assert earlier.lead_s.tolist() == [15 * 60]
    assert today.lead_s.tolist() == [75 * 60]
    assert earlier.in_alarm == earlier.covered == today.in_alarm == 75 / 1440


def test_without_its_problem_the_time_in_which_an_alarm_may_be_right_is_counted_as_covered():
    scored = day(problem_at=60, high=(600, 610))
    earlier = judge(scored, "earlier", 0.5)
    today = judge(scored, "today", 0.5)
    assert earlier.false == today.false == 1
    assert earlier.in_alarm == earlier.covered == today.covered == 30 / 1440
    assert today.in_alarm == 30 / 1440
