"""The outside world as the use cases see it: small protocols, implemented by stores, channels and clocks.

Every write is idempotent or a compare-and-set; a method that returns bool says whether this caller made the change.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

import numpy.typing as npt

from alerting.definitions.alarm_budget import NO_GATE, AlarmBudget
from alerting.definitions.assets import Asset, EventType
from alerting.definitions.model import Revision
from alerting.episodes.alarm import Alarm
from alerting.episodes.bulletin import Bulletin
from alerting.episodes.episode import Episode, Feedback, Notification
from alerting.episodes.lifecycle import SpellState
from alerting.episodes.shelving import Shelf
from alerting.episodes.spell_table import Pair, SpellTable
from alerting.pipelines.late_ports import Arrivals, Checkpoints
from alerting.pipelines.watchlist import Watchlist
from alerting.readings.history import History, Millis
from alerting.readings.packed import Flags

if TYPE_CHECKING:
    from alerting.pipelines.links import Grant

Document = dict[str, Any]


class Clock(Protocol):
    """The pretended now, shared by DAGs, commands and API; the demo line's runs faster than the wall's."""

    def now(self) -> datetime: ...


class Definitions(Protocol):
    """Current documents, as people left them, and their immutable revisions."""

    def documents(self) -> list[Document]:
        """All current documents without `_id`, sorted by name, valid or not; with `_faults` where marked faulty."""
        ...

    def put(self, document: Document) -> None:
        """Insert or replace the current document of that name. Raises Refused when the server refuses it."""
        ...

    def mark_faulty(self, name: str, faults: Sequence[str]) -> None:
        """Mark (or with no faults unmark) the current document without changing what people wrote."""
        ...

    def faulty(self) -> dict[str, list[str]]:
        """Faults by definition name."""
        ...

    def add_revision(self, revision: Revision) -> bool:
        """Keep a revision; False if that number exists already."""
        ...

    def revisions(self, name: str) -> list[Revision]:
        """All revisions of a definition, oldest first."""
        ...

    def histories(self, names: Collection[str]) -> dict[str, list[Revision]]:
        """All revisions of each of these definitions, oldest first; one without any is absent."""
        ...

    def latest(self, having: str | None = None) -> list[Revision]:
        """The newest revision of every definition, sorted by name; of those alone where it has this field, if one is named."""
        ...


class Assets(Protocol):
    """Assets and event types."""

    def all(self) -> list[Asset]: ...

    def get(self, name: str) -> Asset | None: ...

    def put(self, assets: Sequence[Asset]) -> None: ...

    def event_types(self) -> list[EventType]: ...

    def put_event_types(self, types: Sequence[EventType]) -> None: ...


@dataclass(frozen=True)
class ReadingRow:
    """Values of one asset at one instant; booleans as bool, numbers as float, categories as str; missing ones absent."""

    asset: str
    ts: datetime
    values: Mapping[str, float | str | bool]


@dataclass(frozen=True)
class EventRow:
    """One event; `end` is None while a lasting one goes on, and equals `start` for an instant one."""

    asset: str
    type: str
    start: datetime
    end: datetime | None
    source: str
    attributes: Mapping[str, str | float | bool] = field(default_factory=dict)


@dataclass(frozen=True)
class Wanted:
    """Variables of one asset whose readings after `start` are wanted."""

    asset: Asset
    variables: tuple[str, ...]
    start: datetime


@dataclass(frozen=True)
class ReadingColumns:
    """Readings of one asset: instants in ms, increasing, and a column per variable with the conventions of `History`.

    `faults`: variables with a stored value that is not of their type, and what to do about it; they have no column.
    """

    ts: Millis
    values: Mapping[str, npt.NDArray[Any]]
    faults: Mapping[str, str] = field(default_factory=dict)


class Readings(Protocol):
    """Readings and events over time."""

    def add_readings(self, rows: Sequence[ReadingRow], arrived_at: datetime) -> int:
        """Merge rows by (asset, ts), keeping variables already there unless given anew; returns rows that changed anything."""
        ...

    def add_events(self, rows: Sequence[EventRow], arrived_at: datetime) -> int:
        """Merge events by (asset, type, start); returns events that changed anything."""
        ...

    def load(self, asset: Asset, start: datetime | None, end: datetime | None, variables: Iterable[str] | None = None) -> History:
        """Readings with start < ts <= end (open ended where None), and every event that starts at or before end."""
        ...

    def load_many(self, wanted: Sequence[Wanted], end: datetime) -> dict[str, ReadingColumns]:
        """Readings of many assets up to and including end, by asset, as few queries as may be; without events."""
        ...

    def span(self, asset: str) -> tuple[datetime, datetime] | None:
        """First and last instant with a reading, None without any."""
        ...


class Episodes(Protocol):
    """Episodes, with one open per definition and asset."""

    def insert(self, episode: Episode) -> bool:
        """Insert; False when this id exists, or another one is open for the same definition and asset."""
        ...

    def replace(self, episode: Episode) -> bool:
        """Write the next version of an episode: succeeds only while the stored version is `episode.version - 1`."""
        ...

    def get(self, id: str) -> Episode | None: ...

    def starting_with(self, prefix: str) -> list[Episode]:
        """Episodes whose id begins so, at most ten."""
        ...

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
        """Episodes raised in [start, end), newest first, those of one instant by descending id.

        `before` (raised_at, id) leaves out that episode and all that come ahead of it in this order: the next page.
        """
        ...

    def alarms(self, start: datetime, end: datetime, active_from: datetime | None = None) -> list[Alarm]:
        """Extracts of the episodes raised in [start, end), oldest first.

        With `active_from` also of those raised before `start` and not over by then: from that instant on, or open still.
        """
        ...

    def unsettled(self, as_of: datetime) -> list[Episode]:
        """Episodes with `settle_after` at or before as_of, oldest first."""
        ...

    def with_due_notifications(self, now: datetime, limit: int = 100) -> list[Episode]:
        """Episodes with a pending notification whose next attempt is due, oldest first."""
        ...

    def dead_letters(self) -> list[tuple[str, Notification]]:
        """Episode id and notification of every delivery that was given up."""
        ...

    def told_since(self, asset: str, since: datetime) -> list[Notification]:
        """Notifications of raises on this asset made after this instant."""
        ...

    def sent_since(self, since: datetime) -> list[Notification]:
        """Notifications that were delivered since this instant."""
        ...

    def held_in_floods(self, now: datetime) -> list[Episode]:
        """Episodes with a pending notification that was held back in a flood until now, oldest first."""
        ...

    def held_for_digest(self) -> list[Episode]:
        """Episodes with a pending notification that waits for a digest, oldest first."""
        ...

    def muted(self) -> list[Episode]:
        """Episodes with `muted_by`, oldest first."""
        ...


class Shelves(Protocol):
    """What is muted: one in force per definition, asset and kind. Shelves that ended stay."""

    def insert(self, shelf: Shelf) -> bool:
        """Insert; False when one of its kind is in force for the same definition and asset."""
        ...

    def replace(self, shelf: Shelf) -> bool:
        """Write the next version of a shelf: succeeds only while the stored version is `shelf.version - 1`."""
        ...

    def get(self, id: str) -> Shelf | None: ...

    def in_force(self, definition: str | None = None, asset: str | None = None) -> list[Shelf]:
        """Shelves that nobody has ended, those without an end first, then by end; their time may be over."""
        ...

    def of(self, definition: str, asset: str) -> list[Shelf]:
        """Every shelf of a definition on an asset, oldest first."""
        ...

    def with_due_notifications(self, now: datetime) -> list[Shelf]:
        """Shelves with a pending notification whose next attempt is due."""
        ...


class Routes(Protocol):
    """Documents that say who is told."""

    def documents(self) -> list[Document]:
        """All of them without `_id`, sorted by name, valid or not."""
        ...

    def put(self, document: Document) -> None:
        """Insert or replace the route of that name."""
        ...

    def remove(self, name: str) -> bool:
        """False if there was none."""
        ...


class Bulletins(Protocol):
    """Messages that belong to no single episode: summaries of floods, heartbeats."""

    def insert(self, bulletin: Bulletin) -> bool:
        """Insert; False if there is one of this id."""
        ...

    def replace(self, bulletin: Bulletin) -> bool:
        """Write the next version: succeeds only while the stored version is `bulletin.version - 1`."""
        ...

    def get(self, id: str) -> Bulletin | None: ...

    def due(self, now: datetime, limit: int = 100) -> list[Bulletin]:
        """Those that are to be delivered now, oldest first."""
        ...

    def dead_letters(self) -> list[Bulletin]:
        """Those whose delivery was given up."""
        ...

    def sent_since(self, since: datetime) -> list[Notification]:
        """The deliveries of those that were delivered since this instant."""
        ...


class Revocations(Protocol):
    """Feedback links that count no more."""

    def revoke(self, episode: str | None, recipient: str | None, at: datetime) -> None:
        """From now on refuse links made until `at`: of this episode, this recipient, both, or (None, None) all."""
        ...

    def is_revoked(self, episode: str, recipient: str, made_at: datetime) -> bool: ...


class States(Protocol):
    """How far each definition and asset has been evaluated."""

    def load(self, definition: str, assets: Sequence[str]) -> dict[str, SpellState]: ...

    def advance(self, definition: str, asset: str, before: SpellState | None, after: SpellState) -> bool:
        """Compare-and-set on the watermark: False when somebody else moved it."""
        ...

    def load_many(self, pairs: Sequence[Pair]) -> SpellTable:
        """The states of these pairs, in this order; without a state where never evaluated."""
        ...

    def advance_many(self, before: SpellTable, after: SpellTable) -> Flags:
        """Write `after` for each pair whose stored watermark is still that of `before`; says for which it did.

        Both tables hold the same pairs in the same order.
        """
        ...


class Watchlists(Protocol):
    """The list of what is watched, kept as long as nobody writes what it is made of."""

    def written(self) -> str:
        """Identifies all that a list is made of: it changes with every definition, revision, asset and event type."""
        ...

    def get(self, written: str) -> Watchlist | None:
        """The list that was made of just this, if it is kept."""
        ...

    def put(self, written: str, watchlist: Watchlist) -> None:
        """Keep a list in place of the one before."""
        ...


class NoWatchlists:
    """Port `Watchlists` that keeps none: each is made anew."""

    def written(self) -> str:
        return ""

    def get(self, written: str) -> Watchlist | None:  # noqa: ARG002 - the port's signature
        return None

    def put(self, written: str, watchlist: Watchlist) -> None:
        """Nothing is kept."""


NOT_KEPT = NoWatchlists()


class FeedbackLog(Protocol):
    """Append-only feedback."""

    def append(self, feedback: Feedback) -> None: ...

    def of(self, episode: str) -> list[Feedback]: ...


@dataclass(frozen=True)
class DecisionRecord:
    """A promotion decision as it is kept. `promoted` says whether `challenger_version` went into service at `at`."""

    definition: str
    at: datetime
    revision: int
    challenger_version: int | None
    champion_version: int | None
    promoted: bool
    provisional: bool
    verdict: str
    reason: str
    evidence: Mapping[str, Any]
    run_id: str | None
    actor: str


class Decisions(Protocol):
    """Promotion decisions, which also tell which champion was in force when."""

    def add(self, decision: DecisionRecord, place: int | None = None) -> bool:
        """Keep it; False if this definition and run_id have one already, or another promotion of this definition took `place`.

        `place`: which promotion of its definition this is, from 1 on: the compare-and-set on the champion.
        """
        ...

    def of(self, definition: str) -> list[DecisionRecord]:
        """Oldest first."""
        ...


Files = Mapping[str, bytes]


class Models(Protocol):
    """Training runs and registered models. Files are bytes by name; loading never runs code from them."""

    def start_run(self, definition: str, name: str, tags: Mapping[str, str], parent: str | None = None) -> str:
        """Open a run (a child of `parent`) and return its id."""
        ...

    def find_runs(self, parent: str) -> list[tuple[str, dict[str, str]]]:
        """Ids and tags of the children of a run."""
        ...

    def tags(self, run_id: str) -> dict[str, str]: ...

    def log(
        self,
        run_id: str,
        params: Mapping[str, Any] | None = None,
        metrics: Mapping[str, float] | None = None,
        tags: Mapping[str, str] | None = None,
        files: Files | None = None,
        folder: str = "",
    ) -> None: ...

    def files(self, run_id: str, folder: str) -> dict[str, bytes]: ...

    def finish(self, run_id: str, failed: bool = False) -> None: ...

    def register(
        self, definition: str, run_id: str, files: Files, tags: Mapping[str, str], inputs: Mapping[str, str] | None = None
    ) -> int:
        """Register model files as the next version (alias challenger); the same run registers once.

        `inputs`: type of each input column, `double` or `string`, for the signature that people see.
        """
        ...

    def model_files(self, definition: str, version: int) -> dict[str, bytes]:
        """Raises ModelUnavailable when the registry or the version cannot be read."""
        ...

    def version_tags(self, definition: str, version: int) -> dict[str, str]: ...

    def versions(self, definition: str) -> list[int]: ...

    def alias(self, definition: str, alias: str) -> int | None: ...

    def set_alias(self, definition: str, alias: str, version: int | None) -> None: ...


class ModelUnavailable(Exception):
    """The registry, or a model in it, cannot be read: evaluation says unknown, nothing crashes."""


class Scores(Protocol):
    """What the champion said, kept for reports and drift."""

    def add(self, definition: str, asset: str, rows: Sequence[tuple[datetime, float, float, int]]) -> None:
        """Rows of (ts, score, threshold, model version); adding twice changes nothing."""
        ...

    def between(self, definition: str, start: datetime, end: datetime) -> Iterator[Document]: ...


@dataclass(frozen=True)
class Replay:
    """A past stretch (start, end] of one asset that was judged anew: by which revision and model, and when."""

    definition: str
    asset: str
    start: datetime
    end: datetime
    revision: int | None
    model_version: int | None
    at: datetime


class Replays(Protocol):
    """Which past was judged anew, so that a report knows what was watched even where nothing was raised."""

    def add(self, replay: Replay) -> None: ...

    def of(self, definition: str) -> list[Replay]:
        """Oldest first."""
        ...


class Reports(Protocol):
    """Performance reports."""

    def put(self, definition: str, start: datetime, end: datetime, figures: Document, page: str, at: datetime) -> str:
        """Keep a report; returns its id."""
        ...

    def of(self, definition: str) -> list[Document]: ...

    def newest(self, limit: int) -> list[Document]:
        """Reports of the latest periods of all definitions, newest first, with nothing of their figures but the judgement."""
        ...

    def page(self, id: str) -> str | None: ...


class Backtests(Protocol):
    """Backtests in a place of their own: progress that survives an interruption, then figures, episodes and page.

    A run is one document under its id; what a finished segment leaves behind are files of bytes by name.
    """

    def begin(self, id: str, document: Document) -> Document:
        """Open a run, or find the one there; its document with `segments` (summaries, oldest first)."""
        ...

    def keep_segment(self, id: str, number: int, summary: Document, files: Files) -> None:
        """Keep a finished segment: files first, then its summary under its number; again, it changes nothing."""
        ...

    def segment_files(self, id: str, number: int) -> dict[str, bytes]: ...

    def finish(self, id: str, results: Document, episodes: Sequence[Episode], page: str) -> None:
        """Keep the results and drop the files of the segments, which only a run that goes on needs."""
        ...

    def get(self, id: str) -> Document | None:
        """The document of a run, finished (with `finished_at`) or not."""
        ...

    def of(self, definition: str) -> list[Document]:
        """Runs of a definition, newest first."""
        ...

    def episodes(self, id: str) -> list[Episode]:
        """Episodes that a finished run would have raised, oldest first."""
        ...

    def page(self, id: str) -> str | None: ...

    def forget(self, id: str) -> None:
        """Remove a run with all that belongs to it."""
        ...


class Audit(Protocol):
    """Append-only: who did what."""

    def add(
        self, who: str, what: str, subject: str, at: datetime, before: Any = None, after: Any = None, why: str = ""
    ) -> None: ...


@dataclass(frozen=True)
class PlatformAlert:
    """Something about the platform itself that an engineer must mend. Open while `resolved_at` is None."""

    kind: str
    subject: str
    reason: str
    opened_at: datetime
    resolved_at: datetime | None = None


class PlatformAlerts(Protocol):
    """Alerts about the platform itself; at most one open of a kind for a subject."""

    def open(self) -> list[PlatformAlert]:
        """Open alerts, oldest first."""
        ...

    def of(self, subject: str) -> list[PlatformAlert]:
        """All alerts about a subject, oldest first."""
        ...

    def resolved_since(self, since: datetime) -> list[PlatformAlert]:
        """Alerts that were resolved after this instant, oldest first."""
        ...

    def report(self, kind: str, subject: str, reason: str, at: datetime) -> None:
        """Open an alert, or give the open one its newest reason."""
        ...

    def resolve(self, kind: str, subject: str, at: datetime) -> None:
        """Close the open alert of this kind, if there is one."""
        ...


@dataclass(frozen=True)
class Picture:
    """A PNG, and the same in words for who cannot see it."""

    png: bytes = field(repr=False)
    words: str


@dataclass(frozen=True)
class Message:
    """What a channel delivers. `draw` makes the figure that belongs to it, for channels that show one; it may have none."""

    key: str
    subject: str
    text: str
    payload: Document
    links: tuple["Link", ...] = ()
    draw: Callable[[], Picture | None] | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Link:
    """Words to tap, and where they lead. Whoever has the address may do what it is for: it is not for logs."""

    words: str
    url: str = field(repr=False)


class Links(Protocol):
    """Makes the links that go with a message."""

    def of(self, episode: str, recipient: str, acknowledge: bool = False) -> tuple[Link, ...]:
        """One link for each answer that this recipient can give to this episode, and one to its page; with `acknowledge` also
        one that acknowledges it.
        """
        ...

    def read(self, token: str) -> "Grant":
        """What a link allows. Raises LinkRefused when it is not ours or has expired."""
        ...


class DeliveryFailed(Exception):
    """A delivery did not succeed. `permanent`: trying again is useless."""

    def __init__(self, reason: str, permanent: bool = False) -> None:
        super().__init__(reason)
        self.permanent = permanent


class Channel(Protocol):
    """A way to reach people or systems."""

    name: str

    def deliver(self, message: Message) -> None:
        """Raises DeliveryFailed."""
        ...


class Progress(Protocol):
    """Tells a waiting person how far a long job is."""

    def __call__(self, step: str, done: int, total: int | None) -> None: ...


def silent(step: str, done: int, total: int | None) -> None:
    """The progress of a job nobody watches."""


@dataclass(frozen=True)
class TrainingLimits:
    """What a training may take of the machine: `stopwatch` tells real seconds, for time budgets; `memory_mib` is the most
    memory, in MiB, that the table of rows and its copies may need.
    """

    stopwatch: Callable[[], float]
    memory_mib: int


UNLIMITED = TrainingLimits(lambda: 0.0, 1 << 30)


@dataclass(frozen=True)
class Platform:
    """Everything a use case may touch."""

    definitions: Definitions
    assets: Assets
    readings: Readings
    episodes: Episodes
    states: States
    arrivals: Arrivals
    checkpoints: Checkpoints
    shelves: Shelves
    feedback: FeedbackLog
    decisions: Decisions
    models: Models
    scores: Scores
    replays: Replays
    reports: Reports
    backtests: Backtests
    audit: Audit
    routes: Routes
    bulletins: Bulletins
    revocations: Revocations
    platform_alerts: PlatformAlerts
    channels: Mapping[str, Channel]
    clock: Clock
    links: Links | None = None
    watchlists: Watchlists = NOT_KEPT
    limits: TrainingLimits = UNLIMITED
    budget: AlarmBudget = NO_GATE
