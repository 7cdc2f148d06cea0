"""Write the episodes that an evaluation of past times found. No recipient is notified."""

from dataclasses import replace
from datetime import datetime
from functools import partial

from alerting.definitions.assets import Asset
from alerting.definitions.model import Revision
from alerting.episodes.episode import Episode, Transition
from alerting.episodes.lifecycle import Step
from alerting.ports import Platform
from alerting.usecases.episodes.store import update
from alerting.usecases.evaluation.evaluate_target import TargetEvaluation
from alerting.usecases.evaluation.new_episodes import ACTOR, close, new_episodes
from alerting.usecases.evaluation.persist import Persisted


def persist_past(
    platform: Platform, revision: Revision, asset: Asset, judged: TargetEvaluation, start: datetime, end: datetime
) -> Persisted:
    """Write the episodes of a past interval. One that overlaps a stored episode is that episode.

    Stored backfilled episodes that were not found again are withdrawn. No recipient is notified. An episode open at `end` is
    closed there.
    """
    existing = [e for e in platform.episodes.find(revision.name, asset.name, start, end) if not e.withdrawn]
    found = [_ended(e, end) for e in new_episodes(judged, revision, asset, detected_at=None, backfilled=True).values()]
    raised, matched = 0, set()
    for spell in found:
        same = next((e for e in existing if e.id not in matched and _overlap(e, spell)), None)
        if same is None:
            raised += _insert_past(platform, spell)
            matched.add(spell.id)
        else:
            matched.add(same.id)
            if same.backfilled:
                update(platform, same.id, partial(_corrected, judged=spell, at=end))
    gone = [e for e in existing if e.backfilled and e.id not in matched]
    for episode in gone:
        update(platform, episode.id, lambda e: _withdrawn(e, end))
    return Persisted(judged.state, raised=raised, closed=len(found), withdrawn=len(gone))


def _ended(episode: Episode, end: datetime) -> Episode:
    if episode.condition == "closed":
        return episode
    return close(episode, Step("closed", end, episode.raised_at, "the evaluated past period ends here"))


def _insert_past(platform: Platform, spell: Episode) -> bool:
    if platform.episodes.insert(spell):
        return True
    update(platform, spell.id, lambda e: _corrected(e, spell, spell.closed_at or spell.raised_at))
    return False


def _overlap(one: Episode, other: Episode) -> bool:
    return one.raised_at < (other.closed_at or other.raised_at) and other.raised_at < (one.closed_at or one.raised_at)


def _corrected(stored: Episode, judged: Episode, at: datetime) -> Episode:
    """Return the stored episode with the values of the new evaluation; identity, raise and feedback stay."""
    taken = replace(
        stored,
        revision=judged.revision,
        severity=judged.severity,
        severity_peak=judged.severity_peak,
        model_version=judged.model_version,
        evaluation=judged.evaluation,
        closed_at=judged.closed_at,
        contributions=judged.contributions,
        recommendation=judged.recommendation,
        inputs=judged.inputs,
        withdrawn=False,
    )
    if taken == stored:
        return stored
    transition = Transition("corrected", at, ACTOR, "this past period was evaluated again")
    return replace(taken, transitions=(*stored.transitions, transition), outcome_due_at=judged.outcome_due_at)


def _withdrawn(stored: Episode, at: datetime) -> Episode:
    transition = Transition("corrected", at, ACTOR, "not found again when this past period was evaluated again")
    return replace(stored, withdrawn=True, outcome_due_at=None, transitions=(*stored.transitions, transition))
