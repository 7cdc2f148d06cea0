"""Scores of a file of readings, written to a file: by the command, and as a predict job.

A predict job is a folder of the home, named by its id: `job.json`, until it is over
`readings.parquet`, then `scores.parquet`. Airflow works at it; one that was interrupted is begun
again.
"""

import re
import shutil
import tempfile
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter

from alerting.adapters.files.readings import ReadingsFile
from alerting.adapters.files.rows import Layout
from alerting.adapters.files.tables.score_table import require_score_table, write_scores
from alerting.adapters.samples.parquet import ParquetStore
from alerting.definitions.faults import NotFound, UserError, first_line
from alerting.ports import EvaluationPorts, Progress, silent
from alerting.usecases.scoring.file_scores import plan_file

JOB_ID = "[0-9a-f]{12}"
MOST_WAITING = 20
MOST_BYTES = 8 << 30  # of all jobs that are not over, with their scores
MOST_JOBS = 200
_SCRATCH = 3  # bytes of disk for each byte of readings: themselves, ordered by time, and scores
_SPARE = 1 << 30
_LONGEST_ARRIVAL = timedelta(hours=1)  # an upload that takes longer has ended without a trace
JobState = Literal["arriving", "waiting", "running", "done", "failed"]


@dataclass(frozen=True)
class ScoredFile:
    """Result of scoring a file: the version that scored, rows read, scores written, instants
    without one by reason, notes."""

    version: int
    rows: int
    scores: int
    unknown: Mapping[str, int]
    notes: tuple[str, ...] = ()


def score_file(
    platform: EvaluationPorts,
    name: str,
    file: Path,
    layout: Layout,
    out: Path,
    progress: Progress = silent,
) -> ScoredFile:
    """Write the scores of the readings in a file. Its rows are put beside `out` by time for as long
    as that takes.

    Raises UserError if the file is faulty, the definition gives no scores, or `out` cannot be
    written; nothing is left then.
    """
    require_score_table(out)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as folder:
        planned = plan_file(
            platform, name, ReadingsFile(file, layout), ParquetStore(Path(folder)), progress
        )
        counts = write_scores(out, planned.scores(progress))
    known = counts.pop("", 0)
    rows = planned.checked.profile.rows
    unknown = dict(counts.most_common())
    return ScoredFile(planned.plan.version, rows, known, unknown, tuple(planned.notes))


class JobsFull(UserError):
    """Refusal of a job because there are too many, or too large ones."""


@dataclass(frozen=True)
class PredictJob:
    """A predict job and what became of it. `bytes`: of its readings. `layout`: options of their
    columns, as those of an import. `fault`: why it failed."""

    id: str
    definition: str
    actor: str
    created_at: datetime
    bytes: int
    layout: Mapping[str, str] = field(default_factory=dict)
    state: JobState = "arriving"
    fault: str | None = None
    result: ScoredFile | None = None
    ended_at: datetime | None = None


_JOB = TypeAdapter(PredictJob)


@dataclass(frozen=True)
class PredictFolder:
    """The jobs below a folder of this machine that only its owner may enter."""

    folder: Path

    def file(self, id: str, name: str) -> Path:
        """Return the path of a file of a job. Raises NotFound for what is no id."""
        if not re.fullmatch(JOB_ID, id):
            raise NotFound(f"there is no predict job {id!r}")
        return self.folder / id / name

    def readings(self, id: str) -> Path:
        """Return the path of the readings of a job."""
        return self.file(id, "readings.parquet")

    def jobs(self) -> list[PredictJob]:
        """Return all jobs, newest first."""
        found = [_JOB.validate_json(p.read_bytes()) for p in self.folder.glob("*/job.json")]
        return sorted(found, key=lambda job: job.created_at, reverse=True)

    def get(self, id: str) -> PredictJob:
        """Return a job whose readings have arrived. Raises NotFound."""
        path = self.file(id, "job.json")
        job = _JOB.validate_json(path.read_bytes()) if path.exists() else None
        if job is None or job.state == "arriving":
            raise NotFound(
                f"there is no predict job {id!r}; jobs and their scores are deleted after a time"
            )
        return job

    def store(self, job: PredictJob) -> PredictJob:
        """Store a job, which appears whole, and return it."""
        part = self.file(job.id, f".{uuid.uuid4().hex}")
        part.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part.write_bytes(_JOB.dump_json(job))
        part.replace(self.file(job.id, "job.json"))
        return job

    def order(
        self, definition: str, actor: str, size: int, layout: Mapping[str, str], lasts: timedelta
    ) -> PredictJob:
        """Return a new job whose readings will arrive, after those that are too old are deleted.
        Raises JobsFull. It is stored first and then counted: two at once never take the same."""
        job = PredictJob(uuid.uuid4().hex[:12], definition, actor, datetime.now(UTC), size, layout)
        self.clean(job.created_at, lasts)
        self.store(job)
        open_jobs = [other for other in self.jobs() if other.ended_at is None]
        needed = _SCRATCH * sum(other.bytes for other in open_jobs)
        room = min(MOST_BYTES, shutil.disk_usage(self.folder).free - _SPARE)
        if len(open_jobs) > MOST_WAITING or needed > room:
            self.drop(job.id)
            raise JobsFull(
                f"{len(open_jobs) - 1} predict jobs are waiting, and {max(room, 0) >> 20} MiB of "
                f"disk are for {needed >> 20}: send this one when some are done"
            )
        return job

    def submit(self, job: PredictJob) -> PredictJob:
        """Let a job wait whose readings have arrived."""
        return self.store(replace(job, state="waiting"))

    def clean(self, now: datetime, lasts: timedelta) -> None:
        """Delete jobs over for this long, or with 200 newer ones, and lost uploads."""
        for number, job in enumerate(self.jobs()):
            is_lost = job.state == "arriving" and job.created_at < now - _LONGEST_ARRIVAL
            is_over = job.ended_at is not None
            if is_lost or (is_over and (number >= MOST_JOBS or job.created_at < now - lasts)):
                self.drop(job.id)

    def drop(self, id: str) -> None:
        """Delete a job with its files. Idempotent."""
        shutil.rmtree(self.file(id, ""), ignore_errors=True)

    def run(
        self,
        platform: EvaluationPorts,
        id: str,
        is_outage: Callable[[Exception], bool],
        is_last_try: bool,
    ) -> PredictJob:
        """Score the readings of a job, and return it as it ended. Idempotent. Raises what may pass
        and every outage of the database, but for the last try."""
        job = self.get(id)
        if job.ended_at is not None:
            return job
        self.store(replace(job, state="running"))
        try:
            with tempfile.TemporaryDirectory(prefix="try-", dir=self.file(id, "")) as folder:
                out = Path(folder) / "scores.parquet"
                layout = Layout(**job.layout)  # type: ignore[arg-type]
                result = score_file(platform, job.definition, self.readings(id), layout, out)
                out.replace(self.file(id, out.name))
        except Exception as fault:
            is_refused = isinstance(fault, UserError) and not is_outage(fault)
            if not is_refused and not is_last_try:
                raise
            why = str(fault) if is_refused else first_line(fault)
            return self.fail(id, why.replace(str(self.readings(id)), "the file"))
        return self._end(replace(job, state="done", result=result))

    def fail(self, id: str, why: str) -> PredictJob:
        """End a job that is not over, with a fault. Return it as it is."""
        job = self.get(id)
        return job if job.ended_at else self._end(replace(job, state="failed", fault=why))

    def _end(self, job: PredictJob) -> PredictJob:
        ended = self.store(replace(job, ended_at=datetime.now(UTC)))
        self.readings(job.id).unlink(missing_ok=True)
        for left in self.file(job.id, "").glob("try-*"):  # of a worker that was killed
            shutil.rmtree(left, ignore_errors=True)
        return ended
