"""The worker of predict jobs: one at a time, in a process of its own, so that scoring neither slows
pages nor takes their memory.

The thread of the console starts the process, ends it when its job is cancelled or takes too long,
and starts it again after a crash. The process ends when the console has ended; the next console
begins the job again.
"""

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from threading import Event, Thread
from typing import Any

from alerting.adapters.archive.job_files import JobAddresses
from alerting.adapters.archive.predict_jobs import (
    FETCHED,
    TROUBLE,
    Job,
    JobOrder,
    PredictJobs,
    read_order,
    wall_clock,
    write_json,
    write_outcome,
)
from alerting.adapters.archive.s3_objects import ObjectState
from alerting.definitions.faults import Unreachable, UserError, first_line

LONGEST_S = 6 * 3600.0
_POLL_S = 0.5
_CLEAN_S = 600.0
_PAUSE_S = 10.0
_KILL_AFTER_S = 5.0
_PROGRESS_S = 1.0
_NO_DATABASE = 69
_TRY_AGAIN = 75
COMMAND = (sys.executable, "-m", "alerting.console.predict_worker")
_log = logging.getLogger(__name__)


class PredictWorker:
    """Works at the jobs of a folder. `lasts`: how long scores are kept. `longest_s`: after which a
    job is ended."""

    def __init__(
        self,
        jobs: PredictJobs,
        lasts: timedelta,
        command: Sequence[str] = COMMAND,
        longest_s: float = LONGEST_S,
    ) -> None:
        self._jobs = jobs
        self._lasts = lasts
        self._command = command
        self._longest_s = longest_s
        self._pause_s = _PAUSE_S

    def start(self) -> Event:
        """Work in a thread of its own. Return the event that stops it, and the job under way with
        it."""
        stop = Event()
        Thread(target=self.work, args=(stop,), name="predict-jobs", daemon=True).start()
        return stop

    def work(self, stop: Event) -> None:
        """Work at jobs until the event is set. Never raises."""
        with suppress(OSError):
            self._jobs.forget_uploads()
        cleaned = -_CLEAN_S
        while not stop.wait(_POLL_S):
            try:
                if time.monotonic() - cleaned >= _CLEAN_S:
                    self._jobs.clean(self._lasts)
                    cleaned = time.monotonic()
                waiting = self._jobs.next_waiting()
                if waiting is not None:
                    self._run(*waiting, stop)
                    cleaned = -_CLEAN_S
            except Exception:
                _log.exception("predict jobs cannot be worked at")
                stop.wait(self._pause_s)

    def _run(self, job: Job, folder: Path, stop: Event) -> None:
        id = job.order.id
        self._jobs.run(id)
        try:
            process = subprocess.Popen([*self._command, str(folder)], stdin=subprocess.DEVNULL)
            try:
                why = self._wait(process, id, stop)
            finally:
                _end(process)
        finally:
            self._jobs.run(None)
        if why is not None:
            self._jobs.record_failure(id, why, final=True)
        elif self._jobs.get(id).state == "waiting" and not stop.is_set():
            if (
                process.returncode != _NO_DATABASE
            ):  # an outage is the fault of no job: all of them wait for its end
                ended = (
                    f"the worker ended with {process.returncode} and without scores; the log of "
                    f"the console has the details"
                )
                self._jobs.record_failure(id, ended)
            stop.wait(self._pause_s)

    def _wait(self, process: "subprocess.Popen[bytes]", id: str, stop: Event) -> str | None:
        """Wait for the end of a process, or its job's. Return why it took too long, None
        otherwise."""
        until = time.monotonic() + self._longest_s
        while process.poll() is None and not stop.wait(_POLL_S):
            if self._jobs.get(id).state == "cancelled":
                return None
            if time.monotonic() > until:
                return (
                    f"it took longer than {self._longest_s / 3600:g} hours; send the readings in "
                    f"smaller files"
                )
        return None


def _end(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_KILL_AFTER_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class _Progress:
    """Writes the progress of a job, at most once a second; ends the process when the console has
    ended."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "progress.json"
        self._console = os.getppid()
        self._written = 0.0

    def __call__(self, step: str, done: int, total: int | None) -> None:
        if os.getppid() != self._console:
            raise SystemExit(_TRY_AGAIN)
        if time.monotonic() - self._written >= _PROGRESS_S:
            write_json(self._path, {"step": step, "share": done / total if total else 0.0})
            self._written = time.monotonic()


def main() -> int:
    """Score the readings of the job in the folder that is named. Return 75 if it is worth another
    try, 69 without a database."""
    from pymongo.errors import ConnectionFailure, PyMongoError

    from alerting.adapters.archive.file_scores import score_file
    from alerting.adapters.files.rows import Layout
    from alerting.adapters.mongo.mongo import DatabaseDown
    from alerting.ports import ModelUnavailable
    from alerting.settings.environment import read_settings
    from alerting.wiring import open_platform

    folder = Path(sys.argv[1])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(_TRY_AGAIN))
    os.nice(10)
    try:
        (folder / TROUBLE).unlink(missing_ok=True)
        order = read_order(folder)
        settings = read_settings(os.environ)
        progress = _Progress(folder)
        addresses = JobAddresses(settings.predictions_from, settings.predictions_to)
        readings = folder / "readings.parquet"
        scores = folder / "scores.parquet"
        if order.address is not None and not (readings.exists() and (folder / FETCHED).exists()):
            state = ObjectState(order.size, order.etag)
            write_json(folder / FETCHED, addresses.fetch(order.address, state, readings, progress))
        with open_platform(settings, channels=False) as platform:
            layout = Layout(**order.layout)  # type: ignore[arg-type]
            found = score_file(platform, order.definition, readings, layout, scores, progress)
    except (DatabaseDown, ModelUnavailable, PyMongoError, Unreachable) as fault:
        print(f"predict job {folder.name}: {first_line(fault)}", file=sys.stderr)  # noqa: T201 - the console's log
        write_json(folder / TROUBLE, first_line(fault))
        return _NO_DATABASE if isinstance(fault, DatabaseDown | ConnectionFailure) else _TRY_AGAIN
    except UserError as refusal:
        write_outcome(
            folder,
            at=wall_clock(),
            fault=str(refusal).replace(str(folder / "readings.parquet"), "the file"),
        )
        return 0
    write_outcome(
        folder, at=wall_clock(), result=_with_copy(asdict(found), order, addresses, scores)
    )
    return 0


def _with_copy(
    result: dict[str, Any], order: JobOrder, addresses: JobAddresses, scores: Path
) -> dict[str, Any]:
    """Return the result of a job with the address of the copy of its scores, or with the reason why
    there is none."""
    if order.scores_to is None:
        return result
    try:
        return {**result, "copy_at": addresses.write(order.scores_to, order.id, scores)}
    except (UserError, OSError) as fault:
        return {
            **result,
            "notes": [
                *result["notes"],
                f"the scores are not in {order.scores_to}: {first_line(fault)}",
            ],
        }


if __name__ == "__main__":
    sys.exit(main())
