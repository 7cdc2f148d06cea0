"""REST API, version 1: routes, their check, changes and test, and the retry of dead letters."""

from typing import Any, Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from alerting.console.api import views
from alerting.console.api.api import MAY_NAME_NOTHING, Engineer, Served, Viewer
from alerting.console.api.parameters import (
    CONTENT_ETAG,
    Id,
    IfContent,
    IfNoneMatch,
    expected_content,
)
from alerting.console.definitions.definition_api import Reason
from alerting.console.definitions.documents import TAKES_A_ROUTE, SentRoute
from alerting.console.definitions.views import FaultView, FieldChange, field_changes
from alerting.definitions.faults import UserError
from alerting.usecases.notification.deliver import deliver_due, retry
from alerting.usecases.notification.overview import RoutesOverview, routes_overview, try_route
from alerting.usecases.notification.route_changes import (
    RouteReview,
    apply_route,
    remove_one_route,
    require_route,
    review_route,
    tag_of_route,
)

router = APIRouter(prefix="/api/v1", tags=["notifications"])


class RetryBody(BaseModel):
    """Dead letters to deliver again."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(min_length=1, max_length=500, description="Key of a dead letter, or `all`.")


class RetryView(views.View):
    """Result of a retry: retried dead letters, and notifications sent or failed."""

    retried: int
    sent: int
    failed: int


class TestView(views.View):
    """Result of a test message. `fault`: the channel's, null when it accepted it."""

    channel: str
    delivered: bool
    fault: str | None


class RouteDetail(views.View):
    """A route. `document`: as people wrote it, valid or not."""

    name: str
    document: Any


class RouteChangeView(views.View):
    """The effect of a document of a route; a faulty one has faults alone."""

    name: str
    action: Literal["new", "changed", "unchanged"]
    faults: list[FaultView]
    changes: list[FieldChange]


@router.get("/routes")
def show_routes(platform: Served, _: Viewer) -> RoutesOverview:
    """List routes and channels with pending notifications and dead letters. Channels appear by
    name, without addresses."""
    return routes_overview(platform, platform.clock.now())


@router.get("/routes/{name:without_colon}", responses={200: CONTENT_ETAG})
def show_route(name: Id, platform: Served, _: Engineer, response: Response) -> RouteDetail:
    """Show a route with its document. The ETag names its content. Role: engineer."""
    found = require_route(platform.routes, name)
    response.headers["etag"] = f'"{tag_of_route(found)}"'
    return RouteDetail(name=name, document=found)


@router.post("/routes:check", openapi_extra=TAKES_A_ROUTE)
def check_route(platform: Served, _: Engineer, document: SentRoute) -> RouteChangeView:
    """Check a route without applying it: all its faults, or what it would change. Role:
    engineer."""
    return _review_view(review_route(platform, document))


@router.put(
    "/routes/{name:without_colon}",
    operation_id="apply_route",
    openapi_extra=TAKES_A_ROUTE,
    responses={
        200: CONTENT_ETAG,
        201: {"model": RouteChangeView, "description": "Made."} | CONTENT_ETAG,
    },
)
def apply_document(
    name: Id,
    platform: Served,
    person: Engineer,
    document: SentRoute,
    response: Response,
    reason: Reason = "",
    if_match: IfContent = None,
    if_none_match: IfNoneMatch = None,
) -> RouteChangeView:
    """Apply a route: as a change of the content in If-Match, or, with If-None-Match: *, as a new
    one. Role: engineer.

    412: it was changed since, by whom and when. A route names channels, never their addresses.
    """
    expected = expected_content(if_match, if_none_match)
    given = {"name": name, **document}
    if given["name"] != name:
        raise UserError(f"name: the document is of another route than {name!r}")
    why = reason or "applied through the API"
    made = apply_route(platform, given, expected, person.name, platform.clock.now(), why)
    response.status_code = 201 if made.action == "new" else 200
    response.headers["etag"] = f'"{tag_of_route(require_route(platform.routes, name))}"'
    return _review_view(made)


@router.delete("/routes/{name:without_colon}", status_code=204, response_class=Response)
def remove_route(
    name: Id,
    platform: Served,
    person: Engineer,
    reason: Reason = "",
    if_match: IfContent = None,
) -> None:
    """Remove a route, valid or not; the audit holds its document. Role: engineer."""
    expected = None if if_match is None else expected_content(if_match, None)
    why = reason or "removed through the API"
    remove_one_route(platform, name, expected, person.name, platform.clock.now(), why)


@router.post("/routes/{name}/test", operation_id="test_route")
def test_by_api(name: Id, platform: Served, person: Engineer) -> list[TestView]:
    """Send a test message to every channel of a route, at once. Role: engineer."""
    results = try_route(platform, name, person.name, platform.clock.now())
    faults = {channel: None if result == "sent" else result for channel, result in results.items()}
    return [
        TestView(channel=channel, delivered=fault is None, fault=fault)
        for channel, fault in faults.items()
    ]


@router.post(
    "/dead-letters/retry", openapi_extra=MAY_NAME_NOTHING, operation_id="retry_dead_letters"
)
def retry_by_api(body: RetryBody, platform: Served, person: Engineer) -> RetryView:
    """Deliver dead letters again under their old keys. Role: engineer."""
    retried = retry(platform, body.id, person.name, platform.clock.now())
    done = deliver_due(platform, platform.clock.now())
    return RetryView(retried=retried, sent=done.sent, failed=done.failed)


def _review_view(review: RouteReview) -> RouteChangeView:
    return RouteChangeView(
        name=review.name,
        action=review.action,
        faults=[FaultView.model_validate(fault) for fault in review.faults],
        changes=field_changes(review.changes),
    )
