"""Write the episodes that an evaluation of past times found. No recipient is notified."""

from dataclasses import replace
from datetime import datetime
from functools import partial

from alerting.definitions.assets import Asset
from alerting.definitions.model import Revision
from alerting.episodes.episode import PLATFORM, Episode, Transition
from alerting.episodes.lifecycle import Step
from alerting.ports import Platform
from alerting.usecases.episodes.store import update
from alerting.usecases.evaluation.compose import Composed
from alerting.usecases.evaluation.evaluate_target import TargetEvaluation
from alerting.usecases.evaluation.new_episodes import close, new_episodes


def persist_past(
    platform: Platform, revision: Revision, asset: Asset, evaluation: TargetEvaluation, start: datetime, end: datetime
) -> Composed:
    """Write the episodes of a past interval. One that overlaps a stored episode is that episode.

    Stored backfilled episodes that were not found again are withdrawn. No recipient is notified. An episode open at `end` is
    closed there.
    """
    existing = [e for e in platform.episodes.find(revision.name, asset.name, start, end) if not e.withdrawn]
    found = [_close_at_end(e, end) for e in new_episodes(evaluation, revision, asset, detected_at=None, backfilled=True).values()]
    raised, matched = 0, set()
    for episode_found in found:
        same = next((e for e in existing if e.id not in matched and _overlap(e, episode_found)), None)
        if same is None:
            raised += _insert_past(platform, episode_found)
            matched.add(episode_found.id)
        else:
            matched.add(same.id)
            if same.backfilled:
                update(platform, same.id, partial(_correct, evaluated=episode_found, at=end))
    missing = [e for e in existing if e.backfilled and e.id not in matched]
    for episode in missing:
        update(platform, episode.id, lambda e: _withdraw(e, end))
    return Composed(evaluation.state, raised=raised, closed=len(found), withdrawn=len(missing))


def _close_at_end(episode: Episode, end: datetime) -> Episode:
    if episode.condition == "closed":
        return episode
    return close(episode, Step("closed", end, episode.raised_at, "the evaluated past period ends here"))


def _insert_past(platform: Platform, episode_found: Episode) -> bool:
    if platform.episodes.insert(episode_found):
        return True
    update(platform, episode_found.id, lambda e: _correct(e, episode_found, episode_found.closed_at or episode_found.raised_at))
    return False


def _overlap(one: Episode, other: Episode) -> bool:
    return one.raised_at < (other.closed_at or other.raised_at) and other.raised_at < (one.closed_at or one.raised_at)


def _correct(stored: Episode, evaluated: Episode, at: datetime) -> Episode:
    """Return the stored episode with the values of the new evaluation; identity, raise and feedback stay."""
    updated = replace(
        stored,
        revision=evaluated.revision,
        severity=evaluated.severity,
        severity_peak=evaluated.severity_peak,
        model_version=evaluated.model_version,
        evaluation=evaluated.evaluation,
        closed_at=evaluated.closed_at,
        contributions=evaluated.contributions,
        recommendation=evaluated.recommendation,
        inputs=evaluated.inputs,
        withdrawn=False,
    )
    if updated == stored:
        return stored
    transition = Transition("corrected", at, PLATFORM, "this past period was evaluated again")
    return replace(updated, transitions=(*stored.transitions, transition), outcome_due_at=evaluated.outcome_due_at)


def _withdraw(stored: Episode, at: datetime) -> Episode:
    transition = Transition("corrected", at, PLATFORM, "not found again when this past period was evaluated again")
    return replace(stored, withdrawn=True, outcome_due_at=None, transitions=(*stored.transitions, transition))
