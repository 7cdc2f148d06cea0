"""Announce reports: one notification of each report to each recipient."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from alerting.definitions.model import Definition
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
        reads = language(head.language)
        audience = _find_audience(platform, head, by_name, reads)
        if audience is None and now - head.as_of < LOOK_BACK:
            continue  # what it is on cannot be read now, and perhaps again later
        title, recipients = audience or ("", ())
        added += (
            platform.notifications.add(_notifications(head, title, recipients, now, reads))
            if recipients
            else 0
        )
        platform.reports.mark_announced(head.id)
    return added


def _find_audience(
    platform: ReportPorts,
    head: ReportHead,
    definitions: Mapping[str, Definition],
    language_of_plant: Language,
) -> tuple[str, Sequence[str]] | None:
    """Return the title of what a report is on, and its recipients; None if that is not there."""
    title = head.definition
    if title is None:
        return language_of_plant.say("The plant"), platform.plant_report.recipients
    definition = definitions.get(title)
    if definition is None:
        return None
    return definition.title or title, definition.schedule.report_recipients


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
