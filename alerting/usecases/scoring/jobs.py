"""Predict jobs: ordered within the disk's bounds, scored by Airflow, removed when old.

A job's document says everything about it; its files are found by its id. A job that was interrupted
is begun again.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from alerting.definitions.durations import format_duration
from alerting.definitions.faults import NotFound, Unreachable, UserError, first_line
from alerting.ports import EvaluationPorts, JobFiles, PredictJob, PredictJobs, ScoredFile

MOST_WAITING = 20
MOST_BYTES = 8 << 30  # number of bytes that all jobs together may take, with their scores
MOST_JOBS = 200
MOST_TRIES = 3
LONGEST = timedelta(hours=6)
# Bytes of disk for each byte of readings: themselves, ordered by time, and their scores.
_SCRATCH = 3
_SPARE = 1 << 30
_LONGEST_ARRIVAL = timedelta(hours=1)  # an upload that takes longer has ended without a trace
_UNFINISHED = ("waiting", "running")
_STARTS_WITHIN = timedelta(minutes=3)
_SILENT_FOR = timedelta(minutes=10)
_PROGRESS_EVERY = timedelta(seconds=1)


class JobsFull(UserError):
    """Refusal of a job because there are too many, or too large ones."""


class TryAgain(Exception):
    """Error: a job was interrupted, and is worth another try."""


class _Stopped(Exception):
    """Signal: the job under way was cancelled, or begun by another worker."""


def order(jobs: PredictJobs, files: JobFiles, job: PredictJob) -> None:
    """Store a job whose readings will arrive. Raises JobsFull, and UserError out of reach.

    It is stored first and then counted with all others: so two at once never take the same bytes.
    """
    if not files.is_shared and (job.address is None or job.scores_to is None):
        raise UserError(
            "the API and the workers of Airflow share no disk here (ALERTING_SHARED_HOME=no): send "
            "the address of a file in an object store, and scores_to"
        )
    jobs.insert(job)
    try:
        _check_bounds(jobs, files, job)
    except BaseException:
        jobs.forget(job.id)
        raise


def _check_bounds(jobs: PredictJobs, files: JobFiles, job: PredictJob) -> None:
    all_jobs = jobs.all()
    waiting = sum(other.state in ("arriving", "waiting") for other in all_jobs)
    if waiting > MOST_WAITING:
        raise JobsFull(
            f"{waiting - 1} predict jobs are waiting; send this one when some are done, or cancel "
            "some"
        )
    if not files.is_shared:
        return
    stored = {other.id: files.size(other.id) for other in all_jobs}
    open_jobs = [other for other in all_jobs if other.ended_at is None]
    needed = sum(max(0, _SCRATCH * other.size - stored[other.id]) for other in open_jobs)
    used = sum(stored.values()) + needed
    if used > MOST_BYTES:
        raise JobsFull(
            f"predict jobs take {used - _SCRATCH * job.size >> 20} of {MOST_BYTES >> 20} MiB: too "
            f"much for another {job.size >> 20}"
        )
    _require_free(files, needed, job)


def _require_free(files: JobFiles, needed: int, job: PredictJob) -> None:
    if files.free() < needed + _SPARE:
        raise JobsFull(
            f"the disk of predict jobs has too little free space for {job.size >> 20} MiB of "
            "readings and their scores"
        )


def submit(jobs: PredictJobs, job: PredictJob, sha256: str | None = None) -> PredictJob:
    """Let a job wait whose readings have arrived, or are at an address. Return it."""
    waiting = _change(jobs, job, state="waiting", sha256=sha256)
    if waiting is None:
        raise UserError("the readings took too long to arrive; send them again")
    return waiting


def _change(jobs: PredictJobs, job: PredictJob, **changes: Any) -> PredictJob | None:
    """Store a changed job and return it; None if another process has changed it."""
    changed = replace(job, version=job.version + 1, **changes)
    return changed if jobs.replace(changed) else None


def abandon(jobs: PredictJobs, files: JobFiles, job: PredictJob) -> None:
    """Remove a job whose readings did not arrive."""
    files.drop(job.id)
    jobs.forget(job.id)


def find_job(jobs: PredictJobs, id: str) -> PredictJob:
    """Return a job. Raises NotFound for an unknown id."""
    job = jobs.get(id)
    if job is None or job.state == "arriving":
        raise NotFound(
            f"there is no predict job {id!r}; jobs and their scores are deleted after a time"
        )
    return job


def list_jobs(jobs: PredictJobs) -> list[PredictJob]:
    """Return the jobs whose readings have arrived, newest first."""
    return [job for job in jobs.all() if job.state != "arriving"]


def unfinished(jobs: PredictJobs) -> list[PredictJob]:
    """Return the jobs that Airflow has to work at, oldest first."""
    return [job for job in reversed(jobs.all()) if job.state in _UNFINISHED]


def describe_wait(all_jobs: Sequence[PredictJob], job: PredictJob, now: datetime) -> str | None:
    """Say what a job that is not over does or waits for. `all_jobs`: newest first."""
    queue = [other for other in reversed(all_jobs) if other.state in _UNFINISHED]
    if job.id not in [other.id for other in queue]:
        return None
    first = queue[0]
    ended = [other.ended_at for other in all_jobs if other.ended_at is not None]
    silent_for = now - max(first.seen_at or first.created_at, *ended, first.created_at)
    away = None
    if silent_for > (_SILENT_FOR if first.state == "running" else _STARTS_WITHIN):
        minutes = silent_for // timedelta(minutes=1)
        away = (
            f"Airflow has done nothing for {minutes} minutes: it is away, or busy with other work. "
            "The job waits until it is back"
        )
    before = [other.id for other in queue].index(job.id)
    if before:
        return f"jobs before it: {before}" + (f". {away}" if away else "")
    return away or job.step or ("Airflow starts it within a minute" if not job.tries else None)


def cancel(jobs: PredictJobs, files: JobFiles, id: str, now: datetime) -> PredictJob:
    """Cancel a job; a worker ends it at its next portion. Raises UserError if it is over."""
    while True:
        job = find_job(jobs, id)
        if job.state not in _UNFINISHED:
            raise UserError(f"predict job {id} is {job.state} already")
        cancelled = _change(jobs, job, state="cancelled", step=None, ended_at=now)
        if cancelled is not None:
            files.drop_readings(id)
            return cancelled


def require_scores_of(job: PredictJob, files: JobFiles) -> None:
    """Raise NotFound if the scores of a job are not here, with the reason and where they are."""
    if job.state != "done":
        raise NotFound(
            f"predict job {job.id} is {job.state}: it has no scores"
            + (f": {job.fault}" if job.fault else "")
        )
    if not files.is_shared:
        raise NotFound(
            f"the scores of predict job {job.id} are in the object store: "
            f"{job.result and job.result.copy_at}"
        )


def run_job(
    platform: EvaluationPorts,
    jobs: PredictJobs,
    files: JobFiles,
    id: str,
    now: Callable[[], datetime],
    is_outage: Callable[[Exception], bool],
) -> PredictJob:
    """Score the readings of a job, and return it as it ended. Idempotent.

    Raises TryAgain after a fault that may pass, at most twice a job, and every outage of the
    database. A worker that is killed leaves the job as running: the next one begins it again.
    """
    job = find_job(jobs, id)
    if job.state not in _UNFINISHED:
        return job
    if job.tries >= MOST_TRIES:
        why = f"its worker ended {job.tries} times without scores; Airflow's log has the details"
        return _end(jobs, files, job, state="failed", fault=why, ended_at=now())
    work = _Work(jobs, job, now)
    try:
        work.record(state="running", tries=job.tries + 1, step=None, progress=0.0)
        result = _score(platform, files, work)
    except _Stopped:
        return _tidy(jobs, files, id)
    except Exception as fault:
        if is_outage(fault):
            raise
        is_refused = isinstance(fault, UserError) and not isinstance(fault, Unreachable)
        why = str(fault) if is_refused else first_line(fault)
        why = why.replace(str(files.readings(id)), "the file")
        if not is_refused and work.job.tries < MOST_TRIES:
            if _change(jobs, work.job, state="waiting", step=f"tried again: {why}") is None:
                return _tidy(jobs, files, id)
            raise TryAgain(why) from fault
        return _end(jobs, files, work.job, state="failed", fault=why, ended_at=now())
    return _end(jobs, files, work.job, state="done", result=result, progress=1.0, ended_at=now())


class _Work:
    """Reports the progress of a job, at most once a second. Raises _Stopped if it was cancelled."""

    def __init__(self, jobs: PredictJobs, job: PredictJob, now: Callable[[], datetime]) -> None:
        self.job = job
        self._jobs = jobs
        self._now = now
        self._until = now() + LONGEST

    def __call__(self, step: str, done: int, total: int | None) -> None:
        now = self._now()
        if now > self._until:
            raise UserError(
                f"it took longer than {format_duration(LONGEST)}; send the readings in smaller "
                "files"
            )
        if self.job.seen_at is None or now - self.job.seen_at >= _PROGRESS_EVERY:
            self.record(step=step, progress=done / total if total else 0.0)

    def record(self, **changes: Any) -> None:
        """Store changes of the job."""
        job = _change(self._jobs, self.job, seen_at=self._now(), **changes)
        if job is None:
            raise _Stopped
        self.job = job


def _score(platform: EvaluationPorts, files: JobFiles, work: _Work) -> ScoredFile:
    """Return a job's result; readings at an address are fetched first."""
    job = work.job
    if not files.has_readings(job.id):
        if job.address is None:
            raise UserError(
                "the worker of Airflow does not find the readings: if the API and the workers "
                "share no disk, set ALERTING_SHARED_HOME=no and send addresses"
            )
        if not files.is_shared:
            _require_free(files, _SCRATCH * job.size, job)
        work.record(sha256=files.fetch(job, work))
    result = files.score(platform, work.job, work)
    if job.scores_to is None:
        return result
    try:
        return replace(result, copy_at=files.copy(job))
    except (UserError, OSError) as fault:
        if not files.is_shared:
            raise
        note = f"the scores are not in {job.scores_to}: {first_line(fault)}"
        return replace(result, notes=(*result.notes, note))


def _end(jobs: PredictJobs, files: JobFiles, job: PredictJob, **changes: Any) -> PredictJob:
    """Store a job's end, unless another process changed it. Return it as stored."""
    _change(jobs, job, step=None, **changes)
    return _tidy(jobs, files, job.id)


def _tidy(jobs: PredictJobs, files: JobFiles, id: str) -> PredictJob:
    """Return a job as stored, and remove what nobody reads any more once it is over."""
    stored = find_job(jobs, id)
    if stored.ended_at is not None:  # else another worker is at it
        files.drop_readings(id)
        if not files.is_shared:
            files.drop(id)
    return stored


def clean(jobs: PredictJobs, files: JobFiles, now: datetime, lasts: timedelta) -> None:
    """Remove jobs over for this long, or with 200 newer ones, and lost uploads."""
    for number, job in enumerate(jobs.all()):
        if job.state == "arriving":
            is_old = job.created_at < now - _LONGEST_ARRIVAL
        else:
            is_old = job.ended_at is not None and (
                job.ended_at < now - lasts or number >= MOST_JOBS
            )
        if is_old:
            abandon(jobs, files, job)
        elif job.ended_at is not None:
            files.drop_readings(job.id)
