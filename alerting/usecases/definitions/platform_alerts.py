"""Alerts about the platform itself: faults that an engineer must correct so that the other alerts
can be trusted.

The process that finds a fault opens an alert, and the next one that finds it gone resolves it.
Idempotent.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime

from alerting.definitions.alert_definition import ModelDefinition
from alerting.definitions.wording.language import Translatable, template, translatable
from alerting.ports import Definitions, FaultyDocument, PlatformAlerts

UNREADABLE = template("champion unreadable")
FAULTY = template("definition faulty")
DOCUMENT = template("document faulty")
WAITING = template("approval waiting")
MISCALIBRATED = template("model miscalibrated")
DRIFTED = template("inputs drifted")
DATABASE = template("database away")
LOAD = template("alarm load")
ANSWER = " Answer: "  # what alerts of earlier versions say behind why a version waits


def record_model_faults(
    alerts: PlatformAlerts, evaluated: Sequence[str], faults: Mapping[str, str], at: datetime
) -> None:
    """Open and resolve alerts after an evaluation of these definitions. `faults`: by name, why a
    champion could not be read."""
    if evaluated:
        current = {name: faults[name] for name in evaluated if name in faults}
        record_faults(alerts, UNREADABLE, current, at, lambda name: name in evaluated)


def record_faults(
    alerts: PlatformAlerts,
    kind: str,
    faults: Mapping[str, str],
    at: datetime,
    is_checked: Callable[[str], bool],
) -> None:
    """Open alerts on these faults (reason by subject), and resolve those on other subjects that
    were checked."""
    still = {a.subject: a.reason for a in alerts.open() if a.kind == kind}
    for subject, reason in faults.items():
        if still.get(subject) != reason:
            alerts.report(kind, subject, reason, at)
    for subject in still.keys() - faults.keys():
        if is_checked(subject):
            alerts.resolve(kind, subject, at)


def forget_deleted(
    alerts: PlatformAlerts,
    definitions: Definitions,
    documented: Collection[str] | None,
    at: datetime,
) -> None:
    """Resolve the alerts on definitions without a document, and those on models of definitions that
    use none. `documented`: definitions with a document; None: all of them."""
    for alert in alerts.open():
        is_deleted = (
            alert.kind == FAULTY and documented is not None and alert.subject not in documented
        )
        idle = alert.kind in (UNREADABLE, WAITING) and not _uses_champion(
            definitions, alert.subject
        )
        if is_deleted or idle:
            alerts.resolve(alert.kind, alert.subject, at)


def _uses_champion(definitions: Definitions, name: str) -> bool:
    newest = definitions.newest_revision(name)
    return (
        newest is not None
        and newest.definition.state == "active"
        and isinstance(newest.definition, ModelDefinition)
    )


def record_definition_faults(
    alerts: PlatformAlerts, name: str, faults: Sequence[str], at: datetime
) -> None:
    """Open an alert on a faulty definition with these reasons; without reasons, resolve it."""
    if faults:
        alerts.report(FAULTY, name, "; ".join(faults), at)
    else:
        alerts.resolve(FAULTY, name, at)


def record_waiting(
    alerts: PlatformAlerts, name: str, why: Translatable | None, at: datetime
) -> None:
    """Open an alert on a challenger that waits for approval, and say why it waits; None: resolve
    it."""
    if why is None:
        alerts.resolve(WAITING, name, at)
    else:
        reason = translatable(
            "{why} Answer: alerting model approve {name}, or reject; Required Actions in Airflow",
            why=why,
            name=name,
        )
        alerts.report(WAITING, name, reason, at)


def why_waiting(reason: str) -> str:
    """Return why a version waits, of the reason of such an alert: without how to answer."""
    why = reason.values.get("why") if isinstance(reason, Translatable) else None
    return why if isinstance(why, Translatable) else reason.partition(ANSWER)[0]


def record_document_faults(
    alerts: PlatformAlerts,
    documents: Sequence[FaultyDocument],
    at: datetime,
    collections: Collection[str] | None = None,
) -> None:
    """Open alerts on these faulty documents, which are left out; resolve others of these
    collections (by default of all)."""
    faulty = {f"{one.collection}/{one.name}": "; ".join(one.reasons) for one in documents}
    record_faults(
        alerts,
        DOCUMENT,
        faulty,
        at,
        lambda subject: collections is None or subject.split("/")[0] in collections,
    )
