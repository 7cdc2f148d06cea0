"""Find and list episodes, and log their transitions."""

from collections.abc import Iterable
from datetime import datetime
from typing import Literal, get_args

from alerting.definitions.assets import Asset
from alerting.definitions.checks.against_assets import ASSET_REMEDY
from alerting.definitions.faults import NotFound, unknown_name
from alerting.definitions.wording.language import translatable
from alerting.episodes.episode import Episode
from alerting.ports import Assets, EpisodePorts, Episodes
from alerting.ports.logs import id_logger
from alerting.usecases.definitions.lookup import require_revision

_log = id_logger(__name__)


def require_asset(assets: Assets, name: str) -> Asset:
    """Return an asset. Raises NotFound for an unknown name, with the names that it may mean."""
    asset = assets.get(name)
    if asset is None:
        raise NotFound(
            unknown_name("asset", name, [one.name for one in assets.all()], ASSET_REMEDY)
        )
    return asset


def find_episode(episodes: Episodes, id: str) -> Episode:
    """Return the episode of this id, or of this unique beginning of an id (four characters or
    more).

    Raises NotFound if none or several begin so.
    """
    episode = episodes.get(id)
    if episode is not None:
        return episode
    close = episodes.starting_with(id) if len(id) >= 4 else []
    if len(close) == 1:
        return close[0]
    if close:
        raise NotFound(f"{len(close)} episodes begin with {id!r}; give more of the id")
    raise NotFound(translatable("there is no episode {id}; see: alerting episodes", id=repr(id)))


def log_transitions(episode: Episode, logged: int = 0) -> None:
    """Log the transitions of an episode beyond the first `logged` ones."""
    for transition in episode.transitions[logged:]:
        _log.info(
            "episode %s",
            transition.kind,
            definition=episode.definition,
            asset=episode.asset,
            episode=episode.id,
        )


Group = Literal["happening", "expected", "over, not acknowledged", "earlier"]


def group_of(episode: Episode) -> Group:
    """Return the part of a list in which an episode stands. Open alarms that predict nothing are
    happening."""
    if episode.phase != "over":
        return episode.phase
    is_seen = episode.acknowledged is not None or episode.backfilled or episode.withdrawn
    return "earlier" if is_seen else "over, not acknowledged"


def in_groups(episodes: Iterable[Episode]) -> list[Episode]:
    """Return episodes group by group, each group in the given order."""
    order = get_args(Group)
    return sorted(episodes, key=lambda episode: order.index(group_of(episode)))


def episodes_of(
    platform: EpisodePorts, name: str | None, start: datetime | None, end: datetime | None
) -> list[Episode]:
    """Return the episodes that were open at some time in [start, end), newest first, without
    withdrawn ones. Raises UserError for an unknown definition name."""
    if name is not None:
        require_revision(platform.definitions, name)
    found = platform.episodes.find(definition=name, start=start, end=end, with_earlier=True)
    return [e for e in found if not e.withdrawn]
