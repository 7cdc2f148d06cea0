"""Remaining life of a part: the interval in which its life will end, and advice against a planned
replacement; as values, and in sentences for people."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from alerting.definitions.wording.language import Styled, joined, translatable

_HOUR = timedelta(hours=1)


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
        low = _rounded(self.low)
        if self.high is None:
            return translatable("more than {low} (nine of ten times)", low=low)
        high = _rounded(self.high, is_up=True)
        return translatable("{low} to {high} (four of five times)", low=low, high=high)

    @property
    def message(self) -> str:
        """Return the same with its instant, and the advice against the planned replacement."""
        lasts = translatable(
            "The part still lasts {time}, as of {at}", time=self.sentence, at=self.at
        )
        if self.keep_until is None:
            return lasts
        until = self.keep_until.replace(second=0, microsecond=0)
        advice = translatable("no sign of wear: do not replace before {until}", until=until)
        return joined("; ", lasts, advice)


def _millis(value: timedelta | None) -> int | None:
    return None if value is None else value // timedelta(milliseconds=1)


def _rounded(value: timedelta, is_up: bool = False) -> Styled:
    step = timedelta(minutes=1) if value < 2 * _HOUR else _HOUR
    steps = -(-value // step) if is_up else value // step
    return Styled((steps * step).total_seconds(), "duration")
