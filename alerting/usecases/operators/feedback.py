"""Feedback of operators: right, wrong, "I acted on it". Feedback is stored for ever, and updates the outcome."""

from dataclasses import replace
from datetime import datetime

from alerting.definitions.faults import UserError
from alerting.episodes.episode import Episode, Feedback, Transition, Verdict
from alerting.ports import FeedbackLog, Platform
from alerting.reporting.messages import VERDICT_NAMES
from alerting.usecases.episodes.outcomes import update_outcome
from alerting.usecases.episodes.store import find_episode, update


def give_feedback(
    platform: Platform,
    *,
    episode_id: str,
    verdict: Verdict | None,
    acted: bool,
    action: str | None,
    comment: str | None,
    actor: str,
    at: datetime,
    acted_at: datetime | None = None,
    once: str | None = None,
) -> Episode:
    """Append the feedback of an operator to an episode and determine its outcome again.

    `episode_id` may be the unique beginning of an id. Of several answers at the same time with the same text `once` one is
    stored. Raises UserError for an empty answer, and NotFound for an unknown episode.
    """
    episode = find_episode(platform, episode_id)
    if verdict is None and not acted and not comment:
        raise UserError("the feedback is empty: give a verdict, an action or a comment")
    if action and not acted:
        raise UserError("an action is given without the mark that you acted; set acted (--acted)")
    if acted_at is not None and acted_at > at:
        raise UserError(f"acted at {acted_at.isoformat()} lies after now, {at.isoformat()}")
    feedback = Feedback(episode.id, verdict, acted, action, comment, actor, at, acted_at)
    stored = platform.feedback.append(feedback, once)
    platform.audit.add(actor=actor, what="feedback", subject=episode.id, at=stored.at, after=verdict, why=comment or action or "")
    update(platform, episode.id, lambda e: _record_on_episode(platform.feedback, e, stored))
    update_outcome(platform, episode.id, at)
    determined = platform.episodes.get(episode.id)
    assert determined is not None  # noqa: S101 - episodes are never deleted
    return determined


def _verdict(feedback: Feedback) -> str | None:
    return None if feedback.verdict is None else VERDICT_NAMES[feedback.verdict]


def _record_on_episode(log: FeedbackLog, episode: Episode, feedback: Feedback) -> Episode:
    """Return the episode with the feedback of the log. After a crash between log and episode the next feedback completes it."""
    summary = " and ".join(
        w for w in (_verdict(feedback), "acted" if feedback.acted else None, "commented" if feedback.comment else None) if w
    )
    transition = Transition("feedback", feedback.at, feedback.actor, summary)
    added = () if transition in episode.transitions else (transition,)
    return replace(episode, feedback=tuple(log.of(episode.id)), transitions=(*episode.transitions, *added))
