"""Rollups tell of the readings what the readings tell, however these arrived."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alerting.definitions.assets import Variable
from alerting.definitions.upkeep import Retention
from alerting.ports import ReadingRow
from alerting.readings.buckets import HOUR, columns_of, merge_buckets
from alerting.readings.instants import to_millis
from alerting.readings.rollups import WIDTHS
from alerting.usecases.ingestion.arrivals import add_readings
from alerting.usecases.trends.rolled import read_buckets
from alerting.usecases.upkeep import rollups
from alerting.usecases.upkeep.maintain import maintain
from alerting.usecases.upkeep.retention import retain
from alerting.usecases.upkeep.rollups import roll_up
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
        for name, buckets in read(platform, size, names=names).of.items()
        for got, want in zip(
            columns_of(buckets),
            columns_of(merge_buckets(plain.of[name], WIDTHS[size])),
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


def test_what_is_rolled_up_needs_no_reading(platform):
    assert rolled(platform) == rolled(platform, "hours") == {*NAMES}
    assert untrue_buckets(platform) == []


def test_readings_of_the_present_hour_are_read_beside_rollups(platform):
    add(platform, [60 * HOURS + 10], temperature=299.0)
    assert read(platform, "hours", end=HOURS + 1).of["temperature"].high[-1] == 299.0
    assert not rolled(platform, end=HOURS + 1)


def test_late_readings_are_not_lost_between_their_arrival_and_upkeep(platform):
    add(platform, [90.5], temperature=299.0)
    platform.clock.instant = at(60 * HOURS + 17)
    maintain(platform, platform.clock.now())
    assert rolled(platform) == {*NAMES}
    assert read(platform, "hours").of["temperature"].high[1] == 299.0


def test_upkeep_does_not_read_what_is_rolled_up_again(platform):
    add(platform, [90.5], temperature=299.0)
    assert roll_up(platform, platform.clock.now()).rows == 61
    assert roll_up(platform, platform.clock.now()).rows == 0


def test_a_run_is_bounded_and_the_next_one_goes_on(monkeypatch):
    made = new_platform()
    add(made, range(60 * HOURS), temperature=200.0)
    made.clock.instant = at(60 * HOURS + 15)
    rows = [roll_up(made, made.clock.now(), most=600).rows for _ in range(20)]
    assert max(rows) < 2000
    assert sum(rows) == 60 * HOURS
    assert "temperature" in rolled(made)


def test_a_new_range_of_a_variable_makes_its_rollups_anew(platform):
    changed = OVEN.model_copy(
        update={"variables": {**OVEN.variables, "temperature": Variable(low=0, high=150)}}
    )
    platform.assets.store_assets([changed])
    assert read(platform, "hours").of["temperature"].count.sum() == 0
    assert rolled(platform) == set()
    roll_up(platform, platform.clock.now())
    assert rolled(platform) == {*NAMES}
    assert untrue_buckets(platform) == []


def test_a_variable_that_is_declared_later_is_rolled_up_too(platform):
    platform.assets.store_assets([oven(**OVEN.variables, dryness=DRYNESS)])
    roll_up(platform, platform.clock.now())
    assert untrue_buckets(platform, [*NAMES, "dryness"]) == []
    assert rolled(platform, names=["dryness"]) == {"dryness"}


def test_a_reading_of_a_wrong_clock_does_not_make_upkeep_search_for_years(monkeypatch):
    made = new_platform()
    add(made, [-60 * 24 * 365 * 50, *range(60)], temperature=200.0)
    made.clock.instant = at(75)
    reads = []
    real = rollups.load_columns
    monkeypatch.setattr(rollups, "load_columns", lambda *given: reads.append(given) or real(*given))
    assert not roll_up(made, made.clock.now()).behind
    assert len(reads) < 20


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


@pytest.mark.server
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
    assert read(platform, "hours").of["temperature"].start[0] >= to_millis(at(60 * first))
    left = platform.rollups.load("oven-1", ["temperature"], "minutes", 0, to_millis(at(0)))
    assert not len(left["temperature"].start)


def test_a_late_part_changes_the_computed_values_of_the_hour_after_it():
    made = new_platform(oven(**OVEN.variables, dryness=DRYNESS))
    add(made, [61, 300], temperature=200.0)
    made.clock.instant = at(60 * HOURS)
    roll_up(made, made.clock.now())
    add(made, [59], moisture=4.0)
    roll_up(made, made.clock.now())
    assert rolled(made, end=5, names=["dryness"]) == {"dryness"}
    assert untrue_buckets(made, [*NAMES, "dryness"]) == []
    assert read(made, "hours", names=["dryness"]).of["dryness"].high.tolist() == [196.0]
