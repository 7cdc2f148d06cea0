"""Pages of definitions: the list, one definition with its revisions, and its changes of state."""

from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from alerting.adapters.platform import Platform
from alerting.console.access import Person
from alerting.console.api.api import Served, Viewer
from alerting.console.api.parameters import NAME, FormField, Id, NameQuery
from alerting.console.definitions import definition_api
from alerting.console.definitions.documents import write_yaml_document
from alerting.console.definitions.preview_shapes import raises_shape
from alerting.console.definitions.views import (
    asset_titles,
    shown_assets,
    shown_document,
    written_assets,
)
from alerting.console.silences.silence_pages import present_silences
from alerting.console.web.forms import FormEngineer, read_revision
from alerting.console.web.rendering import render
from alerting.definitions.faults import NotFound, UserError
from alerting.definitions.model import ModelDefinition, Revision
from alerting.definitions.revisions import definition_document
from alerting.ports import Document
from alerting.usecases.alarm_load.changes import (
    apply_change,
    changed_fields_between,
    document_in_state,
)
from alerting.usecases.alarm_load.overview import (
    STATES,
    WantedDefinitions,
    definition_line,
    find_definitions,
)
from alerting.usecases.definitions import lookup, sync
from alerting.usecases.definitions.next_steps import clock_times

router = APIRouter(include_in_schema=False)
LINES_SHOWN = 50
REVISIONS_SHOWN = 50
EPISODES_SHOWN = 10
Number = Annotated[int, Query(ge=0, le=2**31 - 1)]


@router.get("/definitions", response_class=HTMLResponse)
def definitions(
    request: Request,
    platform: Served,
    _: Viewer,
    text: NameQuery = "",
    state: NameQuery = "",
    asset: NameQuery = "",
    after: Annotated[str, Query(max_length=NAME)] = "",
) -> str:
    """Return the list of definitions, those that are wanted, from a name on."""
    wanted = WantedDefinitions(text.strip(), state if state in STATES else "", asset.strip())
    found = find_definitions(platform, platform.clock.now(), wanted, after, LINES_SHOWN)
    titles = asset_titles(
        platform, {name for line in found.lines for name in written_assets(line.latest)}
    )

    def address(**changed: str) -> str:
        given = {key: value for key, value in (vars(wanted) | changed).items() if value}
        return f"/definitions?{urlencode(given)}" if given else "/definitions"

    return render(
        "definitions/definitions.html",
        request,
        found=found,
        shapes={line.name: raises_shape(line.raises) for line in found.lines},
        assets={line.name: shown_assets(line.latest, titles) for line in found.lines},
        wanted=wanted,
        states=STATES,
        number=sum(found.states.values()),
        address=address,
        budget=platform.budget.per_day,
        first=not after,
        now=platform.clock.now(),
    )


@router.get("/definitions/{name}", response_class=HTMLResponse)
def definition(
    name: Id,
    request: Request,
    platform: Served,
    _: Viewer,
    start: Annotated[Number, Query(alias="from")] = 0,
    end: Annotated[Number, Query(alias="to")] = 0,
) -> str:
    """Return the page of a definition; with `from` and `to` the difference of two revisions."""
    return _page(request, platform, name, start=start, end=end)


@router.post("/definitions/{name}/retire", response_class=HTMLResponse)
def retire(
    name: Id,
    request: Request,
    platform: Served,
    person: FormEngineer,
    revision: FormField = "",
    reason: FormField = "",
) -> Response:
    """Take a definition out of service."""
    try:
        expected = read_revision(revision)
        definition_api.retire(platform, name, expected, person.name, reason.strip())
    except UserError as refusal:
        return _refused(request, platform, name, refusal)
    return RedirectResponse(f"/definitions/{name}", 303)


@router.post("/definitions/{name}/activate", response_class=HTMLResponse)
def activate(
    name: Id,
    request: Request,
    platform: Served,
    person: FormEngineer,
    revision: FormField = "",
    reason: FormField = "",
    accept_load: FormField = "",
) -> Response:
    """Put a draft or a retired definition into service, within the alarm budget."""
    try:
        document = document_in_state(platform, name, "active")
        _change(
            platform, document, read_revision(revision), person, reason or "activated", accept_load
        )
    except UserError as refusal:
        return _refused(request, platform, name, refusal)
    return RedirectResponse(f"/definitions/{name}", 303)


@router.post("/definitions/{name}/restore", response_class=HTMLResponse)
def restore(
    name: Id,
    request: Request,
    platform: Served,
    person: FormEngineer,
    number: FormField = "",
    revision: FormField = "",
    reason: FormField = "",
    accept_load: FormField = "",
) -> Response:
    """Make the document of an earlier revision the newest one, within the alarm budget."""
    try:
        chosen = lookup.require_revision(platform.definitions, name, read_revision(number))
        document = definition_document(chosen.definition)
        why = reason or f"revision {chosen.number} restored"
        _change(platform, document, read_revision(revision), person, why, accept_load)
    except NotFound:
        raise
    except UserError as refusal:
        return _refused(request, platform, name, refusal)
    return RedirectResponse(f"/definitions/{name}", 303)


def _change(
    platform: Platform, document: Document, expected: int, person: Person, reason: str, load: str
) -> None:
    now = platform.clock.now()
    apply_change(
        platform, document, expected, person.name, now, datetime.now(UTC), reason.strip(), load
    )


def _refused(request: Request, platform: Platform, name: str, refusal: UserError) -> Response:
    if isinstance(refusal, NotFound):
        raise refusal
    status = 409 if isinstance(refusal, sync.ChangedSince) else 422
    return HTMLResponse(_page(request, platform, name, refusal=refusal.message), status)


def _page(
    request: Request,
    platform: Platform,
    name: str,
    refusal: str = "",
    start: int = 0,
    end: int = 0,
) -> str:
    """Return the page of a definition. `refusal`: of a submitted form."""
    now = platform.clock.now()
    line = definition_line(platform, now, name)
    revisions = platform.definitions.revisions(name)[::-1]
    chosen = _chosen(platform, name, revisions, start, end)
    episodes = platform.episodes.find(definition=name, limit=EPISODES_SHOWN)
    titles = asset_titles(
        platform, {*(episode.asset for episode in episodes), *written_assets(line.latest)}
    )
    return render(
        "definitions/definition.html",
        request,
        d=line,
        clock_times=clock_times(line.latest.definition) if line.latest else (),
        shape=raises_shape(line.raises),
        is_trained=line.latest is not None and isinstance(line.latest.definition, ModelDefinition),
        revision=revisions[0].number if revisions else 0,
        revisions=revisions[:REVISIONS_SHOWN],
        more=max(0, len(revisions) - REVISIONS_SHOWN),
        difference=chosen,
        episodes=episodes,
        asset_titles=titles,
        assets=shown_assets(line.latest, titles),
        text=write_yaml_document(shown_document(line.document)),
        budget=platform.budget.per_day,
        days=platform.budget.days,
        refusal=refusal,
        silences=present_silences(request, platform, now, definition=name),
        now=now,
    )


def _chosen(
    platform: Platform, name: str, revisions: list[Revision], start: int, end: int
) -> dict[str, Any] | None:
    """Return the difference of two chosen revisions; without `end` to the newest."""
    if not start or not revisions:
        return None
    one = lookup.require_revision(platform.definitions, name, start)
    other = lookup.require_revision(platform.definitions, name, end or None)
    return {"start": one, "end": other, "changes": changed_fields_between(one, other)}
