"""Sink of an MQTT 5 broker: quality of service 1, the state of each alarm retained."""

import time
from collections.abc import Iterator, Sequence
from queue import Empty, SimpleQueue
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from alerting.adapters.receivers.http_channels import write_json
from alerting.adapters.receivers.sinks import Surroundings
from alerting.adapters.sources.addresses_and_secrets import CONNECT_S
from alerting.adapters.sources.mqtt import new_client
from alerting.definitions.routes_and_sinks import MqttSink, fill_pattern
from alerting.ports import ACCEPTED, Answer, ReceiverAway, SinkMessage

_AT_ONCE = 100
_IN_THE_WAY = frozenset({0x80, 0x83, 0x97})
# unspecified error, implementation specific error, quota exceeded: another attempt may succeed
_REFUSED = 0x80


class MqttReceiver:
    """Port `SinkClient`. A broken connection is not opened again: the sink opens a new one."""

    def __init__(self, sink: MqttSink, surroundings: Surroundings) -> None:
        """Connect. Raises ReceiverAway if the broker does not answer or refuses."""
        self._sink = sink
        self._events: SimpleQueue[tuple[int | None, Any]] = SimpleQueue()
        self._answers: dict[int, Any] = {}
        address = surroundings.resolve(sink.url)
        client_id = f"alerting-sink-{sink.name}"
        self._client, host, port = new_client(sink, address, client_id, reconnect_on_failure=False)
        self._largest: int | None = None
        self._client.connect_timeout = CONNECT_S
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_publish = self._on_publish
        self._client.max_inflight_messages_set(_AT_ONCE)
        try:
            self._client.connect(host, port, keepalive=15, clean_start=True)
        except OSError as fault:
            raise ReceiverAway(f"the broker cannot be reached: {fault!s}") from fault
        self._client.loop_start()
        try:
            self._wait_for(0, "sign-in")
        except ReceiverAway:
            self.close()
            raise

    def send(self, messages: Sequence[SinkMessage]) -> Iterator[Answer]:
        for start in range(0, len(messages), _AT_ONCE):
            sent = [self._publish(message) for message in messages[start : start + _AT_ONCE]]
            for answer_or_id in sent:
                yield (
                    answer_or_id if isinstance(answer_or_id, Answer) else self._answer(answer_or_id)
                )

    def keep_alive(self) -> None:
        if not self._client.is_connected():
            raise ReceiverAway("the broker ended the connection")

    def probe(self, message: SinkMessage) -> str:
        (result,) = self.send([message])
        if result != ACCEPTED:
            raise ReceiverAway(result.reason)
        return f"the broker accepted a message under {topic_of(self._sink, message)}"

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _publish(self, message: SinkMessage) -> int | Answer:
        """Return the number of a message that was sent, or the reason why it cannot be sent."""
        payload = write_json(message.content)
        if self._largest is not None and len(payload) + 1000 > self._largest:
            return Answer("refused", f"has {len(payload)} bytes, more than the broker takes")
        properties = Properties(PacketTypes.PUBLISH)
        properties.ContentType = "application/json"
        properties.UserProperty = [("key", message.key)]
        is_state = message.sends == "alarms" and "test" not in message.content
        try:
            done = self._client.publish(
                topic_of(self._sink, message),
                payload,
                qos=1,
                retain=self._sink.retain and is_state,
                properties=properties,
            )
        except ValueError as fault:  # a topic or payload that MQTT cannot carry
            return Answer("refused", str(fault))
        if done.rc != mqtt.MQTT_ERR_SUCCESS:
            raise ReceiverAway(f"the connection to the broker is lost: {done.rc.name!s}")
        return int(done.mid)

    def _answer(self, mid: int) -> Answer:
        code = self._wait_for(mid, "acknowledgement")
        if code.value < _REFUSED:
            return ACCEPTED
        reason = f"the broker answers: {code}"
        return Answer("failed" if code.value in _IN_THE_WAY else "refused", reason)

    def _wait_for(self, mid: int, packet: str) -> Any:
        """Return the reason code for the message of this number; 0 stands for the connection."""
        until = time.monotonic() + CONNECT_S
        while mid not in self._answers:
            try:
                number, code = self._events.get(timeout=max(until - time.monotonic(), 0.001))
            except Empty:
                raise ReceiverAway(f"no {packet} of the broker within {CONNECT_S} s") from None
            if number is None:
                raise ReceiverAway(f"the broker ended the connection: {code!s}")
            self._answers[number] = code
        return self._answers.pop(mid)

    def _on_connect(self, _: Any, __: Any, ___: Any, code: Any, properties: Any) -> None:
        self._largest = getattr(properties, "MaximumPacketSize", None)
        self._events.put((None if code.is_failure else 0, code))

    def _on_disconnect(self, _: Any, __: Any, ___: Any, code: Any, ____: Any) -> None:
        self._events.put((None, code))

    def _on_publish(self, _: Any, __: Any, mid: int, code: Any, ___: Any) -> None:
        self._events.put((mid, code))


def topic_of(sink: MqttSink, message: SinkMessage) -> str:
    """Return the topic of a message. A value has no severity: its level is `none`."""
    values = {
        "asset": message.asset,
        "definition": message.definition,
        "severity": message.severity or "none",
        "sends": message.sends,
    }
    return fill_pattern(sink.topic, values)
