"""Lists of episodes."""

from collections.abc import Iterable
from datetime import datetime
from typing import Literal, get_args

from alerting.episodes.episode import Episode
from alerting.ports import Platform
from alerting.usecases.definitions.sync import require_revision

Group = Literal["happening", "expected", "over, not acknowledged", "earlier"]


def group_of(episode: Episode) -> Group:
    """Return the part of a list in which an episode stands. Open alarms that predict nothing are happening."""
    if episode.phase != "over":
        return episode.phase
    is_seen = episode.acknowledged is not None or episode.backfilled or episode.withdrawn
    return "earlier" if is_seen else "over, not acknowledged"


def in_groups(episodes: Iterable[Episode]) -> list[Episode]:
    """Return episodes group by group, each group in the given order."""
    order = get_args(Group)
    return sorted(episodes, key=lambda episode: order.index(group_of(episode)))


def episodes_of(platform: Platform, name: str | None, start: datetime | None, end: datetime | None) -> list[Episode]:
    """Return episodes newest first, without withdrawn ones. Raises UserError for an unknown definition name."""
    if name is not None:
        require_revision(platform, name)
    return [e for e in platform.episodes.find(definition=name, start=start, end=end) if not e.withdrawn]
