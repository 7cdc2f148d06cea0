"""Ports for condition states, evaluation plans, scores and past evaluations, for late data (arrival
records, reprocessing requests, and checkpoints from which reprocessing begins), and for changes
that take effect together, or not at all."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Protocol

from alerting.episodes.evaluation_plan import (
    ConditionTable,
    EvaluationPlan,
    PlanEdits,
    PlanRevisions,
    TargetKey,
)
from alerting.episodes.lifecycle import ConditionState
from alerting.episodes.remaining_life import RemainingLife
from alerting.ports.plant import Document


class Conflict(Exception):
    """Error: another process has changed, or is changing, the same documents. The unit of work has
    written nothing."""


class Unit:
    """Changes that take effect together. The adapters of one database extend it with what their
    writes need."""


class UnitOfWork(Protocol):
    """Composes writes of several stores into one unit."""

    def begin(self, attempt: int = 0) -> AbstractContextManager[Unit]:
        """Return a context whose unit takes effect when the context ends, and not at all when it
        raises.

        Everything that is written in it must be computed before it. Raises Conflict if another
        process was faster, after a pause that grows with `attempt`, the number of conflicts before.
        """


class States(Protocol):
    """Condition states and watermarks of targets."""

    def load_many(self, keys: Sequence[TargetKey]) -> ConditionTable:
        """Return the states of these targets, in this order; empty for a target that was never
        evaluated."""

    def watermarks(self, keys: Sequence[TargetKey]) -> list[int]:
        """Return up to when these targets are evaluated (ms), in this order; NO_TIME for a target
        that was never evaluated. Reads and remembers nothing else."""

    def versions(self) -> str:
        """Return a text that identifies all states and that every write of a state changes."""

    def moves(self, keys: Sequence[TargetKey], every: int) -> bool:
        """Return whether one of these targets of a shard was stored under another cadence (ms) than
        this one when its shard was last read."""

    def advance(
        self,
        before: ConditionTable,
        after: ConditionTable,
        unit: Unit | None = None,
        every: int = 0,
    ) -> None:
        """Write the states `after` of targets of one shard, in a unit of work or else by a
        compare-and-set.

        Both tables hold the same targets in the same order. `every`: their cadence (ms); targets
        that were stored under another cadence move, which needs a unit of work. Raises Conflict if
        the shard has changed since this process read it, or if a watermark differs from that in
        `before`.
        """


class EvaluationPlans(Protocol):
    """The cached evaluation plan, valid until one of its sources changes."""

    def source_hash(self, read_plan: bool = False) -> str:
        """Return the text of a `SourceHash`, which changes with every definition, revision,
        promotion, asset, event type and source. `read_plan`: also read the stored plan, which the
        next `get` returns."""

    def get(
        self,
        source_hash: str,
        is_wanted: Callable[[str], bool] | None = None,
    ) -> EvaluationPlan | None:
        """Return the plan made of exactly these sources, or, if it does not depend on promotions,
        of sources that differ in promotions alone; None if it is not stored. `is_wanted`: selects
        definitions by name."""

    def store_plan(
        self,
        source_hash: str,
        evaluation_plan: EvaluationPlan,
        made_of: PlanRevisions | None = None,
    ) -> None:
        """Store a plan in place of the previous one. `made_of`: the revisions, which `find_edits`
        needs; None: the next plan is made anew from all definitions."""

    def find_edits(self, source_hash: str) -> PlanEdits | None:
        """Return the stored plan and the definitions that were edited since; None if it was stored
        without its revisions, if another source than definitions has changed, or if a document was
        deleted."""


class Predicted(NamedTuple):
    """A value predicted for a time ahead; 90 % of its distribution lie between `low` and `high`."""

    lead: timedelta
    low: float
    median: float
    high: float


class Score(NamedTuple):
    """The score of a champion at one instant; `twin`: the score of its twin in shadow, None if no
    refit scored.

    `values`: the values that a forecast predicted, the nearest first. `life`: the remaining life of
    the part. `score`, `threshold`: None
    for a model whose values serve without an alarm.
    """

    ts: datetime
    score: float | None
    threshold: float | None
    model_version: int
    twin: float | None = None
    values: tuple[Predicted, ...] = ()
    life: RemainingLife | None = None

    @property
    def document(self) -> Document:
        """Return the fields by name, without `twin`, `values` and `life` if there are none; times
        ahead are in ms."""
        document = self._asdict()
        document["life"] = None if self.life is None else list(self.life.times_ms)
        if self.life is None:
            del document["life"]
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

    def for_interval(
        self, definition: str, start: datetime, end: datetime, asset: str | None = None
    ) -> Iterator[Document]:
        """Return documents {asset, and those of `Score`} with start <= ts < end, of one asset or of
        all."""


@dataclass(frozen=True)
class PastEvaluation:
    """A past interval (start, end] of one asset that was evaluated later: by which revision and
    model, and when."""

    definition: str
    asset: str
    start: datetime
    end: datetime
    revision: int | None
    model_version: int | None
    at: datetime


class PastEvaluations(Protocol):
    """Past evaluations: they tell a report which intervals were evaluated, even if no episode was
    found."""

    def add(self, evaluation: PastEvaluation) -> None: ...

    def for_definition(self, definition: str) -> list[PastEvaluation]:
        """Return the past evaluations of a definition, oldest first."""

    def for_interval(self, start: datetime, end: datetime) -> list[PastEvaluation]:
        """Return the past evaluations of intervals that overlap [start, end), oldest first."""


@dataclass(frozen=True)
class LatePart:
    """Changed rows of one asset: their first and last instant, and their variables or event
    types."""

    asset: str
    first: datetime
    last: datetime
    rows: int
    variables: tuple[str, ...] = ()
    events: tuple[str, ...] = ()


@dataclass(frozen=True)
class Arrival:
    """Arrival record: late rows of one write.

    `written`: False while the writer is still writing, or if it was killed. `routed_at`: when every
    affected target got its reprocessing request; `too_late`: number of rows older than the allowed
    lateness of every target that reads them.
    """

    id: str
    arrived_at: datetime
    written: bool
    parts: tuple[LatePart, ...]
    routed_at: datetime | None = None
    too_late: int = 0

    @property
    def rows(self) -> int:
        """Return the number of late rows."""
        return sum(p.rows for p in self.parts)


@dataclass(frozen=True)
class ReprocessingRequest:
    """Reprocessing request: evaluate a target again from `start`.

    `keys`: keys of the stored requests that this one combines.
    """

    definition: str
    asset: str
    start: datetime
    keys: tuple[Any, ...] = field(default=(), compare=False)


class Unfinished(NamedTuple):
    """Waiting late data: arrivals to be routed, and requests to reprocess their targets."""

    arrivals: list[Arrival]
    has_requests: bool


class Arrivals(Protocol):
    """Arrival records and reprocessing requests."""

    def store_arrival(self, arrival: Arrival) -> None:
        """Store a record that waits to be routed, in place of an earlier one with its id."""

    def remove(self, id: str) -> None:
        """Remove a record."""

    def evaluated_until(self) -> datetime | None:
        """Return the latest instant up to which any evaluation has begun to read; None before the
        first evaluation."""

    def has_evaluated(self) -> bool:
        """Return whether an evaluation has ever begun to read. Once True, it stays True."""

    def extend_evaluated_until(self, up_to: datetime) -> datetime:
        """Record the instant up to which an evaluation is about to read: rows written from now on
        at or before it are late. Return the latest instant that was recorded."""

    def lower_evaluated_until(self, recorded: datetime, up_to: datetime) -> None:
        """Replace the recorded instant by an earlier one, unless another one was recorded since."""

    def unfinished(self) -> Unfinished:
        """Return the arrivals that are not routed yet, oldest first, and whether any reprocessing
        request is stored."""

    def mark_routed(self, routed: Sequence[tuple[Arrival, int]], at: datetime) -> None:
        """Record that these arrivals are routed, each with its `too_late`. An arrival whose writer
        finishes later is routed again."""

    def arrived_since(self, arrived_from: datetime) -> list[Arrival]:
        """Return the records of arrivals from this instant on, oldest first."""

    def request_reprocessing(
        self,
        shards: Iterable[Mapping[TargetKey, datetime]],
        instead_of: Sequence[ReprocessingRequest] = (),
    ) -> None:
        """Request that targets are evaluated again from these instants, then remove the requests
        `instead_of`, which the new ones replace; other earlier requests stay in force.

        `shards`: targets whose requests are removed together are stored together.
        """

    def requests(self, definitions: Sequence[str]) -> dict[TargetKey, ReprocessingRequest]:
        """Return one reprocessing request for each target of these definitions, from the earliest
        requested instant."""

    def remove_requests(self, requests: Sequence[ReprocessingRequest], unit: Unit) -> None:
        """Remove these requests in a unit of work. Requests made since these were read stay."""


@dataclass(frozen=True)
class Checkpoint:
    """A past condition state. `needed_from`: no reprocessing of its target begins before this
    instant."""

    definition: str
    asset: str
    state: ConditionState
    needed_from: datetime


class Checkpoints(Protocol):
    """Past condition states from which reprocessing begins."""

    def write(
        self, refuted: Mapping[TargetKey, datetime], checkpoints: Sequence[Checkpoint], unit: Unit
    ) -> None:
        """Drop and store states in a unit of work.

        First, for each `refuted` target, states with a watermark at or after its instant are
        dropped. Then the given states are stored under their watermarks, and older states of the
        same targets from which no reprocessing can begin any more are dropped.
        """

    def states_before(
        self, instants: Mapping[TargetKey, datetime]
    ) -> dict[TargetKey, ConditionState]:
        """Return, by target, its latest state with a watermark before its instant; a target without
        such a state is absent."""

    def state_after(self, definition: str, asset: str, instant: datetime) -> ConditionState | None:
        """Return the earliest state with a watermark at or after the instant."""
