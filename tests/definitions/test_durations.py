from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerting.definitions.durations import format_duration, parse_duration

pytestmark = pytest.mark.fast


@given(st.integers(min_value=0, max_value=10**8))
def test_a_duration_reads_back_as_it_was_written(seconds):
    assert parse_duration(format_duration(timedelta(seconds=seconds))) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "5", "m", "-5m", "1.5h", "5m1h", "90 minutes"])
def test_anything_else_is_refused_with_an_example(text):
    with pytest.raises(ValueError, match="write for example 30m"):
        parse_duration(text)
