"""Port `Readings`: readings and events."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pandas as pd
import pytest

from alerting.definitions.assets import EventType, Variable
from alerting.definitions.faults import UserError
from alerting.ports import EventRow, ReadingRow, WantedHistory
from alerting.readings.history import EVENT_COLUMNS, INDEX_DTYPE
from alerting.readings.instants import to_millis
from alerting.usecases.ingestion.arrivals import add_events, add_readings
from tests.builders import T0, at, oven
from tests.helpers.stores import broken_in_memory

LATER = at(10_000)


def row(minute, asset="oven-1", **values):
    return ReadingRow(asset, at(minute), values)


def event(type_, start, end=None, asset="oven-1", **attributes):
    return EventRow(asset, type_, at(start), None if end is None else at(end), "test", attributes)


def frame_of(stores, start=None, end=None, variables=None, asset=None):
    return stores.readings.load(asset or oven(), start, end, variables).readings


def test_the_same_rows_again_change_nothing_and_instants_are_kept_in_whole_milliseconds_of_utc(
    stores,
):
    fine = datetime(2026, 1, 5, 13, 0, 0, 123_456, tzinfo=timezone(timedelta(hours=1)))
    rows = [row(minute, temperature=minute / 7, moisture=4.0) for minute in range(50)]
    rows.append(ReadingRow("oven-1", fine, {"temperature": 1.0}))
    assert add_readings(stores, rows, LATER) == 51
    before = frame_of(stores)
    assert add_readings(stores, rows, LATER + timedelta(days=1)) == 0
    pd.testing.assert_frame_equal(frame_of(stores), before)
    last = datetime(2026, 1, 5, 12, 0, 0, 123_000, tzinfo=UTC)
    assert stores.readings.span("oven-1") == (at(0), last)
    with pytest.raises(ValueError, match="time zone"):
        add_readings(stores, [ReadingRow("oven-1", last.replace(tzinfo=None), {"t": 1.0})], LATER)


def test_later_variables_join_the_instant_and_of_two_values_the_later_wins(stores):
    add_readings(stores, [row(0, temperature=200.0), row(1, temperature=201.0)], LATER)
    rows = [
        row(0, moisture=4.2),
        row(1, temperature=201.0),
        row(2, moisture=4.3),
        row(3, temperature=1.0),
        row(3, temperature=2.0, moisture=4.0),
        row(3, moisture=4.0),
    ]
    assert add_readings(stores, rows, LATER) == 4
    frame = frame_of(stores)
    np.testing.assert_array_equal(frame["temperature"], [200.0, 201.0, np.nan, 2.0])
    np.testing.assert_array_equal(frame["moisture"], [4.2, np.nan, 4.3, 4.0])


def test_arrival_is_when_the_instant_last_changed(real):
    arrived = []
    for minute, variable in ((1, "temperature"), (2, "temperature"), (3, "moisture")):
        add_readings(real, [row(0, **{variable: 1.0})], at(minute))
        arrived.append(real.database["readings"].find_one()["arrived_at"])
    assert arrived == [at(1), at(1), at(3)]


def test_of_many_assets_those_with_stored_rows_are_merged_and_counted_once(stores):
    """Few and many stored readings are found in different ways."""
    for stored, value in ((1, 1.0), (1500, 2.0)):
        many = [row(minute, asset="oven-2", temperature=value) for minute in range(stored)]
        add_readings(stores, many, LATER)
        rows = [row(0, asset=f"oven-{i}", temperature=value) for i in range(1, 6)]
        late = row(stored, asset="oven-3", temperature=3.0)
        assert add_readings(stores, [*rows, late], LATER) == 5
        assert add_readings(stores, rows, LATER) == 0


def test_a_history_has_the_conventions_of_the_core(stores):
    asset = oven(
        recipe=Variable(type="category"), running=Variable(type="boolean"), never=Variable()
    )
    values = [
        {"temperature": 7, "recipe": "rye", "running": True},
        {"temperature": 8.5, "running": False},
        {"recipe": "oat"},
    ]
    add_readings(stores, [row(minute, **v) for minute, v in enumerate(values)][::-1], LATER)
    history = stores.readings.load(asset, None, None)
    frame = history.readings
    assert history.asset == asset
    assert str(frame.index.dtype) == INDEX_DTYPE
    assert frame.index.name == "ts"
    assert frame.index.tolist() == [pd.Timestamp(at(minute)) for minute in range(3)]
    assert list(frame.columns) == ["temperature", "moisture", "recipe", "running", "never"]
    assert frame.dtypes.astype(str).to_dict() == {
        "temperature": "float64", "moisture": "float64", "recipe": "object", "running": "float64",
        "never": "float64"
    }  # fmt: skip
    assert frame["recipe"].tolist() == ["rye", None, "oat"]
    np.testing.assert_array_equal(frame["running"], [1.0, 0.0, np.nan])
    np.testing.assert_array_equal(frame["temperature"], [7.0, 8.5, np.nan])
    assert frame["never"].isna().all()


def test_only_the_period_and_the_variables_asked_for_are_loaded_and_all_of_them(stores):
    rows = [row(minute, temperature=float(minute), moisture=2.0) for minute in range(5)]
    add_readings(stores, rows, LATER)
    assert frame_of(stores, at(1), at(3))["temperature"].tolist() == [2.0, 3.0], "open at its start"
    frame = frame_of(stores, variables=["moisture", "undeclared"])
    assert list(frame.columns) == ["moisture", "undeclared"]
    assert frame["undeclared"].isna().all()


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
        WantedHistory(assets[0], at(3), ("temperature", "moisture")),
        WantedHistory(assets[1], at(3), ("moisture",)),
        WantedHistory(assets[2], at(5), ("over",)),
        WantedHistory(assets[3], at(3), ("temperature",)),
    ]
    wanted.append(WantedHistory(assets[1], at(3), ("moisture",), with_events=False))
    found = stores.readings.load_histories(wanted[:4], at(8))
    assert {"oven-1", "oven-2"} <= found.keys() <= {"oven-1", "oven-2", "oven-3"}
    pairs = [(found.get(one.asset.name), one) for one in wanted[:4]]
    without = stores.readings.load_histories([wanted[0], wanted[4]], at(8))
    pairs.append((without["oven-2"], wanted[4]))
    for history, (asset, start, names, with_events) in pairs:
        if history is not None:
            options = {"events_since": start, "with_events": with_events}
            alone = stores.readings.load(asset, start, at(8), names, **options)
            pd.testing.assert_frame_equal(history.readings, alone.readings)
            pd.testing.assert_frame_equal(history.events, alone.events)
            assert history.event_types == alone.event_types
    assert [len(one.events) for one in (found["oven-2"], without["oven-2"])] == [3, 0]
    assert [len(without[name].event_types) for name in ("oven-1", "oven-2")] == [1, 0]


def test_an_asset_without_readings_has_an_empty_frame_with_its_columns(stores):
    history = stores.readings.load(oven(), None, None)
    assert history.readings.empty
    assert list(history.readings.columns) == ["temperature", "moisture"]
    assert str(history.readings.index.dtype) == INDEX_DTYPE
    assert history.events.empty
    assert stores.readings.span("oven-1") is None


def test_a_stored_text_where_a_number_belongs_is_refused_with_its_place(stores):
    add_readings(stores, [row(0, temperature=1.0), row(1, temperature="hot")], LATER)
    with pytest.raises(
        UserError, match=r"'oven-1' at 2026-01-05T00:01:00\+00:00 has 'hot' as temperature"
    ):
        stores.readings.load(oven(), None, None)


def test_the_newest_value_of_a_variable_is_found_behind_readings_without_it(stores):
    asset = oven(
        recipe=Variable(type="category"),
        on=Variable(type="boolean"),
        temperature=Variable(high=300.0),
    )
    add_readings(
        stores, [row(0, recipe="rye", on=True), row(10, recipe="oat", temperature=200.0)], LATER
    )
    add_readings(
        stores, [row(m, moisture=4.0) for m in range(11, 60)] + [row(60, temperature=999.0)], LATER
    )
    add_readings(stores, [row(50, asset="oven-2", recipe="corn")], LATER)
    since = dict.fromkeys(["recipe", "on", "temperature", "moisture"], at(-1))
    found = stores.readings.newest_values(asset, since | {"moisture": at(59)}, at(60))
    assert found.index.tolist() == [pd.Timestamp(at(0)), pd.Timestamp(at(10))]
    assert found["recipe"].tolist() == [None, "oat"]
    assert found["on"].dropna().tolist() == [1.0]
    assert found["temperature"].dropna().tolist() == [200.0], (
        "what lies outside the engineering range is no value"
    )
    assert found["moisture"].isna().all()
    assert (found.index.dtype, found["on"].dtype) == (INDEX_DTYPE, np.float64)
    assert stores.readings.newest_values(asset, {"recipe": at(0)}, at(9)).empty
    assert stores.readings.newest_values(asset, {"recipe": at(-1)}, at(9))["recipe"].tolist() == [
        "rye"
    ]


def test_the_span_begins_after_few_readings_far_before_all_others_but_not_after_many(stores):
    year = 60 * 24 * 365
    good = [row(minute, temperature=1.0) for minute in range(0, 6000, 10)]
    strays = [row(-50 * year + minute, temperature=1.0) for minute in range(6)]
    add_readings(stores, [*good, *strays, row(10 * year, temperature=1.0)], LATER)
    ends = (at(7000), None, at(-1))
    spans = [stores.readings.span("oven-1", end) for end in ends]
    assert spans == [(at(0), at(5990)), (at(0), at(10 * year)), (strays[0].ts, strays[-1].ts)]
    early = [row(minute - 2 * year, asset="oven-2", temperature=1.0) for minute in range(100)]
    later = [row(minute, asset="oven-2", temperature=1.0) for minute in range(1000)]
    add_readings(stores, [*early, *later], LATER)
    assert stores.readings.span("oven-2") == (early[0].ts, at(999))


def test_the_same_events_again_change_nothing_and_a_later_end_or_attribute_joins(stores):
    jam = event("stop", 5, reason="jam")
    ended = event("stop", 5, 9, shift="night")
    named = event("stop", 0, **{"speed [m/s. mean]": 1.5})
    failures = [event("failure", minute, minute, component="belt") for minute in range(20)]
    added = ([jam], [ended], [event("stop", 5)], [named], [named], failures, failures)
    assert [add_events(stores, events, LATER) for events in added] == [1, 1, 0, 1, 0, 20, 0]
    stored = stores.reading_writes.stored_events([jam, named])
    stops = {one.start: one for one in stored if one.type == "stop"}
    assert stops == {at(0): named, at(5): event("stop", 5, 9, reason="jam", shift="night")}


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
    history = stores.readings.load(oven(), at(50), at(60))
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
    frame = real.readings.load(oven(), None, None).readings
    assert frame.index.is_monotonic_increasing
    np.testing.assert_array_equal(frame["temperature"], np.arange(12_345.0))
    assert frame.index[0] == pd.Timestamp(T0)


def test_two_imports_at_once_lose_no_variable(real):
    parts = [
        [row(m, **{name: float(m)}) for m in range(3000)] for name in ("temperature", "moisture")
    ]
    with ThreadPoolExecutor(2) as threads:
        counts = [*threads.map(lambda rows: add_readings(real, rows, LATER), parts)]
    frame = frame_of(real)
    assert (counts, frame.shape, frame.isna().any().any()) == ([3000, 3000], (3000, 2), False)


def test_the_newest_instant_of_each_asset_with_readings(stores):
    assert stores.readings.newest_readings() == {}
    add_readings(
        stores,
        [row(0, temperature=1.0), row(7, moisture=4.0), row(3, asset="oven-2", temperature=1.0)],
        LATER,
    )
    add_readings(stores, [row(7, temperature=2.0)], LATER + timedelta(minutes=1))
    newest = {"oven-1": (at(7), LATER + timedelta(minutes=1)), "oven-2": (at(3), LATER)}
    assert {
        asset: (r.ts, r.arrived_at) for asset, r in stores.readings.newest_readings().items()
    } == newest
    assert set(stores.readings.newest_readings(None, {"oven-2", "unknown"})) == {"oven-2"}
    assert stores.readings.newest_readings(None, ()) == {}


def test_a_computed_variable_is_read_like_a_stored_one(stores):
    computed = {"kind": "difference", "of": "temperature", "minus": "moisture", "within": "5m"}
    asset = oven(
        recipe=Variable(type="category"), over=Variable.model_validate({"computed": computed})
    )
    add_readings(
        stores,
        [row(0, moisture=4.0, recipe="rye"), row(4, temperature=200.0), row(6, temperature=210.0)],
        LATER,
    )
    whole = stores.readings.load(asset, None, None).readings
    assert whole.columns.tolist() == ["temperature", "moisture", "recipe", "over"]
    assert whole["over"].tolist() == pytest.approx([np.nan, 196.0, np.nan], nan_ok=True)
    later = stores.readings.load(asset, at(3), at(5), ["over"]).readings
    assert (later.index.tolist(), later["over"].tolist()) == ([pd.Timestamp(at(4))], [196.0])
    found = stores.readings.newest_values(asset, {"over": at(-9_000), "recipe": at(-1)}, at(9_000))
    assert found["over"].dropna().to_dict() == {pd.Timestamp(at(4)): 196.0}
    assert found["recipe"].tolist() == ["rye", None]
    assert (found.index.dtype, found["over"].dtype) == (INDEX_DTYPE, np.float64)
    assert stores.readings.newest_values(asset, {"over": at(4)}, at(9_000)).empty


def test_an_event_is_deleted_only_as_it_is_stored_and_its_type_has_events_until_then(stores):
    jam = event("stop", 5, 9, reason="jam")
    other = event("stop", 20, 22, asset="oven-2")
    writes = stores.reading_writes
    assert not writes.has_events("stop")
    add_events(stores, [jam, other, event("jam", 30, 31)], LATER)
    left = []
    for deleted in ([], [event("stop", 5, 9), event("stop", 20, 23)], [jam], [jam], [other]):
        writes.delete_events(deleted)
        left.append((len(writes.stored_events([jam, other])), writes.has_events("stop")))
    assert left == [(2, True), (2, True), (1, True), (1, True), (0, False)]
    assert writes.has_events("jam")


def test_samples_are_deleted_only_as_they_are_stored_and_others_of_their_instant_stay(stores):
    rows = [row(minute, temperature=200.0 + minute, moisture=4.0) for minute in range(3)]
    add_readings(stores, rows, LATER)
    doubtful = ReadingRow("oven-1", at(3), {"temperature": 9.0}, {"temperature": "uncertain"})
    add_readings(stores, [doubtful, ReadingRow("oven-1", at(4), {}, {"moisture": "bad"})], LATER)
    writes = stores.reading_writes
    keys = [("oven-1", to_millis(at(minute))) for minute in range(5)]
    before = writes.stored(keys)
    good = row(3, temperature=9.0)  # a doubtful sample is not a good one
    for others in ([], [row(0, temperature=199.0), row(9, temperature=1.0)], [good]):
        writes.delete_samples(others)
    assert writes.stored(keys) == before and len(before) == 5
    for _ in range(2):
        writes.delete_samples([row(0, temperature=200.0), row(1, temperature=201.0, moisture=4.0)])
    assert sorted(writes.stored(keys)) == [keys[0], *keys[2:]]
    writes.delete_samples([doubtful, ReadingRow("oven-1", at(4), {}, {"moisture": "bad"})])
    left = stores.readings.load(oven(), None, None).readings
    assert left.index.tolist() == [pd.Timestamp(at(0)), pd.Timestamp(at(2))]
    assert left["temperature"].tolist()[1:] == [202.0] and np.isnan(left["temperature"].iloc[0])
    assert left["moisture"].tolist() == [4.0, 4.0]
    # and may be stored again
    assert add_readings(stores, rows, LATER) == 2


def test_the_stores_in_memory_keep_this_contract():
    assert broken_in_memory(globals()) == {}
