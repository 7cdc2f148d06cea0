"""Findings of drift on one asset of a definition: what moved, since when, beside what, and what to
do.

A sensor alone, whose relation to the others broke at once, is mended; what people set as never
before, and what grew over days, is learned; for all else the engineer looks first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from alerting.learning.metrics.day_drift import DayCheck, Onset
from alerting.learning.metrics.normal_days import DAY, Aspect

Cause = Literal["sensor", "settings", "slow", "process"]
Proposal = Literal["sensor", "retrain", "exclude"]
_PROPOSALS: Mapping[Cause, Proposal] = {
    "sensor": "sensor",
    "settings": "retrain",
    "slow": "retrain",
    "process": "exclude",
}
MOST_DISMISSALS = 50
"""Of a definition that are stored, the newest."""
MOST_MOVED = 20
"""Variables of a finding that are stored, those that moved most."""


@dataclass(frozen=True)
class DayLevel:
    """The median of a variable over the 24 hours before `end`."""

    end: datetime
    level: float


@dataclass(frozen=True)
class MovedVariable:
    """A variable that moved: its `level` in the last 24 hours, the `expected` one, and how far
    chance leads from that at most."""

    variable: str
    aspect: Aspect
    level: float
    expected: float
    limit: float
    slowly: bool

    @property
    def strength(self) -> float:
        """Return how many times as far as by chance at most."""
        return abs(self.level - self.expected) / max(self.limit, 1e-12)


@dataclass(frozen=True)
class DriftFinding:
    """What moved on an asset, the strongest first, since when, and beside which settings that the
    training does not know. `days`: of the first variable, for its picture. `seen_at`: of the last
    check that found it.
    """

    asset: str
    since: datetime
    cause: Cause
    moved: tuple[MovedVariable, ...]
    beside: tuple[str, ...] = ()
    days: tuple[DayLevel, ...] = ()
    seen_at: datetime | None = None

    def may_go_on(self, at: datetime) -> bool:
        """Return whether hours in which it moved are still among the last 24: until then it is the
        same finding if it moves again."""
        return self.seen_at is not None and at - self.seen_at < timedelta(hours=DAY)

    @property
    def proposal(self) -> Proposal:
        """Return what to do."""
        return _PROPOSALS[self.cause]

    @property
    def variables(self) -> tuple[str, ...]:
        """Return the names of what moved."""
        return tuple(one.variable for one in self.moved)


@dataclass(frozen=True)
class Dismissal:
    """That a person knows of moved variables of an asset: no alert on them until `until`."""

    asset: str
    variables: tuple[str, ...]
    until: datetime
    by: str
    reason: str
    at: datetime


@dataclass(frozen=True)
class DriftDoubt:
    """Why drift on an asset cannot be told, of all variables or of some; without an asset: of the
    definition."""

    asset: str
    reason: str


@dataclass(frozen=True)
class DefinitionDrift:
    """The last check of a definition: `version` learned from [`learned_from`, `learned_until`).

    `doubts`: why some of it cannot be told; findings there may be those of the check before.
    """

    definition: str
    as_of: datetime
    version: int | None = None
    learned_from: datetime | None = None
    learned_until: datetime | None = None
    findings: tuple[DriftFinding, ...] = ()
    doubts: tuple[DriftDoubt, ...] = ()
    dismissals: tuple[Dismissal, ...] = ()

    def dismissed(self, finding: DriftFinding, at: datetime) -> Dismissal | None:
        """Return the dismissal that covers all that moved, None without one in force."""
        in_force = (d for d in self.dismissals if d.asset == finding.asset and d.until > at)
        return next((d for d in in_force if set(finding.variables) <= set(d.variables)), None)

    def not_dismissed(self, at: datetime) -> tuple[DriftFinding, ...]:
        """Return the findings that no dismissal covers."""
        return tuple(one for one in self.findings if self.dismissed(one, at) is None)


def describe_moved(checks: Sequence[DayCheck], onsets: Mapping[str, Onset]) -> list[MovedVariable]:
    """Return the variables that moved, the strongest first, each once: as a broken relation where
    that moved, too. `onsets`: by variable."""
    found: dict[str, MovedVariable] = {}
    for check in sorted(checks, key=lambda c: c.aspect):  # level before relation
        if check.moved:
            slowly = check.variable in onsets and onsets[check.variable].slowly
            expected = check.level - check.shift
            found[check.variable] = MovedVariable(
                check.variable, check.aspect, check.level, expected, check.limit, slowly
            )
    ordered = sorted(found.values(), key=lambda one: (-one.strength, one.variable))
    return ordered[:MOST_MOVED]


def find_cause(moved: Sequence[MovedVariable], beside: Sequence[str]) -> Cause:
    """Return what explains what moved."""
    if beside:
        return "settings"
    if all(one.slowly for one in moved):
        return "slow"
    return "sensor" if len(moved) == 1 else "process"


def go_on(found: DriftFinding, before: Sequence[DriftFinding]) -> DriftFinding:
    """Return a finding that began when the same did in the check before."""
    same = [
        one.since
        for one in before
        if one.asset == found.asset and not set(one.variables).isdisjoint(found.variables)
    ]
    return replace(found, since=min([found.since, *same]))
