"""A clock that was ahead during some rounds and is right again: nothing is lost, told twice, or
silent, and the platform says it."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.builders import at
from tests.helpers.late_line import FIELDS, Line, told

DAY = 24 * 60
AHEAD = [2, 20, 60, 120, 40 * DAY]


def faults(line):
    return [(a.kind, a.subject) for a in line.platform.platform_alerts.open()]


def run_ahead(line, minute, ahead, rounds=1):
    """Evaluate some rounds, a minute apart, under a clock that is ahead."""
    for turn in range(rounds):
        line.run(minute + turn + ahead)


def minutes(line):
    return [
        tuple(
            None if t is None else (t - at(0)).total_seconds() / 60
            for t in (e.raised_at, e.closed_at)
        )
        for e in line.episodes()
        if not e.withdrawn
    ]


@pytest.mark.parametrize("ahead", AHEAD)
@pytest.mark.parametrize("rounds", [1, 3, 40])
def test_an_alarm_after_rounds_under_a_clock_that_was_ahead_comes_at_once(ahead, rounds):
    line = Line()
    line.live((5, {1: 200, 5: 200}), (6, {6: 200}))
    run_ahead(line, 7, ahead, rounds)
    now = 7 + rounds
    line.feed({8: 230, now: 231}, now)
    line.run(now)
    if ahead > 2:  # else a minute is how far clocks may differ
        assert minutes(line) == [(8, None)]
        assert faults(line) == [("clock wrong", "evaluation")]
    line.live((now + 1, {}), (now + 3, {now + 2: 200}))
    assert minutes(line) == [(8, now + 2)]
    assert line.state().watermark == at(now + 3)
    assert told(line) == ["raised", "closed"]


def run_both(fields, values, wrong):
    """Return a line whose clock was wrong in some rounds, and one whose clock was right."""
    lines = Line(**fields), Line(**fields)
    for line in lines:
        line.live((5, {1: 200, 5: 200}))
    for minute, value in enumerate(values, start=6):
        for line in lines:
            if value is not None:
                line.feed({minute: value}, minute)
        lines[0].run(minute + wrong.get(minute, 0))
        lines[1].run(minute)
    end = 6 + len(values)
    for line in lines:
        line.live((end + 3,), (end + 5,))
    return lines


@given(
    FIELDS,
    st.lists(st.sampled_from([None, 200, 200, 212, 220, 231]), min_size=10, max_size=20),
    st.dictionaries(st.integers(8, 20), st.sampled_from([2, 5, 20, 60, 40 * DAY]), max_size=3)
    | st.dictionaries(st.integers(8, 20), st.sampled_from([-10, -60, -3 * DAY]), max_size=1),
    st.sampled_from(["0s", "10m", "1d"]),
)
@example({}, [None] * 10, {12: -10}, "0s")  # the value has been the same since before
def test_in_the_end_all_is_as_under_a_clock_that_was_right(fields, values, wrong, lateness):
    found, wanted = run_both(fields | {"allowed_lateness": lateness}, values, wrong)
    assert found.condition_intervals() == wanted.condition_intervals()
    assert found.state() == wanted.state()
    keys = [m.key for m in found.mail.messages]
    assert len(set(keys)) == len(keys)
