"""Definitions at the console: the list, one with its revisions, and the effects of a change."""

from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, Response

from alerting.console.api.api import Served, Viewer
from alerting.console.api.parameters import NAME, Id, NameQuery
from alerting.console.definitions.documents import write_yaml_document
from alerting.console.definitions.preview_shapes import raises_shape
from alerting.console.definitions.views import (
    asset_titles,
    shown_assets,
    shown_document,
    written_assets,
)
from alerting.console.mutes.mutes import present_mutes
from alerting.console.web.rendering import render
from alerting.definitions.faults import ChangedMeanwhile, UserError
from alerting.definitions.model import ModelDefinition, Revision
from alerting.definitions.revisions import plan_change
from alerting.ports import Platform
from alerting.usecases.alarm_load.overview import (
    STATES,
    WantedDefinitions,
    definition_line,
    find_definitions,
)
from alerting.usecases.definitions import lookup
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


def show_refusal(request: Request, platform: Platform, name: str, refusal: UserError) -> Response:
    """Return the page of a definition with the reason of a refusal."""
    status = 412 if isinstance(refusal, ChangedMeanwhile) else 422
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
        mutes=present_mutes(request, platform, now, definition=name),
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
    return {"start": one, "end": other, "changes": plan_change(other.definition, one).changes}
