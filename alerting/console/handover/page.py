"""Pages of the hand-over of shifts: one shift, its notes and signatures, and earlier ones."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from alerting.adapters.platform import Platform
from alerting.console.access import Person
from alerting.console.api import views
from alerting.console.api.api import Delivery, Served, Viewer
from alerting.console.api.operate_api import actor_of
from alerting.console.api.parameters import Cursor, FormField, FormText, Instant
from alerting.console.handover.address import (
    LENGTHS,
    AskedShift,
    address_at,
    address_of,
    address_of_stored,
    find_chosen,
)
from alerting.console.language import language_of
from alerting.console.now.page import known_plant
from alerting.console.web.forms import FormOperator
from alerting.console.web.rendering import render
from alerting.definitions.faults import NotFound, UserError
from alerting.operators.handovers import LONGEST_NOTE, Handover, Side
from alerting.operators.shifts import CHANGE_LASTS
from alerting.readings.instants import to_millis
from alerting.usecases.handover.choose import ChosenShift, ShiftChoice
from alerting.usecases.handover.mail import deed_text, send_handover
from alerting.usecases.handover.read import read_shift
from alerting.usecases.handover.sign import sign_handover, write_note
from alerting.usecases.notification.silencing import describe_scope

pages = APIRouter(include_in_schema=False)
LISTED = 50
UNFOLDED = 4
FormInstant = Annotated[Instant | None, Form()]


@pages.get("/handover", response_class=HTMLResponse)
def handover_page(request: Request, platform: Served, person: Viewer, choice: AskedShift) -> str:
    """Return the page of the hand-over of a shift."""
    return _page(request, platform, person, find_chosen(request, platform, choice))


@pages.get("/handover/earlier", response_class=HTMLResponse)
def earlier_handovers(
    request: Request, platform: Served, _: Viewer, cursor: Cursor | None = None
) -> str:
    """Return a page of the stored hand-overs, newest first."""
    before = views.read_cursor(cursor) if cursor else None
    found = platform.handovers.find(limit=LISTED + 1, before=before)
    shown = found[:LISTED]
    plant = known_plant(request, platform)
    return render(
        "handover/earlier.html",
        request,
        handovers=shown,
        address=address_of_stored,
        titles={name: one.title for name, one in plant.assets.items()},
        older=f"{to_millis(shown[-1].start)}_{shown[-1].id}" if len(found) > LISTED else None,
        now=platform.clock.now(),
    )


@pages.post("/handover/note", response_class=HTMLResponse)
def add_note(
    request: Request,
    platform: Served,
    person: FormOperator,
    line: FormField = "",
    at: FormInstant = None,
    shift: FormField = "",
    hours: FormField = "8",
    text: FormText = "",
    asset: FormField = "",
) -> Response:
    """Write a note of a shift."""
    chosen = _chosen(request, platform, (line, at, shift, hours))
    now = platform.clock.now()
    return _act(
        request,
        platform,
        person,
        chosen,
        lambda: write_note(platform, chosen, text, actor_of(person), now, asset or None),
        "#notes",
        text=text,
    )


@pages.post("/handover/sign", response_class=HTMLResponse)
def add_signature(
    request: Request,
    platform: Served,
    person: FormOperator,
    side: Annotated[Literal["leaving", "coming"], Form()],
    line: FormField = "",
    at: FormInstant = None,
    shift: FormField = "",
    hours: FormField = "8",
) -> Response:
    """Sign the hand-over of a shift."""
    chosen = _chosen(request, platform, (line, at, shift, hours))
    plant = known_plant(request, platform)
    now = platform.clock.now()
    return _act(
        request,
        platform,
        person,
        chosen,
        lambda: sign_handover(platform, plant, chosen, side, actor_of(person), now),
    )


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
    hours: FormField = "8",
) -> Response:
    """Send the hand-over of a shift to the recipients of a route."""
    chosen = _chosen(request, platform, (line, at, shift, hours))
    now = platform.clock.now()
    account = read_shift(platform, known_plant(request, platform), chosen, now)
    try:
        count = send_handover(platform, account, route, address_of(chosen), actor_of(person), now)
    except NotFound:
        raise
    except UserError as fault:
        return HTMLResponse(_page(request, platform, person, chosen, refusal=fault.message), 422)
    deliver()
    return HTMLResponse(_page(request, platform, person, chosen, sent=count, sent_to=route))


def _act(
    request: Request,
    platform: Platform,
    person: Person,
    chosen: ChosenShift,
    act: Callable[[], object],
    fragment: str = "",
    text: str = "",
) -> Response:
    """Do what a form asks for, and lead back to the page of the shift; where it is refused show
    that page with the reason."""
    try:
        act()
    except NotFound:
        raise
    except UserError as fault:
        page = _page(request, platform, person, chosen, refusal=fault.message, text=text)
        return HTMLResponse(page, 422)
    return RedirectResponse(f"{address_of(chosen)}{fragment}", 303)


def _chosen(
    request: Request,
    platform: Platform,
    named: tuple[str, Any, str, str],
) -> ChosenShift:
    line, at, shift, hours = named
    choice = ShiftChoice(line or None, at, shift or None, LENGTHS.get(hours, 8))
    return find_chosen(request, platform, choice)


def _page(
    request: Request,
    platform: Platform,
    person: Person,
    chosen: ChosenShift,
    refusal: str = "",
    text: str = "",
    sent: int = 0,
    sent_to: str = "",
) -> str:
    now = platform.clock.now()
    plant = known_plant(request, platform)
    account = read_shift(platform, plant, chosen, now)
    titles = {name: one.definition.title or name for name, one in plant.latest.items()}
    asset_titles = {name: one.title for name, one in plant.assets.items()}
    lines = [(title, address_at(chosen, None, line=n)) for n, title in chosen.lines.items()]
    whole = [(None, address_at(chosen, None, line=""))]
    return render(
        "handover/handover.html",
        request,
        account=account,
        chosen=chosen,
        shift=chosen.shift,
        summary=account.summary,
        handover=account.handover,
        is_running=chosen.shift.start <= now < chosen.shift.end,
        has_begun=chosen.shift.start <= now,
        address=lambda one: address_at(chosen, one.start, one.name),
        lines=[*whole, *lines] if len(lines) > 1 else [],
        sides=_open_sides(account.handover, person, now),
        unfolded=UNFOLDED,
        lengths=[(length, address_at(chosen, None, hours=length)) for length in LENGTHS.values()],
        titles=titles,
        asset_titles=asset_titles,
        silenced=[
            (
                one,
                describe_scope(
                    one.scope,
                    asset_titles.get(one.scope.part or ""),
                    titles.get(one.scope.definition or ""),
                    language_of(request),
                ),
            )
            for one in account.summary.silences
        ],
        deed_text=lambda deed: deed_text(deed, language_of(request)),
        most=LONGEST_NOTE,
        refusal=refusal,
        text=text,
        sent=sent,
        sent_to=sent_to,
        now=now,
    )


def _open_sides(handover: Handover, person: Person, now: datetime) -> list[Side]:
    """Return the sides that a person can sign now, the expected one first."""
    if now < handover.start:
        return []
    is_ending = now >= handover.end - CHANGE_LASTS
    found: list[Side] = []
    if handover.left is None and (handover.taken is None or handover.taken.actor != person.name):
        found.append("leaving")
    if handover.taken is None and (
        is_ending if handover.left is None else handover.left.actor != person.name
    ):
        found.append("coming")
    return found[::-1] if now >= handover.end else found
