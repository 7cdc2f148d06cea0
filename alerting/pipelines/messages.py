"""What people and systems read: the words of each notification."""

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from alerting.definitions.model import Severity
from alerting.episodes.bulletin import Bulletin
from alerting.episodes.episode import Episode, Notification
from alerting.episodes.shelving import Shelf
from alerting.pipelines.ports import Links, Message

_BEGINNINGS = {"closed": "Over", "escalated": "Unanswered", "repeated": "Still", "severity_rose": "Worse", "reopened": "Not over"}


def message(
    episode: Episode, notification: Notification, links: Links | None = None, acknowledging: Collection[str | None] = ()
) -> Message:
    """What is told of one transition of an episode. `acknowledging`: names of routes whose messages may acknowledge by a link."""
    subject = f"{_severity(episode, notification).upper()}: {episode.title} on {episode.asset}"
    if notification.transition == "closed":
        subject = f"Over: {episode.title} on {episode.asset}"
        lines = [f"{subject} ({notification.reason})"]
    else:
        if notification.transition in _BEGINNINGS:
            subject = f"{_BEGINNINGS[notification.transition]}: {subject}"
        lines = [subject, *_raise_lines(episode, notification)]
    told = Message(notification.key, subject, "\n".join(lines), _payload(episode, notification))
    if links is None:
        return told
    acknowledge = notification.route in acknowledging and episode.condition == "open" and episode.acknowledged is None
    return replace(told, links=links.of(episode.id, notification.channel, acknowledge))


def bulletin_message(bulletin: Bulletin) -> Message:
    """What is told by a bulletin."""
    return Message(bulletin.id, bulletin.subject, bulletin.text, bulletin.payload)


def shelf_message(shelf: Shelf, notification: Notification) -> Message:
    """What people receive shortly before a shelf ends."""
    until = shelf.until.isoformat() if shelf.until else ""
    subject = f"Shelf ends soon: {shelf.definition} on {shelf.asset}"
    lines = [
        f"{subject} ({until})",
        f"Shelved since {shelf.since.isoformat()} by {shelf.who}: {shelf.reason}",
        f"(it ends by itself; longer: alerting shelve {shelf.definition} {shelf.asset} --for ... --reason ...)",
    ]
    payload = {"shelf": shelf.id, "definition": shelf.definition, "asset": shelf.asset, "until": until, "transition": "reminder"}
    return Message(notification.key, subject, "\n".join(lines), payload)


def _raise_lines(episode: Episode, notification: Notification) -> list[str]:
    lines = [f"Since {episode.raised_at.isoformat()}: {episode.evaluation.reason}"]
    lines += _change_lines(episode, notification)
    lines += [f"Why: {c.words}" for c in episode.contributions[:3]]
    if episode.recommendation:
        lines.append(f"What-if of the model: {episode.recommendation.words}")
    lines += [f"{name.capitalize()}: {text}" for name, text in episode.guidance.items()]
    lines.append(f"({notification.reason}; answer with: alerting feedback {episode.id})")
    return lines


def _severity(episode: Episode, notification: Notification) -> Severity:
    """How bad it is said to be: a raise and a rise as bad as they were, whatever became of it before anybody was told."""
    told_as_it_was = notification.transition in ("raised", "severity_rose")
    return notification.severity if told_as_it_was and notification.severity else episode.severity


def _change_lines(episode: Episode, notification: Notification) -> list[str]:
    severity, changes = _severity(episode, notification), [t.reason for t in episode.transitions if t.kind == "severity"]
    lines = []
    if notification.transition == "severity_rose":
        lines = [f"Worse: {reason}" for reason in changes if f"→ {severity}" in reason][-1:]
    if episode.condition == "closed":
        lines.append(f"Meanwhile: over since {episode.closed_at.isoformat() if episode.closed_at else ''}")
    elif severity != episode.severity and changes:
        lines.append(f"Meanwhile: {changes[-1]}")
    return lines


def _payload(episode: Episode, notification: Notification) -> dict[str, Any]:
    advice = episode.recommendation
    return {
        "episode": episode.id,
        "definition": episode.definition,
        "revision": episode.revision,
        "asset": episode.asset,
        "transition": notification.transition,
        "reason": notification.reason,
        "severity": _severity(episode, notification),
        "title": episode.title,
        "raised_at": episode.raised_at.isoformat(),
        "closed_at": episode.closed_at and episode.closed_at.isoformat(),
        "evaluation": episode.evaluation.reason,
        "value": episode.evaluation.value,
        "threshold": episode.evaluation.threshold,
        "contributions": [{"variable": c.variable, "share": c.share, "words": c.words} for c in episode.contributions],
        "recommendation": advice and {"words": advice.words, "helps": advice.helps},
        "guidance": episode.guidance,
    }
