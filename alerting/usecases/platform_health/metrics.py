"""Metrics of the platform: open episodes, lag, late readings, notifications, faults."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from alerting.definitions.alert_definition import SEVERITIES, AssetIndex, Revision
from alerting.episodes.evaluation_plan import EvaluationTarget
from alerting.ports import PlanPorts, Readings, States, UpkeepPorts
from alerting.readings.history import NO_TIME, to_millis
from alerting.usecases.definitions.revisions_and_targets import (
    answering_revisions,
    list_targets,
    source_hash_of,
)
from alerting.usecases.ingestion.arrivals import count_late

# Number of definitions, and of assets, with an own label: the most overdue ones, and those with the
# oldest newest reading.
LABELLED = 50
COUNTED = 10_000  # largest count of open episodes, and of documents with pending notifications
LATE_WINDOW = timedelta(hours=1)
_ZERO = timedelta(0)


@dataclass(frozen=True)
class Inventory:
    """Definitions by state, the newest revisions of those in service, and all targets. `written`:
    the last write that changed them."""

    written: str
    states: Mapping[str, int]
    active: tuple[Revision, ...]
    targets: tuple[EvaluationTarget, ...]


@dataclass(frozen=True)
class DefinitionLag:
    """A definition's lag: the largest of its assets, and the interval of evaluation."""

    lag: timedelta
    every: timedelta


@dataclass(frozen=True)
class PlatformMetrics:
    """Everything at one instant.

    `definitions`: by state; faulty ones count as well under the state of the revision in force.
    `lag`: by definition, at most `LABELLED`. `overdue`: largest lag beyond schedule and latency, of
    all targets. `reading_age`: by asset of a target, at most `LABELLED`; `oldest_reading_age`: of
    all of them. `late_rows`, `too_late_rows`: that arrived within `LATE_WINDOW`. `notifications`:
    pending, held, dead. `delivery_overdue`: how long the oldest notification has been due.
    """

    at: datetime
    open_episodes: Mapping[str, int]
    definitions: Mapping[str, int]
    targets: int
    never_evaluated: int
    lag: Mapping[str, DefinitionLag]
    overdue: timedelta
    reading_age: Mapping[str, timedelta]
    oldest_reading_age: timedelta
    assets_without_readings: int
    late_rows: int
    too_late_rows: int
    unrouted_arrivals: int
    notifications: Mapping[str, int]
    delivery_overdue: timedelta
    platform_alerts: Mapping[str, int]


def read_inventory(platform: PlanPorts, before: Inventory | None = None) -> Inventory:
    """Return definitions by state and all targets; `before` if nothing was written since."""
    written = source_hash_of(platform)
    if before is not None and written and before.written == written:
        return before
    revisions = platform.definitions.latest_revisions()
    active = tuple(r for r in revisions if r.definition.state == "active")
    plan = platform.evaluation_plans.get(written)
    if plan is not None:
        targets = plan.targets
    else:
        pairs = answering_revisions(platform.definitions, platform.decisions, active)
        targets = tuple(list_targets(pairs, AssetIndex(platform.assets.all()), platform.latency))
    return Inventory(written, Counter(r.definition.state for r in revisions), active, targets)


def platform_metrics(platform: UpkeepPorts, inventory: Inventory, now: datetime) -> PlatformMetrics:
    """Measure the platform as of now. Writes nothing."""
    open_episodes = Counter(
        e.severity for e in platform.episodes.find(open_only=True, limit=COUNTED)
    )
    lags, overdue, count_never = _lags(platform.states, inventory.targets, now)
    ages, without = _reading_ages(platform.readings, inventory.targets, now)
    arrivals = platform.arrivals.arrived_since(now - LATE_WINDOW)
    pending = platform.notifications.waiting(COUNTED)
    postponed = sum(n.postponed_by is not None for n in pending)
    due = [
        n.next_attempt_at
        for n in pending
        if n.postponed_by is None and n.next_attempt_at is not None
    ]
    return PlatformMetrics(
        at=now,
        open_episodes={severity: open_episodes[severity] for severity in SEVERITIES},
        definitions={
            **{state: inventory.states.get(state, 0) for state in ("active", "draft", "retired")},
            "faulty": len(platform.definitions.faulty()),
        },
        targets=len(inventory.targets),
        never_evaluated=count_never,
        lag=lags,
        overdue=overdue,
        reading_age=dict(sorted(ages.items(), key=lambda item: (-item[1], item[0]))[:LABELLED]),
        oldest_reading_age=max(ages.values(), default=_ZERO),
        assets_without_readings=without,
        late_rows=count_late(platform, arrivals),
        too_late_rows=sum(arrival.too_late for arrival in arrivals),
        unrouted_arrivals=len(platform.arrivals.unfinished().arrivals),
        notifications={
            "pending": len(pending) - postponed,
            "postponed": postponed,
            "dead": len(platform.notifications.dead()),
        },
        delivery_overdue=max((now - at for at in due if at < now), default=_ZERO),
        platform_alerts=Counter(alert.kind for alert in platform.platform_alerts.open()),
    )


def evaluation_lags(
    states: States, inventory: Inventory, now: datetime
) -> dict[str, DefinitionLag]:
    """Return the lags of the most overdue definitions. Writes nothing."""
    return _lags(states, inventory.targets, now)[0]


def _lags(
    states: States, targets: Iterable[EvaluationTarget], now: datetime
) -> tuple[dict[str, DefinitionLag], timedelta, int]:
    """Return the most overdue lags, the worst, and targets that were never evaluated."""
    of_all = list(targets)
    watermarks = states.watermarks([target.key for target in of_all])
    overdue: dict[str, timedelta] = {}
    lags: dict[str, DefinitionLag] = {}
    instant = to_millis(now)
    for target, watermark in zip(of_all, watermarks, strict=True):
        lag = timedelta(
            milliseconds=max(instant - (target.since if watermark == NO_TIME else watermark), 0)
        )
        every = timedelta(milliseconds=target.every)
        beyond = max(lag - every - timedelta(milliseconds=target.latency), _ZERO)
        overdue[target.definition] = max(beyond, overdue.get(target.definition, _ZERO))
        largest = lags.get(target.definition)
        if largest is None or lag > largest.lag:
            lags[target.definition] = DefinitionLag(lag, every)
    named = sorted(lags, key=lambda name: (-overdue[name], -lags[name].lag, name))[:LABELLED]
    return (
        {name: lags[name] for name in named},
        max(overdue.values(), default=_ZERO),
        watermarks.count(NO_TIME),
    )


def _reading_ages(
    readings: Readings, targets: Iterable[EvaluationTarget], now: datetime
) -> tuple[dict[str, timedelta], int]:
    """Return the newest reading's age by asset of a target, and how many have none."""
    assets = {target.asset for target in targets}
    newest = readings.newest_readings(now, assets)
    ages = {asset: max(now - newest[asset].ts, _ZERO) for asset in assets if asset in newest}
    return ages, len(assets) - len(ages)
