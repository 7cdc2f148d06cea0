"""A source of kind `mqtt` against a real Mosquitto broker: nothing lost, nothing doubled, whatever
breaks."""

import pytest

from alerting.definitions.sources import parse_source
from alerting.ports import WantedHistory
from alerting.stream.service import StreamService
from alerting.usecases.sources.status import SOURCES
from alerting.usecases.sources.stream import store_messages
from tests.builders import at
from tests.helpers.mosquitto import Broker
from tests.helpers.receivers import wait_until
from tests.helpers.streamed_messages import SOURCE, message
from tests.in_memory_platform import memory_platform

publish = pytest.importorskip("paho.mqtt.publish", reason="pip install paho-mqtt")
VALUES = {**SOURCE, "topic": "line-3/{asset}/{variable}", "payload": "value", "stamp": "receipt"}


def test_the_levels_of_a_topic_name_asset_and_variable_of_one_value():
    platform = memory_platform()
    found = [
        message(b"201.5", "line-3/oven-1/zone_2"),
        message(b"A", "line-3/oven-1/recipe"),
        message(b"\xff", "line-3/oven-1/x"),
    ]
    assert store_messages(platform, parse_source(VALUES), found, at(0)).dead == 1
    frame = platform.readings.load(
        WantedHistory(platform.assets.get("oven-1"), None, None)
    ).readings
    assert frame.to_dict("records") == [{"zone_2": 201.5, "recipe": "A"}]


@pytest.fixture
def broker(tmp_path):
    made = Broker(tmp_path)
    made.start()
    yield made
    made.stop()


def test_from_the_noted_subscription_on_no_message_is_missed_and_a_retained_one_is_none(broker):
    """`alerting apply` waits for this note: a broker keeps nothing for a session that it
    does not know yet."""
    platform = memory_platform()
    kept = {"qos": 1, "retain": True, "port": broker.port}
    publish.single("line-3/oven-1/t", b"1", **kept)
    SOURCES.apply(platform, [VALUES], "ada", at(0))
    service = StreamService(platform, {"BROKER_URL": broker.address})
    assert platform.deliveries.progress("line").read_until is None
    wait_until(lambda: service.turn() or platform.deliveries.progress("line").read_until)
    publish.single("line-3/oven-7/t", b"7", **kept)
    wait_until(lambda: service.turn() or platform.assets.get("oven-7"))
    service.close()
    assert platform.assets.get("oven-1") is None


def test_a_topic_that_the_broker_does_not_grant_is_a_fault_of_the_source():
    from paho.mqtt.packettypes import PacketTypes
    from paho.mqtt.reasoncodes import ReasonCode

    from alerting.adapters.sources.mqtt import refusal

    codes = {0x87: "Not authorized", 0: "Granted QoS 0", 1: None}
    found = {
        code: refusal("line-3/+/x", [ReasonCode(PacketTypes.SUBACK, identifier=code)])
        for code in codes
    }
    said = "the broker does not grant topic 'line-3/+/x' with quality of service 1: "
    assert found == {code: reason and said + reason for code, reason in codes.items()}
