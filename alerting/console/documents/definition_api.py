"""REST API, version 1: the list of definitions, scenarios that are run against a draft, and
previews of drafts: jobs in the memory of this process, one for each person, a few at once."""

import logging
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import BoundedSemaphore, Event, Lock, Thread, Timer
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, HTTPException, Path, Query, Response
from pydantic import ConfigDict, Field

from alerting.console.access import Engineer, Served, Viewer, part_of_app
from alerting.console.api.parameters import EXAMPLE, SCENARIO_EXAMPLE, Instant
from alerting.console.api.views import Body, reader_of, translate_texts
from alerting.console.documents.definition_answers import (
    DefinitionSummary,
    PreviewResult,
    ScenarioView,
    summarise,
    view_result,
)
from alerting.console.documents.document_api import Draft
from alerting.definitions.faults import NotFound, UserError
from alerting.definitions.wording.language import translatable
from alerting.ports import Document, Platform, Progress
from alerting.usecases.alarm_load.definition_overview import (
    definition_lines,
)
from alerting.usecases.backtest.backtest import written_subject
from alerting.usecases.backtest.draft_training import LONGEST_TRAINING_S
from alerting.usecases.backtest.preview import (
    CACHED_S,
    PreviewedAlarms,
    SeriesCache,
    preview,
    require_preview,
)
from alerting.usecases.backtest.preview_chart import (
    PreviewChart,
    sketch_preview,
)
from alerting.usecases.backtest.sandbox import Subject
from alerting.usecases.definitions.revisions_and_evaluation_plan import check
from alerting.usecases.definitions.scenarios import run_scenarios


@dataclass(frozen=True, kw_only=True)
class ScenariosView:
    """Scenarios that were run against a definition, and whether all passed."""

    passed: bool
    scenarios: list[ScenarioView]


router = APIRouter(prefix="/api/v1", tags=["definitions"])


class ScenariosBody(Body):
    """A definition, and scenarios as in a scenario file."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"definition": dict(EXAMPLE), "scenarios": [SCENARIO_EXAMPLE]}]
        },
    )

    definition: Document
    scenarios: list[Document] = Field(min_length=1, max_length=50)


@router.get("/definitions")
def list_definitions(platform: Served, _: Viewer) -> list[DefinitionSummary]:
    """List all definitions by name."""
    lines = [summarise(line) for line in definition_lines(platform, platform.clock.now())]
    return translate_texts(lines, reader_of(platform))


@router.post("/definitions:test")
def test_definition(platform: Served, body: ScenariosBody, _: Engineer) -> ScenariosView:
    """Run scenarios against a document: readings over time, and exactly the transitions that must
    follow, after the checks of `:check`. Nothing is stored; at most 50 scenarios with 100,000
    values. Role: engineer."""
    check(platform, [body.definition])
    results = run_scenarios(body.definition, body.scenarios, "the body", platform.zone)
    view = ScenariosView(
        passed=all(result.passed for result in results),
        scenarios=[
            ScenarioView(
                title=result.title,
                passed=result.passed,
                found=result.found,
                difference=result.difference,
                notes=result.notes,
            )
            for result in results
        ],
    )
    return translate_texts(view, reader_of(platform))


AT_ONCE = 2
LONGEST_S = 120.0
_LOOKS_EVERY_S = 0.5  # whether a preview that waits is still wanted
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
    `draft`: of the editor, None through the API; `sketch`: what its page draws meanwhile;
    `is_training`: whether it trains the draft."""

    owner: str
    definition: str
    identity: tuple[str, datetime, datetime]
    draft: Draft | None = None
    sketch: PreviewChart | None = None
    is_training: bool = False
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
    """The newest preview of each person. A new preview cancels the one before; at most `most` are
    stored, of which `AT_ONCE` run, each for `longest_s`; and of trainings one, for
    `LONGEST_TRAINING_S`. The oldest results are dropped."""

    def __init__(self, most: int = 20, longest_s: float = LONGEST_S) -> None:
        self._most = most
        self._longest_s = longest_s
        self._lock = Lock()
        self._by_owner: dict[str, PreviewJob] = {}
        self._under_way: set[str] = set()
        self._running = BoundedSemaphore(AT_ONCE)
        self._training = BoundedSemaphore(1)
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
        """Return the preview of a draft: this person's preview if it has the same draft and period,
        else a new one. Raises PreviewsFull if too many are under way."""

        def compute(progress: Progress, require_time: Callable[[], None]) -> PreviewedAlarms:
            return preview(platform, subject, start, end, progress, require_time, self.cache)

        identity = (subject.revision.hash, start, end)
        sketch = sketch_preview(platform, subject.definition, start, end) if draft else None
        job = PreviewJob(owner, subject.definition.name, identity, draft, sketch)
        return self.run(job, compute)

    def run(self, job: PreviewJob, compute: Compute) -> PreviewJob:
        """Run a preview in a thread of its own, as `start`. Raises PreviewsFull if too many are
        under way."""
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
            over = [owner for owner, old in self._by_owner.items() if old.ended.is_set()]
            for owner in over[: max(0, len(self._by_owner) - self._most + 1)]:
                del self._by_owner[owner]
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

    def cancel(self, owner: str, id: str = "") -> None:
        """Cancel and forget a person's preview, if there is one; one with another `id` raises
        NotFound."""
        with self._lock:
            job = self.find(owner, id) if id else self._by_owner.get(owner)
            if job is not None:
                job.cancelled.set()
                del self._by_owner[owner]

    def _work(self, job: PreviewJob, compute: Compute) -> None:
        turn = self._training if job.is_training else self._running
        has_turn = False
        try:
            while not has_turn and not job.cancelled.is_set():
                has_turn = turn.acquire(timeout=_LOOKS_EVERY_S)
            self._compute(job, compute)
        finally:
            if has_turn:
                turn.release()
            with self._lock:
                self._under_way.discard(job.id)
            job.ended_at = datetime.now(UTC)
            job.ended.set()
            self._sweep_later()

    def _sweep_later(self) -> None:
        """Drop held series when they are old, even if no preview follows."""
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
        longest_s = LONGEST_TRAINING_S if job.is_training else self._longest_s
        until = time.monotonic() + longest_s

        def require_time() -> None:
            if job.cancelled.is_set():
                raise _Cancelled
            if time.monotonic() > until:
                raise UserError(
                    f"this training took longer than {longest_s / 60:g} min; apply the definition, "
                    "which is then trained in the background"
                    if job.is_training
                    else f"the preview took longer than {longest_s:g} s; choose a shorter period "
                    "or fewer assets"
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


PreviewId = Annotated[str, Path(pattern="^[0-9a-f]{12}$", description="Id of a preview.")]
USUAL_PERIOD = timedelta(weeks=4)


class PreviewBody(Body):
    """A draft and the period over which it is tried."""

    definition: Document = Field(json_schema_extra={"examples": [dict(EXAMPLE)]})
    start: Instant | None = Field(
        None, alias="from", description="Four weeks before `to` if left out."
    )
    end: Instant | None = Field(
        None, alias="to", description="The last midnight (UTC) if left out."
    )


@dataclass(frozen=True, kw_only=True)
class PreviewView:
    """A preview; of the person who asks. `progress`: share that is done, from 0 to 1; `fault`: why
    it failed."""

    id: str
    definition: str
    state: PreviewState
    progress: float
    step: str
    created_at: datetime
    ended_at: datetime | None
    fault: str | None
    result: PreviewResult | None
    start: Annotated[datetime, Field(alias="from")]
    end: Annotated[datetime, Field(alias="to")]


RunningPreviews = Annotated[Previews, Depends(part_of_app("previews"))]


@router.post("/definitions:preview", status_code=202)
def start_preview(
    body: PreviewBody, platform: Served, person: Engineer, previews: RunningPreviews
) -> PreviewView:
    """Try a draft on past readings without applying it: the episodes it would have raised, and how
    many a day. Role: engineer.

    Of a definition that predicts a problem: when that happened. For these, and for definitions
    without a model, over at most 92 days, 10 million readings and 120 seconds. A person has one
    preview: a new one takes the place of the one before, and the same draft over the same period is
    the same preview. Results are in memory only. The readings are held for ten minutes, so that
    another draft over the same period is tried at once; of what arrives late meanwhile, `read_at`
    tells.
    """
    try:
        job = begin_preview(platform, previews, person.name, body.definition, body.start, body.end)
    except PreviewsFull as full:
        raise HTTPException(429, full.message, {"retry-after": "60"}) from full
    return _preview_view(job, platform)


@router.get("/previews/{id}")
def show_preview(
    id: PreviewId,
    platform: Served,
    person: Engineer,
    previews: RunningPreviews,
    wait: Annotated[
        int, Query(ge=0, le=10, description="Seconds to wait for its end before the answer.")
    ] = 0,
) -> PreviewView:
    """Show one's own preview with its progress, and its result or fault. Role: engineer."""
    job = previews.find(person.name, id)
    job.ended.wait(wait)
    return _preview_view(job, platform)


@router.delete("/previews/{id}", status_code=204, response_class=Response)
def cancel_preview(id: PreviewId, person: Engineer, previews: RunningPreviews) -> None:
    """Cancel one's own preview, or forget its result. Role: engineer."""
    previews.cancel(person.name, id)


def begin_preview(
    platform: Platform,
    previews: Previews,
    owner: str,
    document: Document,
    start: datetime | None,
    end: datetime | None,
    draft: Draft | None = None,
) -> PreviewJob:
    """Begin the preview of a draft, or find the same preview. Raises UserError for a draft with
    faults or with a model, and a wrong period; PreviewsFull if too many are under way."""
    now = platform.clock.now()
    until = end or now.replace(hour=0, minute=0, second=0, microsecond=0)
    since = start or until - USUAL_PERIOD
    subject = written_subject(platform, document)
    require_preview(subject, since, until, now)
    return previews.start(platform, owner, subject, since, until, draft)


def _preview_view(job: PreviewJob, platform: Platform) -> PreviewView:
    _, start, end = job.identity
    view = PreviewView(
        id=job.id,
        definition=job.definition,
        state=job.state,
        progress=job.progress,
        step=job.step,
        created_at=job.created_at,
        ended_at=job.ended_at,
        fault=job.fault,
        result=view_result(job.made) if job.made else None,
        start=start,
        end=end,
    )
    return translate_texts(view, reader_of(platform))
