"""Sink of a JetStream of NATS: the server drops messages whose key it has, within its window."""

import asyncio
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any, TypeVar

from nats.errors import Error, MaxPayloadError, NoRespondersError
from nats.js.errors import APIError, NoStreamResponseError, ServiceUnavailableError

from alerting.adapters.channels.checked_http import write_json
from alerting.adapters.sinks.receivers import Surroundings
from alerting.adapters.sinks.topics import topic_of
from alerting.adapters.sources.addresses import CONNECT_S, Address, read_address
from alerting.adapters.sources.nats_jetstream import PORTS, connect_nats
from alerting.definitions.faults import first_line
from alerting.definitions.sinks.sink import NatsSink
from alerting.definitions.wording.language import translatable
from alerting.ports import ACCEPTED, Answer, ReceiverAway, SinkMessage

T = TypeVar("T")


class NatsReceiver:
    """Port `SinkClient`; its event loop runs only while it is called."""

    gather = timedelta(0)
    repeat_every: timedelta | None = None

    def __init__(self, sink: NatsSink, surroundings: Surroundings) -> None:
        """Connect. Raises ReceiverAway if the server does not answer."""
        self._sink = sink
        self._faults: list[str] = []
        self._client: Any = None
        self._loop = asyncio.new_event_loop()
        server = read_address(sink, surroundings.resolve(sink.url), PORTS)
        try:
            self._run(self._open(server))
        except BaseException:
            self.close()
            raise

    def send(self, messages: Sequence[SinkMessage]) -> Iterator[Answer]:
        for one in messages:
            yield self._run(self._publish(one))

    def keep_alive(self) -> None:
        self._run(self._client.flush(CONNECT_S))

    def probe(self, message: SinkMessage) -> str:
        answer = self._run(self._publish(message))
        if answer != ACCEPTED:
            raise ReceiverAway(answer.reason)
        return f"a stream stored a message with the subject {topic_of(self._sink, message)}"

    def close(self) -> None:
        if self._client is not None:
            with suppress(Exception):
                self._loop.run_until_complete(self._client.close())
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            return self._loop.run_until_complete(work)
        except (Error, TimeoutError, OSError) as error:
            reason = self._faults[-1] if self._faults else first_line(error)
            raise ReceiverAway(
                translatable("the server does not answer: {reason}", reason=str(reason))
            ) from error

    async def _open(self, server: Address) -> None:
        self._client = await connect_nats(self._sink, server, self._note)

    async def _publish(self, message: SinkMessage) -> Answer:
        subject = topic_of(self._sink, message)
        headers = {"Nats-Msg-Id": message.key, "Content-Type": "application/json"}
        try:
            await self._client.jetstream(timeout=CONNECT_S).publish(
                subject, write_json(message.content), headers=headers
            )
        except MaxPayloadError as error:
            return Answer("refused", first_line(error))
        except (NoStreamResponseError, NoRespondersError) as error:
            raise ReceiverAway(
                translatable("no stream stores the subject {subject}: make one", subject=subject)
            ) from error
        except ServiceUnavailableError as error:
            raise ReceiverAway(
                translatable("the stream cannot store now: {reason}", reason=first_line(error))
            ) from error
        except APIError as error:
            reason = f"the stream answers: {error.description}"
            return Answer("refused" if error.code == 400 else "failed", reason)
        return ACCEPTED

    async def _note(self, error: Exception) -> None:
        self._faults = [*self._faults[-4:], first_line(error)]
