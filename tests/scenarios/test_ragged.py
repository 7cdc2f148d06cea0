from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from alerting.readings.ragged import pack, summarise_windows

VALUES = st.sampled_from([1.0, 1.0, 2.0, 3.0, -0.0, 0.0, float("nan"), float("inf"), float("-inf")])
SERIES = st.lists(st.tuples(st.integers(1, 5), VALUES), max_size=12)


def columns(series):
    gaps, values = zip(*series, strict=True) if series else ((), ())
    return np.cumsum(np.array(gaps, np.int64)), np.array(values, np.float64)


def one_by_one(ts, values, begin, end):
    """Return the summary of a window, computed reading by reading; None for no readings."""
    inside = [
        (t, v)
        for t, v in zip(ts.tolist(), values.tolist(), strict=True)
        if begin <= t < end and not np.isnan(v)
    ]
    if not inside:
        return None
    instants, numbers = zip(*inside, strict=True)
    since = instants[-1]
    for t, v in reversed(inside):
        if v != numbers[-1]:
            break
        since = t
    gap = max((b - a for a, b in pairwise(instants)), default=0)
    constant = len(set(numbers)) == 1
    return (
        len(inside),
        instants[0],
        instants[-1],
        min(numbers),
        max(numbers),
        gap,
        numbers[-1],
        since,
        constant,
    )


@settings(max_examples=200, deadline=None)
@given(
    st.lists(SERIES, min_size=1, max_size=4),
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 40), st.integers(0, 40)), max_size=8),
)
def test_what_all_windows_come_to_is_what_each_of_them_comes_to_reading_by_reading(series, windows):
    written = [columns(s) for s in series]
    wanted = [(place % len(series), min(a, b), max(a, b)) for place, a, b in windows]
    place, begin, end = np.array(wanted, np.int64).reshape(-1, 3).T
    found = summarise_windows(pack(written), place, begin, end)
    for row, (which, first, last) in enumerate(wanted):
        expected = one_by_one(*written[which], first, last)
        assert found.count[row] == (expected[0] if expected else 0)
        if expected:
            assert tuple(column[row] for column in vars(found).values()) == expected
