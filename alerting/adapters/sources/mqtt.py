"""A persistent subscription at an MQTT 5 broker: quality of service 1, acknowledged by hand."""

import logging
import queue
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from alerting.adapters.sources.addresses import read_address
from alerting.adapters.sources.threaded import BATCH, LARGEST_MESSAGE, MOST_UNACKNOWLEDGED
from alerting.definitions.faults import UserError
from alerting.definitions.sources.streamed import MqttSource, StreamedSource
from alerting.usecases.sources.stream import Message, subscription

_SESSION_S = 7 * 24 * 3600
_NOT_SENT = 2  # of MQTT 5: retained messages are not sent when a topic is subscribed
_log = logging.getLogger(__name__)
_PORTS = {"mqtt": 1883, "mqtts": 8883}


def new_client(source: StreamedSource, address: str, id: str, *, manual_ack: bool = False) -> tuple[mqtt.Client, str, int]:
    """Return a client that is not connected yet, with host and port of its broker. Raises UserError if the address is none."""
    broker = read_address(source, address, _PORTS)
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=id, protocol=mqtt.MQTTv5, manual_ack=manual_ack)
    if broker.user:
        client.username_pw_set(broker.user, broker.password or "")
    if broker.tls is not None:
        client.tls_set_context(broker.tls)
    return client, broker.host, broker.port


class MqttStream:
    """Port `MessageStream`. The broker holds messages for a week while no client is connected under the id of the source."""

    def __init__(self, source: MqttSource, address: str, now: Callable[[], datetime], earlier: Sequence[str] = ()) -> None:
        """Connect in the background, and again whenever the connection is lost. Raises UserError if the address is none.

        `earlier`: topics that the session may still have, to be given back.
        """
        self._name, self._now, self._topic = source.name, now, subscription(source)
        self._earlier, self._is_stamped = list(earlier), source.stamp == "receipt"
        self._messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._fault: str | None = "the broker has not answered yet"
        self._client, host, port = new_client(source, address, f"alerting-{source.name}", manual_ack=True)
        self._client.on_connect, self._client.on_disconnect = self._connected, self._disconnected
        self._client.on_message, self._client.on_subscribe = self._received, self._subscribed
        session = Properties(PacketTypes.CONNECT)
        session.SessionExpiryInterval, session.ReceiveMaximum = _SESSION_S, MOST_UNACKNOWLEDGED
        session.MaximumPacketSize = LARGEST_MESSAGE
        self._client.connect_async(host, port, keepalive=30, clean_start=False, properties=session)
        self._client.loop_start()

    def batch(self) -> list[Message]:
        """Return the next messages. Raises UserError while the broker cannot be reached and none is left."""
        found: list[Message] = []
        with suppress(queue.Empty):
            while len(found) < BATCH:
                found.append(self._messages.get_nowait())
        if not found and self._fault is not None:
            raise UserError(f"source {self._name}: {self._fault}")
        return found

    def close(self) -> None:
        """Disconnect; the broker keeps the session and all messages that are not acknowledged."""
        self._client.disconnect()
        self._client.loop_stop()

    def _connected(self, client: mqtt.Client, _: Any, __: Any, reason: Any, ___: Any) -> None:
        self._fault = f"the broker refuses: {reason}" if reason.is_failure else "the broker has not confirmed the topic yet"
        if not reason.is_failure:
            if self._earlier:
                client.unsubscribe(self._earlier)
            client.subscribe(self._topic, options=SubscribeOptions(qos=1, retainHandling=_NOT_SENT if self._is_stamped else 0))

    def _subscribed(self, _: mqtt.Client, __: Any, ___: Any, reasons: Any, ____: Any) -> None:
        """Note a topic that the broker refuses, or grants without acknowledgement only."""
        refused = [str(reason) for reason in reasons if reason.value != 1]
        self._fault = (
            f"the broker does not grant topic {self._topic!r} with quality of service 1: {refused[0]}" if refused else None
        )

    def _disconnected(self, _: Any, __: Any, ___: Any, reason: Any, ____: Any) -> None:
        self._fault = f"the connection to the broker is lost: {reason}"

    def _received(self, client: mqtt.Client, _: Any, message: mqtt.MQTTMessage) -> None:
        mid, qos = message.mid, message.qos
        if qos == 0 and self._messages.qsize() >= MOST_UNACKNOWLEDGED:
            _log.warning("source %s: dropped a message of quality of service 0: too many wait", self._name)
            return
        self._messages.put(Message(message.topic, message.payload, self._now(), lambda: client.ack(mid, qos) and None))
