"""Alarm quality: metrics from stored episodes, and advice on chattering alarms."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any

from alerting.alarm_kpis.groups import (
    EvaluatedByAsset,
    Group,
    Grouping,
    by_asset,
    by_shift,
    evaluated_of,
)
from alerting.alarm_kpis.kpis import kpis
from alerting.alarm_kpis.metrics import TARGETS, Chatter, Kpis, Targets, targets_under
from alerting.alarm_kpis.other_limits import LimitProposal, propose
from alerting.alarm_kpis.past_alarms import PastAlarms, with_past
from alerting.definitions.assets import AssetTree
from alerting.definitions.durations import parse_duration
from alerting.definitions.faults import UserError
from alerting.definitions.fields.conditions import Conditions, single_condition
from alerting.definitions.matching import matching_assets
from alerting.definitions.model import ModelDefinition
from alerting.episodes.extract import Alarm
from alerting.operators.shelves import Shelf
from alerting.ports import Assets, Definitions, EpisodePorts, Episodes, Readings, ReportPorts
from alerting.usecases.alarm_load.evaluated_times import evaluated_times
from alerting.usecases.definitions.lookup import active, newest_of_target
from alerting.usecases.notification.routes import read_routes
from alerting.usecases.operators.operate import shelves_now

_AROUND = timedelta(minutes=10)
_LONGEST_SHOWN = timedelta(days=1)
_BEFORE = timedelta(days=30)  # the earliest raise of an alarm that is counted


@dataclass(frozen=True)
class ChatteringAdvice:
    """Advice on a chattering alarm; `why_not`: the reason if there is none."""

    definition: str
    asset: str
    proposals: tuple[LimitProposal, ...]
    why_not: str | None = None


@dataclass(frozen=True)
class AlarmQuality:
    """The metrics of a period, advice on chattering alarms, and the shelves in force now."""

    kpis: Kpis
    advice: tuple[ChatteringAdvice, ...]
    muted: tuple[Shelf, ...]
    past: PastAlarms


@dataclass(frozen=True)
class QualityByGroup:
    """The metrics of a period per position, line or shift."""

    by: Grouping
    groups: tuple[Group, ...]
    past: PastAlarms


def alarm_quality(
    platform: ReportPorts,
    start: datetime,
    end: datetime,
    assets: str | None = None,
    targets: Targets | None = None,
    past: bool | None = False,
) -> AlarmQuality:
    """Return metrics of [start, end) for the assets that match a name or pattern (all if None).

    Rates are of the times in which targets were evaluated (`evaluated_times`). `targets`: the
    platform's own if None. Older alarms count as stale if they are still open, or were raised in
    the thirty days before and ended within the period. `past`: see `with_past`. Raises UserError
    for an empty period.
    """
    targets = targets or targets_under(platform.budget)
    alarms, found = with_past(alarms_of(platform.episodes, start, end, assets), start, end, past)
    evaluated = evaluated_times(platform, start, end, assets, found.counted)
    metrics = kpis(alarms, start, end, targets, evaluated=evaluated_of(evaluated, start, end))
    muted = tuple(
        s
        for s in shelves_now(platform.shelves, platform.clock.now())
        if assets is None or fnmatchcase(s.asset, assets)
    )
    return AlarmQuality(metrics, advise(platform, metrics, targets), muted, found)


def alarm_quality_by(
    platform: ReportPorts,
    start: datetime,
    end: datetime,
    by: Grouping,
    assets: str | None = None,
    targets: Targets | None = None,
    past: bool | None = False,
) -> QualityByGroup:
    """Return `alarm_quality` by position, line or shift. Raises UserError without any."""
    alarms, found = with_past(alarms_of(platform.episodes, start, end, assets), start, end, past)
    evaluated = evaluated_times(platform, start, end, assets, found.counted)
    return QualityByGroup(
        by, tuple(group_assets(platform, alarms, start, end, by, evaluated, targets)), found
    )


def group_assets(
    platform: ReportPorts,
    alarms: Sequence[Alarm],
    start: datetime,
    end: datetime,
    by: Grouping,
    evaluated: EvaluatedByAsset,
    targets: Targets | None = None,
) -> list[Group]:
    """Return a period's alarms by group. Raises UserError for shifts without a route."""
    targets = targets or targets_under(platform.budget)
    if by == "shift":
        routes = [route for route in read_routes(platform.routes)[0] if route.shifts]
        if not routes:
            raise UserError(
                "no route has shifts, so alarms cannot be grouped by shift; give a route `shifts:` "
                "(docs/notifications.md)"
            )
        return by_shift(alarms, start, end, routes, targets, evaluated)
    assets = platform.assets.all()
    in_service = {
        a.name for r in active(platform.definitions) for a in matching_assets(r.definition, assets)
    }
    tree = AssetTree(assets)
    group = tree.position if by == "position" else tree.line
    shown = in_service | {alarm.asset for alarm in alarms}
    group_of = {asset.name: group(asset) for asset in assets if asset.name in shown}

    def budget(name: str) -> float:
        return platform.budget.for_position(name) if by == "position" else targets.per_day

    return by_asset(alarms, start, end, group_of, budget, targets, evaluated)


def alarms_of(
    episodes: Episodes, start: datetime, end: datetime, assets: str | None = None
) -> list[Alarm]:
    """Return the alarms of matching assets in [start, end). Raises UserError if empty."""
    if start >= end:
        raise UserError(f"--from {start.isoformat()} must lie before --to {end.isoformat()}")
    found = episodes.alarms(start, end, start - _BEFORE)
    return [e for e in found if assets is None or fnmatchcase(e.asset, assets)]


def advise(
    platform: EpisodePorts, metrics: Kpis, targets: Targets = TARGETS, most: int | None = None
) -> tuple[ChatteringAdvice, ...]:
    """Return advice on chattering alarms: on all of them, or on the `most` worst."""
    return tuple(
        _advise(platform.assets, platform.readings, platform.definitions, chatter, targets)
        for chatter in metrics.chattering[:most]
    )


def read_targets(settings: list[str], base: Targets = TARGETS) -> Targets:
    """Return targets with some changed, as `name=value`. Raises UserError for others."""
    values = {f.name: getattr(base, f.name) for f in fields(Targets)}
    changed: dict[str, Any] = {}
    for setting in settings:
        name, _, text = setting.partition("=")
        if name not in values:
            raise UserError(f"there is no target {name!r}; targets are {', '.join(values)}")
        changed[name] = _read_target(name, text, values[name])
    return Targets(**{**values, **changed})


def _read_target(name: str, text: str, default: object) -> object:
    try:
        if isinstance(default, timedelta):
            return parse_duration(text)
        value = type(default)(text)  # type: ignore[call-arg]
    except ValueError as fault:
        raise UserError(f"target {name}: {text!r} is not a value such as {default}") from fault
    if value < 0:  # type: ignore[operator]
        raise UserError(f"target {name}: {text!r} must not be negative")
    return value


def _advise(
    assets: Assets, readings: Readings, definitions: Definitions, chatter: Chatter, targets: Targets
) -> ChatteringAdvice:
    revision = newest_of_target(definitions, chatter.definition)
    asset = assets.get(chatter.asset)
    condition = single_condition(revision.definition) if revision is not None else None
    definition = revision.definition if revision is not None else None
    if isinstance(definition, Conditions) and isinstance(definition, ModelDefinition):
        learned = (
            "its limits are learned, and a replay has none: try a longer `for` or `clear_for` with "
            "`alerting backtest`"
        )
        return ChatteringAdvice(chatter.definition, chatter.asset, (), learned)
    if condition is None or asset is None:
        return ChatteringAdvice(
            chatter.definition,
            chatter.asset,
            (),
            "only threshold definitions of one variable have limits to advise on",
        )
    start = chatter.first - _AROUND
    end = min(chatter.last, chatter.first + _LONGEST_SHOWN) + _AROUND
    history = readings.load(asset, start, end, [condition.variable])
    proposals = propose(
        condition, history, start, end, targets.chatter_cycles, targets.chatter_within
    )
    why_not = (
        None
        if proposals
        else "the present definition does not chatter on these readings, or no tried change helps"
    )
    return ChatteringAdvice(chatter.definition, chatter.asset, proposals, why_not)
