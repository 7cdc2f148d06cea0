"""Forms of operators: acknowledge and shelve from the page of an episode."""

from contextlib import suppress
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from alerting.console.api.api import Delivery, Served
from alerting.console.api.operate_api import actor_of
from alerting.console.api.parameters import FormField, Id, read_duration
from alerting.console.now.address import lead_back
from alerting.console.web.forms import FormOperator
from alerting.console.web.pages import episode_page
from alerting.definitions.faults import NotFound, UserError
from alerting.usecases.episodes.store import find_episode
from alerting.usecases.now.overview import OPEN_READ, OVER_READ
from alerting.usecases.operators import operate, shelving

router = APIRouter(include_in_schema=False)
LIST = "/#unacknowledged"
MOST_AT_ONCE = OPEN_READ + OVER_READ


@router.post("/episodes/{id}/ack", response_class=HTMLResponse)
def acknowledge(id: Id, platform: Served, person: FormOperator, next: FormField = "") -> Response:
    """Acknowledge an episode. `next`: the place on the front page, if its form was used."""
    operate.acknowledge(platform, id, actor_of(person), platform.clock.now())
    return RedirectResponse(lead_back(next, f"/episodes/{id}"), 303)


@router.post("/episodes/{id}/close", response_class=HTMLResponse)
def close(
    id: Id,
    request: Request,
    platform: Served,
    deliver: Delivery,
    person: FormOperator,
    reason: FormField = "",
) -> Response:
    """Close by hand an alert whose problem has come, when no reading shows whether it goes on."""
    try:
        operate.close(platform, id, actor_of(person), platform.clock.now(), reason)
    except UserError as refusal:
        return HTMLResponse(
            episode_page(request, platform, person, id, closing=refusal.message), 422
        )
    deliver()
    return RedirectResponse(f"/episodes/{id}", 303)


@router.post("/acknowledge", response_class=HTMLResponse)
def acknowledge_listed(
    platform: Served,
    person: FormOperator,
    episode: Annotated[list[str], Form(max_length=MOST_AT_ONCE)],
    next: FormField = "",
) -> Response:
    """Acknowledge all episodes that the front page showed together; the audit names each."""
    for id in episode:
        with suppress(NotFound):  # from an outdated list
            operate.acknowledge(platform, id, actor_of(person), platform.clock.now())
    return RedirectResponse(lead_back(next, LIST), 303)


@router.post("/episodes/{id}/shelve", response_class=HTMLResponse)
def shelve(
    id: Id,
    request: Request,
    platform: Served,
    person: FormOperator,
    lasting: FormField = "",
    preset: FormField = "",
    reason: FormField = "",
    next: FormField = "",
) -> Response:
    """Shelve a target for a time, with a preset reason, a written one, or both."""
    text = ": ".join(part for part in (preset.strip(), reason.strip()) if part)
    episode = find_episode(platform.episodes, id)
    now = platform.clock.now()
    try:
        until = now + read_duration(lasting)
        shelving.shelve(
            platform, episode.definition, episode.asset, actor_of(person), now, until, text
        )
    except (UserError, ValueError) as refusal:
        return HTMLResponse(
            episode_page(
                request,
                platform,
                person,
                id,
                shelving=refusal.message if isinstance(refusal, UserError) else str(refusal),
            ),
            422,
        )
    return RedirectResponse(lead_back(next, f"/episodes/{id}"), 303)


@router.post("/shelves/{id}/end", response_class=HTMLResponse)
def end(
    id: Id, platform: Served, deliver: Delivery, person: FormOperator, next: FormField = ""
) -> Response:
    """End a shelf, or return a target to service."""
    shelf = shelving.find_shelf(platform.shelves, id)
    now = platform.clock.now()
    shelving.unshelve(
        platform,
        shelf.definition,
        shelf.asset,
        actor_of(person),
        now,
        "ended in the console",
        shelf.kind,
    )
    deliver()
    return RedirectResponse(lead_back(next, "/"), 303)


@router.post("/shelves/{id}/extend", response_class=HTMLResponse)
def extend(
    id: Id, platform: Served, person: FormOperator, lasting: FormField = "", next: FormField = ""
) -> Response:
    """Move the end of a shelf by a duration, for the same reason."""
    shelving.extend_shelf(
        platform, id, actor_of(person), platform.clock.now(), _duration_of(lasting)
    )
    return RedirectResponse(lead_back(next, "/#muted"), 303)


def _duration_of(lasting: str) -> timedelta:
    """Return a duration of a form. Raises UserError."""
    try:
        return read_duration(lasting)
    except ValueError as fault:
        raise UserError(str(fault)) from fault
