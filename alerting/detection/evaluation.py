"""Result of an evaluation: triggered, clear or unknown, with value, threshold and reason."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from alerting.definitions.model import Severity

Status = Literal["triggered", "clear", "unknown"]
Fact = Literal["waiting", "stale", "frozen", "out_of_range", "bad_quality", "no_rate", "no_limit"]
# what `no_data` decides about
MISSING: tuple[Fact, ...] = ("stale", "frozen", "out_of_range", "bad_quality")


@dataclass(frozen=True)
class Evaluation:
    """Result of evaluating one target at one instant.

    `value` is the evaluated number (a reading, or a probability), None when unknown. `reason` is a
    sentence in plain words. `model_version` is the registry version that scored, None for threshold
    kinds.
    """

    at: datetime
    status: Status
    reason: str
    value: float | None = None
    threshold: float | None = None
    model_version: int | None = None


@dataclass(frozen=True)
class StatusInterval:
    """Interval [start, end) with one status without a break.

    `severity`: of a triggered one, the worst level reached (None: the least severe). `fact`: the
    fault of the data, if any: `waiting` for the first reading, `stale` since the last, `frozen` at
    one value, `out_of_range` of the engineering range, `bad_quality` according to its source,
    `no_rate` without an earlier reading to compare with, `no_limit` where the asset does not state
    it.
    """

    start: datetime
    end: datetime
    status: Status
    severity: Severity | None = None
    fact: Fact | None = None


INSIDE = "inside"  # the side of a band


@dataclass(frozen=True)
class Carried:
    """Last evaluated reading, which is carried forward to the next one.

    `value`: None while no reading has come since `at`, or for a `bad` reading, which has no value.
    `rate`: its rate of change, for definitions on rates. `beyond`: limits that it is beyond, as
    `severity.side`. `recent`: ranks of the readings before it that still count for `at_least`,
    oldest first. `same_since`: since when the value has not changed. `memory`: what a kind needs to
    know of earlier readings, as plain numbers. `parts`: the last reading of each of several
    conditions, which are carried together; None for one without.
    """

    variable: str
    at: datetime
    value: float | str | None
    rate: float | None = None
    beyond: tuple[str, ...] = ()
    recent: tuple[int, ...] = ()
    same_since: datetime | None = None
    bad: bool = False
    memory: tuple[float, ...] = ()
    parts: "tuple[Carried | None, ...]" = ()

    def under_another_revision(self) -> "Carried":
        """Return it without what depends on the limits of the earlier revision.

        The count of `at_least` begins again; the side of a limit is retained.
        """
        return replace(self, recent=(), rate=None)


@dataclass(frozen=True)
class LimitInForce:
    """A learned limit for one reading, by severity and side: None where it is unknown;
    `description`: how it was found."""

    severity: Severity
    side: str
    limit: float | None
    description: str


@dataclass(frozen=True)
class ReadingInForce:
    """The reading in force at an instant: when it was taken, its value, and the evaluated number (a
    value or a rate).

    `learned`: the learned limits for it.
    """

    at: datetime
    value: float | str | None
    evaluated: float | None
    fact: Fact | None
    learned: tuple[LimitInForce, ...] = ()
