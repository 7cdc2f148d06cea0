"""The work of `alerting stream`: the subscriptions of all sources that belong to this process, one
turn after another."""

import logging
import os
import socket
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from secrets import token_hex

from pymongo.errors import PyMongoError

from alerting.adapters.mongo.mongo import DatabaseDown, is_outage
from alerting.adapters.platform import Platform
from alerting.adapters.sources import brokers, threaded
from alerting.adapters.sources.secrets import allowed_secrets
from alerting.definitions.faults import UserError
from alerting.definitions.sources.streamed import StreamedSource
from alerting.ports import SourceLoss
from alerting.settings.secrets import read_secret_rules
from alerting.settings.variables import Variables
from alerting.usecases.sources.documents import read_sources, set_state
from alerting.usecases.sources.share import share_of
from alerting.usecases.sources.status import SERVICE
from alerting.usecases.sources.stream import (
    Message,
    MessageStream,
    Stored,
    StreamCount,
    TooManyDead,
    earlier_subscriptions,
    ignore,
    store_messages,
)

READ_AGAIN_S = 5.0
HAND_OVER_S = 2 * READ_AGAIN_S
"""How long a process goes on to read a source that another one takes over, where the server sends a
value once."""
LEAVE_S = READ_AGAIN_S + 1.5
"""The same of a process that ends: until the others have looked which processes work."""
RETRY_S = 5.0
"""Time after which messages are tried again that could not be stored yet."""
PAUSE_S = 1.0
TURN_S = 0.05
"""Least time between the beginnings of two turns, unless more messages wait than fit into a batch.

A batch costs the same six commands of the database for one message as for hundreds.
"""
LONGEST_BEHIND = timedelta(seconds=5)
"""How far evaluation waits for messages that are here and not stored."""
UNDER_WAY = timedelta(milliseconds=50)
"""How old a reading is at most, usually, when it comes: evaluating up to now would make those under
way late."""
_log = logging.getLogger(__name__)


@dataclass
class Subscription:
    """An open source. `waiting`: messages that were received and can be stored later, not before
    `retry_at` (monotonic, s).

    `opened_at`: when this process began to read it. `leave_at`: when it stops, as another process
    reads it (monotonic, s).
    """

    source: StreamedSource
    stream: MessageStream
    opened_at: datetime | None = None
    waiting: list[Message] = field(default_factory=list)
    retry_at: float = 0.0
    leave_at: float | None = None
    losses: list[SourceLoss] = field(default_factory=list)

    def batch(self) -> Sequence[Message]:
        """Return waiting messages when it is time, else the next ones: none while too many wait.
        Raises UserError."""
        if self.waiting and time.monotonic() >= self.retry_at:
            batch = self.waiting[: threaded.BATCH]
            self.waiting = self.waiting[threaded.BATCH :]
            return batch
        return () if len(self.waiting) >= threaded.MOST_UNACKNOWLEDGED else self.stream.batch()

    def postpone(self, messages: Sequence[Message], wait: float) -> None:
        """Keep messages that could not be stored, and try them again after some seconds."""
        if messages and time.monotonic() >= self.retry_at:
            self.retry_at = time.monotonic() + wait
        self.waiting = [*messages, *self.waiting]


class StreamService:
    """The subscriptions of all sources, one turn after another in one thread: a slow database slows
    all of them."""

    def __init__(
        self, opened: Platform, environ: Mapping[str, str], stored: Stored = ignore
    ) -> None:
        """Take the platform; `stored` takes the readings of each batch after they are stored."""
        self._platform = opened
        self._stored = stored
        self._address = allowed_secrets(environ, read_secret_rules(Variables(environ)))
        self._streams: dict[str, Subscription] = {}
        self._faults: dict[str, str] = {}
        self._read_at = -READ_AGAIN_S
        self._process = f"{socket.gethostname()}-{os.getpid()}-{token_hex(4)}"
        self._share: set[str] = set()
        self._has_others = self._is_leaving = False
        self._behind: list[datetime] = []
        self.stored_until: datetime | None = None
        """Instant before which all received messages are stored, at least UNDER_WAY and at most
        LONGEST_BEHIND ago."""

    def turn(self) -> None:
        """Store a batch of each source, and wait until TURN_S are over unless one was full.

        A broker that is away is the fault of its source, and does not stop the others. If the
        database is away, all subscriptions are closed and opened again later: the brokers then send
        again what is not acknowledged. Those of servers that send a value once stay open, and keep
        what comes.
        """
        started = time.monotonic()
        try:
            began = self._platform.clock.now()
            if started - self._read_at >= READ_AGAIN_S and not self._is_leaving:
                self._read_sources(began)
            self._behind.clear()
            for found in list(self._streams.values()):
                self._store(found, began)
            self.stored_until = max(min([began - UNDER_WAY, *self._behind]), began - LONGEST_BEHIND)
            if not self._behind:
                least = TURN_S if self._streams else PAUSE_S
                time.sleep(max(0.0, started + least - time.monotonic()))
        except (PyMongoError, DatabaseDown) as fault:
            _log.warning(
                "the database does not answer; brokers keep their messages: %s", str(fault)[:200]
            )
            self._close_brokers()
            self._read_at = -READ_AGAIN_S
            time.sleep(PAUSE_S)

    def close(self) -> None:
        """Close all subscriptions, and store what the servers do not send again."""
        self._close_brokers()
        for name, found in list(self._streams.items()):
            try:
                self._close(name)
            except Exception as fault:  # the database is away: the next reader notes the gap
                _log.error(
                    "source %s: its last %s values are lost: %s",
                    name,
                    self._drop(found),
                    str(fault)[:200],
                )
        self._streams.clear()

    def leave(self) -> None:
        """Let other processes read the sources of this one, and close all subscriptions.

        A source whose server sends a value once is read until others have had the time to open it.
        """
        with suppress(Exception):  # of a database that is away: the others wait
            self._platform.sources.forget_process(self._process)
        self._close_brokers()
        self._is_leaving = True
        until = time.monotonic() + LEAVE_S
        while self._has_others and self._streams and time.monotonic() < until:
            self.turn()
        self.close()

    def _close_brokers(self) -> None:
        """Close the subscriptions whose brokers send again what is not acknowledged."""
        for name, found in list(self._streams.items()):
            if not found.source.is_sent_once:
                found.stream.close()
                del self._streams[name]

    def _store(self, found: Subscription, now: datetime) -> None:
        """Store a batch of a source. If more may wait, note when the last of the batch came."""
        name = found.source.name
        try:
            batch = found.batch()
        except UserError as fault:
            self._note(name, str(fault))
            return
        if not (batch or found.waiting) and self._faults.pop(name, None) is not None:
            self._platform.sources.set_fault(name, None)
        try:
            count = store_messages(
                self._platform, found.source, batch, now, is_outage, self._stored
            )
        except TooManyDead as fault:
            found.postpone(batch, 0.0)
            self._pause(name, str(fault))
            return
        except Exception:
            found.postpone(batch, 0.0)
            raise
        if found.opened_at is not None and not found.source.is_sent_once:
            self._platform.sources.note_read(
                name, found.opened_at
            )  # with the document as it was then
            found.opened_at = None
        if len(batch) >= threaded.BATCH:
            self._behind.append(batch[-1].received_at)
        if count.messages:
            self._faults.pop(name, None)
        self._keep_postponed(found, count)
        if count.dead:
            _log.warning(
                "source %s: %s of %s messages could not be stored", name, count.dead, count.messages
            )

    def _keep_postponed(self, found: Subscription, count: StreamCount) -> None:
        """Keep messages that can be stored later, without an acknowledgement, and show why."""
        name = found.source.name
        if count.postponed:
            found.postpone(count.postponed, RETRY_S)
        if count.why is not None:
            self._faults.pop(name, None)  # counting the other messages has removed it
            self._note(
                name,
                f"source {name}: messages with readings of archived months wait, not "
                f"acknowledged: {count.why}",
            )

    def _record_losses(self, found: Subscription, now: datetime) -> None:
        found.losses += found.stream.losses()
        while found.losses:
            self._platform.sources.record_loss(found.source.name, found.losses[0], now)
            found.losses.pop(0)

    def _pause(self, name: str, fault: str) -> None:
        _log.warning("paused: %s", fault)
        with suppress(
            UserError
        ):  # its document is gone or faulty by now: no further messages are read either
            set_state(self._platform, name, "paused", SERVICE, self._platform.clock.now())
        self._platform.sources.set_fault(name, fault)
        found = self._streams.pop(name)
        found.stream.close()
        if found.source.is_sent_once and (count := self._drop(found)):
            loss = SourceLoss("the source was paused while they waited", count)
            self._platform.sources.record_loss(name, loss, self._platform.clock.now())

    def _note(self, name: str, fault: str) -> None:
        """Store a fault of a source, once."""
        if self._faults.get(name) != fault:
            self._platform.sources.set_fault(name, fault)
            self._faults[name] = fault

    def _read_sources(self, now: datetime) -> None:
        """Open the subscriptions of new and changed sources, and close those of sources that are no
        longer active.

        A source that cannot be opened does not stop the others. One that another process may still
        read is opened at the next look, when that process has seen this one.
        """
        self._read_at = time.monotonic()
        read = read_sources(self._platform.sources)[0]
        active = {s.name: s for s in read if isinstance(s, StreamedSource) and s.state == "active"}
        noted = self._platform.sources.note_process(self._process)
        processes = [
            process
            for process in noted
            if process == self._process or not _was_killed_here(process)
        ]
        self._has_others = len(processes) > 1
        before = self._share
        self._share = share_of(self._process, processes, active.values())
        sources = {name: active[name] for name in self._share}
        for name, found in list(self._streams.items()):
            if active.get(name) != found.source or self._is_handed_over(found):
                self._close(name)
        for name, source in sources.items():
            if name not in self._streams and (
                source.has_groups or name in before or len(processes) == 1
            ):
                self._open(source, source.kind, now)
        self._note_reading(now)

    def _is_handed_over(self, found: Subscription) -> bool:
        """Return whether another process reads a source: at once, or after HAND_OVER_S if its
        server sends a value once."""
        if found.source.name in self._share:
            found.leave_at = None
            return False
        if found.source.is_sent_once and found.leave_at is None:
            found.leave_at = time.monotonic() + HAND_OVER_S
        return found.leave_at is None or time.monotonic() >= found.leave_at

    def _open(self, source: StreamedSource, kind: str, now: datetime) -> None:
        name = source.name
        self._faults.setdefault(name, "")
        try:
            address = self._address(source.url)
            earlier = earlier_subscriptions(self._platform.sources, source)
            stream = brokers.open_stream(kind, source, address, self._platform.clock.now, earlier)
            self._streams[name] = Subscription(source, stream, now)
        except UserError as fault:
            self._note(name, str(fault))
        except (
            Exception
        ) as fault:  # of a client library; its text can hold the address, with a password
            if is_outage(fault):
                raise
            self._note(name, f"source {name}: cannot be opened: {type(fault).__name__}")

    def _close(self, name: str) -> None:
        """Close a subscription, after the values that its server does not send again are stored.

        Raises what is an outage of the database: then it stays, and is closed at the next look.
        """
        found = self._streams[name]
        now = self._platform.clock.now()
        found.stream.close()
        while found.source.is_sent_once and (batch := self._rest(found)):
            try:
                count = store_messages(
                    self._platform, found.source, batch, now, is_outage, self._stored
                )
            except TooManyDead:
                found.losses.append(
                    SourceLoss("too many messages of the source could not be stored", len(batch))
                )
                continue
            except Exception:
                found.postpone(batch, 0.0)
                raise
            if count.postponed:
                found.losses.append(
                    SourceLoss(
                        f"they came before the source was closed: {count.why}", len(count.postponed)
                    )
                )
        if found.source.is_sent_once:
            self._note_read(found, now)
        self._record_losses(found, now)
        del self._streams[name]

    def _rest(self, found: Subscription) -> list[Message]:
        """Return the next messages of a closed subscription, none after the last."""
        found.retry_at = 0.0
        with suppress(UserError):  # its connection was broken, and none is left
            return list(found.batch())
        return []

    def _drop(self, found: Subscription) -> int:
        """Return how many messages a closed subscription had, which are gone."""
        return sum(map(len, iter(lambda: self._rest(found), [])))

    def _note_reading(self, now: datetime) -> None:
        """Note which sources are read with the documents of now, and what any source has lost.

        Where a server sends a value once, the first time only after HAND_OVER_S: by then the
        process that read it before has noted for the last time. Brokers are noted once they have
        answered: `alerting source apply` waits for that.
        """
        for name, found in self._streams.items():
            is_new = found.opened_at is not None and now - found.opened_at < timedelta(
                seconds=HAND_OVER_S
            )
            if found.source.is_sent_once and not is_new:
                self._note_read(found, now)
            elif (
                not found.source.is_sent_once
                and found.opened_at is None
                and name not in self._faults
            ):
                self._platform.sources.note_read(name, now)
            self._record_losses(found, now)

    def _note_read(self, found: Subscription, now: datetime) -> None:
        """Note that a source was read, and once what was missed before this process read it, unless
        history fills it."""
        name = found.source.name
        opened = found.opened_at
        found.opened_at = None
        before = self._platform.sources.progress(name).read_until if opened else None
        if before is not None and opened is not None:
            revised = max(
                (revision.at for revision in self._platform.sources.revisions(name)), default=before
            )
            start = max(before, revised)
            history = getattr(found.source, "history", timedelta(0))
            if opened - start > history:
                found.losses.append(
                    SourceLoss(threaded.gap("no process read the source", start, opened))
                )
        self._platform.sources.note_read(name, now)


def _was_killed_here(process: str) -> bool:
    """Return whether another process ran on this machine, or in this container, and has ended: no
    need to wait for it."""
    host, pid, _ = process.rsplit("-", 2)
    if host != socket.gethostname():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return int(pid) == os.getpid()
