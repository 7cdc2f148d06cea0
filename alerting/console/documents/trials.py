"""Trials of documents from the console: looks at sources and tests of sinks, a few at once."""

from collections.abc import Callable
from threading import BoundedSemaphore
from typing import Generic, TypeVar

from fastapi import HTTPException

from alerting.definitions.faults import UserError

AT_ONCE = 2
Opened = TypeVar("Opened")
R = TypeVar("R")


class Trials(Generic[Opened]):
    """The trials of one console. `what`: a document is called; `opener`: makes what connects; None
    where the console cannot connect."""

    def __init__(self, what: str, opener: Callable[[], Opened] | None) -> None:
        self._what = what
        self._opener = opener
        self._free = BoundedSemaphore(AT_ONCE)

    def run(self, attempt: Callable[[Opened], R]) -> R:
        """Return the result of a trial. Raises UserError if it cannot connect, HTTPException 429 if
        others are under way."""
        if self._opener is None:
            raise UserError(f"this console connects to no {self._what}; use `alerting try`")
        if not self._free.acquire(blocking=False):
            raise HTTPException(429, f"other {self._what}s are being tried; try again in a moment")
        try:
            return attempt(self._opener())
        finally:
            self._free.release()
