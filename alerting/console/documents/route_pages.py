"""Routes at the console: pending notifications, dead letters and their retry, a test message."""

from collections.abc import Mapping

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from alerting.console.api import views
from alerting.console.api.api import MAY_NAME_NOTHING, Engineer, Served, Viewer
from alerting.console.api.parameters import FormField, Id
from alerting.console.documents.console_kind import ConsoleKind, FormFields
from alerting.console.rendering import FormEngineer, render
from alerting.definitions.faults import UserError
from alerting.definitions.wording.language import translatable
from alerting.notifications.notification import Notification, PostponedBy
from alerting.ports import Document, Platform
from alerting.reporting.phrases import route_terms
from alerting.reporting.sentences import MESSAGE_NAMES
from alerting.usecases.notification.delivery import (
    RoutesOverview,
    deliver_due,
    retry,
    routes_overview,
    try_route,
)
from alerting.usecases.notification.routing import ROUTES

router = APIRouter(prefix="/api/v1", tags=["notifications"])
pages = APIRouter(include_in_schema=False)
POSTPONED: Mapping[PostponedBy, str] = {
    "quiet": translatable("quiet"),
    "flood": translatable("flood"),
    "digest": translatable("digest"),
}
"""Why a message waits although nothing failed."""
OTHER_MESSAGES: Mapping[str, str] = {
    "quiet": translatable("messages of the quiet hours"),
    "flood": translatable("flood summary"),
    "digest": translatable("digest"),
    "heartbeat": translatable("heartbeat"),
    "handover": translatable("handover"),
    "platform": translatable("fault of the platform"),
    "platform-over": translatable("end of a fault of the platform"),
    "mute": translatable("begin or end of a mute"),
    "report": translatable("report"),
    "test": translatable("test message"),
}
"""Messages of no single alarm, by the beginning of their keys."""


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


@router.get("/routes")
def show_routes(platform: Served, _: Viewer) -> RoutesOverview:
    """List routes and channels with pending notifications and dead letters. Channels appear by
    name, without addresses."""
    return routes_overview(platform, platform.clock.now())


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


@pages.get("/routes", response_class=HTMLResponse)
def routes(request: Request, platform: Served, _: Viewer) -> str:
    """Return the page of routes."""
    return _page(request, platform)


@pages.post("/routes/{name}/test", response_class=HTMLResponse)
def test_by_form(name: Id, request: Request, platform: Served, person: FormEngineer) -> Response:
    """Send a test message and show its result."""
    results = try_route(platform, name, person.name, platform.clock.now())
    return HTMLResponse(_page(request, platform, tried=name, results=results))


@pages.post("/dead-letters/retry", response_class=HTMLResponse)
def retry_by_form(
    request: Request, platform: Served, person: FormEngineer, id: FormField = ""
) -> Response:
    """Retry dead letters."""
    now = platform.clock.now()
    try:
        retry(platform, id, person.name, now)
    except UserError as refusal:
        return HTMLResponse(_page(request, platform, refusal=refusal.message), 422)
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
    now = platform.clock.now()
    found = routes_overview(platform, now)
    return render(
        "routes/routes.html",
        request,
        found=found,
        terms={overview.route.name: route_terms(overview.route) for overview in found.routes},
        channels={channel.name: channel for channel in found.channels},
        dead=found.dead[:100],
        tried=tried,
        results=results or {},
        message_name=_message_name,
        postponed=POSTPONED,
        refusal=refusal,
        now=now,
    )


def _message_name(message: Notification) -> str:
    """Return what a message is, in words; one of no known kind by the beginning of its key."""
    if message.episode:
        return MESSAGE_NAMES.get(message.transition, message.transition.replace("_", " "))
    begin = message.key.partition(":")[0]
    return OTHER_MESSAGES.get(begin, begin.replace("-", " "))


def _offered(platform: Platform, document: Document) -> dict[str, dict[str, str]]:
    channels = dict.fromkeys(sorted(platform.channels), "")
    steps = document.get("escalation")
    number = len(steps) if isinstance(steps, list) else 0
    return {
        "channels": channels,
        **{f"escalation.{n}.channels": channels for n in range(number)},
        "match.assets": {asset.name: asset.title or "" for asset in platform.assets.all()},
        "match.definitions": {
            one.name: one.definition.title or "" for one in platform.definitions.latest_revisions()
        },
        "match.severity": dict.fromkeys(("low", "medium", "high", "critical"), ""),
    }


ROUTE_PAGES = ConsoleKind(
    ROUTES,
    example={"name": "night-shift", "channels": ["email-shift"]},
    title=translatable("Routes"),
    new=translatable("New route"),
    note=translatable(
        "A route names channels. Their addresses and passwords stay in the settings of the "
        "platform, never here."
    ),
    own_list=True,
    fields=FormFields(
        first=("name", "channels", "match", "timezone", "shifts", "quiet", "repeat", "escalation")
    ),
    offered=_offered,
)
