"""Rules of trainings that learn normal operation: the times to read, and when false alarms are too
many."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from math import ceil, exp, lgamma, log
from typing import NamedTuple

from alerting.definitions.faults import TrainingRefused, format_duration
from alerting.definitions.fields.learning import Dates
from alerting.definitions.model import ModelDefinition
from alerting.definitions.wording.language import translatable
from alerting.kinds.normal_definition import NormalDefinition
from alerting.kinds.protocol.training import NormalTime, TrainingSource
from alerting.learning.metrics.confidence import wilson_interval
from alerting.readings.history import Millis, duration_millis, from_millis, to_millis

# false alarms: with fewer allowed in the unseen time, even a useless model mostly raises none
LEAST_ALLOWED = 0.5
MOST_IN_ALARM = 0.2  # share of unseen normal time; one alarm that lasts counts once, however long
_TOO_MANY = 0.05  # probability of so many false alarms by chance, below which there are too many
_SEEN = 0.8  # of a normal period without dates; the rest counts false alarms
_ENOUGH = 1.1  # of the least unseen time, because some of it is not normal
_UNSEEN = timedelta(days=28)  # after a period with dates: the newest time that counts false alarms
_MOMENT = timedelta(milliseconds=1)
_NONE = "-"
_EVER = datetime.min.replace(tzinfo=UTC)


def normal_time(definition: NormalDefinition, first: datetime, last: datetime) -> NormalTime:
    """Return the times to read, of readings from `first` to `last`: the period as written, and
    unseen time after it."""
    if isinstance(definition.normal, Dates):
        cutoff = min(definition.normal.end or last, last)
        return NormalTime(definition.normal.start, cutoff, last, max(cutoff, last - _UNSEEN))
    start = max(first - _MOMENT, last - definition.normal)
    return NormalTime(
        start, from_millis(round(to_millis(start) + _SEEN * duration_millis(last - start))), last
    )


def times_of_readings(
    definition: ModelDefinition, source: TrainingSource, *variables: str
) -> tuple[datetime, datetime]:
    """Return the instant of the first reading, and of the newest known one of these variables.

    Raises UserError if these variables have no readings.
    """
    newest = [
        at.to_pydatetime()
        for name in variables
        for asset in source.assets
        if name in asset.variables
        for at in source.readings.newest_values(
            asset, {name: _EVER}, source.as_of - definition.delay(asset)
        ).index
    ]
    if not newest:
        raise no_readings(definition, source, ", ".join(variables))
    spans = (source.readings.span(asset.name, source.as_of) for asset in source.assets)
    return min(span[0] for span in spans if span is not None), max(newest)


def no_readings(
    definition: ModelDefinition, source: TrainingSource, of: str = "", fields: str = "assets"
) -> TrainingRefused:
    """Return the refusal of a training without any reading `of` a variable."""
    names = ", ".join(asset.name for asset in source.assets) or translatable(
        "assets that match {patterns}", patterns=", ".join(definition.assets)
    )
    what = translatable("{variable} on {names}", variable=of, names=names) if of else names
    return TrainingRefused(
        definition.name,
        translatable(
            "no readings of {names}; import readings, or check {fields}", names=what, fields=fields
        ),
    )


def propose_end(period: NormalTime, allowed: float, champion_cutoff: datetime | None = None) -> str:
    """Return how the platform could decide by itself where the unseen time is too short: by an
    earlier end of the normal period, otherwise by more readings.

    `allowed`: false alarms in the unseen time. `champion_cutoff`: until then the one in service has
    seen the readings. Empty without unseen time of a known rate.
    """
    begin = max(period.unseen_from or period.cutoff, champion_cutoff or period.cutoff)
    unseen = period.end - begin
    if allowed <= 0 or unseen <= timedelta(0):
        return ""
    needed = unseen * (_ENOUGH * LEAST_ALLOWED / allowed)
    end = period.end - needed
    learned = end - period.start
    seen_before = champion_cutoff is None or champion_cutoff <= end
    if needed <= _UNSEEN and seen_before and 2 * learned >= period.cutoff - period.start:
        written = f"{{from: {_written(period.start)}, to: {_written(end)}}}"
        return f" With `normal: {written}` there is enough of it, and the platform decides."
    days = ceil((needed - unseen) / timedelta(days=1))
    return f" About {days} more {'day' if days == 1 else 'days'} of readings are needed."


def _written(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%MZ}"


def is_too_many(false_alarms: int, allowed: float, in_alarm: float) -> bool:
    """Return whether so many false alarms are unlikely (5 %) at the rate allowed, or last too long
    (share of normal time)."""
    return in_alarm > MOST_IN_ALARM or (
        false_alarms > 0 and _chance_of(false_alarms, allowed) < _TOO_MANY
    )


class FoundProblems(NamedTuple):
    """Problems that alarms found, those `announced` before they began, and the seconds from the
    beginning of the others to their alarm, added up."""

    problems: int
    found: int
    announced: int
    waited_s: float

    def describe(self) -> str:
        """Return how many problems were found, announced, and after which time the others."""
        if not self.problems:
            return "no problem to find"
        text = f"{self.found} of {self.problems} problems found"
        if not self.found:
            return text
        text += f" ({self.announced} announced"
        if late := self.found - self.announced:
            after = format_duration(timedelta(seconds=round(self.waited_s / late)))
            text += f", {late} found while it lasted, after {after} on average"
        return f"{text})"


def count_found(problems: Sequence[tuple[int, int]], alarms: Millis, before: int) -> FoundProblems:
    """Count the problems (start and end in ms) with one of these instants of alarm in them, or at
    most `before` ms earlier."""
    first = [alarms[(alarms > a - before) & (alarms <= b)][:1] for a, b in problems]
    leads = [a - int(at[0]) for (a, _), at in zip(problems, first, strict=True) if len(at)]
    waited = -sum(lead for lead in leads if lead <= 0) / 1000
    return FoundProblems(len(problems), len(leads), sum(lead > 0 for lead in leads), waited)


def share_interval(share: float, variance: float, blocks: int) -> tuple[float, float]:
    """Return the 95 % interval of a share of time (Wilson), for as many independent instants as
    the `variance` between `blocks` of time leaves."""
    count = max(share * (1 - share) / variance if variance > 0 else 0.0, blocks, 1)
    return wilson_interval(share * count, count)


def _chance_of(count: int, expected: float) -> float:
    """Return the probability of at least so many (Poisson)."""
    if expected <= 0:
        return 0.0
    return 1.0 - sum(
        exp(number * log(expected) - expected - lgamma(number + 1)) for number in range(count)
    )


def compared_rows(
    titles: Sequence[str], challenger: Sequence[str], champion: Sequence[str] | None = None
) -> Iterator[dict[str, str]]:
    """Yield the rows of the comparison that people see; a dash where there is no champion."""
    for title, old, new in zip(titles, champion or (_NONE,) * len(titles), challenger, strict=True):
        yield {"title": title, "champion": old, "challenger": new}
