"""A subscription through a client that blocks: in a thread of its own, and opened again after a while whenever it breaks."""

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from alerting.definitions.faults import UserError, first_line
from alerting.usecases.sources.stream import Message

MOST_UNACKNOWLEDGED = 1000
"""Messages of a source that are here and not acknowledged: the bound of memory, with MOST_BYTES."""
MOST_BYTES = 64 << 20
LARGEST_MESSAGE = 1 << 20
"""Size of the largest message that can be stored (bytes)."""
BATCH = 500
WAIT_S = 0.1
_BEGINNING = 64 << 10
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.5, 30.0
_GOOD_S = 60.0
_CLOSE_S = 10.0
_MILLISECOND = timedelta(milliseconds=1)
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Received:
    """A message as a client got it. `token`: what acknowledges it. `at`: when the broker got it, where the broker says so."""

    topic: str
    payload: bytes
    token: Any
    at: datetime | None = None


class Client(Protocol):
    """A connection to a broker, used by one thread. Any exception means that it is broken, and it is opened again.

    `sends_again`: whether messages of an earlier connection that were not acknowledged come again.
    """

    @property
    def sends_again(self) -> bool: ...

    def receive(self, most: int) -> Sequence[Received]:
        """Return the next messages, at most about `most`, after at most WAIT_S; with 0 only keep the connection alive."""

    def acknowledge(self, tokens: Sequence[Any]) -> None:
        """Tell the broker that messages need not be sent again."""

    def close(self) -> None:
        """Disconnect."""


class _Connection:
    """The messages of one connection that are not acknowledged yet. Those of an earlier one come again, and are dropped."""

    def __init__(self) -> None:
        self.messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self.done: queue.SimpleQueue[tuple[Any, int]] = queue.SimpleQueue()
        self.unacknowledged = 0
        self.bytes = 0
        self._largest = 0

    def take_over(self, earlier: "_Connection") -> None:
        """Take messages that do not come again; there is nothing to acknowledge any more."""
        with suppress(queue.Empty):
            while self.messages.qsize() < MOST_UNACKNOWLEDGED:
                self.messages.put(earlier.messages.get_nowait())

    def add(self, received: Received, now: datetime) -> None:
        payload, size, fault = received.payload, len(received.payload), None
        self._largest = max(self._largest, size)
        if size > LARGEST_MESSAGE:
            payload = payload[:_BEGINNING]
            fault = f"has {size} bytes, more than {LARGEST_MESSAGE}; only its first {_BEGINNING} are kept"
        self.unacknowledged, self.bytes = self.unacknowledged + 1, self.bytes + len(payload)
        token = received.token, len(payload)
        self.messages.put(Message(received.topic, payload, received.at or now, lambda: self.done.put(token), fault))

    def take_done(self, wait: float) -> list[Any]:
        """Return the tokens of messages that are stored. `wait`: seconds to wait for the first of them."""
        tokens: list[Any] = []
        with suppress(queue.Empty):
            while True:
                token, size = self.done.get(timeout=wait) if wait and not tokens else self.done.get_nowait()
                tokens.append(token)
                self.unacknowledged, self.bytes = self.unacknowledged - 1, self.bytes - size
        return tokens

    @property
    def headroom(self) -> int:
        """Return how many messages may come: of the size of the largest so far, of LARGEST_MESSAGE before the first."""
        left = MOST_BYTES - self.bytes
        return max(min(MOST_UNACKNOWLEDGED - self.unacknowledged, max(left // (self._largest or LARGEST_MESSAGE), left > 0)), 0)


class ThreadedStream:
    """Port `MessageStream` over a client that blocks."""

    def __init__(self, name: str, connect: Callable[[], Client], now: Callable[[], datetime]) -> None:
        """Connect in the background. `connect`: returns an open client, or raises anything."""
        self._name, self._connect, self._now = name, connect, now
        self._fault: str | None = "the broker has not answered yet"
        self._connection, self._stamps = _Connection(), _Stamps()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"source {name}", daemon=True)
        self._thread.start()

    def batch(self) -> list[Message]:
        """Return the next messages. Raises UserError while the broker cannot be reached and none is left."""
        found: list[Message] = []
        messages = self._connection.messages
        with suppress(queue.Empty):
            while len(found) < BATCH:
                found.append(messages.get_nowait())
        if not found and self._fault is not None:
            raise UserError(f"source {self._name}: {self._fault}")
        return found

    def close(self) -> None:
        """Acknowledge what is stored, and disconnect; the broker keeps all other messages."""
        self._closed.set()
        self._thread.join(_CLOSE_S)

    def _run(self) -> None:
        wait = _FIRST_WAIT_S
        while not self._closed.is_set():
            began = time.monotonic()
            try:
                self._serve_connection()
            except Exception as error:  # of any client library: the connection is opened again
                wait = _FIRST_WAIT_S if time.monotonic() - began > _GOOD_S else wait
                reason = (
                    str(error) if isinstance(error, UserError) else f"the connection to the broker fails: {first_line(error)}"
                )
                self._fault = reason
                _log.warning("source %s: %s; trying again in %.1f s", self._name, reason, wait)
                self._closed.wait(wait)
                wait = min(2 * wait, _LONGEST_WAIT_S)

    def _serve_connection(self) -> None:
        client = self._connect()
        earlier, connection = self._connection, _Connection()
        if not client.sends_again:
            connection.take_over(earlier)
            if dropped := earlier.messages.qsize():
                _log.warning("source %s: dropped %s messages of earlier connections: too many wait", self._name, dropped)
        self._connection = connection
        self._fault = None
        try:
            while not self._closed.is_set():
                if tokens := connection.take_done(0 if connection.headroom else WAIT_S):
                    client.acknowledge(tokens)
                if found := client.receive(connection.headroom):
                    for received, at in zip(found, self._stamps.of(found, self._now()), strict=True):
                        connection.add(received, at)
            if tokens := connection.take_done(0):
                client.acknowledge(tokens)
        finally:
            with suppress(Exception):
                client.close()


class _Stamps:
    """When messages were received. The clock is asked once for many of them, as it may be in the database.

    Each message is at least a millisecond after the one before of its topic: stamped with it, none replaces another.
    """

    def __init__(self) -> None:
        self._last: dict[str, datetime] = {}

    def of(self, found: Sequence[Received], now: datetime) -> Iterator[datetime]:
        """Yield the stamps of messages that are received at once."""
        self._last = {topic: at for topic, at in self._last.items() if at + _MILLISECOND > now}
        for received in found:
            last = self._last.get(received.topic)
            self._last[received.topic] = now if last is None else last + _MILLISECOND
            yield self._last[received.topic]
