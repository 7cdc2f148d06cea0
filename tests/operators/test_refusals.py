"""Refusals of one address become few entries, and none is lost from the count."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerting.operators.account_rules import JOINED, MOST_ADDRESSES, Refusal, RefusalLog
from tests.builders import at

pytestmark = pytest.mark.fast


def refusal(address="10.9.9.9", person="", subject="GET /api/v1/episodes"):
    return Refusal(address, person, "request refused", subject, "unauthorized")


def test_the_first_is_an_entry_at_once_and_the_others_are_one_when_the_time_is_over():
    log = RefusalLog()
    [first] = log.add(refusal(), at(0))
    assert (first.count, first.subjects) == (1, ("GET /api/v1/episodes",))
    assert [entry for n in range(1, 1000) for entry in log.add(refusal(), at(n / 1000))] == []
    assert log.due(at(9.9)) == []
    [joined] = log.due(at(0) + JOINED)
    assert (joined.count, joined.since, joined.at) == (999, at(0), at(0.999))
    assert log.due(at(60)) == []


def test_an_entry_names_few_of_the_things_that_were_tried():
    log = RefusalLog()
    for n in range(100):
        log.add(refusal(subject=f"GET /{n}"), at(0))
    [joined] = log.due(at(10))
    assert joined.count == 99
    assert len(joined.subjects) == 5


def test_a_clock_set_back_loses_nothing():
    log = RefusalLog()
    for minutes in (60, 61, 0):
        log.add(refusal(), at(minutes))
    assert log.due(at(0)) == []


@given(
    st.lists(
        st.tuples(
            st.integers(0, 3 * MOST_ADDRESSES), st.sampled_from(["", "anna"]), st.integers(0, 40)
        ),
        max_size=400,
    )
)
def test_whatever_comes_the_counts_add_up_and_the_memory_is_bounded(tried):
    log = RefusalLog()
    counted = Counter()
    now = at(0)
    for address, person, seconds in tried:
        now += JOINED * seconds / 600
        for entry in log.add(refusal(str(address), person), now):
            counted[entry.address] += entry.count
        assert len(log._counts) <= 2 * MOST_ADDRESSES + 1
    for entry in log.due(now, all_of_them=True):
        counted[entry.address] += entry.count
    assert sum(counted.values()) == len(tried)
