from datetime import timedelta

import pytest

from alerting.episodes.episode import ExpectedWindow, expected_window
from tests.builders import at
from tests.helpers.episodes import closed, episode

pytestmark = pytest.mark.fast
HORIZON = timedelta(minutes=30)


def predicted(**changes):
    return episode(0, **{"is_prediction": True, "valid_until": at(35), **changes})


def test_the_window_begins_after_the_gap_and_moves_with_the_risk():
    assert expected_window(predicted(), HORIZON) == ExpectedWindow(at(5), at(35))
    assert expected_window(predicted(valid_until=at(47)), HORIZON) == ExpectedWindow(at(17), at(47))


def test_nothing_is_expected_any_more_of_what_has_come_or_is_over():
    has_come = predicted(happening_at=at(20))
    others = [closed(predicted()), predicted(valid_until=None), episode(0, valid_until=at(9))]
    assert [expected_window(one, HORIZON) for one in (has_come, *others)] == [None] * 4
