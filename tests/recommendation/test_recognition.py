"""Whether a recommendation was followed, as set-points in readings show it."""

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from alerting.definitions.assets import Asset, Variable
from alerting.episodes.episode import Change, RecommendationResult
from alerting.recommendation.recognition import SettingChange, recognise

pytestmark = pytest.mark.fast

RAISED = datetime(2026, 1, 1, tzinfo=UTC)
OVEN = Asset(
    name="oven-1",
    variables={
        "belt": Variable(controllable=True, min=6, max=10, step=0.1),
        "damper": Variable(controllable=True, min=0, max=100),
        "recipe": Variable(type="category", controllable=True),
    },
)
AT_RAISE = {"belt": 8.0, "damper": 40.0, "recipe": "rusk"}


def advice(**after):
    changes = tuple(Change(name, AT_RAISE[name], value, None) for name, value in after.items())
    return RecommendationResult(changes, 0.8, 0.2, bool(changes), "Set it")


def readings(**columns):
    length = max(len(values) for values in columns.values())
    index = pd.DatetimeIndex([RAISED + timedelta(minutes=m + 1) for m in range(length)])
    return pd.DataFrame(columns, index=index)


@pytest.mark.parametrize(
    ("advised", "seen", "taken"),
    [
        ({"belt": 7.4}, {"belt": [8.0, 7.4]}, "yes"),
        ({"belt": 7.4}, {"belt": [8.0, 7.5]}, "yes"),
        ({"belt": 7.4}, {"belt": [8.0, 7.0]}, "yes"),
        ({"belt": 7.4}, {"belt": [8.0, 7.7]}, "partly"),
        ({"belt": 7.4, "damper": 60.0}, {"belt": [7.4], "damper": [40.0]}, "partly"),
        ({"belt": 7.4, "damper": 60.0}, {"belt": [7.4], "damper": [58.2]}, "yes"),
        ({"belt": 7.4}, {"belt": [8.4]}, "other"),
        ({"belt": 7.4}, {"belt": [8.0], "damper": [60.0]}, "other"),
        ({"belt": 7.4}, {"belt": [8.0, 8.04]}, "no"),
        ({"belt": 7.9}, {"belt": [8.0]}, "no"),
        ({"belt": 7.4}, {"belt": [7.4, 8.0]}, "no"),
        ({"recipe": "toast"}, {"recipe": ["rusk", "toast"]}, "yes"),
        ({}, {"belt": [7.0]}, "other"),
    ],
)
def test_settings_are_compared_with_the_advised_ones(advised, seen, taken):
    assert recognise([advice(**advised)], OVEN, AT_RAISE, readings(**seen)).taken == taken


def test_it_names_what_changed_and_since_when():
    found = recognise([advice(belt=7.4)], OVEN, AT_RAISE, readings(belt=[8.0, 7.6, 7.4]))
    assert found.changes == (SettingChange("belt", 8.0, 7.4, RAISED + timedelta(minutes=2)),)


def test_the_advice_that_was_followed_best_counts():
    later = advice(belt=7.0)
    assert (
        recognise([advice(damper=60.0), later], OVEN, AT_RAISE, readings(belt=[7.0])).taken == "yes"
    )


def test_nothing_is_proposed_where_nothing_is_known():
    assert recognise([advice()], OVEN, AT_RAISE, readings(belt=[8.0])) is None
    assert recognise([advice(belt=7.4)], OVEN, {"belt": None}, readings(belt=[7.4])) is None


@pytest.mark.parametrize(
    ("belt", "proposed"),
    [([7.4], "yes"), ([7.7], "partly"), ([8.4], None), ([8.0], None)],
    ids=["as advised", "towards it", "the other way", "as it was"],
)
def test_only_a_change_towards_the_advice_is_proposed_as_an_answer(belt, proposed):
    assert recognise([advice(belt=7.4)], OVEN, AT_RAISE, readings(belt=belt)).proposed == proposed
