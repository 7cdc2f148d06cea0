"""The delivery of all sinks by `alerting stream`: a thread for each sink.

A process that dies leaves what it has not stored as delivered, and the next one delivers it under
the same keys.
"""

import logging
import math
import time
from collections import Counter
from contextlib import suppress
from threading import Event, Thread
from typing import TYPE_CHECKING

from pymongo.errors import PyMongoError

from alerting.adapters.mongo.mongo import DatabaseDown
from alerting.adapters.receivers.sinks import Surroundings, open_receiver
from alerting.definitions.faults import UserError
from alerting.definitions.routes_and_sinks import Sink
from alerting.definitions.wording.language import Translatable, template, translatable
from alerting.ports import PositionLost, ReceiverAway, SinkClient, SinkProgress
from alerting.stores.deliveries import SinkFeed, SinkReader
from alerting.usecases.sinks import (
    MOST_MISSED,
    DeliveredElsewhere,
    SinkDelivery,
    read_sinks,
    selected_by,
    selection_of,
)

if TYPE_CHECKING:
    from alerting.ports import Platform

AT_ONCE = 500
NOTE_S = 5.0
"""Time after which the position is stored, though nothing was sent."""
SELECT_S = 30.0
"""Time after which the assets are read again, of a sink with parts of the plant."""
FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 30.0
_STOP_S = 8.0
_FAILS = template("the delivery fails: {fault}")
_log = logging.getLogger(__name__)


class SinkService:
    """The sinks that are delivered."""

    def __init__(self, opened: "Platform", surroundings: Surroundings) -> None:
        self._platform = opened
        self._surroundings = surroundings
        self._threads: dict[str, SinkThread] = {}

    def close(self) -> None:
        """End all deliveries after what they do now, or some seconds."""
        until = time.monotonic() + _STOP_S
        for one in self._threads.values():
            one.stopped.set()
        for one in self._threads.values():
            one.join(max(0.0, until - time.monotonic()))

    def look(self) -> None:
        """Start the deliveries that are missing, and end those of changed and retired sinks."""
        wanted = {
            sink.name: sink
            for sink in read_sinks(self._platform, self._platform.clock.now())
            if sink.state == "active"
        }
        for name, thread in list(self._threads.items()):
            if wanted.get(name) != thread.sink:
                thread.stopped.set()
            if not thread.is_alive():
                del self._threads[name]
        for name, sink in wanted.items():
            if name not in self._threads:
                self._threads[name] = SinkThread(self._platform, sink, self._surroundings)
                self._threads[name].start()


class SinkThread(Thread):
    """The delivery of one sink, until it is stopped."""

    def __init__(self, opened: "Platform", sink: Sink, surroundings: Surroundings) -> None:
        super().__init__(name=f"sink {sink.name}", daemon=True)
        self.sink = sink
        self.stopped = Event()
        self._platform = opened
        self._surroundings = surroundings
        self._failures = Counter[str]()

    def run(self) -> None:
        """Deliver; after a fault again, after a growing wait."""
        wait = FIRST_WAIT_S
        while not self.stopped.is_set():
            began = time.monotonic()
            try:
                self._deliver()
                return
            except DeliveredElsewhere:
                reason = None
            except (ReceiverAway, UserError) as fault:
                text = fault.args[0] if fault.args else ""
                reason = (
                    text
                    if isinstance(text, Translatable)
                    else str(fault).removeprefix(f"sink {self.sink.name}: ")
                )
            except (PyMongoError, DatabaseDown) as fault:
                _log.warning("sink %s: the database does not answer: %s", self.sink.name, fault)
                reason = None
            except Exception as fault:
                # of a client library; its text can hold the address, with a password
                reason = translatable(_FAILS, fault=type(fault).__name__)
            if reason is not None:
                _log.warning("sink %s: %s; trying again in %.1f s", self.sink.name, reason, wait)
                with suppress(PyMongoError, DatabaseDown):
                    now = self._platform.clock.now()
                    self._platform.sink_deliveries.set_fault(self.sink.name, reason, now)
            if time.monotonic() - began > LONGEST_WAIT_S:
                wait = FIRST_WAIT_S
            self.stopped.wait(wait)
            wait = min(2 * wait, LONGEST_WAIT_S)

    def _deliver(self) -> None:
        client = open_receiver(self.sink, self._surroundings)
        try:
            self._deliver_to(client, self._platform.sink_feed)
        finally:
            with suppress(Exception):
                client.close()

    def _deliver_to(self, client: SinkClient, feed: SinkFeed) -> None:
        selection = selection_of(self._platform, self.sink)
        delivery = SinkDelivery(self._platform, self.sink, client, selection, self._failures)
        progress = self._platform.sink_deliveries.progress(self.sink.name)
        position = progress.position
        what = {"alarms": self.sink.sends_alarms, "values": self.sink.sends_values}
        if position is not None:
            try:
                with feed.read(position, **what) as reader:
                    if progress.selected != selected_by(self.sink):
                        self._send_open(delivery, feed, progress)
                    self._follow(delivery, reader, position)
                return
            except PositionLost as lost:
                _log.warning(
                    "sink %s: its position is lost, so it is read from what is stored: %s",
                    self.sink.name,
                    lost,
                )
        with feed.read(None, **what) as reader:
            self._follow(delivery, reader, self._send_missed(delivery, feed, reader, position))

    def _send_open(self, delivery: SinkDelivery, feed: SinkFeed, progress: SinkProgress) -> None:
        """Deliver the alarms that are open, to a sink that is new or selects others than before."""
        position = progress.position or ""
        now = self._platform.clock.now()
        is_open = feed.missed(None, alarms=self.sink.sends_alarms, values_since=None, most=0)
        step = delivery.send_missed(is_open, now, progress.until or now)
        delivery.store(step, position, position)

    def _send_missed(
        self, delivery: SinkDelivery, feed: SinkFeed, reader: SinkReader, before: str | None
    ) -> str:
        """Deliver what was committed before a new reader. Return its position."""
        until = self._platform.sink_deliveries.progress(self.sink.name).until
        now = self._platform.clock.now()
        first = reader.next(0)
        since = first.read_at - (now - until) if until else None
        values = max(since, first.read_at - self.sink.values_wait) if since else None
        missed = feed.missed(
            since,
            alarms=self.sink.sends_alarms,
            values_since=values if self.sink.sends_values else None,
            most=MOST_MISSED,
        )
        step = delivery.send_missed(missed, now, now)
        delivery.store(step, first.position, before)
        return first.position

    def _follow(self, delivery: SinkDelivery, reader: SinkReader, position: str) -> None:
        """Deliver changes as they come, until stopped."""
        noted = -math.inf
        selected = noted
        most = 1
        while not self.stopped.is_set():
            if self.sink.match.parts and time.monotonic() - selected >= SELECT_S:
                delivery.selection = selection_of(self._platform, self.sink)
                selected = time.monotonic()
            found = reader.next(most)
            most = min(2 * most, AT_ONCE) if not found.is_all else 1
            is_due = time.monotonic() - noted >= NOTE_S
            now = self._platform.clock.now()
            if found.changes or is_due:
                position = delivery.deliver(found, position, now)
            if is_due:
                delivery.retry(now)
                delivery.client.keep_alive()
                noted = time.monotonic()
