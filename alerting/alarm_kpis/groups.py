"""Alarm metrics per operator position, line or shift."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Literal

from alerting.alarm_kpis.intervals import Interval, find_gaps, merge
from alerting.alarm_kpis.kpis import kpis
from alerting.alarm_kpis.metrics import TARGETS, Kpis, Targets
from alerting.definitions.hours import spans
from alerting.definitions.routes import Route, is_for
from alerting.episodes.episode import Episode
from alerting.episodes.extract import Alarm

Grouping = Literal["position", "line", "shift"]
BETWEEN = "outside of all shifts"
EvaluatedByAsset = Mapping[str, Sequence[Interval]]


@dataclass(frozen=True)
class Group:
    """Metrics of a position, line or shift. `budget`: most alarms a day of its position."""

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
    evaluated: EvaluatedByAsset | None = None,
) -> list[Group]:
    """Return the metrics of each group, also without an alarm. `group_of`: by asset."""
    found: dict[str, list[Episode | Alarm]] = defaultdict(list)
    for episode in episodes:
        found[group_of.get(episode.asset, episode.asset)].append(episode)

    times: dict[str, list[Interval]] = defaultdict(list)
    for asset, intervals in (evaluated or {}).items():
        times[group_of.get(asset, asset)] += intervals

    def of_group(name: str) -> Kpis:
        own = None if evaluated is None else merge(times[name], start, end)
        return kpis(found[name], start, end, replace(targets, per_day=budget(name)), evaluated=own)

    return [
        Group(name, of_group(name), budget(name)) for name in sorted({*group_of.values(), *found})
    ]


def by_shift(
    episodes: Sequence[Episode | Alarm],
    start: datetime,
    end: datetime,
    routes: Sequence[Route],
    targets: Targets = TARGETS,
    evaluated: EvaluatedByAsset | None = None,
) -> list[Group]:
    """Return the metrics of the shifts that routes name, in their hours.

    Rates are per hour of the shift. Alarms raised in no shift of their asset form a separate group,
    where there are any. `evaluated`: see `evaluated_of`.
    """
    groups = []
    in_shift = set()
    for route in (r for r in routes if r.shifts):
        hours = merge(spans(route.shifts, route.zone, start, end), start, end)
        own = [e for e in episodes if is_for(route, e.asset)]
        observed_intervals = evaluated_of(evaluated, start, end, partial(is_for, route))
        in_shift |= {e.id for e in own if any(a <= e.raised_at < b for a, b in hours)}
        groups.append(
            Group(
                route.name,
                kpis(own, start, end, targets, hours, observed_intervals),
                targets.per_day,
            )
        )
    rest = [e for e in episodes if e.id not in in_shift]
    if any(start <= e.raised_at < end for e in rest):
        covered = [s for r in routes if r.shifts for s in spans(r.shifts, r.zone, start, end)]
        hours = find_gaps(merge(covered, start, end), start, end) or [(start, end)]
        observed_intervals = evaluated_of(evaluated, start, end)
        groups.append(
            Group(
                BETWEEN, kpis(rest, start, end, targets, hours, observed_intervals), targets.per_day
            )
        )
    return groups


def evaluated_of(
    evaluated: EvaluatedByAsset | None,
    start: datetime,
    end: datetime,
    belongs: Callable[[str], bool] = lambda _: True,
) -> list[Interval] | None:
    """Return when any own asset was evaluated; None, as in `evaluated`: all of the period."""
    if evaluated is None:
        return None
    return merge(
        (i for asset, intervals in evaluated.items() if belongs(asset) for i in intervals),
        start,
        end,
    )
