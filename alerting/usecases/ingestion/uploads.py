"""Imports of uploaded files: admitted within bounds, checked, written, and removed after a day.

Check and write are those of `alerting import`, of readings and of events. All of an import but its
file stands in its document, so that every process shows it. A write that was interrupted is begun
again: it writes nothing twice.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime, timedelta
from threading import Lock
from typing import Any, Literal, Protocol

from alerting.definitions.faults import NotFound, UserError, storable
from alerting.definitions.wording.language import translatable
from alerting.ports import (
    ImportChoices,
    ImportJob,
    ImportJobs,
    ImportState,
    IngestionPorts,
)
from alerting.usecases.ingestion.sources import EventSource, ReadingSource, Reject
from alerting.usecases.ingestion.tables import What, check_events, check_readings
from alerting.usecases.ingestion.upload_descriptions import (
    NAMES,
    Checked,
    describe_result,
    describe_understood,
    ignore_line,
    preview_rows,
    text_document,
)

MOST_BYTES = 2 << 30
MOST_LEFT = 64 << 20
"""Bytes of a file that stays until its import is deleted, so that it can be taken back."""
MOST_AT_ONCE = 4
MOST_IMPORTS = 20
LASTS = timedelta(days=1)
SILENT_FOR = timedelta(seconds=60)
_LONGEST_ARRIVAL = timedelta(hours=1)  # an upload that takes longer has ended without a trace
_SPARE = 1 << 30  # bytes of the disk that uploads leave free
_UNDER_WAY = ("arriving", "checking", "writing")
_MAY_CHECK = ("checking", "refused", "checked", "failed", "done")
_MAY_WRITE = ("checked", "writing", "failed")
_LONGEST_FAULT = 4000
_PROGRESS_EVERY = timedelta(seconds=1)
ShownState = ImportState | Literal["interrupted"]


class ImportsFull(UserError):
    """Refusal of a file because too many are there, or the disk is too full."""


class ImportStopped(Exception):
    """Signal: the import under way was deleted, or begun by another process."""


class ImportFiles(Protocol):
    """The uploaded files of imports, each in a folder of its own."""

    def free(self) -> int:
        """Return the free bytes of the disk."""

    def ids(self) -> list[str]:
        """Return the ids of the imports that have files here."""

    def has_file(self, id: str) -> bool: ...

    def what(self, job: ImportJob) -> What:
        """Return what the lines of a file are: as chosen, else by its columns. Raises UserError for
        a file that cannot be read."""

    def open_readings(self, job: ImportJob) -> ReadingSource:
        """Open a file of readings with its choices. Raises UserError for one that is none."""

    def open_events(self, job: ImportJob) -> EventSource:
        """Open a file of events with its choices. Raises UserError for one that is none."""

    def rejects(self, job: ImportJob) -> AbstractContextManager[Reject | None]:
        """Return the receiver of bad lines; None if a bad line refuses the file."""

    def shorten(self, job: ImportJob, text: str) -> str:
        """Return a text in which the file has its name instead of its path."""

    def drop_file(self, id: str) -> None:
        """Remove the file of an import, not its rejected lines. Idempotent."""

    def drop(self, id: str) -> None:
        """Remove all files of an import. Idempotent."""


def admit(jobs: ImportJobs, files: ImportFiles, job: ImportJob) -> None:
    """Store an import whose file will arrive. Raises ImportsFull beyond the bounds.

    It is stored first and then counted with all others, so that two at once never take the same
    place.
    """
    clean(jobs, files, job.created_at)
    jobs.insert(job)
    try:
        _check_bounds(jobs, files, job)
    except BaseException:
        jobs.forget(job.id)
        raise


def _check_bounds(jobs: ImportJobs, files: ImportFiles, job: ImportJob) -> None:
    if job.size > MOST_BYTES:
        raise ImportsFull(
            translatable(
                "the file is larger than {most} GiB: import it with `alerting import readings`",
                most=MOST_BYTES >> 30,
            )
        )
    own = [other for other in jobs.all() if other.actor == job.actor]
    busy = [other for other in own if shown_state(other, job.created_at) in _UNDER_WAY]
    if len(busy) > MOST_AT_ONCE:
        raise ImportsFull(
            translatable(
                "{number} of your files are being imported; send this one when some are done",
                number=len(busy) - 1,
            )
        )
    if len(own) > MOST_IMPORTS:
        raise ImportsFull(translatable("you have too many imports; delete some"))
    require_free(files, job.size)


def require_free(files: ImportFiles, size: int) -> None:
    """Raise ImportsFull if the disk has no room for this many further bytes. What others have
    announced takes none until it comes."""
    if files.free() < size + _SPARE:
        raise ImportsFull(
            translatable("the disk has too little free space for this file; delete some imports")
        )


def clean(jobs: ImportJobs, files: ImportFiles, now: datetime) -> None:
    """Remove the imports of more than a day ago, and lost uploads."""
    for job in jobs.all():
        lasts = _LONGEST_ARRIVAL if job.state == "arriving" else LASTS
        if job.created_at < now - lasts and shown_state(job, now) not in ("checking", "writing"):
            remove(jobs, files, job)


def tidy(jobs: ImportJobs, files: ImportFiles, now: datetime) -> None:
    """Remove what is too old, and files whose import another process has removed. `jobs`: all."""
    stored = files.ids()  # before the documents: a folder is made after its document
    clean(jobs, files, now)
    known = {job.id for job in jobs.all()}
    for id in stored:
        if id not in known:
            files.drop(id)


def remove(jobs: ImportJobs, files: ImportFiles, job: ImportJob) -> None:
    """Remove an import and its files; a worker at it stops. Rows already written stay."""
    jobs.forget(job.id)
    files.drop(job.id)


def find_import(jobs: ImportJobs, id: str) -> ImportJob:
    """Return an import whose file has arrived. Raises NotFound for any other."""
    job = jobs.get(id)
    if job is None or job.state == "arriving":
        raise NotFound(
            translatable("there is no import {id}; imports are deleted after a day", id=id)
        )
    return job


def list_imports(jobs: ImportJobs) -> list[ImportJob]:
    """Return the imports whose files have arrived, newest first."""
    return [job for job in jobs.all() if job.state != "arriving"]


def shown_state(job: ImportJob, now: datetime) -> ShownState:
    """Return the state of an import; `interrupted` if its worker has shown no sign for a minute."""
    is_silent = now - (job.seen_at or job.created_at) > SILENT_FOR
    return "interrupted" if job.state in ("checking", "writing") and is_silent else job.state


def begin_check(
    jobs: ImportJobs, files: ImportFiles, job: ImportJob, choices: ImportChoices, now: datetime
) -> ImportJob:
    """Return an import that is being checked with these choices. Raises UserError if it cannot."""
    if job.state != "arriving":
        _require_idle(job, files, now, _MAY_CHECK)
    return _begin(jobs, job, now, "checking", choices=choices, understood=None, preview=())


def begin_write(jobs: ImportJobs, files: ImportFiles, job: ImportJob, now: datetime) -> ImportJob:
    """Return an import that is being written. Raises UserError if it has not been checked."""
    _require_idle(job, files, now, _MAY_WRITE)
    return _begin(jobs, job, now, "writing")


def _require_idle(
    job: ImportJob, files: ImportFiles, now: datetime, states: tuple[str, ...]
) -> None:
    is_busy = job.state in _UNDER_WAY and shown_state(job, now) != "interrupted"
    has_file = files.has_file(job.id)
    if is_busy or job.state not in states or (job.state == "done" and not has_file):
        raise UserError(_NOT_NOW[job.state])
    if not has_file:
        raise UserError(
            translatable("the file of this import is not on this server; send it again")
        )


_NOT_NOW: Mapping[ImportState, str] = {
    "arriving": translatable("the file is still arriving"),
    "checking": translatable("the file is being checked; wait until that is over"),
    "refused": translatable("the file was refused; choose how to read it, and check it again"),
    "checked": translatable("the file is checked already"),
    "writing": translatable("the file is being written; wait until that is over"),
    "done": translatable("the file is imported already"),
    "failed": translatable("the import failed; check the file again"),
}


def _begin(
    jobs: ImportJobs, job: ImportJob, now: datetime, state: ImportState, **changes: Any
) -> ImportJob:
    begun = replace(
        job,
        **{**changes, "state": state, "version": job.version + 1, "seen_at": now},
        step=None,
        progress=0.0,
        fault=None,
        fault_text=None,
        result=None,
        ended_at=None,
    )
    if not jobs.replace(begun):
        raise UserError(translatable("the import was changed meanwhile; look at it again"))
    return begun


class ImportWork:
    """One check or write under way: shows its progress, at most once a second, and that its worker
    is alive. Raises ImportStopped if the import was deleted or begun anew."""

    def __init__(self, jobs: ImportJobs, job: ImportJob, now: Callable[[], datetime]) -> None:
        self.job = job
        self._jobs = jobs
        self._now = now
        self._lock = Lock()

    def __call__(self, step: str, done: int, total: int | None) -> None:
        """Record progress; the port `Progress`."""
        seen_at = self.job.seen_at
        if seen_at is None or self._now() - seen_at >= _PROGRESS_EVERY:
            self.record(step=step, progress=done / total if total else 0.0)

    def record(self, **changes: Any) -> None:
        """Store changes of the import, and that its worker is alive."""
        with self._lock:
            job = replace(
                self.job, **{"seen_at": self._now(), **changes}, version=self.job.version + 1
            )
            if not self._jobs.replace(job):
                raise ImportStopped
            self.job = job

    def end(self, state: ImportState, **changes: Any) -> None:
        """Store the end of the work."""
        ended_at = self._now()
        self.record(state=state, step=None, progress=1.0, ended_at=ended_at, **changes)


def check_upload(
    plant: IngestionPorts, files: ImportFiles, work: ImportWork, *, may_add_assets: bool
) -> None:
    """Check the file of an import, and store what was recognised or why it was refused."""
    try:
        checked = _check(plant, files, work, ignore_line, may_add_assets)
        preview = preview_rows(checked)
    except UserError as refusal:
        work.end("refused", **_fault(files, work.job, refusal))
    else:
        work.end("checked", understood=describe_understood(checked), preview=preview)


def write_upload(
    plant: IngestionPorts,
    files: ImportFiles,
    work: ImportWork,
    now: datetime,
    actor: str,
    *,
    may_add_assets: bool,
) -> None:
    """Check the file of an import again and write it. Idempotent."""
    with files.rejects(work.job) as reject:
        try:
            checked = _check(plant, files, work, reject, may_add_assets)
        except UserError as refusal:
            work.end("refused", **_fault(files, work.job, refusal))
            return
        try:
            result = checked.write(now=now, actor=actor, progress=work)
        except UserError as refusal:  # some rows are written
            work.end("failed", **_fault(files, work.job, refusal))
            return
    work.end("done", result=describe_result(result))
    if work.job.size > MOST_LEFT:  # a smaller one can be taken back
        files.drop_file(work.job.id)


def _fault(files: ImportFiles, job: ImportJob, refusal: UserError) -> dict[str, Any]:
    """Return the fields of a job that say why its file was refused."""

    def shorten(text: str) -> str:
        return files.shorten(job, text)

    return {
        "fault": storable(shorten(str(refusal)), _LONGEST_FAULT),
        "fault_text": text_document(refusal.message, shorten),
    }


def _check(
    plant: IngestionPorts,
    files: ImportFiles,
    work: ImportWork,
    reject: Reject | None,
    may_add_assets: bool,
) -> Checked:
    job = work.job
    used = reject if job.choices.skip_bad else None
    checked: Checked
    if files.what(job) == "readings":
        readings = files.open_readings(job)
        take_back = job.choices.take_back
        now = job.seen_at
        checked = check_readings(
            readings, plant, reject=used, progress=work, take_back=take_back, now=now
        )
    else:
        duration = job.choices.duration
        source = files.open_events(job)
        checked = check_events(
            source,
            plant,
            duration=duration,
            reject=used,
            progress=work,
            take_back=job.choices.take_back,
        )
    if not may_add_assets and checked.understood.new_assets:
        names = ", ".join(checked.understood.new_assets[:NAMES])
        raise UserError(
            translatable(
                "{file} was not imported: it is about assets outside of the part of the plant "
                "that this account may see ({names}); choose one of your assets, or ask an "
                "engineer of the whole plant",
                file=job.name,
                names=names,
            )
        )
    return checked
