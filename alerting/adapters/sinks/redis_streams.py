"""Sink of a Redis server: entries of streams, of a bounded length."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import redis

from alerting.adapters.channels.checked_http import write_json
from alerting.adapters.sinks.receivers import Surroundings
from alerting.adapters.sinks.topics import topic_of
from alerting.adapters.sources.redis_streams import connect_redis, redis_server
from alerting.definitions.faults import first_line
from alerting.definitions.sinks.sink import RedisSink
from alerting.definitions.wording.language import translatable
from alerting.ports import ACCEPTED, Answer, ReceiverAway, SinkMessage

_AT_ONCE = 100
_OF_THIS = ("WRONGTYPE", "ERR ")
"""Beginnings of answers that concern one key; others concern the server, such as OOM, READONLY,
NOPERM."""


class RedisReceiver:
    """Port `SinkClient`."""

    gather = timedelta(0)
    repeat_every: timedelta | None = None

    def __init__(self, sink: RedisSink, surroundings: Surroundings) -> None:
        """Connect. Raises ReceiverAway if the server does not answer."""
        self._sink = sink
        self._redis = connect_redis(sink, redis_server(sink, surroundings.resolve(sink.url)))
        self.keep_alive()

    def send(self, messages: Sequence[SinkMessage]) -> Iterator[Answer]:
        for start in range(0, len(messages), _AT_ONCE):
            yield from self._add(messages[start : start + _AT_ONCE])

    def keep_alive(self) -> None:
        try:
            self._redis.ping()
        except redis.RedisError as error:
            raise ReceiverAway(
                translatable("the server does not answer: {reason}", reason=first_line(error))
            ) from error

    def probe(self, message: SinkMessage) -> str:
        (answer,) = self._add([message])
        if answer != ACCEPTED:
            raise ReceiverAway(answer.reason)
        return f"the server stored an entry in the stream {topic_of(self._sink, message)}"

    def close(self) -> None:
        self._redis.close()

    def _add(self, messages: Sequence[SinkMessage]) -> Iterator[Answer]:
        pipeline = self._redis.pipeline(transaction=False)
        for one in messages:
            entry: Any = {"key": one.key, "message": write_json(one.content)}
            pipeline.xadd(
                topic_of(self._sink, one), entry, maxlen=self._sink.length, approximate=True
            )
        try:
            answers = pipeline.execute(raise_on_error=False)
        except redis.RedisError as error:
            raise ReceiverAway(
                translatable("the connection is lost: {reason}", reason=first_line(error))
            ) from error
        for answer in answers:
            yield _read(answer)


def _read(answer: Any) -> Answer:
    if not isinstance(answer, Exception):
        return ACCEPTED
    text = first_line(answer)
    if not isinstance(answer, redis.ResponseError) or not text.startswith(_OF_THIS):
        raise ReceiverAway(translatable("the server answers: {reason}", reason=str(text)))
    return Answer("refused", f"the server answers: {text}")
