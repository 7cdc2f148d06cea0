"""Explain the score of a model of a problem at an instant."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import TypeAlias

from alerting.deferred import pd
from alerting.definitions.model import TrainedDefinition
from alerting.definitions.wording.language import format_threshold, spoken_share, spoken_threshold
from alerting.episodes.advice import split_reasons
from alerting.episodes.lifecycle import ConditionState
from alerting.episodes.predictions import clear_threshold
from alerting.kinds.protocol.evaluation import ScoredRows
from alerting.kinds.protocol.kind import Why, WhyQuestion
from alerting.learning.features.build import build_features
from alerting.learning.models.trained import TrainedModel
from alerting.recommendation.contributions import contributions

Describe: TypeAlias = "Callable[[TrainedModel, pd.DataFrame], list[str]]"


def describe_nothing(model: TrainedModel, row: pd.DataFrame) -> list[str]:  # noqa: ARG001
    """Return no fact."""
    return []


def explain_instant(
    definition: TrainedDefinition, question: WhyQuestion, describe: Describe = describe_nothing
) -> Why:
    """Explain the score of the last stride at an instant, with the three strongest contributions.

    `describe`: facts of the kind, from the model that scored the instant and its feature row.
    """
    blank = question.blank
    recovery = definition.problem.recovery or timedelta(0)
    begin = question.at - definition.longest_window - definition.stride - recovery
    evaluated = question.evaluate(ConditionState(watermark=begin))
    scored = next((s for s in reversed(evaluated.scores) if len(s.at)), None)
    has_score = scored is not None and not scored.unknown[-1]
    if evaluated.unknown or scored is None or not has_score:
        none = (
            "no unit was made in the last stride"
            if definition.is_of_unit
            else "no instant of the stride lies in the interval"
        )
        reason = evaluated.unknown or none
        return replace(blank, verdict="unknown", answer=f"cannot tell: {reason}", unknown=reason)
    when = scored.at[-1:]
    serving = scored.last_model
    if not scored.has_alarm:
        facts = (
            describe(serving, build_features(serving.plan, evaluated.history, when))
            if evaluated.history is not None
            else []
        )
        return replace(
            blank,
            verdict="normal",
            answer="; ".join(["its values serve without an alarm", *facts]),
            model_version=scored.model_version,
        )
    score = float(scored.score[-1])
    facts = [
        f"model version {scored.model_version} gives the risk {score:.3f}, its threshold is "
        f"{format_threshold(scored.threshold)}"
    ]
    if evaluated.history is not None:
        row = build_features(serving.plan, evaluated.history, when)
        facts += describe(serving, row)
        facts += [c.message for c in split_reasons(contributions(serving, row, question.asset))[0]]
    found = replace(
        blank,
        score=score,
        threshold=scored.threshold,
        model_version=scored.model_version,
        facts=tuple(facts),
    )
    risk = f"the risk is {spoken_share(score)} (alarm at {spoken_threshold(scored.threshold)})"
    state = evaluated.state
    if state.raised_at is not None:
        return replace(
            found, verdict="open", answer=_describe_open(definition, state, risk, scored)
        )
    if score < scored.threshold:
        return replace(found, verdict="normal", answer=f"not raised: {risk}")
    if (
        question.covering is None
        and state.raised_at is None
        and state.rearm_at is not None
        and state.rearm_at > question.at
    ):
        held = (
            f"not raised: {risk}, but it has not been lower than that since the last problem was "
            "over"
        )
        until = (
            f"an alert is raised after a lower risk, or from {state.rearm_at.isoformat()} on, one "
            "horizon after the recovery"
        )
        return replace(found, verdict="pending", answer=f"{held}; {until}", due_at=state.rearm_at)
    return replace(found, verdict="open", answer=risk)


def _describe_open(
    definition: TrainedDefinition, state: ConditionState, risk: str, scored: ScoredRows
) -> str:
    """Return why an alarm is open at an instant: the problem has come, or the risk stays."""
    if state.happening_since is not None:
        return f"{risk}; the problem goes on since {state.happening_since.isoformat()}"
    clear = clear_threshold(scored.threshold, definition.clear_at)
    stays = f"{risk}; the alarm stays while the risk is not below {spoken_threshold(clear)}"
    if state.clearing_since is None:
        return stays
    return f"{stays}, and has been low since {state.clearing_since.isoformat()}"
