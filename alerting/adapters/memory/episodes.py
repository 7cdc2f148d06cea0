"""Episodes in memory."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from alerting.adapters.memory.tables import MemoryTable
from alerting.episodes.episode import Episode
from alerting.episodes.extract import Alarm, alarm_of
from alerting.ports import Conflict, Unit

_BYTES = 1_000  # of an episode, about


class MemoryEpisodes(MemoryTable[Episode]):
    """Port `Episodes`. `backfilled`: all are stored as found in past times."""

    def __init__(self, backfilled: bool = False) -> None:
        super().__init__()
        self._backfilled = backfilled
        self._open: set[str] = set()

    def insert(self, episode: Episode) -> bool:
        if self._backfilled:
            episode = replace(episode, backfilled=True, detected_at=episode.raised_at)
        return super().insert(episode) and self._index(episode)

    def replace(self, episode: Episode) -> bool:
        return super().replace(episode) and self._index(episode)

    def _index(self, episode: Episode) -> bool:
        (self._open.add if episode.condition == "open" else self._open.discard)(episode.id)
        return True

    def is_free(self, episode: Episode) -> bool:
        """Return whether no other live episode of the target is open, if this one is."""
        if episode.condition != "open" or episode.backfilled:
            return True
        others = (self.rows[id] for id in self._open if id != episode.id)
        return not any(
            (e.definition, e.asset) == (episode.definition, episode.asset) and not e.backfilled
            for e in others
        )

    def write(self, episodes: Sequence[Episode], unit: Unit) -> None:  # noqa: ARG002 - the port's signature
        rows = dict(self.rows)
        open_ids = set(self._open)
        for episode in sorted(episodes, key=lambda e: e.condition == "open"):
            if not (self.insert(episode) if episode.version == 1 else self.replace(episode)):
                self.rows = rows
                self._open = open_ids
                raise Conflict("another process has changed some of these episodes")

    def size(self, episode: Episode) -> int:
        return _BYTES + sum(len(str(t)) for t in episode.transitions)

    def get_many(self, ids: Collection[str]) -> dict[str, Episode]:
        return {id: self.rows[id] for id in ids if id in self.rows}

    def starting_with(self, prefix: str, assets: Collection[str] | None = None) -> list[Episode]:
        found = (e for e in self.rows.values() if e.id.startswith(prefix) and _is_of(e, assets))
        return [*found][:10]

    def find(
        self,
        definition: str | None = None,
        asset: str | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        open_only: bool = False,
        limit: int | None = None,
        before: tuple[datetime, str] | None = None,
        assets: Collection[str] | None = None,
        with_earlier: bool = False,
    ) -> list[Episode]:
        found = (
            e
            for e in ([self.rows[id] for id in self._open] if open_only else self.rows.values())
            if (definition is None or e.definition == definition)
            and (asset is None or e.asset == asset)
            and (
                start is None
                or e.raised_at >= start
                or (with_earlier and (e.closed_at is None or e.closed_at > start))
            )
            and (end is None or e.raised_at < end)
            and (before is None or (e.raised_at, e.id) < before)
            and _is_of(e, assets)
        )
        return _oldest_first(found)[::-1][:limit]

    def overlapping(
        self, definition: str, asset: str, start: datetime, end: datetime
    ) -> list[Episode]:
        found = self.find(definition, asset)
        return [
            e for e in found if e.raised_at <= end and (e.closed_at is None or e.closed_at > start)
        ]

    def over_unacknowledged(
        self, limit: int, assets: Collection[str] | None = None
    ) -> list[Episode]:
        over = self._chosen(
            lambda e: (
                not (e.condition == "open" or e.acknowledged or e.backfilled or e.withdrawn)
                and _is_of(e, assets)
            )
        )
        return over[::-1][:limit]

    def alarms(
        self,
        start: datetime,
        end: datetime,
        active_from: datetime | None = None,
        assets: Collection[str] | None = None,
        definitions: Collection[str] | None = None,
    ) -> list[Alarm]:
        def is_active(e: Episode) -> bool:
            if active_from is None or e.raised_at >= start:
                return start <= e.raised_at < end
            return e.condition == "open" or (
                e.raised_at >= active_from and e.closed_at is not None and e.closed_at > start
            )

        return [
            alarm_of(e)
            for e in self._chosen(is_active)
            if _is_of(e, assets) and (definitions is None or e.definition in definitions)
        ]

    def with_due_outcomes(self, as_of: datetime) -> list[Episode]:
        return self._chosen(lambda e: e.outcome_due_at is not None and e.outcome_due_at <= as_of)

    def muted(self) -> list[Episode]:
        return self._chosen(lambda e: e.muted_by is not None)

    def _chosen(self, fits: Callable[[Episode], object]) -> list[Episode]:
        return _oldest_first(filter(fits, self.rows.values()))


def _is_of(episode: Episode, assets: Collection[str] | None) -> bool:
    return assets is None or episode.asset in assets


def _oldest_first(episodes: Iterable[Episode]) -> list[Episode]:
    return sorted(episodes, key=lambda e: (e.raised_at, e.id))
