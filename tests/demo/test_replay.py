"""Recorded readings as messages: what is sent is read back as the same rows."""

import json
from datetime import timedelta

import pytest

from alerting.adapters.memory.platform import memory_platform
from alerting.definitions.assets import Asset, Variable
from alerting.definitions.faults import UserError
from alerting.definitions.sources.source import parse_source
from alerting.demo.replay.messages import Outgoing, ReplayMapping, recorded_rows, schedule
from alerting.ports import ReadingRow
from alerting.usecases.ingestion.arrivals import add_readings
from alerting.usecases.sources.records import map_readings
from alerting.usecases.sources.stream import BrokerMessage, topic_reader
from tests.builders import at

pytestmark = pytest.mark.fast

ROW = ReadingRow("line-3-oven", at(1), {"zone_2": 201.5, "recipe": "A"}, {"zone_2": "uncertain"})
MQTT = {"name": "gate", "kind": "mqtt", "url": {"env": "BROKER_URL"}, "asset_prefix": "line-3-"}


def read_back(document, rows):
    source = parse_source(document)
    mapping = ReplayMapping(source)
    read = topic_reader(source)
    messages = [
        BrokerMessage(m.topic, m.payload, at(9), lambda: None)
        for row in rows
        for m in mapping.messages(row)
    ]
    return map_readings(
        source, [record for message in messages for record in read(message)], at(0).tzinfo
    )


def test_a_row_that_is_sent_is_read_back_as_it_was():
    document = MQTT | {
        "topic": "plant/+/{asset}/#",
        "quality": "q",
        "variables": {"Zone 2 [°C]": {"name": "zone_2"}},
    }
    found = read_back(document, [ROW])
    assert [row for _, row in found.rows] == [ROW]
    assert not found.refused


def test_values_of_topics_are_sent_one_by_one_with_the_time_of_their_receipt():
    document = MQTT | {"topic": "plant/{asset}/{variable}", "payload": "value", "stamp": "receipt"}
    source = parse_source(document)
    assert ReplayMapping(source).messages(ROW) == [
        Outgoing("plant/oven/zone_2", b"201.5"),
        Outgoing("plant/oven/recipe", b'"A"'),
    ]
    assert [row.values for _, row in read_back(document, [ROW]).rows] == [
        {"zone_2": 201.5},
        {"recipe": "A"},
    ]


def test_variables_that_the_source_does_not_read_are_left_out_and_named():
    source = parse_source(
        {"name": "g", "kind": "http", "others": "ignore", "variables": {"T": {"name": "recipe"}}}
    )
    mapping = ReplayMapping(source)
    [message] = mapping.messages(ROW)
    assert json.loads(message.payload) == {
        "ts": at(1).isoformat(),
        "asset": "line-3-oven",
        "T": "A",
    }
    assert mapping.left_out == {"zone_2"}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"asset": "press-1", "asset_prefix": ""}, "is of press-1"),
        ({"asset_prefix": "line-4-"}, "cannot come from it"),
        ({"delivers": "events", "asset_prefix": ""}, "only readings are replayed"),
    ],
)
def test_what_a_source_cannot_have_sent_is_refused(changes, why):
    with pytest.raises(UserError, match=why):
        ReplayMapping(parse_source(MQTT | {"topic": "a/#"} | changes)).messages(ROW)


def test_rows_are_sent_in_the_order_of_time_faster_than_recorded():
    platform = memory_platform()
    assets = [
        Asset(name=name, variables={"on": Variable(type="boolean"), "t": Variable()})
        for name in ("a", "b")
    ]
    rows = [
        ReadingRow("a", at(0), {"on": True}),
        ReadingRow("b", at(90), {"t": 1.0}),
        ReadingRow("a", at(150), {"t": 2.0}),
    ]
    platform.assets.store_assets(assets)
    add_readings(platform, rows[::-1], at(0))
    recorded = list(
        recorded_rows(platform.readings, assets, at(0) - timedelta(milliseconds=1), at(150))
    )
    assert recorded == rows
    due = list(schedule(recorded, 60, at(1000), shift=True))
    assert [row.due_at for row in due] == [at(1000), at(1001.5), at(1002.5)]
    assert [row.row.ts for row in due] == [row.due_at for row in due]
    assert [row.row for row in schedule(recorded, 60, at(1000), shift=False)] == rows
