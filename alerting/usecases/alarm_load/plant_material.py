"""Gather the material of the plant's report: alarm metrics, shelves, faults, and changes of a
period."""

from collections.abc import Sequence
from datetime import datetime

from alerting.ports import Audit, PlatformAlerts, ReportPorts
from alerting.reporting.plant.material import ChangeMade, FaultSeen, PlantMaterial
from alerting.reporting.plant.summary import DefinitionSummary
from alerting.usecases.alarm_load.kpis import alarm_quality, alarm_quality_by
from alerting.usecases.alarm_load.late_times import late_times

_ROUTINE = frozenset(
    {"acknowledge", "confirm", "comment", "assign", "feedback", "test message sent"}
)  # on single episodes


def gather_plant(
    platform: ReportPorts,
    audit: Audit,
    platform_alerts: PlatformAlerts,
    start: datetime,
    end: datetime,
    as_of: datetime,
    summaries: Sequence[DefinitionSummary],
    previous: Sequence[DefinitionSummary] = (),
    previous_start: datetime | None = None,
) -> PlantMaterial:
    """Return the data of the plant's report on [start, end). `summaries`, `previous`: of the
    definitions' reports.

    The alarm metrics of the period before are those from `previous_start` on; when left out, of the
    same length before `start`.
    """
    quality = alarm_quality(platform, start, end, past=None)
    before = alarm_quality(platform, previous_start or start - (end - start), start, past=None)
    return PlantMaterial(
        start=start,
        end=end,
        as_of=as_of,
        summaries=tuple(summaries),
        previous=tuple(previous),
        kpis=quality.kpis,
        previous_kpis=before.kpis if before.kpis.observed else None,
        positions=alarm_quality_by(platform, start, end, "position", past=None).groups,
        muted=quality.muted,
        faults=_faults(platform_alerts, start, end),
        late=late_times(platform_alerts, start, end, as_of),
        changes=[
            ChangeMade(e.at, e.actor, e.what, e.subject, e.why)
            for e in audit.between(start, end)
            if e.what not in _ROUTINE
        ],
    )


def _faults(platform_alerts: PlatformAlerts, start: datetime, end: datetime) -> list[FaultSeen]:
    """Return the faults that were open at some time in [start, end)."""
    known = [*platform_alerts.open(), *platform_alerts.resolved_since(start)]
    inside = [
        a for a in known if a.opened_at < end and (a.resolved_at is None or a.resolved_at >= start)
    ]
    return [FaultSeen(a.kind, a.subject, a.reason, a.opened_at, a.resolved_at) for a in inside]
