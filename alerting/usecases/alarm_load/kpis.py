"""Alarm quality: metrics from stored episodes, of all assets and of each operator position."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from fnmatch import fnmatchcase

from alerting.alarm_kpis.intervals import Interval, merge
from alerting.alarm_kpis.kpis import Kpis, PastAlarms, Targets, kpis, with_past
from alerting.definitions.assets import AssetTree
from alerting.definitions.faults import UserError
from alerting.definitions.matching import matching_assets
from alerting.episodes.extract import Alarm
from alerting.ports import ReportPorts
from alerting.usecases.alarm_load.evaluated_times import evaluated_times
from alerting.usecases.definitions.lookup import active

_BEFORE = timedelta(days=30)  # the earliest raise of an alarm that is counted


@dataclass(frozen=True)
class PositionKpis:
    """Metrics of an operator position. `budget`: most alarms a day."""

    name: str
    kpis: Kpis
    budget: float


@dataclass(frozen=True)
class AlarmQuality:
    """The metrics of a period, those of each position, and the alarms found in past days."""

    kpis: Kpis
    positions: tuple[PositionKpis, ...]
    past: PastAlarms


def alarm_quality(
    platform: ReportPorts,
    start: datetime,
    end: datetime,
    assets: str | None = None,
    past: bool | None = False,
) -> AlarmQuality:
    """Return metrics of [start, end) for the assets that match a name or pattern (all if None).

    Rates are of the times in which targets were evaluated (`evaluated_times`). Older alarms count
    as stale if they are still open, or were raised in the thirty days before and ended within the
    period. `past`: see `with_past`. Raises UserError for an empty period.
    """
    if start >= end:
        raise UserError(f"from {start.isoformat()} must lie before to {end.isoformat()}")
    budget = platform.budget
    targets = Targets(budget.flood_above, budget.most_floods)
    stored = platform.episodes.alarms(start, end, start - _BEFORE)
    wanted = [e for e in stored if assets is None or fnmatchcase(e.asset, assets)]
    alarms, found = with_past(wanted, start, end, past)
    evaluated = evaluated_times(platform, start, end, assets, found.counted)
    every = merge((i for own in evaluated.values() for i in own), start, end)
    return AlarmQuality(
        kpis(alarms, start, end, targets, every),
        tuple(_by_position(platform, alarms, (start, end), targets, evaluated)),
        found,
    )


def _by_position(
    platform: ReportPorts,
    alarms: Sequence[Alarm],
    period: Interval,
    targets: Targets,
    evaluated: Mapping[str, Sequence[Interval]],
) -> list[PositionKpis]:
    """Return the metrics of each position, also without an alarm, by name."""
    assets = platform.assets.all()
    tree = AssetTree(assets)
    position_of = {asset.name: tree.position(asset) for asset in assets}
    shown = {
        a.name for r in active(platform.definitions) for a in matching_assets(r.definition, assets)
    }
    of: dict[str, list[Alarm]] = defaultdict(list)
    times: dict[str, list[Interval]] = defaultdict(list)
    for alarm in alarms:
        of[position_of.get(alarm.asset, alarm.asset)].append(alarm)
    for asset, intervals in evaluated.items():
        times[position_of.get(asset, asset)] += intervals
    found = []
    for name in sorted({*of, *(position_of[asset] for asset in shown)}):
        most = platform.budget.for_position(name)
        own = replace(targets, per_day=most)
        found.append(
            PositionKpis(name, kpis(of[name], *period, own, merge(times[name], *period)), most)
        )
    return found
