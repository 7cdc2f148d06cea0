"""Rates of counters: the increase however the counter begins again, and however the time is cut."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerting.definitions.asset_documents import COUNTER_REACHES, Variable
from alerting.readings.history import with_computed
from alerting.readings.rates import Counter, rates_of_change
from tests.builders import history, oven

pytestmark = pytest.mark.fast

NONE = np.nan
WORD = Counter(65536)
# minutes, values, counter, increases per minute
TABLE = {
    "a meter that begins again counts from 0": (
        range(6),
        [4.0, 7.0, 2.0, 5.0, 6.0, 6.0],
        Counter(),
        [NONE, 3, 3, 3, 1, 0],
    ),
    "one zero after a restart is ignored": (
        range(5),
        [500.0, 501.0, 0.0, 503.0, 504.0],
        Counter(),
        [NONE, 1, 1, 1, 1],
    ),
    "one lower sample is ignored": (
        range(5),
        [500.0, 501.0, 320.0, 501.0, 502.0],
        Counter(),
        [NONE, 1, 1, 0, 1],
    ),
    "a zero before the first known value is ignored, too": (
        range(4),
        [0.0, 90_210.0, 90_211.0, 90_213.0],
        Counter(),
        [NONE, NONE, 1, 2],
    ),
    "two zeros are a reset": (range(5), [5.0, 6.0, 0.0, 0.0, 2.0], Counter(), [NONE, 1, 1, 0, 2]),
    "rounding is no reset": (
        range(4),
        [700.0, 699.99, 699.99, 701.0],
        Counter(),
        [NONE, -0.01, 0, 1.01],
    ),
    "a word rolls over": (
        range(5),
        [65_500.0, 65_530.0, 24.0, 54.0, 84.0],
        WORD,
        [NONE, 30, 30, 30, 30],
    ),
    "a word that falls from the middle was reset": (
        range(5),
        [30_000.0, 30_030.0, 12.0, 42.0, 72.0],
        WORD,
        [NONE, 30, 30, 30, 30],
    ),
    "a value beyond the end was reset": (
        range(4),
        [70_000.0, 70_010.0, 5.0, 15.0],
        WORD,
        [NONE, 10, 10, 10],
    ),
    "what falls again and again has no rate": (
        range(5),
        [50.0, 40.0, 30.0, 20.0, 21.0],
        Counter(),
        [NONE, NONE, NONE, NONE, 1],
    ),
    "a gap ends it": ([0, 1, 30, 31], [8.0, 9.0, 3.0, 4.0], Counter(), [NONE, 1, NONE, 1]),
    "without a declaration a fall is a negative rate": (range(2), [9.0, 2.0], None, [NONE, -7]),
}


def rates(minutes, values, counter, per=1, stale=5, limits=()):
    ts = np.array(minutes, np.int64) * 60_000
    numbers = np.array(values, np.float64)
    possible = ~np.isnan(numbers)
    return rates_of_change(ts, numbers, possible, per * 60_000, stale * 60_000, limits, counter)


def test_increases():
    found = {what: rates(*row[:3]).tolist() for what, row in TABLE.items()}
    for what, (*_, expected) in TABLE.items():
        assert found[what] == pytest.approx(expected, nan_ok=True), what


def test_increases_over_several_falls():
    values = [10, 13, 1, 4, 2, 3, 0, 1]
    assert rates(range(8), values, Counter(), per=6)[-1] == 1 + 3 + 2 + 1 + 0 + 1


SAMPLES = st.lists(
    st.tuples(st.sampled_from([1, 1, 1, 2, 7]), st.sampled_from([NONE, 0, 0.1, 0.4, 3, 9.7, 10])),
    min_size=2,
    max_size=25,
)


@settings(max_examples=200, deadline=None)
@given(SAMPLES, st.sampled_from([1, 3]), st.sampled_from([Counter(), Counter(10.3), None]))
def test_a_rate_depends_on_no_later_reading_and_on_no_long_past_one(samples, per, counter):
    gaps, values = zip(*samples, strict=True)
    minutes = np.cumsum(gaps)
    stale = 3
    whole = rates(minutes, values, counter, per, stale, [0.3])
    for i, minute in enumerate(minutes):
        since = minutes > minute - COUNTER_REACHES * (per + stale)
        near = slice(int(np.argmax(since)), i + 1)
        cut = rates(minutes[near], values[near], counter, per, stale, [0.3])
        np.testing.assert_array_equal(cut[-1], whole[i])


def test_a_computed_rate_is_per_hour_and_knows_the_counter():
    asset = oven(
        meter=Variable(counter=True),
        power=Variable.model_validate({"computed": {"kind": "rate", "of": "meter", "gain": 0.5}}),
    )
    data = history([0, 1, 3, 4, 5, 40], asset, meter=[6, 7, 9, 0, 1, 2])
    values = with_computed(data, ["power"]).readings["power"].tolist()
    assert values == pytest.approx([NONE, 30, 30, 30, 30, NONE], nan_ok=True)
