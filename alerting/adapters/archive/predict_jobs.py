"""Predict jobs in a folder of this machine: each a folder with its readings, and later its scores.

A job is there when its readings are, or when it names their address in an object store, from which
the worker fetches them. Every file has one writer and appears whole: `job.json` and `cancelled` are
written by the console, `readings.parquet` of an address, `fetched.json`, `progress.json`,
`trouble.json`, `scores.parquet` and `outcome.json` by the worker; the state follows from what is
there. So a process may be killed at any time: a job without an outcome is begun again.
"""

import json
import os
import shutil
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import Any, Literal

from alerting.adapters.archive.job_files import NO_ADDRESSES, JobAddresses
from alerting.definitions.faults import NotFound, UserError

MOST_WAITING = 20
MOST_BYTES = 8 << 30
"""Number of bytes that all jobs together may take, with their scores."""
MOST_JOBS = 200
MOST_FAILURES = 3
_SCRATCH = 3
"""Bytes of disk for each byte of readings: themselves, ordered by time, and their scores."""
_INCOMING = "incoming-"
_EXPECTED = "expected_size"
FETCHED = "fetched.json"
TROUBLE = "trouble.json"
"""Files of a job with the SHA-256 of the readings that were fetched, and with the reason why a try
has failed."""
State = Literal["waiting", "running", "done", "failed", "cancelled"]


class JobsFull(UserError):
    """Refusal of a job because there are too many, or too large ones."""


@dataclass(frozen=True)
class JobOrder:
    """A job as it was ordered. `layout`: options of the columns of its readings, as those of an
    import. `size`: in bytes.

    `sha256`: of readings that were sent. `address`, `etag`: of readings in an object store, and the
    tag of their content. `scores_to`: the folder in the store that gets the scores too.
    """

    id: str
    definition: str
    actor: str
    created_at: datetime
    size: int
    layout: Mapping[str, str]
    sha256: str | None = None
    address: str | None = None
    etag: str = ""
    scores_to: str | None = None


@dataclass(frozen=True)
class Job:
    """A job and what became of it. `progress`: share done, from 0 to 1; `step`: what is being done.

    `result`: version, rows, scores, unknown instants by reason, and notes, once it is done;
    `fault`: why it failed. `sha256`: of its readings; None before they are fetched.
    """

    order: JobOrder
    state: State
    progress: float
    step: str | None
    result: Mapping[str, Any] | None
    fault: str | None
    ended_at: datetime | None
    sha256: str | None


def wall_clock() -> datetime:
    """Return the real time: files of this machine are kept by it."""
    return datetime.now(UTC)


class PredictJobs:
    """The jobs in a folder that only its owner may enter. `now`: the real time. `addresses`: those
    that a job may name."""

    def __init__(
        self,
        folder: Path,
        now: Callable[[], datetime] = wall_clock,
        addresses: JobAddresses = NO_ADDRESSES,
    ) -> None:
        self._folder = folder
        self._now = now
        self.addresses = addresses
        self._running: str | None = None
        self._beginning = Lock()

    def begin(self, size: int) -> Path:
        """Return a new folder for the readings of a job, of this size in bytes. Raises JobsFull if
        there are too many jobs."""
        with self._beginning:  # two uploads at once must not both take the last free bytes
            return self._begin(size)

    def _begin(self, size: int) -> Path:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        waiting = sum(job.state == "waiting" for job in self.all()) + len(
            list(self._folder.glob(f"{_INCOMING}*"))
        )
        if waiting >= MOST_WAITING:
            raise JobsFull(
                f"{waiting} predict jobs are waiting; send this one when some are done, or cancel "
                f"some"
            )
        used = _bytes_in(self._folder) + self._still_needed()
        if used + _SCRATCH * size > MOST_BYTES:
            raise JobsFull(
                f"predict jobs take {used >> 20} of {MOST_BYTES >> 20} MiB: too much for another "
                f"{size >> 20}"
            )
        if shutil.disk_usage(self._folder).free - self._still_needed() < _SCRATCH * size + (
            1 << 30
        ):
            raise JobsFull(
                f"the disk of {self._folder} has too little free space for {size >> 20} MiB of "
                f"readings and their scores"
            )
        folder = self._folder / f"{_INCOMING}{uuid.uuid4().hex[:12]}"
        folder.mkdir()
        write_json(folder / _EXPECTED, size)
        return folder

    def _still_needed(self) -> int:
        """Return how many bytes the uploads under way and the jobs that are not over may still
        write."""
        sizes = {
            job.order.id: job.order.size
            for job in self.all()
            if job.state in ("waiting", "running")
        }
        sizes |= {
            path.parent.name: _read(path) or 0
            for path in self._folder.glob(f"{_INCOMING}*/{_EXPECTED}")
        }
        return sum(
            max(0, _SCRATCH * size - _bytes_in(self._folder / name)) for name, size in sizes.items()
        )

    def submit(
        self, folder: Path, definition: str, actor: str, layout: Mapping[str, str], **source: Any
    ) -> Job:
        """Make a job of a folder whose readings are complete or at an address. `source`: further
        fields of the order."""
        id = folder.name.removeprefix(_INCOMING)
        size = _read(folder / _EXPECTED)
        order = JobOrder(id, definition, actor, self._now(), size, dict(layout), **source)
        write_json(
            folder / "job.json", {**asdict(order), "created_at": order.created_at.isoformat()}
        )
        folder.rename(self._folder / id)
        return self.get(id)

    def abandon(self, folder: Path) -> None:
        """Remove a folder whose readings did not arrive."""
        shutil.rmtree(folder, ignore_errors=True)

    def get(self, id: str) -> Job:
        """Return a job. Raises NotFound for an unknown id."""
        try:
            order = read_order(self._folder / id)
        except FileNotFoundError:
            raise NotFound(
                f"there is no predict job {id!r}; jobs and their scores are deleted after a time"
            ) from None
        return self._job(order)

    def all(self) -> Sequence[Job]:
        """Return all jobs, newest first."""
        found = [
            self._job(read_order(path.parent))
            for path in self._folder.glob("*/job.json")
            if not _is_incoming(path.parent)
        ]
        return sorted(found, key=lambda job: (job.order.created_at, job.order.id), reverse=True)

    def cancel(self, id: str) -> Job:
        """Cancel a job that is not over. Raises UserError if it is."""
        job = self.get(id)
        if job.state not in ("waiting", "running"):
            raise UserError(f"predict job {id} is {job.state} already")
        write_json(self._folder / id / "cancelled", self._now().isoformat())
        return self.get(id)

    def scores(self, id: str) -> Path:
        """Return the file with the scores of a job. Raises NotFound if it has none."""
        job = self.get(id)
        if job.state != "done":
            raise NotFound(
                f"predict job {id} is {job.state}: it has no scores"
                + (f": {job.fault}" if job.fault else "")
            )
        return self._folder / id / "scores.parquet"

    def next_waiting(self) -> tuple[Job, Path] | None:
        """Return the oldest job that waits, with its folder; None if there is none."""
        waiting = [job for job in self.all() if job.state == "waiting"]
        return (waiting[-1], self._folder / waiting[-1].order.id) if waiting else None

    def run(self, id: str | None) -> None:
        """Note which job the worker is at; None: at none."""
        self._running = id

    def record_failure(self, id: str, why: str, *, final: bool = False) -> None:
        """Record that the worker ended without an outcome; after the third time, or a `final` one,
        the job has failed.

        The reason that the worker has left, if there is one, goes before `why`.
        """
        path = self._folder / id / "failures"
        why = _read(self._folder / id / TROUBLE) or why
        failures = (_read(path) or 0) + 1
        write_json(path, failures)
        if final or failures >= MOST_FAILURES:
            write_outcome(self._folder / id, fault=why, at=self._now())

    def clean(self, lasts: timedelta) -> None:
        """Remove the readings of jobs that are over, and jobs that have been over for this long, or
        have 200 newer ones."""
        before = self._now() - lasts
        for number, job in enumerate(self.all()):
            if job.state in ("done", "failed", "cancelled") and job.order.id != self._running:
                for name in ("readings.parquet", "readings.parquet.part"):
                    (self._folder / job.order.id / name).unlink(missing_ok=True)
                if (job.ended_at or job.order.created_at) < before or number >= MOST_JOBS:
                    shutil.rmtree(self._folder / job.order.id, ignore_errors=True)

    def forget_uploads(self) -> None:
        """Remove what an earlier process had begun to receive."""
        for folder in self._folder.glob(f"{_INCOMING}*"):
            shutil.rmtree(folder, ignore_errors=True)

    def _job(self, order: JobOrder) -> Job:
        folder = self._folder / order.id
        outcome = _read(folder / "outcome.json")
        cancelled = _read(folder / "cancelled")
        sha256 = order.sha256 or _read(folder / FETCHED)
        if cancelled is not None:
            return Job(
                order, "cancelled", 0.0, None, None, None, datetime.fromisoformat(cancelled), sha256
            )
        if outcome is not None:
            state: State = "failed" if outcome["fault"] else "done"
            ended_at = datetime.fromisoformat(outcome["at"])
            return Job(
                order,
                state,
                float(state == "done"),
                None,
                outcome["result"],
                outcome["fault"],
                ended_at,
                sha256,
            )
        progress = _read(folder / "progress.json") if order.id == self._running else None
        share, step = (0.0, None) if progress is None else (progress["share"], progress["step"])
        return Job(
            order,
            "running" if order.id == self._running else "waiting",
            share,
            step,
            None,
            None,
            None,
            sha256,
        )


def _is_incoming(folder: Path) -> bool:
    return folder.name.startswith(_INCOMING)


def read_order(folder: Path) -> JobOrder:
    """Return the order of a job from its folder. Raises FileNotFoundError without one."""
    found = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    return JobOrder(**{**found, "created_at": datetime.fromisoformat(found["created_at"])})


def write_outcome(
    folder: Path, *, at: datetime, result: Mapping[str, Any] | None = None, fault: str | None = None
) -> None:
    """Write what became of a job."""
    write_json(folder / "outcome.json", {"at": at.isoformat(), "result": result, "fault": fault})


def write_json(path: Path, content: Any) -> None:
    """Write a file that appears whole."""
    part = path.with_name(f"{path.name}.part")
    with part.open("w", encoding="utf-8") as file:
        json.dump(content, file)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None


def _bytes_in(folder: Path) -> int:
    """Return the size of all files below a folder, without those that are removed meanwhile."""
    found = 0
    for root, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                found += Path(root, name).stat().st_size
    return found
