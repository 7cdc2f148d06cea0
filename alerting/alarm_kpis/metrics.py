"""Metrics of alarms, and their targets."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from alerting.alarm_kpis.floods import ABOVE, FloodInterval, ends_below
from alerting.definitions.model import Severity
from alerting.definitions.upkeep import AlarmBudget


@dataclass(frozen=True)
class Targets:
    """Targets after ISA-18.2 / EEMUA 191. Counts are per ten minutes unless named."""

    acceptable: float = 1
    manageable: float = 2
    most: int = ABOVE
    most_periods_above: float = 0.01
    flood_starts_above: int = ABOVE
    flood_ends_below: int = ends_below(ABOVE)
    most_time_in_flood: float = 0.01
    per_hour: float = 6
    hour_above: int = 30
    most_hours_above: float = 0.01
    per_day: float = 144
    chatter_cycles: int = 3
    chatter_within: timedelta = timedelta(minutes=1)
    stale_after: timedelta = timedelta(hours=24)
    most_stale: int = 5
    top: int = 10
    top_share: float = 0.05
    low_share: float = 0.8
    medium_share: float = 0.15
    high_share: float = 0.05
    critical_share: float = 0.01

    def share(self, severity: Severity) -> float:
        """Return the share of alarms that should have this severity."""
        return float(getattr(self, f"{severity}_share"))


TARGETS = Targets()


def targets_under(budget: AlarmBudget) -> Targets:
    """Return the default targets with the platform's own flood and share of time in it."""
    return replace(
        TARGETS,
        most=budget.flood_above,
        most_periods_above=budget.most_floods,
        flood_starts_above=budget.flood_above,
        flood_ends_below=ends_below(budget.flood_above),
        most_time_in_flood=budget.most_floods,
    )


@dataclass(frozen=True)
class LoadBand:
    """Share (None: no period) of periods with `least` to `most` alarms (None: any number)."""

    name: str
    least: int
    most: int | None
    periods: int
    share: float | None


@dataclass(frozen=True)
class Chatter:
    """A definition on an asset that chattered. `cycles`: alarms in its bursts."""

    definition: str
    asset: str
    cycles: int
    bursts: int
    first: datetime
    last: datetime


@dataclass(frozen=True)
class Stale:
    """An alarm that was active for too long."""

    episode: str
    definition: str
    asset: str
    raised_at: datetime
    active_for: timedelta
    still: bool


@dataclass(frozen=True)
class Frequent:
    """One of the most frequent alarms."""

    definition: str
    asset: str
    alarms: int
    share: float


@dataclass(frozen=True)
class Priority:
    """Number of alarms of one severity, their share, and the share they should have."""

    severity: Severity
    alarms: int
    share: float
    target: float


@dataclass(frozen=True)
class Spread:
    """A distribution of durations. `missing`: alarms that have none yet."""

    count: int
    median: timedelta | None
    p90: timedelta | None
    longest: timedelta | None
    missing: int


@dataclass(frozen=True)
class MetricResult:
    """A metric and its target; `met`, `value`: None where too little, or nothing, is known."""

    metric: str
    value: float | None
    target: str
    met: bool | None


@dataclass(frozen=True)
class Kpis:
    """Metrics of alarms over [start, end).

    `silent`: alarms without a notification, which are not counted; `suppressed`: those among them
    that were suppressed by design; `maintenance`: those raised in maintenance. `asked`: length of
    the period, or of the shift's hours in it; `observed`: how much of that was evaluated, and
    counts; `observed_since`: its first instant, None if nothing was evaluated: rates and shares are
    then None, too. A rate is also None where less than its own time was evaluated: seven minutes
    say nothing of a day. `distribution`: ten-minute periods with 0, 1, 2 … alarms, the last number
    with more than that. `hourly`: alarms in each hour from `start` on.
    """

    start: datetime
    end: datetime
    asked: timedelta
    observed: timedelta
    observed_since: datetime | None
    alarms: int
    silent: int
    suppressed: int
    maintenance: int
    per_ten_minutes: float | None
    per_hour: float | None
    per_day: float | None
    busiest: int | None
    busiest_at: datetime | None
    bands: tuple[LoadBand, ...]
    distribution: tuple[int, ...]
    hourly: tuple[int, ...]
    periods_above: float | None
    hours_above: float | None
    floods: tuple[FloodInterval, ...]
    time_in_flood: float | None
    chattering: tuple[Chatter, ...]
    stale: tuple[Stale, ...]
    top: tuple[Frequent, ...]
    top_share: float
    priorities: tuple[Priority, ...]
    to_acknowledge: Spread
    to_clear: Spread
    findings: tuple[MetricResult, ...]
    note: str
