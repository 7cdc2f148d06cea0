"""Alarm metrics per operator position, line or shift."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Literal

from alerting.alarm_kpis.kpis import kpis
from alerting.alarm_kpis.metrics import TARGETS, Kpis, Targets
from alerting.definitions.hours import spans
from alerting.definitions.routes import Route
from alerting.episodes.episode import Episode
from alerting.episodes.extract import Alarm

Grouping = Literal["position", "line", "shift"]
BETWEEN = "outside of all shifts"
Interval = tuple[datetime, datetime]


@dataclass(frozen=True)
class Group:
    """Metrics of one position, line or shift. `budget`: most alarms a day that its position has to answer."""

    name: str
    kpis: Kpis
    budget: float


def by_asset(
    episodes: Iterable[Episode | Alarm],
    start: datetime,
    end: datetime,
    group_of: Mapping[str, str],
    budget: Callable[[str], float],
    targets: Targets = TARGETS,
) -> list[Group]:
    """Return the metrics of each group of assets, by name, also of groups without an alarm.

    `group_of`: the group of each asset.
    """
    found: dict[str, list[Episode | Alarm]] = defaultdict(list)
    for episode in episodes:
        found[group_of.get(episode.asset, episode.asset)].append(episode)
    return [
        Group(name, kpis(found[name], start, end, replace(targets, per_day=budget(name))), budget(name))
        for name in sorted({*group_of.values(), *found})
    ]


def by_shift(
    episodes: Sequence[Episode | Alarm], start: datetime, end: datetime, routes: Sequence[Route], targets: Targets = TARGETS
) -> list[Group]:
    """Return the metrics of the shifts that routes name: of their matching assets, in the hours when they are in force.

    Rates are per hour of the shift. Alarms raised in no shift of their asset form a separate group, where there are any.
    """
    groups, in_shift = [], set()
    for route in (r for r in routes if r.shifts):
        hours = _merge_intervals(spans(route.shifts, route.zone, start, end), start, end)
        own = [e for e in episodes if any(fnmatchcase(e.asset, pattern) for pattern in route.match.assets)]
        in_shift |= {e.id for e in own if any(a <= e.raised_at < b for a, b in hours)}
        groups.append(Group(route.name, kpis(own, start, end, targets, hours), targets.per_day))
    rest = [e for e in episodes if e.id not in in_shift]
    if any(start <= e.raised_at < end for e in rest):
        covered = [s for r in routes if r.shifts for s in spans(r.shifts, r.zone, start, end)]
        between = _between(_merge_intervals(covered, start, end), start, end) or [(start, end)]
        groups.append(Group(BETWEEN, kpis(rest, start, end, targets, between), targets.per_day))
    return groups


def _merge_intervals(intervals: Sequence[Interval], start: datetime, end: datetime) -> list[Interval]:
    """Return the intervals within [start, end), those that touch or overlap taken together."""
    merged: list[Interval] = []
    for a, b in sorted(intervals):
        begin, stop = max(a, start), min(b, end)
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], stop))
        elif stop > begin:
            merged.append((begin, stop))
    return merged


def _between(intervals: Sequence[Interval], start: datetime, end: datetime) -> list[Interval]:
    """Return the intervals between the merged ones."""
    edges = [start, *(t for interval in intervals for t in interval), end]
    gaps = zip(edges[::2], edges[1::2], strict=True)
    return [(a, b) for a, b in gaps if b - a > timedelta(0)]
