"""What the spacing of readings makes impossible: said of a definition before it serves, with what
to write instead; never of one that can raise and end."""

from datetime import timedelta

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from alerting.definitions.asset_documents import Asset, Variable
from alerting.detection.combined_conditions import status_intervals
from alerting.episodes.lifecycle import ConditionState, advance
from alerting.kinds.reading_spacing import describe_unfulfillable, lasting_condition
from alerting.readings.history import INDEX_DTYPE, History, from_millis
from tests.builders import several, threshold

HOUR = 3_600_000
HOURLY = np.arange(1, 97) * HOUR
MINUTES = np.arange(1, 1000) * 60_000


def said(definition, **times):
    return list(describe_unfulfillable(lasting_condition(definition), times))


def hot(**changes):
    return threshold(above=100.0, **changes)


IMPOSSIBLE = [
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
    (
        {"levels": {"low": {"above": 1}, "high": {"above": 1, "for": "30m"}}, "above": None},
        "`levels.high.for: 30m` can never be fulfilled; write stale_after: 2h",
    ),
    (
        {"count_within": "3h"},
        "readings never cover `count_within: 3h` without a gap, so no alarm ends; write "
        "stale_after: 2h",
    ),
]
POSSIBLE = [
    {},
    {"for": "5m"},
    {"clear_for": "9m"},
    {"for": "3h", "stale_after": "1h"},
    {"for": "3h", "clear_for": "3h", "no_data": "ignore"},
    {"for": "30m", "no_data": "alert"},
    {"at_least": {"readings": 1, "of": 3}},
    {"rate_per": "55m"},
    {"rate_per": "30m", "stale_after": "2h"},
    {"clear_for": "30m", "no_data": "clear"},
    {"count_within": "5m"},
    {"count_within": "3h", "stale_after": "2h"},
]


def test_what_hourly_readings_make_impossible_is_said_with_what_works():
    found = [
        (said(threshold(**{"above": 100.0, **changes}), temperature=HOURLY), sentence)
        for changes, sentence in IMPOSSIBLE
    ]
    assert [row for row in found if len(row[0]) != 1 or row[1] not in row[0][0]] == []


def test_what_can_be_fulfilled_or_is_not_known_is_not_said_to_be_impossible():
    bursts = np.concatenate([hour + np.arange(10) * 60_000 for hour in HOURLY])
    lasting = {"for": "30m"}
    fulfilled = [
        *((changes, {"temperature": HOURLY}) for changes in POSSIBLE),
        *((changes, {"temperature": MINUTES}) for changes in POSSIBLE),
        # too few readings
        (lasting, {"temperature": HOURLY[:3]}),
        (lasting, {}),
        ({"for": "2h"}, {"temperature": np.concatenate([MINUTES[:20], MINUTES[500:520]])}),
        ({"for": "15m"}, {"temperature": bursts}),
    ]
    assert [row for row in fulfilled if said(hot(**row[0]), **row[1])] == []
    (found,) = said(hot(**lasting), temperature=bursts)  # short bursts never last
    assert "`for: 30m` can never be fulfilled" in found


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
    (found,) = said(several(any=members), temperature=HOURLY, moisture=half_past)
    assert "its conditions are never known at the same time, so no alarm ends" in found
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


def random_definition(of):
    """Return a definition, instants of readings, and whether those come at equal distances."""
    usual = of.choice([1, 5, 30, 60])
    is_regular = of.choice([True, False])
    jitter = [usual * of.choice([1, 1, 1, 0.5, 3]) for _ in range(120)]
    steps = [usual] * 120 if is_regular else jitter
    changes = {
        "for": of.choice(["0s", "5m", "20m", "1h", "3h"]),
        "stale_after": of.choice(["2m", "10m", "30m", "1h", "2h"]),
    }
    changes |= of.choice([{}, {}, {"at_least": {"readings": 3, "of": 4}}, {"rate_per": "20m"}])
    definition = threshold(above=100.0 if "rate_per" not in changes else 0.5, **changes)
    return definition, (np.cumsum(steps) * 60_000).astype(np.int64), is_regular


@settings(max_examples=100)
@given(st.randoms(use_true_random=False))
def test_what_is_said_agrees_with_the_evaluation_of_the_most_favourable_values(of):
    definition, ts, is_regular = random_definition(of)
    never_raised = not steps_of(definition, ts, 200.0 + np.arange(len(ts)) * 1000)
    found = said(definition, temperature=ts)
    assert not found or never_raised
    if is_regular and definition.hold < timedelta(milliseconds=int(ts[-1] - ts[0])):
        assert bool(found) == never_raised


@settings(max_examples=40)
@given(
    st.sampled_from([5, 30, 60]),
    st.sampled_from(["1m", "20m", "1h", "3h"]),
    st.sampled_from(["2m", "10m", "30m", "1h"]),
)
def test_an_alarm_that_is_said_not_to_end_does_not(usual, clear_for, stale_after):
    ts = np.arange(1, 100) * usual * 60_000
    definition = threshold(above=100.0, clear_for=clear_for, stale_after=stale_after)
    steps = steps_of(definition, ts, np.where(np.arange(len(ts)) < 3, 200.0, 0.0))
    ends = [step.kind for step in steps if step.kind != "renewed"] == ["raised", "closed"]
    assert ends != bool(said(definition, temperature=ts))
