"""Port `Readings`: readings and events."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from unittest.mock import ANY

import numpy as np
import pandas as pd
import pytest

from alerting.definitions.asset_documents import EventType, Variable
from alerting.definitions.faults import UserError
from alerting.ports import EventRow, ReadingRow, WantedHistory
from alerting.readings.history import EVENT_COLUMNS, INDEX_DTYPE, to_millis
from alerting.usecases.ingestion.arrived_rows import add_events, add_readings
from tests.builders import T0, at, oven
from tests.helpers.contracts import having, step
from tests.helpers.stores import broken_in_memory

LATER = at(10_000)


def row(minute, asset="oven-1", **values):
    return ReadingRow(asset, at(minute), values)


def event(type_, start, end=None, asset="oven-1", **attributes):
    return EventRow(asset, type_, at(start), None if end is None else at(end), "test", attributes)


def frame_of(stores, start=None, end=None, variables=None, asset=None):
    return stores.readings.load(WantedHistory(asset or oven(), start, end, variables)).readings


def values(stores, *given, **named):
    """The loaded values by variable, None where there is none."""
    frame = frame_of(stores, *given, **named)
    return frame.astype(object).where(frame.notna(), None).to_dict("list")


def newest_values(stores, *given):
    """The newest values by variable and minute."""
    frame = stores.readings.newest_values(*given)
    floats = {"on", "over"} & {*frame.columns}
    assert {*map(str, (frame.index.dtype, *frame[sorted(floats)].dtypes))} <= {
        INDEX_DTYPE,
        "float64",
    }
    return {
        name: {(at - T0).total_seconds() / 60: value for at, value in column.dropna().items()}
        for name, column in frame.items()
        if column.notna().any()
    }


def stored_samples(stores):
    """The minutes of the first hour with a stored sample."""
    keys = {("oven-1", to_millis(at(minute))): minute for minute in range(60)}
    return [keys[key] for key in sorted(stores.reading_writes.stored([*keys]))]


def stored_stops(stores):
    found = stores.reading_writes.stored_events([JAM, OTHER])
    return [one for one in sorted(found, key=lambda one: one.start) if one.type == "stop"]


FINE = datetime(2026, 1, 5, 13, 0, 0, 123_456, tzinfo=timezone(timedelta(hours=1)))
LAST = datetime(2026, 1, 5, 12, 0, 0, 123_000, tzinfo=UTC)
FIFTY = [
    *(row(minute, temperature=minute / 7, moisture=4.0) for minute in range(50)),
    ReadingRow("oven-1", FINE, {"temperature": 1.0}),
]
FIVE = [row(minute, temperature=float(minute), moisture=2.0) for minute in range(5)]
YEAR = 60 * 24 * 365
STRAYS = [row(-50 * YEAR + minute, temperature=1.0) for minute in range(6)]
MAIN = [row(minute, temperature=1.0) for minute in range(0, 6000, 10)]
EARLY = [row(minute - 2 * YEAR, asset="oven-2", temperature=1.0) for minute in range(100)]
LATE = [row(minute, asset="oven-2", temperature=1.0) for minute in range(1000)]
OPEN = event("stop", 5, reason="jam")
ENDED = event("stop", 5, 9, reason="jam", shift="night")
NAMED = event("stop", 20, **{"speed [m/s. mean]": 1.5})
FAILURES = [event("failure", minute, minute, component="belt") for minute in range(20)]
JAM = event("stop", 5, 9, reason="jam")
OTHER = event("stop", 20, 22)
THREE = [row(minute, temperature=200.0 + minute, moisture=4.0) for minute in range(3)]
DOUBTFUL = ReadingRow("oven-1", at(3), {"temperature": 9.0}, {"temperature": "uncertain"})
BAD = ReadingRow("oven-1", at(4), {}, {"moisture": "bad"})
COMPUTED = {"kind": "difference", "of": "temperature", "minus": "moisture", "within": "5m"}
DERIVED = oven(
    recipe=Variable(type="category"), over=Variable.model_validate({"computed": COMPUTED})
)
TYPED = oven(
    recipe=Variable(type="category"),
    on=Variable(type="boolean"),
    temperature=Variable(high=300.0),
)
LAST_KNOWN = [
    row(0, recipe="rye", on=True),
    row(10, recipe="oat", temperature=200.0),
    *(row(m, moisture=4.0) for m in range(11, 60)),
    row(50, asset="oven-2", recipe="corn"),
    row(60, temperature=999.0),  # outside the engineering range: no value
]
SINCE = dict.fromkeys(["recipe", "on", "temperature"], at(-1)) | {"moisture": at(59)}
STORED_TWICE = [row(0, asset=f"oven-{i}", temperature=1.0) for i in range(1, 6)]
CLAIMS = {
    "the same rows again change nothing, and instants are kept in whole milliseconds of UTC": [
        step(add_readings, FIFTY, LATER, gives=51),
        step("readings.span", "oven-1", gives=(at(0), LAST)),
        step(add_readings, FIFTY, LATER + timedelta(days=1), gives=0),
        step(
            values,
            gives={
                "temperature": [*(minute / 7 for minute in range(50)), 1.0],
                "moisture": [*([4.0] * 50), None],
            },
        ),
        step(
            add_readings,
            [ReadingRow("oven-1", LAST.replace(tzinfo=None), {"temperature": 1.0})],
            LATER,
            gives=ValueError,
        ),
    ],
    "later variables join the instant, and of two values the later wins": [
        step(add_readings, [row(0, temperature=200.0), row(1, temperature=201.0)], LATER, gives=2),
        step(
            add_readings,
            [
                row(0, moisture=4.2),
                row(1, temperature=201.0),
                row(2, moisture=4.3),
                row(3, temperature=1.0),
                row(3, temperature=2.0, moisture=4.0),
                row(3, moisture=4.0),
            ],
            LATER,
            gives=4,
        ),
        step(
            values,
            gives={
                "temperature": [200.0, 201.0, None, 2.0],
                "moisture": [4.2, None, 4.3, 4.0],
            },
        ),
    ],
    **{
        f"of many assets those with {stored} stored rows are merged and counted once": [
            step(
                add_readings,
                [row(minute, asset="oven-2", temperature=1.0) for minute in range(stored)],
                LATER,
            ),
            step(
                add_readings,
                [*STORED_TWICE, row(stored, asset="oven-3", temperature=2.0)],
                LATER,
                gives=5,
            ),
            step(add_readings, STORED_TWICE, LATER, gives=0),
        ]
        for stored in (1, 1500)  # few and many are found in different ways
    },
    "only the period and the variables asked for are loaded, and all of them": [
        step(add_readings, FIVE, LATER),
        step(values, at(1), at(3), gives={"temperature": [2.0, 3.0], "moisture": [2.0, 2.0]}),
        step(
            values,
            variables=["moisture", "undeclared"],
            gives={"moisture": [2.0] * 5, "undeclared": [None] * 5},
        ),
    ],
    "an asset without readings has its columns and no span": [
        step(values, gives={"temperature": [], "moisture": []}),
        step("readings.span", "oven-1", gives=None),
    ],
    "the span begins after few readings far before all others, but not after many": [
        step(add_readings, [*MAIN, *STRAYS, row(10 * YEAR, temperature=1.0)], LATER),
        step("readings.span", "oven-1", at(7000), gives=(at(0), at(5990))),
        step("readings.span", "oven-1", gives=(at(0), at(10 * YEAR))),
        step("readings.span", "oven-1", at(-1), gives=(STRAYS[0].ts, STRAYS[-1].ts)),
        step(add_readings, [*EARLY, *LATE], LATER),
        step("readings.span", "oven-2", gives=(EARLY[0].ts, at(999))),
    ],
    "the newest value of a variable is found behind readings without it": [
        step(add_readings, LAST_KNOWN, LATER),
        step(
            newest_values,
            TYPED,
            SINCE,
            at(60),
            gives={"recipe": {10: "oat"}, "on": {0: 1.0}, "temperature": {10: 200.0}},
        ),
        step(newest_values, TYPED, {"recipe": at(0)}, at(9), gives={}),
        step(newest_values, TYPED, {"recipe": at(-1)}, at(9), gives={"recipe": {0: "rye"}}),
    ],
    "a computed variable is read like a stored one": [
        step(add_readings, [row(0, moisture=4.0, recipe="rye")], LATER),
        step(add_readings, [row(4, temperature=200.0), row(6, temperature=210.0)], LATER),
        step(
            values,
            asset=DERIVED,
            gives={
                "temperature": [None, 200.0, 210.0],
                "moisture": [4.0, None, None],
                "recipe": ["rye", None, None],
                "over": [None, 196.0, None],
            },
        ),
        step(values, at(3), at(5), ["over"], DERIVED, gives={"over": [196.0]}),
        step(
            newest_values,
            DERIVED,
            {"over": at(-9_000), "recipe": at(-1)},
            at(9_000),
            gives={"over": {4: 196.0}, "recipe": {0: "rye"}},
        ),
        step(newest_values, DERIVED, {"over": at(4)}, at(9_000), gives={}),
    ],
    "the newest instant of each asset with readings": [
        step("readings.newest_readings", gives={}),
        step(add_readings, [row(0, temperature=1.0), row(7, moisture=4.0)], LATER),
        step(add_readings, [row(3, asset="oven-2", temperature=1.0)], LATER),
        step(add_readings, [row(7, temperature=2.0)], LATER + timedelta(minutes=1)),
        step(
            "readings.newest_readings",
            gives={
                "oven-1": having(ts=at(7), arrived_at=LATER + timedelta(minutes=1)),
                "oven-2": having(ts=at(3), arrived_at=LATER),
            },
        ),
        step("readings.newest_readings", None, {"oven-2", "unknown"}, gives={"oven-2": ANY}),
        step("readings.newest_readings", None, (), gives={}),
    ],
    "the same events again change nothing, and a later end or attribute joins": [
        step(add_events, [OPEN], LATER, gives=1),
        step(add_events, [event("stop", 5, 9, shift="night")], LATER, gives=1),
        step(add_events, [event("stop", 5)], LATER, gives=0),
        step(add_events, [NAMED], LATER, gives=1),
        step(add_events, [NAMED], LATER, gives=0),
        step(stored_stops, gives=[ENDED, NAMED]),
        step(add_events, FAILURES, LATER, gives=20),
        step(add_events, FAILURES, LATER, gives=0),
    ],
    "an event is deleted only as it is stored, and its type has events until then": [
        step("reading_writes.has_events", "stop", gives=False),
        step(add_events, [JAM, OTHER, event("jam", 5, 6, asset="oven-2")], LATER),
        step("reading_writes.delete_events", []),
        step("reading_writes.delete_events", [event("stop", 5, 9), event("stop", 20, 23)]),
        step(stored_stops, gives=[JAM, OTHER]),
        step("reading_writes.delete_events", [JAM]),
        step("reading_writes.delete_events", [JAM]),
        step(stored_stops, gives=[OTHER]),
        step("reading_writes.has_events", "stop", gives=True),
        step("reading_writes.delete_events", [OTHER]),
        step("reading_writes.has_events", "stop", gives=False),
        step("reading_writes.has_events", "jam", gives=True),
    ],
    "samples are deleted only as they are stored, and others of their instant stay": [
        step(add_readings, [*THREE, DOUBTFUL, BAD], LATER),
        step("reading_writes.delete_samples", []),
        step("reading_writes.delete_samples", [row(0, temperature=199.0), row(9, temperature=1.0)]),
        step(
            "reading_writes.delete_samples", [row(3, temperature=9.0)]
        ),  # stored as a doubtful one
        step(stored_samples, gives=[0, 1, 2, 3, 4]),
        step(
            values,
            variables=["temperature"],
            gives={"temperature": [200.0, 201.0, 202.0, 9.0, None]},
        ),
        *(
            step(
                "reading_writes.delete_samples",
                [row(0, temperature=200.0), row(1, temperature=201.0, moisture=4.0)],
            )
            for _ in range(2)
        ),
        step(stored_samples, gives=[0, 2, 3, 4]),
        step("reading_writes.delete_samples", [DOUBTFUL, BAD]),
        step(values, gives={"temperature": [None, 202.0], "moisture": [4.0, 4.0]}),
        step(add_readings, THREE, LATER, gives=2),  # and may be stored again
    ],
}


def test_the_stores_of_readings_and_events_keep_every_claim(broken):
    assert broken(CLAIMS) == {}


def test_arrival_is_when_the_instant_last_changed(real):
    arrived = []
    for minute, variable in ((1, "temperature"), (2, "temperature"), (3, "moisture")):
        add_readings(real, [row(0, **{variable: 1.0})], at(minute))
        arrived.append(real.database["readings"].find_one()["arrived_at"])
    assert arrived == [at(1), at(1), at(3)]


def test_a_history_has_the_conventions_of_the_core(stores):
    asset = oven(
        recipe=Variable(type="category"), running=Variable(type="boolean"), never=Variable()
    )
    rows = [
        row(2, recipe="oat"),
        row(1, temperature=8.5, running=False),
        row(0, temperature=7, recipe="rye", running=True),
    ]
    add_readings(stores, rows, LATER)
    history = stores.readings.load(WantedHistory(asset, None, None))
    nothing = [None] * 3
    expected = pd.DataFrame(
        {
            "temperature": [7.0, 8.5, np.nan],
            "moisture": np.array(nothing, float),
            "recipe": pd.Series(["rye", None, "oat"], dtype=object),
            "running": [1.0, 0.0, np.nan],
            "never": np.array(nothing, float),
        }
    )
    expected.index = pd.DatetimeIndex([at(m) for m in range(3)], dtype=INDEX_DTYPE, name="ts")
    pd.testing.assert_frame_equal(history.readings, expected)
    assert history.asset == asset
    add_readings(stores, [row(3, temperature="hot")], LATER)
    place = r"'oven-1' at 2026-01-05T00:03:00\+00:00 has 'hot' as temperature"
    with pytest.raises(UserError, match=place):
        frame_of(stores)


def test_histories_of_many_assets_are_those_of_each(stores):
    stores.assets.put_event_types([EventType(name="stop", duration="instant")])
    names = ("oven-1", "oven-2", "oven-3", "oven-4")
    rows = [row(m, name, temperature=m + 0.5, moisture=4.0) for name in names for m in range(9)]
    add_readings(stores, rows, LATER)
    add_readings(stores, [row(5, "oven-4", temperature="hot")], LATER)
    stops = [event("stop", minute, asset="oven-2") for minute in (1, 2, 6)]
    add_events(stores, [*stops, event("jam", 3, 4, "oven-2")], LATER)
    computed = {"kind": "difference", "of": "temperature", "minus": "moisture", "within": "5m"}
    over = Variable.model_validate({"computed": computed})
    assets = [oven().model_copy(update={"name": name}) for name in names]
    assets[2] = oven(over=over).model_copy(update={"name": "oven-3"})
    wanted = [
        WantedHistory(assets[0], at(3), at(8), ("temperature", "moisture"), at(3)),
        WantedHistory(assets[1], at(3), at(8), ("moisture",), at(3)),
        WantedHistory(assets[2], at(5), at(8), ("over",), at(5)),
        WantedHistory(assets[3], at(3), at(8), ("temperature",), at(3)),
    ]
    wanted.append(replace(wanted[1], with_events=False))
    found = stores.readings.load_histories(wanted[:4])
    assert {"oven-1", "oven-2"} <= found.keys() <= {"oven-1", "oven-2", "oven-3"}
    pairs = [(found.get(one.asset.name), one) for one in wanted[:4]]
    without = stores.readings.load_histories([wanted[0], wanted[4]])
    pairs.append((without["oven-2"], wanted[4]))
    for history, request in pairs:
        if history is not None:
            alone = stores.readings.load(request)
            pd.testing.assert_frame_equal(history.readings, alone.readings)
            pd.testing.assert_frame_equal(history.events, alone.events)
            assert history.event_types == alone.event_types
    assert [len(one.events) for one in (found["oven-2"], without["oven-2"])] == [3, 0]
    assert [len(without[name].event_types) for name in ("oven-1", "oven-2")] == [1, 0]


def test_every_event_up_to_the_end_is_loaded_whenever_it_began(stores):
    stores.assets.put_event_types(
        [EventType(name="failure", duration="instant"), EventType(name="stop", duration="lasting")]
    )
    add_events(
        stores,
        [
            event("stop", 5),
            event("failure", 3),
            event("failure", -900, -900),
            event("stop", 61, 70),
        ],
        LATER,
    )
    history = stores.readings.load(WantedHistory(oven(), at(50), at(60)))
    assert list(history.events.columns) == list(EVENT_COLUMNS)
    assert history.events["type"].tolist() == ["failure", "failure", "stop"]
    assert history.events["start"].tolist() == [pd.Timestamp(at(minute)) for minute in (-900, 3, 5)]
    assert history.events["end"].tolist()[:2] == [pd.Timestamp(at(minute)) for minute in (-900, 3)]
    assert pd.isna(history.events["end"].iloc[2])
    assert [str(history.events[name].dtype) for name in ("start", "end")] == [INDEX_DTYPE] * 2
    assert {t.name for t in history.event_types} == {"failure", "stop"}


def test_a_long_history_is_loaded_in_order_across_chunks(real):
    rows = [row(minute, temperature=float(minute)) for minute in range(12_345)]
    assert add_readings(real, rows, LATER) == 12_345
    frame = real.readings.load(WantedHistory(oven(), None, None)).readings
    assert frame.index.is_monotonic_increasing
    np.testing.assert_array_equal(frame["temperature"], np.arange(12_345.0))
    assert frame.index[0] == pd.Timestamp(T0)


def test_two_imports_at_once_lose_no_variable(real):
    parts = [
        [row(m, **{name: float(m)}) for m in range(1200)] for name in ("temperature", "moisture")
    ]
    with ThreadPoolExecutor(2) as threads:
        counts = [*threads.map(lambda rows: add_readings(real, rows, LATER), parts)]
    frame = frame_of(real)
    assert (counts, frame.shape, frame.isna().any().any()) == ([1200, 1200], (1200, 2), False)


def test_the_stores_in_memory_keep_this_contract():
    assert broken_in_memory(globals()) == {}
