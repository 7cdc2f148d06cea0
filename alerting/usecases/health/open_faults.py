"""Open faults of the platform: those by which an alarm cannot come or was not told, and the
others, which wait for an engineer."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple

from alerting.definitions.alert_definition import ModelDefinition
from alerting.ports import PlatformAlert, UpkeepPorts
from alerting.usecases.definitions.faults_and_platform_alerts import (
    CLOCK,
    DOCUMENT,
    DRIFTED,
    FAILING,
    FAULTY,
    LOAD,
    MISCALIBRATED,
    UNREPORTED,
    WAITING,
)
from alerting.usecases.definitions.next_steps import champion_versions
from alerting.usecases.health.platform_health import BEHIND, DISK, FAILED, REFUSED, REGISTRY
from alerting.usecases.health.scheduled_tasks import keeps_alarms
from alerting.usecases.health.stopped_parts import BACKUP, CERTIFICATE, UNKNOWN
from alerting.usecases.notification.routing import DeliveredMessage, delivered_message

# Kinds during which every alarm comes and its message is sent: decisions, loads, work that waits;
# without MLflow, models serve from their cache, and one that is not there is told by itself.
_ALARMS_STAY = frozenset(
    {WAITING, MISCALIBRATED, DRIFTED, REFUSED, UNREPORTED, DISK, BEHIND, LOAD, CLOCK, BACKUP}
    | {CERTIFICATE, REGISTRY}
)
_ONLY_UNDELIVERED = frozenset({FAILING, UNKNOWN})
# During these every alarm comes where the last valid revision, with its model, is in force.
_ALARMS_STAY_IN_FORCE = frozenset({FAILED, FAULTY})


def keeps_alarms_off(alert: PlatformAlert, in_force: Collection[str]) -> bool:
    """Return whether an alarm cannot come, or was not told, because of a fault. `in_force`: the
    definitions of which a valid revision, with its model if it needs one, is in force."""
    if alert.kind in _ALARMS_STAY_IN_FORCE:
        return alert.subject not in in_force
    is_of_sink = alert.kind == DOCUMENT and alert.subject.startswith("sinks/")
    is_quiet = is_of_sink or keeps_alarms(alert.kind, alert.subject)
    return alert.kind not in _ALARMS_STAY and not is_quiet


class OpenFaults(NamedTuple):
    """Open faults of the platform, oldest first. `grave`: alarms cannot come, or were not told;
    `quiet`: decisions and work that wait, during which every alarm comes. `message`: the delivered
    message about all grave ones."""

    grave: Sequence[PlatformAlert]
    quiet: Sequence[PlatformAlert]
    message: DeliveredMessage | None

    @property
    def since(self) -> datetime | None:
        """Return when alarms began to be missing; None while every alarm comes."""
        return self.grave[0].opened_at if self.grave else None

    @property
    def is_only_undelivered(self) -> bool:
        """Return whether every alarm comes, and only its messages are not delivered."""
        return all(
            alert.kind in _ONLY_UNDELIVERED
            or (alert.kind == DOCUMENT and alert.subject.startswith("routes/"))
            for alert in self.grave
        )


def open_faults(platform: UpkeepPorts) -> OpenFaults:
    """Return the open faults, and whether people were notified of those that keep alarms off."""
    alerts = platform.platform_alerts.open()
    by_document = any(alert.kind in _ALARMS_STAY_IN_FORCE for alert in alerts)
    in_force = _in_force(platform) if by_document else ()
    grave = [alert for alert in alerts if keeps_alarms_off(alert, in_force)]
    quiet = [alert for alert in alerts if alert not in grave]
    return OpenFaults(grave, quiet, delivered_message(platform, grave))


def _in_force(platform: UpkeepPorts) -> set[str]:
    """Return the definitions that are evaluated, those by model only with a model."""
    newest = platform.definitions.latest_revisions()
    serving = champion_versions(platform.definitions, platform.decisions, newest)
    return {
        r.name
        for r in newest
        if r.definition.state == "active"
        and (r.name in serving or not isinstance(r.definition, ModelDefinition))
    }
