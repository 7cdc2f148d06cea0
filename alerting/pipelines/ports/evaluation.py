"""Ports for how far evaluation is, what it watches, and what it leaves behind beside episodes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from alerting.episodes.lifecycle import SpellState
from alerting.episodes.spell_table import Pair, SpellTable
from alerting.pipelines.ports.documents import Document
from alerting.pipelines.watchlist import Watchlist
from alerting.readings.packed import Flags


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
