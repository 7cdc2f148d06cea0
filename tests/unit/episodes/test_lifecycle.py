from datetime import timedelta
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from alerting.episodes.lifecycle import ConditionState, advance_predictions, prediction_intervals
from alerting.readings.instants import to_millis
from tests.builders import at

STRIDE = timedelta(minutes=5)
PROMISE = timedelta(minutes=30)


def ms(*minutes):
    return np.array([to_millis(at(m)) for m in minutes], np.int64)


def run(triggered_at, problems, cuts):
    state, found = ConditionState(at(0)), []
    known = ms(*problems)
    for start, end in pairwise(cuts):
        grid = [m for m in range(0, 400, 5) if start < m <= end]
        triggered = np.array([m in triggered_at for m in grid], bool)
        state, steps = advance_predictions(state, ms(*grid), triggered, known, PROMISE, STRIDE, at(end))
        found += steps
    return state, found


def test_a_model_episode_ends_with_its_promise_not_with_the_score():
    _, steps = run({5}, [], [0, 100])
    assert [(s.kind, s.at) for s in steps] == [("raised", at(5)), ("closed", at(35))]


def test_it_ends_when_the_problem_is_known_to_have_started():
    _, steps = run({5}, [17], [0, 100])
    assert [(s.kind, s.at, s.reason) for s in steps][1] == ("closed", at(17), "the problem has started")


def test_a_score_that_is_always_high_raises_one_episode_after_another():
    _, steps = run(set(range(0, 400, 5)), [], [0, 99])
    raised = [s for s in steps if s.kind == "raised"]
    assert [s.at for s in raised] == [at(5), at(35), at(65), at(95)]
    assert [s.follows for s in raised] == [None, at(5), at(35), at(65)]


def test_an_episode_after_a_pause_continues_nothing():
    _, steps = run({5, 60}, [], [0, 200])
    assert [s.follows for s in steps if s.kind == "raised"] == [None, None]


@settings(max_examples=100, deadline=None)
@given(
    st.sets(st.integers(1, 60).map(lambda n: n * 5), max_size=25),
    st.lists(st.integers(1, 300), max_size=5, unique=True).map(sorted),
    st.lists(st.integers(1, 299), max_size=6, unique=True).map(sorted),
)
def test_any_chunks_give_the_same_steps_and_the_same_spells_as_training_counts(triggered, problems, cuts):
    _, whole = run(triggered, problems, [0, 399])
    assert run(triggered, problems, [0, *cuts, 399])[1] == whole
    grid = range(5, 400, 5)
    spells = prediction_intervals(ms(*grid), np.array([m in triggered for m in grid]), ms(*problems), 30 * 60_000)
    closed = [(to_millis(s.raised_at), to_millis(s.at)) for s in whole if s.kind == "closed"]
    assert closed == spells
