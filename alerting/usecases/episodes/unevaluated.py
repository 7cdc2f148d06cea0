"""Open episodes that nothing evaluates: why, and the state of their target without them."""

from datetime import datetime, timedelta

from alerting.definitions.model import Revision, names_asset
from alerting.definitions.revisions import does_not_name, out_of_service
from alerting.definitions.wording.language import translatable
from alerting.episodes.episode import Episode
from alerting.episodes.lifecycle import ConditionState, without_episode
from alerting.episodes.state_table import TargetKey
from alerting.ports import KindPorts, States, Unit
from alerting.readings.history import duration_millis

_BEHIND = timedelta(minutes=15)
"""How far an evaluation may be behind its cadence before nothing is evaluated."""
_NOT_DEFINED = translatable("there is no definition of this name any more")


def why_not_in_service(revision: Revision | None, asset: str) -> str | None:
    """Return why a definition is not evaluated on an asset by its newest revision, None if it
    is."""
    if revision is None:
        return _NOT_DEFINED
    if revision.definition.state != "active":
        return out_of_service(revision)
    is_named = names_asset(revision.definition, asset)
    return None if is_named else does_not_name(revision, asset)


def without_asset(asset: str) -> str:
    """Return the reason of an end: there is no such asset."""
    return translatable("there is no asset {asset} any more", asset=asset)


def why_not_evaluated(platform: KindPorts, episode: Episode, now: datetime) -> str | None:
    """Return why no evaluation ends an open episode now; None if one does."""
    revision = next(reversed(platform.definitions.revisions(episode.definition)), None)
    why = why_not_in_service(revision, episode.asset)
    if why is not None or revision is None:
        return why
    if platform.assets.get(episode.asset) is None:
        return translatable("the asset {asset} is not there, or faulty", asset=episode.asset)
    state = platform.states.load_many([(episode.definition, episode.asset)]).state(0)
    definition = revision.definition
    behind = _BEHIND + 3 * definition.schedule.every
    return why_unknown(state, behind, now, is_bounded=definition.problem is not None)


def why_unknown(
    state: ConditionState | None, behind: timedelta, now: datetime, *, is_bounded: bool
) -> str | None:
    """Return why the state of a target does not tell whether its open episode goes on; None if it
    does. `behind`: how far its evaluation may be behind; `is_bounded`: it ends in time also where
    nothing is known, as predictions do."""
    if state is None or state.raised_at is None:
        return translatable("no evaluation knows of it")
    if state.watermark < now - behind:
        return translatable(
            "nothing has been evaluated since {when}", when=state.watermark.isoformat()
        )
    if state.unknown_reason is not None and not is_bounded:
        return translatable("it is not known now: {reason}", reason=state.unknown_reason)
    return None


def forget_open(
    states: States, key: TargetKey, revision: Revision | None, at: datetime, unit: Unit
) -> None:
    """Write the state of a target without its open episode, which ends at an instant, so that it
    can be raised again. Raises Conflict if an evaluation is faster."""
    before = states.load_many([key])
    state = before.state(0)
    if state is None or state.raised_at is None:
        return
    after = before.take([0])
    after.write_state(0, without_episode(state, at))
    every = 0 if revision is None else duration_millis(revision.definition.schedule.every)
    states.advance(before, after, unit, every)
