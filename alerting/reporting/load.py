"""How much an alert asks of the people who answer it: how often, how bunched, how long (after ISA-18.2 and EEMUA 191)."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

from alerting.reporting.estimates import Estimate, rate_per_week

PERIOD = timedelta(minutes=10)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FLOOD = 10  # more than this many in ten minutes is more than one operator can answer (EEMUA 191)


@dataclass(frozen=True)
class Load:
    """Episodes of all assets together, over the stretch [start, end) that was judged.

    `peak`: most raised within any ten minutes, the first such ten minutes beginning at `peak_at`. `floods`: ten-minute
    periods of the clock with more than ten. `longest_s`: the longest episode. `days_without`: days (UTC) with no episode.
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
    longest_s: float | None


def operator_load(spells: Sequence[tuple[datetime, datetime]], start: datetime, end: datetime) -> Load:
    """The load of episodes (raised, ended) on whoever answers them. Instants are UTC, `start` lies before `end`."""
    raised = sorted(at for at, _ in spells)
    days = (end - start) / timedelta(days=1)
    by_day = Counter(at.astimezone(UTC).date() for at in raised)
    busiest = max(by_day, key=lambda day: (by_day[day], -day.toordinal()), default=None)
    peak, peak_at = _peak(raised)
    return Load(
        start=start,
        end=end,
        episodes=len(raised),
        per_day=len(raised) / days if days > 0 else None,
        per_week=replace(rate_per_week(len(raised), days / 7, "episodes"), unit="per week"),
        busiest_day=busiest,
        busiest_day_episodes=by_day[busiest] if busiest else 0,
        days_without=_days_between(start, end) - len(by_day),
        peak=peak,
        peak_at=peak_at,
        floods=sum(count > FLOOD for count in Counter((at - _EPOCH) // PERIOD for at in raised).values()),
        longest_s=max(((ended - at).total_seconds() for at, ended in spells), default=None),
    )


def _peak(raised: Sequence[datetime]) -> tuple[int, datetime | None]:
    """Most of the sorted instants within ten minutes of one of them, and the first one of which that is true."""
    best, best_at, after = 0, None, 0
    for i, at in enumerate(raised):
        while after < len(raised) and raised[after] < at + PERIOD:
            after += 1
        if after - i > best:
            best, best_at = after - i, at
    return best, best_at


def _days_between(start: datetime, end: datetime) -> int:
    """Days (UTC) that the stretch [start, end) touches."""
    last = end - timedelta(microseconds=1)
    return (last.astimezone(UTC).date() - start.astimezone(UTC).date()).days + 1
