"""What the spacing of readings makes impossible: said of a definition before it serves, with what
to write instead; never of one that can raise and end."""

import random
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from alerting.definitions.assets import Asset, Variable
from alerting.detection.conditions import status_intervals
from alerting.episodes.lifecycle import ConditionState, advance
from alerting.kinds.protocol.spacing import describe_unfulfillable, lasting_condition
from alerting.readings.history import INDEX_DTYPE, History, from_millis
from tests.builders import several, threshold

HOUR = 3_600_000
HOURLY = np.arange(1, 97) * HOUR
MINUTES = np.arange(1, 1000) * 60_000


def said(definition, **times):
    return list(describe_unfulfillable(lasting_condition(definition), times))


def hot(**changes):
    return threshold(above=100.0, **changes)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"for": "30m"},
            "temperature comes every 1h, longer than stale_after 10m: `for: 30m` can never be "
            "fulfilled; write stale_after: 2h",
        ),
        ({"for": "10m"}, "`for: 10m` can never be fulfilled; write stale_after: 2h"),
        (
            {"clear_for": "30m"},
            "`clear_for: 30m` can never be fulfilled, so no alarm ends; write stale_after: 2h",
        ),
        (
            {"at_least": {"readings": 2, "of": 3}},
            "`at_least: 2 of 3` can never be fulfilled; write stale_after: 2h",
        ),
        (
            {"rate_per": "30m"},
            "no rate per 30m is ever known, so no alarm comes; write stale_after: 2h",
        ),
        (
            {"stale_after": "2h", "for": "20m", "clear_for": "45m", "frozen_after": "30m"},
            "temperature comes every 1h, longer than frozen_after 30m: `clear_for: 45m` can never "
            "be fulfilled, so no alarm ends; write frozen_after: 2h",
        ),
        ({"for": "30m", "levels": {"high": {"above": 100}}, "above": None}, "`for: 30m`"),
        ({"for": "30m", "no_data": "alert", "clear_for": "10m"}, "`clear_for: 10m`"),
    ],
)
def test_what_hourly_readings_make_impossible_is_said_with_what_works(changes, sentence):
    made = threshold(**{"above": 100.0, **changes})
    (found,) = said(made, temperature=HOURLY)
    assert sentence in found


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"for": "5m"},
        {"clear_for": "9m"},
        {"for": "3h", "stale_after": "1h"},
        {"for": "3h", "clear_for": "3h", "no_data": "ignore"},
        {"for": "30m", "no_data": "alert"},
        {"at_least": {"readings": 1, "of": 3}},
        {"rate_per": "55m"},
        {"rate_per": "30m", "stale_after": "2h"},
    ],
)
def test_what_can_be_fulfilled_is_not_said_to_be_impossible(changes):
    assert said(hot(**changes), temperature=HOURLY) == []
    assert said(hot(**changes), temperature=MINUTES) == []


def test_of_too_few_readings_nothing_is_said():
    assert said(hot(**{"for": "30m"}), temperature=HOURLY[:3]) == []
    assert said(hot(**{"for": "30m"})) == []
    two_parts = np.concatenate([MINUTES[:20], MINUTES[500:520]])
    assert said(hot(**{"for": "2h"}), temperature=two_parts) == []


def test_readings_in_short_bursts_never_last():
    bursts = np.concatenate([hour + np.arange(10) * 60_000 for hour in HOURLY])
    (found,) = said(hot(**{"for": "30m"}), temperature=bursts)
    assert "`for: 30m` can never be fulfilled" in found
    assert said(hot(**{"for": "15m"}), temperature=bursts) == []


def test_conditions_of_variables_that_are_never_known_together():
    members = [{"variable": "temperature", "above": 100}, {"variable": "moisture", "below": 3}]
    half_past = HOURLY + HOUR // 2
    both = several(all=members)
    (found,) = said(both, temperature=HOURLY, moisture=half_past)
    assert found == (
        "temperature comes every 1h, longer than stale_after 10m; moisture comes every 1h, longer "
        "than stale_after 10m: its conditions are never known at the same time, so no alarm comes; "
        "write stale_after: 2h"
    )
    assert said(both, temperature=HOURLY, moisture=HOURLY) == []
    assert said(several(any=members), temperature=HOURLY, moisture=half_past) == []
    (found,) = said(several(any=members, clear_for="1m"), temperature=HOURLY, moisture=half_past)
    assert "`clear_for: 1m` can never be fulfilled, so no alarm ends" in found
    (found,) = said(several(all=members, **{"for": "15m"}), temperature=HOURLY, moisture=MINUTES)
    assert found.startswith("temperature comes every 1h, longer than stale_after 10m: `for: 15m`")
    nested = several(any=[{"all": members}, {"all": members}])
    assert said(nested, temperature=HOURLY, moisture=half_past)


def steps_of(definition, ts, values):
    index = pd.DatetimeIndex(pd.to_datetime(ts, unit="ms", utc=True)).astype(INDEX_DTYPE)
    index.name = "ts"
    frame = pd.DataFrame({"temperature": values}, index=index)
    asset = Asset(name="oven-1", variables={"temperature": Variable()})
    begin = from_millis(int(ts[0]) - 1)
    end = from_millis(int(ts[-1]))
    intervals = status_intervals(definition, History(asset, frame), begin, end)
    severities = ("medium",)
    state = ConditionState(begin)
    return advance(state, intervals, definition.hold, definition.clear_for, severities)[1]


@pytest.mark.parametrize("seed", range(150))
def test_what_is_said_agrees_with_the_evaluation_of_the_most_favourable_values(seed):
    of = random.Random(seed)
    usual = of.choice([1, 5, 30, 60])
    jitter = [usual * of.choice([1, 1, 1, 0.5, 3]) for _ in range(120)]
    regular = [usual] * 120
    steps = of.choice([regular, jitter])
    ts = (np.cumsum(steps) * 60_000).astype(np.int64)
    changes = {
        "for": of.choice(["0s", "5m", "20m", "1h", "3h"]),
        "stale_after": of.choice(["2m", "10m", "30m", "1h", "2h"]),
    }
    changes |= of.choice([{}, {}, {"at_least": {"readings": 3, "of": 4}}, {"rate_per": "20m"}])
    definition = threshold(above=100.0 if "rate_per" not in changes else 0.5, **changes)
    rising = 200.0 + np.arange(len(ts)) * 1000
    never_raised = not steps_of(definition, ts, rising)
    found = said(definition, temperature=ts)
    assert not found or never_raised
    if steps is regular and definition.hold < timedelta(milliseconds=int(ts[-1] - ts[0])):
        assert bool(found) == never_raised


@pytest.mark.parametrize("seed", range(60))
def test_an_alarm_that_is_said_not_to_end_does_not(seed):
    of = random.Random(seed)
    usual = of.choice([5, 30, 60])
    ts = np.arange(1, 100) * usual * 60_000
    changes = {
        "clear_for": of.choice(["1m", "20m", "1h", "3h"]),
        "stale_after": of.choice(["2m", "10m", "30m", "1h"]),
    }
    definition = threshold(above=100.0, **changes)
    steps = steps_of(definition, ts, np.where(np.arange(len(ts)) < 3, 200.0, 0.0))
    ends = [step.kind for step in steps] == ["raised", "closed"]
    assert ends != bool(said(definition, temperature=ts))
