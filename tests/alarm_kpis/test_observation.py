"""The evaluated part of a period: intervals, rates over them, and the sentence on it."""

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from alerting.alarm_kpis.intervals import find_gaps, intersection, length, merge
from alerting.alarm_kpis.kpis import kpis
from alerting.alarm_kpis.observation import observation
from tests.builders import UTC, at
from tests.helpers.episodes import episode

pytestmark = pytest.mark.fast

DAY = 24 * 60


def times(*minutes):
    return [(at(a), at(b)) for a, b in minutes]


def figures(alarms, start, end, *evaluated, during=None):
    closed = [episode(m, id=f"e{m}", condition="closed", closed_at=at(m + 1)) for m in alarms]
    return kpis(closed, at(start), at(end), during=during, evaluated=times(*evaluated))


def test_intervals_that_touch_or_overlap_become_one_and_are_cut_to_the_period():
    assert merge(times((5, 9), (0, 2), (9, 12), (1, 3)), at(1), at(11)) == times((1, 3), (5, 11))
    assert merge(times((0, 2)), at(2), at(9)) == []


def test_what_lies_between_and_what_two_lists_share():
    assert find_gaps(times((1, 3), (5, 9)), at(0), at(9)) == times((0, 1), (3, 5))
    assert intersection(times((0, 4), (6, 9)), times((3, 7))) == times((3, 4), (6, 7))
    assert length(times((0, 4), (6, 9))) == timedelta(minutes=7)


def test_rates_and_shares_are_of_the_evaluated_times_also_with_a_gap():
    found = figures(
        [DAY + m / 10 for m in range(11)], 0, 4 * DAY, (DAY, 2 * DAY), (3 * DAY, 4 * DAY)
    )
    assert (found.alarms, found.per_day, found.observed) == (
        11,
        pytest.approx(5.5),
        timedelta(days=2),
    )
    assert found.periods_above == found.time_in_flood == pytest.approx(1 / 288)
    assert found.hours_above == 0


def test_a_period_that_was_evaluated_in_part_counts():
    found = figures([25], 0, 120, (12, 102))
    assert sum(b.periods for b in found.bands) == 10
    assert found.per_hour == pytest.approx(60 / 90)


def test_a_rate_is_not_known_before_its_own_time_was_evaluated():
    found = figures([25, 26, 27], 0, 60, (20, 27))
    assert (found.alarms, found.per_ten_minutes, found.per_hour, found.per_day) == (
        3,
        None,
        None,
        None,
    )
    longer = figures([25, 26, 27], 0, DAY, (0, 23 * 60))
    assert (longer.per_day, longer.per_hour) == (None, pytest.approx(3 / 23))
    assert figures([25, 26, 27], 0, DAY, (0, DAY)).per_day == pytest.approx(3)


def test_of_a_shift_only_the_evaluated_hours_count():
    found = figures([70], 0, DAY, (60, DAY), during=times((0, 120), (600, 720)))
    assert (found.asked, found.observed) == (timedelta(hours=4), timedelta(hours=3))
    assert found.per_hour == pytest.approx(1 / 3)


def test_an_alarm_is_never_lost_from_the_counts():
    found = figures([30], 0, 60, (40, 60))
    assert (found.alarms, found.busiest, sum(b.periods for b in found.bands)) == (1, 1, 3)


@pytest.mark.parametrize(
    ("end", "evaluated", "zone", "words"),
    [
        (30 * DAY, (24 * DAY, 30 * DAY), UTC, "observed 6 of 30 days, since 29 Jan"),
        (30 * DAY, (24 * DAY + 720, 30 * DAY), UTC, "observed 5.5 of 30 days, since 29 Jan"),
        (
            30 * DAY,
            (30 * DAY - 90, 30 * DAY),
            UTC,
            "observed 90 minutes of 30 days, since 3 Feb 22:30",
        ),
        (
            DAY,
            (DAY - 120, DAY),
            ZoneInfo("Europe/Berlin"),
            "observed 2 of 24 hours, since 5 Jan 23:00",
        ),
        (400 * DAY, (0, 399 * DAY), UTC, "observed 399 of 400 days, since 5 Jan 2026"),
        (30 * DAY, (0, 30 * DAY), UTC, ""),
        (30 * DAY, (60, 30 * DAY), UTC, ""),
        (
            30 * DAY,
            (31 * DAY, 32 * DAY),
            UTC,
            "nothing was evaluated in this period, so its rates are not known",
        ),
    ],
)
def test_a_sentence_says_how_much_was_observed(end, evaluated, zone, words):
    shown = [i for i in [evaluated] if i[0] < end]
    assert observation(figures([], 0, end, *shown), zone) == words
