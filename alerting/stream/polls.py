"""The reading of polled sources by `alerting stream`: a thread for each reading.

A source is claimed while it is read, because the scheduler and commands read it too. What is stored
is evaluated like the rows that other processes store: by its arrival records.
"""

import logging
import time
from dataclasses import dataclass, replace
from datetime import timedelta
from threading import Thread
from typing import TYPE_CHECKING

from alerting.adapters.mongo.mongo import is_outage
from alerting.adapters.sources.claims import poll_claimed
from alerting.definitions.faults import UserError, first_line
from alerting.definitions.sources import PolledFields
from alerting.definitions.wording.language import translatable
from alerting.usecases.sources.status import SOURCES

if TYPE_CHECKING:
    from alerting.ports import Platform
    from alerting.usecases.sources.poll import Readers

TAKEN_S = 5.0
"""Time until a source is read that another reader has now."""
TICK_S = 0.25
MOST_AT_ONCE = 8
"""Sources that are read at once. Others wait, and the scheduler reads those that wait long."""
MISSED = 3
"""Intervals without a reading after which a source counts as not read by this process."""
LEAST_MISSED = timedelta(minutes=1)
_STOP_S = 8.0
_log = logging.getLogger(__name__)


@dataclass
class PolledHere:
    """A source of this process. `next_at`, `read_at`: when it is read next, and when it was read
    last without a fault, in seconds of `time.monotonic`."""

    source: PolledFields
    next_at: float
    read_at: float | None = None
    is_reading: bool = False
    fault: str | None = None

    def is_read(self, now: float) -> bool:
        """Return whether it was read lately: else the scheduler reads it."""
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
        others."""
        now = time.monotonic()
        return [name for name, one in list(self._sources.items()) if one.is_read(now)]

    def close(self) -> None:
        """Wait some seconds for the readings under way: a process that is killed has stored what it
        had read."""
        until = time.monotonic() + _STOP_S
        while self._reading() and time.monotonic() < until:
            time.sleep(TICK_S)

    def look(self) -> None:
        """Take the sources that the service reads now. A reading under way goes on."""
        wanted = {
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
            for name, source in wanted.items()
        }

    def start_due(self) -> None:
        """Start the readings that are due, the longest due first."""
        now = time.monotonic()
        due = [one for one in self._sources.values() if one.next_at <= now and not one.is_reading]
        due.sort(key=lambda one: one.next_at)
        for one in due[: MOST_AT_ONCE - self._reading()]:
            one.is_reading = True
            Thread(target=self._read, args=(one,), name=one.source.name, daemon=True).start()

    def _reading(self) -> int:
        return sum(one.is_reading for one in self._sources.values())

    def _read(self, one: PolledHere) -> None:
        """Read a source, and say when it is read next: soon, if another reader has it now."""
        name = one.source.name
        began = time.monotonic()
        every = one.source.every.total_seconds()
        fault = None
        try:
            clock = self._platform.clock
            if poll_claimed(self._platform, self._readers, name, "service", clock) is None:
                every = min(every, TAKEN_S)
            one.read_at = time.monotonic()
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
            one.next_at = max(began + every, time.monotonic())
            one.is_reading = False
        if fault is not None and fault != one.fault:
            _log.warning("source %s is not read: %s", name, fault)
        one.fault = fault
