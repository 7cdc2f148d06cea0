"""Changes of episodes that are composed in memory, and written in one unit of work."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from alerting.episodes.episode import Episode, Notification
from alerting.ports import Episodes
from alerting.usecases.episodes.store import log_transitions


class EpisodeChanges:
    """Stored episodes as they will be after these changes: every read contains the changes composed so far.

    Each changed episode is written once, as the next version of the one that was read.
    """

    def __init__(self, stored: Episodes) -> None:
        self._stored = stored
        self._read: dict[str, Episode | None] = {}
        self._changed: dict[str, Episode] = {}
        self._sizes: dict[str, int] = {}

    @property
    def episodes(self) -> list[Episode]:
        """Return the episodes to write."""
        return list(self._changed.values())

    def size(self) -> int:
        """Return the size (bytes) of the episodes to write."""
        for id in self._changed.keys() - self._sizes.keys():
            self._sizes[id] = self._stored.size(self._changed[id])
        return sum(self._sizes.values())

    def get(self, id: str) -> Episode | None:
        """Return an episode; None without one."""
        if id in self._changed:
            return self._changed[id]
        if id not in self._read:
            self._read[id] = self._stored.get(id)
        return self._read[id]

    def find(
        self,
        definition: str,
        asset: str,
        start: datetime | None = None,
        end: datetime | None = None,
        limit: int | None = None,
    ) -> list[Episode]:
        """Return the episodes of a target raised in [start, end), newest first."""
        found = {e.id: e for e in self._stored.find(definition, asset, start, end, limit=limit)}
        self._read |= {id: e for id, e in found.items() if id not in self._changed}
        found |= {
            id: e
            for id, e in self._changed.items()
            if (e.definition, e.asset) == (definition, asset)
            and (start is None or e.raised_at >= start)
            and (end is None or e.raised_at < end)
        }
        return sorted(found.values(), key=lambda e: (e.raised_at, e.id), reverse=True)[:limit]

    def live_open(self, definition: str, asset: str) -> Episode | None:
        """Return the open live episode of a target; None without one."""
        open_ones = {e.id: e for e in self._stored.find(definition, asset, open_only=True)}
        self._read |= {id: e for id, e in open_ones.items() if id not in self._changed}
        changed = {id: e for id, e in self._changed.items() if (e.definition, e.asset) == (definition, asset)}
        live = (e for e in (open_ones | changed).values() if e.condition == "open" and not e.backfilled)
        return next(live, None)

    def notified_since(self, asset: str, since: datetime) -> list[Notification]:
        """Return notifications of raises on this asset made after this instant."""
        stored = {n.key: n for n in self._stored.notified_since(asset, since)}
        changed = {n.key: n for e in self._changed.values() if e.asset == asset for n in e.notifications}
        return [n for n in (stored | changed).values() if n.transition == "raised" and n.created_at > since]

    def add(self, episode: Episode) -> None:
        """Add a new episode."""
        self._read.setdefault(episode.id, None)
        self._put(episode, 0)

    def update(self, id: str, change: Callable[[Episode], Episode]) -> Episode:
        """Apply a change to an episode. Raises LookupError if there is no such episode."""
        episode = self.get(id)
        if episode is None:
            raise LookupError(f"there is no episode {id!r}")
        changed = change(episode)
        if changed != episode:
            read = self._read.get(id)
            self._put(changed, 0 if read is None else read.version)
        return self._changed.get(id, episode)

    def _put(self, episode: Episode, version: int) -> None:
        self._changed[episode.id] = replace(episode, version=version + 1)
        self._sizes.pop(episode.id, None)

    def log(self) -> None:
        """Log the transitions that were added."""
        for episode in self._changed.values():
            read = self._read.get(episode.id)
            log_transitions(episode, len(read.transitions) if read else 0)
