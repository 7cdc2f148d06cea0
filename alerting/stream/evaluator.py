"""The evaluator of `alerting stream`: evaluates what was stored, here and by other processes, and
delivers notifications, each in a thread of its own.

So a slow evaluation or a slow channel does not hold up the storing of messages.
"""

import logging
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING

from alerting.ports import EventRow
from alerting.usecases.definitions.revisions_and_targets import current_plan
from alerting.usecases.evaluation.arrived import ArrivedRows, PromptEvaluation
from alerting.usecases.evaluation.reprocess import announce_evaluation
from alerting.usecases.notification.delivery import deliver_due, deliver_now

if TYPE_CHECKING:
    from alerting.ports import Platform, ReadingRow

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
            Thread(target=self._repeat, args=(one,), daemon=True)
            for one in (self.evaluate, self.deliver, self.follow)
        ]

    def start(self) -> None:
        """Start all threads, and wait some seconds until what other processes store is heard of.

        They leave targets to this one as soon as it has noted that it works: rows that it does not
        hear of would wait for a round.
        """
        for thread in self._threads:
            thread.start()
        self._follows.wait(_START_S)

    @property
    def is_alive(self) -> bool:
        """Return whether all threads run."""
        return all(thread.is_alive() for thread in self._threads)

    def close(self) -> None:
        """Stop the threads after their work, or some seconds: they may be killed any time."""
        self._stopped.set()
        self._evaluated.set()
        until = time.monotonic() + _STOP_S
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def add(self, rows: "Sequence[ReadingRow | EventRow]") -> None:
        """Note stored rows, to evaluate the targets that read them."""
        with self._lock:
            self._arrived.add(rows)
        if any(isinstance(row, EventRow) for row in rows):
            self._events.set()
            self._evaluated.set()

    def follow(self) -> None:
        """Note what other processes store, as the API does: by their arrival records."""
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
        if self._arrived.stamps or self._evaluation.waits:
            self._evaluate(self.stored_until or self._platform.clock.now() - _UNDER_WAY)
        self._stopped.wait(self._pause())

    def _evaluate(self, as_of: datetime) -> None:
        if self._arrived.stamps or self._evaluation.is_due(as_of):
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

        An event may begin or end a suppression: then also end the muting of episodes that are no
        longer suppressed.
        """
        self._evaluated.wait()
        self._evaluated.clear()
        has_events = self._events.is_set()
        now = self._platform.clock.now()
        self._events.clear()
        (deliver_due if has_events else deliver_now)(self._platform, now)

    def _repeat(self, work: Callable[[], None]) -> None:
        """Repeat work until stopped; after a fault the scheduler's rounds do it, too."""
        while not self._stopped.is_set():
            try:
                work()
                self._faults.pop(work.__name__, None)
            except (
                Exception
            ) as fault:  # of the database, a document or a library: the next turn tries again
                text = f"{type(fault).__name__}: {str(fault)[:200]}"
                if self._faults.get(work.__name__) != text:
                    logging.getLogger(__name__).warning(
                        "cannot %s now, the scheduler does: %s", work.__name__, text
                    )
                self._faults[work.__name__] = text
                self._stopped.wait(PAUSE_AFTER_FAULT_S)
