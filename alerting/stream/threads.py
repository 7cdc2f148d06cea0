"""Threads of `alerting stream` beside its subscriptions: one evaluates stored rows, of this process
and of others; one delivers notifications; each polled source and each sink has one.

So a slow evaluation or a slow channel does not hold up the storing of messages. A source is claimed
while it is read, because the scheduler and commands read it too. Stored rows are evaluated like the
rows that other processes store: by their arrival records. If a process dies before it has stored a
delivery to a sink, the next process delivers it again, under the same keys.
"""

import logging
import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING

from pymongo.errors import PyMongoError

from alerting.adapters.mongo.mongo import DatabaseDown, is_outage
from alerting.adapters.receivers.sinks import Surroundings, open_receiver
from alerting.adapters.sources.addresses_and_secrets import Unusable
from alerting.adapters.sources.claims import poll_claimed
from alerting.definitions.faults import UserError, first_line
from alerting.definitions.routes_and_sinks import Sink
from alerting.definitions.sources import PolledFields
from alerting.definitions.wording.language import Translatable, template, translatable
from alerting.ports import EventRow, PositionLost, ReceiverAway, SinkClient, SinkProgress
from alerting.stores.deliveries_and_changes import SinkFeed, SinkReader
from alerting.usecases.definitions.revisions_and_evaluation_plan import current_plan
from alerting.usecases.evaluation.arrived import ArrivedRows, PromptEvaluation
from alerting.usecases.evaluation.reprocess import announce_evaluation
from alerting.usecases.notification.delivery import deliver_due, deliver_now
from alerting.usecases.sink_delivery import (
    MOST_MISSED,
    DeliveredElsewhere,
    SinkDelivery,
    SinkSelection,
    read_sinks,
    selected_by,
    selection_of,
)
from alerting.usecases.sources.status import SOURCES

if TYPE_CHECKING:
    from alerting.ports import Platform, ReadingRow
    from alerting.usecases.sources.poll import Readers

SHORTEST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 1.0
"""Pause between two evaluations: a tenth of the smallest latency within these bounds, and at least
as long as those without a model took the last time. So they take half a core at most."""
MODELS_S = 0.4
"""How long a turn evaluates models before thresholds come again, and what it has begun then."""
_PAUSE_BETWEEN_MODELS_S = 0.01
"""While models are due that the last turn left: the thread that stores messages goes first."""
PAUSE_AFTER_FAULT_S = 2.0
_UNDER_WAY = timedelta(milliseconds=50)
_START_S = 10.0
_STOP_S = 8.0
_log = logging.getLogger(__name__)


class Evaluator:
    """Evaluates the targets of stored rows. `add` is called by the thread that stores them."""

    def __init__(self, opened: "Platform") -> None:
        self._platform = opened
        self._evaluation = PromptEvaluation(opened)
        self._arrived = ArrivedRows()
        self._lock = Lock()
        self._stopped = Event()
        self._evaluated = Event()
        self._events = Event()
        self._follows = Event()
        self._faults: dict[str, str] = {}
        self._took = 0.0
        self.stored_until: datetime | None = None
        """Instant before which all received messages are stored: evaluating later ones would make
        them late. None while the process reads no source."""
        self._threads = [
            Thread(target=self._repeat, args=(work,), daemon=True)
            for work in (self.evaluate, self.deliver, self.follow)
        ]

    def start(self) -> None:
        """Start all threads, and wait some seconds until this process hears of the rows that other
        processes store.

        Other processes leave targets to this one as soon as it has noted that it works: rows that
        it does not hear of would wait for a round.
        """
        for thread in self._threads:
            thread.start()
        self._follows.wait(_START_S)

    @property
    def is_alive(self) -> bool:
        """Return whether all threads run."""
        return all(thread.is_alive() for thread in self._threads)

    def close(self) -> None:
        """Stop the threads after their work, or after some seconds: they may be killed at any
        time."""
        self._stopped.set()
        self._evaluated.set()
        _join(self._threads)

    def add(self, rows: "Sequence[ReadingRow | EventRow]") -> None:
        """Note stored rows, to evaluate the targets that read them."""
        with self._lock:
            self._arrived.add(rows)
        if any(isinstance(row, EventRow) for row in rows):
            self._events.set()
            self._evaluated.set()

    def follow(self) -> None:
        """Note the rows that other processes store, such as the API, by their arrival records."""
        for parts in self._platform.arrivals.written_by_others(self._stopped.is_set):
            if not self._follows.is_set():
                # of rows stored before the first evaluation of a plant there is no arrival record
                targets = current_plan(self._platform).targets
                announce_evaluation(self._platform.arrivals, targets, self._platform.clock.now())
                self._follows.set()
            if parts:
                with self._lock:
                    self._arrived.add_parts(parts)
            if any(part.events for part in parts):
                self._events.set()
                self._evaluated.set()
        self._follows.set()  # the store names no other process
        self._stopped.wait(PAUSE_AFTER_FAULT_S)

    def evaluate(self) -> None:
        """Evaluate the targets that are due, then pause."""
        self._took = 0.0
        if self._arrived.by_asset or self._evaluation.waits:
            self._evaluate(self.stored_until or self._platform.clock.now() - _UNDER_WAY)
        self._stopped.wait(self._pause())

    def _evaluate(self, as_of: datetime) -> None:
        if self._arrived.by_asset or self._evaluation.is_due(as_of):
            with self._lock:
                arrived = self._arrived
                self._arrived = ArrivedRows()
            began = time.monotonic()

            def notify() -> None:  # a severity that rises is notified too
                self._took = self._took or time.monotonic() - began
                self._evaluated.set()

            def has_time() -> bool:
                return time.monotonic() < began + self._took + MODELS_S

            try:
                self._evaluation.evaluate(arrived, as_of, notify, has_time)
            except Exception:
                with self._lock:
                    self._arrived.join(arrived)
                raise

    def _pause(self) -> float:
        """Return how long to wait after an evaluation (s)."""
        if self._evaluation.is_behind:
            return _PAUSE_BETWEEN_MODELS_S
        usual = self._evaluation.smallest_latency.total_seconds() / 10
        return max(min(max(usual, SHORTEST_PAUSE_S), LONGEST_PAUSE_S), self._took)

    def deliver(self) -> None:
        """Deliver the notifications that are due after the next evaluation.

        An event may begin or end a suppression. Then also end the muting of episodes that are no
        longer suppressed.
        """
        self._evaluated.wait()
        self._evaluated.clear()
        has_events = self._events.is_set()
        now = self._platform.clock.now()
        self._events.clear()
        (deliver_due if has_events else deliver_now)(self._platform, now)

    def _repeat(self, work: Callable[[], None]) -> None:
        """Repeat work until the service is stopped. After a fault, the scheduler's rounds do the
        work as well."""
        while not self._stopped.is_set():
            try:
                work()
                self._faults.pop(work.__name__, None)
            except Exception as fault:
                # of the database, a document or a library: the next turn tries again
                text = f"{type(fault).__name__}: {str(fault)[:200]}"
                if self._faults.get(work.__name__) != text:
                    _log.warning("cannot %s now, the scheduler does: %s", work.__name__, text)
                self._faults[work.__name__] = text
                self._stopped.wait(PAUSE_AFTER_FAULT_S)


def _join(threads: Iterable[Thread]) -> None:
    """Wait until the threads end, `_STOP_S` at most in all."""
    until = time.monotonic() + _STOP_S
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))


TAKEN_S = 5.0
"""Time until a source is read that another reader has now."""
TICK_S = 0.25
MOST_AT_ONCE = 8
"""Sources that are read at once. Others wait, and the scheduler reads those that wait long."""
MISSED = 3
"""Intervals without a reading after which a source counts as not read by this process."""
LEAST_MISSED = timedelta(minutes=1)


@dataclass
class PolledHere:
    """A source of this process. `next_at`: when it is read next; `read_at`: when it was last read
    without a fault. Both are seconds of `time.monotonic`."""

    source: PolledFields
    next_at: float
    read_at: float | None = None
    is_reading: bool = False
    fault: str | None = None

    def is_read(self, now: float) -> bool:
        """Return whether the source was read lately; else the scheduler reads it."""
        longest = max(MISSED * self.source.every, LEAST_MISSED)
        return self.read_at is not None and now - self.read_at <= longest.total_seconds()


class PollService:
    """The polled sources that the service reads."""

    def __init__(self, opened: "Platform", readers: "Readers") -> None:
        self._platform = replace(opened, arrivals=opened.arrivals.as_another())
        self._readers = readers
        self._sources: dict[str, PolledHere] = {}

    def reads(self) -> list[str]:
        """Return the sources that this process reads, and has read lately. The scheduler reads all
        other sources."""
        now = time.monotonic()
        return [name for name, polled in list(self._sources.items()) if polled.is_read(now)]

    def close(self) -> None:
        """Wait some seconds for the readings under way. A killed process has stored the rows that
        it had read."""
        until = time.monotonic() + _STOP_S
        while self._reading() and time.monotonic() < until:
            time.sleep(TICK_S)

    def update_sources(self) -> None:
        """Take the list of sources that the service reads now. A reading under way goes on."""
        sources = {
            source.name: source
            for source in SOURCES.read(self._platform)[0]
            if isinstance(source, PolledFields)
            and (source.state, source.reader) == ("active", "service")
        }
        now = time.monotonic()
        before = self._sources
        self._sources = {
            name: before[name]
            if name in before and before[name].source == source
            else PolledHere(source, now)
            for name, source in sources.items()
        }

    def start_due(self) -> None:
        """Start the readings that are due, the most overdue first."""
        now = time.monotonic()
        due = [
            polled
            for polled in self._sources.values()
            if polled.next_at <= now and not polled.is_reading
        ]
        due.sort(key=lambda polled: polled.next_at)
        for polled in due[: MOST_AT_ONCE - self._reading()]:
            polled.is_reading = True
            Thread(target=self._read, args=(polled,), name=polled.source.name, daemon=True).start()

    def _reading(self) -> int:
        return sum(polled.is_reading for polled in self._sources.values())

    def _read(self, polled: PolledHere) -> None:
        """Read a source, and set when it is read next: soon, if another reader reads it now."""
        name = polled.source.name
        began = time.monotonic()
        every = polled.source.every.total_seconds()
        fault = None
        try:
            clock = self._platform.clock
            if poll_claimed(self._platform, self._readers, name, "service", clock) is None:
                every = min(every, TAKEN_S)
            polled.read_at = time.monotonic()
        except UserError as refusal:
            fault = refusal.message
        except Exception as error:
            fault = f"the database does not answer: {first_line(error)}"
            if not is_outage(error):  # of a client library; its text can hold the address
                fault = translatable(
                    "source {name}: cannot be read: {fault}", name=name, fault=type(error).__name__
                )
                self._platform.deliveries.set_fault(name, fault)
        finally:
            polled.next_at = max(began + every, time.monotonic())
            polled.is_reading = False
        if fault is not None and fault != polled.fault:
            _log.warning("source %s is not read: %s", name, fault)
        polled.fault = fault


AT_ONCE = 500
NOTE_S = 5.0
"""Time after which the position is stored, though nothing was sent."""
SELECT_S = 30.0
"""Time after which the assets of a sink with parts of the plant, and the limits of one with
readings, are read again."""
FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 30.0
_FAILS = template("the delivery fails: {fault}")


class SinkService:
    """The sinks to which the service delivers."""

    def __init__(self, opened: "Platform", surroundings: Surroundings) -> None:
        self._platform = opened
        self._surroundings = surroundings
        self._threads: dict[str, SinkThread] = {}

    def close(self) -> None:
        """Wait some seconds until each delivery has finished its present batch, and end it."""
        for thread in self._threads.values():
            thread.stopped.set()
        _join(self._threads.values())

    def update_sinks(self) -> None:
        """Start missing deliveries, and end the deliveries of changed and retired sinks."""
        sinks = {
            sink.name: sink
            for sink in read_sinks(self._platform, self._platform.clock.now())
            if sink.state == "active"
        }
        for name, thread in list(self._threads.items()):
            if sinks.get(name) != thread.sink:
                thread.stopped.set()
            if not thread.is_alive():
                del self._threads[name]
        for name, sink in sinks.items():
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
        """Deliver; after a fault, deliver again after a growing wait."""
        wait = FIRST_WAIT_S
        while not self.stopped.is_set():
            began = time.monotonic()
            try:
                self._deliver()
                return
            except DeliveredElsewhere:
                reason = None
            except Unusable as fault:
                reason = fault.why
            except (ReceiverAway, UserError) as fault:
                text = fault.args[0] if fault.args else ""
                reason = text if isinstance(text, Translatable) else str(fault)
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
        delivery = SinkDelivery(self._platform, self.sink, client, self._select(), self._failures)
        progress = self._platform.sink_deliveries.progress(self.sink.name)
        position = progress.position
        if position is not None:
            try:
                with feed.read(position, self.sink.sends) as reader:
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
        with feed.read(None, self.sink.sends) as reader:
            self._follow(delivery, reader, self._send_missed(delivery, feed, reader, position))

    def _select(self) -> SinkSelection:
        """Return the present selection of the sink, with the limits of readings if it sends any."""
        targets = current_plan(self._platform).targets if "readings" in self.sink.sends else ()
        return selection_of(self._platform, self.sink, targets)

    def _send_open(self, delivery: SinkDelivery, feed: SinkFeed, progress: SinkProgress) -> None:
        """Deliver the open alarms to a sink that is new or has another selection than before."""
        position = progress.position or ""
        now = self._platform.clock.now()
        is_open = feed.missed(None, self.sink.sends, values_since=None, most=0)
        step = delivery.send_missed(is_open, now, progress.until or now)
        delivery.store(step, position, position)

    def _send_missed(
        self, delivery: SinkDelivery, feed: SinkFeed, reader: SinkReader, before: str | None
    ) -> str:
        """Deliver the changes that were committed before a new reader. Return the position of the
        reader."""
        until = self._platform.sink_deliveries.progress(self.sink.name).until
        now = self._platform.clock.now()
        first = reader.next(0)
        since = first.read_at - (now - until) if until else None
        values = max(since, first.read_at - self.sink.values_wait) if since else None
        missed = feed.missed(since, self.sink.sends, values_since=values, most=MOST_MISSED)
        delivery.store(delivery.send_missed(missed, now, now), first.position, before)
        return first.position

    def _follow(self, delivery: SinkDelivery, reader: SinkReader, position: str) -> None:
        noted = -math.inf
        selected = noted
        most = 1
        while not self.stopped.is_set():
            if time.monotonic() - selected >= SELECT_S:
                delivery.selection = self._select()
                selected = time.monotonic()
            changes = reader.next(most)
            most = min(2 * most, AT_ONCE) if not changes.is_all else 1
            is_due = time.monotonic() - noted >= NOTE_S
            now = self._platform.clock.now()
            if changes.changes or is_due:
                position = delivery.deliver(changes, position, now)
            if is_due:
                delivery.retry(now)
                delivery.client.keep_alive()
                noted = time.monotonic()
