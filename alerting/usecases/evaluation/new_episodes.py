"""Build episodes from the steps of an evaluation: values and reasons at the raise, contributions,
advice, transitions."""

from dataclasses import replace
from datetime import datetime

from alerting.definitions.assets import Asset
from alerting.definitions.model import SEVERITIES, Definition, Revision, Severity
from alerting.definitions.wording.language import joined, translatable
from alerting.episodes.advice import with_present_advice
from alerting.episodes.episode import PLATFORM, Episode, Transition, episode_id
from alerting.episodes.lifecycle import Step
from alerting.kinds.protocol.evaluation import (
    Raise,
    RaiseEvidence,
    Refresh,
    TargetEvaluation,
    VersionInterval,
)
from alerting.kinds.registry import kind_of
from alerting.readings.history import History
from alerting.usecases.definitions.versions import describe_answer


def new_episodes(
    result: TargetEvaluation,
    revision: Revision,
    asset: Asset,
    detected_at: datetime | None,
    backfilled: bool,
) -> dict[str, Episode]:
    """Return the episodes raised in this run by id, oldest first, with their later steps."""
    found: dict[str, Episode] = {}
    for step, part in result.steps:
        key = episode_id(revision.name, asset.name, step.raised_at)
        if step.kind == "raised" and part.revision is not None:
            raised = _raise_episode(step, part.revision, asset, result, detected_at or step.at)
            if (note := describe_answer(part.revision, part.awaited)) is not None:
                raised = replace(
                    raised,
                    evaluation=replace(
                        raised.evaluation,
                        reason=translatable(
                            "{reason} ({note})", reason=raised.evaluation.reason, note=note
                        ),
                    ),
                )
            found[key] = replace(raised, backfilled=backfilled)
        elif key in found:
            found[key] = with_step(found[key], step, part, result)
    if not backfilled:  # past times have no operator who could follow later advice
        for raised_at, refresh in result.refreshes.items():
            if (key := episode_id(revision.name, asset.name, raised_at)) in found:
                found[key] = with_refresh(found[key], refresh, asset)
    return found


def with_refresh(episode: Episode, refresh: Refresh, asset: Asset) -> Episode:
    """Return the episode with reasons and advice of the newest scored instant; as it is if the
    model cannot give them."""
    definition = refresh.definition
    values = refresh.values
    step = Step("raised", refresh.at, episode.raised_at, "")
    found = _evidence(definition, asset, step, values, values.history)
    if found.recommendation is None or found.evaluation.value is None:
        return episode
    risk = found.evaluation.value
    threshold = found.evaluation.threshold
    version = values.model_version
    return with_present_advice(
        episode, refresh.at, risk, threshold, version, found.contributions, found.recommendation
    )


def with_window(episode: Episode, valid_until: datetime, at: datetime) -> Episode:
    """Return the episode with another end of its prediction window, by which its outcome is
    determined: anew at once, if it was determined by the window of before."""
    if episode.valid_until in (None, valid_until) or episode.withdrawn:
        return episode
    due = at if episode.outcome_due_at is None else episode.outcome_due_at
    return replace(episode, valid_until=valid_until, outcome_due_at=due)


def _evidence(
    definition: Definition, asset: Asset, step: Step, values: Raise, history: History | None
) -> RaiseEvidence:
    """Return reasons and advice of an instant, computed once for the same values."""
    key = (asset.name, step)
    if key not in values.evidence:
        values.evidence[key] = kind_of(definition).explain(definition, asset, step, values, history)
    return values.evidence[key]


def _raise_episode(
    step: Step, revision: Revision, asset: Asset, result: TargetEvaluation, detected_at: datetime
) -> Episode:
    definition = revision.definition
    at_raise = result.raises[step.at]
    window_end = step.at + definition.gap + definition.for_assets([asset]).horizon
    evidence = _evidence(definition, asset, step, at_raise, at_raise.history or result.history)
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
        evaluation=evidence.evaluation,
        valid_until=result.valid_until.get(step.at, window_end) if is_predicted else None,
        continues=episode_id(revision.name, asset.name, step.follows) if step.follows else None,
        model_version=at_raise.model_version,
        inputs=evidence.inputs,
        guidance={k: v for k, v in definition.guidance.model_dump().items() if v},
        transitions=(Transition("raised", step.at, PLATFORM, step.reason),),
        outcome_due_at=step.at if is_predicted else None,
        contributions=evidence.contributions,
        recommendation=evidence.recommendation,
        is_prediction=evidence.is_prediction,
    )


def with_step(
    episode: Episode, step: Step, part: VersionInterval, result: TargetEvaluation
) -> Episode:
    """Return the episode after a step. A step that it already contains changes nothing.

    A reopened episode may be closed again at the same instant.
    """
    if step.kind != "closed" and any(
        t.kind == step.kind and t.at == step.at for t in episode.transitions
    ):
        return episode
    if step.kind == "happening":
        ended = step.prediction_ended_at
        return episode.with_transition(
            "happening", step.at, step.reason, happening_at=step.at, prediction_ended_at=ended
        )
    if step.kind == "closed" and step.prediction_ended_at is not None:
        return close(episode, step)
    if step.kind == "closed":
        other = part.revision is not None and part.revision.number != episode.revision
        return close(
            episode,
            step,
            translatable(" (evaluated by revision {revision})", revision=str(part.revision.number))
            if other and part.revision
            else "",
        )
    if step.kind == "severity" and step.severity is not None:
        why = result.changes.get(step.at)
        return _with_severity(
            episode,
            step,
            step.severity,
            translatable("{change}: {reason}", change=step.reason, reason=why)
            if why
            else step.reason,
        )
    return episode.with_transition(step.kind, step.at, step.reason)


def _with_severity(episode: Episode, step: Step, severity: Severity, reason: str) -> Episode:
    peak = max(severity, episode.severity_peak or severity, key=SEVERITIES.index)
    return episode.with_transition(
        "severity", step.at, reason, severity=severity, severity_peak=peak
    )


def close(episode: Episode, step: Step, by: str = "") -> Episode:
    if episode.condition == "closed":
        return episode
    ended = episode.prediction_ended_at or step.prediction_ended_at
    reason = joined("", step.reason, by) if by else step.reason
    return episode.with_transition(
        "closed", step.at, reason, condition="closed", closed_at=step.at, prediction_ended_at=ended
    )
