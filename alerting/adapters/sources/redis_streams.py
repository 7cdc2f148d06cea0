"""Streams of a Redis server, read as one consumer of a group and acknowledged by hand."""

import json
import re
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from alerting.adapters.sources.addresses import CONNECT_S, Address, Encrypted, read_address
from alerting.adapters.sources.threaded import WAIT_S, Received, ThreadedStream
from alerting.definitions.faults import UserError, shown
from alerting.definitions.sources.streamed import RedisSource
from alerting.definitions.wording.language import translatable
from alerting.usecases.sources.stream import subscription

IDLE_MS = 60_000
"""Time after which entries that another consumer of the group did not acknowledge are taken over
(ms)."""
CLAIM_S = 20.0
LOOK_S = 10.0
MOST_STREAMS = 1000
_NEW = ">"


def open_redis(
    source: RedisSource, address: str, now: Callable[[], datetime], earlier: Sequence[str] = ()
) -> ThreadedStream:
    """Return the subscription of a source. `earlier`: keys no longer read.

    Raises UserError if the address is none.
    """
    server = redis_server(source, address)
    return ThreadedStream(source.name, lambda: RedisClient(source, server, earlier), now)


def redis_server(source: Encrypted, address: str) -> Address:
    """Return the parts of the address of a server. Raises UserError if it is none."""
    server = read_address(source, address, {"redis": 6379, "rediss": 6379}, has_path=True)
    if server.path and not server.path.isdecimal():
        raise UserError(
            translatable(
                "{word} {name}: the path of its url is the number of a database: redis://server/0",
                word=translatable(source.word),
                name=source.name,
            )
        )
    return server


def look(source: RedisSource, address: str, _: float) -> tuple[list[Received], list[str]]:
    """Return the newest entries."""
    client = RedisClient(source, redis_server(source, address), ())
    try:
        found = list(client.newest_entries(10))
    finally:
        client.close()
    return found, [] if found else [f"no stream {subscription(source)} has an entry"]


class RedisClient:
    """Port `BrokerClient`: a consumer named as this machine, first of its unacknowledged rest."""

    sends_again = True

    def __init__(self, source: RedisSource, server: Address, earlier: Sequence[str]) -> None:
        """Connect, and make missing groups, which begin with all that the stream holds."""
        self._source = source
        self._group = f"alerting-{source.name}"
        self._name = socket.gethostname()
        self._topic = subscription(source)
        self._matches = source.form.pattern(source.topic).fullmatch
        self._redis = connect_redis(source, server)
        self._ids: dict[bytes, str] = {}
        self._claims: dict[bytes, Any] = {}
        self._looked_at = self._claimed_at = -LOOK_S
        for topic in earlier:
            for key in self._keys(topic):
                if not self._matches(key.decode("utf-8", "replace")):
                    self._redis.xgroup_destroy(key, self._group)

    def receive(self, most: int) -> Sequence[Received]:
        now = time.monotonic()
        if now - self._looked_at >= LOOK_S:
            self._look()
            self._looked_at = now
        if not most or not self._ids:
            time.sleep(WAIT_S)
            return []
        each = max(1, most // len(self._ids))
        found = []
        if now - self._claimed_at >= CLAIM_S:
            found += list(self._take_over(each))
            self._claimed_at = now
        block = None if found else int(WAIT_S * 1000)
        for key, entries in (
            self._redis.xreadgroup(self._group, self._name, {**self._ids}, count=each, block=block)
            or ()
        ):
            if self._ids[key] != _NEW:
                self._ids[key] = entries[-1][0].decode() if entries else _NEW
            found += [self._received(key, *entry) for entry in entries]
        return found

    def acknowledge(self, tokens: Sequence[Any]) -> None:
        by_key: dict[bytes, list[bytes]] = {}
        for key, id in tokens:
            by_key.setdefault(key, []).append(id)
        for key, ids in by_key.items():
            self._redis.xack(key, self._group, *ids)

    def close(self) -> None:
        self._redis.close()

    def newest_entries(self, most: int) -> Iterator[Received]:
        """Yield the newest entries of the streams of the topic, without a group."""
        left = most
        for key in self._keys(self._topic):
            if left and self._matches(key.decode("utf-8", "replace")):
                entries = self._redis.xrevrange(key, count=left)
                left -= len(entries)
                yield from (self._received(key, *entry) for entry in entries)

    def _look(self) -> None:
        """Find the streams of the topic; one that is new is read from its beginning."""
        for key in self._keys(self._topic):
            if key not in self._ids and self._matches(key.decode("utf-8", "replace")):
                if len(self._ids) == MOST_STREAMS:
                    raise UserError(
                        translatable(
                            "more than {most} streams have the topic {topic}: make it narrower",
                            most=MOST_STREAMS,
                            topic=shown(self._topic),
                        )
                    )
                with suppress(
                    redis.ResponseError
                ):  # the group exists; any other fault comes back when it is read
                    self._redis.xgroup_create(key, self._group, "0", mkstream=True)
                self._ids[key] = "0"

    def _keys(self, topic: str) -> Iterator[bytes]:
        one = self._source.form.one
        separator = self._source.form.separator
        if one not in topic.split(separator):
            yield topic.encode()
            return
        levels = [
            level if level == one else re.sub(r"([\[\]?*\\])", r"\\\1", level)
            for level in topic.split(separator)
        ]
        yield from self._redis.scan_iter(match=separator.join(levels), count=1000, _type="stream")

    def _take_over(self, most: int) -> Iterator[Received]:
        """Yield entries long unacknowledged by a consumer: one that died, or this one."""
        for key in self._ids:
            start = self._claims.get(key, b"0-0")
            self._claims[key], entries, *_ = self._redis.xautoclaim(
                key, self._group, self._name, IDLE_MS, start, count=most
            )
            for entry in entries:
                yield self._received(key, *entry)

    def _received(self, key: bytes, id: bytes, fields: Mapping[bytes, bytes] | None) -> Received:
        at = datetime.fromtimestamp(int(id.split(b"-")[0]) / 1000, UTC)
        return Received(key.decode("utf-8", "replace"), self._payload(fields), (key, id), at)

    def _payload(self, fields: Mapping[bytes, bytes] | None) -> bytes:
        if fields is None:
            return b"the entry was deleted from the stream before it was stored"
        if self._source.field is not None:
            return fields.get(self._source.field.encode(), b"")
        try:
            return json.dumps(
                {name.decode(): _value(value) for name, value in fields.items()}
            ).encode()
        except UnicodeDecodeError:
            return b"\xff" + b" ".join([*fields, *fields.values()])


def _value(text: bytes) -> Any:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    return found if isinstance(found, int | float | bool) else text.decode()


def connect_redis(source: Encrypted, server: Address) -> "redis.Redis":
    """Return a connection of a source or a sink, which is opened at its first use."""
    tls = source.tls
    files = (
        {
            "ssl_ca_certs": tls.ca,
            "ssl_certfile": tls.certificate,
            "ssl_keyfile": tls.key or tls.certificate,
        }
        if tls
        else {}
    )
    return redis.Redis(
        host=server.host,
        port=server.port,
        db=int(server.path or 0),
        username=server.user,
        password=server.password,
        protocol=2,
        socket_timeout=CONNECT_S,
        socket_connect_timeout=CONNECT_S,
        client_name=f"alerting-{source.word}-{source.name}",
        # a broken connection is said at once, and opened again by the stream
        retry=Retry(NoBackoff(), 0),
        ssl=server.tls is not None,
        **files,
    )
