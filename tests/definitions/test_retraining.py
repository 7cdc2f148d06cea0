"""Times at which models are trained again: as stated, else spread over the nights of a week."""

from collections import Counter

import pytest

from tests.builders import classifier

pytestmark = pytest.mark.fast


def retrain_cron(**changes):
    return classifier(**changes).retrain_cron


def test_a_thousand_weekly_trainings_are_spread_over_the_minutes_of_seven_nights():
    crons = [retrain_cron(name=f"moist-{number}").split() for number in range(1000)]
    assert {night for *_, night in crons} == {str(night) for night in range(7)}
    assert {hour for _, hour, *_ in crons} == {str(hour) for hour in range(6)}
    assert max(Counter(map(tuple, crons)).values()) <= 5
    assert max(Counter(night for *_, night in crons).values()) < 200


def test_a_definition_keeps_its_night_whatever_else_of_it_changes():
    assert (
        retrain_cron(name="moist")
        == retrain_cron(name="moist", title="Moist", horizon="2h")
        != retrain_cron(name="damp")
    )


def test_a_stated_schedule_is_kept():
    assert retrain_cron(schedule={"retrain": "0 3 * * 0"}) == "0 3 * * 0"
    assert retrain_cron(schedule={"retrain": None}) is None
