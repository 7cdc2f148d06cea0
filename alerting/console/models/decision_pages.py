"""Pages on which an engineer decides on models: each shows what it does before it is done."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from alerting.adapters.platform import Platform
from alerting.console.access import Person
from alerting.console.api.api import Engineer, Served
from alerting.console.api.parameters import FormField, Id
from alerting.console.language import language_of
from alerting.console.models.model_pages import comparison_rows, describe_curve
from alerting.console.web.forms import FormEngineer
from alerting.console.web.rendering import render
from alerting.definitions.faults import Conflicting, NotFound, UserError
from alerting.definitions.model import TrainedDefinition
from alerting.definitions.wording.language import translatable
from alerting.operators.actions import NotAllowed
from alerting.reporting.definition.decisions import explain_waiting
from alerting.usecases.alarm_load.changes import DEFINITIONS, document_with_point
from alerting.usecases.definitions.lookup import require_revision
from alerting.usecases.definitions.sync import ChangedSince
from alerting.usecases.definitions.versions import line_of_champions
from alerting.usecases.training.overview import ModelReport, model_report
from alerting.usecases.training.promote import rollback
from alerting.usecases.training.runs import answer_waiting, cancel_training, request_training

router = APIRouter(include_in_schema=False)
Act = Literal["decide", "train", "cancel", "rollback", "point"]
AtMost = Annotated[float | None, Query(gt=0, le=1e6)]


@router.get("/models/{name}/{act}", response_class=HTMLResponse)
def confirm(
    name: Id,
    act: Act,
    request: Request,
    platform: Served,
    _: Engineer,
    at_most: AtMost = None,
) -> str:
    """Return the page that shows what a decision does, with the form to take it."""
    return _page(request, platform, name, act, {"at_most": at_most})


@router.post("/models/{name}/{act}", response_class=HTMLResponse)
def act(
    name: Id,
    act: Act,
    request: Request,
    platform: Served,
    person: FormEngineer,
    answer: FormField = "",
    run: FormField = "",
    reason: FormField = "",
    to: FormField = "",
    at_most: FormField = "",
    revision: FormField = "",
    train: FormField = "",
) -> Response:
    """Take a decision, and go to the page of the models; a refusal is shown on the same page."""
    limit = _number(at_most)
    typed = {"reason": reason, "to": to, "at_most": limit}
    try:
        if act == "decide":
            _answer(platform, person, name, answer, run, reason)
        elif act == "train":
            request_training(platform, name, person.name, reason)
        elif act == "cancel":
            cancel_training(platform, name, person.name, reason)
        elif act == "rollback":
            rollback(platform, name, reason, person.name, int(to) if to.isdecimal() else None)
        else:
            _choose_point(platform, person, name, limit, revision, reason)
            if train:
                request_training(platform, name, person.name, reason)
    except (NotFound, NotAllowed):
        raise
    except UserError as refusal:
        status = 409 if isinstance(refusal, Conflicting | ChangedSince) else 422
        page = _page(request, platform, name, act, typed, refusal.message)
        return HTMLResponse(page, status)
    return RedirectResponse(f"/models/{name}", 303)


def _answer(
    platform: Platform, person: Person, name: str, answer: str, run: str, reason: str
) -> None:
    if answer not in ("approve", "reject"):
        raise UserError(translatable("choose to approve or to reject"))
    rejected = reason if answer == "reject" else None
    answer_waiting(platform, name, person.name, rejected, run or None)


def _choose_point(
    platform: Platform,
    person: Person,
    name: str,
    at_most: float | None,
    revision: str,
    reason: str,
) -> None:
    """Apply the definition with another limit of false alarms, from the revision that was seen."""
    if at_most is None or not revision.isdecimal():
        raise UserError(translatable("choose one of the points"))
    document = document_with_point(platform, name, at_most)
    now = platform.clock.now()
    why = reason or "operating point chosen on its curve"
    DEFINITIONS.apply(platform, [document], person.name, now, why, expected=int(revision))


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 < value <= 1e6 else None


def _page(
    request: Request,
    platform: Platform,
    name: str,
    act: Act,
    typed: dict[str, Any],
    refusal: str = "",
) -> str:
    report = model_report(platform, name)
    revision = require_revision(platform.definitions, name)
    curve = describe_curve(report.evidence, revision.definition)
    points = [] if curve is None else [point for point, _ in curve["points"]]
    chosen = next((p for p in points if p.at_most and p.at_most == typed.get("at_most")), None)
    return render(
        "model_act.html",
        request,
        act=act,
        name=name,
        title=report.line.title,
        line=report.line,
        waiting=report.waiting,
        why_waiting=report.waiting and explain_waiting(report.waiting.objection),
        comparison=comparison_rows(report.waiting, language_of(request)),
        served=_served(report),
        revision=revision.number,
        present=next((p for p in points if p.chosen), None),
        chosen=chosen,
        setting=chosen and f"operating_point: {{false_alarms_per_week: {chosen.at_most:g}}}",
        by_limit=isinstance(revision.definition, TrainedDefinition)
        and revision.definition.operating_point.most_false_alarms is not None,
        typed=typed,
        refusal=refusal,
        now=platform.clock.now(),
    )


def _served(report: ModelReport) -> list[int]:
    """Return the versions that were in service before the present one, the last first."""
    question = next((d.question for d in reversed(report.decisions) if d.promoted), None)
    line = line_of_champions(report.decisions, question)
    return [version for version in dict.fromkeys(reversed(line)) if version != report.line.version]
