"""Pages of routes: pending notifications and dead letters, and the editor of a route."""

from collections.abc import Mapping
from functools import cache

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from alerting.adapters.platform import Platform
from alerting.console.api.api import Engineer, Served, Viewer
from alerting.console.api.parameters import FormField, Id
from alerting.console.definitions.form import FormSchema
from alerting.console.editing.editor import (
    Draft,
    EditedKind,
    Sent,
    render_editor,
    show_editor,
    submit,
)
from alerting.console.web.forms import FormEngineer
from alerting.console.web.rendering import render
from alerting.definitions.faults import ChangedMeanwhile, UserError
from alerting.definitions.routes import Route
from alerting.definitions.wording.language import translatable
from alerting.kinds.schema import document_schema
from alerting.notifications.notification import Notification, PostponedBy
from alerting.ports import Document
from alerting.reporting.base.sentences import MESSAGE_NAMES
from alerting.reporting.page.route_text import route_terms
from alerting.usecases.notification.deliver import deliver_due, retry
from alerting.usecases.notification.overview import routes_overview, try_route
from alerting.usecases.notification.route_changes import (
    apply_route,
    remove_one_route,
    require_route,
    review_route,
    tag_of_route,
)
from alerting.usecases.notification.routes import routes_by_name

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
    "report": translatable("report"),
    "silence": translatable("silence"),
    "test": translatable("test message"),
}
"""Messages of no single alarm, by the beginning of their keys."""


@pages.get("/routes", response_class=HTMLResponse)
def routes(request: Request, platform: Served, _: Viewer) -> str:
    """Return the page of routes."""
    return _page(request, platform)


@pages.get("/routes/{name}/edit", response_class=HTMLResponse)
def edit(name: Id, request: Request, platform: Served, _: Engineer) -> str:
    """Return the editor of a route."""
    return show_editor(ROUTES, request, platform, name)


@pages.post("/routes/{name}/edit", response_class=HTMLResponse)
def submit_edit(
    name: Id, request: Request, platform: Served, person: FormEngineer, sent: Sent
) -> Response:
    """Check or apply a change of a route, or change what is shown, as the pressed button says."""
    return submit(ROUTES, request, platform, person, sent, name)


@pages.get("/new-route", response_class=HTMLResponse)
def new_route(request: Request, platform: Served, _: Engineer) -> str:
    """Return the editor of a new route."""
    return render_editor(ROUTES, request, platform, Draft(""))


@pages.post("/new-route", response_class=HTMLResponse)
def make_route(request: Request, platform: Served, person: FormEngineer, sent: Sent) -> Response:
    """Check or apply a new route, or change what is shown, as the pressed button says."""
    return submit(ROUTES, request, platform, person, sent)


@pages.post("/routes/{name}/remove", response_class=HTMLResponse)
def remove(
    name: Id,
    request: Request,
    platform: Served,
    person: FormEngineer,
    tag: FormField = "",
    reason: FormField = "",
) -> Response:
    """Remove a route of the content that was read."""
    now = platform.clock.now()
    try:
        remove_one_route(platform, name, tag, person.name, now, reason.strip())
    except ChangedMeanwhile as changed:
        return HTMLResponse(_page(request, platform, unremoved=changed.message), 412)
    return RedirectResponse("/routes", 303)


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
    unremoved: str = "",
) -> str:
    """Return the page of routes. `results`: of the test of `tried`; `refusal`: a retry's;
    `unremoved`: why a route was not removed."""
    now = platform.clock.now()
    found = routes_overview(platform, now)
    return render(
        "routes/routes.html",
        request,
        found=found,
        terms={overview.route.name: route_terms(overview.route) for overview in found.routes},
        tags={name: tag_of_route(one) for name, one in routes_by_name(platform.routes).items()},
        channels={channel.name: channel for channel in found.channels},
        dead=found.dead[:100],
        tried=tried,
        results=results or {},
        message_name=_message_name,
        postponed=POSTPONED,
        refusal=refusal,
        unremoved=unremoved,
        now=now,
    )


def _message_name(message: Notification) -> str:
    """Return what a message is, in words; one of no known kind by the beginning of its key."""
    if message.episode:
        return MESSAGE_NAMES.get(message.transition, message.transition.replace("_", " "))
    begin = message.key.partition(":")[0]
    return OTHER_MESSAGES.get(begin, begin.replace("-", " "))


@cache
def route_schema() -> FormSchema:
    """Return the fields of a route for its form."""
    schema = document_schema(Route)
    first = ("name", "channels", "match", "timezone", "shifts", "quiet", "repeat", "escalation")
    return FormSchema(schema, schema["$defs"], first=first, named=frozenset())


def _find(platform: Platform, name: str) -> tuple[Document, str]:
    found = require_route(platform.routes, name)
    return found, tag_of_route(found)


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


ROUTES = EditedKind(
    "routes/edit.html",
    "/routes",
    "/new-route",
    route_schema,
    _find,
    review_route,
    apply_route,
    _offered,
)
