"""What the page of a report says of its own life: period, revision, what changed, and earlier revisions."""

from dataclasses import dataclass, field

from alerting.reporting.life.differences import Difference


@dataclass(frozen=True)
class ReportLife:
    """`period`: name of the calendar period, None for an interval that a person chose. `unseen`: see `ReportHead`.

    `differences`: from the revision before, empty for the first one.
    """

    period: str | None = None
    revision: int = 1
    unseen: bool = False
    differences: tuple[Difference, ...] = field(default_factory=tuple)
