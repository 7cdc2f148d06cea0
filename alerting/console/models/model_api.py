"""REST API, version 1: models and trainings, and the decisions of people on them."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from alerting.adapters.platform import Platform
from alerting.console.api.api import MAY_CONFLICT, Engineer, Served, Viewer
from alerting.console.api.parameters import Id, Short, SomeShort, require_number
from alerting.console.api.plant_times import plant_times
from alerting.console.models import views
from alerting.definitions.revisions import question_of
from alerting.learning.selection.proposal import Proposal
from alerting.usecases.definitions.lookup import require_revision
from alerting.usecases.training.overview import model_line, model_lines, model_report
from alerting.usecases.training.promote import rollback
from alerting.usecases.training.runs import answer_waiting, cancel_training, request_training

router = APIRouter(prefix="/api/v1", tags=["models"])
_MOST = 2**31 - 1
RunOfAnswer = Annotated[str, Field(min_length=1, max_length=100)]


class ApprovalBody(BaseModel):
    """The proposal that is approved; `run` as in `waiting`: if another one waits by now, the answer
    is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    run: RunOfAnswer | None = None


class RejectionBody(ApprovalBody):
    """Why a version does not go into service, recorded with the decision."""

    reason: SomeShort


class RollbackBody(BaseModel):
    """Why an earlier version goes back into service; `to`: which, the one before if left out."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reason: SomeShort
    to: Annotated[int, Field(ge=1, le=_MOST), BeforeValidator(require_number)] | None = None


class TrainingBody(BaseModel):
    """Why a training is wanted, recorded in the audit."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reason: Short = ""


class CancelBody(BaseModel):
    """Why a training is cancelled, recorded with it and in the audit."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reason: SomeShort


@router.get("/models")
def list_models(platform: Served, _: Viewer) -> list[views.ModelSummary]:
    """List the definitions in service with a model, those that wait for a person first."""
    return [views.summary_view(line, platform) for line in model_lines(platform)]


@router.get("/definitions/{name}/models")
def show_models(name: Id, platform: Served, _: Viewer) -> views.ModelDetail:
    """Show the models of a definition: what waits, the candidates of the last training, curve and
    evidence, versions and decisions."""
    report = model_report(platform, name)
    definition = require_revision(platform.definitions, name).definition
    return views.detail_view(report, definition, platform)


@router.post("/definitions/{name}/models:approve", openapi_extra=MAY_CONFLICT)
def approve_model(
    name: Id, platform: Served, person: Engineer, body: ApprovalBody | None = None
) -> views.DecidedView:
    """Put the version that waits into service. The same decision as by command and in Airflow: 409
    names the person who was first. Role: engineer."""
    run = None if body is None else body.run
    return _decided(platform, answer_waiting(platform, name, person.name, None, run))


@router.post("/definitions/{name}/models:reject", openapi_extra=MAY_CONFLICT)
def reject_model(
    name: Id, body: RejectionBody, platform: Served, person: Engineer
) -> views.DecidedView:
    """Reject the version that waits, with a reason. Role: engineer."""
    return _decided(platform, answer_waiting(platform, name, person.name, body.reason, body.run))


@router.post("/definitions/{name}/models:rollback")
def roll_back(
    name: Id, body: RollbackBody, platform: Served, person: Engineer
) -> views.DecidedView:
    """Put an earlier version back into service, from now on. Role: engineer."""
    record = rollback(platform, name, body.reason, person.name, body.to)
    return views.DecidedView(
        definition=name,
        version=record.challenger_version,
        promoted=True,
        verdict=record.verdict,
        reason=record.reason,
    )


@router.get("/definitions/{name}/trainings")
def list_trainings(name: Id, platform: Served, _: Viewer) -> views.TrainingsView:
    """Show the newest training of each question of a definition with its state, why it failed or
    put nothing into service, and what to do."""
    return _trainings(platform, name)


@router.post("/definitions/{name}/trainings", status_code=202, openapi_extra=MAY_CONFLICT)
def start_training(
    name: Id, platform: Served, person: Engineer, body: TrainingBody | None = None
) -> views.TrainingsView:
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
    name: Id, body: CancelBody, platform: Served, person: Engineer
) -> views.TrainingsView:
    """End the training that is under way, at its next trial, or take back a request. Role:
    engineer."""
    cancel_training(platform, name, person.name, body.reason)
    return _trainings(platform, name)


def _trainings(platform: Platform, name: str) -> views.TrainingsView:
    line = model_line(platform, name)
    found = platform.trainings.for_definitions([name])
    question = question_of(require_revision(platform.definitions, name))
    return views.TrainingsView(
        definition=name,
        state=line.state,
        reason=plant_times(line.reason, platform.zone),
        advice=line.advice,
        items=[views.training_view(one, question, platform) for one in reversed(found)],
    )


def _decided(platform: Platform, decided: Proposal) -> views.DecidedView:
    return views.DecidedView(
        definition=decided.definition,
        version=decided.refreshed_version or decided.challenger_version,
        promoted=decided.promote,
        verdict=decided.verdict,
        reason=plant_times(decided.reason, platform.zone),
    )
