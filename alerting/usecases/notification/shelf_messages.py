"""The reminder of a shelf that ends soon."""

from datetime import UTC, datetime, tzinfo

from alerting.definitions.wording.language import ENGLISH, Language
from alerting.notifications.notification import Notification
from alerting.operators.shelves import Shelf
from alerting.ports import Message
from alerting.usecases.notification.messages import Reader


def shelf_message(
    shelf: Shelf,
    notification: Notification,
    now: datetime | None = None,
    zone: tzinfo = UTC,
    language: Language = ENGLISH,
    title: str | None = None,
    asset: str | None = None,
) -> Message:
    """Return the reminder that recipients get shortly before a shelf ends. `title`, `asset`: the
    titles of its definition and of its asset."""
    reader = Reader(now or notification.created_at, zone, language)
    until = shelf.until.isoformat() if shelf.until else ""
    target = {"definition": title or shelf.definition, "asset": asset or shelf.asset}
    subject = reader.say("Shelf ends soon: {definition} on {asset}", **target)
    ends = reader.moment(shelf.until) if shelf.until else reader.say("by hand")
    since = reader.clock(shelf.since)
    reason = language.translate(shelf.reason)
    lines = [
        f"{subject}: {ends}",
        reader.say(
            "Shelved since {since} by {person}: {reason}",
            since=since,
            person=shelf.actor,
            reason=reason,
        ),
        reader.say(
            "It ends by itself. An alarm that is still open then is sent at once, and can be "
            "shelved again."
        ),
    ]
    payload = {
        "shelf": shelf.id,
        "definition": shelf.definition,
        "asset": shelf.asset,
        "until": until,
        "transition": "reminder",
        "page": "/#muted",
    }
    return Message(notification.key, subject, "\n".join(lines), payload, language=language.code)
