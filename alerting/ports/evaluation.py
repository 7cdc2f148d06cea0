"""Ports for condition states, evaluation plans, scores, past evaluations and predict jobs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from alerting.episodes.state_table import ConditionTable, TargetKey
from alerting.episodes.targets import EvaluationPlan, PlanEdits, PlanRevisions
from alerting.ports.definitions import Document
from alerting.ports.unit_of_work import Unit

if TYPE_CHECKING:
    from alerting.ports.use_cases import EvaluationPorts, Progress


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


JobState = Literal["arriving", "waiting", "running", "done", "failed", "cancelled"]


@dataclass(frozen=True)
class ScoredFile:
    """Result of scoring a file: the version that scored, rows read, scores written, instants
    without one by reason, notes.

    `copy_at`: address of the copy of the scores in an object store.
    """

    version: int
    rows: int
    scores: int
    unknown: Mapping[str, int]
    notes: tuple[str, ...] = ()
    copy_at: str | None = None


@dataclass(frozen=True)
class PredictJob:
    """A predict job and what became of it.

    `size`: of its readings, in bytes. `layout`: options of their columns, as those of an import.
    `sha256`: of the readings; None before they have arrived. `address`, `etag`: of readings in an
    object store, and the tag of their content; `scores_to`: the folder there that gets the scores
    too. `tries`: how often it was begun. `step`, `progress`: what is being done, and which share of
    it (0 to 1); `seen_at`: when that was last written. `fault`: why it failed.
    """

    id: str
    definition: str
    actor: str
    created_at: datetime
    size: int
    layout: Mapping[str, str] = field(default_factory=dict)
    sha256: str | None = None
    address: str | None = None
    etag: str = ""
    scores_to: str | None = None
    state: JobState = "arriving"
    tries: int = 0
    step: str | None = None
    progress: float = 0.0
    seen_at: datetime | None = None
    result: ScoredFile | None = None
    fault: str | None = None
    ended_at: datetime | None = None
    version: int = 1


class PredictJobs(Protocol):
    """The documents of predict jobs."""

    def insert(self, job: PredictJob) -> bool: ...

    def replace(self, job: PredictJob) -> bool:
        """Store the next version of a job; return False unless the stored one is that before it."""

    def get(self, id: str) -> PredictJob | None: ...

    def all(self) -> list[PredictJob]:
        """Return all jobs, newest first."""

    def forget(self, id: str) -> None:
        """Remove a job. Idempotent."""


class JobFiles(Protocol):
    """Readings and scores of predict jobs. `is_shared`: the API and Airflow's workers have one disk
    for them."""

    @property
    def is_shared(self) -> bool: ...

    def free(self) -> int:
        """Return the free bytes of the disk."""

    def size(self, id: str) -> int:
        """Return the bytes of all files of a job."""

    def readings(self, id: str) -> object:
        """Return the place of the readings of a job, as faults name it."""

    def has_readings(self, id: str) -> bool: ...

    def fetch(self, job: PredictJob, progress: "Progress") -> str:
        """Copy the readings of a job from their address; return their SHA-256.

        Raises UserError if the address is not allowed or cannot be read.
        """

    def score(
        self, platform: "EvaluationPorts", job: PredictJob, progress: "Progress"
    ) -> ScoredFile:
        """Write the scores of a job, which appear whole. Raises UserError for faulty readings."""

    def copy(self, job: PredictJob) -> str:
        """Store the scores of a job in its folder of the object store; return the address.

        Raises UserError if the folder is not allowed, or the store does not take them.
        """

    def drop_readings(self, id: str) -> None:
        """Remove the readings of a job, and what its tries have left. Idempotent."""

    def drop(self, id: str) -> None:
        """Remove all files of a job. Idempotent."""
