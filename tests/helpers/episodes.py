"""Episodes as a base for test cases."""

from dataclasses import replace
from datetime import timedelta

from alerting.detection.evaluation_results_and_texts import Evaluation
from alerting.episodes.episode import (
    Change,
    Contribution,
    Episode,
    Feedback,
    OutcomeRecord,
    RecommendationResult,
    Transition,
    episode_id,
)
from alerting.ports import LiveEpisode
from tests.builders import at


def episode(minute=0, definition="too-hot", asset="oven-1", **changes) -> Episode:
    plain = Episode(
        id=episode_id(definition, asset, at(minute)),
        definition=definition,
        revision=1,
        kind="threshold",
        asset=asset,
        title="Too hot",
        severity="high",
        raised_at=at(minute),
        detected_at=at(minute + 1),
        condition="open",
        closed_at=None,
        evaluation=Evaluation(at(minute), "triggered", "above 215", 220.0, 215.0),
    )
    return replace(plain, **changes)


def live_episode(one: Episode) -> LiveEpisode:
    """Return the part of an episode that is told live."""
    return LiveEpisode(
        one.id,
        one.definition,
        one.asset,
        one.severity,
        one.phase,
        one.acknowledged is not None,
        one.muted_by is not None,
    )


def closed(one: Episode, **changes) -> Episode:
    return replace(
        one, condition="closed", closed_at=one.raised_at + timedelta(minutes=5), **changes
    )


def full_episode() -> Episode:
    return episode(
        kind="classifier",
        is_prediction=True,
        valid_until=at(30),
        continues="abc",
        model_version=4,
        inputs={"temperature": 220.5, "recipe": "rye", "running": None},
        contributions=(
            Contribution("temperature", 0.31, 220.5, 208.0, "12 °C above its usual"),
            Contribution("r", -0.1, "a", "b", ""),
        ),
        recommendation=RecommendationResult(
            (Change("temperature", 220.0, 210.0, "°C"),), 0.8, 0.1, True, "lower it"
        ),
        guidance={"action": "Lower zone 2"},
        transitions=(Transition("raised", at(1), "platform", "the condition is met"),),
        feedback=(Feedback("e", "true_alarm", True, "lowered", None, "ann", at(3), at(2)),),
        outcome_record=OutcomeRecord("hit", "it occurred", True, at(12), False, True, 1),
        outcome_due_at=at(60),
    )
