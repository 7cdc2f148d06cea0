"""Write the episodes of an evaluation with their transitions, reasons and notifications, each episode in one write."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from alerting.definitions.assets import Asset
from alerting.definitions.durations import format_duration
from alerting.definitions.model import Revision
from alerting.episodes.episode import Episode, episode_id
from alerting.episodes.lifecycle import ConditionState, Step
from alerting.ports import Platform
from alerting.usecases.definitions.versions import VersionInterval
from alerting.usecases.episodes.store import log_transitions, update
from alerting.usecases.evaluation.evaluate_target import TargetEvaluation
from alerting.usecases.evaluation.new_episodes import new_episodes, with_step
from alerting.usecases.notification.muting import as_muted, silence_at_raise
from alerting.usecases.notification.routes import end_notifications, raise_notifications, worse_notifications


@dataclass(frozen=True)
class Persisted:
    """The state to store, and how many episodes were raised, closed or withdrawn."""

    state: ConditionState
    raised: int = 0
    closed: int = 0
    withdrawn: int = 0


def persist_live(
    platform: Platform, revision: Revision, asset: Asset, evaluation: TargetEvaluation, as_of: datetime
) -> Persisted:
    """Insert raised episodes and add steps to open ones. Of several raised at once after an outage only the last is announced."""
    for key, steps in _steps_of_earlier(evaluation, revision, asset).items():  # first: only one may be open at a time
        _continue_episode(platform, revision, asset, evaluation, key, steps, as_of)
    episodes = [*new_episodes(evaluation, revision, asset, detected_at=as_of, backfilled=False).values()]
    state, raised = evaluation.state, 0
    for episode, (stored, new) in zip(episodes, insert_and_notify(platform, revision, episodes, as_of), strict=True):
        raised += new
        if state.raised_at == episode.raised_at and stored.raised_at != episode.raised_at:
            state = replace(state, raised_at=stored.raised_at)
    return Persisted(state, raised=raised, closed=sum(s.kind == "closed" for s, _ in evaluation.steps))


def insert_and_notify(
    platform: Platform, revision: Revision, episodes: Sequence[Episode], as_of: datetime
) -> list[tuple[Episode, bool]]:
    """Insert episodes, oldest first, with their notifications. Return each as it is stored, and whether it is new.

    The last episode gets all its notifications; the earlier ones only those that wait for a digest.
    """
    inserted = []
    for episode in episodes:
        last = episode is episodes[-1]
        announced = _announce(platform, revision, episode, as_of, len(episodes) - 1 if last else 0, not last)
        stored = _insert(platform, revision, announced, as_of)
        inserted.append((stored, stored == announced))
    return inserted


def _steps_of_earlier(
    evaluation: TargetEvaluation, revision: Revision, asset: Asset
) -> dict[str, list[tuple[Step, VersionInterval]]]:
    """Return the steps of episodes that were raised before this run, by episode id."""
    found: dict[str, list[tuple[Step, VersionInterval]]] = {}
    for step, part in evaluation.steps:
        if step.kind != "raised" and step.raised_at not in evaluation.raises:
            found.setdefault(episode_id(revision.name, asset.name, step.raised_at), []).append((step, part))
    return found


def _announce(platform: Platform, revision: Revision, episode: Episode, as_of: datetime, more: int, digest_only: bool) -> Episode:
    reason = "continues" if episode.continues else "first notification"
    if episode.late_data_status:
        reason = f"known since {as_of.isoformat()}, from data that came late"
    if more:
        reason += f"; {more} more since {format_duration(as_of - episode.raised_at)} ago or earlier, found in the same catch-up"
    silence = silence_at_raise(platform, revision.definition, episode, as_of)
    if silence is not None:
        return as_muted(episode, silence, as_of)
    added = raise_notifications(platform, revision.definition, episode, reason, as_of)
    added = tuple(n for n in added if n.postponed_by == "digest" or not digest_only)
    return replace(episode, notifications=(*episode.notifications, *added))


def _insert(platform: Platform, revision: Revision, episode: Episode, as_of: datetime) -> Episode:
    """Insert an episode, or update its stored counterpart: the one with the same id, or the open one of the same target."""
    if platform.episodes.insert(episode):
        log_transitions(episode)
        return episode
    stored = platform.episodes.get(episode.id)
    if stored is None:
        open_ones = platform.episodes.find(definition=episode.definition, asset=episode.asset, open_only=True)
        if not open_ones:
            return _insert(platform, revision, episode, as_of)
        stored = open_ones[0]
    return update(platform, stored.id, lambda e: _add_missing_steps(platform, revision, e, episode, as_of))


def _add_missing_steps(platform: Platform, revision: Revision, stored: Episode, evaluated: Episode, as_of: datetime) -> Episode:
    """Return a stored episode with the steps evaluated since, and their notifications.

    The evaluator that stored it was killed before it advanced the watermark.
    """
    completed = _add_missing_transitions(stored, evaluated)
    if completed == stored:
        return stored
    worst = replace(completed, condition="open", severity=completed.severity_peak or completed.severity)
    notified = replace(
        completed, notifications=(*completed.notifications, *worse_notifications(platform, revision.definition, worst, as_of))
    )
    if completed.condition != "closed":
        return notified
    reason = completed.transitions[-1].reason
    return replace(
        notified,
        notifications=(*notified.notifications, *end_notifications(platform, revision.definition, notified, reason, as_of)),
    )


def _add_missing_transitions(stored: Episode, evaluated: Episode) -> Episode:
    """Return the stored episode with the transitions of its evaluated counterpart that it lacks."""
    if stored.condition == "closed":
        return stored
    recorded = {(t.kind, t.at) for t in stored.transitions}
    new = [t for t in evaluated.transitions if t.kind != "raised" and (t.kind, t.at) not in recorded]
    if not new:
        return stored
    return replace(
        stored,
        condition=evaluated.condition,
        closed_at=evaluated.closed_at,
        severity=evaluated.severity,
        severity_peak=evaluated.severity_peak,
        transitions=(*stored.transitions, *new),
    )


def _continue_episode(
    platform: Platform,
    revision: Revision,
    asset: Asset,
    evaluation: TargetEvaluation,
    id: str,
    steps: Sequence[tuple[Step, VersionInterval]],
    as_of: datetime,
) -> None:
    """Write the new steps of an earlier episode, with the notifications that they cause, in one write."""

    def add_steps(episode: Episode) -> Episode:
        was_open = episode.condition == "open"
        for step, part in steps:
            episode = with_step(episode, step, part, asset, evaluation)
            if was_open and step.kind == "severity":
                added = worse_notifications(platform, revision.definition, episode, as_of)
                episode = replace(episode, notifications=(*episode.notifications, *added))
            if was_open and episode.condition == "closed":
                added = end_notifications(platform, revision.definition, episode, episode.transitions[-1].reason, as_of)
                return replace(episode, notifications=(*episode.notifications, *added))
        return episode

    stored_id = stored_episode_id(platform, revision, asset, id)
    if stored_id is not None:
        update(platform, stored_id, add_steps)


def stored_episode_id(platform: Platform, revision: Revision, asset: Asset, id: str) -> str | None:
    """Return the id under which an episode is stored, None without one.

    Late data may have moved its raise, which the computed id contains. Only one live episode of a target is open at a time.
    """
    stored = platform.episodes.get(id)
    if stored is not None and not stored.withdrawn:
        return id
    open_ones = platform.episodes.find(revision.name, asset.name, open_only=True)
    return next((e.id for e in open_ones if not e.backfilled), None)
