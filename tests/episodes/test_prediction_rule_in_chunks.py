"""The course of predictions is the same live in any chunks, as a whole, and as training counts
them, for any line and scores."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.prediction_line import END, Line, expect_same_however_cut


@settings(max_examples=300, deadline=None)
@given(
    st.sets(st.integers(1, 70).map(lambda n: n * 5), max_size=50),
    st.lists(st.integers(1, END), max_size=8, unique=True).map(sorted),
    st.sampled_from([0, 3, 7, 20]),
    st.sampled_from([0, 4, 11, 45]),
    st.sampled_from([0, 6, 40]),
    st.booleans(),
    st.sampled_from([1, 3, 10]),
    st.lists(st.integers(1, END - 2), max_size=6, unique=True).map(sorted),
    st.sets(st.integers(1, 70).map(lambda n: n * 5), max_size=50),
    st.sets(st.integers(1, 70).map(lambda n: n * 5), max_size=30),
    st.sampled_from([0, 5, 10, 13, 60]),
    st.sampled_from([20, 47, 120]),
)
def test_any_chunks_give_the_same_steps_and_reasons_and_the_intervals_that_training_counts(
    high, turns, hold, delay, recovery, state, every, cuts, held, unknown, clear_for, longest
):
    bad = zip(turns[::2], turns[1::2], strict=False)
    rule = {"held": held, "unknown": unknown, "clear_for": clear_for, "longest": longest}
    known = {"hold": hold, "delay": delay, "recovery": recovery}
    line = Line(high, *bad, **known, state=state, every=every, **rule)
    expect_same_however_cut(line, cuts)


INTERVALS = st.lists(st.integers(0, END), max_size=14, unique=True).map(sorted)


def _pairs(turns):
    return list(zip(turns[::2], turns[1::2], strict=False))


@settings(max_examples=300, deadline=None)
@given(
    st.sets(st.integers(1, 70).map(lambda n: n * 5), max_size=50),
    INTERVALS,
    st.none() | INTERVALS.map(_pairs),
    st.sampled_from([0, 4, 11, 40]),
    st.sampled_from([0, 3, 7, 20, 60]),
    st.sampled_from([0, 4, 45]),
    st.sampled_from([0, 6, 40]),
    st.booleans(),
    st.sampled_from([1, 3, 10]),
    st.lists(st.integers(1, END - 2), max_size=8, unique=True).map(sorted),
)
def test_problems_with_hysteresis_that_are_merged_are_the_same_however_cut(
    high, turns, band, merge, hold, delay, recovery, state, every, cuts
):
    known = {"hold": hold, "delay": delay, "recovery": recovery, "merge": merge}
    line = Line(high, *_pairs(turns), **known, state=state, every=every, band=band)
    expect_same_however_cut(line, cuts)
