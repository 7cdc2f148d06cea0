"""The load of an alert on operators: how often, how bunched, how long (ISA-18.2, EEMUA 191)."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

from alerting.alarm_kpis.floods import PERIOD, count_by_period, find_floods
from alerting.definitions.wording.language import template, templates
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
