"""The additions of a backtest to a report: its trainings, and the load on operators."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

from alerting.alarm_kpis.floods import PERIOD, count_by_period, find_floods
from alerting.definitions.wording.language import template, templates
from alerting.learning.metrics.metrics import EventMetrics
from alerting.reporting.base.estimates import Cases, Estimate, rate_per_week

_EPISODES = Cases(
    templates("{number} alarm", "{number} alarms"),
    templates("{count} of {number} alarm", "{count} of {number} alarms"),
    template("no alarms"),
)


@dataclass(frozen=True)
class Load:
    """Episodes of all assets together, over the evaluated interval [start, end).

    `peak`: most raised within any ten minutes, the first such ten minutes beginning at `peak_at`.
    `floods`: their number, each beginning with a ten-minute period from `start` on with more than
    `flood_above`. `longest_s`: the longest episode. `days_without`: days (UTC) with no episode.
    """

    start: datetime
    end: datetime
    episodes: int
    per_day: float | None
    per_week: Estimate
    busiest_day: date | None
    busiest_day_episodes: int
    days_without: int
    peak: int
    peak_at: datetime | None
    floods: int
    flood_above: int
    longest_s: float | None


def operator_load(
    episodes: Sequence[tuple[datetime, datetime]], start: datetime, end: datetime, flood_above: int
) -> Load:
    """Compute the load of episodes on operators; over `flood_above` in ten minutes is a flood."""
    raised = sorted(at for at, _ in episodes)
    days = (end - start) / timedelta(days=1)
    by_day = Counter(at.astimezone(UTC).date() for at in raised)
    busiest = max(by_day, key=lambda day: (by_day[day], -day.toordinal()), default=None)
    peak, peak_at = _peak(raised)
    last_day = (end - timedelta(microseconds=1)).astimezone(UTC).date()
    return Load(
        start=start,
        end=end,
        episodes=len(raised),
        per_day=len(raised) / days if days > 0 else None,
        per_week=replace(
            rate_per_week(len(raised), days / 7, _EPISODES), unit=template("per week")
        ),
        busiest_day=busiest,
        busiest_day_episodes=by_day[busiest] if busiest else 0,
        days_without=(last_day - start.astimezone(UTC).date()).days + 1 - len(by_day),
        peak=peak,
        peak_at=peak_at,
        floods=len(find_floods(count_by_period(raised, start, end), start, flood_above)),
        flood_above=flood_above,
        longest_s=max(((ended - at).total_seconds() for at, ended in episodes), default=None),
    )


def _peak(raised: Sequence[datetime]) -> tuple[int, datetime | None]:
    """Return the most instants within ten minutes of one of them, and the first such instant."""
    best = 0
    best_at = None
    after = 0
    for i, at in enumerate(raised):
        while after < len(raised) and raised[after] < at + PERIOD:
            after += 1
        if after - i > best:
            best = after - i
            best_at = at
    return best, best_at


@dataclass(frozen=True)
class SegmentMetrics:
    """An interval (start, end] of one champion: the training at its start, and its results.

    `verdict`, `reason`: of the training's decision; "not_trained" where history did not suffice, ""
    without training. `approved`: a person would have had to approve it. `episodes`: found by its
    evaluation, which begins by the latency before it. `version`, `family`, `model_hash`,
    `training_cutoff`: of the model in service during the segment, None without one. `cut_short`:
    families whose search hit its time budget, so that another machine may find another model.
    """

    number: int
    start: datetime
    end: datetime
    verdict: str = ""
    reason: str = ""
    promoted: bool = False
    approved: bool = False
    version: int | None = None
    family: str | None = None
    model_hash: str | None = None
    training_cutoff: datetime | None = None
    cut_short: tuple[str, ...] = ()
    episodes: int = 0
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cost:
    """The cost of missed problems and false alarms; `per_week` of the calendar."""

    misses: float
    false_alarms: float
    total: float
    per_week: float


@dataclass(frozen=True)
class BacktestMetrics:
    """The head of a backtest's page. `subject`: the tested alert; `trained`: how often.

    `events`: result of `learning.metrics.event_metrics`, which also evaluates candidates; None
    without a problem in the data. `beside_acted`: episodes within the outcome window of a live
    episode on which operators acted: if no problem followed there, their action may be the cause.
    `cost`: None where the definition names no costs. `bursts`: a sentence on problems that come in
    bursts, with their number as written and as proposed; empty elsewhere.
    """

    run: str
    subject: str
    trained: str
    segments: tuple[SegmentMetrics, ...]
    load: Load | None
    events: EventMetrics | None
    cost: Cost | None
    beside_acted: int
    bursts: str = ""
