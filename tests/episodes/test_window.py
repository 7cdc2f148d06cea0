from datetime import timedelta

import pytest

from alerting.episodes.episode import ExpectedWindow, expected_window
from tests.builders import at
from tests.helpers.episodes import closed, episode

pytestmark = pytest.mark.fast
HORIZON = timedelta(minutes=30)


def predicted(**changes):
    return episode(0, **{"is_prediction": True, "valid_until": at(35), **changes})


def window_at(minute, **changes):
    return expected_window(predicted(**changes), HORIZON, at(minute))


def test_the_window_begins_after_the_gap_and_moves_with_the_risk():
    assert window_at(1) == ExpectedWindow(at(5), at(35))
    assert window_at(1, valid_until=at(47)) == ExpectedWindow(at(17), at(47))


def test_the_time_counts_down_from_what_the_raise_announced_until_that_has_passed():
    first = ExpectedWindow(at(5), at(35))
    high = {1: 35, 10: 45, 20: 55, 34: 69}
    shown = {
        now: window_at(now, announced_until=at(35), valid_until=at(end))
        for now, end in high.items()
    }
    assert shown == dict.fromkeys(high, first)
    late = window_at(36, announced_until=at(35), valid_until=at(71))
    assert late == ExpectedWindow(at(41), at(71), announced=at(35)), "it goes on, and says so"


def test_nothing_is_expected_any_more_of_what_has_come_or_is_over():
    has_come = predicted(happening_at=at(20))
    others = [closed(predicted()), predicted(valid_until=None), episode(0, valid_until=at(9))]
    assert [expected_window(one, HORIZON, at(6)) for one in (has_come, *others)] == [None] * 4
