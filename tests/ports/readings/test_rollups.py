"""Port `Rollups`: packed buckets of hours, by day or month, and what is rolled up of an asset."""

from alerting.readings.buckets import DAY, HOUR
from alerting.readings.instants import to_millis
from alerting.readings.rollups import RolledInterval, RollupState
from tests.builders import at

MONDAY = to_millis(at(0))
YEAR = 366 * DAY


def load(stores, size="minutes", variables=("t",), start=MONDAY - YEAR, end=MONDAY + YEAR):
    return stores.rollups.load("oven-1", variables, size, start, end)


def store(stores, hours, size="minutes", variable="t", asset="oven-1"):
    parts = {MONDAY + hour * HOUR: part for hour, part in hours.items()}
    stores.rollups.store(asset, size, {variable: parts})


def by_hour(parts):
    return {(at - MONDAY) // HOUR: part for at, part in parts.items()}


def test_hours_are_found_by_their_beginning_across_days_months_and_years(stores):
    hours = {n: f"{n}".encode() for n in (-24 * 40, -150, -1, 0, 23, 24, 24 * 60)}
    for size in ("minutes", "hours"):
        store(stores, hours, size)
        assert by_hour(load(stores, size)["t"]) == hours
        within = load(stores, size, start=MONDAY - HOUR, end=MONDAY + DAY)
        assert by_hour(within["t"]) == {n: hours[n] for n in (-1, 0, 23)}


def test_sizes_variables_and_assets_are_apart(stores):
    store(stores, {0: b"minute"})
    store(stores, {0: b"hour"}, "hours")
    store(stores, {0: b"moist"}, variable="moisture")
    store(stores, {0: b"other"}, asset="oven-2")
    assert load(stores, variables=("t", "moisture", "none")) == {
        "t": {MONDAY: b"minute"},
        "moisture": {MONDAY: b"moist"},
        "none": {},
    }
    assert load(stores, "hours") == {"t": {MONDAY: b"hour"}}


def test_an_hour_replaces_the_one_before_and_others_stay(stores):
    store(stores, {0: b"a", 1: b"b", 2: b"c"})
    store(stores, {1: b"d", 2: b"", 3: b""})
    assert by_hour(load(stores)["t"]) == {0: b"a", 1: b"d"}
    store(stores, {100: b""})
    assert by_hour(load(stores)["t"]) == {0: b"a", 1: b"d"}


def test_what_ends_before_an_instant_is_forgotten(stores):
    for size in ("minutes", "hours"):
        store(stores, {-24 * 40: b"long ago", -30: b"before", 5: b"after"}, size)
    store(stores, {-24 * 40: b"other"}, asset="oven-2")
    assert stores.rollups.forget("oven-1", MONDAY) > 0
    assert by_hour(load(stores)["t"]) == {5: b"after"}
    assert -24 * 40 not in by_hour(load(stores, "hours")["t"])
    assert by_hour(load(stores, "hours")["t"])[5] == b"after"
    assert stores.rollups.load("oven-2", ["t"], "minutes", MONDAY - YEAR, MONDAY)["t"]


def test_a_variable_is_forgotten_alone(stores):
    for variable in ("t", "moisture"):
        store(stores, {0: b"a"}, variable=variable)
    assert stores.rollups.forget("oven-1", MONDAY + 400 * DAY, ["t"]) == 1
    assert load(stores, variables=("t", "moisture")) == {"t": {}, "moisture": {MONDAY: b"a"}}


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
