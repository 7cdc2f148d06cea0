"""Write the episodes of an interval of the past that was evaluated."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial

from alerting.definitions.alert_definition import Revision
from alerting.definitions.asset_documents import Asset
from alerting.definitions.faults import UserError
from alerting.definitions.wording.language import translatable
from alerting.episodes.episode import Episode
from alerting.episodes.evaluation_plan import TargetKey
from alerting.episodes.lifecycle import Step
from alerting.episodes.reconciliation import EvaluatedEpisode, link_continuation, reconcile
from alerting.kinds.protocol import TargetEvaluation
from alerting.ports import Conflict, OutcomePorts
from alerting.usecases.episodes.stored_episodes import EpisodeChanges
from alerting.usecases.evaluation.compose import close, new_episodes
from alerting.usecases.evaluation.inputs import EvaluationCounts
from alerting.usecases.evaluation.reprocess import stored_episodes

_AT_ONCE = 500
_NOT_FOUND_AGAIN = translatable("not found again when this past period was evaluated again")
_EVALUATED = (
    "revision",
    "severity",
    "severity_peak",
    "model_version",
    "evaluation",
    "closed_at",
    "valid_until",
    "announced_until",
    "is_prediction",
    "happening_at",
    "prediction_ended_at",
    "contributions",
    "recommendation",
    "inputs",
    "modes",
    "guidance",
    "life",
    "renewals",
)


def persist_past(
    platform: OutcomePorts,
    revision: Revision,
    asset: Asset,
    evaluation: TargetEvaluation,
    start: datetime,
    end: datetime,
) -> EvaluationCounts:
    """Write the episodes of a past interval, up to 500 in one unit of work. An episode that
    overlaps a stored one counts as the stored one.

    Stored backfilled episodes that were not found again are withdrawn. No recipient is notified. An
    episode open at `end` is closed there. Idempotent. Raises UserError if other processes keep
    changing these episodes.
    """
    past_episodes = [
        _close_at_end(e, end)
        for e in new_episodes(
            evaluation, revision, asset, detected_at=None, backfilled=True
        ).values()
    ]
    written: list[Episode] = []
    for attempt in range(10):
        changes = EpisodeChanges(platform)
        _compose_past(changes, (revision.name, asset.name), past_episodes, start, end)
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
        # an episode of the past is written with its end
        return EvaluationCounts(
            raised=raised,
            closed=raised,
            withdrawn=sum(e.withdrawn for e in written),
            found=len(past_episodes),
        )
    raise UserError(
        f"other processes keep changing episodes of {revision.name!r} on {asset.name!r}: evaluate "
        "this period later"
    )


def _compose_past(
    changes: EpisodeChanges,
    key: TargetKey,
    past_episodes: Sequence[Episode],
    start: datetime,
    end: datetime,
) -> None:
    """Add the found episodes of a past interval, and withdraw the backfilled ones that were not
    found again.

    A live episode that was found again stays as it is.
    """
    by_raise = {episode.raised_at: episode for episode in past_episodes}
    stored = [
        e
        for e in stored_episodes(changes, key, start, end)
        if not e.withdrawn or e.raised_at in by_raise
    ]
    evaluated = [
        EvaluatedEpisode(e.raised_at, e.closed_at, happening_at=e.happening_at)
        for e in past_episodes
    ]
    reconciled = reconcile(stored, evaluated, evaluated, start, backfilled=True)
    for correction in reconciled.corrections:
        episode = correction.stored
        if episode.backfilled or episode.withdrawn:
            again = by_raise[correction.evaluated.raised_at]
            changes.update(episode.id, partial(_correct_past, evaluated=again, at=end))
    for raised_at in sorted(reconciled.new):
        changes.add(link_continuation(by_raise[raised_at], stored))
    for episode, _ in reconciled.withdrawn:
        changes.update(
            episode.id,
            lambda e: e.with_transition(
                "corrected", end, _NOT_FOUND_AGAIN, withdrawn=True, outcome_due_at=None
            ),
        )


def _close_at_end(episode: Episode, end: datetime) -> Episode:
    if episode.condition == "closed":
        return episode
    return close(
        episode,
        Step("closed", end, episode.raised_at, translatable("the evaluated past period ends here")),
    )


def _correct_past(stored: Episode, evaluated: Episode, at: datetime) -> Episode:
    """Return the stored episode with the values of the new evaluation; identity, raise and feedback
    stay."""
    updated = replace(
        stored, withdrawn=False, **{name: getattr(evaluated, name) for name in _EVALUATED}
    )
    if updated == stored:
        return stored
    come = (
        t
        for t in evaluated.transitions
        if t.kind in ("happening", "renewed") and t not in stored.transitions
    )
    updated = replace(
        updated, transitions=(*stored.transitions, *come), outcome_due_at=evaluated.outcome_due_at
    )
    return updated.with_transition(
        "corrected", at, translatable("this past period was evaluated again")
    )
