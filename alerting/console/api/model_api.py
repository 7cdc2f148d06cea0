"""REST API, version 1: models and trainings, and the decisions of people on them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import BeforeValidator, Field

from alerting.console.access import Engineer, Served, Viewer
from alerting.console.api.parameters import MAY_CONFLICT, Id, SomeShort, require_number
from alerting.console.api.views import (
    Body,
    ReasonBody,
    StatedReasonBody,
    reader_of,
    translate_texts,
)
from alerting.definitions.alert_definition import Definition, TrainedDefinition
from alerting.definitions.revisions import question_of
from alerting.learning.selection.decision import CandidateSummary, Proposal
from alerting.ports import Platform
from alerting.reporting.definition.decision_reason import summarise_decision
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


@dataclass(frozen=True, kw_only=True)
class ModelSummary:
    """State of the model of a definition. `version`: in service since `since`, null without one.
    `reason`: why a version waits, the last training failed, or it put nothing into service; empty
    otherwise. `advice`: what to do now, empty if nothing is."""

    title: str
    kind: str
    state: ModelState
    version: int | None
    since: datetime | None
    provisional: bool
    reason: str
    advice: str
    definition: str

    @classmethod
    def from_domain(cls, line: ModelLine) -> "ModelSummary":
        """Return the summary of a model."""
        return ModelSummary(
            title=line.title,
            kind=line.kind,
            state=line.state,
            version=line.version,
            since=line.since,
            provisional=line.provisional,
            reason=line.reason,
            advice=line.advice,
            definition=line.name,
        )


@dataclass(frozen=True, kw_only=True)
class ModelVersion:
    """One registered model."""

    version: int
    aliases: list[str]
    tags: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class ModelDecision:
    """One promotion decision. `summary`: its reason for people; `reason`: as it was recorded;
    `details`: what was counted. `as_of`: the end of the readings of its training, null of a
    rollback."""

    as_of: datetime | None
    revision: int
    challenger_version: int | None
    champion_version: int | None
    promoted: bool
    provisional: bool
    verdict: str
    reason: str
    details: str
    evidence: Mapping[str, Any]
    run_id: str | None
    actor: str
    at: datetime
    summary: str


def _version(row: dict[str, Any]) -> ModelVersion:
    tags = {name: str(value) for name, value in row.items() if name not in ("version", "alias")}
    aliases = [alias for alias in row["alias"].split(", ") if alias]
    return ModelVersion(version=row["version"], aliases=aliases, tags=tags)


@dataclass(frozen=True, kw_only=True)
class EvidenceView:
    """Evidence of the version that waits, else of the one in service, as its training measured it.
    `reliability`: mean score and observed share of problems, in bins of rows of the test period.
    `importance`: by variable. `test`: metrics of the test period."""

    points: list[CurvePoint]
    version: int
    reliability: Sequence[Mapping[str, float]]
    importance: Mapping[str, float]
    effects: Sequence[SetPointEffect]
    test: Mapping[str, Any]


def _evidence(evidence: ModelEvidence, definition: Definition) -> EvidenceView:
    limit = 1.0
    if isinstance(definition, TrainedDefinition):
        limit = definition.operating_point.max_time_in_alarm
    return EvidenceView(
        points=operating_points(evidence.curve, limit),
        version=evidence.version,
        reliability=evidence.reliability,
        importance=evidence.importance,
        effects=evidence.effects,
        test=evidence.test,
    )


@dataclass(frozen=True, kw_only=True)
class WaitingView:
    """A version that waits for a person. `details`: what was counted. `run`: its training, to be
    named with the answer."""

    reason: str
    details: str
    run: str
    version: int
    champion: int | None


def _waiting(proposal: Proposal) -> WaitingView:
    return WaitingView(
        reason=proposal.reason,
        details=proposal.details,
        run=proposal.run_id,
        version=proposal.refreshed_version or proposal.challenger_version or 0,
        champion=proposal.champion_version,
    )


@dataclass(frozen=True, kw_only=True)
class ModelDetail(ModelSummary):
    """The models of a definition: what waits, the candidates of the last training, the evidence,
    all registered versions, and every decision, oldest first. `unreadable`: why the registry of
    models cannot be read; its parts are then empty."""

    waiting: WaitingView | None
    leaderboard: Sequence[CandidateSummary]
    evidence: EvidenceView | None
    versions: list[ModelVersion]
    decisions: list[ModelDecision]
    unreadable: str | None


@dataclass(frozen=True, kw_only=True)
class TrainingView:
    """The newest training of one question of a definition. `present`: of the question that the
    definition asks now. `failure`: why it ended without a decision."""

    present: bool
    state: Literal["requested", "under way", "failed", "cancelled", "ended"]
    revision: int
    started_at: datetime
    ended_at: datetime | None
    requested_by: str | None
    requested_at: datetime | None
    cancelled_by: str | None
    attempts: int
    failure: str | None
    id: str


@dataclass(frozen=True, kw_only=True)
class TrainingsView:
    """State of the trainings of a definition, as in its models, and the newest of each question."""

    definition: str
    state: ModelState
    reason: str
    advice: str
    items: list[TrainingView]


@dataclass(frozen=True, kw_only=True)
class DecidedView:
    """A decision on a version. `promoted`: whether it is in service now. `details`: what was
    counted."""

    definition: str
    version: int | None
    promoted: bool
    verdict: str
    reason: str
    details: str


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
    lines = [ModelSummary.from_domain(line) for line in model_lines(platform)]
    return translate_texts(lines, reader_of(platform))


@router.get("/definitions/{name}/models")
def show_models(name: Id, platform: Served, _: Viewer) -> ModelDetail:
    """Show the models of a definition: what waits, the candidates of the last training, curve and
    evidence, versions and decisions."""
    report = model_report(platform, name)
    definition = require_revision(platform.definitions, name).definition
    detail = ModelDetail(
        **vars(ModelSummary.from_domain(report.line)),
        waiting=_waiting(report.waiting) if report.waiting else None,
        leaderboard=report.leaderboard,
        evidence=_evidence(report.evidence, definition) if report.evidence else None,
        versions=[_version(row) for row in report.history["versions"]],
        decisions=[
            ModelDecision(
                as_of=made.as_of,
                revision=made.revision,
                challenger_version=made.challenger_version,
                champion_version=made.champion_version,
                promoted=made.promoted,
                provisional=made.provisional,
                verdict=made.verdict,
                reason=made.reason,
                details=made.details,
                evidence=made.evidence,
                run_id=made.run_id,
                actor=made.actor,
                at=made.acted_at,
                summary=summarise_decision(made),
            )
            for made in report.decisions
        ],
        unreadable=report.history["unreadable"],
    )
    return translate_texts(detail, reader_of(platform))


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
    view = DecidedView(
        definition=name,
        version=record.challenger_version,
        promoted=True,
        verdict=record.verdict,
        reason=record.reason,
        details=record.details,
    )
    return translate_texts(view, reader_of(platform))


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
    view = TrainingsView(
        definition=name,
        state=line.state,
        reason=line.reason,
        advice=line.advice,
        items=[
            TrainingView(
                present=training.question == question,
                state=training_state(training, platform.clock.now()),
                revision=training.revision,
                started_at=training.started_at,
                ended_at=training.ended_at,
                requested_by=training.requested_by,
                requested_at=training.requested_at,
                cancelled_by=training.cancelled_by,
                attempts=training.attempts,
                failure=training.failure,
                id=training.run,
            )
            for training in reversed(platform.trainings.for_definitions([name]))
        ],
    )
    return translate_texts(view, reader_of(platform))


def _decided_view(platform: Platform, decided: Proposal) -> DecidedView:
    view = DecidedView(
        definition=decided.definition,
        version=decided.refreshed_version or decided.challenger_version,
        promoted=decided.promote,
        verdict=decided.verdict,
        reason=decided.reason,
        details=decided.details,
    )
    return translate_texts(view, reader_of(platform))
