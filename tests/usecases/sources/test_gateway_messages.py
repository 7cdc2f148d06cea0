"""Messages as gateways write them, the examples of config/examples/gateways and other nested forms,
and exactly what is stored of them; what cannot be stored is refused by its name."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from alerting.definitions.asset_documents import Asset, Variable
from alerting.definitions.faults import DocumentRefused, UserError
from alerting.definitions.sources import parse_source
from alerting.usecases.sources.status import SOURCES, try_records
from alerting.usecases.sources.store_rows import fit
from alerting.usecases.sources.stream import BrokerMessage, retry_dead, store_messages, topic_reader
from tests.builders import at
from tests.helpers.streamed_messages import dead
from tests.in_memory_platform import in_memory_platform

EXAMPLES = Path(__file__).parents[3] / "config" / "examples" / "gateways"
SIX = datetime(2026, 3, 2, 6, tzinfo=UTC)
MS = int(SIX.timestamp() * 1000)
AFTER = SIX + timedelta(milliseconds=123)
MQTT = {"name": "line", "kind": "mqtt", "url": {"env": "BROKER_URL"}, "topic": "a/{asset}"}
HTTP = {"name": "line", "kind": "http", "asset": "oven-1"}


def message(topic, payload):
    written = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return BrokerMessage(topic, written, SIX, lambda: None)


def stored(document, payload, topic="a/oven-1", platform=None):
    """Return the readings of a message, as (asset, instant): values with bad ones as their quality,
    and the reasons of what is refused."""
    source = parse_source(document)
    read = topic_reader(source) if source.kind == "mqtt" else None
    rows = read(message(topic, payload)) if read else [payload]
    done = fit(platform or in_memory_platform(), source, rows, "line")
    found = {}
    for row in done.readings:
        found.setdefault((row.asset, row.ts), {}).update({**row.values, **row.quality})
    return found, [row.reason for row in done.refused]


GATEWAYS = {
    "kepware": (
        "iotgateway/press-1",
        {"timestamp": MS, "values": [
            {"id": "Ch1.Press.Temp", "v": 201.5, "q": True, "t": MS + 123},
            {"id": "Ch1.Press.Speed", "v": 1.25, "q": False, "t": MS + 123},
            {"id": "Ch1.Press.On", "v": True, "q": True, "t": MS},
        ]},
        {
            ("press-1", AFTER): {"temperature": 201.5, "Ch1_Press_Speed": "bad"},
            ("press-1", SIX): {"Ch1_Press_On": True},
        },
    ),
    "tasmota": (
        "tele/shed/SENSOR",
        {"Time": "2026-03-02T07:00:00", "SI7021": {"Temperature": 18.4, "Humidity": 64.3},
         "TempUnit": "C"},
        {("shed", SIX): {"temperature": 18.4, "SI7021_Humidity": 64.3}},
    ),
    "telegraf": (
        "telegraf/edge1/opcua",
        {"fields": {"value": 201.5, "Quality": "OK"}, "name": "opcua",
         "tags": {"host": "edge1", "id": "ns=2;s=T1"}, "timestamp": MS // 1000},
        {("edge1", SIX): {"temperature": 201.5}},
    ),
    "siemens-edge": (
        "ie/d/j/simatic/v1/s7c1/dp/r/oven-1/default",
        {"seq": 7, "vals": [
            {"id": "101", "qc": 3, "ts": "2026-03-02T06:00:00.1234567Z", "val": 12},
            {"id": "102", "qc": 0, "ts": "2026-03-02T06:00:00.1234567Z", "val": 4},
            {"id": "103", "qc": 1, "ts": "2026-03-02T06:00:00.1234567Z", "val": None},
        ]},
        {("oven-1", AFTER): {"temperature": 12.0, "v_102": "bad"}},
    ),
    "thingsboard": (
        "v1/gateway/telemetry",
        {"Oven 1": [{"ts": MS, "values": {"temperature": 42}},
                    {"ts": MS + 123, "values": {"temperature": 43, "state": {"mode": "run"}}}],
         "oven-2": [{"ts": MS, "values": {"temperature": 7}}]},
        {
            ("Oven_1", SIX): {"temperature": 42.0},
            ("Oven_1", AFTER): {"temperature": 43.0, "state_mode": "run"},
            ("oven-2", SIX): {"temperature": 7.0},
        },
    ),
    "ignition": (
        "Acme/Hamburg/Hall/Line 2/oven-1/Zone/Temp",
        {"name": "Temp", "dataType": "Float", "value": 201.5, "timestamp": MS + 123,
         "quality": "Good"},
        {("Hall_Line_2_oven-1", AFTER): {"Zone_Temp": 201.5}},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", GATEWAYS)
def test_an_example_of_a_gateway_stores_these_values(name):
    document = yaml.safe_load((EXAMPLES / f"{name}.yaml").read_text(encoding="utf-8"))
    topic, payload, expected = GATEWAYS[name]
    assert stored(document, payload, topic) == (expected, [])
    platform = in_memory_platform()
    SOURCES.apply(platform, [document], "ada", at(0))
    assert store_messages(platform, parse_source(document), [message(topic, payload)], at(0)).new
    assert {path.stem for path in EXAMPLES.iterdir()} == {*GATEWAYS}


OPC = "Messages[].Payload{}"
NESTED = {
    "nested objects get names of their paths": (
        {**MQTT, "stamp": "receipt"},
        {"ENERGY": {"Power": 5, "Phase": {"L1": 1.5}}, "wifi": {"ap": "x"}},
        {"ENERGY_Power": 5.0, "ENERGY_Phase_L1": 1.5, "wifi_ap": "x"},
    ),
    "a name that contains the point comes first": (
        {**MQTT, "time": "h.t", "variables": {"a.b": {"name": "power"}}, "others": "ignore"},
        {"h": {"t": "1970"}, "h.t": MS, "a.b": 1, "c": {"d": 2}},
        {"power": 1.0},
    ),
    "a path leads through names with points": (
        {**MQTT, "time": "header.stamp", "variables": {"tags.x.y": {"name": "y"}}},
        {"header": {"stamp": str(MS)}, "tags": {"x.y": 3}},
        {"y": 3.0},
    ),
    "an OPC UA publisher": (
        {**HTTP, "variable": OPC, "value": f"{OPC}.Value", "time": f"{OPC}.SourceTimestamp",
         "quality": f"{OPC}.StatusCode.Symbol"},
        {"Messages": [{"Payload": {
            "T1": {"Value": 20.5, "SourceTimestamp": "2026-03-02T06:00:00.0000000Z"},
            "T2": {"Value": 1, "SourceTimestamp": "2026-03-02T06:00:00Z",
                   "StatusCode": {"Code": 2147483648, "Symbol": "BadNotConnected"}},
        }}]},
        {"T1": 20.5, "T2": "bad"},
    ),
    "Sparkplug as JSON": (
        {**HTTP, "variable": "metrics[].name", "value": "metrics[].value",
         "time": "metrics[].timestamp", "quality": "metrics[].properties.Quality.value"},
        {"timestamp": 1, "metrics": [
            {"name": "T1", "timestamp": MS, "value": 12,
             "properties": {"Quality": {"type": "Int32", "value": 192}}},
            {"name": "Zone/T2", "timestamp": MS, "value": 1}]},
        {"T1": 12.0, "Zone_T2": 1.0},
    ),
    "rows within a message": (
        {**MQTT, "time": "data[].at", "topic": "a/+", "asset_column": "device.name"},
        {"device": {"name": "oven-1"}, "data": [{"at": MS, "t": 1, "u": {"v": 2}}]},
        {"t": 1.0, "u_v": 2.0},
    ),
    "the value of an object is its variable's": (
        {**HTTP, "variable": "values{}", "value": "values{}", "time": "at.ms"},
        {"at": {"ms": MS}, "values": {"a": 1, "b": "x"}},
        {"a": 1.0, "b": "x"},
    ),
    "a flat row of one value, with a flag": (
        {**HTTP, "variable": "tag", "value": "val", "quality": "ok", "quality_codes": "flag"},
        {"ts": MS, "tag": "t", "val": 2, "ok": 1, "unit": "bar"},
        {"t": 2.0},
    ),
    "a LoRaWAN server": (
        {**MQTT, "topic": "a/+", "asset_column": "ids.device_id", "time": "received_at",
         "others": "ignore", "variables": {"uplink.decoded.temp": {"unit": "°C"}}},
        {"ids": {"device_id": "oven-1"}, "received_at": "2026-03-02T06:00:00.000000001Z",
         "uplink": {"decoded": {"temp": 1.5}, "rx_metadata": [{"rssi": -1}]}},
        {"uplink_decoded_temp": 1.5},
    ),
    "an OPC publisher of flat samples": (
        {**HTTP, "variable": "NodeId", "value": "Value.Value", "time": "Value.SourceTimestamp"},
        {"NodeId": "ns=2;s=T1", "Value": {"Value": 3, "SourceTimestamp": "2026-03-02T06:00:00Z"}},
        {"ns_2_s_T1": 3.0},
    ),
    "qualities beside, nested as the values": (
        HTTP,
        {"ts": MS, "a": {"b": 1, "c": 2}, "quality": {"a": {"b": False, "c": 192}}},
        {"a_b": "bad", "a_c": 2.0},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NESTED)
def test_other_nested_forms_are_read(name):
    document, payload, values = NESTED[name]
    assert stored(document, payload) == ({("oven-1", SIX): values}, [])


LISTED = (
    "is a list of objects with id, v, t; write in the source, for example, variable: values[].id, "
    "value: values[].v, time: values[].t"
)
VALUE_OF_ID = {**HTTP, "variable": "values[].id", "value": "values[].v"}
BAD = {
    "a list of objects": (HTTP, {"a": 1, "values": [{"id": "x", "v": 1, "t": 2}]}, {"a": 1.0},
                          f"values: {LISTED}"),
    "no time beside a list": ({**HTTP, "time": "at"}, {"values": [{"id": "x", "v": 1, "t": 2}]},
                              None, f"at: there is no time; values {LISTED}"),
    "a path without its list": ({**HTTP, "variable": "values.id", "value": "values.v"},
                                {"values": [{"id": "x", "v": 1, "t": 2}]}, None,
                                f"values.id: null is not a name of a variable; values {LISTED}"),
    "a list": (HTTP, {"a": 1, "b": [True, None]}, {"a": 1.0},
               "b: [true, null] is not a number, text, true or false"),
    "a number as a text, of a number": ({**HTTP, "variables": {"new": {"unit": "bar"}}},
                                        {"t": "20.5", "new": "-1e2", "a": "1", "b": [1]},
                                        {"t": 20.5, "new": -100.0, "a": "1"}, "b: [1] is not"),
    "a first value that is none": ({**HTTP, "variables": {"new": {"unit": "bar"}}},
                                   {"new": "warm", "a": 1}, {"a": 1.0},
                                   "new: 'warm' is not a number"),
    "another type": (HTTP, {"t": "hot", "a": 1}, {"a": 1.0},
                     "t: 'hot' is not a number"),
    "two columns of one name": (HTTP, {"a.b": 1, "a_b": 2, "c": 3}, {"c": 3.0},
                                "a_b: the variable a_b occurs twice"),
    "nested and by its name": (HTTP, {"a.b": 1, "a": {"b": 2}}, {"a_b": 1.0},
                               "a.b: stands in the message twice, nested and by this name"),
    "a quality that is none": ({**HTTP, "quality": "q"}, {"a": 1, "b": 2, "q": {"a": "dodgy"}},
                               {"b": 2.0}, "a: 'dodgy' is not a quality"),
    "a code of two meanings": (VALUE_OF_ID | {"quality": "values[].q"},
                               {"values": [{"id": "a", "v": 1, "q": 0}, {"id": "b", "v": 2}]},
                               {"b": 2.0}, "a: 0 may be a status code of OPC UA or"),
    "a long text for a quality": ({**HTTP, "quality": "q"}, {"a": 1, "q": "x" * 100_000}, None,
                                  f"q: '{'x' * 78}… is not a quality: write good"),
    "a list for a quality": ({**HTTP, "quality": "q"}, {"a": 1, "b": 2, "q": {"a": [1, None]}},
                             {"b": 2.0}, "a: [1, null] is not a quality: write good"),
    "a list for the time of parts": (VALUE_OF_ID | {"time": "ts"},
                                     {"ts": [1.5] * 9, "values": [{"id": "a", "v": 1}] * 3}, None,
                                     "ts: a list or an object is no time"),
    "a part without its name": (VALUE_OF_ID, {"values": [{"v": 1}, {"id": "b", "v": 2}]},
                                {"b": 2.0}, "values[].id: null is not a name of a variable"),
    "no list": (VALUE_OF_ID, {"values": {"id": "a"}}, None,
                "values[]: {\"id\": \"a\"} is not a list, of which [] is each item"),
    "no part": (VALUE_OF_ID, {"values": []}, None, "has no value"),
    "a part that is no row": ({**HTTP, "time": "d[].ts"}, {"d": [1, {"ts": MS, "a": 2}]},
                              {"a": 2.0}, "d[]: 1 is not a row"),
    "too deep": (HTTP, {"a": 1, "b": json.loads('{"c":' * 12 + "1" + "}" * 12)}, {"a": 1.0},
                 'b.c.c.c.c.c.c.c.c.c: {"c": {"c": {"c": 1}}} is not a number'),
    "a bad time": (HTTP, {"ts": [1], "a": 1}, None, "ts: [1] is not a time; write ISO 8601, or"),
    "a bad asset": ({**HTTP, "asset": None}, {"asset": {"x": 1}, "a": 1}, None,
                    'asset: {"x": 1} is not a name of an asset'),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_field_is_refused_by_its_name_and_the_others_are_stored(name):
    document, payload, values, reason = BAD[name]
    platform = in_memory_platform()
    platform.assets.store_assets([Asset(name="oven-1", variables={"t": Variable(type="number")})])
    found, refused = stored(document, {"ts": MS, **payload}, platform=platform)
    assert found == ({} if values is None else {("oven-1", SIX): values})
    assert len(refused) == 1
    assert refused[0].startswith(reason)


def test_a_message_with_a_bad_field_is_put_aside_its_others_stored_and_can_be_tried_again():
    platform = in_memory_platform()
    source = {**MQTT, "variables": {"t": {"unit": "°C"}}}
    SOURCES.apply(platform, [source], "ada", at(0))
    platform.assets.store_assets([Asset(name="oven-1", variables={"t": Variable(type="number")})])
    batch = [message("a/oven-1", {"ts": MS, "t": "hot", "u": 1, "w": [1]})]
    for _ in range(2):
        counted = store_messages(platform, parse_source(source), batch, at(0))
    progress = platform.deliveries.progress("line")
    assert (counted.dead, progress.rows, progress.refused) == (1, 1, 2)
    reason = "w: [1] is not a number, text, true or false; t: 'hot' is not a number"
    assert dead(platform) == [reason]
    assert progress.last["values"] == {"u": 1.0}
    corrected = {"variables": {"u": {}}, "others": "ignore"}
    SOURCES.apply(platform, [{**source, **corrected}], "ada", at(1))
    assert retry_dead(platform, "line", "ada", at(2)).new == 1
    assert dead(platform) == []


def test_a_trial_says_that_rows_of_one_instant_state_other_values_of_a_variable():
    rows = [{"ts": MS, "fields": {"value": n}, "tags": {"id": f"T{n}"}} for n in (1, 2, 2)]
    mixed = try_records(in_memory_platform(), parse_source(HTTP), rows).notes
    assert "fields_value of oven-1 has several values at 2026-03-02 06:00 UTC" in mixed[0]
    right = parse_source({**HTTP, "variable": "tags.id", "value": "fields.value"})
    assert not try_records(in_memory_platform(), right, rows).notes


STAMPS = {
    SIX: [
        "1772431200", "1772431200000", 1772431200000000, "1772431200000000000", 1772431200.0,
        "20260302060000", 20260302060000, "202603020600", "2026-03-02 06:00:00 UTC",
        "2026-03-02T06:00:00z", "2026-03-02T06:00:00.0000000Z", "2026-03-02T07:00+0100",
    ],
    AFTER: [
        "1772431200123", 1772431200123456, 1772431200123456789, "1772431200.123",
        "2026-03-02T06:00:00.123456789Z", "2026-03-02T06:00:00,1234567Z",
    ],
    SIX + timedelta(hours=18): [
        "2026-03-02T24:00:00Z", "2026-03-02 24:00", "20260302T240000Z", "2026-03-03T01:00:00+01:00",
        "2026-03-02T24:00:00.000Z",
    ],
    None: [True, "86400", "2026-03-02T24:00:01Z", "2026-03-02T24:30", "1e9", "12", 10**30,
           "T24:00", 12, 0, -1772431200, 86400.5],
}  # fmt: skip


def test_a_stamp_is_an_instant_however_it_is_counted_or_written():
    found = {expected: [] for expected in STAMPS}
    for expected, stamps in STAMPS.items():
        for stamp in stamps:
            rows, _ = stored(HTTP, {"ts": stamp, "a": 1})
            if [ts for _, ts in rows] == ([] if expected is None else [expected]):
                found[expected].append(stamp)
    assert found == STAMPS


TOPICS = {
    ("acme/{area}/{line}/{asset}/{variable}", "acme/hall/2/oven-1/t"): ("hall_2_oven-1", "t"),
    ("acme/+/+/{asset}/{variable}", "acme/hall/2/oven-1/t"): ("oven-1", "t"),
    ("{line}/{cell}/{variable}", "L1/press/t"): ("L1_press", "t"),
    ("{asset}/{module}/{variable}", "oven-1/zone/t"): ("oven-1", "zone_t"),
    ("{variable}/{asset}", "t/oven-1"): ("oven-1", "t"),
    ("{asset}/{variable}/#", "oven-1/a/b/c"): ("oven-1", "a_b_c"),
}


def test_an_asset_and_a_variable_are_named_by_several_levels():
    for (topic, written), (asset, variable) in TOPICS.items():
        for form in ({"payload": "value"}, {"value": "v"}):
            document = {**MQTT, "topic": topic, "stamp": "receipt", **form}
            payload = b"5" if "payload" in form else {"v": 5, "unit": "C"}
            found = stored(document, payload, written)
            assert found == ({(asset, SIX): {variable: 5.0}}, []), topic


def test_assets_of_one_name_in_two_lines_are_two_and_almost_equal_ones_are_refused():
    platform = in_memory_platform()
    document = {**MQTT, "topic": "{line}/{asset}/{variable}", "payload": "value",
                "stamp": "receipt"}  # fmt: skip
    topics = ["L1/oven/t", "L2/oven/t", "L1-oven/x/t", "L1/oven-x/t"]
    batch = [message(topic, b"5") for topic in topics]
    store_messages(platform, parse_source(document), batch, at(0))
    assert {asset.name: asset.title for asset in platform.assets.all()} == {
        "L1_oven": "L1/oven",
        "L2_oven": "L2/oven",
        "L1-oven_x": "L1-oven/x",
    }
    assert "'L1/oven-x' is almost 'L1-oven/x'" in dead(platform)[0]
    later = [replace(batch[3], received_at=at(1))]
    assert store_messages(platform, parse_source(document), later, at(1)).dead == 1


FAULTS = {
    "variable: is missing beside value": {**HTTP, "value": "v[].x"},
    "value: is missing beside variable": {**HTTP, "variable": "v[].x"},
    "a[] and b[].c[] are different parts of a message": {
        **HTTP, "variable": "b[].c[].id", "value": "b[].c[].v", "time": "a[].t"},
    "'$.values[*].v' is no path here; [] is each item of a list (values[].v)": {
        **HTTP, "variable": "values[].id", "value": "$.values[*].v"},
    "'values[0].t' is no path here": {**HTTP, "time": "values[0].t"},
    "value: is of readings": {**HTTP, "variable": "a", "value": "b", "delivers": "events"},
    "value: is a part of JSON": {**MQTT, "topic": "{asset}/{variable}", "payload": "value",
                                 "stamp": "receipt", "value": "v"},
    "names {line} at 2 levels": {**MQTT, "topic": "{line}/{line}/{asset}"},
    "{module} is a part of the variable's name": {**MQTT, "topic": "{asset}/{module}"},
    "'{Line}' is not a level": {**MQTT, "topic": "{Line}/{asset}"},
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_paths_and_levels_that_cannot_be_meant_are_refused_when_checked(fault):
    with pytest.raises(DocumentRefused) as refusal:
        parse_source(FAULTS[fault])
    assert fault in str(refusal.value)


def test_a_source_that_would_mix_the_variables_of_its_topics_is_refused_when_applied():
    document = {**MQTT, "topic": "{asset}/{variable}"}
    assert parse_source(document)  # one that is stored goes on
    with pytest.raises(UserError, match="which field of a message is the value"):
        SOURCES.check(in_memory_platform(), [document])
    assert SOURCES.check(in_memory_platform(), [{**document, "value": "value"}])
