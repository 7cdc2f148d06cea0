"""Quality of alarms for operators, after ISA-18.2, IEC 62682 and EEMUA 191.

The targets are defaults after these standards; nothing here certifies anything. Averages hide
floods, so the metrics include the share of time in them.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np

from alerting.definitions.fields.names_and_times import Interval, length
from alerting.definitions.wording.language import (
    Styled,
    in_english,
    translatable,
    translatable_count,
)
from alerting.episodes.episode import Alarm, Episode, alarm_of
from alerting.operators.alarm_load import (
    ABOVE,
    PERIOD,
    FloodInterval,
    count_by_period,
    find_floods,
    time_in_flood,
)
from alerting.readings.history import Millis, duration_millis, to_millis

USUAL = 1
"""Alarms within ten minutes that are acceptable for long."""
MANAGEABLE = 2
CHATTER_CYCLES = 3
CHATTER_WITHIN = timedelta(minutes=1)
STALE_AFTER = timedelta(days=1)
MOST_STALE = 5
TOP = 10
TOP_SHARE = 0.05
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Targets:
    """The targets of a plant or a position. `flood_above`: more alarms within ten minutes begin a
    flood; `most_time_in_flood`: a share; `per_day`: the alarm budget."""

    flood_above: int = ABOVE
    most_time_in_flood: float = 0.01
    per_day: float = 144


@dataclass(frozen=True)
class Chatter:
    """A chattering alarm: a definition on an asset whose alarm came and cleared three times or more
    within a minute. `cycles`: number of alarms in such bursts."""

    definition: str
    asset: str
    cycles: int
    bursts: int
    last: datetime


@dataclass(frozen=True)
class Stale:
    """An alarm that was active for more than a day."""

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
class MetricResult:
    """A metric and its target. `met`: None if too little is known; `value`: None if nothing is
    known."""

    metric: str
    value: float | None
    target: str
    met: bool | None


@dataclass(frozen=True)
class Kpis:
    """Metrics of alarms over [start, end).

    `silent`: number of alarms without a notification, which no metric counts; `suppressed`: those
    of them that were suppressed by design; `maintenance`: those raised in maintenance. `observed`:
    evaluated time, on which all metrics rest; `observed_since`: its first instant, None if nothing
    was evaluated: rates and shares are then None, too. A rate is also None if less time was
    evaluated than it is per: seven minutes say nothing of a day. `distribution`: number of
    ten-minute periods with 0, 1, 2 … alarms, the last one for all higher numbers.
    """

    start: datetime
    end: datetime
    observed: timedelta
    observed_since: datetime | None
    alarms: int
    silent: int
    suppressed: int
    maintenance: int
    per_ten_minutes: float | None
    per_day: float | None
    busiest: int | None
    busiest_at: datetime | None
    distribution: tuple[int, ...]
    floods: tuple[FloodInterval, ...]
    time_in_flood: float | None
    chattering: tuple[Chatter, ...]
    stale: tuple[Stale, ...]
    top: tuple[Frequent, ...]
    findings: tuple[MetricResult, ...] = ()

    @property
    def observation(self) -> str:
        """Return a sentence on how much of the period was evaluated; empty if all of it was."""
        if self.observed_since is None:
            return translatable("nothing was evaluated in this period, so its rates are not known")
        if self.observed >= self.end - self.start:
            return ""
        return translatable(
            "observed {part} of {whole}, since {when}",
            part=Styled(self.observed.total_seconds(), "duration"),
            whole=Styled((self.end - self.start).total_seconds(), "duration"),
            when=self.observed_since,
        )


@dataclass(frozen=True)
class PastAlarms:
    """Backfilled alarms of a period, of which nobody was notified, and whether the metrics count
    them."""

    found: int
    counted: bool

    @property
    def message(self) -> str:
        """Return a sentence on these alarms for people; empty without any."""
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
    alarms: Sequence[Alarm], start: datetime, end: datetime, count: bool | None = None
) -> tuple[list[Alarm], PastAlarms]:
    """Return the alarms for metrics of [start, end), and a summary of the backfilled alarms of that
    time.

    `count`: whether to count backfilled alarms. None: count them as long as most alarms of the
    period are backfilled, as in the first days of an alert.
    """
    within = [a for a in alarms if start <= a.raised_at < end and not a.withdrawn]
    past = sum(a.backfilled for a in within)
    counted = past > len(within) - past if count is None else count and past > 0
    counted_alarms = [
        replace(a, backfilled=False) if counted and not a.withdrawn else a for a in alarms
    ]
    return counted_alarms, PastAlarms(past, counted)


def kpis(
    episodes: Iterable[Episode | Alarm],
    start: datetime,
    end: datetime,
    targets: Targets | None = None,
    evaluated: Sequence[Interval] | None = None,
) -> Kpis:
    """Return the metrics of alarms raised in [start, end); stale alarms may have been raised
    before.

    Not counted are backfilled and withdrawn episodes, and episodes without a notification because
    of a mute or suppression by design. Live episodes that late data withdrew count, because
    recipients were notified. Ten-minute periods begin at `start`; a shorter last period counts like
    any other. `evaluated`: disjoint intervals in which alarms could be raised, to which rates and
    shares refer; without any interval these are None. None: the whole period.
    """
    targets = targets or Targets()
    intervals = [(start, end)] if evaluated is None else evaluated
    observed = length(intervals)
    live = [a for a in map(alarm_of, episodes) if not a.backfilled and not a.withdrawn]
    raised = sorted((e for e in live if start <= e.raised_at < end), key=lambda e: e.raised_at)
    notified = [e for e in raised if not e.silent]
    every = count_by_period((e.raised_at for e in notified), start, end)
    counts = _counts_within(every, intervals, start)
    floods = find_floods(every, start, targets.flood_above)
    most = targets.flood_above
    metrics = Kpis(
        start=start,
        end=end,
        observed=observed,
        observed_since=intervals[0][0] if intervals else None,
        alarms=len(notified),
        silent=len(raised) - len(notified),
        suppressed=sum(e.suppressed for e in raised if e.silent),
        maintenance=sum(e.in_maintenance for e in raised),
        per_ten_minutes=len(notified) * PERIOD / observed if observed >= PERIOD else None,
        per_day=len(notified) * _DAY / observed if observed >= _DAY else None,
        busiest=int(every.max()) if len(counts) else None,
        busiest_at=start + int(every.argmax()) * PERIOD if notified else None,
        distribution=tuple(np.bincount(np.minimum(counts, most + 1), minlength=most + 2).tolist()),
        floods=floods,
        time_in_flood=time_in_flood(floods, len(counts)) if len(counts) else None,
        chattering=find_chattering(notified),
        stale=find_stale(live, start, end),
        top=most_frequent(notified, TOP),
    )
    return replace(metrics, findings=_findings(metrics, targets))


def _counts_within(counts: Millis, intervals: Sequence[Interval], start: datetime) -> Millis:
    """Return the counts of the periods that touch an evaluated interval or contain an alarm."""
    width = duration_millis(PERIOD)
    begins = to_millis(start) + width * np.arange(len(counts), dtype=np.int64)
    inside = counts > 0
    for a, b in intervals:
        inside |= (begins < to_millis(b)) & (begins + width > to_millis(a))
    return counts[inside]


def find_chattering(episodes: Sequence[Episode | Alarm]) -> tuple[Chatter, ...]:
    """Return alarms with three cycles or more within a minute, the worst first."""
    by_target: dict[tuple[str, str], list[tuple[datetime, datetime]]] = defaultdict(list)
    for e in episodes:
        if e.closed_at is not None:
            by_target[e.definition, e.asset].append((e.raised_at, e.closed_at))
    chattering = []
    for (definition, asset), closed in by_target.items():
        closed.sort()
        bursts: list[list[int]] = []
        for last in range(CHATTER_CYCLES - 1, len(closed)):
            first = last - CHATTER_CYCLES + 1
            if closed[last][1] - closed[first][0] > CHATTER_WITHIN:
                continue
            if bursts and first <= bursts[-1][1]:
                bursts[-1][1] = last
            else:
                bursts.append([first, last])
        if bursts:
            cycles = len({i for first, last in bursts for i in range(first, last + 1)})
            end = closed[bursts[-1][1]][1]
            chattering.append(Chatter(definition, asset, cycles, len(bursts), end))
    return tuple(sorted(chattering, key=lambda c: (-c.cycles, c.definition, c.asset)))


def find_stale(
    episodes: Sequence[Episode | Alarm], start: datetime, end: datetime
) -> tuple[Stale, ...]:
    """Return the alarms active for more than a day in [start, end), the longest first."""
    stale = []
    for e in episodes:
        until = min(e.closed_at or end, end)
        if until > start and until - e.raised_at > STALE_AFTER:
            still = e.closed_at is None or e.closed_at > end
            lasting = until - e.raised_at
            stale.append(Stale(e.id, e.definition, e.asset, e.raised_at, lasting, still))
    return tuple(sorted(stale, key=lambda s: (-s.active_for, s.episode)))


def most_frequent(episodes: Sequence[Episode | Alarm], number: int) -> tuple[Frequent, ...]:
    """Return the most frequent alarms, each a definition on an asset, with their share of all."""
    counts = Counter((e.definition, e.asset) for e in episodes)
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:number]
    return tuple(Frequent(d, a, n, n / len(episodes)) for (d, a), n in ranked)


def _findings(k: Kpis, targets: Targets) -> tuple[MetricResult, ...]:
    """Return every metric with its target; without evaluated time a count is unknown.

    Over less than thirty days only targets that a single occurrence breaks are decided.
    """
    enough = k.observed >= timedelta(days=30) and k.alarms > 0

    def result(
        name: str, value: float | None, target: str, is_met: bool, breaks: bool = False
    ) -> MetricResult:
        measured = None if value is None or not (value or k.observed) else float(value)
        is_certain = value is not None and (enough or (breaks and not is_met))
        return MetricResult(name, measured, target, is_met if is_certain else None)

    usual = translatable("≤ {usual}, at most {most}", usual=str(USUAL), most=str(MANAGEABLE))
    most = targets.flood_above
    flooded = targets.most_time_in_flood
    chattering = len(k.chattering)
    stale = len(k.stale)
    share = sum(f.share for f in k.top)
    return (
        result(
            "alarms per 10 minutes", k.per_ten_minutes, usual, _is_at_most(k.per_ten_minutes, 2)
        ),
        result(
            "alarms per day",
            k.per_day,
            f"≤ {targets.per_day:g}",
            _is_at_most(k.per_day, targets.per_day),
        ),
        result(
            "most in 10 minutes", k.busiest, f"≤ {most}", _is_at_most(k.busiest, most), breaks=True
        ),
        result(
            "time in flood",
            k.time_in_flood,
            in_english("< {share}", share=Styled(flooded, "share")),
            (k.time_in_flood or 0) < flooded,
        ),
        result("chattering alarms", chattering, "0", not chattering, breaks=True),
        result("stale alarms", stale, f"< {MOST_STALE}", stale < MOST_STALE),
        result(
            "share of the most frequent",
            share,
            in_english("≤ {share}", share=Styled(TOP_SHARE, "share")),
            share <= TOP_SHARE,
        ),
    )


def _is_at_most(value: float | None, most: float) -> bool:
    return value is not None and value <= most
