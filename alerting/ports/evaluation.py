"""Ports for condition states, evaluation plans, scores and past evaluations."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from alerting.episodes.state_table import ConditionTable, TargetKey
from alerting.episodes.targets import EvaluationPlan
from alerting.ports.documents import Document
from alerting.ports.unit_of_work import Unit


class States(Protocol):
    """Condition states and watermarks of targets."""

    def load_many(self, keys: Sequence[TargetKey]) -> ConditionTable:
        """Return the states of these targets, in this order; empty for a target that was never
        evaluated."""

    def changes_cadence(self, keys: Sequence[TargetKey], every: int) -> bool:
        """Return whether one of these targets of a shard was stored under another cadence (ms) when
        it was last read."""

    def advance(
        self,
        before: ConditionTable,
        after: ConditionTable,
        unit: Unit | None = None,
        every: int = 0,
    ) -> None:
        """Write the states `after` of targets of one shard, in a unit of work or by a
        compare-and-set of their own.

        Both tables hold the same targets in the same order. `every`: their cadence (ms); targets
        that were stored under another one move, and need a unit of work. Raises Conflict if the
        shard has changed since it was read here, or if a watermark is not that of `before`.
        """


class EvaluationPlans(Protocol):
    """The cached evaluation plan, valid until one of its sources changes."""

    def source_hash(self) -> str:
        """Return an identity of all sources of a plan: it changes with every definition, revision,
        asset and event type."""

    def get(self, source_hash: str) -> EvaluationPlan | None:
        """Return the plan made of exactly these sources; None if it is not stored."""

    def put(self, source_hash: str, evaluation_plan: EvaluationPlan) -> None:
        """Store a plan in place of the previous one."""


class Score(NamedTuple):
    """The score of a champion at one instant; `twin`: that of its twin in shadow, None where no
    refit scored."""

    ts: datetime
    score: float
    threshold: float
    model_version: int
    twin: float | None = None

    @property
    def document(self) -> Document:
        """Return the fields by name, without `twin` where there is none."""
        document = self._asdict()
        return (
            document
            if self.twin is not None
            else {key: value for key, value in document.items() if key != "twin"}
        )


class TargetScores(NamedTuple):
    """Scores of one definition on one asset."""

    definition: str
    asset: str
    rows: Sequence[Score]


class Scores(Protocol):
    """Scores of champions and of their twins in shadow, stored for reports and drift."""

    def add_many(self, targets: Sequence[TargetScores]) -> None:
        """Store scores of several targets with one write; stored ones do not change. Idempotent."""

    def add(self, definition: str, asset: str, rows: Sequence[Score]) -> None:
        """Store scores; stored ones do not change. Idempotent."""

    def between(
        self, definition: str, start: datetime, end: datetime, asset: str | None = None
    ) -> Iterator[Document]:
        """Return documents {asset, and those of `Score`} with start <= ts < end, of one asset or of
        all."""


@dataclass(frozen=True)
class PastEvaluation:
    """A past interval (start, end] of one asset that was evaluated again: its revision, its model,
    and when."""

    definition: str
    asset: str
    start: datetime
    end: datetime
    revision: int | None
    model_version: int | None
    at: datetime


class PastEvaluations(Protocol):
    """Past evaluations, so that a report knows the evaluated intervals even without an episode."""

    def add(self, evaluation: PastEvaluation) -> None: ...

    def of(self, definition: str) -> list[PastEvaluation]:
        """Return the past evaluations of a definition, oldest first."""

    def between(self, start: datetime, end: datetime) -> list[PastEvaluation]:
        """Return the past evaluations of intervals that overlap [start, end), oldest first."""
