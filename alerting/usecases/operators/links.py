"""Feedback by a link in a message: sealed grants, each for one answer of one recipient to one
episode, for a short time."""

from collections.abc import Mapping
from datetime import datetime

from alerting.definitions.wording.language import translatable
from alerting.episodes.episode import Episode, Feedback, RecommendationTaken
from alerting.notifications.notification import Grant, LinkRefused, Purpose
from alerting.ports import OperatorPorts
from alerting.usecases.episodes.changes import find_episode
from alerting.usecases.operators.feedback import give_feedback
from alerting.usecases.operators.operate import Actor, acknowledge

ANSWERS: tuple[Purpose, ...] = ("true_alarm", "false_alarm", "acted")
LABELS: Mapping[Purpose, str] = {
    "true_alarm": translatable("It was right"),
    "false_alarm": translatable("It was wrong"),
    "acted": translatable("I acted on it"),
    "acknowledge": translatable("I have seen it"),
}


def open_link(platform: OperatorPorts, token: str) -> tuple[Grant, Episode]:
    """Return the grant and the episode of a link, without a change. Raises LinkRefused for an
    invalid link."""
    if platform.links is None:
        raise LinkRefused(translatable("feedback links are switched off"))
    grant = platform.links.read(token)
    return grant, find_episode(platform.episodes, grant.episode)


def has_answered(grant: Grant, episode: Episode) -> bool:
    """Return whether the recipient has given this answer already: an action, or the same verdict as
    the last one."""
    if grant.purpose == "acknowledge":
        return episode.acknowledged is not None and episode.acknowledged.actor == _name(grant)
    answers = _answers_of(grant, episode)
    if grant.purpose == "acted":
        return any(f.acted for f in answers)
    verdicts = [f.verdict for f in answers if f.verdict is not None]
    return bool(verdicts) and verdicts[-1] == grant.purpose


def use_link(
    platform: OperatorPorts, token: str, at: datetime, taken: RecommendationTaken | None = None
) -> Episode:
    """Give the one answer of the link, or acknowledge. Idempotent.

    `taken`: whether the recommendation was followed, in an answer that the recipient has acted.
    Raises LinkRefused for an invalid link, and UserError for an alert that can no longer be
    acknowledged.
    """
    grant, episode = open_link(platform, token)
    if has_answered(grant, episode):
        return episode
    if grant.purpose == "acknowledge":
        return acknowledge(platform, episode.id, Actor(_name(grant), "operator"), at)
    # Earlier answers are part of the key of a new one; concurrent uses of a link see the same
    # earlier answers and share a key.
    once = (
        f"{grant.episode} {grant.recipient} {grant.purpose} after "
        f"{len(_answers_of(grant, episode))}"
    )
    verdict = None if grant.purpose == "acted" else grant.purpose
    followed = taken if verdict is None else None
    feedback = Feedback(
        episode.id, verdict, verdict is None, None, None, _name(grant), at, None, followed
    )
    return give_feedback(platform, feedback, once)


def _answers_of(grant: Grant, episode: Episode) -> list[Feedback]:
    return [f for f in episode.feedback if f.actor == _name(grant)]


def _name(grant: Grant) -> str:
    return f"{grant.recipient} (by link)"
