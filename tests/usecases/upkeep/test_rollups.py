"""Rollups tell of the readings what the readings tell, however these arrived."""

from dataclasses import astuple, replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alerting.definitions.asset_documents import Variable
from alerting.definitions.platform_limits import Retention
from alerting.ports import ReadingRow
from alerting.readings.buckets import HOUR, WIDTHS, merge_buckets
from alerting.readings.history import to_millis
from alerting.usecases.data_upkeep import retain, roll_up
from alerting.usecases.ingestion.arrived_rows import add_readings
from alerting.usecases.trend_samples import read_buckets
from tests.builders import at, oven
from tests.in_memory_platform import HandClock, in_memory_platform, platform_on

HOURS = 60
DRYNESS = Variable.model_validate(
    {"computed": {"kind": "difference", "of": "temperature", "minus": "moisture", "within": "2h"}}
)
OVEN = oven(
    temperature=Variable(low=0, high=300), moisture=Variable(), recipe=Variable(type="category")
)
NAMES = ["temperature", "moisture", "recipe"]
MUCH = 10_000


def new_platform(asset=OVEN):
    made = in_memory_platform()
    made.assets.store_assets([asset])
    return made


def add(platform, minutes, **values):
    now = platform.clock.now()
    return add_readings(platform, [ReadingRow("oven-1", at(m), values) for m in minutes], now)


def read(platform, size, start=0, end=HOURS, most=MUCH, names=None):
    (asset,) = platform.assets.all()
    span = to_millis(at(60 * start)), to_millis(at(60 * end))
    return read_buckets(platform, asset, names or NAMES, *span, size, most)


def untrue_buckets(platform, names=None):
    """Return size, variable and both columns where buckets are not those of the readings."""
    plain = read(platform, None, names=names)
    assert plain.unread == ()
    return [
        (size, name, got, want)
        for size in ("minutes", "hours")
        for name, buckets in read(platform, size, names=names).by_variable.items()
        for got, want in zip(
            astuple(buckets),
            astuple(merge_buckets(plain.by_variable[name], WIDTHS[size])),
            strict=True,
        )
        if not is_same(got, want)
    ]


def is_same(got, want):
    got = np.asarray(got)
    want = np.asarray(want)
    close = {"rtol": 1e-12, "atol": 1e-9, "equal_nan": True}
    return got.shape == want.shape and np.allclose(got, want, **close)


def rolled(platform, size="minutes", **changes):
    """Return the variables of which no reading has to be read."""
    found = read(platform, size, most=0, **changes)
    return found.rolled if not found.unread else set()


VALUES = st.fixed_dictionaries(
    {},
    optional={
        "temperature": st.one_of(st.floats(-50, 400), st.just(200.0)),
        "moisture": st.floats(0, 10),
        "recipe": st.sampled_from(["rye", "wheat"]),
    },
)
WRITE = st.lists(
    st.tuples(st.integers(0, HOURS * 240), VALUES, st.booleans()), min_size=1, max_size=12
)
STEPS = st.lists(st.one_of(WRITE, st.integers(0, HOURS * 60)), min_size=1, max_size=8)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(STEPS, st.sampled_from([3, MUCH]))
def test_rollups_equal_the_readings_whatever_arrives_and_whenever_upkeep_runs(steps, most):
    """A list is written, in quarters of a minute, perhaps late; a number is a run at that
    minute."""
    platform = new_platform(oven(**OVEN.variables, dryness=DRYNESS))
    names = [*NAMES, "dryness"]
    for step in steps:
        if isinstance(step, int):
            platform.clock.instant = max(platform.clock.instant, at(step))
            roll_up(platform, platform.clock.now(), most)
            assert untrue_buckets(platform, names) == []
            continue
        rows = [
            ReadingRow("oven-1", at(quarter / 4), values, {} if good else {"temperature": "bad"})
            for quarter, given_values, good in step
            for values in [
                given_values
                if good
                else {k: v for k, v in given_values.items() if k != "temperature"}
            ]
        ]
        add_readings(platform, rows, platform.clock.now())
    platform.clock.instant = at(HOURS * 60 + 70)
    for _ in range(5 * HOURS):
        if not roll_up(platform, platform.clock.now(), most).behind:
            break
    assert untrue_buckets(platform, names) == []


@pytest.fixture
def platform():
    """Sixty hours with a reading a minute, rolled up."""
    made = new_platform()
    add(made, range(60 * HOURS), temperature=200.0, moisture=4.0, recipe="rye")
    made.clock.instant = at(60 * HOURS + 15)
    roll_up(made, made.clock.now())
    return made


def test_what_is_rolled_up_needs_no_reading_and_the_present_hour_is_read_beside_it(platform):
    assert rolled(platform) == rolled(platform, "hours") == {*NAMES}
    add(platform, [60 * HOURS + 10], temperature=299.0)
    assert read(platform, "hours", end=HOURS + 1).by_variable["temperature"].high[-1] == 299.0
    assert not rolled(platform, end=HOURS + 1)


def test_a_new_range_of_a_variable_makes_its_rollups_anew(platform):
    narrow = {**OVEN.variables, "temperature": Variable(low=0, high=150)}
    platform.assets.store_assets([OVEN.model_copy(update={"variables": narrow})])
    assert read(platform, "hours").by_variable["temperature"].count.sum() == 0
    assert rolled(platform) == set()
    roll_up(platform, platform.clock.now())
    assert rolled(platform) == {*NAMES}
    assert untrue_buckets(platform) == []


def test_a_value_of_another_type_holds_up_its_variable_alone(platform):
    add(platform, [60 * HOURS + 1], temperature=200.0, moisture=4.0)
    wrong = ReadingRow("oven-1", at(60 * HOURS + 2), {"moisture": "wet"})
    add_readings(platform, [wrong], platform.clock.now())
    platform.clock.instant = at(60 * HOURS + 75)
    run = roll_up(platform, platform.clock.now())
    assert "'wet' as moisture" in run.faults[0]
    assert run.behind == {"oven-1"}
    assert rolled(platform, names=["temperature"], end=HOURS + 1) == {"temperature"}
    assert rolled(platform, names=["moisture"], end=HOURS + 1) == set()


def test_rollups_go_with_their_readings(real):
    platform = platform_on(real, [], HandClock())
    platform.assets.store_assets([OVEN])
    add(platform, range(0, 60 * HOURS, 30), temperature=200.0)
    platform.clock.instant = at(60 * HOURS + 15)
    roll_up(platform, platform.clock.now())
    assert "temperature" in rolled(platform)
    short = replace(platform, retention=Retention(readings=timedelta(hours=20)))
    retain(short, at(60 * 61))
    first = (to_millis(platform.readings.span("oven-1")[0]) - to_millis(at(0))) // HOUR
    assert first > 0
    assert read(platform, "hours").by_variable["temperature"].start[0] >= to_millis(at(60 * first))
    left = platform.rollups.load("oven-1", ["temperature"], "minutes", 0, to_millis(at(0)))
    assert not len(left["temperature"].start)
