"""The editor of definitions as YAML: check, preview on the past, conflicts."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, tzinfo
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from alerting.adapters.files.yaml_documents import parse_yaml
from alerting.adapters.platform import Platform
from alerting.console.access import Person
from alerting.console.api.api import Engineer, Served
from alerting.console.api.parameters import FormField, Id, NameQuery
from alerting.console.definitions import starts
from alerting.console.definitions.documents import (
    MOST_VALUES,
    SCENARIO_EXAMPLE,
    line_of_path,
    read_yaml_document,
    write_yaml,
    write_yaml_document,
)
from alerting.console.definitions.form import (
    FormGroup,
    draw_form,
    variables_of,
)
from alerting.console.definitions.form_document import change_form, read_form
from alerting.console.definitions.preview_api import PreviewId, RunningPreviews, begin_preview
from alerting.console.definitions.preview_shapes import preview_shape
from alerting.console.definitions.previews import EditedDraft, PreviewJob, Previews
from alerting.console.definitions.views import asset_titles, describe_definition, shown_document
from alerting.console.language import language_of
from alerting.console.web.forms import FormEngineer
from alerting.console.web.rendering import render, zone_of
from alerting.definitions.faults import Fault, NotFound, UserError
from alerting.definitions.model import Definition
from alerting.definitions.wording.language import translatable
from alerting.ports import Document
from alerting.usecases.alarm_load.changes import DEFINITIONS, DefinitionEffects
from alerting.usecases.backtest.cached_readings import CACHED_S
from alerting.usecases.backtest.preview import PreviewedAlarms
from alerting.usecases.definitions.scenarios import ScenarioResult, run_scenarios
from alerting.usecases.definitions.sync import ChangedSince
from alerting.usecases.documents import DocumentReview, Expected

router = APIRouter(include_in_schema=False)
LONGEST_TEXT = 40_000
WEEKS = (1, 2, 4, 8, 13)
USUAL_WEEKS = 4
_PATIENCE_S = 1.5  # for a preview, before its page shows progress
LONGEST_PATH = 300
DraftText = Annotated[str, Form(max_length=LONGEST_TEXT)]
Act = Annotated[
    str, Form(max_length=LONGEST_PATH, pattern=r"^[a-z]+(:[A-Za-z0-9_.-]+(:[0-9]{1,2})?)?$")
]
SHAPES = frozenset({"form", "yaml", "add", "remove", "way"})
"""Values of the buttons that change the shape of a draft alone."""
_ORIGIN = translatable("the text")
_SCENARIOS = translatable("the scenarios")


@dataclass(frozen=True)
class Editor:
    """The content of the editor's page. `draft`: text, name and revision, as of a preview.

    `review`: the check of the text; `tested`: scenarios that were run; `fault`: why there is none;
    `changed`: the change of somebody else since; `over_budget`: it may only be applied with a
    reason; `start`: the question with which a new one begins, about `subject`.
    """

    draft: EditedDraft
    review: DocumentReview[Definition] | None = None
    fault: str = ""
    changed: ChangedSince | None = None
    over_budget: bool = False
    preview: PreviewJob | None = None
    tested: Sequence[ScenarioResult] = ()
    weeks: int = USUAL_WEEKS
    reason: str = ""
    accept_load: str = ""
    start: str = ""
    subject: starts.ChosenSubject | None = None

    @property
    def status(self) -> int:
        """Return the status of the page's answer."""
        if self.changed is not None:
            return 412
        refused = self.fault or self.over_budget or (self.review and self.review.faults)
        return 422 if refused else 200


async def read_draft(
    request: Request,
    text: DraftText = "",
    reason: FormField = "",
    accept_load: FormField = "",
    weeks: Annotated[int, Form(ge=1, le=13)] = USUAL_WEEKS,
    shape: FormField = "",
    scenarios: DraftText = "",
) -> Editor:
    """Return the editor's content as it was sent: as text, or as the inputs of a form."""
    as_form = shape == "form"
    if as_form:
        items = (await request.form()).multi_items()
        sent = [(name, value) for name, value in items if isinstance(value, str)]
        text = write_yaml_document(read_form(sent))
    draft = EditedDraft(_lines(text), "", 0, as_form, _lines(scenarios))
    return Editor(draft, weeks=weeks, reason=reason.strip(), accept_load=accept_load.strip())


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n")


SentDraft = Annotated[Editor, Depends(read_draft)]


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
    draft = EditedDraft(starts.starting_text(platform, start, subject), "", 0)
    return _page(request, platform, Editor(draft, start=start, subject=subject))


@router.post("/definitions/new", response_class=HTMLResponse)
def submit_new(
    request: Request,
    platform: Served,
    person: FormEngineer,
    previews: RunningPreviews,
    sent: SentDraft,
    do: Act = "check",
) -> Response:
    """Check, preview or apply a new definition, as the pressed button says."""
    return _submit(request, platform, person, previews, do, sent)


@router.get("/definitions/{name}/edit", response_class=HTMLResponse)
def edit(name: Id, request: Request, platform: Served, _: Engineer) -> str:
    """Return the editor with the current document of a definition."""
    found = next(iter(platform.definitions.documents([name])), None)
    if found is None:
        raise NotFound(f"there is no definition {name!r}")
    newest = platform.definitions.newest_revision(name)
    text = write_yaml_document(shown_document(found))
    draft = EditedDraft(text, name, newest.number if newest else 0)
    return _page(request, platform, Editor(draft))


@router.post("/definitions/{name}/edit", response_class=HTMLResponse)
def submit_edit(
    name: Id,
    request: Request,
    platform: Served,
    person: FormEngineer,
    previews: RunningPreviews,
    sent: SentDraft,
    do: Act = "check",
    revision: Annotated[int, Form(ge=0, le=2**31 - 1)] = 0,
) -> Response:
    """Check, preview or apply a change of a definition, as the pressed button says."""
    if not platform.definitions.documents([name]):
        raise NotFound(f"there is no definition {name!r}")
    draft = replace(sent.draft, name=name, revision=revision)
    return _submit(request, platform, person, previews, do, replace(sent, draft=draft))


@router.get("/previews/{id}", response_class=HTMLResponse)
def show_preview(
    id: PreviewId, request: Request, platform: Served, person: Engineer, previews: RunningPreviews
) -> str:
    """Return the editor with one's own preview: its progress, or its result."""
    job = previews.find(person.name, id)
    if job.draft is None:
        raise NotFound(f"preview {id!r} was begun by a program")
    weeks = max(1, round((job.identity[2] - job.identity[1]) / timedelta(weeks=1)))
    return _page(request, platform, Editor(job.draft, preview=job, weeks=weeks))


@router.post("/previews/{id}/end", response_class=Response, status_code=204)
def end_preview(id: PreviewId, person: FormEngineer, previews: RunningPreviews) -> None:
    """Stop one's own preview, because its page is left; a result stays."""
    previews.find(person.name, id).cancelled.set()


def _submit(
    request: Request,
    platform: Platform,
    person: Person,
    previews: Previews,
    do: str,
    editor: Editor,
) -> Response:
    act, _, where = do.partition(":")
    try:
        document = _document(editor.draft)
        if act == "preview":
            return _preview(platform, person, previews, document, editor)
        if act in ("apply", "draft"):
            return _apply(request, platform, person, document, editor, as_draft=act == "draft")
        if act == "test":
            editor = replace(editor, tested=_run(document, editor.draft.scenarios, platform.zone))
        elif act in SHAPES:
            editor = replace(editor, draft=_in_shape(editor.draft, document, act, where))
        else:
            if act == "stop":
                previews.cancel_newest(person.name)
            editor = replace(editor, review=DEFINITIONS.review(platform, document))
    except UserError as refusal:
        editor = replace(editor, fault=refusal.message)
    return HTMLResponse(_page(request, platform, editor), editor.status)


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


def _in_shape(draft: EditedDraft, document: Document, act: str, where: str) -> EditedDraft:
    """Return a draft as text or as a form, of which a field was added, removed or written in
    another way."""
    if act == "yaml":
        return replace(draft, as_form=False)
    if act == "form":
        draw_form(document)  # refuses an unknown kind
        return replace(draft, as_form=True)
    path, _, way = where.partition(":")
    changed = change_form(document, act, path, int(way or 0)) if path else document
    return replace(draft, text=write_yaml_document(changed))


def _document(draft: EditedDraft) -> Document:
    document = read_yaml_document(draft.text, _ORIGIN)
    if draft.name and document.get("name", draft.name) != draft.name:
        raise UserError(
            translatable(
                "name: this is the page of {name}; a definition keeps its name", name=draft.name
            )
        )
    return {"name": draft.name, **document} if draft.name else document


def _preview(
    platform: Platform,
    person: Person,
    previews: Previews,
    document: Document,
    editor: Editor,
) -> Response:
    start, end = _period(previews.find_newest(person.name), platform.clock.now(), editor.weeks)
    job = begin_preview(platform, previews, person.name, document, start, end, editor.draft)
    job.ended.wait(_PATIENCE_S)
    return RedirectResponse(f"/previews/{job.id}", 303)


def _period(before: PreviewJob | None, now: datetime, weeks: int) -> tuple[datetime, datetime]:
    """Return the last weeks; those of a person's preview just before, whose series are held."""
    length = timedelta(weeks=weeks)
    if before is not None:
        _, start, end = before.identity
        if end - start == length and timedelta(0) <= now - end < timedelta(seconds=CACHED_S):
            return start, end
    return now - length, now


def _apply(
    request: Request,
    platform: Platform,
    person: Person,
    document: Document,
    editor: Editor,
    as_draft: bool,
) -> Response:
    if as_draft:
        document = {**document, "state": "draft"}
    review = DEFINITIONS.review(platform, document)
    effects = review.effects
    is_beyond = isinstance(effects, DefinitionEffects) and effects.breaks_budget
    expected: Expected = editor.draft.revision if editor.draft.name else "new"
    why = editor.reason or "edited in the console"
    try:
        DEFINITIONS.apply(
            platform,
            [document],
            person.name,
            platform.clock.now(),
            why,
            expected=expected,
            on_host=False,
            accepted=editor.accept_load,
        )
    except ChangedSince as changed:
        number = changed.newest.number if changed.newest else 0
        draft = replace(editor.draft, revision=number) if editor.draft.name else editor.draft
        editor = replace(editor, changed=changed, draft=draft, review=review)
    except UserError as refusal:
        if not review.faults and not is_beyond:
            raise
        fault = "" if review.faults else refusal.message
        editor = replace(editor, review=review, fault=fault, over_budget=is_beyond)
    else:
        return RedirectResponse(f"/definitions/{review.name}", 303)
    return HTMLResponse(_page(request, platform, editor), editor.status)


def _page(request: Request, platform: Platform, editor: Editor) -> str:
    name = editor.draft.name
    job = editor.preview
    newest = platform.definitions.newest_revision(name) if name else None
    state = newest.definition.state if newest else ""
    made = job.made if job else None
    form = _form_of(editor.draft)
    assets = platform.assets.all() if form else ()
    events = platform.assets.event_types() if form else ()
    shape = _shape(request, job)
    return render(
        "definitions/editor.html",
        request,
        form=form,
        by_path=_by_path(editor),
        variables=variables_of(assets),
        offered={
            "assets": {asset.name: asset.title or "" for asset in assets},
            "problem.event": {one.name: one.title or "" for one in events},
        },
        editor=editor,
        draft=editor.draft,
        described=describe_definition(platform, editor.review.read) if editor.review else "",
        title=(newest.definition.title or name) if newest else name,
        faults=_placed(editor),
        may_be_draft=not name or state == "draft",
        job=job,
        running=job is not None and not job.ended.is_set(),
        made=made,
        shape=shape,
        asset_titles=asset_titles(platform, _named_assets(made, shape)),
        budget=platform.budget.per_day,
        all_weeks=WEEKS,
        example=write_yaml([SCENARIO_EXAMPLE]),
        most_offered=starts.MOST_OFFERED,
        rows=min(max(editor.draft.text.count("\n") + 4, 18), 40),
        now=platform.clock.now(),
    )


def _shape(request: Request, job: PreviewJob | None) -> dict[str, Any] | None:
    """Return what is drawn of a preview: its result, or a sketch while it is under way."""
    if job is None or job.draft is None:
        return None
    drawn = job.made.drawn if job.made else None if job.ended.is_set() else job.sketch
    if drawn is None:
        return None
    return preview_shape(drawn, zone_of(request), language_of(request), _document(job.draft))


def _named_assets(made: PreviewedAlarms | None, shape: dict[str, Any] | None) -> set[str]:
    named = {one.asset for one in made.newest} if made else set()
    problems = made.problems.newest if made and made.problems else ()
    return named | {one.asset for one in problems} | ({shape["asset"]} if shape else set())


def _form_of(draft: EditedDraft) -> FormGroup | None:
    """Return the form of a draft that is shown as one; None where its text has none."""
    if not draft.as_form:
        return None
    try:
        return draw_form(_document(draft))
    except UserError:
        return None


def _by_path(editor: Editor) -> dict[str, Fault]:
    return {fault.path: fault for fault in editor.review.faults} if editor.review else {}


def _placed(editor: Editor) -> list[dict[str, Any]]:
    """Return the faults of a text with their lines, by line."""
    faults: tuple[Fault, ...] = editor.review.faults if editor.review else ()
    found = [{"line": line_of_path(editor.draft.text, f.path), "fault": f} for f in faults]
    return sorted(found, key=lambda one: one["line"] or 0)
