"""Pages of sinks: what each delivers, and for engineers its state, dead letters and document."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from alerting.adapters.platform import Platform
from alerting.console.api.api import Engineer, Served
from alerting.console.api.parameters import FormField, Id
from alerting.console.sinks.sink_api import letter_views
from alerting.console.sinks.starts import SINK_STARTS
from alerting.console.sources.documents import document_history, read_named_document, yaml_of
from alerting.console.sources.source_pages import DocumentText
from alerting.console.sources.starts import START
from alerting.console.web.forms import FormEngineer, read_revision
from alerting.console.web.rendering import render
from alerting.definitions.faults import ChangedMeanwhile, NotFound, UserError
from alerting.definitions.sinks.sink import sink_kinds
from alerting.definitions.sources.mapping import SourceState
from alerting.usecases.sinks.documents import (
    SINK_FORM,
    apply_sink,
    change_sink_state,
    plan_sink,
    retry_letters,
    sink_detail,
    sink_statuses,
)
from alerting.usecases.sources.revised import Expected

pages = APIRouter(include_in_schema=False)
_STATES: Mapping[str, SourceState] = {"pause": "paused", "resume": "active", "retire": "retired"}


@pages.get("/sinks", response_class=HTMLResponse)
def sinks(request: Request, platform: Served, _: Engineer) -> str:
    """Return the page of sinks, which loads itself again."""
    now = platform.clock.now()
    return render(
        "sinks.html",
        request,
        statuses=sink_statuses(platform, now),
        now=now,
        faulty=SINK_FORM.read(platform.sinks)[1],
    )


@pages.get("/new-sink", response_class=HTMLResponse)
def new_sink(
    request: Request,
    platform: Served,
    _: Engineer,
    kind: Annotated[str, Query(max_length=20)] = "mqtt",
) -> str:
    """Return an editor with the beginning of a sink of a kind."""
    return _editor(request, platform, SINK_STARTS.get(kind, START.format(kind=kind)), kind=kind)


@pages.post("/new-sink", response_class=HTMLResponse)
def make_sink(
    request: Request,
    platform: Served,
    person: FormEngineer,
    text: DocumentText = "",
    act: FormField = "",
) -> Response:
    """Check the document of a new sink, or apply it."""
    return _answer(request, platform, person.name, text, act, None, None)


@pages.get("/sinks/{name}", response_class=HTMLResponse)
def sink(name: Id, request: Request, platform: Served, _: Engineer) -> str:
    """Return the page of a sink."""
    return _page(request, platform, name)


@pages.post("/sinks/{name}", response_class=HTMLResponse)
def change_sink(
    name: Id,
    request: Request,
    platform: Served,
    person: FormEngineer,
    revision: FormField = "",
    text: DocumentText = "",
    act: FormField = "",
) -> Response:
    """Check a changed document, or apply it."""
    return _answer(request, platform, person.name, text, act, name, read_revision(revision))


@pages.post("/sinks/{name}/test", response_class=HTMLResponse)
def send_test(name: Id, request: Request, platform: Served, person: FormEngineer) -> Response:
    """Send the receiver a message that is marked as a test."""
    try:
        found = SINK_FORM.find(platform.sinks, name)
        done = request.app.state.sink_trials.try_one(platform, found, person.name)
    except NotFound:
        raise
    except UserError as refusal:
        return HTMLResponse(_page(request, platform, name, refusal=refusal.message), 422)
    return HTMLResponse(_page(request, platform, name, done=done))


@pages.post("/sinks/{name}/retry", response_class=HTMLResponse)
def retry_dead_letters(
    name: Id, request: Request, platform: Served, person: FormEngineer
) -> Response:
    """Let the stream service send dead letters once more."""
    retry_letters(platform, name, person.name, platform.clock.now())
    return RedirectResponse(f"{request.url.path.removesuffix('/retry')}#dead", 303)


@pages.post("/sinks/{name}/state", response_class=HTMLResponse)
def set_sink_state(
    name: Id,
    request: Request,
    platform: Served,
    person: FormEngineer,
    act: FormField = "",
    revision: FormField = "",
) -> Response:
    """Pause, resume or retire a sink."""
    if act not in _STATES:
        raise UserError("act: pause, resume or retire")
    expected = read_revision(revision)
    now = platform.clock.now()
    try:
        change_sink_state(platform, name, _STATES[act], expected, person.name, now)
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

    `name`, `expected`: of the sink that is changed; None for a new one.
    """
    shown: dict[str, Any] = {}
    status = 200
    try:
        document = read_named_document(text, name, "sink")
        if act == "apply":
            now = platform.clock.now()
            base: Expected = "new" if expected is None else expected
            made = apply_sink(platform, document, base, actor, now)
            return RedirectResponse(f"/sinks/{made.name}", 303)
        shown["plan"] = plan_sink(platform.sinks, document)
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
    request: Request, platform: Platform, text: str, *, kind: str = "", **shown: Any
) -> str:
    return render(
        "new_sink.html",
        request,
        text=text,
        kind=kind,
        kinds=list(sink_kinds()),
        now=platform.clock.now(),
        **{"refusal": "", "plan": None, **shown},
    )


def _page(
    request: Request,
    platform: Platform,
    name: str,
    *,
    text: str | None = None,
    revision: int | None = None,
    **shown: Any,
) -> str:
    """Return the page of a sink. `text`, `revision`: of the document as it was typed."""
    now = platform.clock.now()
    found = sink_detail(platform, name, now)
    return render(
        "sink.html",
        request,
        found=found,
        s=found.status,
        text=yaml_of(found.document) if text is None else text,
        revision=found.number if revision is None else revision,
        letters=letter_views(found.letters),
        history=document_history(found.revisions),
        now=now,
        **{"refusal": "", "plan": None, "done": "", **shown},
    )
