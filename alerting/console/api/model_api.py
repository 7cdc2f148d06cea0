"""REST API, version 1: models and trainings, and the decisions of people on them."""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import BeforeValidator, Field

from alerting.console.access import Engineer, Served, Viewer
from alerting.console.api.parameters import MAY_CONFLICT, Id, Short, SomeShort, require_number
from alerting.console.api.views import Body, View, plant_times
from alerting.definitions.alert_definition import Definition, TrainedDefinition
from alerting.definitions.revisions import question_of
from alerting.learning.selection.decision import CandidateSummary, Proposal
from alerting.ports import DecisionRecord, Platform, Training
from alerting.reporting.model_charts import CurvePoint, operating_points
from alerting.usecases.definitions.versions import require_revision
from alerting.usecases.model_registry import ModelEvidence, SetPointEffect
from alerting.usecases.training.promote import rollback
from alerting.usecases.training.training_requests import (
    ModelLine,
    ModelState,
    answer_waiting,
    cancel_training,
    model_line,
    model_lines,
    model_report,
    request_training,
    training_state,
)


class ModelSummary(View):
    """State of the model of a definition.

    `version`: in service since `since`, null without one. `reason`: why a version waits, the last
    training failed, or it put nothing into service; empty otherwise. `advice`: what to do now,
    empty if nothing is.
    """

    definition: str
    title: str
    kind: str
    state: ModelState
    version: int | None
    since: datetime | None
    provisional: bool
    reason: str
    advice: str


class ModelVersion(View):
    """One registered model."""

    version: int
    aliases: list[str]
    tags: dict[str, str]


class ModelDecision(View):
    """One promotion decision. `summary`: its reason for people; `reason`: as it was recorded.
    `as_of`: the end of the readings of its training, null of a rollback."""

    at: datetime
    as_of: datetime | None
    revision: int
    challenger_version: int | None
    champion_version: int | None
    promoted: bool
    provisional: bool
    verdict: str
    summary: str
    reason: str
    evidence: dict[str, Any]
    run_id: str | None
    actor: str


class EvidenceView(View):
    """Evidence of the version that waits, else of the one in service, as its training measured it.

    `reliability`: mean score and observed share of problems, in bins of rows of the test period.
    `importance`: by variable. `test`: metrics of the test period.
    """

    version: int
    points: list[CurvePoint]
    reliability: list[dict[str, float]]
    importance: dict[str, float]
    effects: list[SetPointEffect]
    test: dict[str, Any]


class WaitingView(View):
    """A version that waits for a person. `run`: its training, to be named with the answer."""

    run: str
    version: int
    champion: int | None
    reason: str


class ModelDetail(ModelSummary):
    """The models of a definition: what waits, the candidates of the last training, the evidence,
    all registered versions, and every decision, oldest first.

    `unreadable`: why the registry of models cannot be read; its parts are then empty.
    """

    waiting: WaitingView | None
    leaderboard: list[CandidateSummary]
    evidence: EvidenceView | None
    versions: list[ModelVersion]
    decisions: list[ModelDecision]
    unreadable: str | None


class TrainingView(View):
    """The newest training of one question of a definition.

    `present`: of the question that the definition asks now. `failure`: why it ended without a
    decision.
    """

    id: str
    revision: int
    present: bool
    state: Literal["requested", "under way", "failed", "cancelled", "ended"]
    started_at: datetime
    ended_at: datetime | None
    requested_by: str | None
    requested_at: datetime | None
    cancelled_by: str | None
    attempts: int
    failure: str | None


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


def summary_view(line: ModelLine, platform: Platform) -> ModelSummary:
    """Return the view of the state of a model."""
    return ModelSummary(**_summary(line, platform))


def _summary(line: ModelLine, platform: Platform) -> dict[str, Any]:
    names = ("title", "kind", "state", "version", "since", "provisional", "advice")
    return {
        "definition": line.name,
        "reason": plant_times(line.reason, platform.zone),
        **{name: getattr(line, name) for name in names},
    }


def evidence_view(evidence: ModelEvidence, definition: Definition) -> EvidenceView:
    """Return the view of the evidence of a version."""
    limit = (
        definition.operating_point.max_time_in_alarm
        if isinstance(definition, TrainedDefinition)
        else 1.0
    )
    return EvidenceView(
        version=evidence.version,
        points=operating_points(evidence.curve, limit),
        reliability=[dict(row) for row in evidence.reliability],
        importance=dict(evidence.importance),
        effects=list(evidence.effects),
        test=dict(evidence.test),
    )


def decision_view(decision: DecisionRecord, summary: str) -> ModelDecision:
    """Return the view of a decision."""
    fields = {
        name: getattr(decision, name)
        for name in ModelDecision.model_fields.keys() - {"summary", "at"}
    }
    return ModelDecision(summary=summary, at=decision.acted_at, **fields)


def _version(row: dict[str, Any]) -> ModelVersion:
    tags = {name: str(value) for name, value in row.items() if name not in ("version", "alias")}
    aliases = [alias for alias in row["alias"].split(", ") if alias]
    return ModelVersion(version=row["version"], aliases=aliases, tags=tags)


def training_view(training: Training, question: str | None, platform: Platform) -> TrainingView:
    """Return the view of a training. `question`: that the definition asks now."""
    names = ("revision", "started_at", "ended_at", "requested_by", "requested_at", "cancelled_by")
    return TrainingView(
        id=training.run,
        present=training.question == question,
        state=training_state(training, platform.clock.now()),
        attempts=training.attempts,
        failure=None if training.failure is None else plant_times(training.failure, platform.zone),
        **{name: getattr(training, name) for name in names},
    )


router = APIRouter(prefix="/api/v1", tags=["models"])
_MOST = 2**31 - 1
RunOfAnswer = Annotated[str, Field(min_length=1, max_length=100)]


class ApprovalBody(Body):
    """The proposal that is approved; `run` as in `waiting`: if another proposal waits by now, the
    answer is refused."""

    run: RunOfAnswer | None = None


class RejectionBody(ApprovalBody):
    """Why a version does not go into service, recorded with the decision."""

    reason: SomeShort


class RollbackBody(Body):
    """Why an earlier version goes back into service; `to`: which, the one before if left out."""

    reason: SomeShort
    to: Annotated[int, Field(ge=1, le=_MOST), BeforeValidator(require_number)] | None = None


class TrainingBody(Body):
    """Why a training is wanted, recorded in the audit."""

    reason: Short = ""


class CancelBody(Body):
    """Why a training is cancelled, recorded with it and in the audit."""

    reason: SomeShort


@router.get("/models")
def list_models(platform: Served, _: Viewer) -> list[ModelSummary]:
    """List the definitions in service with a model, those that wait for a person first."""
    return [summary_view(line, platform) for line in model_lines(platform)]


@router.get("/definitions/{name}/models")
def show_models(name: Id, platform: Served, _: Viewer) -> ModelDetail:
    """Show the models of a definition: what waits, the candidates of the last training, curve and
    evidence, versions and decisions."""
    report = model_report(platform, name)
    definition = require_revision(platform.definitions, name).definition
    waiting = report.waiting
    return ModelDetail(
        **_summary(report.line, platform),
        waiting=None
        if waiting is None
        else WaitingView(
            run=waiting.run_id,
            version=waiting.refreshed_version or waiting.challenger_version or 0,
            champion=waiting.champion_version,
            reason=plant_times(waiting.reason, platform.zone),
        ),
        leaderboard=list(report.leaderboard),
        evidence=None if report.evidence is None else evidence_view(report.evidence, definition),
        versions=[_version(version) for version in report.history["versions"]],
        decisions=[
            decision_view(decision, row["summary"])
            for decision, row in zip(report.decisions, report.history["decisions"], strict=True)
        ],
        unreadable=report.history["unreadable"],
    )


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
    name: Id, platform: Served, person: Engineer, body: TrainingBody | None = None
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
def end_training(name: Id, body: CancelBody, platform: Served, person: Engineer) -> TrainingsView:
    """End the training that is under way, at its next trial, or take back a request. Role:
    engineer."""
    cancel_training(platform, name, person.name, body.reason)
    return _trainings(platform, name)


def _trainings(platform: Platform, name: str) -> TrainingsView:
    line = model_line(platform, name)
    trainings = platform.trainings.for_definitions([name])
    question = question_of(require_revision(platform.definitions, name))
    return TrainingsView(
        definition=name,
        state=line.state,
        reason=plant_times(line.reason, platform.zone),
        advice=line.advice,
        items=[training_view(training, question, platform) for training in reversed(trainings)],
    )


def _decided_view(platform: Platform, decided: Proposal) -> DecidedView:
    return DecidedView(
        definition=decided.definition,
        version=decided.refreshed_version or decided.challenger_version,
        promoted=decided.promote,
        verdict=decided.verdict,
        reason=plant_times(decided.reason, platform.zone),
    )
