"""The editor of definitions: starts, preview on the past, scenarios, effects of a change."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta, tzinfo
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import Field

from alerting.adapters.files.yaml_documents import parse_yaml
from alerting.console.api.api import Engineer, Served
from alerting.console.api.parameters import NameQuery
from alerting.console.definitions import starts
from alerting.console.definitions.documents import (
    EXAMPLE,
    MOST_VALUES,
    SCENARIO_EXAMPLE,
    read_yaml_document,
    write_yaml,
)
from alerting.console.definitions.form import variables_of
from alerting.console.definitions.list_page import page_values
from alerting.console.definitions.preview_api import PreviewId, RunningPreviews, begin_preview
from alerting.console.definitions.preview_shapes import preview_shape
from alerting.console.definitions.previews import PreviewJob, Previews
from alerting.console.definitions.views import (
    DefinitionSummary,
    ForecastView,
    describe_definition,
    summary_view,
)
from alerting.console.documents.editor import apply_draft, render_editor, review_draft
from alerting.console.documents.kinds import (
    ConsoleKind,
    Draft,
    EditorAnswer,
    FormFields,
    PressedButton,
    ReviewView,
    SentDraft,
)
from alerting.console.web.rendering import FormEngineer, language_of, render, zone_of
from alerting.definitions.assets import asset_titles
from alerting.definitions.faults import NotFound, UserError
from alerting.definitions.wording.language import translatable
from alerting.kinds.registry import definition_types
from alerting.ports import Document, Platform
from alerting.usecases.alarm_load.changes import DEFINITIONS, DefinitionEffects
from alerting.usecases.alarm_load.overview import definition_line
from alerting.usecases.backtest.cached_readings import CACHED_S
from alerting.usecases.backtest.preview import PreviewedAlarms
from alerting.usecases.definitions.scenarios import ScenarioResult, run_scenarios

router = APIRouter(include_in_schema=False)
WEEKS = (1, 2, 4, 8, 13)
USUAL_WEEKS = 4
_PATIENCE_S = 1.5  # for a preview, before its page shows progress
_ORIGIN = translatable("the text")
_SCENARIOS = translatable("the scenarios")


@router.get("/definitions/new", response_class=HTMLResponse)
def choose_start(
    request: Request,
    platform: Served,
    _: Engineer,
    start: NameQuery = "",
    asset: NameQuery = "",
    variable: NameQuery = "",
) -> str:
    """Return the page that asks what is wanted, or the editor with the text to start from."""
    subject = starts.find_subject(platform, asset, variable)
    if not start:
        named = subject if asset or variable else starts.ChosenSubject()
        return render(
            "definitions/starts.html", request, starts=starts.list_starts(), subject=named
        )
    if not starts.asks_for_variable(start):
        subject = replace(subject, variables=())
    draft = Draft(starts.starting_text(platform, start, subject), as_form=False)
    answer = EditorAnswer(more={"start": start, "subject": subject})
    return render_editor(DEFINITION_PAGES, request, platform, draft, answer)


@router.get("/previews/{id}", response_class=HTMLResponse)
def show_preview(
    id: PreviewId, request: Request, platform: Served, person: Engineer, previews: RunningPreviews
) -> str:
    """Return the editor with one's own preview: its progress, or its result."""
    job = previews.find(person.name, id)
    if job.draft is None:
        raise NotFound(f"preview {id!r} was begun by a program")
    weeks = max(1, round((job.identity[2] - job.identity[1]) / timedelta(weeks=1)))
    answer = EditorAnswer(more={"preview": job, "weeks": weeks})
    return render_editor(DEFINITION_PAGES, request, platform, job.draft, answer)


@router.post("/previews/{id}/end", response_class=Response, status_code=204)
def end_preview(id: PreviewId, person: FormEngineer, previews: RunningPreviews) -> None:
    """Stop one's own preview, because its page is left; a result stays."""
    previews.find(person.name, id).cancelled.set()


def _run(document: Document, text: str, zone: tzinfo) -> Sequence[ScenarioResult]:
    """Return the results of scenarios, of a text that is a list or a scenario file. Raises
    UserError."""
    found = parse_yaml(text, _SCENARIOS, MOST_VALUES)
    written = found[0] if len(found) == 1 else None
    listed = written.get("scenarios") if isinstance(written, dict) else written
    if not isinstance(listed, list) or not listed:
        raise UserError(
            translatable("the scenarios: write a list, each with a title, readings, and expect")
        )
    return run_scenarios(document, listed, _SCENARIOS, zone)


def _run_scenarios(pressed: PressedButton, answer: EditorAnswer) -> EditorAnswer:
    zone = pressed.platform.zone
    tested = _run(pressed.document, pressed.sent.draft.scenarios, zone)
    return replace(answer, more={"tested": tested})


def _save_draft(pressed: PressedButton, _: EditorAnswer) -> Response:
    document = {**pressed.document, "state": "draft"}
    return apply_draft(DEFINITION_PAGES, replace(pressed, document=document))


def _stop_preview(pressed: PressedButton, answer: EditorAnswer) -> EditorAnswer:
    pressed.request.app.state.previews.cancel_newest(pressed.person.name)
    return review_draft(DEFINITION_PAGES, pressed, answer)


def _preview(pressed: PressedButton, _: EditorAnswer) -> Response:
    previews: Previews = pressed.request.app.state.previews
    owner = pressed.person.name
    platform = pressed.platform
    weeks = _chosen_weeks(pressed.sent)
    start, end = _period(previews.find_newest(owner), platform.clock.now(), weeks)
    draft = pressed.sent.draft
    job = begin_preview(platform, previews, owner, pressed.document, start, end, draft)
    job.ended.wait(_PATIENCE_S)
    return RedirectResponse(f"/previews/{job.id}", 303)


def _chosen_weeks(sent: SentDraft | None) -> int:
    weeks = sent.input("weeks") if sent else ""
    return int(weeks) if weeks in map(str, WEEKS) else USUAL_WEEKS


def _period(before: PreviewJob | None, now: datetime, weeks: int) -> tuple[datetime, datetime]:
    """Return the last weeks; those of a person's preview just before, whose series are held."""
    length = timedelta(weeks=weeks)
    if before is not None:
        _, start, end = before.identity
        if end - start == length and timedelta(0) <= now - end < timedelta(seconds=CACHED_S):
            return start, end
    return now - length, now


def _edit_values(
    request: Request, platform: Platform, draft: Draft, answer: EditorAnswer
) -> dict[str, Any]:
    """Return what the editor of definitions shows beside a draft: its preview and scenarios."""
    job: PreviewJob | None = answer.more.get("preview")
    newest = platform.definitions.newest_revision(draft.name) if draft.name else None
    made = job.made if job else None
    assets = platform.assets.all() if draft.as_form else ()
    events = platform.assets.event_types() if draft.as_form else ()
    shape = _shape(request, job)
    review = answer.review
    accepted = answer.sent.accepted if answer.sent else ""
    effects = review.effects if review else None
    is_beyond = isinstance(effects, DefinitionEffects) and effects.breaks_budget
    return {
        "variables": variables_of(assets),
        "offered": {
            "assets": {asset.name: asset.title or "" for asset in assets},
            "problem.event": {one.name: one.title or "" for one in events},
        },
        "described": describe_definition(platform, review.read) if review else "",
        "title": (newest.definition.title or draft.name) if newest else draft.name,
        "may_be_draft": not newest or newest.definition.state == "draft",
        "job": job,
        "running": job is not None and not job.ended.is_set(),
        "made": made,
        "shape": shape,
        "asset_titles": asset_titles(platform.assets.get_many(_named_assets(made, shape)).values()),
        "budget": platform.budget.per_day,
        "all_weeks": WEEKS,
        "weeks": answer.more.get("weeks") or _chosen_weeks(answer.sent),
        "example": write_yaml([SCENARIO_EXAMPLE]),
        "most_offered": starts.MOST_OFFERED,
        "tested": answer.more.get("tested", ()),
        "start": answer.more.get("start", ""),
        "about": answer.more.get("subject"),
        "accepted": accepted,
        "asks_for_load": bool(accepted) or (is_beyond and bool(answer.fault)),
    }


def _shape(request: Request, job: PreviewJob | None) -> dict[str, Any] | None:
    """Return what is drawn of a preview: its result, or a sketch while it is under way."""
    if job is None or job.draft is None:
        return None
    document = read_yaml_document(job.draft.text, _ORIGIN)
    drawn = job.made.drawn if job.made else None if job.ended.is_set() else job.sketch
    if drawn is None:
        return None
    return preview_shape(drawn, zone_of(request), language_of(request), document)


def _named_assets(made: PreviewedAlarms | None, shape: dict[str, Any] | None) -> set[str]:
    named = {one.asset for one in made.newest} if made else set()
    problems = made.problems.newest if made and made.problems else ()
    return named | {one.asset for one in problems} | ({shape["asset"]} if shape else set())


class DefinitionReviewView(ReviewView):
    """The effect of a document; a faulty one has faults alone. `clock_times`: its hours and
    schedule, with their time zones; `load`: null if the change cannot cause alarms; `next`: when it
    is evaluated or trained."""

    warnings: list[str] = Field(default_factory=list)
    clock_times: list[str] = Field(default_factory=list)
    load: ForecastView | None = None
    next: str | None = None


def _starting_fields(document: Document) -> frozenset[str]:
    """Return the fields with which a definition of the kind of a document begins."""
    starts_of_kind = definition_types()[str(document["kind"])].starts
    return frozenset(key for one in starts_of_kind for key in one.fields("", 0.0))


DEFINITION_PAGES = ConsoleKind(
    DEFINITIONS,
    example=EXAMPLE,
    title=translatable("Definitions"),
    new=translatable("New definition"),
    reads="read",
    own_list=True,
    page="definitions/definition.html",
    line_view=DefinitionSummary,
    review_view=DefinitionReviewView,
    status=lambda platform, one, now: definition_line(platform, now, one.name),
    view=summary_view,
    more=page_values,
    as_form=False,
    editor="definitions/editor.html",
    editing=_edit_values,
    fields=FormFields(starting=_starting_fields, named=frozenset({"variable", "by"})),
    new_page="/definitions/new",
    buttons={
        "preview": _preview,
        "test": _run_scenarios,
        "draft": _save_draft,
        "stop": _stop_preview,
    },
)
