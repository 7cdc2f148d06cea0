"""Announce reports: one notification of each report to each recipient."""

from collections.abc import Sequence
from datetime import datetime

from alerting.definitions.wording.language import Language, language
from alerting.notifications.notification import Notification, new_message
from alerting.ports import ReportHead, ReportPorts
from alerting.usecases.reports.due import LOOK_BACK

_AT_ONCE = 1_000


def announce_reports(platform: ReportPorts, now: datetime) -> int:
    """Add the notifications of reports that are not announced yet; return how many. Idempotent.

    A notification has the key `report:<id>:<recipient>`: a crash between its insertion and the
    record that the report is announced adds nothing twice.
    """
    waiting = platform.reports.unannounced(_AT_ONCE)
    latest = platform.definitions.latest_revisions() if waiting else []
    by_name = {revision.name: revision.definition for revision in latest}
    added = 0
    for head in waiting:
        definition = by_name.get(head.definition or "")
        if definition is None and now - head.as_of < LOOK_BACK:
            continue  # what it is on cannot be read now, and perhaps again later
        if definition is not None and (recipients := definition.schedule.report_recipients):
            title = definition.title or definition.name
            reads = language(head.language)
            added += platform.notifications.add(_notifications(head, title, recipients, now, reads))
        platform.reports.mark_announced(head.id)
    return added


def _notifications(
    head: ReportHead,
    title: str,
    recipients: Sequence[str],
    now: datetime,
    language_of_plant: Language,
) -> list[Notification]:
    subject = language_of_plant.say("Report {period}: {name}", period=head.period or "", name=title)
    payload = {
        "report": head.id,
        "definition": head.definition,
        "period": head.period,
        "sentences": list(head.sentences),
    }
    text = "\n".join(head.sentences)
    return [
        new_message(f"report:{head.id}:{recipient}", recipient, subject, text, now, None, **payload)
        for recipient in dict.fromkeys(recipients)
    ]
