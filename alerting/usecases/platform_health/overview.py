"""The platform at one instant, for the people who run it: what works, what waits, and the command
that mends each fault."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from shlex import quote

from alerting.definitions.sources.source import PROCESS_GONE
from alerting.definitions.upkeep import HealthLimits
from alerting.ports import (
    BackupState,
    DatabaseState,
    Disk,
    PlatformAlert,
    StreamProcess,
    UpkeepPorts,
)
from alerting.usecases.definitions.platform_alerts import (
    DATABASE,
    DOCUMENT,
    DRIFTED,
    LOAD,
)
from alerting.usecases.platform_health.conditions import (
    BACKUP,
    LATE,
    LOST,
    REGISTRY,
    STALE,
    SURPLUS,
)

_COMMANDS = {
    **dict.fromkeys((STALE, LOST, SURPLUS), "alerting list sources"),
    LATE: "alerting evaluate",
    REGISTRY: "alerting up",
    BACKUP: "alerting backup",
    DATABASE: "alerting up",
    DRIFTED: "alerting models",
    LOAD: "alerting backtest {first}",
}
_DOCUMENTS = {
    "assets": "alerting import assets FILE",
    "routes": "alerting apply FILE",
    "sources": "alerting apply FILE",
    "sinks": "alerting apply FILE",
}


@dataclass(frozen=True)
class ProcessState:
    """A process of the stream service. `silent`: since it last noted that it works."""

    name: str
    reads: tuple[str, ...]
    silent: timedelta
    is_gone: bool


@dataclass(frozen=True)
class DeadMessagesOfSource:
    """Messages of a source that could not be stored."""

    source: str
    count: int


@dataclass(frozen=True)
class PlatformOverview:
    """The parts of the overview that are no metrics."""

    processes: tuple[ProcessState, ...]
    dead_messages: tuple[DeadMessagesOfSource, ...]
    disks: tuple[tuple[Disk, bool], ...]
    database: DatabaseState | None
    backup: BackupState


def read_overview(platform: UpkeepPorts, now: datetime) -> PlatformOverview:
    """Read the overview. `now`: the real time, also beside a simulated line. Writes nothing."""
    names = sorted(str(document.get("name")) for document in platform.sources.documents())
    counted = ((name, platform.dead_messages.count_dead(name)) for name in names)
    return PlatformOverview(
        processes=_process_states(platform.stream_processes.processes(), now),
        dead_messages=tuple(DeadMessagesOfSource(name, count) for name, count in counted if count),
        disks=tuple((disk, _is_full(disk, platform.health_limits)) for disk in platform.disks()),
        database=platform.database(),
        backup=platform.backups(),
    )


def mending_command(alert: PlatformAlert) -> str:
    """Return the one command that mends a fault, or shows what to correct in its documents: of
    faults that no page of the console mends."""
    if alert.kind == DOCUMENT:
        collection = alert.subject.partition("/")[0]
        return _DOCUMENTS.get(collection, "alerting list")
    first = quote(alert.subject.partition(" ")[0])
    return _COMMANDS.get(alert.kind, "alerting list").format(first=first)


def _process_states(processes: Sequence[StreamProcess], now: datetime) -> tuple[ProcessState, ...]:
    silent = [(one, max(now - one.seen_at, timedelta(0))) for one in processes]
    return tuple(ProcessState(p.name, tuple(p.reads), s, s > PROCESS_GONE) for p, s in silent)


def _is_full(disk: Disk, limits: HealthLimits) -> bool:
    return disk.free < limits.disk_least
