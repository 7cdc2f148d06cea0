"""Alarms found in past days: nobody was notified, so metrics say that they count them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from alerting.definitions.wording.language import translatable_count
from alerting.episodes.extract import Alarm


@dataclass(frozen=True)
class PastAlarms:
    """Number of alarms of a period found in past days, and whether the metrics count them."""

    found: int
    counted: bool

    @property
    def message(self) -> str:
        """Return a sentence for people; empty without such alarms."""
        if not self.found:
            return ""
        if self.counted:
            return translatable_count(
                "{number} of these alarms was found by evaluating past days, without a "
                "notification",
                "{number} of these alarms were found by evaluating past days, without a "
                "notification",
                self.found,
            )
        return translatable_count(
            "{number} more alarm was found by evaluating past days, without a notification; it "
            "is not counted",
            "{number} more alarms were found by evaluating past days, without a notification; "
            "they are not counted",
            self.found,
        )


def with_past(
    alarms: Sequence[Alarm], start: datetime, end: datetime, wanted: bool | None = None
) -> tuple[list[Alarm], PastAlarms]:
    """Return the alarms for metrics of [start, end), and the past alarms among them.

    `wanted`: count them or not. None: count them while most alarms of the period are past ones, as
    in the first days of an alert.
    """
    within = [a for a in alarms if start <= a.raised_at < end and not a.withdrawn]
    found = sum(a.backfilled for a in within)
    counted = found > len(within) - found if wanted is None else wanted and found > 0
    counted_alarms = [
        replace(a, backfilled=False) if counted and not a.withdrawn else a for a in alarms
    ]
    return counted_alarms, PastAlarms(found, counted)
