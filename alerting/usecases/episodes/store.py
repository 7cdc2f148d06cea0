"""Find an episode, and change it by compare-and-set."""

from collections.abc import Callable
from dataclasses import replace

from alerting.definitions.faults import UserError
from alerting.episodes.episode import Episode
from alerting.ports import Episodes, Platform
from alerting.ports.logs import id_logger

_log = id_logger(__name__)


class NotFound(UserError):
    """The requested object does not exist."""


def find_episode(episodes: Episodes, id: str) -> Episode:
    """Return the episode of this id, or of this unique beginning of an id (four characters or more). Raises NotFound."""
    episode = episodes.get(id)
    if episode is not None:
        return episode
    close = episodes.starting_with(id) if len(id) >= 4 else []
    if len(close) == 1:
        return close[0]
    if close:
        raise NotFound(f"{len(close)} episodes begin with {id!r}; give more of the id")
    raise NotFound(f"there is no episode {id!r}; see: alerting episodes")


def update(platform: Platform, episode_id: str, change: Callable[[Episode], Episode]) -> Episode:
    """Apply a change to the stored episode; after a concurrent write, apply it to the newer version.

    Raises LookupError if there is no such episode.
    """
    while True:
        episode = platform.episodes.get(episode_id)
        if episode is None:
            raise LookupError(f"there is no episode {episode_id!r}")
        changed = change(episode)
        if changed == episode:
            return episode
        changed = replace(changed, version=episode.version + 1)
        if platform.episodes.replace(changed):
            log_transitions(changed, len(episode.transitions))
            return changed


def log_transitions(episode: Episode, logged: int = 0) -> None:
    """Log the transitions of an episode beyond the first `logged` ones."""
    for transition in episode.transitions[logged:]:
        _log.info("episode %s", transition.kind, definition=episode.definition, asset=episode.asset, episode=episode.id)
