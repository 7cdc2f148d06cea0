"""A simulated line's clock, named on every page: its times are not those of the wall."""

import time
from collections.abc import Callable
from contextlib import suppress

from alerting.definitions.wording.language import Language
from alerting.reporting.base import messages

_READ_AGAIN_S = 10.0


class PageClock:
    """The name of the clock for pages, read every ten seconds; a page never fails for it."""

    def __init__(self, read: Callable[[], float | None]) -> None:
        """`read`: returns the speed of the simulated line; None in real time."""
        self._read = read
        self._speed: float | None = None
        self._again_at = 0.0

    def describe(self, language: Language) -> str | None:
        """Return the name of the clock in a language; None for real time."""
        if time.monotonic() >= self._again_at:
            self._again_at = time.monotonic() + _READ_AGAIN_S
            with suppress(Exception):  # of a database that is away: the page says so itself
                self._speed = self._read()
        return messages.line_clock(self._speed, language)
