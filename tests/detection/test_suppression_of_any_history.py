"""Suppression at any instant of any history: loading as far back as `lookback` says gives the same
as knowing everything."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from alerting.definitions.assets import Variable
from alerting.definitions.suppression import Suppression
from alerting.detection.suppression import line_condition_at, lookback, suppressed_intervals
from alerting.readings.history import History
from tests.builders import at, history, oven

LINE = oven(speed=Variable(low=0, high=10))


@given(
    st.lists(st.sampled_from([0.0, 1.0]), min_size=1, max_size=60),
    st.integers(0, 59),
    st.sampled_from([0, 3]),
)
def test_what_holds_at_an_instant_is_what_the_whole_history_says(values, minute, hold):
    state = {"variable": "speed", "below": 0.1, "for": f"{hold}m", "recovery": "4m"}
    stop = Suppression.model_validate({"when": [state]})
    whole = history(range(len(values)), LINE, speed=values)
    now = at(minute + 0.5)
    near = History(whole.asset, whole.readings.loc[now - lookback(stop) : now])
    spans = suppressed_intervals(stop, [whole], at(-60), at(60))
    assert line_condition_at(stop, [near], now).suppressed == any(
        s.start <= now < s.end for s in spans
    )
    assert all(a.start <= b.start for a, b in pairwise(spans))
