"""Normal time of a training, and the rule by which false alarms on unseen normal time are too many."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from scipy.stats import poisson

from alerting.definitions.faults import UserError
from alerting.definitions.fields.learning import Dates
from alerting.kinds.normal_definition import NormalDefinition
from alerting.kinds.training import NormalTime, TrainingSource
from alerting.readings.history import duration_millis, from_millis, to_millis

LEAST_ALLOWED = 0.5  # false alarms: with fewer allowed in the unseen time, even a useless model mostly raises none
MOST_IN_ALARM = 0.2  # share of unseen normal time; one alarm that lasts counts once, however long
_TOO_MANY = 0.05  # probability of so many false alarms by chance, below which there are too many
_SEEN = 0.8  # of a normal period without dates; the rest counts false alarms
_UNSEEN = timedelta(days=28)  # after a period with dates: the newest time that counts false alarms
_MOMENT = timedelta(milliseconds=1)
_NONE = "-"


def normal_time(definition: NormalDefinition, first: datetime, last: datetime) -> NormalTime:
    """Return the times to read, of readings from `first` to `last`: the period as written, and unseen time after it."""
    if isinstance(definition.normal, Dates):
        cutoff = min(definition.normal.end or last, last)
        return NormalTime(definition.normal.start, cutoff, last, max(cutoff, last - _UNSEEN))
    start = max(first - _MOMENT, last - definition.normal)
    return NormalTime(start, from_millis(round(to_millis(start) + _SEEN * duration_millis(last - start))), last)


def no_readings(definition: NormalDefinition, source: TrainingSource, of: str = "", fields: str = "assets") -> UserError:
    """Return the refusal of a training without any reading `of` a variable."""
    names = ", ".join(asset.name for asset in source.assets) or f"assets that match {', '.join(definition.assets)}"
    return UserError(f"{definition.name}: no readings of {f'{of} on ' if of else ''}{names}; import readings, or check {fields}")


def is_too_many(false_alarms: int, allowed: float, in_alarm: float) -> bool:
    """Return whether so many false alarms are unlikely (5 %) at the rate allowed, or last too long (share of normal time)."""
    return in_alarm > MOST_IN_ALARM or (false_alarms > 0 and float(poisson.sf(false_alarms - 1, allowed)) < _TOO_MANY)


def compared_rows(titles: Sequence[str], challenger: Sequence[str], champion: Sequence[str] | None) -> Iterator[dict[str, str]]:
    """Yield the rows of the comparison that people see; a dash where there is no champion."""
    for title, old, new in zip(titles, champion or (_NONE,) * len(titles), challenger, strict=True):
        yield {"title": title, "champion": old, "challenger": new}
