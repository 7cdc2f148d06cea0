"""Threads of this process that check and write imported files, one write at a time."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import copy_context
from datetime import UTC, datetime
from functools import partial
from threading import BoundedSemaphore, Event, Lock, Thread

from pymongo.errors import PyMongoError

from alerting.adapters.mongo.mongo import DatabaseDown
from alerting.definitions.wording.language import translatable
from alerting.ports import ImportJob, ImportJobs
from alerting.usecases.ingestion.uploads import ImportStopped, ImportWork

CHECKS_AT_ONCE = 2
BEAT_S = 10.0
Act = Callable[[ImportWork], None]
_now = partial(datetime.now, UTC)
_log = logging.getLogger(__name__)


class ImportWorker:
    """Runs each check and each write of an import in a thread of its own."""

    def __init__(self) -> None:
        self._checks = BoundedSemaphore(CHECKS_AT_ONCE)
        self._writes = BoundedSemaphore(1)
        self._lock = Lock()
        self._ends: dict[str, Event] = {}

    def start(self, jobs: ImportJobs, job: ImportJob, act: Act) -> None:
        """Begin the work at an import, which waits for its turn."""
        end = Event()
        with self._lock:
            self._ends[job.id] = end
        work = ImportWork(jobs, job, _now)
        # the copy names the origin of the request in the audit
        run = partial(copy_context().run, self._run, work, act, end)
        Thread(target=run, name="import", daemon=True).start()

    def wait(self, id: str, seconds: float) -> None:
        """Wait until the work at an import in this process ends, if there is any."""
        end = self._ends.get(id)
        if end is not None:
            end.wait(seconds)

    def _run(self, work: ImportWork, act: Act, end: Event) -> None:
        turns = self._checks if work.job.state == "checking" else self._writes
        try:
            with _beating(work), turns:
                act(work)
        except ImportStopped:
            pass
        except (PyMongoError, DatabaseDown):
            _fail(work, translatable("the database did not answer; continue the import"))
        except FileNotFoundError:
            _fail(work, translatable("the uploaded file is no longer there; import it again"))
        except Exception:  # of a thread, which has no request to answer
            _log.exception("import %s", work.job.id)
            _fail(work, translatable("a fault of the server; its log has the details"))
        finally:
            with self._lock:
                if self._ends.get(work.job.id) is end:
                    del self._ends[work.job.id]
            end.set()


def _fail(work: ImportWork, why: str) -> None:
    """Record that the work failed; without a database it shows as interrupted after a minute."""
    with suppress(ImportStopped, PyMongoError, DatabaseDown):
        work.end("failed", fault=why)


@contextmanager
def _beating(work: ImportWork) -> Iterator[None]:
    """Show every few seconds that the worker is alive, also while it waits for its turn."""
    over = Event()

    def beat() -> None:
        while not over.wait(BEAT_S):
            with suppress(ImportStopped, PyMongoError, DatabaseDown):
                work.record()

    beater = Thread(target=beat, name="import-beat", daemon=True)
    beater.start()
    try:
        yield
    finally:
        over.set()
        beater.join()
