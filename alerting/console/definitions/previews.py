"""Previews under way in this process: one for each person, a few at once, in memory."""

import logging
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import BoundedSemaphore, Event, Lock, Thread, Timer
from typing import Literal

from alerting.console.documents.kinds import Draft
from alerting.definitions.faults import NotFound, UserError
from alerting.definitions.wording.language import translatable
from alerting.ports import Platform, Progress
from alerting.usecases.backtest.cached_readings import CACHED_S, SeriesCache
from alerting.usecases.backtest.preview import PreviewedAlarms, preview
from alerting.usecases.backtest.preview_chart import PreviewChart, sketch_preview
from alerting.usecases.backtest.run import Subject

AT_ONCE = 2
MOST_PREVIEWS = 20
LONGEST_S = 120.0
PreviewState = Literal["waiting", "running", "done", "failed", "cancelled"]
Compute = Callable[[Progress, Callable[[], None]], PreviewedAlarms]
_log = logging.getLogger(__name__)


class PreviewsFull(UserError):
    """Refusal because too many previews are under way."""


class _Cancelled(Exception):
    """Signal: the person no longer wants the preview."""


@dataclass
class PreviewJob:
    """A preview of one person. `identity`: of draft and period; `made`: its result, once done;
    `draft`: of the editor, None through the API; `sketch`: what its page draws meanwhile."""

    owner: str
    definition: str
    identity: tuple[str, datetime, datetime]
    draft: Draft | None = None
    sketch: PreviewChart | None = None
    id: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    ended_at: datetime | None = None
    state: PreviewState = "waiting"
    step: str = ""
    progress: float = 0.0
    fault: str | None = None
    made: PreviewedAlarms | None = None
    cancelled: Event = field(default_factory=Event)
    ended: Event = field(default_factory=Event)


class Previews:
    """The newest preview of each person. A new one cancels the one before; at most `most` are
    stored, of which `AT_ONCE` run, each for `longest_s`. The oldest results give way."""

    def __init__(self, most: int = MOST_PREVIEWS, longest_s: float = LONGEST_S) -> None:
        self._most = most
        self._longest_s = longest_s
        self._lock = Lock()
        self._by_owner: dict[str, PreviewJob] = {}
        self._under_way: set[str] = set()
        self._running = BoundedSemaphore(AT_ONCE)
        self.cache = SeriesCache(time.monotonic)
        self._sweep: Timer | None = None

    def start(
        self,
        platform: Platform,
        owner: str,
        subject: Subject,
        start: datetime,
        end: datetime,
        draft: Draft | None = None,
    ) -> PreviewJob:
        """Return the preview of a draft, a new one unless this person's is of the same draft and
        period. Raises PreviewsFull if too many are under way."""

        def compute(progress: Progress, require_time: Callable[[], None]) -> PreviewedAlarms:
            return preview(platform, subject, start, end, progress, require_time, self.cache)

        identity = (subject.revision.hash, start, end)
        sketch = sketch_preview(platform, subject.definition, start, end) if draft else None
        job = PreviewJob(owner, subject.definition.name, identity, draft, sketch)
        return self.run(job, compute)

    def run(self, job: PreviewJob, compute: Compute) -> PreviewJob:
        """Run a preview in a thread of its own, as `start`."""
        with self._lock:
            before = self._by_owner.get(job.owner)
            if before is not None:
                if before.identity == job.identity and before.state not in ("cancelled", "failed"):
                    before.draft = job.draft or before.draft
                    return before
                before.cancelled.set()
            if len(self._under_way) >= self._most:
                raise PreviewsFull(
                    translatable("too many previews are under way; try again in a minute")
                )
            self._by_owner.pop(job.owner, None)
            self._make_headroom()
            self._by_owner[job.owner] = job
            self._under_way.add(job.id)
        Thread(target=self._work, args=(job, compute), name="preview", daemon=True).start()
        return job

    def find(self, owner: str, id: str) -> PreviewJob:
        """Return a person's own preview. Raises NotFound for any other."""
        job = self._by_owner.get(owner)
        if job is None or job.id != id:
            raise NotFound(f"you have no preview {id!r}; a newer one takes the place of another")
        return job

    def find_newest(self, owner: str) -> PreviewJob | None:
        """Return a person's newest preview, None without one."""
        return self._by_owner.get(owner)

    def cancel(self, owner: str, id: str) -> None:
        """Cancel and forget a person's own preview. Raises NotFound for any other."""
        with self._lock:
            self.find(owner, id).cancelled.set()
            del self._by_owner[owner]

    def cancel_newest(self, owner: str) -> None:
        """Cancel and forget a person's preview, if there is one."""
        with self._lock:
            job = self._by_owner.pop(owner, None)
            if job is not None:
                job.cancelled.set()

    def _make_headroom(self) -> None:
        over = [owner for owner, job in self._by_owner.items() if job.ended.is_set()]
        for owner in over[: max(0, len(self._by_owner) - self._most + 1)]:
            del self._by_owner[owner]

    def _work(self, job: PreviewJob, compute: Compute) -> None:
        try:
            with self._running:
                self._compute(job, compute)
        finally:
            with self._lock:
                self._under_way.discard(job.id)
            job.ended_at = datetime.now(UTC)
            job.ended.set()
            self._sweep_later()

    def _sweep_later(self) -> None:
        """Drop held series when they are old, also where no preview follows."""
        with self._lock:
            if self._sweep is None:
                self._sweep = Timer(CACHED_S + 1, self._drop_old)
                self._sweep.daemon = True
                self._sweep.start()

    def _drop_old(self) -> None:
        with self._lock:
            self._sweep = None
        if self.cache.drop_old():
            self._sweep_later()

    def _compute(self, job: PreviewJob, compute: Compute) -> None:
        until = time.monotonic() + self._longest_s

        def require_time() -> None:
            if job.cancelled.is_set():
                raise _Cancelled
            if time.monotonic() > until:
                raise UserError(
                    f"the preview took longer than {self._longest_s:g} s; choose a shorter period "
                    "or fewer assets, or run `alerting backtest`"
                )

        def report_progress(step: str, done: int, total: int | None) -> None:
            job.step = step
            job.progress = done / total if total else 0.0

        try:
            require_time()
            job.state = "running"
            job.made = compute(report_progress, require_time)
            job.progress = 1.0
            job.state = "done"
        except _Cancelled:
            job.state = "cancelled"
        except UserError as refusal:
            job.fault = refusal.message
            job.state = "failed"
        except Exception:  # of a thread, which has no request to answer
            _log.exception("preview of definition %s", job.definition)
            job.fault = translatable("a fault of the server; its log has the details")
            job.state = "failed"
