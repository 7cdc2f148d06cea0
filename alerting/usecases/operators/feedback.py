"""Feedback of operators: right, wrong, "I acted on it". Feedback is stored for ever, and updates
the outcome."""

from dataclasses import replace

from alerting.definitions.faults import UserError
from alerting.definitions.wording.language import join_with_and, translatable
from alerting.episodes.episode import Episode, Feedback, Transition
from alerting.ports import OperatorPorts
from alerting.reporting.phrases import TAKEN_NAMES, VERDICT_NAMES
from alerting.stores.operators import FeedbackLog
from alerting.usecases.episodes.changes import find_episode, update
from alerting.usecases.episodes.outcomes import update_outcome
from alerting.usecases.notification.routes import correct_if_known_late


def give_feedback(platform: OperatorPorts, given: Feedback, once: str | None = None) -> Episode:
    """Append the feedback of an operator to an episode and determine its outcome again.

    `given.episode` may be the unique beginning of an id. Of several answers at the same time with
    the same text `once` one is stored. Raises UserError for an empty answer, and NotFound for an
    unknown episode.
    """
    feedback = replace(given, episode=find_episode(platform.episodes, given.episode).id)
    if not (
        feedback.verdict or feedback.acted or feedback.comment or feedback.recommendation_taken
    ):
        raise UserError(
            translatable(
                "the feedback is empty: give a verdict, an action, a comment, or whether you "
                "followed the recommendation"
            )
        )
    if feedback.action and not feedback.acted:
        raise UserError(
            translatable("an action is given without the mark that you acted; set acted (--acted)")
        )
    if feedback.recommendation_taken in ("yes", "partly", "other") and not feedback.acted:
        raise UserError(
            f"recommendation_taken {feedback.recommendation_taken} says that you acted; set acted "
            "(--acted) too"
        )
    if feedback.acted_at is not None and feedback.acted_at > feedback.at:
        raise UserError(
            f"acted at {feedback.acted_at.isoformat()} lies after now, {feedback.at.isoformat()}"
        )
    stored = platform.feedback.append(feedback, once)
    why = stored.comment or stored.action or ""
    earlier = [one for one in platform.feedback.for_episode(stored.episode) if one.at < stored.at]
    platform.audit.add(
        stored.actor,
        "feedback",
        stored.episode,
        stored.at,
        _audited(earlier[-1]) if earlier else None,
        _audited(stored),
        why,
    )
    update(
        platform, feedback.episode, lambda e, _: _record_on_episode(platform.feedback, e, stored)
    )
    update_outcome(platform, feedback.episode, feedback.at, correct_if_known_late)
    determined = platform.episodes.get(feedback.episode)
    assert determined is not None  # noqa: S101 - episodes are never deleted
    return determined


def _audited(feedback: Feedback) -> dict[str, object]:
    fields = ("verdict", "acted", "action", "comment", "recommendation_taken")
    return {name: getattr(feedback, name) for name in fields}


def _record_on_episode(log: FeedbackLog, episode: Episode, feedback: Feedback) -> Episode:
    """Return the episode with the feedback of the log. After a crash between log and episode the
    next feedback completes it."""
    parts = [VERDICT_NAMES[feedback.verdict]] if feedback.verdict else []
    parts += [translatable("acted")] * feedback.acted + [translatable("commented")] * bool(
        feedback.comment
    )
    parts += [TAKEN_NAMES[feedback.recommendation_taken]] if feedback.recommendation_taken else []
    transition = Transition("feedback", feedback.at, feedback.actor, join_with_and(*parts))
    added = () if transition in episode.transitions else (transition,)
    return replace(
        episode,
        feedback=tuple(log.for_episode(episode.id)),
        transitions=(*episode.transitions, *added),
    )
