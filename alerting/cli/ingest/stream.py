"""`alerting stream`: the service that stores the messages of brokers."""

import logging
import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from alerting.cli.printing.output import console
from alerting.cli.support import command, platform

if TYPE_CHECKING:
    from alerting.adapters.platform import Platform
    from alerting.definitions.sources.streamed import StreamedSource
    from alerting.usecases.sources.stream import MessageStream

READ_AGAIN_S = 10.0
PAUSE_S = 1.0
IDLE_S = 0.2
_log = logging.getLogger(__name__)


@command
def stream() -> None:
    """Store the messages of all active sources of brokers, until it is stopped. Run it once for each database."""
    with platform() as p:
        console.print("storing messages of brokers; stop with Ctrl-C")
        service = StreamService(p, os.environ)
        try:
            while True:
                service.turn()
        finally:
            service.close()


class StreamService:
    """The subscriptions of all sources, one turn after another in one thread: a slow database slows all of them."""

    def __init__(self, opened: "Platform", environ: Mapping[str, str]) -> None:
        self._platform, self._environ = opened, environ
        self._streams: dict[str, tuple[StreamedSource, MessageStream]] = {}
        self._faults: dict[str, str] = {}
        self._read_at = -READ_AGAIN_S

    def turn(self) -> None:
        """Store a batch of each source.

        A broker that is away is the fault of its source, and does not stop the others. If the database is away, all subscriptions
        are closed and opened again later: the brokers then send again what is not acknowledged.
        """
        from pymongo.errors import PyMongoError

        from alerting.adapters.mongo.mongo import DatabaseDown

        try:
            if time.monotonic() - self._read_at >= READ_AGAIN_S:
                self._read_sources()
            if not self._streams:
                time.sleep(PAUSE_S)
            elif not sum(self._store(source, found) for source, found in list(self._streams.values())):
                time.sleep(IDLE_S)
        except (PyMongoError, DatabaseDown) as fault:
            _log.warning("the database does not answer, messages wait at their brokers: %s", str(fault)[:200])
            self.close()
            self._read_at = -READ_AGAIN_S
            time.sleep(PAUSE_S)

    def close(self) -> None:
        """Close all subscriptions."""
        for _, found in self._streams.values():
            found.close()
        self._streams.clear()

    def _store(self, source: "StreamedSource", found: "MessageStream") -> int:
        """Store a batch of a source, and return the number of its messages."""
        from alerting.adapters.mongo.mongo import is_outage
        from alerting.definitions.faults import UserError
        from alerting.usecases.sources.stream import TooManyDead, store_messages

        try:
            batch = found.batch()
        except UserError as fault:
            self._note(source.name, str(fault))
            return 0
        try:
            count = store_messages(self._platform, source, batch, self._platform.clock.now(), is_outage)
        except TooManyDead as fault:
            self._pause(source.name, str(fault))
            return 0
        if count.messages:
            self._faults.pop(source.name, None)
        if count.dead:
            _log.warning("source %s: %s of %s messages could not be stored", source.name, count.dead, count.messages)
        return count.messages

    def _pause(self, name: str, fault: str) -> None:
        from alerting.usecases.sources.documents import set_state

        _log.warning("paused: %s", fault)
        set_state(self._platform, name, "paused", "alerting stream", self._platform.clock.now())
        self._platform.sources.set_fault(name, fault)
        self._streams.pop(name)[1].close()

    def _note(self, name: str, fault: str) -> None:
        """Store a fault of a source, once."""
        if self._faults.get(name) != fault:
            self._platform.sources.set_fault(name, fault)
            self._faults[name] = fault

    def _read_sources(self) -> None:
        """Open the subscriptions of new and changed sources, and close those of sources that are no longer active."""
        from alerting.adapters.sources.brokers import open_stream
        from alerting.adapters.sources.secrets import resolver
        from alerting.definitions.faults import UserError
        from alerting.definitions.sources.streamed import StreamedSource
        from alerting.usecases.sources.documents import read_sources
        from alerting.usecases.sources.stream import earlier_subscriptions

        self._read_at = time.monotonic()
        sources = {
            s.name: s for s in read_sources(self._platform.sources)[0] if isinstance(s, StreamedSource) and s.state == "active"
        }
        for name, (source, found) in list(self._streams.items()):
            if sources.get(name) != source:
                found.close()
                del self._streams[name]
        for name, source in sources.items():
            if name not in self._streams:
                try:
                    address = resolver(self._environ)(source.url)
                    earlier = earlier_subscriptions(self._platform.sources, source)
                    self._streams[name] = source, open_stream(source.kind, source, address, self._platform.clock.now, earlier)
                except UserError as fault:
                    self._note(name, str(fault))
