"""REST API, version 1: models and trainings, and the decisions of people on them."""

from dataclasses import replace
from typing import Annotated, Any, Literal, NamedTuple

from fastapi import APIRouter
from pydantic import BeforeValidator, Field

from alerting.console.access import Engineer, Served, Viewer
from alerting.console.api.parameters import MAY_CONFLICT, Id, SomeShort, require_number
from alerting.console.api.views import (
    Body,
    ReasonBody,
    ShownAs,
    StatedReasonBody,
    View,
    plant_times,
    with_plant_times,
)
from alerting.definitions.alert_definition import Definition, TrainedDefinition
from alerting.definitions.revisions import question_of
from alerting.learning.selection.decision import CandidateSummary, Proposal
from alerting.ports import DecisionRecord, Platform, Training
from alerting.reporting.definition.decision_reason import summarise_decision
from alerting.reporting.model_charts import CurvePoint, operating_points
from alerting.usecases.definitions.versions import require_revision
from alerting.usecases.model_registry import SetPointEffect
from alerting.usecases.training.promote import rollback
from alerting.usecases.training.training_requests import (
    ModelLine,
    ModelReport,
    ModelState,
    answer_waiting,
    cancel_training,
    model_line,
    model_lines,
    model_report,
    request_training,
    training_state,
)

_LINE = "title kind state version since provisional reason advice"
ModelSummary = Annotated[
    ModelLine,
    ShownAs(
        "ModelSummary",
        "State of the model of a definition. `version`: in service since `since`, null without "
        "one. `reason`: why a version waits, the last training failed, or it put nothing into "
        "service; empty otherwise. `advice`: what to do now, empty if nothing is.",
        _LINE,
        definition="name",
    ),
]


class ModelVersion(View):
    """One registered model."""

    version: int
    aliases: list[str]
    tags: dict[str, str]


ModelDecision = Annotated[
    DecisionRecord,
    ShownAs(
        "ModelDecision",
        "One promotion decision. `summary`: its reason for people; `reason`: as it was recorded. "
        "`details`: what was counted. `as_of`: the end of the readings of its training, null of a "
        "rollback.",
        "as_of revision challenger_version champion_version promoted provisional verdict reason "
        "details evidence run_id actor",
        at="acted_at",
        summary=(str, summarise_decision),
    ),
]


class ReportedModels(NamedTuple):
    """The models of a definition, and the definition."""

    report: ModelReport
    definition: Definition


def _points(models: ReportedModels) -> list[CurvePoint]:
    evidence = models.report.evidence
    definition = models.definition
    limit = 1.0
    if isinstance(definition, TrainedDefinition):
        limit = definition.operating_point.max_time_in_alarm
    return operating_points(evidence.curve, limit) if evidence else []


def _version(row: dict[str, Any]) -> ModelVersion:
    tags = {name: str(value) for name, value in row.items() if name not in ("version", "alias")}
    aliases = [alias for alias in row["alias"].split(", ") if alias]
    return ModelVersion(version=row["version"], aliases=aliases, tags=tags)


EvidenceView = Annotated[
    ReportedModels,
    ShownAs(
        "EvidenceView",
        "Evidence of the version that waits, else of the one in service, as its training measured "
        "it. `reliability`: mean score and observed share of problems, in bins of rows of the test "
        "period. `importance`: by variable. `test`: metrics of the test period.",
        points=(list[CurvePoint], _points),
        version=(int, "report.evidence.version"),
        reliability=(list[dict[str, float]], "report.evidence.reliability"),
        importance=(dict[str, float], "report.evidence.importance"),
        effects=(list[SetPointEffect], "report.evidence.effects"),
        test=(dict[str, Any], "report.evidence.test"),
    ),
]
WaitingView = Annotated[
    Proposal,
    ShownAs(
        "WaitingView",
        "A version that waits for a person. `run`: its training, to be named with the answer.",
        "reason",
        run="run_id",
        version=(int, lambda p: p.refreshed_version or p.challenger_version or 0),
        champion="champion_version",
    ),
]
ModelDetail = Annotated[
    ReportedModels,
    ShownAs(
        "ModelDetail",
        "The models of a definition: what waits, the candidates of the last training, the "
        "evidence, all registered versions, and every decision, oldest first. `unreadable`: why "
        "the registry of models cannot be read; its parts are then empty.",
        " ".join(f"report.line.{path}" for path in _LINE.split()),
        definition="report.line.name",
        waiting=(WaitingView | None, "report.waiting"),
        leaderboard=(list[CandidateSummary], "report.leaderboard"),
        evidence=(EvidenceView | None, lambda models: models if models.report.evidence else None),
        versions=(list[ModelVersion], lambda m: map(_version, m.report.history["versions"])),
        decisions=(list[ModelDecision], "report.decisions"),
        unreadable=(str | None, lambda models: models.report.history["unreadable"]),
    ),
]


class QuestionTraining(NamedTuple):
    """The newest training of a question. `present`: whether it is asked now."""

    training: Training
    present: bool
    state: Literal["requested", "under way", "failed", "cancelled", "ended"]


TrainingView = Annotated[
    QuestionTraining,
    ShownAs(
        "TrainingView",
        "The newest training of one question of a definition. `present`: of the question that the "
        "definition asks now. `failure`: why it ended without a decision.",
        "present state training.revision training.started_at training.ended_at "
        "training.requested_by training.requested_at training.cancelled_by training.attempts "
        "training.failure",
        id="training.run",
    ),
]


class TrainingsView(View):
    """State of the trainings of a definition, as in its models, and the newest of each question."""

    definition: str
    state: ModelState
    reason: str
    advice: str
    items: list[TrainingView]


class DecidedView(View):
    """A decision on a version. `promoted`: whether it is in service now."""

    definition: str
    version: int | None
    promoted: bool
    verdict: str
    reason: str


router = APIRouter(prefix="/api/v1", tags=["models"])


class ApprovalBody(Body):
    """The proposal that is approved; `run` as in `waiting`: if another proposal waits by now, the
    answer is refused."""

    run: Annotated[str, Field(min_length=1, max_length=100)] | None = None


class RejectionBody(ApprovalBody):
    """Why a version does not go into service, recorded with the decision."""

    reason: SomeShort


class RollbackBody(Body):
    """Why an earlier version goes back into service; `to`: which, the one before if left out."""

    reason: SomeShort
    to: Annotated[int, Field(ge=1, le=2**31 - 1), BeforeValidator(require_number)] | None = None


@router.get("/models")
def list_models(platform: Served, _: Viewer) -> list[ModelSummary]:
    """List the definitions in service with a model, those that wait for a person first."""
    return with_plant_times(model_lines(platform), platform.zone)


@router.get("/definitions/{name}/models")
def show_models(name: Id, platform: Served, _: Viewer) -> ModelDetail:
    """Show the models of a definition: what waits, the candidates of the last training, curve and
    evidence, versions and decisions."""
    report = model_report(platform, name)
    waiting = report.waiting and report.waiting.model_copy(
        update={"reason": plant_times(report.waiting.reason, platform.zone)}
    )
    report = replace(report, line=with_plant_times(report.line, platform.zone), waiting=waiting)
    return ReportedModels(report, require_revision(platform.definitions, name).definition)


@router.post("/definitions/{name}/models:approve", openapi_extra=MAY_CONFLICT)
def approve_model(
    name: Id, platform: Served, person: Engineer, body: ApprovalBody | None = None
) -> DecidedView:
    """Put the version that waits into service. The same decision as by command and in Airflow: 409
    names the person who was first. Role: engineer."""
    run = None if body is None else body.run
    return _decided_view(platform, answer_waiting(platform, name, person.name, None, run))


@router.post("/definitions/{name}/models:reject", openapi_extra=MAY_CONFLICT)
def reject_model(name: Id, body: RejectionBody, platform: Served, person: Engineer) -> DecidedView:
    """Reject the version that waits, with a reason. Role: engineer."""
    return _decided_view(
        platform, answer_waiting(platform, name, person.name, body.reason, body.run)
    )


@router.post("/definitions/{name}/models:rollback")
def roll_back(name: Id, body: RollbackBody, platform: Served, person: Engineer) -> DecidedView:
    """Put an earlier version back into service, from now on. Role: engineer."""
    record = rollback(platform, name, body.reason, person.name, body.to)
    return DecidedView(
        definition=name,
        version=record.challenger_version,
        promoted=True,
        verdict=record.verdict,
        reason=record.reason,
    )


@router.get("/definitions/{name}/trainings")
def list_trainings(name: Id, platform: Served, _: Viewer) -> TrainingsView:
    """Show the newest training of each question of a definition with its state, why it failed or
    put nothing into service, and what to do."""
    return _trainings(platform, name)


@router.post("/definitions/{name}/trainings", status_code=202, openapi_extra=MAY_CONFLICT)
def start_training(
    name: Id, platform: Served, person: Engineer, body: ReasonBody | None = None
) -> TrainingsView:
    """Ask for a training of the definition as it is now; the platform starts it within a minute or
    two. One at a time: a request that waits is the same request. Role: engineer."""
    request_training(platform, name, person.name, body.reason if body else "")
    return _trainings(platform, name)


@router.post(
    "/definitions/{name}/trainings:cancel",
    openapi_extra=MAY_CONFLICT,
    operation_id="cancel_training",
)
def end_training(
    name: Id, body: StatedReasonBody, platform: Served, person: Engineer
) -> TrainingsView:
    """End the training that is under way, at its next trial, or take back a request. Role:
    engineer."""
    cancel_training(platform, name, person.name, body.reason)
    return _trainings(platform, name)


def _trainings(platform: Platform, name: str) -> TrainingsView:
    line = model_line(platform, name)
    question = question_of(require_revision(platform.definitions, name))
    return TrainingsView(
        definition=name,
        state=line.state,
        reason=plant_times(line.reason, platform.zone),
        advice=line.advice,
        items=[
            QuestionTraining(
                replace(
                    training,
                    failure=training.failure and plant_times(training.failure, platform.zone),
                ),
                training.question == question,
                training_state(training, platform.clock.now()),
            )
            for training in reversed(platform.trainings.for_definitions([name]))
        ],
    )


def _decided_view(platform: Platform, decided: Proposal) -> DecidedView:
    return DecidedView(
        definition=decided.definition,
        version=decided.refreshed_version or decided.challenger_version,
        promoted=decided.promote,
        verdict=decided.verdict,
        reason=plant_times(decided.reason, platform.zone),
    )
