"""Compose the episodes of an evaluation: transitions, reasons and notifications. Nothing is written
here."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Literal

from alerting.definitions.alert_definition import SEVERITIES, Definition, Revision
from alerting.definitions.asset_documents import Asset
from alerting.definitions.wording.language import joined, spoken_duration, translatable
from alerting.episodes.advice import with_present_advice
from alerting.episodes.episode import PLATFORM, Episode, Transition, episode_id
from alerting.episodes.lifecycle import Step
from alerting.episodes.mode_shares import probable_mode
from alerting.episodes.reconciliation import link_continuation
from alerting.kinds.protocol import (
    Raise,
    RaiseEvidence,
    Refresh,
    TargetEvaluation,
    VersionInterval,
)
from alerting.kinds.registry import kind_of
from alerting.notifications.notification import FIRST
from alerting.readings.history import History
from alerting.usecases.definitions.versions import describe_answer
from alerting.usecases.episodes.stored_episodes import EpisodeChanges
from alerting.usecases.evaluation.inputs import EvaluationCounts, EvaluationRun
from alerting.usecases.evaluation.target import EvaluatedTarget
from alerting.usecases.notification.muting_and_summaries import as_muted, why_muted_at_raise
from alerting.usecases.notification.routing import (
    change_notifications,
    route_notifications,
)

Change = Literal["happening", "closed", "corrected", "reopened"]


@dataclass(frozen=True)
class Composition:
    """An evaluated target whose episodes are composed, the changes to which they are added, and the
    counts of what was raised, closed and withdrawn."""

    run: EvaluationRun
    changes: EpisodeChanges
    counts: EvaluationCounts
    evaluated: EvaluatedTarget


def compose_live(target: Composition, evaluation: TargetEvaluation) -> None:
    """Add raised episodes, and new steps and advice to open ones.

    If several are raised at once after an outage, only the last is announced.
    """
    changes = target.changes
    for raised_at, refresh in evaluation.refreshes.items():
        if raised_at not in evaluation.raises:
            _refresh_episode(target, evaluation, raised_at, refresh)
    for raised_at, valid_until in evaluation.valid_until.items():
        id = None if raised_at in evaluation.raises else _find_open(target, raised_at)
        if id is not None:
            changes.update(id, partial(with_window, valid_until=valid_until, at=target.run.as_of))
    steps_by_raise: dict[datetime, list[tuple[Step, VersionInterval]]] = {}
    for step, part in evaluation.steps:
        if step.kind != "raised" and step.raised_at not in evaluation.raises:
            steps_by_raise.setdefault(step.raised_at, []).append((step, part))
    for raised_at, steps in steps_by_raise.items():
        id = _find_open(target, raised_at)
        if id is not None:
            changes.update(id, partial(_add_steps, target=target, steps=steps))
    target.counts.closed += sum(step.kind == "closed" for step, _ in evaluation.steps)
    add_and_announce(
        target,
        new_episodes(
            evaluation,
            target.evaluated.revision,
            target.evaluated.asset,
            detected_at=target.run.as_of,
            backfilled=False,
        ).values(),
        # else later episodes of this catch-up follow in another unit of work
        has_last=not target.evaluated.is_cut,
    )


def add_and_announce(
    target: Composition, episodes: Iterable[Episode], has_last: bool = True
) -> None:
    """Add new episodes, oldest first, with their notifications, and count them.

    The last new episode, if they have it, gets all its notifications; the earlier episodes get only
    notifications that wait for a digest. An episode that an evaluation of past times has stored
    stays as it is.
    """
    changes = target.changes
    new = [episode for episode in episodes if changes.get(episode.id) is None]
    target.counts.raised += len(new)
    for raised in new:
        last = has_last and raised is new[-1]
        earlier: Sequence[Episode] = ()
        if raised.continues is not None:
            earlier = changes.find(raised.definition, raised.asset, end=raised.raised_at, limit=20)
        episode = link_continuation(raised, earlier)
        _announce(target, episode, len(new) - 1 if last else 0, not last)


def _announce(target: Composition, episode: Episode, more: int, digest_only: bool) -> None:
    as_of = target.run.as_of
    reason: str = translatable("continues") if episode.continues else FIRST
    if episode.late_data_status:
        reason = translatable("known since {when}, from late data", when=as_of)
    if more:
        caught_up = translatable(
            "{more} more since {since} ago or earlier, found in the same catch-up",
            more=str(more),
            since=spoken_duration(as_of - episode.raised_at),
        )
        reason = joined("; ", reason, caught_up)
    why = why_muted_at_raise(
        target.run.platform, target.evaluated.revision.definition, episode, as_of
    )
    target.changes.add(episode if why is None else as_muted(episode, why, as_of))
    added = route_notifications(
        target.run.platform,
        target.changes,
        target.evaluated.revision.definition,
        episode,
        "raised",
        reason,
        as_of,
        muted=None if why is None else why.reason,
    )
    target.changes.notify(n for n in added if n.postponed_by == "digest" or not digest_only)


def _add_steps(
    episode: Episode, target: Composition, steps: Sequence[tuple[Step, VersionInterval]]
) -> Episode:
    """Return an episode after further steps, and add the notifications that they cause."""
    was_open = episode.condition == "open"
    renewed = ""
    for step, part in steps:
        before = episode
        episode = with_step(episode, step, part)
        if was_open and step.kind == "severity":
            announce_change(target, episode)
        if step.kind == "renewed" and episode.transitions != before.transitions:
            renewed = episode.transitions[-1].reason
        if was_open and step.kind == "happening" and steps[-1][0].kind == "happening":
            notify_change(target, episode, "happening", step.reason)
        if was_open and episode.condition == "closed":
            announce_end(target, episode)
            return episode
    if was_open and renewed:  # last, because a message on the severity says it, too
        announce_change(target, episode, renewed)
    return episode


def _refresh_episode(
    target: Composition, evaluation: TargetEvaluation, raised_at: datetime, refresh: Refresh
) -> None:
    id = episode_id(*target.evaluated.key, raised_at)
    if target.changes.get(id) is None:
        open_one = target.changes.live_open(*target.evaluated.key)
        if open_one is None or raised_at != evaluation.state.raised_at:
            return
        id = open_one.id  # late data have moved its raise
    target.changes.update(
        id, lambda e: e if e.withdrawn else with_refresh(e, refresh, target.evaluated.asset)
    )


def announce_change(target: Composition, episode: Episode, reason: str = "") -> None:
    """Add the notifications of a severity that has risen, or, for a `reason`, of another condition
    that keeps an episode open."""
    target.changes.notify(
        route_notifications(
            target.run.platform,
            target.changes,
            target.evaluated.revision.definition,
            episode,
            "renewed" if reason else "worse",
            reason,
            target.run.as_of,
        )
    )


def announce_end(target: Composition, episode: Episode) -> None:
    """Add the notifications of an episode's end, and drop notifications that quiet hours hold
    back."""
    notify_change(target, episode, "closed", episode.transitions[-1].reason)
    target.changes.drop_overtaken(episode)


def notify_change(target: Composition, episode: Episode, change: Change, reason: str) -> None:
    """Add the notifications of a change of an episode that was announced."""
    target.changes.notify(
        change_notifications(
            target.changes,
            target.evaluated.revision.definition,
            episode,
            change,
            reason,
            target.run.as_of,
        )
    )


def _find_open(target: Composition, raised_at: datetime) -> str | None:
    """Return the id under which the episode of a raise is stored, None if it is not stored.

    Late data may have moved its raise, which the computed id contains. Only one live episode of a
    target is open at a time.
    """
    id = episode_id(*target.evaluated.key, raised_at)
    stored = target.changes.get(id)
    if stored is not None and stored.condition == "open":
        return id
    open_one = target.changes.live_open(*target.evaluated.key)
    return open_one.id if open_one else None


def new_episodes(
    result: TargetEvaluation,
    revision: Revision,
    asset: Asset,
    detected_at: datetime | None,
    backfilled: bool,
) -> dict[str, Episode]:
    """Return the episodes raised in this run by id, oldest first, with their later steps."""
    episodes: dict[str, Episode] = {}
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
            episodes[key] = replace(raised, backfilled=backfilled)
        elif key in episodes:
            episodes[key] = with_step(episodes[key], step, part)
    if not backfilled:  # past times have no operator who could follow later advice
        for raised_at, refresh in result.refreshes.items():
            if (key := episode_id(revision.name, asset.name, raised_at)) in episodes:
                episodes[key] = with_refresh(episodes[key], refresh, asset)
    return episodes


def with_refresh(episode: Episode, refresh: Refresh, asset: Asset) -> Episode:
    """Return the episode with reasons and advice of the newest scored instant; unchanged if the
    model cannot give them."""
    values = refresh.values
    step = Step("raised", refresh.at, episode.raised_at, "")
    evidence = _evidence(refresh.definition, asset, step, values, values.history)
    if evidence.recommendation is None or evidence.evaluation.value is None:
        return episode
    return with_present_advice(
        episode,
        refresh.at,
        evidence.evaluation.value,
        evidence.evaluation.threshold,
        values.model_version,
        evidence.contributions,
        evidence.recommendation,
        evidence.life,
    )


def with_window(episode: Episode, valid_until: datetime, at: datetime) -> Episode:
    """Return the episode with another end of its prediction window. If its outcome was determined
    by the old window, the outcome becomes due again at once."""
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
    guidance = definition.guidance.model_dump()
    guidance["action"] = definition.action_of(probable_mode(evidence.modes)) or guidance["action"]
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
        evaluation=replace(evidence.evaluation, cause=step.cause),
        valid_until=result.valid_until.get(step.at, window_end) if is_predicted else None,
        announced_until=window_end if is_predicted else None,
        continues=episode_id(revision.name, asset.name, step.follows) if step.follows else None,
        model_version=at_raise.model_version,
        inputs=evidence.inputs,
        guidance={name: text for name, text in guidance.items() if text},
        modes=evidence.modes,
        transitions=(Transition("raised", step.at, PLATFORM, step.reason),),
        outcome_due_at=step.at if is_predicted else None,
        contributions=evidence.contributions,
        recommendation=evidence.recommendation,
        is_prediction=evidence.is_prediction,
        life=evidence.life,
    )


def with_step(episode: Episode, step: Step, part: VersionInterval) -> Episode:
    """Return the episode after a step. A step that the episode already contains changes nothing.

    A reopened episode may be closed again at the same instant.
    """
    made = step.evaluation
    if made is not None and made not in episode.renewals:
        episode = episode.with_renewal(made)
    if step.kind == "renewed" or (step.kind != "closed" and _contains(episode, step)):
        return episode
    if step.kind == "happening":
        ended = step.prediction_ended_at
        return episode.with_transition(
            "happening", step.at, step.reason, happening_at=step.at, prediction_ended_at=ended
        )
    if step.kind == "closed" and step.prediction_ended_at is not None:
        return close(episode, step)
    if step.kind == "closed":
        is_other_revision = part.revision is not None and part.revision.number != episode.revision
        return close(
            episode,
            step,
            translatable(" (evaluated by revision {revision})", revision=str(part.revision.number))
            if is_other_revision and part.revision
            else "",
        )
    if step.kind == "severity" and step.severity is not None:
        severity = step.severity
        peak = max(severity, episode.severity_peak or severity, key=SEVERITIES.index)
        reason = step.reason
        if made is not None:
            reason = translatable("{change}: {reason}", change=step.reason, reason=made.reason)
        return episode.with_transition(
            "severity", step.at, reason, severity=severity, severity_peak=peak
        )
    return episode.with_transition(step.kind, step.at, step.reason)


def _contains(episode: Episode, step: Step) -> bool:
    """Return whether an episode has a step already: a severity unless a correction took it back."""
    for transition in reversed(episode.transitions):
        if transition.kind == step.kind and transition.at == step.at:
            return True
        if transition.kind == "corrected" and step.severity not in (None, episode.severity):
            return False
    return False


def close(episode: Episode, step: Step, by: str = "") -> Episode:
    if episode.condition == "closed":
        return episode
    ended = episode.prediction_ended_at or step.prediction_ended_at
    reason = joined("", step.reason, by) if by else step.reason
    return episode.with_transition(
        "closed", step.at, reason, condition="closed", closed_at=step.at, prediction_ended_at=ended
    )
