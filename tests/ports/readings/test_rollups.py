"""Port `Rollups`: packed buckets of hours, by day or month, and what is rolled up of an asset."""

import numpy as np

from alerting.readings.buckets import (
    HOUR,
    MINUTE,
    WIDTHS,
    RolledInterval,
    RollupState,
    merge_buckets,
    pack,
    sample_buckets,
)
from alerting.readings.history import DAY_MS, to_millis
from tests.builders import at, oven
from tests.helpers.contracts import step

MONDAY = to_millis(at(0))
YEAR = 366 * DAY_MS


def load(
    stores,
    size="minutes",
    variables=("t",),
    start=MONDAY - YEAR,
    end=MONDAY + YEAR,
    asset="oven-1",
):
    return stores.rollups.load(asset, variables, size, start, end)


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


def found(stores, *given, **named):
    """The hours that are loaded, by variable."""
    return {name: by_hour(of) for name, of in load(stores, *given, **named).items()}


HOURS = {n: float(n) for n in (-24 * 40, -150, -1, 0, 23, 24, 24 * 60)}
STATE = RollupState(
    "oven-1",
    {"t": RolledInterval("b", MONDAY, MONDAY + DAY_MS)},
    ((MONDAY, MONDAY + HOUR),),
    ("a",),
)
EMPTY = RollupState("oven-2", {})
BOTH = ("t", "moisture")
CLAIMS = {
    **{
        f"{size}: hours are found by their beginning across days, months and years": [
            step(store, HOURS, size),
            step(found, size, gives={"t": HOURS}),
            step(
                found,
                size,
                start=MONDAY - HOUR,
                end=MONDAY + DAY_MS,
                gives={"t": {n: HOURS[n] for n in (-1, 0, 23)}},
            ),
        ]
        for size in ("minutes", "hours")
    },
    **{
        f"{size}: an hour replaces the one before, and others stay": [
            step(store, {0: 1.0, 1: 2.0, 2: 3.0}, size),
            step(store, {1: 4.0, 2: None, 3: None}, size),
            step(found, size, gives={"t": {0: 1.0, 1: 4.0}}),
            step(store, {100: None}, size),
            step(found, size, gives={"t": {0: 1.0, 1: 4.0}}),
        ]
        for size in ("minutes", "hours")
    },
    "sizes, variables and assets are apart": [
        step(store, {0: 1.0}),
        step(store, {0: 2.0}, "hours"),
        step(store, {0: 3.0}, variable="moisture"),
        step(store, {0: 4.0}, asset="oven-2"),
        step(
            found,
            variables=(*BOTH, "none"),
            gives={"t": {0: 1.0}, "moisture": {0: 3.0}, "none": {}},
        ),
        step(found, "hours", gives={"t": {0: 2.0}}),
    ],
    "what ends before an instant is forgotten, of all variables or of one": [
        *(step(store, {-24 * 40: 1.0, -30: 2.0, 5: 3.0}, size) for size in ("minutes", "hours")),
        step(store, {-24 * 40: 4.0}, asset="oven-2"),
        step("rollups.forget", "oven-1", MONDAY),
        step(found, gives={"t": {5: 3.0}}),
        step(found, "hours", end=MONDAY - 39 * DAY_MS, gives={"t": {}}),
        step(found, "hours", start=MONDAY, gives={"t": {5: 3.0}}),
        step(found, asset="oven-2", gives={"t": {-24 * 40: 4.0}}),
        step(store, {0: 1.0}, variable="moisture"),
        step("rollups.forget", "oven-1", MONDAY + 400 * DAY_MS, ["t"]),
        step(found, variables=BOTH, gives={"t": {}, "moisture": {0: 1.0}}),
    ],
    "a state is of an asset": [
        step("rollups.state", "oven-1", gives=None),
        step("rollups.store_state", RollupState("oven-1", {})),
        step("rollups.store_state", STATE),
        step("rollups.store_state", EMPTY),
        step("rollups.state", "oven-1", gives=STATE),
        step("rollups.states", gives={"oven-1": STATE, "oven-2": EMPTY}),
    ],
}


def test_the_stores_of_rollups_keep_every_claim(broken):
    assert broken(CLAIMS) == {}


def test_a_bucket_begins_with_its_minute_or_its_hour(stores):
    begins = {}
    for size in ("minutes", "hours"):
        store(stores, {0: 1.0}, size)
        begins[size] = load(stores, size)["t"].start.tolist()
    assert begins == {"minutes": [MONDAY + MINUTE], "hours": [MONDAY]}
