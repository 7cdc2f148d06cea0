"""However late readings come: a property of whole evaluations, dozens of them for each example."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.late_line import FIELDS, Line

pytestmark = pytest.mark.models
ARRIVALS = st.lists(
    st.tuples(st.sampled_from([200, 212, 220, 235, "bad"]), st.sampled_from([0, 0, 0, 3, 20, 70])),
    min_size=12,
    max_size=36,
)


@settings(max_examples=40, deadline=None)
@given(ARRIVALS, FIELDS, st.integers(1, 7), st.integers(1, 4))
def test_late_readings_give_the_episodes_and_the_state_of_readings_in_time(
    arrivals, fields, every, gap
):
    line = Line(**fields)
    in_time = Line(**fields)
    end = len(arrivals) * gap + 75
    come = [(i * gap + 1, i * gap + 1 + late, value) for i, (value, late) in enumerate(arrivals)]
    in_time.feed({ts: value for ts, _, value in come})
    in_time.run(end)
    before = 0
    for minute in [*range(every, end, every), end]:
        line.feed({ts: value for ts, arrival, value in come if before < arrival <= minute}, minute)
        line.run(minute)
        before = minute
    assert line.condition_intervals() == in_time.condition_intervals()
    assert line.state() == in_time.state()
    keys = Counter(m.key for m in line.mail.messages)
    assert set(keys.values()) <= {1}
    raises = Counter(key.rsplit(":", 2)[0] for key in keys if ":raised:" in key)
    assert set(raises.values()) <= {1}
