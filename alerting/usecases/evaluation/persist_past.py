"""Write the episodes that an evaluation of past times found. No recipient is notified."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial

from alerting.definitions.assets import Asset
from alerting.definitions.faults import UserError
from alerting.definitions.model import Revision
from alerting.definitions.wording.language import translatable
from alerting.episodes.episode import Episode
from alerting.episodes.lifecycle import Step
from alerting.episodes.reconciliation import EvaluatedEpisode, link_continuation, reconcile
from alerting.episodes.state_table import TargetKey
from alerting.kinds.protocol.evaluation import TargetEvaluation
from alerting.ports import Conflict, OutcomePorts
from alerting.usecases.episodes.changes import EpisodeChanges
from alerting.usecases.evaluation.compose import Composed
from alerting.usecases.evaluation.new_episodes import close, new_episodes
from alerting.usecases.evaluation.reconcile import stored_episodes

_AT_ONCE = 500
_ATTEMPTS = 10
_EVALUATED = (
    *(
        "revision",
        "severity",
        "severity_peak",
        "model_version",
        "evaluation",
        "closed_at",
        "valid_until",
        "is_prediction",
    ),
    *("happening_at", "prediction_ended_at", "contributions", "recommendation", "inputs"),
)
"""The fields of an episode that another evaluation may change."""


def persist_past(
    platform: OutcomePorts,
    revision: Revision,
    asset: Asset,
    evaluation: TargetEvaluation,
    start: datetime,
    end: datetime,
) -> Composed:
    """Write the episodes of a past interval, up to 500 in one unit of work. One that overlaps a
    stored episode is that episode.

    Stored backfilled episodes that were not found again are withdrawn. No recipient is notified. An
    episode open at `end` is closed there. Idempotent. Raises UserError if other processes keep
    changing these episodes.
    """
    found = [
        _close_at_end(e, end)
        for e in new_episodes(
            evaluation, revision, asset, detected_at=None, backfilled=True
        ).values()
    ]
    written: list[Episode] = []
    for attempt in range(_ATTEMPTS):
        changes = EpisodeChanges(platform)
        _compose_past(changes, (revision.name, asset.name), found, start, end)
        episodes = changes.episodes
        try:
            for first in range(0, len(episodes), _AT_ONCE):
                part = episodes[first : first + _AT_ONCE]
                with platform.unit_of_work.begin(attempt) as unit:
                    platform.episodes.write(part, unit)
                written += part
        except Conflict:
            continue
        changes.log()
        raised = sum(e.version == 1 for e in written)
        withdrawn = sum(e.withdrawn for e in written)
        # an episode of the past is written with its end
        return Composed(
            evaluation.state,
            raised=raised,
            closed=raised,
            withdrawn=withdrawn,
            found=len(found),
        )
    raise UserError(
        f"other processes keep changing episodes of {revision.name!r} on {asset.name!r}: evaluate "
        "this period later"
    )


def _compose_past(
    changes: EpisodeChanges,
    key: TargetKey,
    found: Sequence[Episode],
    start: datetime,
    end: datetime,
) -> None:
    """Add the found episodes of a past interval, and withdraw the backfilled ones that were not
    found again.

    A live episode that was found again stays as it is.
    """
    by_raise = {episode.raised_at: episode for episode in found}
    stored = [
        e
        for e in stored_episodes(changes, key, start, end)
        if not e.withdrawn or e.raised_at in by_raise
    ]
    evaluated = [
        EvaluatedEpisode(e.raised_at, e.closed_at, happening_at=e.happening_at) for e in found
    ]
    reconciled = reconcile(stored, evaluated, evaluated, start, backfilled=True)
    for same, one, _ in reconciled.corrections:
        if same.backfilled or same.withdrawn:
            changes.update(same.id, partial(_correct, evaluated=by_raise[one.raised_at], at=end))
    for raised_at in sorted(reconciled.new):
        changes.add(link_continuation(by_raise[raised_at], stored))
    for episode, _ in reconciled.withdrawn:
        changes.update(episode.id, partial(_withdraw, at=end))


def _close_at_end(episode: Episode, end: datetime) -> Episode:
    if episode.condition == "closed":
        return episode
    return close(
        episode,
        Step("closed", end, episode.raised_at, translatable("the evaluated past period ends here")),
    )


def _correct(stored: Episode, evaluated: Episode, at: datetime) -> Episode:
    """Return the stored episode with the values of the new evaluation; identity, raise and feedback
    stay."""
    updated = replace(
        stored, withdrawn=False, **{name: getattr(evaluated, name) for name in _EVALUATED}
    )
    if updated == stored:
        return stored
    come = (
        t for t in evaluated.transitions if t.kind == "happening" and t not in stored.transitions
    )
    updated = replace(
        updated, transitions=(*stored.transitions, *come), outcome_due_at=evaluated.outcome_due_at
    )
    return updated.with_transition(
        "corrected", at, translatable("this past period was evaluated again")
    )


def _withdraw(stored: Episode, at: datetime) -> Episode:
    reason = translatable("not found again when this past period was evaluated again")
    return stored.with_transition("corrected", at, reason, withdrawn=True, outcome_due_at=None)
