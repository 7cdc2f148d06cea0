"""Instants at which recipients would have been notified of the episodes of a definition that is not
in service yet."""

import pytest

from alerting.alarm_kpis.load import notification_instants
from alerting.detection.suppression import SuppressedInterval
from alerting.episodes.lifecycle import Step
from tests.builders import at

pytestmark = pytest.mark.fast


def prediction(raised, happening, closed):
    ended = at(happening)
    return [
        Step("raised", at(raised), at(raised), ""),
        Step("happening", at(happening), at(raised), "", prediction_ended_at=ended),
        Step("closed", at(closed), at(raised), "", prediction_ended_at=ended),
    ]


def test_an_alarm_raised_while_its_problem_is_known_counts():
    assert notification_instants(prediction(5, 5, 30), [], (), at(60)) == [at(5)]


def test_a_prediction_that_was_muted_until_its_problem_came_does_not_count():
    muted = [SuppressedInterval(at(0), at(20), "cleaning")]
    assert notification_instants(prediction(5, 10, 30), muted, (), at(60)) == []
    assert notification_instants(prediction(5, 25, 30), muted, (), at(60)) == [at(20)]
