"""Episodes in memory."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from alerting.episodes.episode import Episode
from alerting.episodes.extract import Alarm, alarm_of
from alerting.ports import Conflict, Unit


class MemoryEpisodes:
    """Port `Episodes` in memory. All are backfilled: no recipient is notified. `changed`: ids written since it was emptied."""

    def __init__(self) -> None:
        self._episodes: dict[str, Episode] = {}
        self._open: dict[tuple[str, str], str] = {}
        self.changed: set[str] = set()

    def restore(self, episodes: Iterable[Episode]) -> None:
        """Restore episodes unchanged."""
        for episode in episodes:
            self._keep(episode)
        self.changed.clear()

    def insert(self, episode: Episode) -> bool:
        if episode.id in self._episodes or (episode.definition, episode.asset) in self._open:
            return False
        self._keep(replace(episode, backfilled=True, detected_at=episode.raised_at))
        return True

    def write(self, episodes: Sequence[Episode], unit: Unit) -> None:  # noqa: ARG002
        for episode in sorted(episodes, key=lambda e: e.condition == "open"):
            if not (self.insert(episode) if episode.version == 1 else self.replace(episode)):
                raise Conflict("another evaluator has changed some of these episodes")

    def size(self, episode: Episode) -> int:  # noqa: ARG002
        return 0

    def replace(self, episode: Episode) -> bool:
        stored = self._episodes.get(episode.id)
        if stored is None or stored.version != episode.version - 1:
            return False
        self._keep(episode)
        return True

    def _keep(self, episode: Episode) -> None:
        self._episodes[episode.id] = episode
        self.changed.add(episode.id)
        key = (episode.definition, episode.asset)
        if episode.condition == "open":
            self._open[key] = episode.id
        elif self._open.get(key) == episode.id:
            del self._open[key]

    def get(self, id: str) -> Episode | None:
        return self._episodes.get(id)

    def get_many(self, ids: Collection[str]) -> dict[str, Episode]:
        return {id: self._episodes[id] for id in ids if id in self._episodes}

    def muted(self) -> list[Episode]:
        return []

    def over_unacknowledged(self, limit: int) -> list[Episode]:  # noqa: ARG002
        return []

    def starting_with(self, prefix: str) -> list[Episode]:
        return [e for e in self._episodes.values() if e.id.startswith(prefix)][:10]

    def find(
        self,
        definition: str | None = None,
        asset: str | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        open_only: bool = False,
        limit: int | None = None,
        before: tuple[datetime, str] | None = None,
    ) -> list[Episode]:
        chosen = (self._episodes[i] for i in self._open.values()) if open_only else iter(self._episodes.values())
        found = [
            e
            for e in chosen
            if (definition is None or e.definition == definition)
            and (asset is None or e.asset == asset)
            and (start is None or e.raised_at >= start)
            and (end is None or e.raised_at < end)
            and (before is None or (e.raised_at, e.id) < before)
        ]
        return sorted(found, key=lambda e: (e.raised_at, e.id), reverse=True)[:limit]

    def alarms(self, start: datetime, end: datetime, active_from: datetime | None = None) -> list[Alarm]:  # noqa: ARG002
        return [alarm_of(e) for e in self.find(start=start, end=end)[::-1]]

    def with_due_outcomes(self, as_of: datetime) -> list[Episode]:
        due = [e for e in self._episodes.values() if e.outcome_due_at is not None and e.outcome_due_at <= as_of]
        return sorted(due, key=lambda e: (e.raised_at, e.id))
