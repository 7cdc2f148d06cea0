"""When evaluation was late, from the platform alerts that recorded it."""

import re
from datetime import datetime, timedelta

from alerting.alarm_kpis.intervals import Interval, merge
from alerting.ports import PlatformAlert, PlatformAlerts
from alerting.usecases.platform_health.conditions import LATE, late_subject

_SINCE = re.compile(r"not evaluated since (\S+?);")


def late_times(
    alerts: PlatformAlerts,
    start: datetime,
    end: datetime,
    as_of: datetime,
    every: timedelta | None = None,
) -> tuple[Interval, ...]:
    """Return when evaluation was late in [start, end), of one cadence or any, in any plant.

    Each begins at the instant up to which the last evaluation had come, and ends when the platform
    found that none was late.
    """
    subject = None if every is None else late_subject(every)
    known = [*alerts.open(), *alerts.resolved_since(start)]
    own = [
        a for a in known if a.kind == LATE and _is_of(a.subject, subject) and a.opened_at <= as_of
    ]
    return tuple(
        merge(
            [(_began(a), min(a.resolved_at or as_of, as_of)) for a in own], start, min(end, as_of)
        )
    )


def _is_of(subject: str, cadence: str | None) -> bool:
    """Return whether an alert is on a cadence, whatever its plant."""
    return cadence is None or subject == cadence or subject.startswith(f"{cadence}__")


def _began(alert: PlatformAlert) -> datetime:
    found = _SINCE.search(alert.reason)
    return min(datetime.fromisoformat(found[1]), alert.opened_at) if found else alert.opened_at
