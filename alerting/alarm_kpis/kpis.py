"""Quality of alarms for operators, after ISA-18.2, IEC 62682 and EEMUA 191.

The targets are defaults after these standards, which every plant may change; nothing here certifies
anything. Averages hide floods, so the metrics include shares of periods.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import NamedTuple, get_args

import numpy as np

from alerting.alarm_kpis.floods import PERIOD, count_by_period, find_floods, time_in_flood
from alerting.alarm_kpis.intervals import Interval, intersection, length
from alerting.alarm_kpis.metrics import (
    TARGETS,
    Chatter,
    Frequent,
    Kpis,
    LoadBand,
    MetricResult,
    Priority,
    Spread,
    Stale,
    Targets,
)
from alerting.definitions.durations import format_duration
from alerting.definitions.model import Severity
from alerting.definitions.wording.language import Styled, translatable
from alerting.episodes.episode import Episode
from alerting.episodes.extract import Alarm, EpisodeFields, alarm_of
from alerting.readings.instants import Millis, duration_millis, to_millis

SEVERITIES: tuple[Severity, ...] = get_args(Severity)
_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)
_LEAST_SPAN = timedelta(days=30)


def kpis(
    episodes: Iterable[Episode | Alarm],
    start: datetime,
    end: datetime,
    targets: Targets = TARGETS,
    during: Sequence[Interval] | None = None,
    evaluated: Sequence[Interval] | None = None,
) -> Kpis:
    """Return the metrics of alarms raised in [start, end); older ones may be stale.

    Left out are backfilled and withdrawn episodes, and those without a notification because of a
    shelf or suppression by design. Live ones that late data withdrew count, because recipients were
    notified. Periods begin at `start`; a shorter last one counts like any other. `during`: count
    only these intervals [from, to), which do not overlap: the hours of a shift. `evaluated`:
    intervals in which alarms could be raised, which do not overlap; rates and shares are of these
    times, and None without any. None: the whole period.
    """
    parts = [(start, end)] if during is None else list(during)
    observed_intervals = parts if evaluated is None else intersection(parts, evaluated)
    live = [a for a in map(alarm_of, episodes) if not a.backfilled and not a.withdrawn]
    raised = sorted(
        (e for e in live if any(a <= e.raised_at < b for a, b in parts)), key=lambda e: e.raised_at
    )
    found = _metrics(live, raised, start, end, observed_intervals, targets)
    return replace(found, asked=length(parts), findings=_findings(found, targets))


def _metrics(
    live: Sequence[Alarm],
    raised: Sequence[Alarm],
    start: datetime,
    end: datetime,
    observed_intervals: Sequence[Interval],
    targets: Targets,
) -> Kpis:
    observed = length(observed_intervals)
    notified = [e for e in raised if not e.silent]
    rates = {
        span: len(notified) * span / observed if observed >= span else None
        for span in (PERIOD, _HOUR, _DAY)
    }
    every, hourly = (
        count_by_period((e.raised_at for e in notified), start, end, period)
        for period in (PERIOD, _HOUR)
    )
    counts = _episodes_within(every, observed_intervals, start, PERIOD)
    hours = _episodes_within(hourly, observed_intervals, start, _HOUR)
    floods = find_floods(every, start, targets.flood_starts_above, targets.flood_ends_below)
    top = most_frequent(notified, targets.top)
    return Kpis(
        start=start,
        end=end,
        asked=observed,
        observed=observed,
        observed_since=observed_intervals[0][0] if observed_intervals else None,
        alarms=len(notified),
        silent=len(raised) - len(notified),
        suppressed=sum(e.suppressed for e in raised if e.silent),
        maintenance=sum(e.in_maintenance for e in raised),
        per_ten_minutes=rates[PERIOD],
        per_hour=rates[_HOUR],
        per_day=rates[_DAY],
        busiest=int(every.max()) if len(counts) else None,
        busiest_at=start + int(every.argmax()) * PERIOD if notified else None,
        bands=bands(counts, targets),
        distribution=tuple(
            np.bincount(np.minimum(counts, targets.most + 1), minlength=targets.most + 2).tolist()
        ),
        hourly=tuple(hourly.tolist()),
        periods_above=_share(counts > targets.most),
        hours_above=_share(hours > targets.hour_above),
        floods=floods,
        time_in_flood=time_in_flood(floods, len(counts)) if len(counts) else None,
        chattering=find_chattering(notified, targets),
        stale=find_stale(live, start, end, targets),
        top=top,
        top_share=sum(f.share for f in top),
        priorities=priorities(notified, targets),
        to_acknowledge=spread(
            [e.acknowledged_at - e.raised_at if e.acknowledged_at else None for e in notified]
        ),
        to_clear=spread([e.closed_at - e.raised_at if e.closed_at else None for e in notified]),
        findings=(),
        note=_note(observed),
    )


def _episodes_within(
    counts: Millis, observed_intervals: Sequence[Interval], start: datetime, period: timedelta
) -> Millis:
    """Return the counts of periods that touch an interval, or hold an alarm."""
    width = duration_millis(period)
    begins = to_millis(start) + width * np.arange(len(counts), dtype=np.int64)
    inside = counts > 0
    for a, b in observed_intervals:
        inside |= (begins < to_millis(b)) & (begins + width > to_millis(a))
    return counts[inside]


def bands(counts: Millis, targets: Targets = TARGETS) -> tuple[LoadBand, ...]:
    """Return the shares of ten-minute periods by number of alarms, with EEMUA's names."""
    acceptable = int(targets.acceptable)
    manageable = int(targets.manageable)
    edges = [
        (translatable("acceptable"), 0, acceptable),
        (translatable("manageable"), acceptable + 1, manageable),
        (translatable("over-demanding"), manageable + 1, targets.most),
        (translatable("unacceptable"), targets.most + 1, None),
    ]
    found = []
    for name, least, most in edges:
        inside = (counts >= least) & (counts <= (np.iinfo(np.int64).max if most is None else most))
        found.append(LoadBand(name, least, most, int(inside.sum()), _share(inside)))
    return tuple(found)


def find_chattering(
    episodes: Sequence[EpisodeFields], targets: Targets = TARGETS
) -> tuple[Chatter, ...]:
    """Return alarms with `chatter_cycles` cycles within `chatter_within`, the worst first."""
    found = []
    for (definition, asset), of_target in _by_target(episodes).items():
        closed = sorted((e.raised_at, e.closed_at) for e in of_target if e.closed_at is not None)
        bursts = _bursts(closed, targets)
        if bursts:
            inside = sorted({i for first, last in bursts for i in range(first, last + 1)})
            begin = closed[inside[0]][0]
            end = closed[inside[-1]][1]
            found.append(Chatter(definition, asset, len(inside), len(bursts), begin, end))
    return tuple(sorted(found, key=lambda c: (-c.cycles, c.definition, c.asset)))


def _bursts(closed: Sequence[tuple[datetime, datetime]], targets: Targets) -> list[tuple[int, int]]:
    bursts: list[tuple[int, int]] = []
    for last in range(targets.chatter_cycles - 1, len(closed)):
        first = last - targets.chatter_cycles + 1
        if closed[last][1] - closed[first][0] > targets.chatter_within:
            continue
        if bursts and first <= bursts[-1][1]:
            bursts[-1] = (bursts[-1][0], last)
        else:
            bursts.append((first, last))
    return bursts


def find_stale(
    episodes: Sequence[EpisodeFields], start: datetime, end: datetime, targets: Targets = TARGETS
) -> tuple[Stale, ...]:
    """Return the alarms active for too long in [start, end), the longest first."""
    found = []
    for e in episodes:
        until = min(e.closed_at or end, end)
        if until > start and until - e.raised_at > targets.stale_after:
            still = e.closed_at is None or e.closed_at > end
            found.append(
                Stale(e.id, e.definition, e.asset, e.raised_at, until - e.raised_at, still)
            )
    return tuple(sorted(found, key=lambda s: (-s.active_for, s.episode)))


def most_frequent(episodes: Sequence[EpisodeFields], number: int) -> tuple[Frequent, ...]:
    """Return the most frequent alarms, each a definition on an asset, with their share of all."""
    counts = Counter((e.definition, e.asset) for e in episodes)
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:number]
    return tuple(Frequent(d, a, n, n / len(episodes)) for (d, a), n in ranked)


def priorities(
    episodes: Sequence[EpisodeFields], targets: Targets = TARGETS
) -> tuple[Priority, ...]:
    """Return the number and share of alarms of each severity."""
    number = Counter(e.severity for e in episodes)
    return tuple(
        Priority(s, number[s], number[s] / len(episodes) if episodes else 0.0, targets.share(s))
        for s in SEVERITIES
    )


def spread(durations: Sequence[timedelta | None]) -> Spread:
    """Return median, ninth decile and longest, each an observed duration."""
    lengths = sorted(d for d in durations if d is not None)
    missing = len(durations) - len(lengths)
    if not lengths:
        return Spread(0, None, None, None, missing)
    return Spread(
        len(lengths),
        lengths[(len(lengths) - 1) // 2],
        lengths[-(-9 * len(lengths) // 10) - 1],
        lengths[-1],
        missing,
    )


def _by_target(
    episodes: Sequence[EpisodeFields],
) -> Mapping[tuple[str, str], list[EpisodeFields]]:
    by_target: dict[tuple[str, str], list[EpisodeFields]] = defaultdict(list)
    for episode in episodes:
        by_target[episode.definition, episode.asset].append(episode)
    return MappingProxyType(by_target)


def _share(flags: np.ndarray) -> float | None:
    return float(flags.mean()) if len(flags) else None


class _Measured(NamedTuple):
    """A figure, its target in words, and the largest value that meets it; with `below` a value has
    to stay under that."""

    name: str
    value: float | None
    target: str
    most: float
    below: bool = False

    @property
    def met(self) -> bool | None:
        """Return whether the target is met; None without a value."""
        if self.value is None:
            return None
        return self.value < self.most if self.below else self.value <= self.most


def _measured(metrics: Kpis, targets: Targets) -> tuple[_Measured, ...]:
    return (
        _Measured(
            translatable("alarms per 10 minutes"),
            metrics.per_ten_minutes,
            translatable(
                "≤ {usual}, at most {most}",
                usual=Styled(targets.acceptable, "g"),
                most=Styled(targets.manageable, "g"),
            ),
            targets.manageable,
        ),
        _Measured(
            translatable("alarms per hour"),
            metrics.per_hour,
            f"≤ {targets.per_hour:g}",
            targets.per_hour,
        ),
        _Measured(
            translatable("alarms per day"),
            metrics.per_day,
            f"≤ {targets.per_day:g}",
            targets.per_day,
        ),
        _Measured(
            translatable("most in 10 minutes"), metrics.busiest, f"≤ {targets.most}", targets.most
        ),
        _below(
            translatable("10-minute periods with more than {number}", number=str(targets.most)),
            metrics.periods_above,
            targets.most_periods_above,
        ),
        _below(
            translatable("hours with more than {number}", number=str(targets.hour_above)),
            metrics.hours_above,
            targets.most_hours_above,
        ),
        _below(translatable("time in flood"), metrics.time_in_flood, targets.most_time_in_flood),
        _Measured(translatable("chattering alarms"), len(metrics.chattering), "0", 0),
        _Measured(
            translatable(
                "stale alarms (over {duration})", duration=format_duration(targets.stale_after)
            ),
            len(metrics.stale),
            f"< {targets.most_stale}",
            targets.most_stale,
            below=True,
        ),
        _Measured(
            translatable("share of the {number} most frequent", number=str(targets.top)),
            metrics.top_share,
            f"≤ {targets.top_share:.0%}",
            targets.top_share,
        ),
    )


def _below(name: str, share: float | None, most: float) -> _Measured:
    return _Measured(name, share, f"< {most:.0%}", most, below=True)


def _findings(metrics: Kpis, targets: Targets) -> tuple[MetricResult, ...]:
    """Return every metric with its target; without evaluated times a count is unknown."""
    enough = metrics.observed >= _LEAST_SPAN and metrics.alarms > 0
    found = []
    for one in _measured(metrics, targets):
        # a zero is not known where nothing was evaluated
        known = one.value if one.value or metrics.observed else None
        # one such event breaks the target in any time
        breaks = one.met is False and one.name in ("chattering alarms", "most in 10 minutes")
        found.append(
            MetricResult(
                one.name,
                None if known is None else float(known),
                one.target,
                one.met if enough or breaks else None,
            )
        )
    return tuple(found)


def _note(span: timedelta) -> str:
    note = translatable("targets are defaults after ISA-18.2 / EEMUA 191, per operator position")
    if span >= _LEAST_SPAN:
        return note
    return translatable(
        "{note}; they apply to at least {least} days, and this period lasts {duration}",
        note=note,
        least=str(_LEAST_SPAN.days),
        duration=Styled(span.total_seconds(), "duration"),
    )
