"""End the open episodes that no evaluation will end: of a definition out of service, that does not
name their asset any more or is gone, or of an asset that is gone."""

from collections.abc import Collection
from datetime import datetime

from alerting.definitions.model import Revision
from alerting.episodes.episode import Episode
from alerting.episodes.state_table import TargetKey
from alerting.ports import EvaluationPorts, Unit
from alerting.usecases.definitions.targets import current_plan
from alerting.usecases.episodes.changes import EpisodeChanges, update
from alerting.usecases.episodes.unevaluated import (
    forget_open,
    why_not_in_service,
    without_asset,
)
from alerting.usecases.notification.routes import change_notifications


def close_orphans(platform: EvaluationPorts, as_of: datetime) -> int:
    """End every open episode that no evaluation will end, and notify its recipients; return how
    many. Idempotent."""
    still_open = platform.episodes.find(open_only=True)  # before the plan, which is not older
    wanted = {(one.definition, one.asset) for one in still_open}
    targets = current_plan(platform).targets if wanted else ()
    wanted.difference_update([t.key for t in targets if t.key in wanted])
    if not wanted:
        return 0
    reasons = _find_reasons(platform, wanted)
    left = [one for one in still_open if (one.definition, one.asset) in reasons]
    for episode in left:
        revision, why = reasons[episode.definition, episode.asset]
        _end(platform, episode, revision, why, as_of)
    return len(left)


def _find_reasons(
    platform: EvaluationPorts, keys: Collection[TargetKey]
) -> dict[TargetKey, tuple[Revision | None, str]]:
    """Return why each of these targets is not evaluated any more, with the newest revision of its
    definition. What cannot be read now, a faulty revision or asset, is left out."""
    faulty_assets = {one.name for one in platform.assets.read_all()[1]}
    known = platform.assets.get_many({asset for _, asset in keys})
    found = dict[TargetKey, tuple[Revision | None, str]]()
    for name in {definition for definition, _ in keys}:
        revision = platform.definitions.newest_revision(name)
        if revision is None and _has_faulty_revision(platform, name):
            continue
        for key in (key for key in keys if key[0] == name):
            asset = key[1]
            why = why_not_in_service(revision, asset)
            if why is None and asset not in known and asset not in faulty_assets:
                why = without_asset(asset)
            if why is not None:
                found[key] = (revision, why)
    return found


def _has_faulty_revision(platform: EvaluationPorts, name: str) -> bool:
    _, faulty = platform.definitions.load_revisions()({})
    return any(one.name.startswith(name) for one in faulty)


def _end(
    platform: EvaluationPorts,
    episode: Episode,
    revision: Revision | None,
    why: str,
    as_of: datetime,
) -> None:
    is_out = why_not_in_service(revision, episode.asset) is not None
    at = max(revision.at, episode.raised_at) if revision is not None and is_out else as_of

    def end(stored: Episode, changes: EpisodeChanges) -> Episode:
        if stored.condition == "closed":
            return stored
        ended = stored.with_transition("closed", as_of, why, condition="closed", closed_at=at)
        if revision is not None and not stored.backfilled:
            changes.notify(
                change_notifications(changes, revision.definition, ended, "closed", why, as_of)
            )
        changes.drop_overtaken(ended)
        return ended

    def forget(unit: Unit) -> None:
        key = (episode.definition, episode.asset)
        forget_open(platform.states, key, revision, at, unit)

    # a definition that is evaluated again ends it itself, by the revision that was in force
    update(platform, episode.id, end, None if is_out and revision is not None else forget)
