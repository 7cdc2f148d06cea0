"""A connection to an MQTT broker, by which recorded readings are sent to a source."""

import os
from collections.abc import Sequence
from threading import Event
from typing import Any

import paho.mqtt.client as mqtt

from alerting.adapters.sources.mqtt import new_client
from alerting.definitions.faults import UserError
from alerting.definitions.sources.streamed import MqttSource
from alerting.demo.replay.messages import Outgoing

_SENT_S = 30.0


class MqttSender:
    """Port `Sender`. It connects again, and sends again what was not acknowledged."""

    def __init__(self, source: MqttSource, address: str) -> None:
        """Connect. Raises UserError for a wrong address, or a broker that does not answer."""
        self._name = source.name
        self._answered = Event()
        self._fault = "it does not answer"
        self._client, host, port = new_client(source, address, f"alerting-replay-{os.getpid()}")
        self._client.on_connect = self._connected
        self._client.connect_async(host, port, keepalive=30)
        self._client.loop_start()
        if not self._answered.wait(_SENT_S) or self._fault:
            self.close()
            raise UserError(f"source {source.name}: the broker cannot be reached: {self._fault}")

    def send(self, messages: Sequence[Outgoing]) -> None:
        """Publish. Raises UserError if not all are acknowledged within half a minute."""
        for one in [
            self._client.publish(message.topic, message.payload, qos=1) for message in messages
        ]:
            try:
                one.wait_for_publish(_SENT_S)
            except (RuntimeError, ValueError) as fault:
                raise UserError(f"source {self._name}: a message was not sent: {fault}") from fault
            if not one.is_published():
                raise UserError(
                    f"source {self._name}: the broker did not acknowledge a message within "
                    f"{_SENT_S:g} s"
                )

    def close(self) -> None:
        """Disconnect."""
        self._client.disconnect()
        self._client.loop_stop()

    def _connected(self, _: mqtt.Client, __: Any, ___: Any, reason: Any, ____: Any) -> None:
        self._fault = f"it refuses: {reason}" if reason.is_failure else ""
        self._answered.set()
