"""Sink of an AMQP 0-9-1 broker: persistent messages to an exchange, each confirmed."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pika
from pika.exceptions import AMQPError, ChannelClosedByBroker, NackError

from alerting.adapters.channels.checked_http import write_json
from alerting.adapters.sinks.receivers import Surroundings
from alerting.adapters.sinks.topics import topic_of
from alerting.adapters.sources.addresses import read_address
from alerting.adapters.sources.amqp import PORTS, connection_parameters, reason_of
from alerting.definitions.sinks.sink import AmqpSink
from alerting.definitions.wording.language import translatable
from alerting.ports import ACCEPTED, Answer, ReceiverAway, SinkMessage

_PRECONDITION_FAILED = 406  # e.g. of a message that is too large
_LONGEST_KEY = 255  # bytes of a routing key


class AmqpReceiver:
    """Port `SinkClient`."""

    gather = timedelta(0)
    repeat_every: timedelta | None = None

    def __init__(self, sink: AmqpSink, surroundings: Surroundings) -> None:
        """Connect. Raises ReceiverAway, also if there is no such exchange."""
        self._sink = sink
        broker = read_address(sink, surroundings.resolve(sink.url), PORTS, has_path=True)
        try:
            self._connection = pika.BlockingConnection(connection_parameters(sink, broker))
            try:
                self._channel = self._open_channel()
                self._channel.exchange_declare(sink.exchange, passive=True)
            except BaseException:
                self.close()
                raise
        except AMQPError as error:
            raise ReceiverAway(
                translatable("the broker refuses: {reason}", reason=reason_of(error))
            ) from error

    def send(self, messages: Sequence[SinkMessage]) -> Iterator[Answer]:
        for one in messages:
            yield self._publish(one)

    def keep_alive(self) -> None:
        try:
            self._connection.process_data_events(0)
        except AMQPError as error:
            raise ReceiverAway(
                translatable("the broker ended the connection: {reason}", reason=reason_of(error))
            ) from error

    def probe(self, message: SinkMessage) -> str:
        answer = self._publish(message)
        if answer != ACCEPTED:
            raise ReceiverAway(answer.reason)
        return (
            f"the broker confirmed a message to {self._sink.exchange} with routing key "
            f"{topic_of(self._sink, message)}"
        )

    def close(self) -> None:
        with suppress(AMQPError):
            self._connection.close()

    def _publish(self, message: SinkMessage) -> Answer:
        topic = topic_of(self._sink, message)
        if len(topic.encode()) > _LONGEST_KEY:
            return Answer("refused", f"its routing key is longer than {_LONGEST_KEY} bytes")
        properties = pika.BasicProperties(
            content_type="application/json",
            delivery_mode=pika.DeliveryMode.Persistent,
            headers={"key": message.key},
        )
        try:
            self._channel.basic_publish(
                self._sink.exchange, topic, write_json(message.content), properties
            )
        except NackError:
            return Answer("failed", "the broker cannot take it now, e.g. because a queue is full")
        except ChannelClosedByBroker as error:
            if error.reply_code != _PRECONDITION_FAILED:
                raise ReceiverAway(
                    translatable("the broker refuses: {reason}", reason=str(error.reply_text))
                ) from error
            self._channel = self._open_channel()
            return Answer("refused", f"the broker refuses: {error.reply_text}")
        except AMQPError as error:
            raise ReceiverAway(
                translatable("the connection is lost: {reason}", reason=reason_of(error))
            ) from error
        return ACCEPTED

    def _open_channel(self) -> Any:
        channel = self._connection.channel()
        channel.confirm_delivery()
        return channel
