"""Looks at rows of sources from the console: a few at once, each bounded in time."""

from collections.abc import Callable
from threading import BoundedSemaphore

from fastapi import HTTPException

from alerting.adapters.platform import Platform
from alerting.definitions.faults import UserError
from alerting.definitions.sources.source import Source
from alerting.usecases.sources.poll import Readers, try_source
from alerting.usecases.sources.trial import SourceTrial

AT_ONCE = 2
WAIT_S = 8.0
"""How long messages of a broker are waited for; a person waits for the page as long."""


class SourceTrials:
    """The looks at sources of one console. `readers`: makes what connects to them; None where the
    console cannot connect."""

    def __init__(self, readers: Callable[[], Readers] | None) -> None:
        self._readers = readers
        self._free = BoundedSemaphore(AT_ONCE)

    def look(self, platform: Platform, source: Source) -> SourceTrial:
        """Return ten rows as they would be stored, and refused ones. Raises UserError if the source
        cannot be read, HTTPException 429 if others are being looked at."""
        if self._readers is None:
            raise UserError("this console connects to no source; use `alerting try`")
        if not self._free.acquire(blocking=False):
            raise HTTPException(429, "other sources are being looked at; try again in a moment")
        try:
            return try_source(platform, self._readers(), source, WAIT_S, platform.clock.now())
        finally:
            self._free.release()
