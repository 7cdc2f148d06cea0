"""Cutting the same intervals at other instants gives the same steps, with several severities, times
of their own, and conditions that take turns."""

from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerting.detection.evaluation_results_and_texts import StatusInterval
from alerting.episodes.lifecycle import ConditionState, advance
from tests.builders import at

pytestmark = pytest.mark.fast
RESULTS = [
    ("clear", None, ""),
    ("unknown", None, ""),
    *(("triggered", s, c) for s in ("low", "high", "critical") for c in ("above", "below")),
]
MINUTES = st.integers(0, 9).map(lambda m: timedelta(minutes=m))


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 8), st.sampled_from(RESULTS)), min_size=1, max_size=20),
    st.sets(st.integers(1, 120), max_size=12),
    MINUTES,
    MINUTES,
    st.dictionaries(st.sampled_from(["high", "critical"]), MINUTES),
)
def test_other_cuts_give_the_same_steps(runs, cuts, hold, clear_for, on_delays):
    bounds = [0]
    for length, _ in runs:
        bounds.append(bounds[-1] + length)
    whole = [
        StatusInterval(at(start), at(end), status, severity, cause=cause)
        for (start, end), (_, (status, severity, cause)) in zip(pairwise(bounds), runs, strict=True)
    ]
    pieces = [
        StatusInterval(at(a), at(b), status, severity, cause=cause)
        for (start, end), (_, (status, severity, cause)) in zip(pairwise(bounds), runs, strict=True)
        for a, b in pairwise(sorted({start, end, *(c for c in cuts if start < c < end)}))
    ]
    fixed = (hold, clear_for, ("low", "high", "critical"), on_delays)
    state, steps = advance(ConditionState(watermark=at(0)), whole, *fixed)
    live = ConditionState(watermark=at(0))
    found = []
    for piece in pieces:
        live, more = advance(live, [piece], *fixed)
        found += more
    assert found == steps
    assert live == state
