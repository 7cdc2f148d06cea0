"""Build episodes from the steps of an evaluation: values and reasons at the raise, contributions, advice, transitions."""

from dataclasses import replace
from datetime import datetime

from alerting.definitions.assets import Asset
from alerting.definitions.model import SEVERITIES, Condition, Definition, Revision, Severity, TrainedDefinition
from alerting.detection.evaluation import Evaluation
from alerting.detection.messages import limit_message, risk_message
from alerting.episodes.episode import Contribution, Episode, RecommendationResult, Transition, episode_id
from alerting.episodes.lifecycle import Step
from alerting.readings.history import History
from alerting.recommendation.contributions import contributions
from alerting.recommendation.whatif import recommend
from alerting.usecases.definitions.versions import VersionInterval
from alerting.usecases.evaluation.evaluate_target import Raise, TargetEvaluation
from alerting.usecases.registry.registration import first_line

ACTOR = "platform"


def new_episodes(
    result: TargetEvaluation, revision: Revision, asset: Asset, detected_at: datetime | None, backfilled: bool
) -> dict[str, Episode]:
    """Return the episodes raised in this run by id, oldest first, with their later steps."""
    found: dict[str, Episode] = {}
    for step, part in result.steps:
        key = episode_id(revision.name, asset.name, step.raised_at)
        if step.kind == "raised" and part.revision is not None:
            raised = _raise_episode(step, part.revision, asset, result, detected_at or step.at)
            found[key] = replace(raised, backfilled=backfilled)
        elif key in found:
            found[key] = with_step(found[key], step, part, asset, result)
    return found


def _raise_episode(step: Step, revision: Revision, asset: Asset, result: TargetEvaluation, detected_at: datetime) -> Episode:
    definition, at_raise = revision.definition, result.raises[step.at]
    window = definition.gap + definition.horizon
    why, advice, fault = _explain(definition, asset, at_raise, result.history, step.at)
    evaluation = _evaluation(definition, asset, step, at_raise)
    is_predicted = definition.problem is not None
    return Episode(
        id=episode_id(revision.name, asset.name, step.at),
        definition=revision.name,
        revision=revision.number,
        kind=definition.kind,
        asset=asset.name,
        title=definition.title or definition.name,
        severity=step.severity or definition.severity,
        raised_at=step.at,
        detected_at=detected_at,
        condition="open",
        closed_at=None,
        evaluation=replace(evaluation, reason=evaluation.reason + fault),
        valid_until=step.at + window if is_predicted else None,
        continues=episode_id(revision.name, asset.name, step.follows) if step.follows else None,
        model_version=at_raise.model_version,
        inputs=_inputs(definition, result.history, at_raise, step.at),
        guidance={k: v for k, v in definition.guidance.model_dump().items() if v},
        transitions=(Transition("raised", step.at, ACTOR, step.reason),),
        outcome_due_at=step.at if is_predicted else None,
        contributions=why,
        recommendation=advice,
    )


def _evaluation(definition: Definition, asset: Asset, step: Step, at_raise: Raise) -> Evaluation:
    if isinstance(definition, Condition):
        return _threshold_evaluation(definition, asset, step, at_raise)
    assert isinstance(definition, TrainedDefinition)  # noqa: S101
    threshold = at_raise.model.threshold if at_raise.model else None
    reason = risk_message(definition, asset, at_raise.value or 0.0, threshold)
    return Evaluation(step.at, "triggered", reason, at_raise.value, threshold, at_raise.model_version)


def _threshold_evaluation(definition: Condition, asset: Asset, step: Step, at_raise: Raise) -> Evaluation:
    if at_raise.reading is None:
        return Evaluation(step.at, "triggered", step.reason)
    reason, limit = limit_message(definition, asset, at_raise.reading, step.severity)
    return Evaluation(step.at, "triggered", reason, at_raise.value, limit)


def _inputs(definition: Definition, history: History | None, at_raise: Raise, at: datetime) -> dict[str, float | str | None]:
    """Return the last value, at the raise, of every variable that the evaluation may use."""
    if isinstance(definition, Condition):
        return {definition.variable: at_raise.reading.value if at_raise.reading else None}
    if history is None or at_raise.model is None:
        return {}
    return {n: _last_value(history, n, at) for n in at_raise.model.plan.variables}


def _last_value(history: History, variable: str, at: datetime) -> float | str | None:
    if variable not in history.readings:
        return None
    values = history.readings[variable].dropna().loc[: at - history.delay(variable)]
    last: float | str | None = values.iloc[-1] if len(values) else None
    return last


def _explain(
    definition: Definition, asset: Asset, at_raise: Raise, history: History | None, at: datetime
) -> tuple[tuple[Contribution, ...], RecommendationResult | None, str]:
    """Return contributions, advice, and an empty text; without both, and with the fault as text, if the model fails."""
    try:
        model, row = at_raise.model, at_raise.row
        why = () if model is None or row is None else contributions(model, row, asset)
        return why, _advice(definition, at_raise, history, at), ""
    except Exception as fault:
        return (), None, f"; the model cannot explain it: {first_line(fault)}"


def _advice(definition: Definition, at_raise: Raise, history: History | None, at: datetime) -> RecommendationResult | None:
    if not isinstance(definition, TrainedDefinition) or at_raise.model is None or history is None:
        return None
    return recommend(at_raise.model, history, at, definition.recommendation.max_changes)


def with_step(episode: Episode, step: Step, part: VersionInterval, asset: Asset, result: TargetEvaluation) -> Episode:
    """Return the episode after a step. A step that it already contains changes nothing.

    A reopened episode may be closed again at the same instant.
    """
    if step.kind != "closed" and any(t.kind == step.kind and t.at == step.at for t in episode.transitions):
        return episode
    if step.kind == "closed":
        other = part.revision is not None and part.revision.number != episode.revision
        return close(episode, step, f" (evaluated by revision {part.revision.number})" if other and part.revision else "")
    if step.kind == "severity" and step.severity is not None:
        return _with_severity(episode, step, step.severity, _severity_reason(step, part, asset, result))
    return replace(episode, transitions=(*episode.transitions, Transition(step.kind, step.at, ACTOR, step.reason)))


def _with_severity(episode: Episode, step: Step, severity: Severity, reason: str) -> Episode:
    peak = max(severity, episode.severity_peak or severity, key=SEVERITIES.index)
    transition = Transition("severity", step.at, ACTOR, reason)
    return replace(episode, severity=severity, severity_peak=peak, transitions=(*episode.transitions, transition))


def _severity_reason(step: Step, part: VersionInterval, asset: Asset, result: TargetEvaluation) -> str:
    reading, definition = result.changes.get(step.at), part.revision.definition if part.revision else None
    if reading is None or not isinstance(definition, Condition):
        return step.reason
    return f"{step.reason}: {limit_message(definition, asset, reading, step.severity)[0]}"


def close(episode: Episode, step: Step, by: str = "") -> Episode:
    if episode.condition == "closed":
        return episode
    transition = Transition("closed", step.at, ACTOR, step.reason + by)
    return replace(episode, condition="closed", closed_at=step.at, transitions=(*episode.transitions, transition))
