"""REST API, version 1: the list of definitions, scenarios that are run against a draft, and
previews of drafts: jobs in the memory of this process, one for each person, a few at once."""

import logging
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from threading import BoundedSemaphore, Event, Lock, Thread, Timer
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, HTTPException, Path, Query, Response
from pydantic import ConfigDict, Field

from alerting.console.access import Engineer, Served, Viewer, part_of_app
from alerting.console.api.parameters import EXAMPLE, SCENARIO_EXAMPLE, Instant
from alerting.console.api.views import (
    Body,
    ShownAs,
    View,
    plant_times,
)
from alerting.console.documents.document_api import Draft
from alerting.definitions.faults import NotFound, UserError
from alerting.definitions.wording.language import translatable
from alerting.episodes.episode import Episode
from alerting.operators.alarm_load import PositionLoad
from alerting.ports import Document, Platform, Progress
from alerting.usecases.alarm_load.budget_gate import LoadForecast
from alerting.usecases.alarm_load.definition_overview import (
    AlarmPrecision,
    DefinitionLine,
    definition_lines,
)
from alerting.usecases.backtest.backtest import written_subject
from alerting.usecases.backtest.draft_training import LONGEST_TRAINING_S
from alerting.usecases.backtest.preview import (
    CACHED_S,
    PastProblem,
    PastProblems,
    PreviewedAlarms,
    SeriesCache,
    preview,
    require_preview,
)
from alerting.usecases.backtest.preview_chart import (
    PreviewChart,
    PreviewComparison,
    sketch_preview,
)
from alerting.usecases.backtest.sandbox import Subject
from alerting.usecases.definitions.revisions_and_evaluation_plan import check
from alerting.usecases.definitions.scenarios import ScenarioResult, run_scenarios

PrecisionView = Annotated[
    AlarmPrecision,
    ShownAs(
        "PrecisionView",
        "Share of right alarms of the last 28 days among those with an outcome, with its 95 % "
        "interval.",
        "share low high right counted",
    ),
]
DefinitionSummary = Annotated[
    DefinitionLine,
    ShownAs(
        "DefinitionSummary",
        "One definition as lists show it; `state` is faulty where the current document has faults. "
        "`severity`, `revision`, `since`: null if no valid revision exists; `assets`: names or "
        "patterns of the assets that it watches. `training`: its training in a sentence, e.g. that "
        "an earlier revision answers until the newest one is trained. `evaluated_at`: up to when "
        "all its assets are evaluated, null if one never was. `champion`: version of the model in "
        "service, null without one. `alarms_per_day`: notified alarms a day, over the days of the "
        "alarm budget, null if not active. `raises`: alarms on each of the last 28 days, oldest "
        "first. `precision`: null without an alarm with an outcome.",
        "name title kind state training champion alarms_per_day faults runs.evaluated_at "
        "latest.definition.severity",
        assets=(list[str], lambda line: line.latest.definition.assets if line.latest else ()),
        revision="latest.number",
        since="latest.at",
        raises=(list[int], "raises"),
        precision=(PrecisionView | None, "precision"),
    ),
]
LoadView = Annotated[
    PositionLoad,
    ShownAs(
        "LoadView",
        "Alarms a day that a definition adds at a position. `now`: of all other definitions, "
        "beside the budget of the position. `before`: of the definition as it is in service now.",
        "position expected now before budget",
    ),
]
ForecastView = Annotated[
    LoadForecast,
    ShownAs(
        "ForecastView",
        "Expected alarm load. `messages`: the load in sentences, with unknown parts and changes "
        "that would bring it within the budget.",
        "messages",
        loads=(list[LoadView], "loads"),
        breaks_budget="breaks",
    ),
]
ScenarioView = Annotated[
    ScenarioResult,
    ShownAs(
        "ScenarioView",
        "A scenario that was run. `difference`: lines with `-` expected and not found, `+` found "
        "and not expected; empty if it passed; `notes`: what can never be fulfilled with such "
        "readings.",
        "title passed found difference notes",
    ),
]


class ScenariosView(View):
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
    return definition_lines(platform, platform.clock.now())


@router.post("/definitions:test")
def test_definition(platform: Served, body: ScenariosBody, _: Engineer) -> ScenariosView:
    """Run scenarios against a document: readings over time, and exactly the transitions that must
    follow, after the checks of `:check`. Nothing is stored; at most 50 scenarios with 100,000
    values. Role: engineer."""
    check(platform, [body.definition])
    results = run_scenarios(body.definition, body.scenarios, "the body", platform.zone)
    return ScenariosView(
        passed=all(result.passed for result in results),
        scenarios=results,
    )


AT_ONCE = 2
LONGEST_S = 120.0
_LOOKS_EVERY_S = 0.5  # whether a preview that waits is still wanted
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
    state: Literal["waiting", "running", "done", "failed", "cancelled"] = "waiting"
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


PreviewEpisode = Annotated[
    Episode,
    ShownAs(
        "PreviewEpisode",
        "An episode that the draft would have raised; `closed_at` is null if it was still open.",
        "asset severity raised_at closed_at current.value current.threshold current.reason",
    ),
]
ComparisonView = Annotated[
    PreviewComparison,
    ShownAs(
        "ComparisonView",
        "Numbers of episodes of the draft alone, of the revision in service alone, and of both.",
        "revision only_draft only_served both",
    ),
]
PastProblemView = Annotated[
    PastProblem,
    ShownAs(
        "PastProblemView",
        "A time at which the problem of a draft happened.",
        "asset start end",
    ),
]


def _seconds(duration: timedelta | None) -> float | None:
    return None if duration is None else duration.total_seconds()


PastProblemsView = Annotated[
    PastProblems,
    ShownAs(
        "PastProblemsView",
        "The times of the problem from which a model would learn; `newest`: at most 200 of them. "
        "`assets`: on how many it happened; `median_s` and `longest_s`: how long; `are_few`: "
        "whether they are too few to learn from. `uncounted`: further times that begin within an "
        "earlier one or its recovery; `merged`: their number with `merge_within_s`, if most begin "
        "soon after another one.",
        "number assets are_few uncounted bursts.merged",
        median_s=(float | None, lambda past: _seconds(past.median)),
        longest_s=(float | None, lambda past: _seconds(past.longest)),
        merge_within_s=(
            float | None,
            lambda past: _seconds(past.bursts.merge_within if past.bursts else None),
        ),
        newest=(list[PastProblemView], "newest"),
    ),
]
PreviewResult = Annotated[
    PreviewedAlarms,
    ShownAs(
        "PreviewResult",
        "The alarms that a draft would have raised. `episodes`: in all; `shown`: the newest 200. "
        "`alarms_per_day`: over the evaluated time; `peak`: the most within ten minutes; `floods`: "
        "periods of ten minutes with more than the budget allows; `warnings`: what can never be "
        "fulfilled as the readings come. `since`: the begin of the period, or of the readings if "
        "that is later; `read_at`: when its readings were read: those of a preview just before are "
        "used again. `compared`: with the revision in service, null without another one that needs "
        "no model. `problems`: instead of alarms, of a draft whose model is yet to be trained.",
        "episodes warnings since read_at",
        shown=(list[PreviewEpisode], "newest"),
        alarms_per_day=(float | None, lambda made: made.load.get("per_day")),
        peak=(int | None, lambda made: made.load.get("peak")),
        floods=(int | None, lambda made: made.load.get("floods")),
        days_without=(int | None, lambda made: made.load.get("days_without")),
        compared=(ComparisonView | None, "compared"),
        problems=(PastProblemsView | None, "problems"),
    ),
]
PreviewView = Annotated[
    PreviewJob,
    ShownAs(
        "PreviewView",
        "A preview; of the person who asks. `progress`: share that is done, from 0 to 1; `fault`: "
        "why it failed.",
        "id definition state progress step created_at ended_at fault",
        result=(PreviewResult | None, "made"),
        **{
            "from": (datetime, lambda job: job.identity[1]),
            "to": (datetime, lambda job: job.identity[2]),
        },
    ),
]


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
    return _shown(job, platform)


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
    return _shown(job, platform)


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


def _shown(job: PreviewJob, platform: Platform) -> PreviewJob:
    """Return a preview with the plant's times in its fault."""
    return replace(job, fault=job.fault and plant_times(job.fault, platform.zone))
