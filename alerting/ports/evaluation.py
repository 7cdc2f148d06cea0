"""Ports for how far evaluation is, what it watches, and what it leaves behind beside episodes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from alerting.episodes.lifecycle import ConditionState
from alerting.episodes.state_table import ConditionTable, Pair
from alerting.episodes.targets import EvaluationPlan
from alerting.ports.documents import Document
from alerting.readings.ragged import Flags


class States(Protocol):
    """How far each definition and asset has been evaluated."""

    def load(self, definition: str, assets: Sequence[str]) -> dict[str, ConditionState]: ...

    def advance(self, definition: str, asset: str, before: ConditionState | None, after: ConditionState) -> bool:
        """Compare-and-set on the watermark: False when somebody else moved it."""
        ...

    def load_many(self, pairs: Sequence[Pair]) -> ConditionTable:
        """The states of these pairs, in this order; without a state where never evaluated."""
        ...

    def advance_many(self, before: ConditionTable, after: ConditionTable) -> Flags:
        """Write `after` for each pair whose stored watermark is still that of `before`; says for which it did.

        Both tables hold the same pairs in the same order.
        """
        ...


class EvaluationPlans(Protocol):
    """The list of what is watched, kept as long as nobody writes what it is made of."""

    def written(self) -> str:
        """Identifies all that a list is made of: it changes with every definition, revision, asset and event type."""
        ...

    def get(self, written: str) -> EvaluationPlan | None:
        """The list that was made of just this, if it is kept."""
        ...

    def put(self, written: str, evaluation_plan: EvaluationPlan) -> None:
        """Keep a list in place of the one before."""
        ...


class NoEvaluationPlans:
    """Port `EvaluationPlans` that keeps none: each is made anew."""

    def written(self) -> str:
        return ""

    def get(self, written: str) -> EvaluationPlan | None:  # noqa: ARG002 - the port's signature
        return None

    def put(self, written: str, evaluation_plan: EvaluationPlan) -> None:
        """Nothing is kept."""


NOT_KEPT = NoEvaluationPlans()


class Scores(Protocol):
    """What the champion said, kept for reports and drift."""

    def add(self, definition: str, asset: str, rows: Sequence[tuple[datetime, float, float, int]]) -> None:
        """Rows of (ts, score, threshold, model version); adding twice changes nothing."""
        ...

    def between(self, definition: str, start: datetime, end: datetime, asset: str | None = None) -> Iterator[Document]:
        """Documents {asset, ts, score, threshold, model_version} with start <= ts < end, of one asset or of all."""
        ...


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
