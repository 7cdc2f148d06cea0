"""Signals of a control chart on unseen points: good, bad, or too few points to tell."""

from math import ceil
from typing import NamedTuple

from alerting.kinds.normal.training import (
    LEAST_ALLOWED,
    MOST_IN_ALARM,
    FoundProblems,
    is_too_many,
)
from alerting.learning.metrics.confidence import poisson_interval


class Signals(NamedTuple):
    """Signals that began on unseen points. `expected`: false ones that are allowed on average.

    `lasting`: points from the first to the last of each. `found`: problems there.
    """

    signals: int
    points: int
    expected: float
    lasting: int
    found: FoundProblems = FoundProblems(0, 0, 0, 0.0)

    @property
    def is_enough(self) -> bool:
        return self.expected >= LEAST_ALLOWED

    def describe(self) -> str:
        """Return the count in a sentence, or how many points it needs."""
        if not self.points:
            return "There is no unseen time yet on which its false alarms could be counted."
        problems = f" {self.found.describe()}." if self.found.problems else ""
        if not self.is_enough and not self.is_too_many:
            needed = ceil(LEAST_ALLOWED * self.points / self.expected)
            few = f"{self.points}; about {needed} needed"
            return f"There are too few unseen points to count false alarms ({few}).{problems}"
        low, high = poisson_interval(self.signals)
        signals = "1 signal" if self.signals == 1 else f"{self.signals} signals"
        return (
            f"{self._verdict}: {signals} on {self.points} unseen points (95 % "
            f"interval {low:.2g} to {high:.2g}), where its run length allows {self.expected:.2g}."
            f"{problems}"
        )

    @property
    def _verdict(self) -> str:
        if self.in_alarm > MOST_IN_ALARM:
            return "Its signals last too long"
        return "It signals too often" if self.is_too_many else "Its false alarms are as allowed"

    @property
    def in_alarm(self) -> float:
        return self.lasting / self.points if self.points else 0.0

    @property
    def is_too_many(self) -> bool:
        return is_too_many(self.signals, self.expected, self.in_alarm)
