"""Forms of operators: acknowledge and shelve from the page of an episode."""

from typing import Annotated

from fastapi import APIRouter, Form, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from alerting.console.access import Person, confirms
from alerting.console.api import Operator, Served
from alerting.console.operate_api import who
from alerting.console.pages import episode_page
from alerting.definitions.durations import parse_duration
from alerting.definitions.faults import Refused
from alerting.pipelines import operate
from alerting.pipelines.feedback import find_episode
from alerting.pipelines.notify import deliver_due

router = APIRouter(include_in_schema=False)
Field = Annotated[str, Form(max_length=500)]
NOT_FROM_HERE = "this form is not from this session; open the page again and repeat"


@router.post("/episodes/{id}/ack", response_class=HTMLResponse)
def acknowledge(id: str, platform: Served, person: Operator, csrf: Field = "") -> Response:
    """Seen."""
    _check(person, csrf)
    operate.acknowledge(platform, id, who(person), platform.clock.now())
    return RedirectResponse(f"/episodes/{id}", 303)


@router.post("/episodes/{id}/shelve", response_class=HTMLResponse)
def shelve(
    id: str, request: Request, platform: Served, person: Operator, csrf: Field = "", lasting: Field = "", reason: Field = ""
) -> Response:
    """Muted for a time."""
    _check(person, csrf)
    episode, now = find_episode(platform, id), platform.clock.now()
    try:
        until = now + parse_duration(lasting)
        operate.shelve(platform, episode.definition, episode.asset, who(person), now, until, reason)
    except (Refused, ValueError) as refusal:
        return HTMLResponse(episode_page(request, platform, id, shelving=str(refusal)), 422)
    return RedirectResponse(f"/episodes/{id}", 303)


@router.post("/shelves/{id}/end", response_class=HTMLResponse)
def end(id: str, platform: Served, person: Operator, csrf: Field = "") -> Response:
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
