"""A persistent subscription at an MQTT 5 broker, acknowledged by hand: quality of service
1."""

import select
import ssl
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from secrets import token_hex
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from alerting.adapters.sources.addresses_and_secrets import CONNECT_S, Encrypted, read_address
from alerting.adapters.sources.brokers import (
    LARGEST_MESSAGE,
    MOST_UNACKNOWLEDGED,
    WAIT_S,
    Losses,
    Received,
    ThreadedStream,
)
from alerting.definitions.faults import UserError, shown
from alerting.definitions.source_fields import MqttSource

_TRIED = 10
_PORTS = {"mqtt": 1883, "mqtts": 8883}
_SESSION_S = 7 * 24 * 3600
_NOT_SENT = 2  # of MQTT 5: retained messages are not sent when a topic is subscribed
_AT_ONCE_BYTES = 1 << 18


def new_client(
    source: Encrypted,
    address: str,
    id: str,
    make: type[mqtt.Client] = mqtt.Client,
    **options: Any,
) -> tuple[mqtt.Client, str, int]:
    """Return a client to connect, and host and port of its broker. Raises UserError for a bad
    address."""
    broker = read_address(source, address, _PORTS)
    client = make(mqtt.CallbackAPIVersion.VERSION2, client_id=id, protocol=mqtt.MQTTv5, **options)
    if broker.user:
        client.username_pw_set(broker.user, broker.password or "")
    if broker.tls is not None:
        client.tls_set_context(broker.tls)
    return client, broker.host, broker.port


def open_stream(
    source: MqttSource, address: str, now: Callable[[], datetime], earlier: Sequence[str] = ()
) -> ThreadedStream:
    """Return the subscription of a source. `earlier`: topics to unsubscribe, which the session may
    still have.

    Raises UserError if the address is not valid.
    """
    read_address(source, address, _PORTS)
    losses = Losses(source.name)
    return ThreadedStream(
        source.name, lambda: MqttClient(source, address, earlier, losses), now, losses
    )


class _Buffered:
    """A buffer around a socket that does not block. paho-mqtt reads a message in four pieces, and
    writes each answer alone.

    The buffer calls the system once for many pieces, because each call lets another thread compute,
    and then waits for that thread.
    """

    def __init__(self, plain: Any) -> None:
        self._socket = plain
        self._in = b""
        self._at = 0
        self._out = bytearray()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)

    def pending(self) -> int:
        """Return the number of buffered bytes, which are read without a call of the system."""
        return len(self._in) - self._at

    def recv(self, size: int) -> bytes:
        if not self.pending():
            self._in = self._socket.recv(_AT_ONCE_BYTES)
            self._at = 0
        piece = self._in[self._at : self._at + size]
        self._at += len(piece)
        return piece

    def send(self, data: bytes) -> int:
        self._out += data
        return len(data)

    def flush(self) -> None:
        """Send what was written. Raises TimeoutError if the broker does not take it."""
        while self._out:
            try:
                del self._out[: self._socket.send(self._out)]
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                if not select.select([], [self._socket], [], CONNECT_S)[1]:
                    raise TimeoutError("the broker takes no data") from None

    def close(self) -> None:
        with suppress(OSError):
            self.flush()
        self._socket.close()


class _BufferedClient(mqtt.Client):  # type: ignore[misc]  # of a library without types here
    buffered: _Buffered

    def _create_socket(self) -> Any:
        self.buffered = _Buffered(super()._create_socket())
        return self.buffered


class MqttClient:
    """Port `BrokerClient`. The broker holds messages of a session for a week, and none of a
    trial."""

    sends_again = True
    """Whether there was a session already, of which messages without an acknowledgement come
    again."""

    def __init__(
        self,
        source: MqttSource,
        address: str,
        earlier: Sequence[str],
        losses: Losses,
        trial_s: float | None = None,
    ) -> None:
        """Connect and subscribe. Raises UserError with what the broker refuses.

        `trial_s`: seconds to wait for copies of messages, in a temporary session; None for the
        session of the source.
        """
        self._losses = losses
        is_trial = trial_s is not None
        self._timeout = trial_s or CONNECT_S
        # of a trial without its prefix: a shared subscription would take messages from the others
        self._topic = source.form.subscription(source.plain_topic if is_trial else source.topic)
        self._received: list[tuple[Received, int]] = []
        self._answers: list[str | None] = []
        self._lost: str | None = None
        id = f"alerting-test-{token_hex(6)}" if is_trial else f"alerting-{source.name}"
        client, host, port = new_client(source, address, id, _BufferedClient, manual_ack=True)
        self._client = client
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_message = self._take
        client.on_subscribe = self._on_subscribe
        client.on_socket_register_write = lambda *_: None  # else each packet is written alone
        client.connect_timeout = self._timeout
        session = Properties(PacketTypes.CONNECT)
        session.SessionExpiryInterval = 0 if is_trial else _SESSION_S
        session.ReceiveMaximum = MOST_UNACKNOWLEDGED
        session.MaximumPacketSize = LARGEST_MESSAGE
        client.connect(host, port, keepalive=30, clean_start=is_trial, properties=session)
        try:
            self._await("the broker has not answered yet")
            if earlier:
                client.unsubscribe(list(earlier))
            # retained messages are not new where rows are stamped when they are received
            retained = _NOT_SENT if source.stamp == "receipt" else 0
            client.subscribe(self._topic, options=SubscribeOptions(1, retainHandling=retained))
            self._await("the broker has not confirmed the topic yet")
        except BaseException:
            self.close()
            raise

    def receive(self, most: int) -> Sequence[Received]:
        """Return messages. The broker limits unacknowledged messages of quality 1; messages of
        other qualities may be dropped."""
        self._work(WAIT_S)
        taken = self._received
        self._received = []
        messages = [received for received, qos in taken if qos or most > 0]
        if len(messages) < len(taken):
            self._losses.add(
                "too many messages wait, and those of quality of service 0 are sent once",
                len(taken) - len(messages),
            )
        return messages

    def acknowledge(self, tokens: Sequence[Any]) -> None:
        for mid in tokens:
            if mid is not None:
                self._client.ack(mid, 1)
        self._write()

    def close(self) -> None:
        """Disconnect; the broker keeps the session and all messages that are not acknowledged."""
        self._client.disconnect()
        self._client.loop_write()

    def _await(self, fault: str) -> None:
        """Wait for the answer to the last request. Raises UserError without a positive answer."""
        until = time.monotonic() + self._timeout
        while not self._answers:
            if time.monotonic() > until:
                raise UserError(fault)
            self._work(WAIT_S)
        if (refusal := self._answers.pop()) is not None:
            raise UserError(refusal)

    def _work(self, wait: float) -> None:
        """Read what has come, after at most `wait` seconds, and answer pings."""
        self._write()
        sock = self._client.buffered
        if self._lost is None and (sock.pending() or select.select([sock], [], [], wait)[0]):
            self._client.loop_read()
            while (
                self._lost is None and sock.pending() and len(self._received) < MOST_UNACKNOWLEDGED
            ):
                self._client.loop_read()
        if self._lost is None:
            self._client.loop_misc()
        if self._lost is not None and not self._received:
            raise UserError(self._lost)
        self._write()

    def _write(self) -> None:
        if self._lost is None:
            self._client.loop_write()
            self._client.buffered.flush()

    def _on_connect(self, _: Any, __: Any, flags: Any, reason: Any, ___: Any) -> None:
        self.sends_again = flags.session_present
        refused = f"the broker refuses: {reason!s}"
        self._answers.append(refused if reason.is_failure else None)

    def _on_subscribe(self, _: Any, __: Any, ___: Any, reasons: Any, ____: Any) -> None:
        self._answers.append(refusal(self._topic, reasons))

    def _on_disconnect(self, _: Any, __: Any, ___: Any, reason: Any, ____: Any) -> None:
        self._lost = f"the connection to the broker is lost: {reason!s}"

    def _take(self, _: Any, __: Any, message: mqtt.MQTTMessage) -> None:
        token = message.mid if message.qos else None
        self._received.append((Received(message.topic, message.payload, token), message.qos))


def refusal(topic: str, reasons: Sequence[Any]) -> str | None:
    """Return the fault of a topic that the broker refuses, or grants only without
    acknowledgement."""
    refused = [str(reason) for reason in reasons if reason.value != 1]
    return (
        (f"the broker does not grant topic {shown(topic)} with quality of service 1: {refused[0]}")
        if refused
        else None
    )


def look(source: MqttSource, address: str, seconds: float) -> tuple[list[Received], list[str]]:
    """Return copies of messages that come within some seconds, by a temporary session."""
    until = time.monotonic() + seconds
    client = MqttClient(source, address, (), Losses(source.name), seconds)
    messages: list[Received] = []
    try:
        while len(messages) < _TRIED and time.monotonic() < until:
            messages += client.receive(_TRIED)
    finally:
        client.close()
    messages = messages[:_TRIED]
    topic = source.form.subscription(source.plain_topic)
    return messages, [f"{len(messages)} messages came on topic {topic} within {seconds:g} s"]
