import numpy as np
import pytest

from alerting.detection.occurrences import no_occurrences
from alerting.episodes.predictions import AlarmEnd, PredictionRule
from alerting.kinds.prediction.refresh import refreshed_rows
from tests.builders import at

pytestmark = pytest.mark.fast

RULE = PredictionRule(no_occurrences(), 1_800_000, 1_800_000, AlarmEnd(0.3, 60_000, 60_000))
END = int(at(60).timestamp() * 1000)


def instants(minutes):
    return np.array([int(at(minute).timestamp() * 1000) for minute in minutes])


def row_of(stride_s, until, raised=0.0, unknown=()):
    """The refreshed row of a prediction by scores at each stride up to a minute."""
    found = instants(np.arange(stride_s, until * 60 + 1, stride_s) / 60)
    score = np.where(np.isin(found, instants(unknown)), np.nan, 0.7)
    rows = refreshed_rows({at(raised): END}, found, score, RULE, stride_s * 1000)
    return [(int(found[row]) - instants([0])[0]) / 60_000 for row in rows.values()]


def test_a_stride_of_seconds_is_refreshed_at_the_first_instant_of_each_minute():
    assert row_of(5, 3.9) == [3]
    assert row_of(5, 4) == [4]
    assert row_of(7, 3.9) == [pytest.approx(3 + 2 / 60)]  # 26 strides of 7 s


def test_a_stride_of_a_minute_or_more_is_refreshed_at_each_instant():
    assert row_of(60, 3) == [3]
    assert row_of(90, 5) == [4.5]


def test_nothing_is_refreshed_before_the_next_minute_after_a_raise():
    assert row_of(5, 0.9) == []
    assert row_of(5, 2.5, raised=2) == []


def test_a_minute_whose_first_score_is_unknown_is_left_out():
    assert row_of(5, 3.9, unknown=[3]) == [2]


@pytest.mark.parametrize("cut", [0.5, 1, 1.75, 3])
def test_how_many_evaluations_there_were_changes_nothing(cut):
    found = instants(np.arange(5, 241, 5) / 60)
    split = int(np.searchsorted(found, instants([cut])[0], "right"))
    score = np.full(len(found), 0.7)
    whole = refreshed_rows({at(0): END}, found, score, RULE, 5000)
    late = refreshed_rows({at(0): END}, found[split:], score[split:], RULE, 5000)
    assert {k: v + split for k, v in late.items()} == whole
