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

from fastapi import APIRouter, Depends, HTTPException, Path, Query, Request, Response
from pydantic import ConfigDict, Field

from alerting.console.access import Engineer, Served, Viewer
from alerting.console.api.parameters import EXAMPLE, SCENARIO_EXAMPLE, Instant
from alerting.console.api.views import (
    Body,
    View,
    plant_times,
)
from alerting.console.documents.document_api import Draft
from alerting.definitions.faults import NotFound, UserError
from alerting.definitions.wording.language import translatable
from alerting.ports import Document, Platform, Progress
from alerting.usecases.alarm_load.definition_overview import DefinitionLine, definition_lines
from alerting.usecases.backtest.backtest import written_subject
from alerting.usecases.backtest.draft_training import LONGEST_TRAINING_S
from alerting.usecases.backtest.preview import (
    CACHED_S,
    PastProblems,
    PreviewedAlarms,
    SeriesCache,
    preview,
    require_preview,
)
from alerting.usecases.backtest.preview_chart import PreviewChart, sketch_preview
from alerting.usecases.backtest.sandbox import Subject
from alerting.usecases.definitions.revisions_and_evaluation_plan import check
from alerting.usecases.definitions.scenarios import run_scenarios


class PrecisionView(View):
    """Share of right alarms of the last 28 days among those with an outcome, with its 95 %
    interval."""

    share: float
    low: float
    high: float
    right: int
    counted: int


class DefinitionSummary(View):
    """One definition as lists show it; `state` is faulty where the current document has faults.

    `training`: its training in a sentence, e.g. that an earlier revision answers until the newest
    one is trained.
    """

    name: str
    title: str
    kind: str
    state: str
    severity: str | None = Field(description="null if no valid revision exists.")
    assets: list[str] = Field(description="Names or patterns of the assets that it watches.")
    revision: int | None
    since: datetime | None
    faults: list[str]
    training: str | None
    evaluated_at: datetime | None = Field(
        description="Up to when all its assets are evaluated; null if one never was."
    )
    champion: int | None = Field(description="Version of the model in service; null without one.")
    alarms_per_day: float | None = Field(
        description="Notified alarms a day, over the days of the alarm budget; null if not active."
    )
    raises: list[int] = Field(description="Alarms on each of the last 28 days, oldest first.")
    precision: PrecisionView | None = Field(description="null without an alarm with an outcome.")


class LoadView(View):
    """Alarms a day that a definition adds at a position. `now`: of all other definitions, beside
    the budget of the position. `before`: of the definition as it is in service now."""

    position: str
    expected: float
    now: float
    before: float
    budget: float


class ForecastView(View):
    """Expected alarm load. `messages`: the load in sentences, with unknown parts and changes that
    would bring it within the budget."""

    loads: list[LoadView]
    breaks_budget: bool = Field(validation_alias="breaks")
    messages: list[str]


class ScenarioView(View):
    """A scenario that was run. `difference`: lines with `-` expected and not found, `+` found and
    not expected; empty if it passed; `notes`: what can never be fulfilled with such readings."""

    title: str
    passed: bool
    transitions: list[str] = Field(alias="found")
    difference: list[str]
    notes: list[str]


class ScenariosView(View):
    """Scenarios that were run against a definition, and whether all passed."""

    passed: bool
    scenarios: list[ScenarioView]


def summary_view(line: DefinitionLine) -> DefinitionSummary:
    """Return the view of a definition for lists."""
    latest = line.latest
    return DefinitionSummary(
        name=line.name,
        title=line.title,
        kind=line.kind,
        state=line.state,
        severity=latest.definition.severity if latest else None,
        assets=list(latest.definition.assets) if latest else [],
        revision=latest.number if latest else None,
        since=latest.at if latest else None,
        faults=list(line.faults),
        training=line.training,
        evaluated_at=line.runs.evaluated_at,
        champion=line.champion,
        alarms_per_day=line.alarms_per_day,
        raises=list(line.raises),
        precision=PrecisionView.model_validate(line.precision) if line.precision else None,
    )


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
    return [summary_view(line) for line in definition_lines(platform, platform.clock.now())]


@router.post("/definitions:test")
def test_definition(platform: Served, body: ScenariosBody, _: Engineer) -> ScenariosView:
    """Run scenarios against a document: readings over time, and exactly the transitions that must
    follow, after the checks of `:check`. Nothing is stored; at most 50 scenarios with 100,000
    values. Role: engineer."""
    check(platform, [body.definition])
    results = run_scenarios(body.definition, body.scenarios, "the body", platform.zone)
    return ScenariosView(
        passed=all(result.passed for result in results),
        scenarios=[ScenarioView.model_validate(result) for result in results],
    )


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

    def __init__(self, most: int = MOST_PREVIEWS, longest_s: float = LONGEST_S) -> None:
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
            with self._training if job.is_training else self._running:
                self._compute(job, compute)
        finally:
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


class PreviewEpisode(View):
    """An episode that the draft would have raised; `closed_at` is null if it was still open."""

    asset: str
    severity: str
    raised_at: datetime
    closed_at: datetime | None
    value: float | None
    threshold: float | None
    reason: str


class ComparisonView(View):
    """Numbers of episodes of the draft alone, of the revision in service alone, and of both."""

    revision: int
    only_draft: int
    only_served: int
    of_both: int = Field(alias="both")


class PastProblemView(View):
    """A time at which the problem of a draft happened."""

    asset: str
    start: datetime
    end: datetime


class PastProblemsView(View):
    """The times of the problem from which a model would learn; `newest`: at most 200 of them.

    `assets`: on how many it happened; `median_s` and `longest_s`: how long; `are_few`: whether they
    are too few to learn from. `uncounted`: further times that begin within an earlier one or its
    recovery; `merged`: their number with `merge_within_s`, if most begin soon after another one.
    """

    number: int
    assets: int
    median_s: float | None
    longest_s: float | None
    are_few: bool
    uncounted: int
    merged: int | None
    merge_within_s: float | None
    newest: list[PastProblemView]


class PreviewResult(View):
    """The alarms that a draft would have raised.

    `episodes`: in all; `shown`: the newest 200. `alarms_per_day`: over the evaluated time; `peak`:
    the most within ten minutes; `floods`: periods of ten minutes with more than the budget allows;
    `warnings`: what can never be fulfilled as the readings come.
    """

    episodes: int
    shown: list[PreviewEpisode]
    alarms_per_day: float | None
    peak: int | None
    floods: int | None
    days_without: int | None
    warnings: list[str]
    since: datetime = Field(
        description="From when on: the begin of the period, or of the readings if that is later."
    )
    read_at: datetime = Field(
        description="When its readings were read: those of a preview just before are used again."
    )
    compared: ComparisonView | None = Field(
        description="With the revision in service; null without another one that needs no model."
    )
    problems: PastProblemsView | None = Field(
        description="Instead of alarms, of a draft whose model is yet to be trained."
    )


class PreviewView(View):
    """A preview; of the person who asks."""

    id: str
    definition: str
    start: datetime = Field(alias="from")
    end: datetime = Field(alias="to")
    state: PreviewState
    progress: float = Field(description="Share that is done, from 0 to 1.")
    step: str
    created_at: datetime
    ended_at: datetime | None
    fault: str | None = Field(description="Why it failed.")
    result: PreviewResult | None


async def _previews(request: Request) -> Previews:
    previews: Previews = request.app.state.previews
    return previews


RunningPreviews = Annotated[Previews, Depends(_previews)]


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
    return preview_view(job, platform)


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
    return preview_view(job, platform)


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


def preview_view(job: PreviewJob, platform: Platform) -> PreviewView:
    """Return the view of a preview."""
    _, start, end = job.identity
    fault = None if job.fault is None else plant_times(job.fault, platform.zone)
    fields = {"from": start, "to": end, "fault": fault, "result": preview_result(job)}
    return PreviewView.model_validate(vars(job) | fields)


def preview_result(job: PreviewJob) -> PreviewResult | None:
    """Return the result of a preview, None before it is done."""
    made = job.made
    if made is None:
        return None
    return PreviewResult(
        episodes=made.episodes,
        shown=[
            PreviewEpisode(
                asset=e.asset,
                severity=e.severity,
                raised_at=e.raised_at,
                closed_at=e.closed_at,
                value=e.evaluation.value,
                threshold=e.evaluation.threshold,
                reason=e.evaluation.reason,
            )
            for e in made.newest
        ],
        alarms_per_day=made.load.get("per_day"),
        peak=made.load.get("peak"),
        floods=made.load.get("floods"),
        days_without=made.load.get("days_without"),
        warnings=list(made.warnings),
        problems=_problems_view(made.problems) if made.problems else None,
        since=made.since,
        read_at=made.read_at,
        compared=ComparisonView.model_validate(made.compared) if made.compared else None,
    )


def _problems_view(problems: PastProblems) -> PastProblemsView:
    return PastProblemsView(
        number=problems.number,
        assets=problems.assets,
        median_s=problems.median.total_seconds() if problems.median is not None else None,
        longest_s=problems.longest.total_seconds() if problems.longest is not None else None,
        are_few=problems.are_few,
        uncounted=problems.uncounted,
        merged=problems.bursts.merged if problems.bursts else None,
        merge_within_s=problems.bursts.merge_within.total_seconds() if problems.bursts else None,
        newest=[PastProblemView.model_validate(problem) for problem in problems.newest],
    )
