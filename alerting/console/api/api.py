"""REST API, version 1: request → use case → answer."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Query, Request, Security
from fastapi.security import HTTPBearer

from alerting.console.access import Person
from alerting.console.api import views
from alerting.console.api.parameters import Cursor, Id, Instant, NameQuery
from alerting.console.api.plant_times import with_plant_times
from alerting.definitions.wording.language import translatable
from alerting.episodes.episode import Episode, Feedback
from alerting.operators.permissions import LEAST_ROLES, Permission
from alerting.ports import Platform, PlatformAlert
from alerting.usecases.episodes.store import find_episode
from alerting.usecases.notification.deliver import DeliveryCounts, deliver_due
from alerting.usecases.operators.feedback import give_feedback

MAY_NAME_NOTHING = {"x-names-something": True}
"""For operations that answer 404 to a name in their query or body; see `openapi.py`."""
MAY_CONFLICT = {"x-may-conflict": True}
"""For operations that answer 409 to what another person did before; see `openapi.py`."""
_bearer = HTTPBearer(auto_error=False, description="A token of a program, or of the tokens file.")


# What waits for nothing is `async`: the other dependencies each wait for a thread of their own.


def require(permission: Permission) -> Callable[..., Awaitable[Person]]:
    """Return a dependency that gives the person of a request with this permission."""

    async def person(request: Request, _: Annotated[object, Security(_bearer)] = None) -> Person:
        found: Person | None = request.state.person
        if found is None:
            raise HTTPException(401, "log in first")
        if not found.may(permission):
            raise HTTPException(
                403,
                translatable(
                    "this needs the role {role}; {person} has the role {own}",
                    role=LEAST_ROLES[permission],
                    person=found.name,
                    own=found.role,
                ),
            )
        return found

    # the description of the API states it, and a test that no route is without
    person.permission = permission  # type: ignore[attr-defined]
    return person


async def the_platform(request: Request) -> Platform:
    """Return the platform that this application serves."""
    platform: Platform = request.app.state.platform
    return platform


async def the_delivery(request: Request) -> Callable[[], DeliveryCounts]:
    """Return the function that delivers what is due now, as the platform does by itself."""
    platform = await the_platform(request)
    return lambda: deliver_due(platform, platform.clock.now())


Served = Annotated[Platform, Depends(the_platform)]
Delivery = Annotated[Callable[[], DeliveryCounts], Depends(the_delivery)]
Viewer = Annotated[Person, Depends(require("read"))]
Operator = Annotated[Person, Depends(require("operate"))]
Engineer = Annotated[Person, Depends(require("configure"))]
router = APIRouter(prefix="/api/v1")


@router.get("/health", tags=["health"])
def health(platform: Served) -> dict[str, str]:
    """Check that the API and its database answer. Needs no token."""
    platform.definitions.faulty()
    return {"status": "ok"}


@router.get("/episodes", tags=["episodes"])
def list_episodes(
    platform: Served,
    _: Viewer,
    definition: NameQuery | None = None,
    asset: NameQuery | None = None,
    only_open: Annotated[
        bool, Query(alias="open", description="true: only episodes that are open now.")
    ] = False,
    start: Annotated[
        Instant | None,
        Query(alias="from", description="Not over at this instant, or raised later."),
    ] = None,
    end: Annotated[
        Instant | None, Query(alias="to", description="Raised before this instant.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Cursor | None = None,
) -> views.EpisodePage:
    """List episodes, newest first, page by page; with `from` and `to` all that were open at some
    time between them. Instants are ISO 8601 with a zone."""
    before = views.read_cursor(cursor) if cursor else None
    found = platform.episodes.find(
        definition, asset, start, end, only_open, limit + 1, before, with_earlier=True
    )
    items = [views.episode_summary(episode, platform.zone) for episode in found[:limit]]
    return views.EpisodePage(
        items=items, next=views.cursor_after(found[limit - 1]) if len(found) > limit else None
    )


@router.get("/episodes/{id}", tags=["episodes"])
def show_episode(id: Id, platform: Served, _: Viewer) -> views.EpisodeDetail:
    """Show one episode with all details. The beginning of its id suffices if it is unique."""
    return _detail(platform, find_episode(platform.episodes, id))


@router.post("/episodes/{id}/feedback", tags=["episodes"], operation_id="give_feedback")
def say(
    id: Id, body: views.FeedbackBody, platform: Served, person: Operator
) -> views.EpisodeDetail:
    """Record whether an alarm was right and which action followed; returns the episode with its
    outcome. Role: operator."""
    return _detail(platform, record_feedback(platform, id, body, person))


def _detail(platform: Platform, episode: Episode) -> views.EpisodeDetail:
    return views.episode_detail(
        episode, platform.notifications.of_episodes([episode.id])[episode.id], platform.zone
    )


def record_feedback(
    platform: Platform, id: str, body: views.FeedbackBody, person: Person
) -> Episode:
    """Record the feedback of a person on an episode; returns the episode with its outcome."""
    now = platform.clock.now()
    action = body.action or None
    comment = body.comment or None
    taken = body.recommendation_taken
    return give_feedback(
        platform,
        Feedback(
            id, body.verdict, body.acted, action, comment, person.name, now, body.acted_at, taken
        ),
    )


@router.get("/platform-alerts", tags=["health"])
def list_platform_alerts(platform: Served, _: Viewer) -> list[PlatformAlert]:
    """List open faults of the platform itself: faulty definitions, unreadable champions. Empty
    without faults."""
    return with_plant_times(platform.platform_alerts.open(), platform.zone)
