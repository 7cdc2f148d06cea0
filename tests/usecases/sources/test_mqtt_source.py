"""A source of kind `mqtt` against a real Mosquitto broker: nothing lost, nothing doubled, whatever
breaks."""

import json
import time
from datetime import UTC, datetime

import pytest

from alerting.adapters.memory.platform import memory_platform
from alerting.definitions.sources.source import SourceRefused, parse_source
from alerting.usecases.sources.documents import apply_sources
from alerting.usecases.sources.stream import BrokerMessage, store_messages
from tests.builders import at
from tests.helpers.mosquitto import Broker

mqtt = pytest.importorskip("paho.mqtt.client", reason="pip install paho-mqtt")
NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
SOURCE = {
    "name": "line",
    "kind": "mqtt",
    "url": {"env": "BROKER_URL"},
    "topic": "line-3/{asset}/readings",
}
VALUES = {**SOURCE, "topic": "line-3/{asset}/{variable}", "payload": "value", "stamp": "receipt"}


def test_topics_and_payloads_that_do_not_fit_are_faults():
    for changes in (
        {"topic": "a/#/b"},
        {"topic": "a/b+"},
        {"topic": "a/{machine}"},
        {"payload": "value"},
        {"stamp": "never"},
    ):
        with pytest.raises(SourceRefused):
            parse_source({**SOURCE, **changes})


def message(payload, topic="line-3/oven-1/readings", acknowledged=None, received=NOON):
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return BrokerMessage(
        topic,
        body,
        received,
        lambda: acknowledged.append(payload) if acknowledged is not None else None,
    )


def stored(platform, asset="oven-1"):
    found = platform.assets.get(asset)
    if found is None:
        return {}
    frame = platform.readings.load(found, None, None).readings
    return {
        int((ts - NOON).total_seconds()): row.dropna().to_dict() for ts, row in frame.iterrows()
    }


def test_the_levels_of_a_topic_name_asset_and_variable_of_one_value():
    platform = memory_platform()
    source = parse_source(VALUES)
    found = [
        message(b"201.5", "line-3/oven-1/zone_2"),
        message(b"A", "line-3/oven-1/recipe"),
        message(b"\xff", "line-3/oven-1/x"),
    ]
    assert store_messages(platform, source, found, at(0)).dead == 1
    assert stored(platform) == {0: {"zone_2": 201.5, "recipe": "A"}}


@pytest.fixture
def broker(tmp_path):
    made = Broker(tmp_path)
    made.start()
    yield made
    made.stop()


def turns(service, until, seconds=600.0):
    """Let the service work until a condition holds."""
    end = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < end, "the messages did not come in time"
        service.turn()


def broker_knows(service):
    """Return whether the subscription of the one source is confirmed."""
    return any(found.stream._fault is None for found in service._connections.values())


def publish(broker, *messages):
    """Publish retained messages of (topic, payload)."""
    client = mqtt.Client(
        mqtt.CallbackAPIVersion.VERSION2, client_id="publisher", protocol=mqtt.MQTTv5
    )
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    for topic, payload in messages:
        client.publish(topic, payload, qos=1, retain=True).wait_for_publish(600)
    client.disconnect()
    client.loop_stop()


@pytest.mark.server
def test_a_retained_message_is_no_new_reading(broker):
    from alerting.stream.service import StreamService

    platform = memory_platform()
    environ = {"BROKER_URL": broker.address}
    publish(broker, ("line-3/oven-1/t", b"1"))
    apply_sources(platform, [VALUES], "ada", at(0))
    service = StreamService(platform, environ)
    turns(service, lambda: broker_knows(service))
    publish(broker, ("line-3/oven-2/t", b"2"))
    turns(service, lambda: platform.assets.get("oven-2"))
    service.close()
    assert platform.assets.get("oven-1") is None


@pytest.mark.server
def test_from_the_noted_subscription_on_no_message_is_missed(broker):
    """`alerting apply` waits for this note: a broker keeps nothing for a session that it
    does not know yet."""
    from alerting.stream.service import StreamService

    platform = memory_platform()
    environ = {"BROKER_URL": broker.address}
    apply_sources(platform, [{**VALUES, "name": "noted"}], "ada", at(0))
    service = StreamService(platform, environ)
    assert platform.deliveries.progress("noted").read_until is None
    turns(service, lambda: platform.deliveries.progress("noted").read_until)
    publish(broker, ("line-3/oven-7/t", b"7"))
    turns(service, lambda: platform.assets.get("oven-7"))
    service.close()


@pytest.mark.parametrize(
    ("code", "reason"), [(0x87, "Not authorized"), (0, "Granted QoS 0"), (1, None)]
)
def test_a_topic_that_the_broker_does_not_grant_is_a_fault_of_the_source(code, reason):
    from paho.mqtt.packettypes import PacketTypes
    from paho.mqtt.reasoncodes import ReasonCode

    from alerting.adapters.sources.mqtt import refusal

    found = refusal("line-3/+/readings", [ReasonCode(PacketTypes.SUBACK, identifier=code)])
    wanted = (
        f"the broker does not grant topic 'line-3/+/readings' with quality of service 1: {reason}"
    )
    assert found == (None if reason is None else wanted)
