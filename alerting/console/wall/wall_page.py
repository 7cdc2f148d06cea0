"""The wall: alarms and assets on a screen that hangs in the hall, a page at a time."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, Response

from alerting.console.access import Person
from alerting.console.api.api import Served, Viewer
from alerting.console.api.parameters import NameQuery
from alerting.console.attempts import client_of
from alerting.console.gate import DEVICE_COOKIE
from alerting.console.login import entrance_of
from alerting.console.now.page import known_plant
from alerting.console.web.rendering import render
from alerting.operators.people import DEVICE_SESSION_LASTS
from alerting.operators.wall import make_wall
from alerting.usecases.access.devices import renew_display
from alerting.usecases.now.overview import NowFilters, read_now
from alerting.usecases.platform_health.check import alarms_off

pages = APIRouter(include_in_schema=False)
SECONDS = 15
"""Until the next page, if there are several."""


@pages.get("/wall", response_class=HTMLResponse)
def wall(
    request: Request,
    platform: Served,
    person: Viewer,
    line: NameQuery | None = None,
    page: Annotated[int, Query(ge=1, le=1000)] = 1,
) -> Response:
    """Return the wall of the plant or of one line. `page`: the one in sight, for browsers without
    scripts. The session of a device that only shows is renewed."""
    plant = known_plant(request, platform)
    now = read_now(platform, plant, NowFilters(line), person.name)
    made = make_wall([*now.happening, *now.expected], now.parts)
    in_sight = (page - 1) % len(made.pages)
    known = plant.parts.values()
    shown = render(
        "wall/wall.html",
        request,
        state=now,
        wall=made,
        in_sight=in_sight,
        next_page=in_sight + 2 if in_sight + 1 < len(made.pages) else 1,
        line=line,
        line_title=plant.assets[line].title if line is not None and line in known else None,
        lines=plant.lines if line is not None and line not in known else {},
        asset_titles={name: one.title for name, one in plant.assets.items()},
        titles={name: one.definition.title or name for name, one in plant.latest.items()},
        off=alarms_off(platform),
        seconds=SECONDS,
        now=now.at,
    )
    answer = HTMLResponse(shown)
    _renew(request, person, answer)
    return answer


def _renew(request: Request, person: Person, answer: Response) -> None:
    if person.device is None or person.session is None or person.signs:
        return
    entrance = entrance_of(request)
    renewed = renew_display(entrance.platform, person.session, entrance.now(), client_of(request))
    if renewed is not None:
        entrance.set_cookie(answer, request, DEVICE_COOKIE, renewed, DEVICE_SESSION_LASTS)
