"""The reading that is carried forward from one evaluation to the next."""

from dataclasses import dataclass, replace
from datetime import datetime

from alerting.detection.evaluation import Fact

INSIDE = "inside"  # the side of a band


@dataclass(frozen=True)
class Carried:
    """The last reading judged: it holds until the next one. `value` None: no reading yet, waiting since `at`; or a `bad` one,
    without a value.

    `rate`: its rate of change, where rates are judged. `beyond`: limits that it is beyond, as `severity.side`.
    `recent`: ranks of the readings before it that still count for `at_least`, oldest first.
    `same_since`: since when the value has not changed.
    """

    variable: str
    at: datetime
    value: float | str | None
    rate: float | None = None
    beyond: tuple[str, ...] = ()
    recent: tuple[int, ...] = ()
    same_since: datetime | None = None
    bad: bool = False

    def under_another_revision(self) -> "Carried":
        """Without what was judged by other limits: the next reading begins to count anew, the side of a limit is kept."""
        return replace(self, recent=(), rate=None)


@dataclass(frozen=True)
class Seen:
    """What holds at an instant: the last reading, the number that is judged (a value or a rate), when it was taken."""

    at: datetime
    value: float | str | None
    judged: float | None
    fact: Fact | None
