"""Check the platform itself: gather facts, and raise or resolve its alerts."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from alerting.alarm_kpis.intervals import Interval, intersection, merge
from alerting.definitions.model import ModelDefinition
from alerting.definitions.suppression import Suppression
from alerting.ports import DeliveryPorts, EpisodePorts, Models, ModelUnavailable, UpkeepPorts
from alerting.usecases.definitions.platform_alerts import (
    DRIFTED,
    MISCALIBRATED,
    WAITING,
    record_faults,
)
from alerting.usecases.episodes.suppression import suppressed_between
from alerting.usecases.notification.platform_alerts import DeliveredMessage, delivered_message
from alerting.usecases.platform_health.conditions import (
    BEHIND,
    DISK,
    FAILED,
    HOURS_BACK,
    KINDS,
    LEFT_KINDS,
    REFUSALS,
    REFUSED,
    REGISTRY,
    AssetFreshness,
    PlatformFacts,
    PlatformFault,
    platform_conditions,
)
from alerting.usecases.platform_health.metrics import Inventory, evaluation_lags, read_inventory
from alerting.usecases.sinks.documents import sink_statuses
from alerting.usecases.sources.status import source_statuses
from alerting.usecases.training.due import newest_trainings

# Faults during which every alarm still comes.
_ALARMS_STAY = frozenset({WAITING, MISCALIBRATED, DRIFTED, REFUSED, FAILED, DISK, BEHIND})


def check_platform(
    platform: UpkeepPorts,
    now: datetime,
    inventory: Inventory | None = None,
    *,
    asks_registry: bool = True,
) -> list[PlatformFault]:
    """Raise an alert for each fault found now, resolve those over, return the faults. `inventory`:
    if it was read already. `asks_registry`: whether the registry of models answers is asked, else
    an alert about it stays as it is."""
    facts = read_facts(platform, now, inventory, asks_registry=asks_registry)
    faults = platform_conditions(facts, platform.health_limits, now)
    asked = [kind for kind in KINDS if asks_registry or kind != REGISTRY]
    for kind in (*asked, *LEFT_KINDS):
        current = {fault.subject: fault.reason for fault in faults if fault.kind == kind}
        record_faults(platform.platform_alerts, kind, current, now, lambda _: True)
    return faults


class AlarmsOff(NamedTuple):
    """Open faults. `since`: when alarms began to be missing, None if every alarm still comes;
    `message`: that was delivered on it."""

    faults: int
    since: datetime | None
    message: DeliveredMessage | None


def alarms_off(platform: DeliveryPorts) -> AlarmsOff | None:
    """Return since when faults keep alarms off, and whether that was told; None without a fault."""
    still_open = platform.platform_alerts.open()
    if not still_open:
        return None
    grave = [alert for alert in still_open if alert.kind not in _ALARMS_STAY]
    since = min((alert.opened_at for alert in grave), default=None)
    return AlarmsOff(len(still_open), since, delivered_message(platform, grave))


def read_facts(
    platform: UpkeepPorts,
    now: datetime,
    inventory: Inventory | None = None,
    *,
    asks_registry: bool = True,
) -> PlatformFacts:
    """Return the facts about the platform at `now`. Writes nothing."""
    inventory = inventory or read_inventory(platform)
    by_model = [r for r in inventory.active if isinstance(r.definition, ModelDefinition)]
    trained = [r.name for r in by_model]
    return PlatformFacts(
        lags=evaluation_lags(platform.states, inventory, now),
        readings=_readings(
            platform, inventory, {r.name: r.definition.suppression for r in inventory.active}, now
        ),
        trainings=[*newest_trainings(platform.trainings, by_model).values()],
        decisions=platform.decisions.newest_decisions(trained, REFUSALS) if trained else {},
        disks=platform.disks(),
        sources=source_statuses(platform, now),
        sinks=sink_statuses(platform, now),
        declarations=platform.deliveries.declarations(),
        registry_fault=_registry_fault(platform.models, trained) if asks_registry else None,
        is_open=frozenset((alert.kind, alert.subject) for alert in platform.platform_alerts.open()),
    )


def _readings(
    platform: UpkeepPorts,
    inventory: Inventory,
    suppressions: Mapping[str, Suppression | None],
    now: datetime,
) -> list[AssetFreshness]:
    newest = platform.readings.newest_readings(now)
    assets = platform.assets.all()
    used = defaultdict[str, set[Suppression | None]](set)
    for target in inventory.targets:
        used[target.asset].add(suppressions.get(target.definition))
    parents = {asset.name: asset.parent for asset in assets}
    found = []
    for asset in assets:
        if asset.name in used and asset.name in newest:
            ts = newest[asset.name].ts
            rests = (
                _at_rest(platform, asset.name, used[asset.name], max(ts, now - HOURS_BACK), now)
                if now - newest[asset.name].ts > platform.health_limits.source_stale
                else ()
            )
            line = _line(asset.name, parents)
            found.append(
                AssetFreshness(
                    asset.name,
                    line,
                    newest[asset.name],
                    min(
                        (v.sampling for v in asset.variables.values() if v.sampling is not None),
                        default=None,
                    ),
                    rests,
                )
            )
    return found


def _at_rest(
    platform: EpisodePorts,
    asset: str,
    suppressions: Collection[Suppression | None],
    start: datetime,
    end: datetime,
) -> tuple[Interval, ...]:
    """Return when all definitions on an asset are suppressed; none if one never is."""
    found: list[Interval] = [(start, end)]
    for suppression in suppressions:
        if suppression is None:
            return ()
        of_one = [
            (s.start, s.end)
            for s in suppressed_between(platform, suppression.of_plant, asset, start, end)
        ]
        found = intersection(found, merge(of_one, start, end))
    return tuple(found)


def _line(asset: str, parents: Mapping[str, str | None]) -> str:
    """Return the outermost asset above an asset, or its own name; rings end."""
    passed = [asset]
    while (parent := parents.get(passed[-1])) in parents and parent not in passed:
        passed.append(str(parent))
    return passed[-1]


def _registry_fault(models: Models, trained: Sequence[str]) -> str | None:
    """Return why the registry does not answer, if a definition in service needs it."""
    if not trained:
        return None
    try:
        models.alias(trained[0], "champion")
    except ModelUnavailable as fault:
        return str(fault)
    return None
