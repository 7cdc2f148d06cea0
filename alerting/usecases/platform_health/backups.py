"""The state of backups, as their entries in the audit tell it."""

from datetime import datetime, timedelta

from alerting.ports import Audit, AuditEntry, AuditFilter, BackupState
from alerting.usecases.access.audit import BACKUP_FAILED, BACKUP_MADE, BACKUP_PROVEN

_LONGEST_GRACE = timedelta(hours=12)


def backup_state(audit: Audit, every: timedelta | None, now: datetime) -> BackupState:
    """Return the state of backups. `every`: interval of scheduled ones, None without; `now`: the
    real time.

    A proven backup may be as old as the interval, and as much again, at most twelve hours.
    """
    made = _newest_entry(audit, BACKUP_MADE)
    proven = _newest_entry(audit, BACKUP_PROVEN)
    failed = _newest_entry(audit, BACKUP_FAILED)
    newest = max((entry.at for entry in (made, proven) if entry is not None), default=None)
    is_failed = failed is not None and (proven is None or failed.at > proven.at)
    return BackupState(
        age=None if newest is None else max(now - newest, timedelta(0)),
        proven_age=(
            None
            if proven is None
            else max(now - datetime.fromisoformat(proven.after["made_at"]), timedelta(0))
        ),
        bytes=0 if proven is None else int(proven.after["bytes"]),
        failure=failed.why if failed is not None and is_failed else None,
        allowed=None if every is None else every + min(every, _LONGEST_GRACE),
    )


def _newest_entry(audit: Audit, action: str) -> AuditEntry | None:
    return next(iter(audit.find(AuditFilter(what=action), 1)), None)
