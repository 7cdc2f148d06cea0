"""Pages of sources: what each delivers, and for engineers its rows, states, faults and document."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from alerting.adapters.mongo.mongo import is_outage
from alerting.adapters.platform import Platform
from alerting.console.api.api import Engineer, Served, Viewer
from alerting.console.api.parameters import FormField, Id
from alerting.console.sources import source_api
from alerting.console.sources.documents import document_history, read_named_document, yaml_of
from alerting.console.sources.starts import START, STARTS
from alerting.console.web.forms import FormEngineer, read_revision
from alerting.console.web.rendering import render
from alerting.definitions.faults import ChangedMeanwhile, NotFound, UserError
from alerting.definitions.sources.mapping import SourceState
from alerting.definitions.sources.source import source_kinds
from alerting.usecases.sources.changes import (
    apply_source,
    change_state,
    plan_source,
    source_detail,
)
from alerting.usecases.sources.documents import SourcePlan, find_source, read_sources
from alerting.usecases.sources.status import source_statuses
from alerting.usecases.sources.stream import retry_dead
from alerting.usecases.sources.trial import SourceTrial

pages = APIRouter(include_in_schema=False)
LONGEST_DOCUMENT = 60_000
DocumentText = Annotated[str, Form(alias="document", max_length=LONGEST_DOCUMENT)]
_STATES: Mapping[str, SourceState] = {"pause": "paused", "resume": "active", "retire": "retired"}


@pages.get("/sources", response_class=HTMLResponse)
def sources(request: Request, platform: Served, _: Viewer) -> str:
    """Return the page of sources, which loads itself again."""
    now = platform.clock.now()
    return render(
        "sources.html",
        request,
        statuses=source_statuses(platform.sources, platform.deliveries, now),
        now=now,
        faulty=read_sources(platform.sources)[1],
    )


@pages.get("/new-source", response_class=HTMLResponse)
def new_source(
    request: Request,
    platform: Served,
    _: Engineer,
    kind: Annotated[str, Query(max_length=20)] = "http",
) -> str:
    """Return an editor with the beginning of a source of a kind."""
    return _editor(request, platform, STARTS.get(kind, START.format(kind=kind)), kind=kind)


@pages.post("/new-source", response_class=HTMLResponse)
def make_source(
    request: Request,
    platform: Served,
    person: FormEngineer,
    text: DocumentText = "",
    act: FormField = "",
) -> Response:
    """Check the document of a new source, show its first rows, or apply it."""
    return _answer(request, platform, person.name, text, act, None, None)


@pages.get("/sources/{name}", response_class=HTMLResponse)
def source(name: Id, request: Request, platform: Served, _: Engineer) -> str:
    """Return the page of a source."""
    return _page(request, platform, name)


@pages.post("/sources/{name}", response_class=HTMLResponse)
def change_source(
    name: Id,
    request: Request,
    platform: Served,
    person: FormEngineer,
    revision: FormField = "",
    text: DocumentText = "",
    act: FormField = "",
) -> Response:
    """Check a changed document, show the rows that it would store, or apply it."""
    expected = read_revision(revision)
    return _answer(request, platform, person.name, text, act, name, expected)


@pages.post("/sources/{name}/look", response_class=HTMLResponse)
def look_at_rows(name: Id, request: Request, platform: Served, _: FormEngineer) -> Response:
    """Show ten rows as they would be stored."""
    try:
        found = request.app.state.source_trials.look(platform, find_source(platform.sources, name))
    except NotFound:
        raise
    except UserError as refusal:
        return HTMLResponse(_page(request, platform, name, refusal=refusal.message), 422)
    return HTMLResponse(_page(request, platform, name, trial=found))


@pages.post("/sources/{name}/retry", response_class=HTMLResponse)
def retry_messages(name: Id, request: Request, platform: Served, person: FormEngineer) -> Response:
    """Store dead messages once more."""
    now = platform.clock.now()
    retry_dead(platform, name, person.name, now, is_outage)
    return RedirectResponse(f"{request.url.path.removesuffix('/retry')}#dead", 303)


@pages.post("/sources/{name}/state", response_class=HTMLResponse)
def set_source_state(
    name: Id,
    request: Request,
    platform: Served,
    person: FormEngineer,
    act: FormField = "",
    revision: FormField = "",
) -> Response:
    """Pause, resume or retire a source."""
    if act not in _STATES:
        raise UserError("act: pause, resume or retire")
    expected = read_revision(revision)
    try:
        change_state(platform, name, _STATES[act], expected, person.name, platform.clock.now())
    except ChangedMeanwhile as refusal:
        return HTMLResponse(_page(request, platform, name, refusal=refusal.detail), 412)
    return RedirectResponse(request.url.path.removesuffix("/state"), 303)


def _answer(
    request: Request,
    platform: Platform,
    actor: str,
    text: str,
    act: str,
    name: str | None,
    expected: int | None,
) -> Response:
    """Return the page after a button below the document; what was typed is shown again.

    `name`, `expected`: of the source that is changed; None for a new one.
    """
    shown: dict[str, Any] = {}
    status = 200
    try:
        document = read_named_document(text, name, "source")
        if act == "look":
            shown["trial"] = source_api.look_at(request, platform, document)
        elif act == "apply":
            made = apply_source(
                platform,
                document,
                "new" if expected is None else expected,
                actor,
                platform.clock.now(),
            )
            return RedirectResponse(f"/sources/{made.name}", 303)
        else:
            shown["plan"] = plan_source(platform.sources, document)
    except UserError as refusal:
        status = 412 if isinstance(refusal, ChangedMeanwhile) else 422
        shown["refusal"] = (
            refusal.detail if isinstance(refusal, ChangedMeanwhile) else refusal.message
        )
    page = (
        _editor(request, platform, text, **shown)
        if name is None
        else _page(request, platform, name, text=text, revision=expected, **shown)
    )
    return HTMLResponse(page, status)


def _editor(
    request: Request,
    platform: Platform,
    text: str,
    *,
    kind: str = "",
    refusal: str = "",
    plan: SourcePlan | None = None,
    trial: SourceTrial | None = None,
) -> str:
    return render(
        "new_source.html",
        request,
        text=text,
        kind=kind,
        kinds=list(source_kinds()),
        refusal=refusal,
        plan=plan,
        trial=trial,
        now=platform.clock.now(),
    )


def _page(
    request: Request,
    platform: Platform,
    name: str,
    *,
    text: str | None = None,
    revision: int | None = None,
    refusal: str = "",
    plan: SourcePlan | None = None,
    trial: SourceTrial | None = None,
) -> str:
    """Return the page of a source. `text`, `revision`: of the document as it was typed."""
    now = platform.clock.now()
    found = source_detail(platform, name, now)
    return render(
        "source.html",
        request,
        found=found,
        s=found.status,
        text=yaml_of(found.document) if text is None else text,
        revision=found.number if revision is None else revision,
        dead=source_api.dead_views(found),
        history=document_history(found.revisions),
        refusal=refusal,
        plan=plan,
        trial=trial,
        now=now,
    )
