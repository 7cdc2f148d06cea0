"""A platform that only pretends: it reads what is really there, and whatever a use case writes stays in memory.

The same use cases that run live (train, evaluate, settle) run on it unchanged. Nothing in it can reach a live collection, the
registry, or a person: what has no business being called refuses to be.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, NoReturn

import numpy as np

from alerting.definitions.assets import Asset, EventType
from alerting.definitions.model import Revision
from alerting.episodes.alarm import Alarm, alarm_of
from alerting.episodes.bulletin import Bulletin
from alerting.episodes.episode import Episode, Feedback, Notification
from alerting.episodes.lifecycle import SpellState
from alerting.episodes.shelving import Shelf
from alerting.episodes.spell_table import Pair, SpellTable
from alerting.pipelines.late_ports import Arrival, Checkpoint, Debt
from alerting.pipelines.ports import (
    NOT_KEPT,
    Assets,
    DecisionRecord,
    Definitions,
    Document,
    Episodes,
    EventRow,
    FeedbackLog,
    Files,
    ModelUnavailable,
    Platform,
    PlatformAlert,
    ReadingColumns,
    ReadingRow,
    Readings,
    Replay,
    Wanted,
)
from alerting.readings.history import History
from alerting.readings.packed import Flags


class LiveWrite(Exception):
    """A pretended platform was asked for something that only a live one may do: a fault in the program."""


def _refuse(what: str) -> NoReturn:
    raise LiveWrite(f"a pretended platform does not {what}")


class OneDefinition:
    """Port `Definitions` with a single definition, in service from its revision's instant on.

    `others`: live revisions that are known beside it: people answered episodes of them.
    """

    def __init__(self, revision: Revision, others: Sequence[Revision] = ()) -> None:
        self._revision = revision
        self._all = [*(r for r in others if r.number != revision.number), revision]

    def documents(self) -> list[Document]:
        return []

    def put(self, document: Document) -> None:  # noqa: ARG002 - the port's signature
        _refuse("change definitions")

    def mark_faulty(self, name: str, faults: Sequence[str]) -> None:  # noqa: ARG002
        _refuse("mark definitions")

    def faulty(self) -> dict[str, list[str]]:
        return {}

    def add_revision(self, revision: Revision) -> bool:  # noqa: ARG002
        _refuse("make revisions")

    def revisions(self, name: str) -> list[Revision]:
        return self._all if name == self._revision.name else []

    def histories(self, names: Collection[str]) -> dict[str, list[Revision]]:
        return {name: self.revisions(name) for name in names if name == self._revision.name}

    def latest(self, having: str | None = None) -> list[Revision]:
        return [self._revision] if having is None or getattr(self._revision.definition, having) is not None else []


class KnownAssets:
    """Port `Assets`, to read."""

    def __init__(self, live: Assets) -> None:
        self._live = live

    def all(self) -> list[Asset]:
        return self._live.all()

    def get(self, name: str) -> Asset | None:
        return self._live.get(name)

    def put(self, assets: Sequence[Asset]) -> None:  # noqa: ARG002
        _refuse("change assets")

    def event_types(self) -> list[EventType]:
        return self._live.event_types()

    def put_event_types(self, types: Sequence[EventType]) -> None:  # noqa: ARG002
        _refuse("change event types")


class ReadingsUntil:
    """Port `Readings`, to read, and nothing after an instant: whoever asks for more gets what there was by then."""

    def __init__(self, live: Readings, until: datetime) -> None:
        self._live, self._until = live, until

    def add_readings(self, rows: Sequence[ReadingRow], arrived_at: datetime) -> int:  # noqa: ARG002
        _refuse("write readings")

    def add_events(self, rows: Sequence[EventRow], arrived_at: datetime) -> int:  # noqa: ARG002
        _refuse("write events")

    def load(self, asset: Asset, start: datetime | None, end: datetime | None, variables: Iterable[str] | None = None) -> History:
        return self._live.load(asset, start, self._until if end is None else min(end, self._until), variables)

    def load_many(self, wanted: Sequence[Wanted], end: datetime) -> dict[str, ReadingColumns]:
        return self._live.load_many(wanted, min(end, self._until))

    def span(self, asset: str) -> tuple[datetime, datetime] | None:
        span = self._live.span(asset)
        return None if span is None or span[0] > self._until else (span[0], min(span[1], self._until))


class MemoryEpisodes:
    """Port `Episodes` in memory. All of them are historical: nobody is told. `changed`: ids written since it was emptied."""

    def __init__(self) -> None:
        self._kept: dict[str, Episode] = {}
        self._open: dict[tuple[str, str], str] = {}
        self.changed: set[str] = set()

    def restore(self, episodes: Iterable[Episode]) -> None:
        """Take episodes over as they are."""
        for episode in episodes:
            self._keep(episode)
        self.changed.clear()

    def insert(self, episode: Episode) -> bool:
        if episode.id in self._kept or (episode.definition, episode.asset) in self._open:
            return False
        self._keep(replace(episode, historical=True, decided_at=episode.raised_at, outbox=()))
        return True

    def replace(self, episode: Episode) -> bool:
        stored = self._kept.get(episode.id)
        if stored is None or stored.version != episode.version - 1:
            return False
        self._keep(episode)
        return True

    def _keep(self, episode: Episode) -> None:
        self._kept[episode.id] = episode
        self.changed.add(episode.id)
        pair = (episode.definition, episode.asset)
        if episode.condition == "open":
            self._open[pair] = episode.id
        elif self._open.get(pair) == episode.id:
            del self._open[pair]

    def get(self, id: str) -> Episode | None:
        return self._kept.get(id)

    def starting_with(self, prefix: str) -> list[Episode]:
        return [e for e in self._kept.values() if e.id.startswith(prefix)][:10]

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
        chosen = (self._kept[i] for i in self._open.values()) if open_only else iter(self._kept.values())
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

    def unsettled(self, as_of: datetime) -> list[Episode]:
        due = [e for e in self._kept.values() if e.settle_after is not None and e.settle_after <= as_of]
        return sorted(due, key=lambda e: (e.raised_at, e.id))

    def with_due_notifications(self, now: datetime, limit: int = 100) -> list[Episode]:  # noqa: ARG002
        return []

    def dead_letters(self) -> list[tuple[str, Notification]]:
        return []

    def told_since(self, asset: str, since: datetime) -> list[Notification]:  # noqa: ARG002
        return []

    def sent_since(self, since: datetime) -> list[Notification]:  # noqa: ARG002
        return []

    def held_in_floods(self, now: datetime) -> list[Episode]:  # noqa: ARG002
        return []

    def held_for_digest(self) -> list[Episode]:
        return []

    def muted(self) -> list[Episode]:
        return []


class LiveEpisodesUntil:
    """Port `Episodes`, to find what was really raised before an instant: people acted upon it, and training must know."""

    def __init__(self, live: Episodes, until: datetime) -> None:
        self._live, self._until = live, until

    def insert(self, episode: Episode) -> bool:  # noqa: ARG002
        _refuse("raise episodes while it trains")

    def replace(self, episode: Episode) -> bool:  # noqa: ARG002
        _refuse("change live episodes")

    def get(self, id: str) -> Episode | None:
        return self._live.get(id)

    def starting_with(self, prefix: str) -> list[Episode]:
        return self._live.starting_with(prefix)

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
        until = self._until if end is None else min(end, self._until)
        return self._live.find(definition, asset, start, until, open_only, limit, before)

    def alarms(self, start: datetime, end: datetime, active_from: datetime | None = None) -> list[Alarm]:
        return self._live.alarms(start, min(end, self._until), active_from)

    def unsettled(self, as_of: datetime) -> list[Episode]:  # noqa: ARG002
        return []

    def with_due_notifications(self, now: datetime, limit: int = 100) -> list[Episode]:  # noqa: ARG002
        return []

    def dead_letters(self) -> list[tuple[str, Notification]]:
        return []

    def told_since(self, asset: str, since: datetime) -> list[Notification]:  # noqa: ARG002
        return []

    def sent_since(self, since: datetime) -> list[Notification]:  # noqa: ARG002
        return []

    def held_in_floods(self, now: datetime) -> list[Episode]:  # noqa: ARG002
        return []

    def held_for_digest(self) -> list[Episode]:
        return []

    def muted(self) -> list[Episode]:
        return []


class MemoryStates:
    """Port `States` in memory."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], SpellState] = {}

    def load(self, definition: str, assets: Sequence[str]) -> dict[str, SpellState]:
        return {a: self.kept[definition, a] for a in assets if (definition, a) in self.kept}

    def advance(self, definition: str, asset: str, before: SpellState | None, after: SpellState) -> bool:
        stored = self.kept.get((definition, asset))
        if (stored and stored.watermark) != (before and before.watermark):
            return False
        self.kept[definition, asset] = after
        return True

    def load_many(self, pairs: Sequence[Pair]) -> SpellTable:
        table = SpellTable(pairs)
        for row, pair in enumerate(pairs):
            if pair in self.kept:
                table.put(row, self.kept[pair])
        return table

    def advance_many(self, before: SpellTable, after: SpellTable) -> Flags:
        moved = np.zeros(len(before), np.bool_)
        for row, pair in enumerate(before.pairs):
            state = after.state(row)
            moved[row] = state is not None and self.advance(*pair, before.state(row), state)
        return moved


class NothingLate:
    """Port `Arrivals` where everything came in time."""

    def reach(self) -> datetime | None:
        return None

    def extend_reach(self, up_to: datetime) -> None:
        """Nobody writes readings beside a pretended platform."""

    def waiting(self) -> list[Arrival]:
        return []

    def mark_seen(self, arrival: Arrival, at: datetime) -> None:  # noqa: ARG002
        _refuse("look after late readings")

    def mark_routed(self, arrival: Arrival, too_late: int, at: datetime) -> None:  # noqa: ARG002
        _refuse("look after late readings")

    def of(self, arrived_at: datetime) -> list[Arrival]:  # noqa: ARG002
        return []

    def since(self, arrived_from: datetime) -> list[Arrival]:  # noqa: ARG002
        return []

    def owe(self, starts: Mapping[Pair, datetime]) -> None:
        """Whoever judged at the same time saw the same readings."""

    def debts(self, definitions: Sequence[str]) -> dict[Pair, Debt]:  # noqa: ARG002
        return {}

    def paid(self, debts: Sequence[Debt]) -> None:  # noqa: ARG002
        _refuse("look after late readings")


class NoCheckpoints:
    """Port `Checkpoints` that keeps none: nothing is judged again."""

    def save(self, checkpoints: Sequence[Checkpoint]) -> None:
        """Nothing is written."""

    def before(self, definition: str, asset: str, instant: datetime) -> SpellState | None:  # noqa: ARG002
        return None

    def after(self, definition: str, asset: str, instant: datetime) -> SpellState | None:  # noqa: ARG002
        return None

    def drop(self, definition: str, asset: str, start: datetime) -> None:
        """There are none."""


class NoShelves:
    """Port `Shelves` without any: who would be told is not the question."""

    def insert(self, shelf: Shelf) -> bool:  # noqa: ARG002
        _refuse("shelve")

    def replace(self, shelf: Shelf) -> bool:  # noqa: ARG002
        _refuse("change shelves")

    def get(self, id: str) -> Shelf | None:  # noqa: ARG002
        return None

    def in_force(self, definition: str | None = None, asset: str | None = None) -> list[Shelf]:  # noqa: ARG002
        return []

    def of(self, definition: str, asset: str) -> list[Shelf]:  # noqa: ARG002
        return []

    def with_due_notifications(self, now: datetime) -> list[Shelf]:  # noqa: ARG002
        return []


class NoRoutes:
    """Port `Routes` without any."""

    def documents(self) -> list[Document]:
        return []

    def put(self, document: Document) -> None:  # noqa: ARG002
        _refuse("change routes")

    def remove(self, name: str) -> bool:  # noqa: ARG002
        _refuse("change routes")


class NoBulletins:
    """Port `Bulletins` without any."""

    def insert(self, bulletin: Bulletin) -> bool:  # noqa: ARG002
        _refuse("tell anybody anything")

    def replace(self, bulletin: Bulletin) -> bool:  # noqa: ARG002
        _refuse("tell anybody anything")

    def get(self, id: str) -> Bulletin | None:  # noqa: ARG002
        return None

    def due(self, now: datetime, limit: int = 100) -> list[Bulletin]:  # noqa: ARG002
        return []

    def dead_letters(self) -> list[Bulletin]:
        return []

    def sent_since(self, since: datetime) -> list[Notification]:  # noqa: ARG002
        return []


class NoRevocations:
    """Port `Revocations`, under which no link counts: none is made."""

    def revoke(self, episode: str | None, recipient: str | None, at: datetime) -> None:  # noqa: ARG002
        _refuse("revoke links")

    def is_revoked(self, episode: str, recipient: str, made_at: datetime) -> bool:  # noqa: ARG002
        return True


class KnownFeedback:
    """Port `FeedbackLog`, to read."""

    def __init__(self, live: FeedbackLog) -> None:
        self._live = live

    def append(self, feedback: Feedback) -> None:  # noqa: ARG002
        _refuse("give feedback")

    def of(self, episode: str) -> list[Feedback]:
        return self._live.of(episode)


class MemoryDecisions:
    """Port `Decisions` in memory."""

    def __init__(self) -> None:
        self.kept: list[DecisionRecord] = []

    def add(self, decision: DecisionRecord, place: int | None = None) -> bool:
        made = self.of(decision.definition)
        taken = place is not None and place <= sum(d.promoted for d in made)
        if taken or any(d.run_id == decision.run_id for d in made):
            return False
        self.kept.append(decision)
        return True

    def of(self, definition: str) -> list[DecisionRecord]:
        return [d for d in self.kept if d.definition == definition]


@dataclass
class _Run:
    """One training run, or one candidate of it."""

    tags: dict[str, str]
    parent: str | None
    files: dict[str, dict[str, bytes]] = field(default_factory=dict)


class MemoryModels:
    """Port `Models` in memory. `prefix` begins the ids of runs; `registered` counts versions, of which some may be forgotten."""

    def __init__(self) -> None:
        self.prefix = ""
        self.registered = 0
        self._runs: dict[str, _Run] = {}
        self._by_run: dict[str, int] = {}
        self._files: dict[int, dict[str, bytes]] = {}
        self._tags: dict[int, dict[str, str]] = {}
        self._aliases: dict[str, int | None] = {}

    def keep_only(self, version: int | None) -> None:
        """Forget every version but this one, which is in service, and every run but the candidates of its training."""
        self._files = {v: f for v, f in self._files.items() if v == version}
        trained_by = self._tags[version].get("training_run") if version is not None else None
        self._runs = {i: r for i, r in self._runs.items() if trained_by is not None and r.parent == trained_by}

    def restore(self, version: int, files: Files, tags: Mapping[str, str]) -> None:
        """Take a registered version over."""
        self._files[version], self._tags[version] = dict(files), dict(tags)

    def candidates(self, run_id: str) -> dict[str, dict[str, bytes]]:
        """Files of the fitted candidates of a training, by family."""
        children = [r for r in self._runs.values() if r.parent == run_id and r.tags.get("fitted") == "true"]
        return {r.tags["family"]: dict(r.files.get("candidate", {})) for r in children}

    def restore_candidate(self, run_id: str, family: str, files: Files) -> None:
        """Take the fitted candidate of a training over: the next search may begin with its parameters."""
        tags = {"family": family, "fitted": "true"}
        self._runs[f"{run_id}.{family}"] = _Run(tags, run_id, {"candidate": dict(files)})

    def start_run(self, definition: str, name: str, tags: Mapping[str, str], parent: str | None = None) -> str:  # noqa: ARG002
        run_id = self.prefix if parent is None else f"{parent}.{name}"
        self._runs[run_id] = _Run(dict(tags), parent)
        return run_id

    def find_runs(self, parent: str) -> list[tuple[str, dict[str, str]]]:
        return [(id, dict(run.tags)) for id, run in self._runs.items() if run.parent == parent]

    def tags(self, run_id: str) -> dict[str, str]:
        return dict(self._runs[run_id].tags)

    def log(
        self,
        run_id: str,
        params: Mapping[str, Any] | None = None,  # noqa: ARG002
        metrics: Mapping[str, float] | None = None,  # noqa: ARG002
        tags: Mapping[str, str] | None = None,
        files: Files | None = None,
        folder: str = "",
    ) -> None:
        run = self._runs[run_id]
        run.tags.update(tags or {})
        run.files.setdefault(folder, {}).update(files or {})

    def files(self, run_id: str, folder: str) -> dict[str, bytes]:
        return dict(self._runs[run_id].files.get(folder, {}))

    def finish(self, run_id: str, failed: bool = False) -> None:
        """Nobody looks at the runs of a pretended training."""

    def register(
        self,
        definition: str,  # noqa: ARG002
        run_id: str,
        files: Files,
        tags: Mapping[str, str],
        inputs: Mapping[str, str] | None = None,  # noqa: ARG002
    ) -> int:
        if run_id not in self._by_run:
            self.registered += 1
            self._by_run[run_id] = self.registered
            self.restore(self.registered, files, tags)
        return self._by_run[run_id]

    def model_files(self, definition: str, version: int) -> dict[str, bytes]:
        if version not in self._files:
            raise ModelUnavailable(f"version {version} of {definition!r} is not kept by this backtest")
        return self._files[version]

    def version_tags(self, definition: str, version: int) -> dict[str, str]:  # noqa: ARG002
        return self._tags[version]

    def versions(self, definition: str) -> list[int]:  # noqa: ARG002
        return sorted(self._tags)

    def alias(self, definition: str, alias: str) -> int | None:  # noqa: ARG002
        return self._aliases.get(alias)

    def set_alias(self, definition: str, alias: str, version: int | None) -> None:  # noqa: ARG002
        self._aliases[alias] = version


class MemoryScores:
    """Port `Scores` in memory, of one definition. `fresh`: rows added since it was emptied."""

    def __init__(self) -> None:
        self._rows: dict[tuple[datetime, str, int], Document] = {}
        self.fresh: list[Document] = []

    def restore(self, rows: Iterable[Document]) -> None:
        """Take rows over."""
        self._rows.update({(r["ts"], r["asset"], r["model_version"]): r for r in rows})

    def add(self, definition: str, asset: str, rows: Sequence[tuple[datetime, float, float, int]]) -> None:  # noqa: ARG002
        for ts, score, threshold, version in rows:
            if (ts, asset, version) not in self._rows:
                row = {"asset": asset, "ts": ts, "score": score, "threshold": threshold, "model_version": version}
                self._rows[ts, asset, version] = row
                self.fresh.append(row)

    def between(self, definition: str, start: datetime, end: datetime) -> Iterator[Document]:  # noqa: ARG002
        yield from (self._rows[key] for key in sorted(self._rows) if start <= key[0] < end)


class NoReplays:
    """Port `Replays` without any."""

    def add(self, replay: Replay) -> None:  # noqa: ARG002
        _refuse("judge the past anew")

    def of(self, definition: str) -> list[Replay]:  # noqa: ARG002
        return []


class NoReports:
    """Port `Reports` that keeps none."""

    def put(self, definition: str, start: datetime, end: datetime, figures: Document, page: str, at: datetime) -> str:  # noqa: ARG002
        _refuse("keep reports")

    def of(self, definition: str) -> list[Document]:  # noqa: ARG002
        return []

    def newest(self, limit: int) -> list[Document]:  # noqa: ARG002
        return []

    def page(self, id: str) -> str | None:  # noqa: ARG002
        return None


class NoPlatformAlerts:
    """Port `PlatformAlerts` without any: what a pretended platform finds is told with its result."""

    def open(self) -> list[PlatformAlert]:
        return []

    def of(self, subject: str) -> list[PlatformAlert]:  # noqa: ARG002
        return []

    def resolved_since(self, since: datetime) -> list[PlatformAlert]:  # noqa: ARG002
        return []

    def report(self, kind: str, subject: str, reason: str, at: datetime) -> None:  # noqa: ARG002
        _refuse("report faults of the platform")

    def resolve(self, kind: str, subject: str, at: datetime) -> None:  # noqa: ARG002
        _refuse("resolve faults of the platform")


class NoAudit:
    """Port `Audit` that hears nothing: what a pretended platform decides happened to nobody."""

    def add(self, who: str, what: str, subject: str, at: datetime, before: Any = None, after: Any = None, why: str = "") -> None:
        """Nothing is written."""


@dataclass(frozen=True)
class Standing:
    """Port `Clock` that stands still."""

    instant: datetime

    def now(self) -> datetime:
        return self.instant


class Shadow:
    """The memory of a pretended platform with one definition, and views of it at an instant."""

    def __init__(self, live: Platform, revision: Revision) -> None:
        self._live, self._revision = live, revision
        self.episodes, self.states, self.decisions = MemoryEpisodes(), MemoryStates(), MemoryDecisions()
        self.models, self.scores = MemoryModels(), MemoryScores()

    def watching(self, at: datetime) -> Platform:
        """The platform as it evaluates at an instant: nothing after it can be read."""
        return self._at(at, self.episodes, OneDefinition(self._revision))

    def training(self, at: datetime) -> Platform:
        """The platform as it trains at an instant: with the live episodes before it, which people answered and acted upon."""
        known = OneDefinition(self._revision, self._live.definitions.revisions(self._revision.name))
        return self._at(at, LiveEpisodesUntil(self._live.episodes, at), known)

    def _at(self, at: datetime, episodes: Episodes, definitions: Definitions) -> Platform:
        return Platform(
            definitions=definitions,
            assets=KnownAssets(self._live.assets),
            readings=ReadingsUntil(self._live.readings, at),
            episodes=episodes,
            states=self.states,
            arrivals=NothingLate(),
            checkpoints=NoCheckpoints(),
            watchlists=NOT_KEPT,
            shelves=NoShelves(),
            feedback=KnownFeedback(self._live.feedback),
            decisions=self.decisions,
            models=self.models,
            scores=self.scores,
            replays=NoReplays(),
            reports=NoReports(),
            backtests=self._live.backtests,
            audit=NoAudit(),
            routes=NoRoutes(),
            bulletins=NoBulletins(),
            revocations=NoRevocations(),
            platform_alerts=NoPlatformAlerts(),
            channels={},
            clock=Standing(at),
            limits=self._live.limits,
            budget=self._live.budget,
        )
