"""Metrics of the platform, measured on request."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from alerting.definitions.alert_definition import SEVERITIES
from alerting.episodes.evaluation_plan import EvaluationTarget
from alerting.ports import Readings, UpkeepPorts
from alerting.usecases.health.platform_health import (
    LABELLED,
    DefinitionLag,
    Inventory,
    measure_lags,
)
from alerting.usecases.ingestion.arrived_rows import count_late

COUNTED = 10_000  # largest count of open episodes, and of documents with pending notifications
_ZERO = timedelta(0)


@dataclass(frozen=True)
class PlatformMetrics:
    """Everything at one instant.

    `definitions`: by state; a faulty definition also counts under the state of its revision in
    force. `lag`: by definition, at most `LABELLED`. `overdue`: largest lag beyond schedule and
    latency, of all targets. `reading_age`: by asset of a target, at most `LABELLED`;
    `oldest_reading_age`: over all assets. `late_rows`, `too_late_rows`: rows that arrived within
    an hour. `notifications`: pending, held, dead. `delivery_overdue`: how long the oldest
    notification has been due.
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


def platform_metrics(platform: UpkeepPorts, inventory: Inventory, now: datetime) -> PlatformMetrics:
    """Measure the platform as of now. Writes nothing."""
    open_episodes = Counter(
        e.severity for e in platform.episodes.find(open_only=True, limit=COUNTED)
    )
    lags, overdue, count_never = measure_lags(platform.states, inventory.targets, now)
    ages, without = _reading_ages(platform.readings, inventory.targets, now)
    arrivals = platform.arrivals.arrived_since(now - timedelta(hours=1))
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


def _reading_ages(
    readings: Readings, targets: Iterable[EvaluationTarget], now: datetime
) -> tuple[dict[str, timedelta], int]:
    """Return the newest reading's age by asset of a target, and how many have none."""
    assets = {target.asset for target in targets}
    newest = readings.newest_readings(now, assets)
    ages = {asset: max(now - newest[asset].ts, _ZERO) for asset in assets if asset in newest}
    return ages, len(assets) - len(ages)
