"""Forms of operators: acknowledge and shelve from the page of an episode."""

from contextlib import suppress
from typing import Annotated

from fastapi import APIRouter, Form, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from alerting.console.access import Person, confirms
from alerting.console.api.api import Operator, Served
from alerting.console.api.operate_api import who
from alerting.console.api.parameters import FormField, Id, read_duration
from alerting.console.web.pages import UNSEEN_SHOWN, episode_page
from alerting.definitions.faults import UserError
from alerting.usecases.episodes.store import NotFound, find_episode
from alerting.usecases.notification.deliver import deliver_due
from alerting.usecases.operators import operate

router = APIRouter(include_in_schema=False)
LIST = "/#unacknowledged"
NOT_FROM_HERE = "this form is not from this session; open the page again and repeat"


@router.post("/episodes/{id}/ack", response_class=HTMLResponse)
def acknowledge(id: Id, platform: Served, person: Operator, csrf: FormField = "", next: FormField = "") -> Response:
    """Seen. `next`: the list, when that is where the form stands."""
    _check(person, csrf)
    operate.acknowledge(platform, id, who(person), platform.clock.now())
    return RedirectResponse(LIST if next == LIST else f"/episodes/{id}", 303)


@router.post("/acknowledge", response_class=HTMLResponse)
def acknowledge_listed(
    platform: Served,
    person: Operator,
    episode: Annotated[list[str], Form(max_length=UNSEEN_SHOWN)],
    csrf: FormField = "",
) -> Response:
    """Seen: all those that the list showed as over, each by itself."""
    _check(person, csrf)
    for id in episode:
        with suppress(NotFound):  # of a list that has grown old
            operate.acknowledge(platform, id, who(person), platform.clock.now())
    return RedirectResponse(LIST, 303)


@router.post("/episodes/{id}/shelve", response_class=HTMLResponse)
def shelve(
    id: Id,
    request: Request,
    platform: Served,
    person: Operator,
    csrf: FormField = "",
    lasting: FormField = "",
    preset: FormField = "",
    reason: FormField = "",
) -> Response:
    """Muted for a time, for one of the usual reasons, in words of one's own, or both."""
    _check(person, csrf)
    words = ": ".join(part for part in (preset.strip(), reason.strip()) if part)
    episode, now = find_episode(platform, id), platform.clock.now()
    try:
        until = now + read_duration(lasting)
        operate.shelve(platform, episode.definition, episode.asset, who(person), now, until, words)
    except (UserError, ValueError) as refusal:
        return HTMLResponse(episode_page(request, platform, person, id, shelving=str(refusal)), 422)
    return RedirectResponse(f"/episodes/{id}", 303)


@router.post("/shelves/{id}/end", response_class=HTMLResponse)
def end(id: Id, platform: Served, person: Operator, csrf: FormField = "") -> Response:
    """Heard again."""
    _check(person, csrf)
    shelf, now = operate.find_shelf(platform, id), platform.clock.now()
    change = operate.unshelve if shelf.kind == "shelved" else operate.return_to_service
    change(platform, shelf.definition, shelf.asset, who(person), now, "ended on the page")
    deliver_due(platform, now)
    return RedirectResponse("/", 303)


def _check(person: Person, csrf: str) -> None:
    if not confirms(person, csrf):
        raise HTTPException(403, NOT_FROM_HERE)
