"""Metrics of alarms: their quality by stored episodes, for all assets and for each operator
position, and the load that a definition is expected to raise, by recent readings of a sample of
assets."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from fnmatch import fnmatchcase

from alerting.definitions.alert_definition import (
    AssetIndex,
    ModelDefinition,
    Revision,
    matching_assets,
)
from alerting.definitions.faults import UserError
from alerting.definitions.fields.names_and_times import Interval, merge
from alerting.definitions.wording.language import in_english
from alerting.episodes.episode import Alarm
from alerting.operators.kpis import Kpis, PastAlarms, Targets, kpis, with_past
from alerting.ports import Decisions, Definitions, MaterialPorts, PastEvaluations, ReportPorts
from alerting.readings.history import NO_TIME, from_millis
from alerting.usecases.alarm_load.budget_gate import position_by_asset
from alerting.usecases.definitions.versions import active, live_from

_BEFORE = timedelta(days=30)  # the earliest raise of an alarm that is counted
_CATCHING_UP = timedelta(days=1)


@dataclass(frozen=True)
class PositionKpis:
    """Metrics of an operator position. `budget`: most alarms a day."""

    name: str
    kpis: Kpis
    budget: float


@dataclass(frozen=True)
class AlarmQuality:
    """The metrics of a period, the metrics of each position, and the alarms found in past days."""

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
        raise UserError(in_english("from {start} must lie before to {end}", start=start, end=end))
    budget = platform.budget
    targets = Targets(budget.flood_above, budget.most_floods)
    stored = platform.episodes.alarms(start, end, start - _BEFORE)
    selected = [e for e in stored if assets is None or fnmatchcase(e.asset, assets)]
    alarms, past_alarms = with_past(selected, start, end, past)
    evaluated = evaluated_times(platform, start, end, assets, past_alarms.counted)
    every = merge((i for intervals in evaluated.values() for i in intervals), start, end)
    return AlarmQuality(
        kpis(alarms, start, end, targets, every),
        tuple(_by_position(platform, alarms, (start, end), targets, evaluated)),
        past_alarms,
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
    position_of = position_by_asset(assets)
    shown = {
        a.name for r in active(platform.definitions) for a in matching_assets(r.definition, assets)
    }
    alarms_of: dict[str, list[Alarm]] = defaultdict(list)
    times: dict[str, list[Interval]] = defaultdict(list)
    for alarm in alarms:
        alarms_of[position_of.get(alarm.asset, alarm.asset)].append(alarm)
    for asset, intervals in evaluated.items():
        times[position_of.get(asset, asset)] += intervals
    positions = []
    for name in sorted({*alarms_of, *(position_of[asset] for asset in shown)}):
        most = platform.budget.for_position(name)
        position_targets = replace(targets, per_day=most)
        positions.append(
            PositionKpis(
                name,
                kpis(alarms_of[name], *period, position_targets, merge(times[name], *period)),
                most,
            )
        )
    return positions


def evaluated_times(
    platform: MaterialPorts,
    start: datetime,
    end: datetime,
    assets: str | None = None,
    past: bool = False,
) -> dict[str, list[Interval]]:
    """Return, by asset, the times of [start, end) in which a target was evaluated.

    Live evaluation of a target begins when its definition is first in service, with a model at its
    first promotion, and ends at the watermark. A watermark less than a day before `end` counts as
    complete, because it will catch up. `past`: also evaluations of past times. `assets`: only
    assets that match this name or pattern (None: all). An evaluation without a result, because
    readings are missing, counts.
    """
    revisions = platform.definitions.latest_revisions()
    times = [
        *_find_live_times(platform, revisions, end),
        *(_past(platform.past_evaluations, revisions, start, end) if past else ()),
    ]
    by_asset: dict[str, list[Interval]] = defaultdict(list)
    for asset, interval in times:
        if assets is None or fnmatchcase(asset, assets):
            by_asset[asset].append(interval)
    merged = {asset: merge(intervals, start, end) for asset, intervals in by_asset.items()}
    return {asset: intervals for asset, intervals in merged.items() if intervals}


def _find_live_times(
    platform: MaterialPorts, revisions: Sequence[Revision], end: datetime
) -> list[tuple[str, Interval]]:
    """Return, by asset, the interval of live evaluation of each target in service, up to `end`."""
    began = _find_begins(platform.definitions, platform.decisions, revisions)
    assets = AssetIndex(platform.assets.all())
    targets = [
        (r.name, asset.name)
        for r in revisions
        if r.name in began
        for asset in assets.find_matching(r.definition.assets)
    ]
    times = []
    for (name, asset), watermark in zip(targets, platform.states.watermarks(targets), strict=True):
        if watermark == NO_TIME:
            continue
        until = from_millis(watermark)
        if end - until < _CATCHING_UP:
            until = max(until, end)
        if began[name] < until:
            times.append((asset, (began[name], until)))
    return times


def _find_begins(
    definitions: Definitions, decisions: Decisions, revisions: Sequence[Revision]
) -> dict[str, datetime]:
    """Return when live evaluation of each definition began, if it was in service."""
    histories = definitions.histories({r.name for r in revisions if r.number > 1})
    made = decisions.histories(
        [r.name for r in revisions if isinstance(r.definition, ModelDefinition)]
    )
    began = {}
    for revision in revisions:
        since = live_from(histories.get(revision.name, [revision]), made.get(revision.name, []))
        if since is not None:
            began[revision.name] = since
    return began


def _past(
    past: PastEvaluations, revisions: Sequence[Revision], start: datetime, end: datetime
) -> list[tuple[str, Interval]]:
    without_model = {r.name for r in revisions if not isinstance(r.definition, ModelDefinition)}
    return [
        (e.asset, (e.start, e.end))
        for e in past.for_interval(start, end)
        if e.revision is not None and (e.model_version is not None or e.definition in without_model)
    ]
