"""The page of the hand-over of a shift."""

from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from alerting.console.alarms.now_page import known_plant
from alerting.console.api.api import Delivery, Served, Viewer, actor_of
from alerting.console.api.parameters import FormField, FormText, Instant, NameQuery
from alerting.console.rendering import FormOperator, language_of, render
from alerting.definitions.faults import NotFound, UserError
from alerting.operators.alarm_views import Shift
from alerting.ports import Platform
from alerting.usecases.operators.handover import (
    LONGEST_NOTE,
    ChosenShift,
    choose_shift,
    read_shift,
    send_handover,
    write_note,
)

pages = APIRouter(include_in_schema=False)
UNFOLDED = 4
FormInstant = Annotated[Instant | None, Form()]


@pages.get("/handover", response_class=HTMLResponse)
def handover_page(
    request: Request,
    platform: Served,
    _: Viewer,
    line: NameQuery | None = None,
    at: Annotated[Instant | None, Query()] = None,
    shift: NameQuery | None = None,
) -> str:
    """Return the page of the hand-over of a shift."""
    return _page(request, platform, _chosen(request, platform, line, at, shift))


@pages.post("/handover/note", response_class=HTMLResponse)
def add_note(
    request: Request,
    platform: Served,
    person: FormOperator,
    line: FormField = "",
    at: FormInstant = None,
    shift: FormField = "",
    text: FormText = "",
) -> Response:
    """Write a note of a shift."""
    chosen = _chosen(request, platform, line, at, shift)
    try:
        write_note(platform, chosen, text, actor_of(person), platform.clock.now())
    except UserError as fault:
        page = _page(request, platform, chosen, refusal=fault.message, text=text)
        return HTMLResponse(page, 422)
    return RedirectResponse(f"{_address(chosen.part, chosen.shift)}#notes", 303)


@pages.post("/handover/send", response_class=HTMLResponse)
def send(
    request: Request,
    platform: Served,
    deliver: Delivery,
    person: FormOperator,
    route: FormField = "",
    line: FormField = "",
    at: FormInstant = None,
    shift: FormField = "",
) -> Response:
    """Send the hand-over of a shift to the recipients of a route."""
    chosen = _chosen(request, platform, line, at, shift)
    plant = known_plant(request, platform)
    address = _address(chosen.part, chosen.shift)
    try:
        count = send_handover(
            platform, plant, chosen, route, address, actor_of(person), platform.clock.now()
        )
    except NotFound:
        raise
    except UserError as fault:
        return HTMLResponse(_page(request, platform, chosen, refusal=fault.message), 422)
    deliver()
    return HTMLResponse(_page(request, platform, chosen, sent=count, sent_to=route))


def _chosen(
    request: Request, platform: Platform, line: str | None, at: datetime | None, shift: str | None
) -> ChosenShift:
    plant = known_plant(request, platform)
    now = platform.clock.now()
    return choose_shift(platform, plant, request.app.state.zone, now, line, at, shift or None)


def _address(part: str | None, shift: Shift | None = None) -> str:
    """Return the address of a shift, of the present one for None."""
    values = {"line": part or ""}
    if shift is not None:
        values |= {"at": f"{shift.start.astimezone(UTC):%Y-%m-%dT%H:%MZ}", "shift": shift.name}
    given = urlencode({name: value for name, value in values.items() if value})
    return f"/handover?{given}" if given else "/handover"


def _page(request: Request, platform: Platform, chosen: ChosenShift, **values: Any) -> str:
    plant = known_plant(request, platform)
    account = read_shift(platform, plant, chosen, platform.clock.now(), language_of(request))
    shift = chosen.shift
    return render(
        "now/handover.html",
        request,
        account=account,
        chosen=chosen,
        shift=shift,
        is_running=shift.has(account.at),
        has_begun=shift.start <= account.at,
        address=lambda one: _address(chosen.part, one),
        lines=[(name, title, _address(name)) for name, title in plant.lines.items()],
        whole=_address(None),
        unfolded=UNFOLDED,
        most=LONGEST_NOTE,
        now=account.at,
        **{"refusal": "", "text": "", "sent": 0, "sent_to": "", **values},
    )
