"""A persistent subscription at an MQTT 5 broker: quality of service 1, acknowledged by hand."""

import logging
import queue
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from alerting.definitions.faults import UserError
from alerting.definitions.sources.streamed import MqttSource
from alerting.usecases.sources.stream import Message, subscription

MOST_UNACKNOWLEDGED = 1000
"""Messages that the broker sends before the first of them is acknowledged: the bound of memory."""
LARGEST_MESSAGE = 1 << 20
"""Size of the largest message (bytes); the broker does not send larger ones."""
BATCH = 500
_SESSION_S = 7 * 24 * 3600
_NOT_SENT = 2  # of MQTT 5: retained messages are not sent when a topic is subscribed
_log = logging.getLogger(__name__)
_PORTS = {"mqtt": 1883, "mqtts": 8883}


def _address(name: str, address: str) -> tuple[SplitResult, int]:
    """Return the parts of an address and its port. Raises UserError, without any part of the address, if it is none."""
    try:
        url = urlsplit(address)
        if url.scheme in _PORTS and url.hostname and not (url.path.strip("/") or url.query or url.fragment):
            return url, url.port or _PORTS[url.scheme]
    except ValueError:  # its text can hold a part of the password
        pass
    hint = "write for example mqtts://user@broker, in a password %2F for /, %23 for # and %3F for ?"
    raise UserError(f"source {name}: its url is not the address of a broker; {hint}") from None


class MqttStream:
    """Port `MessageStream`. The broker holds messages for a week while no client is connected under the id of the source."""

    def __init__(self, source: MqttSource, address: str, now: Callable[[], datetime], earlier: Sequence[str] = ()) -> None:
        """Connect in the background, and again whenever the connection is lost. Raises UserError if the address is none.

        `earlier`: topics that the session may still have, to be given back.
        """
        url, port = _address(source.name, address)
        self._name, self._now, self._topic = source.name, now, subscription(source)
        self._earlier, self._is_stamped = list(earlier), source.stamp == "receipt"
        self._messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._fault: str | None = "the broker has not answered yet"
        self._client = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2, client_id=f"alerting-{source.name}", protocol=mqtt.MQTTv5, manual_ack=True
        )
        if url.username:
            self._client.username_pw_set(unquote(url.username), unquote(url.password or ""))
        if url.scheme == "mqtts":
            self._client.tls_set()
        self._client.on_connect, self._client.on_disconnect = self._connected, self._disconnected
        self._client.on_message, self._client.on_subscribe = self._received, self._subscribed
        session = Properties(PacketTypes.CONNECT)
        session.SessionExpiryInterval, session.ReceiveMaximum = _SESSION_S, MOST_UNACKNOWLEDGED
        session.MaximumPacketSize = LARGEST_MESSAGE
        self._client.connect_async(url.hostname or "", port, keepalive=30, clean_start=False, properties=session)
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
