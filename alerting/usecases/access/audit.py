"""The audit as people read it: pages of entries, what changed in each, and an export."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from alerting.operators.account_rules import JoinedRefusals
from alerting.ports import Audit, AuditEntry, AuditFilter

PAGE = 50
EXPORTED_AT_ONCE = 1000
LONGEST_VALUE = 300
BACKUP_MADE = "backup made"
"""The action of the entry that each backup leaves, from which its age is known."""


def entries_newest_first(audit: Audit, selection: AuditFilter) -> Iterator[AuditEntry]:
    """Yield all wanted entries, newest first, read in portions."""
    older_than = None
    while page := audit.find(selection, EXPORTED_AT_ONCE, older_than):
        yield from page
        older_than = (page[-1].at, page[-1].id)


def changed_fields(entry: AuditEntry) -> list[tuple[str, str, str]]:
    """Return field, value before and value after of what an entry changed, as short texts."""
    before = _flat(entry.before)
    after = _flat(entry.after)
    return [
        (name, before.get(name, ""), after.get(name, ""))
        for name in dict.fromkeys([*before, *after])
        if before.get(name, "") != after.get(name, "")
    ]


def _flat(value: Any, path: str = "") -> dict[str, str]:
    if isinstance(value, Mapping):
        return {
            name: text
            for key, field in value.items()
            for name, text in _flat(field, f"{path}.{key}" if path else str(key)).items()
        }
    if value is None or value in ("", [], ()):
        return {}
    if isinstance(value, datetime):
        return {path: value.isoformat(timespec="seconds")}
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return {path: text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]} …"}


def audit_refusals(audit: Audit, refused: Sequence[JoinedRefusals]) -> None:
    """Store refused sign-ins and requests, one entry for each address and time."""
    for refusal in refused:
        after = {"address": refusal.address, "count": refusal.count, "since": refusal.since}
        audit.add(
            refusal.person or f"unknown at {refusal.address}",
            refusal.action,
            refusal.subjects[0],
            refusal.at,
            after=after | ({"also": refusal.subjects[1:]} if refusal.subjects[1:] else {}),
            why="; ".join(refusal.reasons),
        )


def backup_age(audit: Audit, now: datetime) -> timedelta | None:
    """Return the age of the newest backup; None if none is known. `now`: the real time."""
    made = next(iter(audit.find(AuditFilter(what=BACKUP_MADE), 1)), None)
    return None if made is None else max(now - made.at, timedelta(0))
