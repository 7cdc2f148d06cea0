"""Changes of episodes, with the notifications that they cause, composed in memory and written in
one unit of work."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime

from alerting.episodes.episode import Episode
from alerting.notifications.notification import Notification
from alerting.notifications.policy import dropped, is_overtaken
from alerting.ports import Conflict, OutcomePorts, Unit
from alerting.usecases.episodes.store import log_transitions

_ATTEMPTS = 20  # with pauses of half a minute altogether
_NOTIFICATION_BYTES = 600  # about


class EpisodeChanges:
    """Stored episodes as they will be after these changes: every read contains the changes composed
    so far.

    Each changed episode is written once, as the next version of the one that was read.
    """

    def __init__(self, platform: OutcomePorts) -> None:
        self._stored = platform.episodes
        self._notifications = platform.notifications
        self._read: dict[str, Episode | None] = {}
        self._changed: dict[str, Episode] = {}
        self._sizes: dict[str, int] = {}
        self._sent: dict[str, tuple[Notification, ...]] = {}
        self._added: dict[str, Notification] = {}
        self._dropped: dict[str, tuple[Notification, Notification]] = {}

    @property
    def episodes(self) -> list[Episode]:
        """Return the episodes to write."""
        return list(self._changed.values())

    def size(self) -> int:
        """Return the size (bytes) of the documents to write."""
        for id in self._changed.keys() - self._sizes.keys():
            self._sizes[id] = self._stored.size(self._changed[id])
        return sum(self._sizes.values()) + _NOTIFICATION_BYTES * len(self._added)

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
        changed = {
            id: e
            for id, e in self._changed.items()
            if (e.definition, e.asset) == (definition, asset)
        }
        live = (
            e for e in (open_ones | changed).values() if e.condition == "open" and not e.backfilled
        )
        return next(live, None)

    def of_episode(self, id: str) -> tuple[Notification, ...]:
        """Return the notifications of an episode."""
        is_new = id in self._changed and self._read.get(id) is None
        if id not in self._sent:
            self._sent[id] = () if is_new else self._notifications.of_episodes([id])[id]
        stored = (self._dropped[n.key][1] if n.key in self._dropped else n for n in self._sent[id])
        return (*stored, *(n for n in self._added.values() if n.episode == id))

    def raised_since(self, asset: str, since: datetime) -> list[Notification]:
        """Return notifications of raises on this asset made after this instant."""
        added = (
            n
            for n in self._added.values()
            if n.asset == asset and n.transition == "raised" and n.created_at > since
        )
        return [*self._notifications.raised_since(asset, since), *added]

    def notify(self, added: Iterable[Notification]) -> None:
        """Add notifications, which are written with the episodes."""
        self._added |= {n.key: n for n in added}

    def drop_overtaken(self, episode: Episode) -> None:
        """Drop what quiet hours hold back of an episode that is over now.

        A delivery that begins meanwhile is a conflict: its recipient is notified of the end, too.
        """
        sent = self.of_episode(episode.id)
        self._dropped |= {
            n.key: (n, dropped(n)) for n in self._sent[episode.id] if is_overtaken(n, episode, sent)
        }

    def write(self, unit: Unit) -> None:
        """Write episodes and notifications in a unit of work. Raises Conflict if another process
        has changed one of them."""
        if self._changed:
            self._stored.write(self.episodes, unit)
        self._notifications.add([*self._added.values()], unit)
        self._notifications.change([*self._dropped.values()], unit)

    def add(self, episode: Episode) -> None:
        """Add a new episode."""
        self._read.setdefault(episode.id, None)
        self._store_episode(episode, 0)

    def update(self, id: str, change: Callable[[Episode], Episode]) -> Episode:
        """Apply a change to an episode. Raises LookupError if there is no such episode."""
        episode = self.get(id)
        if episode is None:
            raise LookupError(f"there is no episode {id!r}")
        changed = change(episode)
        if changed != episode:
            read = self._read.get(id)
            self._store_episode(changed, 0 if read is None else read.version)
        return self._changed.get(id, episode)

    def _store_episode(self, episode: Episode, version: int) -> None:
        self._changed[episode.id] = replace(episode, version=version + 1)
        self._sizes.pop(episode.id, None)

    def log(self) -> None:
        """Log the transitions that were added."""
        for episode in self._changed.values():
            read = self._read.get(episode.id)
            log_transitions(episode, len(read.transitions) if read else 0)


def update(
    platform: OutcomePorts,
    id: str,
    change: Callable[[Episode, EpisodeChanges], Episode],
    write_beside: Callable[[Unit], None] | None = None,
) -> Episode:
    """Apply a change to the stored episode, and write it together with the notifications that it
    adds, if any, and with what `write_beside` writes in the same unit of work.

    After a concurrent write it is applied to the newer version. Raises LookupError if there is no
    such episode, and Conflict if others are faster again and again.
    """
    attempt = 0
    while True:
        changes = EpisodeChanges(platform)
        after = changes.update(id, lambda episode: change(episode, changes))  # noqa: B023 - called at once
        if not changes.episodes:
            return after
        try:
            with platform.unit_of_work.begin(attempt) as unit:
                changes.write(unit)
                if write_beside is not None:
                    write_beside(unit)
        except Conflict:
            attempt += 1
            if attempt == _ATTEMPTS:
                raise
            continue
        changes.log()
        return after
