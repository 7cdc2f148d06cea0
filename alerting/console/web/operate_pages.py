"""Forms of operators: acknowledge and mute from the page of an episode."""

from contextlib import suppress
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from alerting.console.api.api import Delivery, Served
from alerting.console.api.operate_api import actor_of
from alerting.console.api.parameters import FormField, Id, read_duration
from alerting.console.web.pages import episode_page, lead_back
from alerting.console.web.rendering import FormOperator
from alerting.definitions.faults import NotFound, UserError
from alerting.operators.mutes import Matcher
from alerting.usecases.episodes.store import find_episode
from alerting.usecases.now.overview import OPEN_READ, OVER_READ
from alerting.usecases.operators import operate
from alerting.usecases.operators.operate import start_mute

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


@router.post("/episodes/{id}/mute", response_class=HTMLResponse)
def mute(
    id: Id,
    request: Request,
    platform: Served,
    person: FormOperator,
    lasting: FormField = "",
    preset: FormField = "",
    reason: FormField = "",
    next: FormField = "",
) -> Response:
    """Mute a target for a time, with a preset reason, a written one, or both."""
    text = ": ".join(part for part in (preset.strip(), reason.strip()) if part)
    episode = find_episode(platform.episodes, id)
    target = Matcher(asset=episode.asset, definition=episode.definition)
    now = platform.clock.now()
    try:
        until = now + read_duration(lasting)
        start_mute(platform, "plain", target, None, until, None, text, (), actor_of(person), now)
    except (UserError, ValueError) as refusal:
        said = refusal.message if isinstance(refusal, UserError) else str(refusal)
        page = episode_page(request, platform, person, id, muting=said)
        return HTMLResponse(page, 422)
    return RedirectResponse(lead_back(next, f"/episodes/{id}"), 303)
