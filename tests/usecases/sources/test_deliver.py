"""Rows of a source become readings and events: mapped, declared, merged by their keys, and
counted."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from alerting.definitions.asset_documents import Asset, Variable
from alerting.definitions.sources import parse_source
from alerting.ports import WantedHistory
from alerting.usecases.sources.status import SOURCES, source_statuses
from alerting.usecases.sources.store_rows import deliver, fit
from tests.builders import at, oven
from tests.helpers.stores import real  # noqa: F401 - a fixture
from tests.in_memory_platform import HandClock, memory_platform, platform_on

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
PLAIN = {"name": "gate", "kind": "http"}


def readings(records, zone=UTC, platform=None, **fields):
    """Return the readings of records as (asset, instant, values), and the reasons of refused ones
    by line."""
    source = parse_source({**PLAIN, **fields})
    plant = replace(platform or memory_platform(), zone=zone)
    found = fit(plant, source, records, "gate")
    return [(r.asset, r.ts, dict(r.values)) for r in found.readings], {
        r.line: r.reason for r in found.refused
    }


def stored(platform, asset="oven-1"):
    """Return the values of an asset by instant."""
    history = platform.readings.load(WantedHistory(platform.assets.get(asset), None, None))
    return {ts.to_pydatetime(): row.dropna().to_dict() for ts, row in history.readings.iterrows()}


BERLIN = ZoneInfo("Europe/Berlin")
STAMPS = [
    ("2026-01-05T12:00:00Z", UTC, None),
    ("2026-01-05T13:00:00+01:00", UTC, None),
    ("2026-01-05 13:00:00", BERLIN, None),
    ("2026-01-05 13:00:00", ZoneInfo("America/New_York"), "Europe/Berlin"),
    (1767614400, BERLIN, None),
    (1767614400000.0, UTC, None),
    (NOON, UTC, None),
]


def test_a_stamp_is_read_in_its_zone_else_in_that_of_the_source_else_in_that_of_the_plant():
    row = {"asset": 1, "values": {"t": 1}}
    fields = {"asset_prefix": "oven-"}  # a number is a name as it is sent
    found = {
        (ts, zone, own): readings([row | {"ts": ts}], zone, timezone=own, **fields)
        for ts, zone, own in STAMPS
    }
    assert found == {stamp: ([("oven-1", NOON, {"t": 1.0})], {}) for stamp in STAMPS}


@pytest.mark.parametrize("delivers", ["readings", "events"])
def test_a_text_that_is_no_name_becomes_the_title_of_a_new_asset_and_means_it_from_then_on(
    delivers,
):
    platform = memory_platform()
    platform.assets.store_assets([Asset(name="oven-3", title="Ofen 3")])
    source = parse_source({**PLAIN, "delivers": delivers})
    row = {"ts": NOON, "type": "Band steht"} | ({"t": 1} if delivers == "readings" else {})
    for hour in range(2):
        rows = [{**row, "ts": at(hour), "asset": asset} for asset in ("Ofen 2", "Ofen 3", "Ofen-2")]
        assert [
            refused.reason for refused in deliver(platform, source, rows, NOON, by="gate").refused
        ] == [
            "asset: 'Ofen-2' is almost 'Ofen 2' on an earlier line: write both alike if they are "
            "one asset, or give each its title"
        ]
    assert {asset.name: asset.title for asset in platform.assets.all()} == {
        "Ofen_2": "Ofen 2",
        "oven-3": "Ofen 3",
    }
    assert [(type.name, type.title) for type in platform.assets.event_types()] == (
        [("Band_steht", "Band steht")] if delivers == "events" else []
    )


def test_one_row_of_a_wrong_clock_does_not_stand_for_the_lag_of_all_later_ones():
    platform = memory_platform()
    SOURCES.apply(platform, [PLAIN], "ada", at(0))
    source = parse_source(PLAIN)

    def lag(minute):
        return source_statuses(platform, at(minute))[0].lag

    deliver(platform, source, [{"ts": at(0), "asset": "oven-1", "t": 1}], at(1), by="gate")
    deliver(
        platform,
        source,
        [{"ts": "2199-12-31T00:00:00Z", "asset": "oven-1", "t": 1}],
        at(2),
        by="gate",
    )
    assert lag(10) == timedelta(minutes=10)
    # a clock that is a little fast
    deliver(platform, source, [{"ts": at(12), "asset": "oven-1", "t": 1}], at(10), by="gate")
    assert (lag(10), lag(15)) == (timedelta(0), timedelta(minutes=3))


def test_each_faulty_row_is_refused_with_its_number_and_the_others_are_stored():
    good = {"ts": "2026-01-05T12:00Z", "asset": "oven-1", "values": {"t": 1}}
    rows = [
        good,
        {**good, "ts": "yesterday"},
        {**good, "asset": "oven 1"},
        {**good, "asset": None},
        {**good, "values": {}},
        {**good, "values": {"t": [1]}},
        {**good, "values": {"t": 10**400}},
        {**good, "ts": "0001-01-01T00:00:00+14:00"},
        {**good, "quality": "so-so"},
        {**good, "values": {"t": Decimal("1e-400"), "u": Decimal("1.5")}},
    ]
    found, refused = readings(rows)
    assert [values for _, _, values in found] == [{"t": 1.0}, {"u": 1.5}]
    assert list(refused) == [2, 3, 4, 5, 6, 7, 8, 9, 10]
    assert refused[2].startswith("ts: 'yesterday' is not a time")
    assert refused[10] == "t: 1E-400 is too small a number to be stored"
    no_names = [True, False, float("nan"), ["a"], {"a": 1}]
    found, refused = readings([{**good, "asset": name} for name in no_names], asset_prefix="oven-")
    assert (found, list(refused)) == ([], [1, 2, 3, 4, 5])
    assert all("is not a name of an asset" in reason for reason in refused.values())


def test_columns_get_the_names_units_and_prefixes_of_the_source():
    platform = memory_platform()
    source = parse_source(
        {
            **PLAIN,
            "time": "Stamp",
            "asset_column": "Machine",
            "asset_prefix": "line-3-",
            "variables": {"Temp": {"name": "zone_2", "unit": "°C"}, "Druck [bar]": {}},
            "others": "ignore",
        }
    )
    row = {"Stamp": "2026-01-05T12:00Z", "Machine": 7, "Temp": 201.5, "Druck [bar]": 3, "Note": "x"}
    deliver(platform, source, [row], at(0), by="gate")
    variables = platform.assets.get("line-3-7").variables
    assert stored(platform, "line-3-7") == {NOON: {"zone_2": 201.5, "Druck": 3.0}}
    assert (variables["zone_2"].unit, variables["Druck"].unit, variables["zone_2"].source) == (
        "°C",
        "bar",
        "gate",
    )


def test_a_value_of_another_type_than_declared_is_refused_and_the_others_of_its_row_stored():
    platform = memory_platform()
    platform.assets.store_assets(
        [oven(recipe=Variable(type="category"), running=Variable(type="boolean"))]
    )
    row = {"ts": "2026-01-05T12:00Z", "asset": "oven-1"}
    rows = [
        {**row, "recipe": 12, "running": 1},
        {**row, "temperature": "hot", "new": 1},
        {**row, "running": 2},
    ]
    found, refused = readings(rows, platform=platform)
    assert found == [
        ("oven-1", NOON, {"recipe": "12", "running": True}),
        ("oven-1", NOON, {"new": 1.0}),
    ]
    assert refused == {
        2: "temperature: 'hot' is not a number",
        3: "running: 2.0 is neither true nor false",
    }


def test_a_sample_of_bad_quality_has_no_value():
    source = parse_source(PLAIN)
    platform = memory_platform()
    row = {"ts": "2026-01-05T12:00Z", "asset": "oven-1", "values": {"a": 1, "b": 2, "c": 3}}
    deliver(
        platform, source, [{**row, "quality": {"a": "bad", "b": "uncertain"}}], at(0), by="gate"
    )
    assert stored(platform) == {NOON: {"b": 2.0, "c": 3.0}}
    [kept] = platform.reading_writes.stored([("oven-1", int(NOON.timestamp() * 1000))]).values()
    assert dict(kept.quality) == {"a": "bad", "b": "uncertain"}


def test_rows_that_come_twice_are_stored_once_and_counted_once():
    platform = memory_platform()
    source = parse_source(PLAIN)
    rows = [{"ts": f"2026-01-05T12:0{i}Z", "asset": "oven-1", "t": i} for i in range(3)]
    first = deliver(platform, source, rows, at(0), by="gate")
    again = deliver(platform, source, [*rows, {"ts": "x"}], at(1), by="gate")
    assert [(d.rows, d.new, len(d.refused)) for d in (first, again)] == [(3, 3, 0), (3, 0, 1)]
    progress = platform.deliveries.progress("gate")
    assert (progress.rows, progress.refused, progress.arrived_at) == (3, 1, at(0))
    assert progress.newest == NOON + timedelta(minutes=2)
    assert progress.last == {
        "asset": "oven-1",
        "ts": NOON + timedelta(minutes=2),
        "values": {"t": 2.0},
    }


def test_an_event_gets_its_end_when_it_is_sent_again_with_it():
    platform = memory_platform()
    source = parse_source({**PLAIN, "delivers": "events", "events": {"type_prefix": "m-"}})
    row = {
        "ts": "2026-01-05T12:00Z",
        "asset": "oven-1",
        "type": "stop",
        "end": None,
        "cause": "jam",
    }
    deliver(platform, source, [row], at(0), by="gate")
    deliver(platform, source, [{**row, "end": "2026-01-05T12:30Z"}], at(1), by="gate")
    deliver(platform, source, [{**row, "type": "tap", "end": None}], at(2), by="gate")
    events = platform.readings.load(WantedHistory(platform.assets.get("oven-1"), None, None)).events
    assert [
        (e.type, e.end.isoformat()[:16]) for e in events.itertuples() if e.type == "m-stop"
    ] == [("m-stop", "2026-01-05T12:30")]
    assert platform.assets.event_types()[0].duration == "lasting"


def test_a_row_that_is_refused_shows_as_well_that_events_have_ends():
    platform = memory_platform()
    source = parse_source({**PLAIN, "delivers": "events"})
    stop = {"ts": "2026-01-05T12:00Z", "asset": "oven-1", "type": "stop"}
    ended = {**stop, "end": "2026-01-05T12:30Z"}
    [refused] = deliver(platform, source, [{**ended, "ts": "oops"}, stop], at(0), by="gate").refused
    assert refused.line == 1
    assert platform.assets.event_types()[0].duration == "lasting"
    assert not deliver(platform, source, [ended], at(1), by="gate").refused


def test_an_event_of_an_instant_type_with_an_end_after_its_start_is_refused():
    platform = memory_platform()
    source = parse_source(
        {**PLAIN, "delivers": "events", "events": {"type": "tap", "lasting": False}}
    )
    row = {"ts": "2026-01-05T12:00Z", "asset": "oven-1"}
    rows = [row, {**row, "end": "2026-01-05T12:30Z"}, {**row, "end": "2026-01-05T11:30Z"}]
    assert [r.line for r in deliver(platform, source, rows, at(0), by=None).refused] == [2, 3]


def test_the_latency_of_a_source_counts_for_its_variables_unless_they_have_their_own(real):  # noqa: F811 - a fixture
    platform = platform_on(real, [], HandClock())
    SOURCES.apply(platform, [{**PLAIN, "latency": "5m"}], "ada", at(0))
    platform.assets.store_assets(
        [oven(slow=Variable(latency=timedelta(hours=1)), other=Variable(source="elsewhere"))]
    )
    row = {"ts": "2026-01-05T12:00Z", "asset": "oven-1", "temperature": 1, "slow": 1}
    deliver(platform, parse_source(PLAIN), [row], at(0), by="gate")
    asset = platform.assets.get("oven-1")
    usual = timedelta(seconds=10)
    assert [asset.latency(name, usual) for name in ("temperature", "slow", "other", "unknown")] == [
        timedelta(minutes=5),
        timedelta(hours=1),
        usual,
        usual,
    ]
    SOURCES.apply(platform, [PLAIN], "ada", at(1))
    assert platform.assets.get("oven-1").latency("temperature", usual) == usual


def test_a_source_is_stale_after_its_time_without_a_row_and_never_while_it_is_paused():
    platform = memory_platform()
    SOURCES.apply(platform, [{**PLAIN, "stale_after": "10m"}], "ada", at(0))

    def stale(minute):
        return source_statuses(platform, at(minute))[0].is_stale

    assert [stale(10), stale(11)] == [False, True]
    deliver(
        platform, parse_source(PLAIN), [{"ts": NOON, "asset": "oven-1", "t": 1}], at(20), by="gate"
    )
    assert [stale(30), stale(31)] == [False, True]
    SOURCES.change_state(platform, "gate", "pause", "ada", at(31))
    assert not stale(100)
    SOURCES.change_state(platform, "gate", "resume", "ada", at(100))
    assert [stale(110), stale(111)] == [False, True]
    assert [
        (r.number, r.document.get("state", "active"), r.actor)
        for r in platform.sources.revisions("gate")
    ] == [
        (1, "active", "ada"),
        (2, "paused", "ada"),
        (3, "active", "ada"),
    ]


DIGITS = {1234567: "1234567", 1234568.0: "1234568", 0.1234567: "0.1234567", -3: "-3"}


def test_a_number_that_becomes_a_category_keeps_all_its_digits():
    platform = memory_platform()
    platform.assets.store_assets([oven(lot=Variable(type="category"))])
    rows = [{"ts": NOON, "asset": "oven-1", "values": {"lot": value}} for value in DIGITS]
    found, _ = readings(rows, platform=platform)
    assert [values["lot"] for _, _, values in found] == [*DIGITS.values()]
