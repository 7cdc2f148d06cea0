"""A durable pull consumer of a JetStream of NATS, acknowledged message by message."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import nats
from nats.errors import Error, NoServersError
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError

from alerting.adapters.sources.addresses import CONNECT_S, Address, Encrypted, read_address
from alerting.adapters.sources.threaded import (
    BATCH,
    MOST_UNACKNOWLEDGED,
    WAIT_S,
    Received,
    ThreadedStream,
)
from alerting.definitions.faults import UserError, first_line
from alerting.definitions.sources.streamed import NatsSource
from alerting.definitions.wording.language import translatable
from alerting.usecases.sources.stream import subscription

_NEWEST = 100
PORTS = {"nats": 4222, "tls": 4222}
_AGAIN_S = 30.0  # after which a message without an acknowledgement comes again
_UNUSED = timedelta(days=7)  # after which the server forgets a subscription


def open_nats(
    source: NatsSource, address: str, now: Callable[[], datetime], _: Sequence[str] = ()
) -> ThreadedStream:
    """Return the subscription of a source. Raises UserError for no address."""
    server = read_address(source, address, PORTS)
    return ThreadedStream(source.name, lambda: NatsClient(source, server), now)


def look(source: NatsSource, address: str, _: float) -> tuple[list[Received], list[str]]:
    """Return messages that the stream stores, the newest of many; without a consumer."""
    client = NatsClient(source, read_address(source, address, PORTS), is_reader=False)
    try:
        found = client.stored(10)
    finally:
        client.close()
    return found, [] if found else [
        f"the stream holds no message with subject {subscription(source)}"
    ]


async def connect_nats(
    source: Encrypted, server: Address, note: Callable[[Exception], Awaitable[None]]
) -> Any:
    """Return an open connection of a source or a sink, which is not opened again if it breaks."""
    has_password = server.password is not None
    return await nats.connect(
        f"{'tls' if server.tls else 'nats'}://{server.host}:{server.port}",
        user=server.user if has_password else None,
        password=server.password,
        token=None if has_password else server.user,
        tls=server.tls,
        name=f"alerting-{source.name}",
        allow_reconnect=False,
        connect_timeout=CONNECT_S,
        max_reconnect_attempts=1,
        error_cb=note,
    )


class NatsClient:
    """Port `BrokerClient`; its event loop runs only while it is called."""

    sends_again = True

    def __init__(self, source: NatsSource, server: Address, is_reader: bool = True) -> None:
        """Connect, and make the consumer where it is missing: it begins with all that the stream
        holds.

        Without `is_reader` there is no consumer, and only `stored` can be called.
        """
        self._source = source
        self._topic = subscription(source)
        self._faults: list[str] = []
        self._unacknowledged: dict[int, Any] = {}
        self._client: Any = None
        self._pulled: Any = None
        self._loop = asyncio.new_event_loop()
        try:
            self._loop.run_until_complete(self._open(server))
            if is_reader:
                self._loop.run_until_complete(self._bind())
        except BaseException as error:
            self.close()
            if isinstance(error, NoServersError):
                raise UserError(
                    translatable(
                        "the broker does not answer: {reason}",
                        reason=self._faults[0] if self._faults else str(error),
                    )
                ) from error
            if isinstance(error, Error):
                raise UserError(
                    translatable("the broker refuses: {reason}", reason=first_line(error))
                ) from error
            raise

    async def _open(self, server: Address) -> None:
        self._client = await connect_nats(self._source, server, self._note)

    async def _stream(self) -> Any:
        jetstream = self._client.jetstream(timeout=CONNECT_S)
        try:
            return await jetstream.stream_info(
                self._source.stream or await jetstream.find_stream_name_by_subject(self._topic)
            )
        except NotFoundError:
            what = self._source.stream or translatable(
                "with the subject {topic}", topic=self._topic
            )
            raise UserError(
                translatable(
                    "the server has no stream {what}: make it, or name another one in `stream`",
                    what=what,
                )
            ) from None

    async def _bind(self) -> None:
        jetstream = self._client.jetstream(timeout=CONNECT_S)
        stream = (await self._stream()).config.name
        durable = _durable(self._source.name)
        try:
            found = await jetstream.consumer_info(stream, durable)
            is_same = found.config.filter_subject == self._topic
            if not is_same:
                await jetstream.delete_consumer(stream, durable)
        except NotFoundError:
            is_same = False
        if not is_same:
            await jetstream.add_consumer(
                stream,
                ConsumerConfig(
                    durable_name=durable,
                    filter_subject=self._topic,
                    ack_policy=AckPolicy.EXPLICIT,
                    deliver_policy=DeliverPolicy.ALL,
                    ack_wait=_AGAIN_S,
                    max_ack_pending=MOST_UNACKNOWLEDGED,
                    # without a reader, the server then forgets how far it was read
                    inactive_threshold=_UNUSED.total_seconds(),
                ),
            )
        self._pulled = await jetstream.pull_subscribe_bind(durable=durable, stream=stream)

    def stored(self, most: int) -> list[Received]:
        """Return messages that the stream holds, from _NEWEST before its end on, or all."""
        return self._loop.run_until_complete(self._stored(most))

    async def _stored(self, most: int) -> list[Received]:
        jetstream = self._client.jetstream(timeout=CONNECT_S)
        stream = await self._stream()
        found = list[Received]()
        for start in (stream.state.last_seq - _NEWEST, stream.state.first_seq):
            at = max(start, stream.state.first_seq, 1)
            with suppress(NotFoundError):
                while len(found) < most:
                    one = await jetstream.get_msg(
                        stream.config.name, seq=at, subject=self._topic, next=True
                    )
                    found.append(Received(one.subject, one.data or b"", None, one.time))
                    at = one.seq + 1
            if found:
                break
        return found

    def receive(self, most: int) -> Sequence[Received]:
        return self._loop.run_until_complete(self._receive(most))

    async def _receive(self, most: int) -> list[Received]:
        if self._client.is_closed or not self._client.is_connected:
            raise UserError(
                translatable(
                    "the connection to the broker is lost: {reason}",
                    reason=self._faults[-1] if self._faults else translatable("it was closed"),
                )
            )
        if not most:
            await asyncio.sleep(WAIT_S)
            return []
        try:
            found = await self._pulled.fetch(min(most, BATCH), timeout=WAIT_S)
        except TimeoutError:
            return []
        self._unacknowledged |= {id(one): one for one in found}
        return [Received(one.subject, one.data, one, one.metadata.timestamp) for one in found]

    def acknowledge(self, tokens: Sequence[Any]) -> None:
        async def acknowledge() -> None:
            for message in tokens:
                await message.ack()
                self._unacknowledged.pop(id(message), None)
            await self._client.flush(CONNECT_S)

        self._loop.run_until_complete(acknowledge())

    def close(self) -> None:
        """Disconnect, and give back what is not stored: the server sends it again at once."""
        try:
            if self._client is not None:
                self._loop.run_until_complete(self._give_back(self._client))
        finally:
            self._loop.close()

    async def _give_back(self, client: Any) -> None:
        try:
            if self._pulled is not None and client.is_connected:
                await self._receive(BATCH)  # what has come and was not asked for yet
                # else they would be sent to the last request of this connection
                await self._pulled.unsubscribe()
                await client.flush(CONNECT_S)
                for message in self._unacknowledged.values():
                    await message.nak()
                await client.flush(CONNECT_S)
        finally:
            await client.close()

    async def _note(self, error: Exception) -> None:
        self._faults = [*self._faults[-4:], first_line(error)]


def _durable(name: str) -> str:
    """Return the name of the consumer of a source, which may hold no dot."""
    plain = name.replace(".", "_")
    return (
        f"alerting-{plain}"
        if plain == name
        else f"alerting-{plain}-{sha256(name.encode()).hexdigest()[:8]}"
    )
