"""Tests of sinks from the console: a few at once."""

from collections.abc import Callable
from threading import BoundedSemaphore

from fastapi import HTTPException

from alerting.adapters.platform import Platform
from alerting.definitions.faults import UserError
from alerting.definitions.sinks.sink import Sink
from alerting.usecases.sinks.trial import OpenSink, try_sink

AT_ONCE = 2


class SinkTrials:
    """The tests of one console. `opener`: makes what connects to receivers; None where the console
    cannot connect."""

    def __init__(self, opener: Callable[[], OpenSink] | None) -> None:
        self._opener = opener
        self._free = BoundedSemaphore(AT_ONCE)

    def try_one(self, platform: Platform, sink: Sink, actor: str) -> str:
        """Send a test message, and return what was done. Raises UserError if it cannot be sent,
        HTTPException 429 if others are being tested."""
        if self._opener is None:
            raise UserError("this console connects to no receiver; use `alerting try`")
        if not self._free.acquire(blocking=False):
            raise HTTPException(429, "other sinks are being tested; try again in a moment")
        try:
            return try_sink(self._opener(), sink, actor, platform.clock.now())
        finally:
            self._free.release()
