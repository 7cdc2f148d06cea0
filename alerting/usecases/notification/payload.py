"""Payloads of notifications, for programs."""

from collections.abc import Sequence
from typing import Any

from alerting.definitions.model import Severity
from alerting.episodes.episode import Change, Episode, RecommendationResult
from alerting.notifications.notification import Notification
from alerting.reporting.base.sentences import advice_shown, reasons, reasons_at
from alerting.reporting.base.sentences import message as in_one_line


def notification_payload(episode: Episode, notification: Notification) -> dict[str, Any]:
    """Return what programs read of a message: in English, with instants in UTC."""
    advice = advice_shown(episode)
    (strongest, weaker) = reasons(episode)
    return {
        "episode": episode.id,
        "definition": episode.definition,
        "revision": episode.revision,
        "asset": episode.asset,
        "transition": notification.transition,
        "reason": notification.reason,
        "severity": stated_severity(episode, notification),
        "title": episode.title,
        "message": in_one_line(episode),
        "raised_at": episode.raised_at.isoformat(),
        "phase": episode.phase,
        "happening_at": episode.happening_at and episode.happening_at.isoformat(),
        "closed_at": episode.closed_at and episode.closed_at.isoformat(),
        "evaluation": episode.evaluation.reason,
        "value": episode.evaluation.value,
        "threshold": episode.evaluation.threshold,
        "contributions": [
            {"variable": c.variable, "share": c.share, "message": c.message}
            for c in (*strongest, *weaker)
        ],
        "recommendation": advice
        and {**_advice_payload(advice), "at": reasons_at(episode).isoformat()},
        "guidance": episode.guidance,
    }


def stated_severity(episode: Episode, notification: Notification) -> Severity:
    """Return the severity to state. A raise and a rise state the severity of their own instant,
    also if it has changed since."""
    states_its_instant = notification.transition in ("raised", "severity_rose")
    return (
        notification.severity if states_its_instant and notification.severity else episode.severity
    )


def _advice_payload(advice: RecommendationResult) -> dict[str, Any]:
    """Return a recommendation for programs: each change with its variable, settings and unit, and
    the risk before and after."""
    return {
        "message": advice.message,
        "background": advice.background,
        "helps": advice.helps,
        "risk_before": advice.risk_before,
        "risk_after": advice.risk_after,
        "changes": _change_payloads(advice.changes),
        "alternatives": [
            {
                "message": a.message,
                "risk_after": a.risk_after,
                "unusual": a.unusual,
                "changes": _change_payloads(a.changes),
            }
            for a in advice.alternatives
        ],
    }


def _change_payloads(changes: Sequence[Change]) -> list[dict[str, Any]]:
    return [
        {"variable": c.variable, "from": c.before, "to": c.after, "unit": c.unit} for c in changes
    ]
