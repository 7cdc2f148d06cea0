"""Pages of models: their list, and the acts on them: trainings, decisions, other versions, other
operating points."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from alerting.console.access import Engineer, Person, Served, Viewer
from alerting.console.api.parameters import FormField, Id, NameQuery
from alerting.console.model_values import (
    STATE_NAMES,
    comparison_rows,
    describe_curve,
    explain_proposal,
    propose_alert,
)
from alerting.console.rendering import FormEngineer, address_with, language_of, render
from alerting.definitions.faults import Conflicting, NotFound, UserError
from alerting.definitions.wording.language import translatable
from alerting.operators.actions_and_mutes import NotAllowed
from alerting.ports import Platform
from alerting.reporting.definition.unseen_text import describe_test
from alerting.usecases.alarm_load.definition_overview import sort_lines
from alerting.usecases.definitions.versions import line_of_champions, require_revision
from alerting.usecases.document_kinds import DEFINITIONS, document_with_point
from alerting.usecases.document_life import ChangedMeanwhile
from alerting.usecases.training.promote import rollback
from alerting.usecases.training.training_requests import (
    ModelLine,
    answer_waiting,
    cancel_training,
    model_lines,
    model_report,
    request_training,
)

router = APIRouter(include_in_schema=False)
_ORDERS: Mapping[str, Callable[[ModelLine], Any]] = {
    "title": lambda line: line.title.casefold(),
    "state": lambda line: list(STATE_NAMES).index(line.state),
    "version": lambda line: line.version,
    "last": lambda line: line.since,
}


@router.get("/models", response_class=HTMLResponse)
def list_models(request: Request, platform: Served, _: Viewer, sort: NameQuery = "") -> str:
    """Return the page of all models: those that need a person first, or sorted."""
    lines = model_lines(platform)
    order = sort if sort.removeprefix("-") in _ORDERS else ""
    return render(
        "model_list.html",
        request,
        lines=sort_lines(lines, order, _ORDERS) if order else lines,
        order=order,
        address=lambda **changed: address_with("/models", changed),
        states=STATE_NAMES,
        now=platform.clock.now(),
    )


Act = Literal["decide", "train", "cancel", "rollback", "point"]


@router.get("/models/{name}/{act}", response_class=HTMLResponse)
def confirm(
    name: Id,
    act: Act,
    request: Request,
    platform: Served,
    _: Engineer,
    alarm_at: Annotated[float | None, Query(gt=0, lt=1)] = None,
) -> str:
    """Return the page that shows the effect of a decision, with the form to take it."""
    return _page(request, platform, name, act, {"alarm_at": alarm_at})


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
    alarm_at: Annotated[float | None, Form(gt=0, lt=1)] = None,
    revision: FormField = "",
) -> Response:
    """Take a decision, and go to the page of the models; a refusal is shown on the same page."""
    typed = {"reason": reason, "to": to, "alarm_at": alarm_at}
    try:
        if act == "decide":
            if answer not in ("approve", "reject"):
                raise UserError(translatable("choose to approve or to reject"))
            rejected = reason if answer == "reject" else None
            answer_waiting(platform, name, person.name, rejected, run or None)
        elif act == "train":
            request_training(platform, name, person.name, reason)
        elif act == "cancel":
            cancel_training(platform, name, person.name, reason)
        elif act == "rollback":
            rollback(platform, name, reason, person.name, int(to) if to.isdecimal() else None)
        else:
            _choose_point(platform, person, name, alarm_at, revision, reason)
    except (NotFound, NotAllowed):
        raise
    except UserError as refusal:
        status = 409 if isinstance(refusal, Conflicting | ChangedMeanwhile) else 422
        return HTMLResponse(_page(request, platform, name, act, typed, refusal.message), status)
    return RedirectResponse(f"/models/{name}", 303)


def _choose_point(
    platform: Platform,
    person: Person,
    name: str,
    alarm_at: float | None,
    revision: str,
    reason: str,
) -> None:
    """Apply the definition with another threshold, which counts from now on, from the revision that
    was seen."""
    if alarm_at is None or not revision.isdecimal():
        raise UserError(translatable("choose one of the points"))
    if not model_report(platform, name).is_curve_in_force:
        raise UserError(
            translatable("decide on the version that waits first: the curve is its own")
        )
    document = document_with_point(platform, name, alarm_at)
    now = platform.clock.now()
    why = reason or "operating point chosen on its curve"
    DEFINITIONS.apply(platform, [document], person.name, now, why, expected=int(revision))


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
    points = [] if curve is None else curve["points"]
    chosen = next((p for p in points if p.at_most and p.threshold == typed.get("alarm_at")), None)
    tested = chosen and report.evidence and report.evidence.at_threshold(chosen.threshold)
    question = next((d.question for d in reversed(report.decisions) if d.promoted), None)
    line = line_of_champions(report.decisions, question)
    return render(
        "model_act.html",
        request,
        act=act,
        name=name,
        title=report.line.title,
        line=report.line,
        waiting=report.waiting,
        why_waiting=explain_proposal(report.waiting),
        proposed=propose_alert(report),
        comparison=comparison_rows(report.waiting, language_of(request)),
        served=[
            version for version in dict.fromkeys(reversed(line)) if version != report.line.version
        ],
        revision=revision.number,
        present=next((p for p in points if p.chosen), None),
        chosen=chosen,
        tested=tested and describe_test(tested.test),
        tested_now=report.evidence and describe_test(report.evidence.test),
        setting=chosen and f"operating_point: {{alarm_at: {chosen.threshold!r}}}",
        typed=typed,
        refusal=refusal,
        now=platform.clock.now(),
    )
