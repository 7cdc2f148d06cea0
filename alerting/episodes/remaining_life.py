"""Remaining life of a part: the interval in which its life will end, and advice against a planned
replacement; as values, and in sentences for people."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from alerting.definitions.wording.language import Styled, joined, translatable

_HOUR = timedelta(hours=1)
_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class RemainingLife:
    """The time that a part still lasts, estimated at the instant `at`: between `low` and `high` in
    four of five times.

    `median`, `high`: None if it lies beyond what the training has seen. `keep_until`: the planned
    replacement comes too early; the part need not be replaced before this instant. None unless that
    is proven.
    """

    at: datetime
    low: timedelta
    median: timedelta | None
    high: timedelta | None
    keep_until: datetime | None = None

    @property
    def times_ms(self) -> tuple[int, int | None, int | None, int | None]:
        """Return low, median, high, and the time for which to keep the part, in ms."""
        keep = None if self.keep_until is None else self.keep_until - self.at
        return _millis(self.low) or 0, _millis(self.median), _millis(self.high), _millis(keep)

    @classmethod
    def from_times(cls, at: datetime, times: Sequence[int | None] | None) -> "RemainingLife | None":
        """Return the remaining life with the result of `times_ms`; None without."""
        if times is None:
            return None
        low, median, high, keep = (
            None if ms is None else timedelta(milliseconds=ms) for ms in times
        )
        return cls(at, low or timedelta(0), median, high, None if keep is None else at + keep)

    @property
    def sentence(self) -> str:
        """Return how long the part still lasts, e.g. `6 h to 14 h (four of five times)`."""
        low = _rounded(self.low, timedelta(0))
        if self.high is None:
            return translatable("more than {low} (nine of ten times)", low=low)
        high = _rounded(self.high, _step(self.high))
        return translatable("{low} to {high} (four of five times)", low=low, high=high)

    @property
    def advice(self) -> str:
        """Return the advice against the planned replacement; empty without it."""
        if self.keep_until is None:
            return ""
        until = self.keep_until.replace(second=0, microsecond=0).isoformat()
        return translatable("no sign of wear: do not replace before {until}", until=until)

    @property
    def message(self) -> str:
        """Return both, with the instant to which they belong."""
        at = self.at.isoformat()
        lasts = translatable("The part still lasts {time}, as of {at}", time=self.sentence, at=at)
        return joined("; ", lasts, self.advice) if self.advice else lasts


def _millis(value: timedelta | None) -> int | None:
    return None if value is None else value // timedelta(milliseconds=1)


def _step(value: timedelta) -> timedelta:
    return _MINUTE if value < 2 * _HOUR else _HOUR


def _rounded(value: timedelta, added: timedelta) -> Styled:
    step = _step(value)
    whole = (value + added - timedelta(microseconds=1)) // step * step if added else value
    return Styled((whole // step * step).total_seconds(), "duration")
