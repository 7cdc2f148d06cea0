"""Metrics of the plant's report: its alarms, shelves, faults, and changes in a period."""

from collections.abc import Sequence
from datetime import datetime

from alerting.ports import ReportPorts
from alerting.reporting.plant.metrics import ChangeMade, FaultSeen, PlantMetrics, compute_plant
from alerting.reporting.plant.summary import DefinitionNumbers
from alerting.usecases.alarm_load.kpis import alarm_quality, alarm_quality_by
from alerting.usecases.alarm_load.late_times import late_times

# on single episodes
_ROUTINE = frozenset(
    {"acknowledge", "confirm", "comment", "assign", "feedback", "test message sent"}
)


def measure_plant(
    platform: ReportPorts,
    start: datetime,
    end: datetime,
    as_of: datetime,
    summaries: Sequence[DefinitionNumbers],
    previous: Sequence[DefinitionNumbers] = (),
    previous_start: datetime | None = None,
) -> PlantMetrics:
    """Return the plant's metrics on [start, end). `summaries`, `previous`: of reports.

    The alarm metrics of the period before are those from `previous_start` on; when left out, of the
    same length before `start`.
    """
    quality = alarm_quality(platform, start, end, past=None)
    before = alarm_quality(platform, previous_start or start - (end - start), start, past=None)
    return compute_plant(
        start=start,
        end=end,
        as_of=as_of,
        summaries=summaries,
        previous=previous,
        kpis=quality.kpis,
        previous_kpis=before.kpis if before.kpis.observed else None,
        positions=alarm_quality_by(platform, start, end, "position", past=None).groups,
        muted=quality.muted,
        faults=[
            FaultSeen(
                a.kind,
                a.subject,
                a.reason,
                a.opened_at,
                a.resolved_at if a.resolved_at is not None and a.resolved_at <= as_of else None,
            )
            for a in [
                *platform.platform_alerts.open(),
                *platform.platform_alerts.resolved_since(start),
            ]
            if a.opened_at < end
            and a.opened_at <= as_of
            and (a.resolved_at is None or a.resolved_at >= start)
        ],
        late=late_times(platform.platform_alerts, start, end, as_of),
        changes=[
            ChangeMade(e.at, e.actor, e.what, e.subject, e.why)
            for e in platform.audit.for_interval(start, end)
            if e.what not in _ROUTINE
        ],
    )
