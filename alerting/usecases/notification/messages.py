"""Message texts and payloads of notifications, for people and systems."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, tzinfo
from types import MappingProxyType
from typing import Any

from alerting.definitions.model import Severity
from alerting.episodes.episode import Change, Episode, RecommendationResult, TransitionKind
from alerting.episodes.predictions import HORIZON_PASSED, UNIT_PASSED
from alerting.episodes.reconciliation import NOT_FOUND_AGAIN, NOT_HAPPENING
from alerting.notifications.notification import Notification
from alerting.operators.shelves import Shelf
from alerting.ports import Links, Message
from alerting.reporting.sentences import (
    about,
    advice_shown,
    clock_time,
    distance,
    happening_reason,
    headline,
    local_times,
    reasons,
    sentence,
    time_range,
    what_to_do,
)
from alerting.reporting.sentences import message as in_one_line

FIRST = "first notification"
_EXPLAINED = ("cause", "consequence")
_SELF_EVIDENT = ("severity_rose", "repeated", "escalated", "happening")  # causes that the subject states already
_ENDS = {
    HORIZON_PASSED: "the predicted time has passed without the problem",
    UNIT_PASSED: UNIT_PASSED,
    NOT_FOUND_AGAIN: "data that came late show no reason for it",
}


def message(
    episode: Episode,
    notification: Notification,
    links: Links | None = None,
    acknowledging: Collection[str | None] = (),
    now: datetime | None = None,
    zone: tzinfo = UTC,
    conflicts: Sequence[str] = (),
) -> Message:
    """Return the message of one notification of an episode.

    `acknowledging`: names of routes whose messages may acknowledge by a link. `now`: of its delivery; times are those of `zone`.
    `conflicts`: sentences on open alerts of the asset with the opposite advice.
    """
    instant = now or notification.created_at
    subject = _subject(episode, notification, instant)
    details = _DETAILS.get(notification.transition, _open_lines)
    lines = [subject, *(local_times(line, instant, zone) for line in details(episode, notification, instant, zone))]
    lines += conflicts if notification.transition not in _DETAILS else ()
    plain = Message(notification.key, subject, "\n".join(lines), _payload(episode, notification))
    if links is None:
        return plain
    acknowledge = notification.route in acknowledging and episode.condition == "open" and episode.acknowledged is None
    return replace(plain, links=links.of(episode.id, notification.channel, acknowledge))


def content_message(notification: Notification, now: datetime, zone: tzinfo = UTC) -> Message:
    """Return the message of a notification that belongs to no single episode; times are those of `zone`."""
    content = notification.content
    assert content is not None  # noqa: S101 - see `Notification`
    return Message(notification.key, content.subject, local_times(content.text, now, zone), content.payload)


def shelf_message(shelf: Shelf, notification: Notification, now: datetime | None = None, zone: tzinfo = UTC) -> Message:
    """Return the reminder that recipients get shortly before a shelf ends."""
    instant = now or notification.created_at
    until = shelf.until.isoformat() if shelf.until else ""
    subject = f"Shelf ends soon: {shelf.definition} on {shelf.asset}"
    ends = f"{clock_time(shelf.until, instant, zone)} ({distance(shelf.until, instant)})" if shelf.until else "by hand"
    lines = [
        f"{subject}: {ends}",
        f"Shelved since {clock_time(shelf.since, instant, zone)} by {shelf.actor}: {shelf.reason}",
        "It ends by itself; an alarm that is still open then is sent at once.",
        f"To shelve it for longer: alerting shelf add {shelf.definition} {shelf.asset} --for ... --reason ...",
    ]
    payload = {"shelf": shelf.id, "definition": shelf.definition, "asset": shelf.asset, "until": until, "transition": "reminder"}
    return Message(notification.key, subject, "\n".join(lines), payload)


def _subject(episode: Episode, notification: Notification, now: datetime) -> str:
    """Return the subject line: first what has happened, then the severity, then title and asset."""
    alert, open_for = f"{episode.title} on {episode.asset}", about(now - episode.raised_at)
    if notification.transition == "closed" and episode.withdrawn:
        return f"Withdrawn: {alert}"
    if notification.transition == "closed":
        at_once = episode.happening_at is not None and episode.happening_at == episode.closed_at
        return f"{'It happened' if at_once else 'Over'}: {alert}"
    if notification.transition == "happening":
        return f"It is happening: {alert}"
    if notification.transition == "corrected":
        return f"{'It is not happening' if NOT_HAPPENING in notification.reason else 'It happened after all'}: {alert}"
    happened = {
        "severity_rose": "Worse: ",
        "repeated": f"Still open after {open_for}: ",
        "escalated": f"Not acknowledged for {open_for}: ",
        "reopened": "Not over: ",
        "unmuted": "No longer muted, still open: ",
    }
    return f"{happened.get(notification.transition, '')}{_severity(episode, notification).upper()}: {alert}"


def _end_lines(episode: Episode, notification: Notification, now: datetime, zone: tzinfo) -> list[str]:
    """Return the lines of an ended episode: its duration, why it ended, and what remains to be done."""
    happening_at = None if episode.withdrawn else episode.happening_at
    lasted = time_range(happening_at or episode.raised_at, episode.closed_at or now, now, zone)
    reason = _ENDS.get(notification.reason, notification.reason)
    lines = [f"{lasted[:1].upper()}{lasted[1:]}: {reason}."]
    if happening_at is not None:
        before = about(happening_at - episode.raised_at)
        lines += [f"It happened: {sentence(happening_reason(episode) or '')}", f"It was predicted {before} before."]
    lines.append(f"It was: {sentence(episode.evaluation.reason)}")
    if episode.severity_peak not in (None, episode.severity):
        lines.append(f"Worst severity: {episode.severity_peak}.")
    if episode.acknowledged is None:
        lines.append("It was not acknowledged.")
    return lines


def _corrected_lines(episode: Episode, notification: Notification, now: datetime, zone: tzinfo) -> list[str]:
    """Return the lines of a correction: what was said before, and what is known now."""
    raised = f"It was predicted {clock_time(episode.raised_at, now, zone)}: {sentence(episode.evaluation.reason)}"
    return [sentence(notification.reason), raised]


def _open_lines(episode: Episode, notification: Notification, now: datetime, zone: tzinfo) -> list[str]:
    """Return the lines of an open episode: what is wrong, since when, what to do; in a first notification also why."""
    lines = _change_lines(episode, notification, now, zone)
    since = f"{clock_time(episode.raised_at, now, zone)} ({distance(episode.raised_at, now)})"
    if episode.happening_at is not None:
        lines.append(f"Predicted {since}: {sentence(episode.evaluation.reason)}")
    else:
        expected = episode.valid_until if episode.is_prediction and episode.valid_until != episode.raised_at else None
        lines.append(f"Since {since}{f'; expected by {clock_time(expected, now, zone)}' if expected else ''}.")
    if episode.condition == "open":
        lines += _advice_lines(episode)
    if notification.transition != "repeated":
        strongest, weaker = reasons(episode)
        lines += [f"Why: {sentence(c.message)}" for c in strongest]
        lines += ["(This is what the model used, not a proven cause.)"] if strongest else []
        if weaker:
            lines.append(f"{len(weaker)} weaker reason{'s' if len(weaker) > 1 else ''} on the page of the episode.")
        lines += [f"{name.capitalize()}: {episode.guidance[name]}" for name in _EXPLAINED if name in episode.guidance]
    if notification.transition not in _SELF_EVIDENT and notification.reason != FIRST:
        lines.append(f"You receive this because: {notification.reason}.")
    return lines


def _advice_lines(episode: Episode) -> list[str]:
    """Return the advice: the next step first, then the other advice of the model or the engineer."""
    step, advice = what_to_do(episode), advice_shown(episode)
    lines = [f"What to do: {step}"] if step else []
    if advice is not None and advice.message != step:
        lines.append(f"The model: {advice.message}")
    if advice is not None and advice.changes:
        lines.append("(A what-if of the model; the platform changes no setting by itself.)")
    action = episode.guidance.get("action")
    return [*lines, f"Action: {action}"] if action and action != step else lines


_DETAILS: Mapping[TransitionKind, Callable[[Episode, Notification, datetime, tzinfo], list[str]]] = MappingProxyType(
    {"closed": _end_lines, "corrected": _corrected_lines}
)


def _severity(episode: Episode, notification: Notification) -> Severity:
    """Return the severity to state. A raise and a rise state the severity of their own instant, also if it has changed since."""
    states_its_instant = notification.transition in ("raised", "severity_rose")
    return notification.severity if states_its_instant and notification.severity else episode.severity


def _change_lines(episode: Episode, notification: Notification, now: datetime, zone: tzinfo) -> list[str]:
    """Return the lines on what is wrong: as it was when the notification became due, and what has changed since."""
    severity, changes = _severity(episode, notification), [t.reason for t in episode.transitions if t.kind == "severity"]
    risen = [reason for reason in changes if f"→ {severity}" in reason][-1:]
    if notification.transition == "severity_rose" and risen:
        lines = [f"Worse: {risen[0]}."]
    elif notification.transition == "happening":
        lines = [sentence(notification.reason)]
    else:
        lines = [sentence(episode.evaluation.reason if notification.transition == "raised" else headline(episode))]
    if episode.condition == "closed":
        lines.append(f"Meanwhile: over since {clock_time(episode.closed_at, now, zone) if episode.closed_at else ''}.")
    elif notification.transition == "raised" and episode.happening_at is not None:
        lines.append(f"Meanwhile: {sentence(headline(episode))}")
    elif severity != episode.severity and changes:
        lines.append(f"Meanwhile: {changes[-1]}.")
    return lines


def _advice_payload(advice: RecommendationResult) -> dict[str, Any]:
    """Return a recommendation for programs: each change with its variable, settings and unit, and the risk before and after."""
    return {
        "message": advice.message,
        "helps": advice.helps,
        "risk_before": advice.risk_before,
        "risk_after": advice.risk_after,
        "changes": _change_payloads(advice.changes),
        "alternatives": [
            {"message": a.message, "risk_after": a.risk_after, "unusual": a.unusual, "changes": _change_payloads(a.changes)}
            for a in advice.alternatives
        ],
    }


def _change_payloads(changes: Sequence[Change]) -> list[dict[str, Any]]:
    return [{"variable": c.variable, "from": c.before, "to": c.after, "unit": c.unit} for c in changes]


def _payload(episode: Episode, notification: Notification) -> dict[str, Any]:
    advice, (strongest, weaker) = advice_shown(episode), reasons(episode)
    return {
        "episode": episode.id,
        "definition": episode.definition,
        "revision": episode.revision,
        "asset": episode.asset,
        "transition": notification.transition,
        "reason": notification.reason,
        "severity": _severity(episode, notification),
        "title": episode.title,
        "message": in_one_line(episode),
        "raised_at": episode.raised_at.isoformat(),
        "phase": episode.phase,
        "happening_at": episode.happening_at and episode.happening_at.isoformat(),
        "closed_at": episode.closed_at and episode.closed_at.isoformat(),
        "evaluation": episode.evaluation.reason,
        "value": episode.evaluation.value,
        "threshold": episode.evaluation.threshold,
        "contributions": [{"variable": c.variable, "share": c.share, "message": c.message} for c in (*strongest, *weaker)],
        "recommendation": advice and _advice_payload(advice),
        "guidance": episode.guidance,
    }
