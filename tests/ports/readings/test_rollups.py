"""Port `Rollups`: packed buckets of hours, by day or month, and what is rolled up of an asset."""

import numpy as np

from alerting.readings.buckets import DAY, HOUR, MINUTE, merge_buckets, sample_buckets
from alerting.readings.instants import to_millis
from alerting.readings.rollups import WIDTHS, RolledInterval, RollupState, pack
from tests.builders import at, oven
from tests.helpers.stores import broken_in_memory

MONDAY = to_millis(at(0))
YEAR = 366 * DAY


def load(stores, size="minutes", variables=("t",), start=MONDAY - YEAR, end=MONDAY + YEAR):
    return stores.rollups.load("oven-1", variables, size, start, end)


def store(stores, hours, size="minutes", variable="t", asset="oven-1"):
    """Store hours of one sample each, in its second minute; None: without one."""
    parts = {}
    for hour, value in hours.items():
        begin = MONDAY + hour * HOUR
        sample = sample_buckets(
            oven(),
            "temperature",
            np.array([begin + MINUTE] if value is not None else [], np.int64),
            np.array([value] if value is not None else [], float),
            np.array([], np.int64),
        )
        parts |= pack(merge_buckets(sample, WIDTHS[size]), size, begin, begin + HOUR)
    stores.rollups.store(asset, size, {variable: parts})


def by_hour(buckets):
    return {
        (start - MONDAY) // HOUR: value
        for start, value in zip(buckets.start.tolist(), buckets.low.tolist(), strict=True)
    }


def test_hours_are_found_by_their_beginning_across_days_months_and_years(stores):
    hours = {n: float(n) for n in (-24 * 40, -150, -1, 0, 23, 24, 24 * 60)}
    for size in ("minutes", "hours"):
        store(stores, hours, size)
        assert by_hour(load(stores, size)["t"]) == hours
        within = load(stores, size, start=MONDAY - HOUR, end=MONDAY + DAY)
        assert by_hour(within["t"]) == {n: hours[n] for n in (-1, 0, 23)}


def test_sizes_variables_and_assets_are_apart(stores):
    store(stores, {0: 1.0})
    store(stores, {0: 2.0}, "hours")
    store(stores, {0: 3.0}, variable="moisture")
    store(stores, {0: 4.0}, asset="oven-2")
    found = load(stores, variables=("t", "moisture", "none"))
    assert {name: by_hour(of) for name, of in found.items()} == {
        "t": {0: 1.0},
        "moisture": {0: 3.0},
        "none": {},
    }
    assert found["t"].start.tolist() == [MONDAY + MINUTE]
    hours = load(stores, "hours")
    assert (by_hour(hours["t"]), hours["t"].start.tolist()) == ({0: 2.0}, [MONDAY])


def test_an_hour_replaces_the_one_before_and_others_stay(stores):
    stored = ({0: 1.0, 1: 2.0, 2: 3.0}, {1: 4.0, 2: None, 3: None}, {100: None})
    for size in ("minutes", "hours"):
        found = []
        for hours in stored:
            store(stores, hours, size)
            found.append(by_hour(load(stores, size)["t"]))
        assert found == [{0: 1.0, 1: 2.0, 2: 3.0}, {0: 1.0, 1: 4.0}, {0: 1.0, 1: 4.0}]


def test_what_ends_before_an_instant_is_forgotten_of_all_variables_or_of_one(stores):
    for size in ("minutes", "hours"):
        store(stores, {-24 * 40: 1.0, -30: 2.0, 5: 3.0}, size)
    store(stores, {-24 * 40: 4.0}, asset="oven-2")
    assert stores.rollups.forget("oven-1", MONDAY) > 0
    assert by_hour(load(stores)["t"]) == {5: 3.0}
    hours = by_hour(load(stores, "hours")["t"])
    assert (-24 * 40 in hours, hours[5]) == (False, 3.0)
    assert by_hour(stores.rollups.load("oven-2", ["t"], "minutes", MONDAY - YEAR, MONDAY)["t"])
    store(stores, {0: 1.0}, variable="moisture")
    assert stores.rollups.forget("oven-1", MONDAY + 400 * DAY, ["t"]) >= 1
    left = load(stores, variables=("t", "moisture"))
    assert {name: by_hour(of) for name, of in left.items()} == {"t": {}, "moisture": {0: 1.0}}


def test_a_state_is_of_an_asset(stores):
    assert stores.rollups.state("oven-1") is None
    state = RollupState(
        "oven-1",
        {"t": RolledInterval("b", MONDAY, MONDAY + DAY)},
        ((MONDAY, MONDAY + HOUR),),
        ("a",),
    )
    stores.rollups.store_state(RollupState("oven-1", {}))
    stores.rollups.store_state(state)
    stores.rollups.store_state(RollupState("oven-2", {}))
    assert stores.rollups.state("oven-1") == state
    assert stores.rollups.states() == {"oven-1": state, "oven-2": RollupState("oven-2", {})}


def test_the_stores_in_memory_keep_this_contract():
    assert broken_in_memory(globals()) == {}
