"""Sink of Kafka: messages by target as key, so that those of one target stay in order. Not tested
at a server."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

from kafka import KafkaProducer
from kafka.errors import InvalidTopicError, KafkaError, MessageSizeTooLargeError

from alerting.adapters.channels.checked_http import write_json
from alerting.adapters.sinks.receivers import Surroundings
from alerting.adapters.sinks.topics import topic_of
from alerting.adapters.sources.addresses import CONNECT_S, read_address
from alerting.adapters.sources.kafka_topics import PORTS, connection_options
from alerting.definitions.faults import first_line
from alerting.definitions.sinks.sink import KafkaSink
from alerting.definitions.wording.language import translatable
from alerting.ports import ACCEPTED, Answer, ReceiverAway, SinkMessage

_REFUSALS = (MessageSizeTooLargeError, InvalidTopicError)


class KafkaReceiver:
    """Port `SinkClient`."""

    gather = timedelta(0)
    repeat_every: timedelta | None = None

    def __init__(
        self, sink: KafkaSink, surroundings: Surroundings, producer: Any | None = None
    ) -> None:
        """Connect. Raises ReceiverAway if no broker answers."""
        self._sink = sink
        server = read_address(sink, surroundings.resolve(sink.url), PORTS)
        try:
            self._producer = producer or KafkaProducer(
                **connection_options(sink, sink.mechanism, server),
                acks="all",
                enable_idempotence=True,
                allow_auto_create_topics=False,
                max_block_ms=CONNECT_S * 1000,
                delivery_timeout_ms=3 * CONNECT_S * 1000,
                request_timeout_ms=2 * CONNECT_S * 1000,
            )
        except KafkaError as error:
            raise ReceiverAway(
                translatable("no broker answers: {reason}", reason=first_line(error))
            ) from error

    def send(self, messages: Sequence[SinkMessage]) -> Iterator[Answer]:
        """Yield an answer for each message. All are on their way before the first answer; after
        one that failed, those that follow are sent once more."""
        sent = [self._send(one) for one in messages]
        self._producer.flush(timeout=4 * CONNECT_S)
        for one in sent:
            yield one if isinstance(one, Answer) else _answer(one)

    def keep_alive(self) -> None:
        """Do nothing: the library keeps its connections."""

    def probe(self, message: SinkMessage) -> str:
        (answer,) = self.send([message])
        if answer != ACCEPTED:
            raise ReceiverAway(answer.reason)
        return f"the topic {topic_of(self._sink, message)} stored a message"

    def close(self) -> None:
        self._producer.close(timeout=1)

    def _send(self, message: SinkMessage) -> Any:
        target = f"{message.definition}|{message.asset}"
        try:
            return self._producer.send(
                topic_of(self._sink, message),
                write_json(message.content),
                key=target.encode(),
                headers=[("key", message.key.encode())],
            )
        except _REFUSALS as error:
            return Answer("refused", first_line(error))
        except KafkaError as error:
            raise ReceiverAway(
                translatable("no broker takes messages: {reason}", reason=first_line(error))
            ) from error


def _answer(future: Any) -> Answer:
    try:
        future.get(timeout=CONNECT_S)
    except _REFUSALS as error:
        return Answer("refused", first_line(error))
    except KafkaError as error:
        raise ReceiverAway(
            translatable("no broker takes messages: {reason}", reason=first_line(error))
        ) from error
    return ACCEPTED
