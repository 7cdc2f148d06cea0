"""Store the episodes of a reprocessed interval. A re-evaluated episode that overlaps a stored one is that episode.

No episode is deleted.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from alerting.definitions.assets import Asset
from alerting.definitions.model import Definition, Revision, ThresholdDefinition
from alerting.episodes.episode import Episode
from alerting.episodes.lifecycle import ConditionState
from alerting.episodes.reconciliation import (
    EvaluatedEpisode,
    Reprocessed,
    copy_actions,
    correct,
    evaluated_episodes,
    match_episodes,
    overlap,
    start_of,
    withdraw,
)
from alerting.ports import Platform
from alerting.usecases.episodes.store import update
from alerting.usecases.evaluation.evaluate_target import TargetEvaluation
from alerting.usecases.evaluation.new_episodes import new_episodes
from alerting.usecases.evaluation.persist import Persisted, insert_and_notify
from alerting.usecases.notification.routes import end_notifications, raise_notifications, reopen_notifications

_MOMENT = timedelta(milliseconds=1)


def persist_reprocessed(
    platform: Platform,
    revision: Revision,
    asset: Asset,
    reprocessed: TargetEvaluation,
    since: TargetEvaluation,
    base: ConditionState,
    as_of: datetime,
) -> Persisted:
    """Store the episodes of a reprocessed interval.

    `reprocessed` evaluates it from `base` to the old watermark, `since` from there on.

    Episodes that were not found again are withdrawn first, then found ones are corrected, then new ones are raised. The caller
    stores the steps of `since` afterwards. Idempotent.
    """
    until = reprocessed.state.watermark
    steps, later = [step for step, _ in reprocessed.steps], [step for step, _ in since.steps]
    by_watermark = {s.raised_at: s for s in evaluated_episodes(base, steps)}
    final = {s.raised_at: s for s in evaluated_episodes(base, [*steps, *later])}
    episodes = _stored_episodes(platform, revision, asset, base.watermark, until)
    found = match_episodes(list(by_watermark.values()), episodes)
    evaluated = list(final.values())
    withdrawn = _withdraw(platform, revision.definition, episodes, evaluated, found, base.watermark, as_of)
    later_ones = platform.episodes.find(revision.name, asset.name, until + _MOMENT, since.state.watermark + _MOMENT)
    of_killed = match_episodes(evaluated, later_ones)  # raised by an evaluator killed before it advanced the watermark
    withdrawn += _withdraw(platform, revision.definition, later_ones, evaluated, of_killed, until, as_of)
    for raised_at, episode in sorted(found.items(), key=lambda item: item[0]):
        correction = Reprocessed(raised_at, base, [*steps, *later], until, since.state.watermark)
        _correct(platform, revision.definition, episode, correction, as_of)
    overlooked = {at for at, one in by_watermark.items() if at not in found and one.whole}
    new = _late_episodes(revision, asset, reprocessed, overlooked, until, as_of)
    raised = sum(is_new for _, is_new in insert_and_notify(platform, revision, new, as_of))
    return Persisted(reprocessed.state, raised=raised, withdrawn=withdrawn)


def _stored_episodes(platform: Platform, revision: Revision, asset: Asset, after: datetime, until: datetime) -> list[Episode]:
    """Return the stored episodes with an instant in (after, until], including backfilled and withdrawn ones."""
    inside = platform.episodes.find(revision.name, asset.name, start=after + _MOMENT, end=until + _MOMENT)
    earlier = platform.episodes.find(revision.name, asset.name, end=after + _MOMENT, limit=20)
    return [*inside, *(e for e in earlier if e.closed_at is None or e.closed_at > after)]


def _withdraw(
    platform: Platform,
    definition: Definition,
    episodes: Sequence[Episode],
    evaluated: Sequence[EvaluatedEpisode],
    found: dict[datetime, Episode],
    after: datetime,
    as_of: datetime,
) -> int:
    """Withdraw the live episodes that were not found again. Return how many."""
    found_ids = {e.id for e in found.values()}
    missing = [e for e in episodes if e.id not in found_ids and not (e.backfilled or e.withdrawn) and start_of(e) > after]
    for episode in missing:
        containing = next((found[s.raised_at] for s in evaluated if s.raised_at in found and overlap(s, episode)), None)
        _withdraw_one(platform, definition, episode, containing, as_of)
    return len(missing)


def _withdraw_one(
    platform: Platform, definition: Definition, episode: Episode, containing: Episode | None, as_of: datetime
) -> None:
    """Withdraw an episode and notify its recipients of its end, unless `containing`, which contains it, continues."""

    def withdraw_stored(stored: Episode) -> Episode:
        after = withdraw(stored, as_of, containing)
        if after == stored or stored.condition == "closed" or containing is not None:
            return after
        added = end_notifications(platform, definition, replace(after, withdrawn=False), after.transitions[-1].reason, as_of)
        return replace(after, notifications=(*after.notifications, *added))

    part = update(platform, episode.id, withdraw_stored)
    if containing is not None:
        update(platform, containing.id, lambda e: copy_actions(e, part))


def _correct(platform: Platform, definition: Definition, episode: Episode, correction: Reprocessed, as_of: datetime) -> None:
    def correct_stored(stored: Episode) -> Episode:
        after = correct(stored, correction, as_of)
        if stored.condition == "closed" and after.condition == "open" and _is_another_open(platform, stored):
            return stored
        reason = after.transitions[-1].reason if after.transitions else ""
        if stored.condition == "open" and after.condition == "closed":
            return replace(
                after, notifications=(*after.notifications, *end_notifications(platform, definition, after, reason, as_of))
            )
        if stored.condition == "closed" and after.condition == "open":
            reopened = replace(
                after, notifications=(*after.notifications, *reopen_notifications(platform, definition, after, reason, as_of))
            )
            return replace(
                reopened,
                notifications=(*reopened.notifications, *raise_notifications(platform, definition, reopened, reason, as_of)),
            )
        return after

    update(platform, episode.id, correct_stored)


def _is_another_open(platform: Platform, episode: Episode) -> bool:
    """Return whether the target has another open episode. Only one may be open, so this one then stays closed."""
    return bool(platform.episodes.find(episode.definition, episode.asset, open_only=True))


def _late_episodes(
    revision: Revision,
    asset: Asset,
    reprocessed: TargetEvaluation,
    raised: Collection[datetime],
    until: datetime,
    as_of: datetime,
) -> list[Episode]:
    """Return the episodes that only late data revealed.

    `found_late` marks those that arrived behind the availability delay; the others are known that late by design.
    """
    of_new = replace(reprocessed, steps=[(s, part) for s, part in reprocessed.steps if s.raised_at in raised])
    found = new_episodes(of_new, revision, asset, detected_at=as_of, backfilled=False).values()
    late_from = until - _availability_delay(revision.definition, asset)
    return [replace(e, late_data_status="found_late" if e.raised_at <= late_from else None) for e in found]


def _availability_delay(definition: Definition, asset: Asset) -> timedelta:
    """Return the availability delay of the variable of a threshold; zero for other definitions."""
    variable = asset.variables.get(definition.variable) if isinstance(definition, ThresholdDefinition) else None
    return variable.delay if variable else timedelta(0)
