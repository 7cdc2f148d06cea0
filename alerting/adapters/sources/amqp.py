"""A durable queue at an AMQP 0-9-1 broker, acknowledged by hand."""

import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import pika
from pika.exceptions import AMQPError

from alerting.adapters.sources.addresses_and_secrets import (
    CONNECT_S,
    Address,
    Encrypted,
    read_address,
)
from alerting.adapters.sources.brokers import MOST_UNACKNOWLEDGED, WAIT_S, Received, ThreadedStream
from alerting.definitions.faults import UserError, first_line
from alerting.definitions.source_fields import AmqpSource
from alerting.usecases.sources.stream import subscription

_AT_ONCE = 1 << 20
"""Bytes of messages that are received together at most, besides 100 KiB; then their size counts in
how many more may come."""
PORTS = {"amqp": 5672, "amqps": 5671}
_UNUSED = timedelta(days=7)
"""Time without a reader after which the broker deletes the queue of a source."""
_TRIED = 10  # messages shown in a trial
_SHORT_WAIT_S = 0.01


def open_stream(
    source: AmqpSource, address: str, now: Callable[[], datetime], earlier: Sequence[str] = ()
) -> ThreadedStream:
    """Return the subscription of a source. `earlier`: keys to unbind.

    Raises UserError if the address is not valid.
    """
    broker = read_address(source, address, PORTS, has_path=True)
    return ThreadedStream(source.name, lambda: AmqpClient(source, broker, earlier), now)


class AmqpClient:
    """Port `BrokerClient`: the broker sends at most MOST_UNACKNOWLEDGED messages ahead."""

    sends_again = True

    def __init__(self, source: AmqpSource, broker: Address, earlier: Sequence[str]) -> None:
        """Connect, declare and bind the queue, begin to read. Raises UserError if refused."""
        self._received: list[Received] = []
        self._bytes = 0  # of these messages
        self._unacknowledged: dict[int, None] = {}  # delivery tags, in their order
        self._cancelled = False
        try:
            self._connection = pika.BlockingConnection(connection_parameters(source, broker))
            try:
                self._channel = self._connection.channel()
                self._consume(source, earlier)
            except BaseException:
                self._connection.close()
                raise
        except AMQPError as error:
            raise UserError(f"the broker refuses: {reason_of(error)}") from error

    def _consume(self, source: AmqpSource, earlier: Sequence[str]) -> None:
        channel = self._channel
        queue = source.queue
        channel.basic_qos(prefetch_count=MOST_UNACKNOWLEDGED)
        if queue is not None:
            channel.queue_declare(queue, passive=True)
        else:
            queue = f"alerting.{source.name}.{source.exchange}"
            channel.queue_declare(
                queue, durable=True, arguments={"x-expires": int(_UNUSED.total_seconds() * 1000)}
            )
            channel.queue_bind(queue, source.exchange, subscription(source))
            for topic in earlier:
                channel.queue_unbind(queue, source.exchange, topic)
        channel.add_on_cancel_callback(self._cancel)
        channel.basic_consume(queue, self._receive, consumer_tag=f"alerting-{source.name}")

    def receive(self, most: int) -> Sequence[Received]:
        """Return the messages that have come, up to about `most` or _AT_ONCE. The broker itself
        limits the messages that are not acknowledged.

        While messages are being stored the wait is short, so that they are acknowledged soon: the
        broker may be waiting for that. Raises UserError if the broker has ended the subscription.
        """
        self._connection.process_data_events(_SHORT_WAIT_S if self._unacknowledged else WAIT_S)
        before = 0
        while before < len(self._received) < most and self._bytes < _AT_ONCE:
            before = len(self._received)
            self._connection.process_data_events(0)
        if self._cancelled:
            raise UserError("the broker has deleted the queue, or given it to another reader")
        received = self._received
        self._received = []
        self._bytes = 0
        return received

    def acknowledge(self, tokens: Sequence[Any]) -> None:
        """Acknowledge at once all messages before the first one that is not stored, and each later
        stored message by itself."""
        done = set(tokens)
        last = 0
        for tag in self._unacknowledged:
            if tag not in done:
                break
            last = tag
        if last:
            self._channel.basic_ack(last, multiple=True)
        for tag in tokens:
            if tag > last:
                self._channel.basic_ack(tag)
            self._unacknowledged.pop(tag, None)

    def close(self) -> None:
        self._connection.close()

    def _receive(self, _: Any, method: Any, __: Any, body: bytes) -> None:
        self._unacknowledged[method.delivery_tag] = None
        self._bytes += len(body)
        self._received.append(Received(method.routing_key, body, method.delivery_tag))

    def _cancel(self, _: Any) -> None:
        self._cancelled = True


def look(source: AmqpSource, address: str, seconds: float) -> tuple[list[Received], list[str]]:
    """Return copies of messages that come within some seconds, by a temporary queue of this
    connection.

    A queue that exists already is not read, because its messages would be taken from the stream
    service. Raises UserError if the broker refuses.
    """
    received: list[Received] = []
    try:
        with pika.BlockingConnection(
            connection_parameters(source, read_address(source, address, PORTS, has_path=True))
        ) as connection:
            channel = connection.channel()
            if source.queue is not None:
                waiting = channel.queue_declare(source.queue, passive=True).method.message_count
                return [], [
                    f"queue {source.queue}: {waiting} messages wait; none is shown, as that would "
                    "take it from its reader"
                ]
            queue = channel.queue_declare("", exclusive=True).method.queue
            channel.queue_bind(queue, source.exchange, subscription(source))
            channel.basic_consume(
                queue,
                lambda _, method, __, body: received.append(
                    Received(method.routing_key, body, None)
                ),
                auto_ack=True,
            )
            until = time.monotonic() + seconds
            while len(received) < _TRIED and (seconds_left := until - time.monotonic()) > 0:
                connection.process_data_events(seconds_left)
    except AMQPError as error:
        raise UserError(f"the broker refuses: {reason_of(error)}") from error
    return received, [
        f"{len(received)} messages came with routing key {subscription(source)} within {seconds:g} "
        "s"
    ]


def connection_parameters(source: Encrypted, broker: Address) -> pika.ConnectionParameters:
    """Return how to connect a source or a sink."""
    return pika.ConnectionParameters(
        host=broker.host,
        port=broker.port,
        virtual_host=broker.path or "/",
        credentials=pika.PlainCredentials(broker.user or "guest", broker.password or "guest"),
        ssl_options=pika.SSLOptions(broker.tls, broker.host) if broker.tls else None,
        heartbeat=30,
        socket_timeout=CONNECT_S,
        stack_timeout=CONNECT_S,
        blocked_connection_timeout=CONNECT_S,
        client_properties={"connection_name": f"alerting {source.word} {source.name}"},
    )


def reason_of(error: Exception) -> str:
    """Return the reason that the broker gives for a fault; for a failed connection, the reason of
    the last attempt."""
    cause = error.args[0] if error.args and isinstance(error.args[0], Exception) else error
    return first_line(getattr(cause, "exception", None) or cause)
