"""Operators answer: right, wrong, "I acted on it". What they say is kept for ever, and the outcome is derived anew."""

from dataclasses import replace
from datetime import datetime

from alerting.definitions.faults import Refused
from alerting.episodes.episode import Episode, Feedback, Transition, Verdict
from alerting.pipelines.ports import Platform
from alerting.pipelines.settle import resettle, update


class NotFound(Refused):
    """What was asked for does not exist."""


def give_feedback(
    platform: Platform,
    *,
    episode_id: str,
    verdict: Verdict | None,
    acted: bool,
    action: str | None,
    comment: str | None,
    who: str,
    at: datetime,
    acted_at: datetime | None = None,
) -> Episode:
    """Append what an operator says of an episode and derive its outcome anew.

    `episode_id` may be the beginning of an id, if only one episode has it. Raises Refused when it says nothing, and NotFound.
    """
    episode = find_episode(platform, episode_id)
    if verdict is None and not acted and not comment:
        raise Refused("feedback must say something: a verdict, that you acted, or a comment")
    if action and not acted:
        raise Refused("an action was named, but not that you acted; add --acted")
    if acted_at is not None and acted_at > at:
        raise Refused(f"acted at {acted_at.isoformat()} lies after now, {at.isoformat()}")
    said = Feedback(episode.id, verdict, acted, action, comment, who, at, acted_at)
    platform.feedback.append(said)
    platform.audit.add(who=who, what="feedback", subject=episode.id, at=at, after=verdict, why=comment or action or "")
    update(platform, episode.id, lambda e: _said(platform, e, said))
    resettle(platform, episode.id, at)
    settled = platform.episodes.get(episode.id)
    assert settled is not None  # noqa: S101 - episodes are never deleted
    return settled


def find_episode(platform: Platform, id: str) -> Episode:
    """The episode of this id, or of this beginning of an id. Raises NotFound."""
    episode = platform.episodes.get(id)
    if episode is not None:
        return episode
    close = platform.episodes.starting_with(id) if len(id) >= 4 else []
    if len(close) == 1:
        return close[0]
    if close:
        raise NotFound(f"{len(close)} episodes begin with {id!r}; give more of the id")
    raise NotFound(f"there is no episode {id!r}; see: alerting episodes")


def _said(platform: Platform, episode: Episode, said: Feedback) -> Episode:
    """Derived from the log, so that a crash between log and episode is mended by the next feedback or settlement."""
    words = " and ".join(w for w in (said.verdict, "acted" if said.acted else None, "commented" if said.comment else None) if w)
    transition = Transition("feedback", said.at, said.who, words)
    return replace(episode, feedback=tuple(platform.feedback.of(episode.id)), transitions=(*episode.transitions, transition))
