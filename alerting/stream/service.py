"""The subscriptions of `alerting stream`, one turn after another.

Four kinds of threads: this one looks at the documents and stores; each source has one that keeps
its connection (`adapters/sources/threaded.py`); the evaluator has two. What happens to a source is
decided by `subscription.advance`; this module does it.
"""

import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from pymongo.errors import PyMongoError

from alerting.adapters.mongo.mongo import DatabaseDown, is_outage
from alerting.adapters.sources import brokers, threaded
from alerting.adapters.sources.secrets import allowed_secrets
from alerting.definitions.faults import UserError
from alerting.definitions.sources.source import Streamed
from alerting.definitions.sources.streamed import StreamedSource
from alerting.ports import Platform, SourceLoss
from alerting.settings.secrets import read_secret_rules
from alerting.settings.variables import Variables
from alerting.stores.leases import STREAM
from alerting.stream.subscription import Cause, Effect, Event, Subscription, advance
from alerting.stream.wait import new_process
from alerting.usecases.sources.documents import SOURCES
from alerting.usecases.sources.status import SERVICE
from alerting.usecases.sources.stream import (
    BrokerMessage,
    MessageStream,
    Stored,
    StreamCount,
    TooManyDead,
    earlier_subscriptions,
    ignore,
    store_messages,
)

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
    """An open source. `waiting`: messages that can be stored later. `losses`: to be recorded."""

    source: StreamedSource
    stream: MessageStream
    waiting: list[BrokerMessage] = field(default_factory=list)
    losses: list[SourceLoss] = field(default_factory=list)

    def batch(self) -> Sequence[BrokerMessage]:
        """Return waiting messages, else the next ones. Raises UserError if none is left and the
        broker is away."""
        if self.waiting:
            batch = self.waiting[: threaded.BATCH]
            self.waiting = self.waiting[threaded.BATCH :]
            return batch
        return self.stream.batch()

    def rest(self) -> Sequence[BrokerMessage]:
        """Return the next messages of a closed connection, none after the last."""
        with suppress(UserError):  # it was broken, and none is left
            return self.batch()
        return ()

    def drop_rest(self) -> int:
        """Return how many messages of a closed connection are gone."""
        return sum(map(len, iter(lambda: list(self.rest()), [])))


class LeaseLost(UserError):
    """Error: this process did not renew the lease of the service in time, as after a pause of its
    machine, and another one works now."""


class StreamService:
    """The subscriptions of all sources, in turns of one thread: a slow database slows all."""

    def __init__(
        self,
        opened: Platform,
        environ: Mapping[str, str],
        stored: Stored = ignore,
        process: str | None = None,
        polled: Callable[[], Collection[str]] = tuple,
    ) -> None:
        """Take the platform; `stored` takes the readings of each batch after they are stored.

        `process`: the name by which this process has the lease of the service. `polled`: returns
        the polled sources that it reads, which are noted beside its name with the open ones.
        """
        self._platform = opened
        self._stored = stored
        self._address = allowed_secrets(environ, read_secret_rules(Variables(environ)))
        self._process = process or new_process()
        self._polled = polled
        self._looked_at = -LOOK_S
        self._now = datetime.min.replace(tzinfo=UTC)
        self._wanted: Mapping[str, Streamed] = {}
        self._states: dict[str, Subscription] = {}
        self._connections: dict[str, Connection] = {}
        self._behind: list[datetime] = []
        self.stored_until: datetime | None = None
        """Instant before which all received messages are stored, at least UNDER_WAY and at most
        LONGEST_BEHIND ago. None while no source is read."""

    def turn(self) -> None:
        """Store a batch of each source, and wait until TURN_S are over unless one was full.

        A broker that is away is the fault of its source, and does not stop the others. If the
        database is away, all subscriptions are closed and opened again later: the brokers then send
        again what is not acknowledged. Those of servers that send a value once stay open, and keep
        what comes. Raises LeaseLost.
        """
        started = time.monotonic()
        try:
            now = self._now = self._platform.clock.now()
            if started - self._looked_at >= LOOK_S:
                self._looked_at = started
                self._look()
            self._behind.clear()
            for name in list(self._connections):
                self._store(name)
            until = max(min([now - UNDER_WAY, *self._behind]), now - LONGEST_BEHIND)
            self.stored_until = until if self._connections else None
            if not self._behind:
                least = TURN_S if self._connections else PAUSE_S
                time.sleep(max(0.0, started + least - time.monotonic()))
        except (PyMongoError, DatabaseDown) as fault:
            _log.warning(
                "the database does not answer; brokers keep their messages: %s", str(fault)[:200]
            )
            for name in list(self._states):
                self._happen(name, "away")
            self._looked_at = -LOOK_S
            time.sleep(PAUSE_S)

    def close(self) -> None:
        """Close all subscriptions, store what is not sent again, and end the lease."""
        for name, found in list(self._connections.items()):
            try:
                self._now = self._platform.clock.now()
                self._leave(name)
            except Exception as fault:  # the database is away: the next reader notes the gap
                found.stream.close()
                if found.source.is_sent_once:
                    lost = found.drop_rest()
                    _log.error(
                        "source %s: its last %s values are lost: %s", name, lost, str(fault)[:200]
                    )
        self._connections.clear()
        with suppress(Exception):  # of a database that is away: the lease ends by itself
            self._platform.leases.release(STREAM, self._process)

    def _look(self) -> None:
        """Renew the lease, leave the sources that are read no more, and open those that are new."""
        reads = [*self._connections, *self._polled()]
        if not self._platform.leases.claim(STREAM, self._process, reads):
            raise LeaseLost("another process of the stream service has taken over: this one waits")
        read = SOURCES.read(self._platform)[0]
        self._wanted = {
            s.name: s for s in read if isinstance(s, StreamedSource) and s.state == "active"
        }
        for name, found in list(self._connections.items()):
            if self._wanted.get(name) != found.source:
                self._leave(name)
        self._states = {name: s for name, s in self._states.items() if name in self._wanted}
        for name, source in self._wanted.items():
            state = self._states.get(name, Subscription())
            if state.phase == "closed":
                history = getattr(source, "history", timedelta(0))
                self._states[name] = Subscription(source.is_sent_once, history, fault=state.fault)
            self._happen(name, "wanted", read_until=self._read_until(name))

    def _store(self, name: str) -> None:
        """Store a batch of an open source. If more may wait, note when the last of it came."""
        found = self._connections[name]
        if self._states[name].phase == "ending":
            self._leave(name)
            return
        try:
            batch = found.batch()
        except UserError as fault:
            self._happen(name, "broken", fault.message)
            return
        if not batch:
            self._happen(name, "stored")
            return
        try:
            count = self._store_batch(found, batch)
        except TooManyDead as fault:
            _log.warning("paused: %s", fault)
            found.waiting = [*batch, *found.waiting]
            self._happen(name, "full", fault.message)
            return
        if len(batch) >= threaded.BATCH:
            self._behind.append(batch[-1].received_at)
        self._happen(name, "stored", None, count.messages)
        if count.dead:
            _log.warning(
                "source %s: %s of %s messages could not be stored", name, count.dead, count.messages
            )

    def _store_batch(self, found: Connection, batch: Sequence[BrokerMessage]) -> StreamCount:
        """Store messages; if the database is away they wait, and its error is raised."""
        try:
            return store_messages(
                self._platform, found.source, batch, self._now, is_outage, self._stored
            )
        except TooManyDead:
            raise
        except Exception:
            found.waiting = [*batch, *found.waiting]
            raise

    def _leave(self, name: str) -> None:
        """Close a subscription, and store the values that its server does not send again.

        Raises what is an outage of the database: then it goes on ending in the next turn.
        """
        self._happen(name, "unwanted")
        if self._states[name].phase != "ending":
            return
        found = self._connections[name]
        while batch := found.rest():
            try:
                self._store_batch(found, batch)
            except TooManyDead:
                why = "too many messages of the source could not be stored"
                found.losses.append(SourceLoss(why, len(batch)))
        self._happen(name, "emptied", read_until=self._read_until(name))

    def _read_until(self, name: str) -> datetime | None:
        """Return until when others read a source, or its document changed; None if noted."""
        state = self._states[name]
        if not state.is_sent_once or state.opened_at is None:
            return None
        before = self._platform.deliveries.progress(name).read_until
        if before is None:
            return None
        return max([before, *(revision.at for revision in self._platform.sources.revisions(name))])

    def _happen(
        self,
        name: str,
        cause: Cause,
        why: str | None = None,
        count: int = 0,
        read_until: datetime | None = None,
    ) -> None:
        """Do what follows from an event. If the database is away, the state stays as it was."""
        event = Event(cause, why, count, read_until)
        after = self._states[name] = self._follow(name, self._states[name], event)
        if after.phase == "closed":
            self._connections.pop(name, None)

    def _follow(self, name: str, before: Subscription, event: Event) -> Subscription:
        after, effects = advance(before, event, self._now)
        for effect in effects:
            if (fault := self._do(name, effect)) is not None:
                after = self._follow(name, after, Event("not_opened", fault))
        return after

    def _do(self, name: str, effect: Effect) -> str | None:
        """Do one thing. Return why a source cannot be opened."""
        deliveries = self._platform.deliveries
        match effect.work:
            case "open":
                return self._open(name)
            case "close":
                self._connections[name].stream.close()
            case "pause":
                with suppress(UserError):  # its document is gone or faulty by now: it is not read
                    SOURCES.change_state(self._platform, name, "pause", SERVICE, self._now)
            case "show_fault":
                deliveries.set_fault(name, effect.why)
            case "note_opening" | "note_read":
                deliveries.note_read(name, effect.at)
            case "note_gap":
                deliveries.record_loss(name, SourceLoss(effect.why or ""), self._now)
            case "drop_rest":
                found = self._connections[name]
                if count := found.drop_rest():
                    found.losses.append(
                        SourceLoss("the source was paused while they waited", count)
                    )
                    self._record_losses(found)
            case "record_losses":
                self._record_losses(self._connections[name])
        return None

    def _open(self, name: str) -> str | None:
        source = self._wanted[name]
        try:
            address = self._address(source.url)
            earlier = earlier_subscriptions(self._platform.sources, source)
            now = self._platform.clock.now
            stream = brokers.open_stream(source.kind, source, address, now, earlier)
        except UserError as fault:
            return fault.message
        except Exception as fault:
            # of a client library; its text can hold the address, with a password
            if is_outage(fault):
                raise
            return f"source {name}: cannot be opened: {type(fault).__name__}"
        self._connections[name] = Connection(source, stream)
        return None

    def _record_losses(self, found: Connection) -> None:
        found.losses += found.stream.losses()
        while found.losses:
            self._platform.deliveries.record_loss(found.source.name, found.losses[0], self._now)
            found.losses.pop(0)
