"""`alerting stream`: the service that stores the messages of brokers and evaluates them at once."""

import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from secrets import token_hex
from threading import Event
from typing import TYPE_CHECKING, Annotated

import typer

from alerting.cli.printing.output import console
from alerting.cli.support import command, platform

if TYPE_CHECKING:
    from alerting.adapters.platform import Platform
    from alerting.definitions.sources.streamed import StreamedSource
    from alerting.settings.environment import Settings
    from alerting.usecases.sources.stream import MessageStream, Stored

READ_AGAIN_S = 5.0
PAUSE_S = 1.0
TURN_S = 0.05
"""Least time between the beginnings of two turns, unless more messages wait than fit into a batch.

A batch costs the same six commands of the database for one message as for hundreds.
"""
LONGEST_BEHIND = timedelta(seconds=5)
"""How far evaluation waits for messages that are here and not stored."""
UNDER_WAY = timedelta(milliseconds=50)
"""How old a reading is at most, usually, when it comes: evaluating up to now would make those under way late."""
_SWITCH_S = 0.0005
_log = logging.getLogger(__name__)


@command
def stream(
    alive: Annotated[
        Path | None, typer.Option(help="File to touch every few seconds while the service works, for checks of its health.")
    ] = None,
) -> None:
    """Store the messages of brokers and evaluate them at once, until it is stopped. Several processes share the work.

    Definitions of kind threshold are evaluated as soon as the latency of their readings is over, and notifications are sent.
    Airflow evaluates them too, and all others.
    """
    from alerting.settings.environment import read_settings

    stopped = Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    await_source(read_settings(os.environ), alive, stopped)
    if stopped.is_set():
        return
    from alerting.cli.ingest.evaluator import Evaluator

    with platform() as p, threads_take_turns_often():
        console.print("storing messages of brokers, and evaluating them; stop with Ctrl-C")
        evaluator = Evaluator(p)
        service = StreamService(p, os.environ, evaluator.add)
        evaluator.start()
        try:
            while not stopped.is_set():
                service.turn()
                evaluator.stored_until = service.stored_until
                if alive is not None and evaluator.is_alive:
                    alive.touch()
        finally:
            service.leave()
            evaluator.close()


def await_source(settings: "Settings", alive: Path | None, stopped: Event) -> None:
    """Return once there is a source of a broker. Until then the process holds little more than the driver of the database.

    Return at once without a database server of its own, which only an opened platform starts.
    """
    if settings.mongodb_uri is None:
        return
    import pymongo
    from pymongo.errors import PyMongoError

    from alerting.definitions.sources.source import STREAMED

    with pymongo.MongoClient[dict[str, object]](settings.mongodb_uri, serverSelectionTimeoutMS=5000) as client:
        sources, fault = client[settings.database]["sources"], None
        while not stopped.is_set():
            try:
                if sources.find_one({"kind": {"$in": STREAMED}, "state": {"$nin": ["paused", "retired"]}}, {"_id": True}):
                    return
                fault = None
            except PyMongoError as error:
                if fault is not type(error):
                    _log.warning("the database does not answer, so the sources are not known: %s", str(error)[:200])
                fault = type(error)
            if alive is not None:
                alive.touch()
            stopped.wait(READ_AGAIN_S)


@contextmanager
def threads_take_turns_often() -> Iterator[None]:
    """Let a thread that got a packet run after half a millisecond instead of five.

    A client of a broker reads a message by several calls of the system, and after each it waits for its turn while another
    thread computes.
    """
    before = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_S)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


class StreamService:
    """The subscriptions of all sources, one turn after another in one thread: a slow database slows all of them."""

    def __init__(self, opened: "Platform", environ: Mapping[str, str], stored: "Stored | None" = None) -> None:
        """Take the platform; `stored` takes the readings of each batch after they are stored."""
        self._platform, self._environ, self._stored = opened, environ, stored
        self._streams: dict[str, tuple[StreamedSource, MessageStream]] = {}
        self._faults: dict[str, str] = {}
        self._read_at = -READ_AGAIN_S
        self._process = f"{socket.gethostname()}-{os.getpid()}-{token_hex(4)}"
        self._share: set[str] = set()
        self._behind: list[datetime] = []
        self.stored_until: datetime | None = None
        """Instant before which all received messages are stored, at least UNDER_WAY and at most LONGEST_BEHIND ago."""

    def turn(self) -> None:
        """Store a batch of each source, and wait until TURN_S are over unless one was full.

        A broker that is away is the fault of its source, and does not stop the others. If the database is away, all subscriptions
        are closed and opened again later: the brokers then send again what is not acknowledged.
        """
        from pymongo.errors import PyMongoError

        from alerting.adapters.mongo.mongo import DatabaseDown

        started = time.monotonic()
        try:
            began = self._platform.clock.now()
            if started - self._read_at >= READ_AGAIN_S:
                self._read_sources()
            self._behind.clear()
            for source, found in list(self._streams.values()):
                self._store(source, found, began)
            self.stored_until = max(min([began - UNDER_WAY, *self._behind]), began - LONGEST_BEHIND)
            if not self._behind:
                least = TURN_S if self._streams else PAUSE_S
                time.sleep(max(0.0, started + least - time.monotonic()))
        except (PyMongoError, DatabaseDown) as fault:
            _log.warning(
                "the database does not answer; brokers keep their messages, servers of OPC UA only their history: %s",
                str(fault)[:200],
            )
            self.close()
            self._read_at = -READ_AGAIN_S
            time.sleep(PAUSE_S)

    def close(self) -> None:
        """Close all subscriptions."""
        for _, found in self._streams.values():
            found.close()
        self._streams.clear()

    def leave(self) -> None:
        """Close all subscriptions, and let other processes read their sources at once instead of after a while."""
        self.close()
        with suppress(Exception):  # of a database that is away: the others wait
            self._platform.sources.forget_process(self._process)

    def _store(self, source: "StreamedSource", found: "MessageStream", now: datetime) -> None:
        """Store a batch of a source. If more may wait, note when the last of the batch came."""
        from alerting.adapters.mongo.mongo import is_outage
        from alerting.adapters.sources.threaded import BATCH
        from alerting.definitions.faults import UserError
        from alerting.usecases.sources.stream import TooManyDead, ignore, store_messages

        try:
            batch = found.batch()
        except UserError as fault:
            self._note(source.name, str(fault))
            return
        if not batch and self._faults.pop(source.name, None) is not None:
            self._platform.sources.set_fault(source.name, None)
        try:
            count = store_messages(self._platform, source, batch, now, is_outage, self._stored or ignore)
        except TooManyDead as fault:
            self._pause(source.name, str(fault))
            return
        if len(batch) >= BATCH:
            self._behind.append(batch[-1].received_at)
        if count.messages:
            self._faults.pop(source.name, None)
        if count.dead:
            _log.warning("source %s: %s of %s messages could not be stored", source.name, count.dead, count.messages)

    def _pause(self, name: str, fault: str) -> None:
        from alerting.definitions.faults import UserError
        from alerting.usecases.sources.documents import set_state
        from alerting.usecases.sources.status import SERVICE

        _log.warning("paused: %s", fault)
        with suppress(UserError):  # its document is gone or faulty by now: no further messages are read either
            set_state(self._platform, name, "paused", SERVICE, self._platform.clock.now())
        self._platform.sources.set_fault(name, fault)
        self._streams.pop(name)[1].close()

    def _note(self, name: str, fault: str) -> None:
        """Store a fault of a source, once."""
        if self._faults.get(name) != fault:
            self._platform.sources.set_fault(name, fault)
            self._faults[name] = fault

    def _read_sources(self) -> None:
        """Open the subscriptions of new and changed sources, and close those of sources that are no longer active.

        A source that cannot be opened does not stop the others. One that another process may still read is opened at the next
        look, when that process has seen this one.
        """
        from alerting.adapters.mongo.mongo import is_outage
        from alerting.adapters.sources.brokers import open_stream
        from alerting.adapters.sources.secrets import resolver
        from alerting.definitions.faults import UserError
        from alerting.definitions.sources.streamed import StreamedSource
        from alerting.usecases.sources.documents import read_sources
        from alerting.usecases.sources.share import share_of
        from alerting.usecases.sources.stream import earlier_subscriptions

        self._read_at = time.monotonic()
        read = read_sources(self._platform.sources)[0]
        active = {s.name: s for s in read if isinstance(s, StreamedSource) and s.state == "active"}
        noted = self._platform.sources.note_process(self._process)
        processes = [process for process in noted if process == self._process or not _was_killed_here(process)]
        before, self._share = self._share, share_of(self._process, processes, active.values())
        sources = {name: active[name] for name in self._share}
        for name, (source, found) in list(self._streams.items()):
            if sources.get(name) != source:
                found.close()
                del self._streams[name]
        for name, source in sources.items():
            if name not in self._streams and (source.has_groups or name in before or len(processes) == 1):
                self._faults.setdefault(name, "")
                try:
                    address = resolver(self._environ)(source.url)
                    earlier = earlier_subscriptions(self._platform.sources, source)
                    self._streams[name] = source, open_stream(source.kind, source, address, self._platform.clock.now, earlier)
                except UserError as fault:
                    self._note(name, str(fault))
                except Exception as fault:  # of a client library; its text can hold the address, with a password
                    if is_outage(fault):
                        raise
                    self._note(name, f"source {name}: cannot be opened: {type(fault).__name__}")


def _was_killed_here(process: str) -> bool:
    """Return whether another process ran on this machine, or in this container, and has ended: no need to wait for it."""
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
