"""Definitions at the console: the list, and what the page of one shows."""

from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from alerting.console.api.api import Served, Viewer
from alerting.console.api.parameters import NAME, NameQuery
from alerting.console.definitions.preview_shapes import raises_shape
from alerting.console.definitions.views import shown_assets, written_assets
from alerting.console.mutes.mutes import present_mutes
from alerting.console.web.rendering import render
from alerting.definitions.assets import asset_titles
from alerting.definitions.model import Definition, ModelDefinition
from alerting.ports import Platform
from alerting.usecases.alarm_load.overview import (
    STATES,
    DefinitionLine,
    WantedDefinitions,
    definition_line,
    find_definitions,
)
from alerting.usecases.definitions.next_steps import clock_times
from alerting.usecases.documents import StoredDocument

router = APIRouter(include_in_schema=False)
LINES_SHOWN = 50
EPISODES_SHOWN = 10


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
    named = {name for line in found.lines for name in written_assets(line.latest)}
    titles = asset_titles(platform.assets.get_many(named).values())

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


def page_values(
    request: Request,
    platform: Platform,
    found: StoredDocument[Definition],
    status: DefinitionLine | None,
) -> dict[str, Any]:
    """Return what the page of a definition shows. `status`: its line, None of one that was never
    valid."""
    now = platform.clock.now()
    line = status or definition_line(platform, now, found.name)
    episodes = platform.episodes.find(definition=found.name, limit=EPISODES_SHOWN)
    named = {*(episode.asset for episode in episodes), *written_assets(line.latest)}
    titles = asset_titles(platform.assets.get_many(named).values())
    return {
        "d": line,
        "clock_times": clock_times(found.read) if found.read else (),
        "shape": raises_shape(line.raises),
        "is_trained": isinstance(found.read, ModelDefinition),
        "episodes": episodes,
        "asset_titles": titles,
        "assets": shown_assets(line.latest, titles),
        "budget": platform.budget.per_day,
        "days": platform.budget.days,
        "mutes": present_mutes(request, platform, now, definition=found.name),
    }
