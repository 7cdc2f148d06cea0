"""Compose the episodes of a reprocessed interval. A re-evaluated episode that overlaps a stored one
is that episode.

No episode is deleted.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Literal

from alerting.definitions.assets import Asset
from alerting.definitions.faults import UserError
from alerting.definitions.model import Revision
from alerting.definitions.wording.language import translatable
from alerting.episodes.episode import Episode
from alerting.episodes.lifecycle import ConditionState, Step
from alerting.episodes.reconciliation import (
    Correction,
    EvaluatedEpisode,
    copy_actions,
    correct,
    evaluated_episodes,
    link_continuation,
    reconcile,
    withdraw,
)
from alerting.episodes.state_table import TargetKey
from alerting.kinds.protocol.evaluation import TargetEvaluation
from alerting.ports import Conflict, OutcomePorts
from alerting.usecases.episodes.changes import EpisodeChanges
from alerting.usecases.evaluation.compose import (
    Composed,
    Composition,
    add_and_announce,
    announce_end,
    close,
    new_episodes,
    with_window,
)
from alerting.usecases.notification.routes import change_notifications, raise_notifications

_MOMENT = timedelta(milliseconds=1)
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


def compose_reprocessed(
    target: Composition,
    reprocessed: TargetEvaluation,
    since: TargetEvaluation,
    base: ConditionState,
) -> Composed:
    """Compose the episodes of a reprocessed interval.

    `reprocessed` evaluates it from `base` to the old watermark, `since` from there on.

    Episodes that were not found again are withdrawn first, then found ones are corrected, then new
    ones are raised. The caller adds the steps of `since` afterwards.
    """
    until = reprocessed.state.watermark
    steps = [step for step, _ in reprocessed.steps]
    later = [step for step, _ in since.steps]
    by_watermark = evaluated_episodes(base, steps)
    final = evaluated_episodes(base, [*steps, *later])
    stored = stored_episodes(
        target.changes, (target.revision.name, target.asset.name), base.watermark, until
    )
    reconciled = reconcile(stored, by_watermark, final, base.watermark)
    for episode, containing in reconciled.withdrawn:
        _withdraw_one(target, episode, containing)
    for correction in reconciled.corrections:
        _correct(target, correction, reprocessed.valid_until.get(correction.evaluated.raised_at))
    new = _late_episodes(
        target.revision, target.asset, reprocessed, reconciled.new, until, target.as_of
    )
    raised = add_and_announce(replace(target, is_last=True), new)
    return Composed(reprocessed.state, raised=raised, withdrawn=len(reconciled.withdrawn))


def stored_episodes(
    changes: EpisodeChanges, key: TargetKey, after: datetime, until: datetime
) -> list[Episode]:
    """Return the stored episodes with an instant in (after, until], including backfilled and
    withdrawn ones."""
    inside = changes.find(*key, start=after + _MOMENT, end=until + _MOMENT)
    earlier = changes.find(*key, end=after + _MOMENT, limit=20)
    return [*inside, *(e for e in earlier if e.closed_at is None or e.closed_at > after)]


def _withdraw_one(target: Composition, episode: Episode, containing: Episode | None) -> None:
    """Withdraw an episode and notify its recipients of its end, unless `containing`, which contains
    it, continues."""

    def withdraw_stored(stored: Episode) -> Episode:
        after = withdraw(stored, target.as_of, containing)
        if after != stored and stored.condition != "closed" and containing is None:
            announce_end(target, replace(after, withdrawn=False))
        return after

    part = target.changes.update(episode.id, withdraw_stored)
    if containing is not None:
        target.changes.update(containing.id, lambda e: copy_actions(e, part))


def _correct(target: Composition, correction: Correction, valid_until: datetime | None) -> None:
    definition = target.definition
    as_of = target.as_of

    def correct_stored(stored: Episode) -> Episode:
        moved = with_window(stored, valid_until, as_of) if valid_until else stored
        after = correct(moved, correction.evaluated, correction.final, as_of)
        reason = after.transitions[-1].reason if after.transitions else ""
        if stored.condition == "open" and after.condition == "closed":
            announce_end(target, after)
            return after
        if stored.condition == "open" and after.phase != stored.phase:
            cause: Literal["happening", "corrected"] = (
                "happening" if after.phase == "happening" else "corrected"
            )
            target.changes.notify(
                change_notifications(target.changes, definition, after, cause, reason, as_of)
            )
            return after
        if stored.condition == "open" or after.condition == "closed":
            return after
        if target.changes.live_open(stored.definition, stored.asset) is not None:
            return stored  # only one may be open, so this one stays closed
        target.changes.notify(
            change_notifications(target.changes, definition, after, "reopened", reason, as_of)
        )
        target.changes.notify(
            raise_notifications(
                target.platform,
                target.changes,
                definition,
                after,
                reason,
                as_of,
            )
        )
        return after

    target.changes.update(correction.stored.id, correct_stored)


def _late_episodes(
    revision: Revision,
    asset: Asset,
    reprocessed: TargetEvaluation,
    raised: Collection[datetime],
    until: datetime,
    as_of: datetime,
) -> list[Episode]:
    """Return the episodes that only late data revealed.

    `found_late` marks those that arrived behind the availability delay; the others are known that
    late by design.
    """
    of_new = replace(
        reprocessed, steps=[(s, part) for s, part in reprocessed.steps if s.raised_at in raised]
    )
    found = new_episodes(of_new, revision, asset, detected_at=as_of, backfilled=False).values()
    late_from = until - revision.definition.delay(asset)
    return [
        replace(e, late_data_status="found_late" if e.raised_at <= late_from else None)
        for e in found
    ]


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
            changes.update(
                same.id, partial(_correct_past, evaluated=by_raise[one.raised_at], at=end)
            )
    for raised_at in sorted(reconciled.new):
        changes.add(link_continuation(by_raise[raised_at], stored))
    for episode, _ in reconciled.withdrawn:
        changes.update(episode.id, partial(_withdraw_past, at=end))


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
        t for t in evaluated.transitions if t.kind == "happening" and t not in stored.transitions
    )
    updated = replace(
        updated, transitions=(*stored.transitions, *come), outcome_due_at=evaluated.outcome_due_at
    )
    return updated.with_transition(
        "corrected", at, translatable("this past period was evaluated again")
    )


def _withdraw_past(stored: Episode, at: datetime) -> Episode:
    reason = translatable("not found again when this past period was evaluated again")
    return stored.with_transition("corrected", at, reason, withdrawn=True, outcome_due_at=None)
