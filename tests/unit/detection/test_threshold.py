from datetime import timedelta
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerting.detection.threshold import judge
from alerting.episodes.lifecycle import SpellState, advance
from tests.builders import at, history, threshold


def spans(judged):
    return [(s.status, s.start, s.end) for s in judged.stretches]


def test_every_reading_is_judged_a_short_spike_between_two_ticks_is_seen():
    judged = judge(threshold(), history([1, 2, 3], temperature=[210, 230, 210]), None, at(0), at(5))
    assert [s for s, *_ in spans(judged)] == ["unknown", "clear", "triggered", "clear"]
    assert spans(judged)[2][1:] == (at(2), at(3))


def test_a_value_holds_until_it_is_stale_then_the_status_is_unknown():
    judged = judge(threshold(stale_after="3m"), history([1, 10], temperature=[230, 230]), None, at(0), at(11))
    assert spans(judged)[1:3] == [("triggered", at(1), at(4)), ("unknown", at(4), at(10))]


def test_missing_values_are_no_readings_and_never_clear():
    judged = judge(threshold(), history([1, 2, 3], temperature=[230, np.nan, 230]), None, at(0), at(4))
    assert [s for s, *_ in spans(judged)] == ["unknown", "triggered"]


def test_no_readings_at_all_are_unknown():
    assert [s for s, *_ in spans(judge(threshold(), history([]), None, at(0), at(5)))] == ["unknown"]


@pytest.mark.parametrize(
    ("limit", "value", "status"), [(0, 0.0, "clear"), (0, -0.0, "clear"), (0, 1e-9, "triggered"), (-1, 0, "triggered")]
)
def test_a_limit_or_value_of_zero_is_a_number_like_any_other(limit, value, status):
    judged = judge(threshold(above=limit), history([1], temperature=[value]), None, at(0), at(1))
    assert judged.stretches[-1].status == status


def test_between_limit_and_clear_limit_the_status_before_is_kept():
    definition = threshold(above=215, clear_above_at=210)
    judged = judge(definition, history([1, 2, 3, 4, 5], temperature=[212, 216, 212, 210, 212]), None, at(0), at(5))
    assert [(s, a) for s, a, _ in spans(judged)][1:] == [("clear", at(1)), ("triggered", at(2)), ("clear", at(4))]


def test_below_and_above_together_mean_outside():
    definition = threshold(above=215, below=190)
    judged = judge(definition, history([1, 2, 3], temperature=[180, 200, 220]), None, at(0), at(3))
    assert [s for s, *_ in spans(judged)][1:] == ["triggered", "clear", "triggered"]


READINGS = st.lists(
    st.tuples(st.integers(1, 100), st.sampled_from([200.0, 212.0, 220.0, 0.0, -0.0, float("nan"), float("inf")])),
    min_size=1,
    max_size=30,
    unique_by=lambda r: r[0],
)


@settings(max_examples=60, deadline=None)
@given(
    READINGS,
    st.lists(st.integers(1, 99), max_size=6),
    st.sampled_from(["0s", "3m", "12m"]),
    st.sampled_from(["0s", "4m"]),
    st.sampled_from(["1m", "7m", "3h"]),
)
def test_live_in_any_chunks_gives_the_episodes_of_one_batch(readings, cuts, hold, clear_for, stale):
    definition = threshold(**{"for": hold}, clear_for=clear_for, stale_after=stale, clear_above_at=210)
    minutes, values = zip(*sorted(readings), strict=True)
    data = history(minutes, temperature=list(values))

    def run(instants):
        state, carried, found = SpellState(at(0)), None, []
        for start, end in pairwise(instants):
            judged = judge(definition, data, carried, at(start), at(end))
            carried = judged.carried
            state, steps = advance(state, judged.stretches, definition.hold, definition.clear_for)
            found += steps
        return found

    assert run([0, *sorted(set(cuts)), 100]) == run([0, 100])


def test_a_condition_held_for_ever_is_raised_once():
    for hold in ("0s", "1m", "59m"):
        definition = threshold(**{"for": hold}, stale_after="2m")
        data = history(range(1, 61), temperature=[230.0] * 60)
        judged = judge(definition, data, None, at(0), at(61))
        _, steps = advance(SpellState(at(0)), judged.stretches, definition.hold, definition.clear_for)
        assert [s.kind for s in steps] == ["raised"]
        assert steps[0].at == at(1) + definition.hold


def test_unknown_resets_a_pending_spell():
    definition = threshold(**{"for": "5m"}, stale_after="2m")
    data = history([1, 2, 9, 10], temperature=[230.0] * 4)
    judged = judge(definition, data, None, at(0), at(11))
    state, steps = advance(SpellState(at(0)), judged.stretches, definition.hold, timedelta(0))
    assert steps == []
    assert state.pending_since == at(9)


def test_unknown_neither_closes_an_open_episode():
    definition = threshold(stale_after="2m")
    judged = judge(definition, history([1], temperature=[230.0]), None, at(0), at(30))
    state, steps = advance(SpellState(at(0)), judged.stretches, definition.hold, timedelta(0))
    assert [s.kind for s in steps] == ["raised"]
    assert state.raised_at == at(1)
