"""Ports for condition states, evaluation plans, scores, past evaluations and predict jobs."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple, Protocol

from alerting.episodes.state_table import ConditionTable, TargetKey
from alerting.episodes.targets import EvaluationPlan, PlanEdits, PlanRevisions
from alerting.ports.definitions import Document
from alerting.ports.unit_of_work import Unit

if TYPE_CHECKING:
    pass


class States(Protocol):
    """Condition states and watermarks of targets."""

    def load_many(self, keys: Sequence[TargetKey]) -> ConditionTable:
        """Return the states of these targets, in this order; empty for a target that was never
        evaluated."""

    def watermarks(self, keys: Sequence[TargetKey]) -> list[int]:
        """Return up to when these targets are evaluated (ms), in this order; NO_TIME for a target
        that was never evaluated. Reads and remembers nothing else."""

    def versions(self) -> str:
        """Return an identity of all states, which every write of one changes."""

    def moves(self, keys: Sequence[TargetKey], every: int) -> bool:
        """Return whether one of these targets of a shard was stored under another cadence (ms)
        when it was last read."""

    def advance(
        self,
        before: ConditionTable,
        after: ConditionTable,
        unit: Unit | None = None,
        every: int = 0,
    ) -> None:
        """Write the states `after` of targets of one shard, in a unit of work or by a
        compare-and-set of their own.

        Both tables hold the same targets in the same order. `every`: their cadence (ms);
        targets that were stored under another one move, and need a unit of work.
        Raises Conflict if the shard has changed since it was read here, or if a watermark is not
        that of `before`.
        """


class EvaluationPlans(Protocol):
    """The cached evaluation plan, valid until one of its sources changes."""

    def source_hash(self, read_plan: bool = False) -> str:
        """Return the text of a `SourceHash`, which changes with every definition, revision,
        promotion, asset, event type and source. `read_plan`: read the stored plan as well, which
        `get` returns next."""

    def get(
        self,
        source_hash: str,
        is_wanted: Callable[[str], bool] | None = None,
    ) -> EvaluationPlan | None:
        """Return the plan made of exactly these sources, or of others that differ in promotions, if
        it does not depend on them; None if it is not stored. `is_wanted`: only the
        definitions of whose name it says so."""

    def store_plan(
        self,
        source_hash: str,
        evaluation_plan: EvaluationPlan,
        made_of: PlanRevisions | None = None,
    ) -> None:
        """Store a plan in place of the previous one. `made_of`: what `find_edits` needs; None: the
        next plan is made of all definitions."""

    def find_edits(self, source_hash: str) -> PlanEdits | None:
        """Return the stored plan and the definitions that were edited since; None if it was stored
        without the revisions that it was made of, or if more than definitions has changed: another
        source, or a document was deleted."""


class Predicted(NamedTuple):
    """A value predicted at a time ahead; 90 % of its distribution lie between `low` and `high`."""

    lead: timedelta
    low: float
    median: float
    high: float


class Score(NamedTuple):
    """The score of a champion at one instant; `twin`: that of its twin in shadow, None where no
    refit scored.

    `values`: those that a forecast predicted, the nearest first. `score`, `threshold`: None of a
    model whose values serve without an alarm.
    """

    ts: datetime
    score: float | None
    threshold: float | None
    model_version: int
    twin: float | None = None
    values: tuple[Predicted, ...] = ()

    @property
    def document(self) -> Document:
        """Return the fields by name, without `twin` and `values` where there are none; the time
        ahead of a value in ms."""
        document = self._asdict()
        if self.twin is None:
            del document["twin"]
        if self.values:
            numbers = [[lead // timedelta(milliseconds=1), *v] for lead, *v in self.values]
            return document | {"values": numbers}
        del document["values"]
        return document


class TargetScores(NamedTuple):
    """Scores of one definition on one asset."""

    definition: str
    asset: str
    rows: Sequence[Score]


class Scores(Protocol):
    """Scores of champions and of their twins in shadow, stored for reports."""

    def add_many(self, targets: Sequence[TargetScores]) -> None:
        """Store scores of several targets with one write; stored ones do not change. Idempotent."""

    def add(self, definition: str, asset: str, rows: Sequence[Score]) -> None:
        """Store scores; stored ones do not change. Idempotent."""

    def for_interval(
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

    def for_definition(self, definition: str) -> list[PastEvaluation]:
        """Return the past evaluations of a definition, oldest first."""

    def for_interval(self, start: datetime, end: datetime) -> list[PastEvaluation]:
        """Return the past evaluations of intervals that overlap [start, end), oldest first."""
