"""Ports for predict jobs: their documents, and the files of their readings and scores."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from alerting.ports.use_cases import EvaluationPorts, Progress

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
        """Copy the readings of a job from their address; return their SHA-256. Raises UserError."""

    def score(
        self, platform: "EvaluationPorts", job: PredictJob, progress: "Progress"
    ) -> ScoredFile:
        """Write the scores of a job, which appear whole. Raises UserError for faulty readings."""

    def copy(self, job: PredictJob) -> str:
        """Store the scores of a job in its folder of the object store; return the address. Raises
        UserError."""

    def drop_readings(self, id: str) -> None:
        """Remove the readings of a job. Idempotent."""

    def drop(self, id: str) -> None:
        """Remove all files of a job. Idempotent."""
