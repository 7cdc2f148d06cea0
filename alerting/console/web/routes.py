"""The page of routes: pending notifications and dead letters, and the same for programs."""

from collections.abc import Mapping

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from alerting.adapters.platform import Platform
from alerting.console.api import views
from alerting.console.api.api import MAY_NAME_NOTHING, PlantEngineer, PlantViewer, Served
from alerting.console.api.parameters import FormField, Id
from alerting.console.web.forms import FormPlantEngineer
from alerting.console.web.rendering import render
from alerting.definitions.faults import UserError
from alerting.reporting.page.route_text import route_terms
from alerting.usecases.notification.deliver import deliver_due, retry
from alerting.usecases.notification.overview import RoutesOverview, routes_overview, try_route

api = APIRouter(prefix="/api/v1")
pages = APIRouter(include_in_schema=False)


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


@api.get("/routes", tags=["notifications"])
def show_routes(platform: Served, _: PlantViewer) -> RoutesOverview:
    """List routes and channels with pending notifications and dead letters. Channels appear by
    name, without addresses."""
    return routes_overview(platform, platform.clock.now())


@api.post("/routes/{name}/test", tags=["notifications"], operation_id="test_route")
def test_by_api(name: Id, platform: Served, person: PlantEngineer) -> list[TestView]:
    """Send a test message to every channel of a route, at once. Role: engineer."""
    results = try_route(platform, name, person.name, platform.clock.now())
    faults = {channel: None if result == "sent" else result for channel, result in results.items()}
    return [
        TestView(channel=channel, delivered=fault is None, fault=fault)
        for channel, fault in faults.items()
    ]


@api.post(
    "/dead-letters/retry",
    tags=["notifications"],
    openapi_extra=MAY_NAME_NOTHING,
    operation_id="retry_dead_letters",
)
def retry_by_api(body: RetryBody, platform: Served, person: PlantEngineer) -> RetryView:
    """Deliver dead letters again under their old keys. Role: engineer."""
    retried = retry(platform, body.id, person.name, platform.clock.now())
    done = deliver_due(platform, platform.clock.now())
    return RetryView(retried=retried, sent=done.sent, failed=done.failed)


@pages.get("/routes", response_class=HTMLResponse)
def routes(request: Request, platform: Served, _: PlantViewer) -> str:
    """Return the page of routes."""
    return _page(request, platform)


@pages.post("/routes/{name}/test", response_class=HTMLResponse)
def test_by_form(
    name: Id, request: Request, platform: Served, person: FormPlantEngineer
) -> Response:
    """Send a test message and show its result."""
    results = try_route(platform, name, person.name, platform.clock.now())
    return HTMLResponse(_page(request, platform, tried=name, results=results))


@pages.post("/dead-letters/retry", response_class=HTMLResponse)
def retry_by_form(
    request: Request, platform: Served, person: FormPlantEngineer, id: FormField = ""
) -> Response:
    """Retry dead letters."""
    now = platform.clock.now()
    try:
        retry(platform, id, person.name, now)
    except UserError as refusal:
        return HTMLResponse(_page(request, platform, refusal=str(refusal)), 422)
    deliver_due(platform, now)
    return RedirectResponse("/routes#undelivered", 303)


def _page(
    request: Request,
    platform: Platform,
    tried: str = "",
    results: Mapping[str, str] | None = None,
    refusal: str = "",
) -> str:
    """Return the page of routes. `results`: of the test of `tried`; `refusal`: a retry's."""
    found = routes_overview(platform, platform.clock.now())
    return render(
        "routes.html",
        request,
        found=found,
        terms={overview.route.name: route_terms(overview.route) for overview in found.routes},
        channels={channel.name: channel for channel in found.channels},
        dead=found.dead[:100],
        tried=tried,
        results=results or {},
        refusal=refusal,
    )
