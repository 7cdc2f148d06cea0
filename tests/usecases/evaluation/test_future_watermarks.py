"""A clock that was ahead during some rounds and is right again: nothing is lost, told twice, or
silent, and the platform says it."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.builders import at
from tests.helpers.late_line import FIELDS, OWN_TIMES, Line, told

DAY = 24 * 60
AHEAD = [2, 20, 60, 120, 40 * DAY]
FOR_ITSELF = {"above": None, "levels": OWN_TIMES, "stale_after": "9m", "no_data": "alert"}


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


def run_both(fields, values, wrong, since=0):
    """Return a line whose clock was wrong in some rounds, and one whose clock was right. `since`:
    minute from which on readings come again, some hours or days after the first ones."""
    lines = Line(**fields), Line(**fields)
    for line in lines:
        line.live((5, {1: 200, 5: 200}))
        if since:
            line.live((since + 5, {since: 200, since + 5: 200}))
    for minute, value in enumerate(values, start=6):
        now = since + minute
        for line in lines:
            if value is not None:
                line.feed({now: value}, now)
        lines[0].run(now + wrong.get(minute, 0))
        lines[1].run(now)
    end = since + 6 + len(values)
    for line in lines:
        line.live((end + 3,), (end + 5,))
    return lines


@pytest.mark.parametrize("ahead", [20, 40 * DAY])
def test_an_alarm_that_ended_today_stays_when_a_clock_was_ahead(ahead):
    """Evaluation goes back a day, which is in the middle of that alarm."""
    fields = {"stale_after": "4m", "no_data": "alert", "allowed_lateness": "0s"}
    values = [200, 220, 212, None, 220, 212, None, None]
    found, wanted = run_both(fields, values, {13: ahead}, since=3 * DAY)
    assert found.condition_intervals() == wanted.condition_intervals()
    assert found.condition_intervals()[0][:2] == (at(9), at(3 * DAY))
    assert found.state() == wanted.state()


@pytest.mark.parametrize("ahead", [20, 40 * DAY])
def test_a_value_that_is_the_same_for_days_stays_so_when_a_clock_was_ahead(ahead):
    fields = {"frozen_after": "2d", "stale_after": "2h", "no_data": "alert"}
    fields |= {"allowed_lateness": "0s"}
    lines = Line(**fields), Line(**fields)
    for line in lines:
        line.live(*((hour * 60, {hour * 60: 200}) for hour in range(3 * 24)))
    run_ahead(lines[0], 71 * 60 + 1, ahead, rounds=3)
    for line in lines:
        line.live((72 * 60, {72 * 60: 200}), (73 * 60, {73 * 60: 200}))
    found, wanted = lines
    assert wanted.condition_intervals()[0][:3] == (at(49 * 60), None, "open")
    assert found.condition_intervals() == wanted.condition_intervals()
    assert found.state() == wanted.state()


@given(
    FIELDS,
    st.lists(st.sampled_from([None, 200, 200, 212, 220, 231]), min_size=10, max_size=20),
    st.dictionaries(st.integers(8, 20), st.sampled_from([2, 5, 20, 60, 40 * DAY]), max_size=3)
    | st.dictionaries(st.integers(8, 20), st.sampled_from([-10, -60, -3 * DAY]), max_size=1),
    st.sampled_from(["0s", "10m", "1d"]),
)
@example({}, [None] * 10, {12: -10}, "0s")  # the value has been the same since before
@example(FOR_ITSELF, [None] * 14, {8: 5}, "10m")  # critical comes, is taken back, and comes
@example(FOR_ITSELF, [None] * 14, {8: 5}, "0s")
@example({"stale_after": "4m"}, [212] * 7 + [220, 212, 220], {13: 40 * DAY, 14: 2}, "0s")
def test_in_the_end_all_is_as_under_a_clock_that_was_right(fields, values, wrong, lateness):
    found, wanted = run_both(fields | {"allowed_lateness": lateness}, values, wrong)
    assert found.condition_intervals() == wanted.condition_intervals()
    assert found.state() == wanted.state()
    keys = [m.key for m in found.mail.messages]
    assert len(set(keys)) == len(keys)
