"""Reported misses: "you should have told me". They are stored for ever, and enter reports and the labels of trainings."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from difflib import get_close_matches

from alerting.definitions.faults import UserError
from alerting.definitions.matching import matching_assets
from alerting.definitions.model import Definition
from alerting.episodes.episode import Episode
from alerting.episodes.misses import ReportedMiss
from alerting.operators.actions import permit
from alerting.ports import Episodes, OperatorPorts
from alerting.usecases.episodes.store import NotFound
from alerting.usecases.operators.operate import Actor

_LONGEST_COMMENT = 10_000


def report_miss(
    platform: OperatorPorts, name: str, asset: str, missed_at: datetime, comment: str, actor: Actor, at: datetime
) -> ReportedMiss:
    """Store that a definition should have raised an alert for a problem at `missed_at`; return the stored miss. Idempotent.

    Raises NotFound for an unknown definition, and UserError for an asset that it does not watch, a time in the future, and a
    time for which it did raise an alert.
    """
    permit("confirm", actor.role)
    definition = _require_definition(platform, name)
    faults = list(_faults(platform, definition, asset, missed_at, comment, at))
    if faults:
        raise UserError("; ".join(faults))
    if (warned := _covering(platform.episodes, definition, asset, missed_at)) is not None:
        raise UserError(
            f"{name} did raise an alert on {asset} for that time: episode {warned.id[:8]} of {warned.raised_at.isoformat()}; "
            f"answer that one (alerting feedback {warned.id[:8]})"
        )
    stored = platform.misses.append(ReportedMiss(name, asset, missed_at, comment.strip(), actor.name, at))
    why = stored.comment
    platform.audit.add(stored.actor, "miss reported", f"{name} on {asset}", stored.at, after=missed_at.isoformat(), why=why)
    return stored


def _require_definition(platform: OperatorPorts, name: str) -> Definition:
    latest = {revision.name: revision.definition for revision in platform.definitions.latest()}
    if name not in latest:
        near = get_close_matches(name, latest, 3)
        raise NotFound(f"there is no definition {name!r}" + (f"; near: {', '.join(near)}" if near else ""))
    return latest[name]


def _faults(
    platform: OperatorPorts, definition: Definition, asset: str, missed_at: datetime, comment: str, at: datetime
) -> Iterator[str]:
    names = [one.name for one in matching_assets(definition, platform.assets.all())]
    if asset not in names:
        shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
        yield f"{definition.name} is not evaluated on {asset!r}; its assets: {shown or 'none'}"
    if missed_at > at:
        yield f"{missed_at.isoformat()} lies in the future; give the time at which the problem happened"
    if len(comment) > _LONGEST_COMMENT:
        yield f"the comment has {len(comment)} characters; {_LONGEST_COMMENT} at most"


def _covering(episodes: Episodes, definition: Definition, asset: str, at: datetime) -> Episode | None:
    """Return an episode with notifications that was open at an instant, or predicted it; None without one."""
    window = definition.window.until if definition.problem is not None else timedelta(0)
    for episode in reversed(episodes.find(definition.name, asset, end=at + datetime.resolution, limit=20)):
        until = max(filter(None, [episode.closed_at, episode.valid_until, episode.raised_at + window]))
        is_told = not (episode.withdrawn or episode.backfilled or any(t.kind == "suppressed" for t in episode.transitions))
        if is_told and (episode.condition == "open" or at <= until):
            return episode
    return None
