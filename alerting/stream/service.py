"""The subscriptions of `alerting stream`, one turn after another.

There are three kinds of threads: this thread reads the documents and stores messages; each source
has a thread that keeps its connection (`adapters/sources/brokers.py`); the evaluator has its own.
"""

import gc
import logging
import os
import socket
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import token_hex
from threading import Event

from pymongo.errors import PyMongoError

from alerting.adapters.mongo.mongo import DatabaseDown, is_outage
from alerting.adapters.sources import brokers
from alerting.adapters.sources.addresses_and_secrets import allowed_secrets
from alerting.definitions.faults import UserError
from alerting.definitions.source_fields import StreamedSource
from alerting.definitions.sources import Streamed
from alerting.ports import Platform, SourceLoss
from alerting.settings.environment import Settings, read_settings
from alerting.settings.environment_variables import Variables, read_secret_rules
from alerting.stores.database.transactions_and_leases import STREAM, Leases
from alerting.stream.threads import Evaluator, PollService, SinkService
from alerting.usecases.sources.status import SERVICE, SOURCES
from alerting.usecases.sources.stream import (
    BrokerMessage,
    MessageStream,
    Stored,
    StreamCount,
    TooManyDead,
    earlier_subscriptions,
    gap,
    ignore,
    store_messages,
)
from alerting.wiring import sink_surroundings, source_readers

READ_AGAIN_S = 5.0


def new_process() -> str:
    """Return a new name of this process: host, process id, and a random part."""
    return f"{socket.gethostname()}-{os.getpid()}-{token_hex(4)}"


def await_lease(leases: Leases, process: str, alive: Path | None, stopped: Event) -> bool:
    """Wait for the lease of the service, and return whether this process got it; False if it is
    stopped before. One of several processes has the lease; when it stops, one of the waiting
    processes goes on."""
    while not stopped.is_set():
        with suppress(PyMongoError, DatabaseDown):  # asked again once the database answers
            if claim_stream(leases, process):
                return True
        if alive is not None:
            alive.touch()
        stopped.wait(READ_AGAIN_S)
    return False


def claim_stream(leases: Leases, process: str) -> bool:
    """Claim the lease of the service. If its holder ran on this machine and has ended, take it at
    once."""
    lease = leases.find(STREAM)
    if lease is not None and _was_killed_here(lease.holder, process):
        leases.release(STREAM, lease.holder)
    return leases.claim(STREAM, process)


def _was_killed_here(holder: str, process: str) -> bool:
    """Return whether the holder of the lease ran on this machine and has ended, so that no wait is
    needed."""
    if holder == process:
        return False
    host, pid, _ = holder.rsplit("-", 2)
    if host != socket.gethostname():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return int(pid) == os.getpid()


LOOK_S = 5.0
"""Time between two looks at the documents, each with a renewal of the lease; what waits is tried
again."""
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
class Connection:
    """An open source. `opened_at`: when this process opened it, until that is noted. `is_ending`:
    the connection is closed, and some values that the server does not send again are not stored
    yet. `waiting`: messages that can be stored later. `losses`: losses to record."""

    source: StreamedSource
    stream: MessageStream
    opened_at: datetime | None
    is_ending: bool = False
    waiting: list[BrokerMessage] = field(default_factory=list)
    losses: list[SourceLoss] = field(default_factory=list)

    def batch(self) -> Sequence[BrokerMessage]:
        """Return waiting messages, else the next ones. Raises UserError if none is left and the
        broker does not answer."""
        if self.waiting:
            batch = self.waiting[: brokers.BATCH]
            self.waiting = self.waiting[brokers.BATCH :]
            return batch
        return self.stream.batch()

    def rest(self) -> Sequence[BrokerMessage]:
        """Return the next messages of a closed connection, none after the last."""
        with suppress(UserError):  # it was broken, and none is left
            return self.batch()
        return ()

    def drop_rest(self) -> int:
        """Drop the remaining messages of a closed connection; return their number."""
        count = 0
        while batch := self.rest():
            count += len(batch)
        return count


class LeaseLost(UserError):
    """Error: this process did not renew the lease of the service in time, for example after a pause
    of its machine, and another process works now."""


class StreamService:
    """The subscriptions of all sources. One thread serves them in turns, so a slow database slows
    all."""

    def __init__(
        self,
        opened: Platform,
        environ: Mapping[str, str],
        on_stored: Stored = ignore,
        process: str | None = None,
        update_others: Callable[[], Collection[str]] = tuple,
    ) -> None:
        """Take the platform. `on_stored`: is called with the readings of each batch after they are
        stored.

        `process`: the name by which this process has the lease of the service. `update_others`:
        updates polled sources and sinks, and returns the polled sources that this process reads;
        their names are stored with the lease, beside the open sources.
        """
        self._platform = opened
        self._on_stored = on_stored
        self._address = allowed_secrets(environ, read_secret_rules(Variables(environ)))
        self._process = process or new_process()
        self._update_others = update_others
        self._updated_at = -LOOK_S
        self._now = datetime.min.replace(tzinfo=UTC)
        self._connections: dict[str, Connection] = {}
        self._faults: dict[str, str | None] = {}
        self._waiting_since: list[datetime] = []
        self.stored_until: datetime | None = None
        """Instant before which all received messages are stored, at least UNDER_WAY and at most
        LONGEST_BEHIND ago. None while no source is read."""

    def turn(self) -> None:
        """Store a batch of each source, and wait until TURN_S are over unless one batch was full.

        If a broker does not answer, its source gets the fault, and the others go on. If the
        database does not answer, all subscriptions are closed and opened again later: the brokers
        then send again what is not acknowledged. Subscriptions of servers that send a value once
        stay open, and keep the values that come. Raises LeaseLost.
        """
        started = time.monotonic()
        try:
            now = self._now = self._platform.clock.now()
            if started - self._updated_at >= LOOK_S:
                self._updated_at = started
                self._update_sources()
            self._waiting_since.clear()
            for connection in list(self._connections.values()):
                self._store(connection)
            until = max(min([now - UNDER_WAY, *self._waiting_since]), now - LONGEST_BEHIND)
            self.stored_until = until if self._connections else None
            if not self._waiting_since:
                least = TURN_S if self._connections else PAUSE_S
                time.sleep(max(0.0, started + least - time.monotonic()))
        except (PyMongoError, DatabaseDown) as fault:
            _log.warning(
                "the database does not answer; brokers keep their messages: %s", str(fault)[:200]
            )
            for name, connection in list(self._connections.items()):
                if not connection.source.is_sent_once:
                    connection.stream.close()
                    del self._connections[name]
            self._updated_at = -LOOK_S
            time.sleep(PAUSE_S)

    def close(self) -> None:
        """Close all subscriptions, store the values that are not sent again, and end the lease."""
        for name, connection in list(self._connections.items()):
            try:
                self._now = self._platform.clock.now()
                self._leave(connection)
            except Exception as fault:  # the database is away: the next reader notes the gap
                connection.stream.close()
                if connection.source.is_sent_once:
                    lost = connection.drop_rest()
                    _log.error(
                        "source %s: its last %s values are lost: %s", name, lost, str(fault)[:200]
                    )
        self._connections.clear()
        with suppress(Exception):  # of a database that is away: the lease ends by itself
            self._platform.leases.release(STREAM, self._process)

    def _update_sources(self) -> None:
        """Renew the lease, close sources that are no longer read, open new sources, and note the
        progress of the others."""
        reads = [*self._connections, *self._update_others()]
        if not self._platform.leases.claim(STREAM, self._process, reads):
            raise LeaseLost("another process of the stream service has taken over: this one waits")
        sources = {
            source.name: source
            for source in SOURCES.read(self._platform)[0]
            if isinstance(source, StreamedSource) and source.state == "active"
        }
        self._faults = {name: fault for name, fault in self._faults.items() if name in sources}
        for name, connection in list(self._connections.items()):
            if connection.is_ending or sources.get(name) != connection.source:
                self._leave(connection)
        for name, source in sources.items():
            if name in self._connections:
                self._note_read(self._connections[name])
            else:
                self._open(source)

    def _store(self, connection: Connection) -> None:
        """Store a batch of an open source. If the batch is full, note when its last message came,
        because more may wait."""
        name = connection.source.name
        if connection.is_ending:
            self._leave(connection)
            return
        try:
            batch = connection.batch()
        except UserError as fault:
            self._show(name, fault.message)
            return
        try:
            count = self._store_batch(connection, batch)
        except TooManyDead as fault:
            self._give_up(connection, fault)
            return
        if len(batch) >= brokers.BATCH:
            self._waiting_since.append(batch[-1].received_at)
        if count.messages:
            self._faults[name] = None  # what is stored has ended a fault
        self._show(name, None)
        if connection.opened_at is not None and not connection.source.is_sent_once:
            # the broker has answered: it keeps messages since the opening
            self._platform.deliveries.note_read(name, connection.opened_at)
            connection.opened_at = None
        if count.dead:
            _log.warning(
                "source %s: %s of %s messages could not be stored", name, count.dead, count.messages
            )

    def _store_batch(self, connection: Connection, batch: Sequence[BrokerMessage]) -> StreamCount:
        """Store messages. If they cannot be stored now, they wait, and the error is raised."""
        try:
            return store_messages(
                self._platform, connection.source, batch, self._now, is_outage, self._on_stored
            )
        except Exception:
            connection.waiting = [*batch, *connection.waiting]
            raise

    def _give_up(self, connection: Connection, fault: TooManyDead) -> None:
        """Pause a source if too many of its messages could not be stored. The broker keeps later
        messages, or they are lost."""
        name = connection.source.name
        _log.warning("paused: %s", fault)
        with suppress(UserError):  # its document is gone or faulty by now: it is not read
            SOURCES.change_state(self._platform, name, "pause", SERVICE, self._now)
        self._show(name, fault.message)
        connection.stream.close()
        if connection.source.is_sent_once and (count := connection.drop_rest()):
            connection.losses.append(SourceLoss("the source was paused while they waited", count))
            self._record_losses(connection)
        del self._connections[name]

    def _leave(self, connection: Connection) -> None:
        """Close a subscription, and store the values that its server does not send again.

        Raises an outage of the database; the next turn then continues.
        """
        if not connection.is_ending:
            connection.stream.close()
            connection.is_ending = True
        while connection.source.is_sent_once and (batch := connection.rest()):
            try:
                self._store_batch(connection, batch)
            except TooManyDead:
                connection.waiting = connection.waiting[len(batch) :]
                why = "too many messages of the source could not be stored"
                connection.losses.append(SourceLoss(why, len(batch)))
        self._note_read(connection)
        del self._connections[connection.source.name]

    def _open(self, source: Streamed) -> None:
        """Open a source, or show why it cannot be opened; the next update tries again."""
        try:
            address = self._address(source.url)
            earlier = earlier_subscriptions(self._platform.sources, source)
            now = self._platform.clock.now
            stream = brokers.open_stream(source.kind, source, address, now, earlier)
        except UserError as fault:
            self._show(source.name, fault.message)
            return
        except Exception as fault:
            # of a client library; its text can hold the address, with a password
            if is_outage(fault):
                raise
            why = f"source {source.name}: cannot be opened: {type(fault).__name__}"
            self._show(source.name, why)
            return
        connection = Connection(source, stream, self._now)
        self._connections[source.name] = connection
        self._note_read(connection)

    def _show(self, name: str, fault: str | None) -> None:
        """Store the fault of a source, or that it has none, unless that is stored already."""
        if self._faults.get(name, "") != fault:
            self._platform.deliveries.set_fault(name, fault)
            self._faults[name] = fault

    def _note_read(self, connection: Connection) -> None:
        """Note the progress and the losses of a source. A source whose broker keeps messages counts
        as read once the broker has answered, and has no fault."""
        name = connection.source.name
        if connection.source.is_sent_once:
            self._record_gap(connection)
            self._platform.deliveries.note_read(name, self._now)
        elif (
            connection.opened_at is None
            and self._faults.get(name) is None
            and not connection.is_ending
        ):
            self._platform.deliveries.note_read(name, self._now)
        self._record_losses(connection)

    def _record_gap(self, connection: Connection) -> None:
        """Record once that values were lost before the source was opened: since it was read last,
        or since its document changed. Record nothing if the history of the server fills the gap."""
        name = connection.source.name
        before = self._platform.deliveries.progress(name).read_until
        if before is not None and connection.opened_at is not None:
            last = max(
                [before, *(revision.at for revision in self._platform.sources.revisions(name))]
            )
            if connection.opened_at - last > getattr(connection.source, "history", timedelta(0)):
                why = gap("no process read the source", last, connection.opened_at)
                self._platform.deliveries.record_loss(name, SourceLoss(why), self._now)
        connection.opened_at = None

    def _record_losses(self, connection: Connection) -> None:
        connection.losses += connection.stream.losses()
        while connection.losses:
            self._platform.deliveries.record_loss(
                connection.source.name, connection.losses[0], self._now
            )
            connection.losses.pop(0)


Opened = Callable[[], AbstractContextManager[Platform]]
_SWITCH_S = 0.0005


def run(
    opened: Opened,
    environ: Mapping[str, str],
    alive: Path | None,
    stopped: Event,
    process: str,
    say: Callable[[str], None],
) -> None:
    """Store messages and evaluate them until `stopped` is set, or another process has taken over.
    `opened`: opens the platform.

    `alive`: a file that is touched every few seconds while the service works. `process`:
    the name by which it has the lease of the service.
    """
    with ExitStack() as stack:
        settings = read_settings(environ)
        p = await_platform(stack, opened, settings, alive, stopped)
        if p is None or not await_lease(p.leases, process, alive, stopped):
            return
        stack.enter_context(interpreter_for_messages())
        say(
            "storing messages of brokers and rows of polled sources, evaluating them, delivering "
            "sinks; stop with Ctrl-C"
        )
        evaluator = Evaluator(p)
        polls = PollService(p, source_readers(settings, environ))
        sinks = SinkService(p, sink_surroundings(settings, environ))

        def update_others() -> Collection[str]:
            polls.update_sources()
            sinks.update_sinks()
            return polls.reads()

        service = StreamService(p, environ, evaluator.add, process, update_others)
        evaluator.start()
        try:
            while not stopped.is_set():
                service.turn()
                polls.start_due()
                evaluator.stored_until = service.stored_until
                if alive is not None and evaluator.is_alive:
                    alive.touch()
        except LeaseLost as lost:
            logging.getLogger(__name__).warning("%s", lost)
        finally:
            polls.close()
            service.close()
            evaluator.close()
            sinks.close()


def await_platform(
    stack: ExitStack, opened: Opened, settings: Settings, alive: Path | None, stopped: Event
) -> Platform | None:
    """Open the platform once its database answers; return None if the service is stopped before.

    Raises DatabaseDown if the embedded database cannot be started.
    """
    is_said = False
    while not stopped.is_set():
        try:
            return stack.enter_context(opened())
        except DatabaseDown as fault:
            if settings.mongodb_uri is None:
                raise
            if not is_said:
                logging.getLogger(__name__).warning("waiting for the database: %s", fault)
            is_said = True
        if alive is not None:
            alive.touch()
        stopped.wait(1.0)
    return None


@contextmanager
def interpreter_for_messages() -> Iterator[None]:
    """Let a thread that got a packet run after half a millisecond instead of five, and look for
    garbage rarely, among new objects alone.

    A client of a broker reads a message by several calls of the system, and after each call it
    waits for its turn while another thread computes.
    """
    before = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_S)
    gc.freeze()
    gc.set_threshold(100_000)  # messages make many objects, and little garbage
    try:
        yield
    finally:
        sys.setswitchinterval(before)
