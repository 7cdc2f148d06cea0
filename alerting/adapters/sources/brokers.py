"""The client of each kind of source of the stream service, imported when a source uses it; and a
subscription that runs a blocking client in its own thread, and connects again if the connection
breaks."""

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pkgutil import resolve_name
from queue import Empty, SimpleQueue
from typing import Any, Protocol

from alerting.adapters.sources.addresses_and_secrets import Unusable
from alerting.definitions.faults import UserError, first_line
from alerting.definitions.routes_and_sinks import SinkFields
from alerting.definitions.source_fields import StreamedSource
from alerting.definitions.wording.language import ENGLISH
from alerting.ports import SourceLoss
from alerting.usecases.sources.stream import BrokerMessage, Look, MessageStream, gap

_HERE = "alerting.adapters.sources"
STREAMS: Mapping[str, str] = {kind: f"{_HERE}.{kind}" for kind in ("mqtt", "amqp", "opcua")}
"""Module by kind, with the functions `open_stream`, the maker of the port `MessageStream`, and
`look`; the extra of the package with its client has the name of the kind.

`look` copies some messages for a trial: it takes source, address and seconds, and returns what it
received, with notes. A kind which a package adds has both in its `client`: the class is the port
`BrokerClient`, and `look` a function of it.
"""


def open_stream(
    kind: str,
    source: StreamedSource,
    address: str,
    now: Callable[[], datetime],
    earlier: Sequence[str],
) -> MessageStream:
    """Return the subscription of a source, which connects in the background.

    `earlier`: topics to unsubscribe, which the broker may still keep for the source. Raises
    UserError if the address is not valid, or if the client of the broker is not installed.
    """
    if kind in STREAMS:
        made: MessageStream = load_client(source, f"{STREAMS[kind]}:open_stream")(
            source, address, now, earlier
        )
        return made
    client = load_client(source, source.client)
    return ThreadedStream(
        source.name,
        lambda: client(source, address, earlier),
        now,
        is_sent_once=source.is_sent_once,
        history=getattr(source, "history", timedelta(0)),
    )


def look_at(kind: str, source: StreamedSource, address: str, seconds: float) -> Look:
    """Return copies of some messages of a source: the messages that its broker stores, else those
    that come within some seconds.

    No message is acknowledged or taken from the stream service. Raises UserError if the broker
    cannot be reached or refuses.
    """
    where = f"{STREAMS[kind]}:look" if kind in STREAMS else f"{source.client}.look"
    look = load_client(source, where)
    try:
        received: Sequence[Received]
        received, notes = look(source, address, seconds)
    except Unusable:
        raise
    except UserError as fault:
        raise UserError(f"source {source.name}: {fault.message}") from fault
    except Exception as error:  # of any client library
        raise UserError(
            f"source {source.name}: the connection to the broker fails: {first_line(error)}"
        ) from error
    now = datetime.now(UTC)
    return Look(
        [BrokerMessage(r.topic, r.payload, r.at or now, lambda: None) for r in received],
        notes,
    )


def load_client(document: StreamedSource | SinkFields, where: str) -> Any:
    """Return the class or function at `module:name`. Raises UserError if it is not installed."""
    try:
        return resolve_name(where)
    except (ImportError, AttributeError, ValueError) as error:
        kind = getattr(document, "kind", "")
        remedy = f"pip install 'alerting[{kind}]'"
        if document.client:
            remedy = "correct the package that adds this kind"
        raise Unusable(
            f"{ENGLISH.say(document.word)} {document.name}",
            f"the client of {kind} cannot be loaded ({first_line(error)}): {remedy}",
        ) from error


MOST_UNACKNOWLEDGED = 1000
"""Messages of a source that are here and not acknowledged: the bound of memory, with MOST_BYTES."""
MOST_WAITING = 50_000
"""The same of a source whose server sends a value once: about 40 MB, or 17 minutes of 50 values a
second."""
MOST_BYTES = 64 << 20
LARGEST_MESSAGE = 1 << 20
"""Size of the largest message that can be stored (bytes)."""
BATCH = 500
WAIT_S = 0.1
_BEGINNING = 64 << 10
_FIRST_WAIT_S = 0.5
_MOST_REASONS = 100
_TOO_MANY = f"more than {MOST_WAITING} values waited to be stored"
_MILLISECOND = timedelta(milliseconds=1)
_LONGEST_WAIT_S = 30.0
_GOOD_S = 60.0  # after which a connection was a good one
_CLOSE_S = 10.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Received:
    """A message as a client got it. `token`: acknowledges the message. `at`: when the broker got
    it."""

    topic: str
    payload: bytes
    token: Any
    at: datetime | None = None


class BrokerClient(Protocol):
    """A connection to a broker, used by one thread. Any exception means that the connection is
    broken; a new one is opened then.

    `sends_again`: whether the broker sends messages again that were not acknowledged in an earlier
    connection.
    """

    @property
    def sends_again(self) -> bool: ...

    def receive(self, most: int) -> Sequence[Received]:
        """Return about `most` next messages, after at most WAIT_S. With `most` 0 only keep the
        connection alive."""

    def acknowledge(self, tokens: Sequence[Any]) -> None:
        """Tell the broker that messages need not be sent again."""

    def close(self) -> None:
        """Disconnect."""


class Losses:
    """Counts of values that a subscription lost, by reason, until they are taken. For several
    threads."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._counts = Counter[str]()
        self._logged = set[str]()

    def add(self, reason: str, count: int = 0) -> None:
        """Note lost values; `count` is 0 where they cannot be counted."""
        with self._lock:
            if reason in self._counts or len(self._counts) < _MOST_REASONS:
                self._counts[reason] += count
            is_new = reason not in self._logged
            self._logged = (self._logged if len(self._logged) < _MOST_REASONS else set()) | {reason}
        if is_new:
            _log.warning("source %s: values are lost: %s", self._name, reason)

    def take(self) -> list[SourceLoss]:
        """Return the losses since the last call."""
        with self._lock:
            taken = self._counts
            self._counts = Counter()
        return [SourceLoss(reason, count) for reason, count in taken.items()]


class _Connection:
    """The messages of one connection that are not acknowledged yet. The broker sends the messages
    of an earlier connection again, so these are dropped.

    `most`: the greatest number of these messages. Only the thread of the client adds messages and
    counts them.
    """

    def __init__(self, most: int = MOST_UNACKNOWLEDGED) -> None:
        self.messages: deque[BrokerMessage] = deque()
        self.done: SimpleQueue[tuple[Any, int]] = SimpleQueue()
        self.unacknowledged = 0
        self.bytes = 0
        self._most = most
        self._largest = 0

    def take_over(self, earlier: "_Connection") -> int:
        """Take messages that the broker never sends again. Return how many do not fit."""
        with suppress(IndexError):
            while self.headroom:
                message = earlier.messages.popleft()
                self._queue_message(
                    message.topic, message.payload, message.received_at, None, message.fault
                )
        return len(earlier.messages)

    def add(self, received: Received, now: datetime) -> None:
        payload = received.payload
        size = len(received.payload)
        fault = None
        self._largest = max(self._largest, size)
        if size > LARGEST_MESSAGE:
            payload = payload[:_BEGINNING]
            fault = (
                f"has {size} bytes, more than {LARGEST_MESSAGE}; only its first {_BEGINNING} are "
                "kept"
            )
        self._queue_message(received.topic, payload, received.at or now, received.token, fault)

    def _queue_message(
        self, topic: str, payload: bytes, at: datetime, token: Any, fault: str | None
    ) -> None:
        self.unacknowledged += 1
        self.bytes += len(payload)
        unsettled = [(token, len(payload))]

        def acknowledge() -> None:  # one that is stored again after an outage is acknowledged once
            if unsettled:
                self.done.put(unsettled.pop())

        self.messages.append(BrokerMessage(topic, payload, at, acknowledge, fault))

    def drop_oldest(self) -> int:
        """Drop the oldest messages beyond the bounds; return their number."""
        dropped = 0
        with suppress(IndexError):  # all others are being stored
            while self.unacknowledged > self._most or self.bytes > MOST_BYTES:
                self._forget(len(self.messages.popleft().payload))
                dropped += 1
        return dropped

    def take_done(self, wait: float) -> list[Any]:
        """Return the tokens of stored messages. `wait`: seconds to wait for the first stored
        message."""
        tokens: list[Any] = []
        with suppress(Empty):
            while True:
                token, size = (
                    self.done.get(timeout=wait) if wait and not tokens else self.done.get_nowait()
                )
                self._forget(size)
                tokens.append(token)
        return [token for token in tokens if token is not None]

    def _forget(self, size: int) -> None:
        self.unacknowledged -= 1
        self.bytes -= size

    @property
    def headroom(self) -> int:
        """Return how many more messages may come, if each is as large as the largest so far
        (LARGEST_MESSAGE at first)."""
        room = MOST_BYTES - self.bytes
        return max(
            min(
                self._most - self.unacknowledged,
                max(room // (self._largest or LARGEST_MESSAGE), room > 0),
            ),
            0,
        )


class ThreadedStream:
    """Port `MessageStream` over a client that blocks."""

    def __init__(
        self,
        name: str,
        connect: Callable[[], BrokerClient],
        now: Callable[[], datetime],
        losses: Losses | None = None,
        is_sent_once: bool = False,
        history: timedelta = timedelta(0),
    ) -> None:
        """Connect in the background. `connect`: returns an open client, or raises any exception.
        `losses`: the losses that the client notes.

        `is_sent_once`: the server sends a value once. Then the stream keeps up to MOST_WAITING
        values, also while they cannot be stored, and drops the oldest beyond that. `history`: the
        time before a new connection that it reads again; the stream connects again after dropping
        values.
        """
        self._name = name
        self._connect = connect
        self._now = now
        self._is_sent_once = is_sent_once
        self._history = history
        self._losses = losses or Losses(name)
        self._fault: str | None = "the broker has not answered yet"
        self._connection = _Connection()
        self._stamps = _Stamps()
        self._broken_at: datetime | None = None
        self._dropped: list[tuple[datetime, int]] = []
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"source {name}", daemon=True)
        self._thread.start()

    def batch(self) -> list[BrokerMessage]:
        """Return the next messages. Raises UserError when no message waits and the broker does not
        answer."""
        taken: list[BrokerMessage] = []
        messages = self._connection.messages
        with suppress(IndexError):
            while len(taken) < BATCH:
                taken.append(messages.popleft())
        if not taken and self._fault is not None:
            raise UserError(f"source {self._name}: {self._fault}")
        return taken

    def losses(self) -> list[SourceLoss]:
        """Return the values that were lost for ever since the last call."""
        return self._losses.take()

    def close(self) -> None:
        """Acknowledge stored messages, and disconnect; the broker keeps the other messages."""
        self._closed.set()
        self._thread.join(_CLOSE_S)

    def _run(self) -> None:
        wait = _FIRST_WAIT_S
        while not self._closed.is_set():
            began = time.monotonic()
            try:
                self._serve_connection()
            except Exception as error:
                # of any client library, or of the platform: the connection is opened again
                wait = _FIRST_WAIT_S if time.monotonic() - began > _GOOD_S else wait
                ours = (
                    "the stream service itself fails, not the broker: "
                    f"{type(error).__name__}: {first_line(error)}"
                )
                reason = error.message if isinstance(error, UserError) else ours
                self._fault = reason
                _log.warning("source %s: %s; trying again in %.1f s", self._name, reason, wait)
                self._closed.wait(wait)
                wait = min(2 * wait, _LONGEST_WAIT_S)

    def _serve_connection(self) -> None:
        with _faults_of_the_broker():
            client = self._connect()
        connection = _Connection(MOST_WAITING if self._is_sent_once else MOST_UNACKNOWLEDGED)
        if not client.sends_again and (dropped := connection.take_over(self._connection)):
            self._losses.add("too many messages of earlier connections waited", dropped)
        self._connection = connection
        self._fault = None
        self._note_gap()
        waiting: list[Received] = []
        try:
            while not (
                self._closed.is_set() or (self._dropped and connection.unacknowledged < BATCH)
            ):
                tokens = connection.take_done(0 if connection.headroom else WAIT_S)
                with _faults_of_the_broker():
                    if tokens:
                        client.acknowledge(tokens)
                    waiting += client.receive(max(connection.headroom - len(waiting), 0))
                waiting = self._add(connection, waiting)
                self._drop_oldest(connection)
            if tokens := connection.take_done(0):
                with _faults_of_the_broker():
                    client.acknowledge(tokens)
        finally:
            if self._is_sent_once:
                self._add_last(client, connection, waiting)
            with suppress(Exception):
                client.close()

    def _add(self, connection: _Connection, messages: list[Received]) -> list[Received]:
        """Add messages stamped now. Return the messages that wait because the clock fails."""
        if not messages:
            return messages
        try:
            now = self._now()
        except Exception as error:
            fault = f"the clock of the platform cannot be read: {first_line(error)}"
            if self._fault != fault:
                _log.warning("source %s: %s", self._name, fault)
            self._fault = fault
            if self._is_sent_once and len(messages) > MOST_WAITING:
                self._losses.add(
                    "the clock of the platform could not be read", len(messages) - MOST_WAITING
                )
                return messages[-MOST_WAITING:]
            return messages
        self._fault = None
        for received, at in zip(messages, self._stamps.stamp_messages(messages, now), strict=True):
            connection.add(received, at)
        return []

    def _add_last(
        self, client: BrokerClient, connection: _Connection, waiting: list[Received]
    ) -> None:
        with suppress(Exception):
            waiting = [*waiting, *client.receive(0)]
        if lost := self._add(connection, waiting):
            self._losses.add(
                "the clock of the platform could not be read when the connection ended", len(lost)
            )
        self._drop_oldest(connection)
        with suppress(Exception):
            self._broken_at = self._broken_at or self._now()

    def _drop_oldest(self, connection: _Connection) -> None:
        """Drop the oldest values beyond the bounds. They are lost, unless the server's history has
        them."""
        first = next(iter(connection.messages), None)
        dropped = connection.drop_oldest() if self._is_sent_once else 0
        if not dropped or first is None:
            return
        if self._history:
            since = self._dropped[0][0] if self._dropped else first.received_at
            self._dropped = [(since, dropped + sum(count for _, count in self._dropped))]
        else:
            self._losses.add(_TOO_MANY, dropped)

    def _note_gap(self) -> None:
        """Note the gap before a connection to a server that sends a value once, as far as its
        history does not reach."""
        if self._broken_at is None and not self._dropped:
            return
        try:
            now = self._now()
        except Exception:  # the database of the clock is away: noted at the next connection
            return
        if self._broken_at is not None and now - self._broken_at > self._history:
            self._losses.add(gap("there was no connection", self._broken_at, now))
        for since, count in self._dropped:
            if now - since > self._history:
                self._losses.add(_TOO_MANY, count)
        self._broken_at = None
        self._dropped = []


@contextmanager
def _faults_of_the_broker() -> Iterator[None]:
    """Raise UserError that names the connection for the exceptions of a client's library."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"the connection to the broker fails: {first_line(error)}") from error


class _Stamps:
    """Instants at which messages were received. One look at the clock, which may be in the
    database, serves for many messages.

    Each message is stamped at least a millisecond after the message before it of its topic, so that
    no row replaces another.
    """

    def __init__(self) -> None:
        self._last: dict[str, datetime] = {}

    def stamp_messages(self, messages: Sequence[Received], now: datetime) -> Iterator[datetime]:
        """Yield the stamps of messages that are received together."""
        self._last = {topic: at for topic, at in self._last.items() if at + _MILLISECOND > now}
        for received in messages:
            last = self._last.get(received.topic)
            self._last[received.topic] = now if last is None else last + _MILLISECOND
            yield self._last[received.topic]
