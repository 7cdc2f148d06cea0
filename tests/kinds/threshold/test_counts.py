"""Numbers of events and of changes in a time: exact at the ends of (t - within, t], unknown where
readings do not cover it, and the same however the time is cut."""

import itertools
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerting.definitions.asset_documents import Asset, EventType, Variable
from alerting.definitions.faults import DocumentRefused
from alerting.detection.evaluation_results_and_texts import limit_message
from alerting.detection.threshold import evaluate_values
from alerting.kinds.registry import parse_definition
from alerting.readings.history import INDEX_DTYPE, History
from alerting.usecases.definitions.scenarios import run_scenarios
from tests.builders import at

pytestmark = pytest.mark.fast

MANY_JAMS = {"event": "jam", "count_within": "10m", "above": 2}
BUSY_VALVE = {"variable": "valve", "count_within": "10m", "above": 2, "stale_after": "3m"}
COMMON = {"kind": "threshold", "assets": ["packer-1"]}


def jams(*minutes, lasting=0):
    return [{"type": "jam", "from": f"{m}m", "to": f"{m + lasting}m"} for m in minutes]


TABLE = {
    "the third within ten minutes raises, until the first is ten minutes old": (
        MANY_JAMS,
        {"events": jams(1, 5, 8), "until": "30m"},
        ["8m  raised: medium", "11m  closed"],
    ),
    "ten minutes apart is not within ten minutes": (
        MANY_JAMS,
        {"events": jams(1, 5, 11), "until": "30m"},
        [],
    ),
    "an event that lasts counts by its start": (
        MANY_JAMS,
        {"events": jams(1, 5, 8, lasting=20), "until": "40m"},
        ["8m  raised: medium", "11m  closed"],
    ),
    "all events of a pattern, and no others": (
        {**MANY_JAMS, "event": "jam*"},
        {
            "events": [
                *jams(1, 5),
                *({"type": t, "from": "6m", "to": "6m"} for t in ("stop", "jam-2")),
            ],
            "until": "9m",
        },
        ["6m  raised: medium"],
    ),
    "severity by number": (
        {**MANY_JAMS, "above": None, "levels": {"low": {"above": 1}, "high": {"above": 2}}},
        {"events": jams(1, 5, 8), "until": "30m"},
        ["5m  raised: low", "8m  severity: high", "11m  severity: low", "15m  closed"],
    ),
    "with hysteresis": (
        {**MANY_JAMS, "clear_above_at": 0},
        {"events": jams(1, 5, 8), "until": "30m"},
        ["8m  raised: medium", "18m  closed"],
    ),
    "none for ten minutes": (
        {**MANY_JAMS, "above": None, "below": 1},
        {"events": jams(3), "until": "20m"},
        ["0s  raised: medium", "3m  closed", "13m  raised: medium"],
    ),
    "changes, not values": (
        BUSY_VALVE,
        {"readings": {"valve": [0, 0, 1, 1, 0, 0, 0, 1, "1 x 12"]}},
        ["7m  raised: medium", "12m  closed"],
    ),
    "changes of a category": (
        BUSY_VALVE,
        {"readings": {"valve": ["a", "b", "a", "b", "b x 12"]}},
        ["3m  raised: medium", "11m  closed"],
    ),
    "so many that they are enough though a gap hides others": (
        BUSY_VALVE,
        {"readings": {"valve": [0, 1, 0, 1, "null x 5", 1, 0]}},
        ["3m  raised: medium"],
    ),
    "a value that differs after a gap is no change that is known": (
        BUSY_VALVE,
        {"readings": {"valve": [0, 1, 0, "null x 5", 1, "1 x 4"]}},
        [],
    ),
    "too few is not known before readings have covered the time": (
        {**BUSY_VALVE, "above": None, "below": 1},
        {"readings": {"valve": ["1 x 15", 0, "0 x 20"]}},
        ["10m  raised: medium", "15m  closed", "25m  raised: medium"],
    ),
    "a value that counted up to the next one changed to it": (
        BUSY_VALVE,
        {"readings": {"valve": [0, "null x 2", 1, "null x 2", 0, "null x 2", 1]}},
        ["9m  raised: medium"],
    ),
    "known as soon as the time is covered, also between readings": (
        {**BUSY_VALVE, "above": None, "below": 1, "stale_after": "4m"},
        {"readings": {"valve": [1, "null x 3", 1, "null x 3", 1, "null x 3", 1]}},
        ["10m  raised: medium"],
    ),
    "sent when it changes: quiet is no change": (
        {**BUSY_VALVE, "no_data": "ignore"},
        {"readings": {"valve": [0, "null x 30", 1, 0, 1, "null x 20"]}},
        ["33m  raised: medium", "41m  closed"],
    ),
    "no event is none, if a variable shows that the asset is heard": (
        {**MANY_JAMS, "above": None, "below": 1, "variable": "speed", "stale_after": "3m"},
        {
            "readings": {"speed": ["1 x 15", "null x 10", "1 x 30"]},
            "events": jams(2),
        },
        ["12m  raised: medium"],
    ),
}


@pytest.mark.parametrize("title", TABLE)
def test_a_number_in_a_time_does_this_minute_by_minute(title):
    fields, given_, lines = TABLE[title]
    scenario = {"title": title, "readings": {}, "expect": [], **given_}
    (result,) = run_scenarios({"name": "many", **COMMON, **fields}, [scenario], "test")
    assert list(result.found) == lines


def data_of(minutes, values, starts):
    index, instants = (
        pd.DatetimeIndex(pd.to_datetime([at(m) for m in some], utc=True), name=name).astype(
            INDEX_DTYPE
        )
        for some, name in ((minutes, "ts"), (starts, None))
    )
    events = pd.DataFrame({"type": ["jam"] * len(starts), "start": instants, "end": instants})
    asset = Asset(name="packer-1", variables={"valve": Variable()})
    frame = pd.DataFrame({"valve": np.array(values, np.float64)}, index=index)
    return History(asset, frame, events)


def naive(kind, minutes, values, starts, minute):
    """The number at a minute by its definition; None if not known and not beyond the limit."""
    window = range(minute - 9, minute + 1)
    if kind == "events":
        return sum(start in window for start in starts)
    heard = [m for m in minutes if m <= minute]
    if not heard or minute - heard[-1] >= 3:
        return None
    changes = [
        later
        for (first, before), (later, value) in itertools.pairwise(zip(minutes, values, strict=True))
        if before != value and later - first <= 3
    ]
    counted = starts if kind == "both" else changes
    number = sum(m in window for m in counted)
    unbroken = heard[-1]
    for earlier, later in reversed(list(itertools.pairwise(heard))):
        if later - earlier > 3:
            break
        unbroken = earlier
    return number if unbroken <= minute - 10 or number > 2 else None


MINUTES = st.lists(st.integers(1, 60), unique=True, max_size=40).map(sorted)


@given(
    kind=st.sampled_from(["events", "changes", "both"]),
    minutes=MINUTES,
    starts=st.lists(st.integers(1, 60), max_size=20).map(sorted),
    cuts=st.sets(st.integers(1, 69), max_size=4),
    pick=st.randoms(use_true_random=False),
)
def test_it_is_what_its_definition_says_however_the_time_is_cut(kind, minutes, starts, cuts, pick):
    values = [pick.randint(0, 1) for _ in minutes]
    fields = {
        "events": {"event": "jam"},
        "changes": {"variable": "valve", "stale_after": "3m"},
        "both": {"event": "jam", "variable": "valve", "stale_after": "3m"},
    }[kind]
    document = {"name": "many", **COMMON, "count_within": "10m", "above": 2, **fields}
    definition = parse_definition(document)
    history = data_of(minutes, values, starts)
    carried = None
    instants = [0, *sorted(cuts), 70]
    for start, end in itertools.pairwise(instants):
        evaluated = evaluate_values(definition, history, carried, at(start), at(end))
        carried = evaluated.carried
        for minute in range(start + 1, end + 1):
            (interval,) = [i for i in evaluated.intervals if i.start <= at(minute) < i.end]
            number = naive(kind, minutes, values, starts, minute)
            wanted = "unknown" if number is None else "triggered" if number > 2 else "clear"
            assert interval.status == wanted, (minute, number)


def test_a_reason_says_the_number():
    definition = parse_definition({"name": "many", **COMMON, **MANY_JAMS})
    evaluated = evaluate_values(definition, data_of([], [], [1, 2, 3]), None, at(0), at(5))
    reading = evaluated.reading_at(at(3))
    asset = Asset(name="packer-1")
    assert limit_message(definition, asset, reading, "medium")[0] == (
        "number of jam in 10 min: 3, above 2"
    )
    assert definition.describe({}, {"jam": "Jam"}) == "number of Jam in 10 min above 2"


REFUSED = {
    "count_within: is missing (events are counted in a time, for example 1h)": {
        "event": "jam",
        "above": 5,
    },
    "count_within: must be longer than 0s and at most 31d": {**MANY_JAMS, "count_within": "60d"},
    "rate_per: is for values": {**MANY_JAMS, "rate_per": "1m"},
    "at_least: is for values": {**MANY_JAMS, "at_least": {"readings": 1, "of": 2}},
    "frozen_after: is for values": {**BUSY_VALVE, "frozen_after": "1h"},
    "equals: a number in a time is no text": {**BUSY_VALVE, "above": None, "equals": True},
    "above: a number in a time has no learned limit": {
        **BUSY_VALVE,
        "above": {"learned": {"quantile": 0.99}},
    },
    "event: cannot stand beside all": {
        **MANY_JAMS,
        "above": None,
        "all": [{"variable": "a", "above": 1}, {"variable": "b", "above": 1}],
    },
}


@pytest.mark.parametrize("fault", REFUSED)
def test_it_is_refused_with_how_to_write_it(fault):
    with pytest.raises(DocumentRefused) as refused:
        parse_definition({"name": "many", **COMMON, **REFUSED[fault]})
    assert any(str(one).startswith(fault) for one in refused.value.faults), refused.value


@pytest.mark.parametrize(
    ("types", "fault"),
    [
        ([EventType(name="stop", duration="lasting")], "no event type is called 'jam'"),
        (
            [EventType(name="jam", duration="instant", delay=timedelta(days=14))],
            "'jam' is known 2w after its start, too late",
        ),
        ([EventType(name="jam", duration="instant")], ""),
    ],
)
def test_an_event_must_be_known_in_time(types, fault):
    definition = parse_definition({"name": "many", **COMMON, **MANY_JAMS})
    found = [one.message for one in definition.faults_on([Asset(name="packer-1")], types)]
    assert found == ([fault] if fault else [])
