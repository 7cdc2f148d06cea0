"""The page of the platform itself: its faults for everyone, and for engineers what it runs on."""

from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from alerting.adapters.deadline import find_silent
from alerting.adapters.mongo.mongo import is_outage
from alerting.console.api.api import Served, Viewer
from alerting.console.api.parameters import Id
from alerting.console.login import entrance_of
from alerting.console.metrics import PlatformReader
from alerting.console.web.rendering import FormEngineer, render
from alerting.definitions.faults import UserError
from alerting.definitions.sources.source import LEASE_LASTS
from alerting.definitions.wording.language import template
from alerting.ports import Platform, PlatformAlert
from alerting.stores.leases import STREAM
from alerting.usecases.access.audit import backup_age
from alerting.usecases.definitions.platform_alerts import (
    DRIFTED,
    FAULTY,
    MISCALIBRATED,
    UNREADABLE,
    WAITING,
)
from alerting.usecases.notification.platform_alerts import platform_recipients
from alerting.usecases.notification.routes import ROUTES
from alerting.usecases.platform_health.check import (
    BEHIND,
    FAILED,
    LOST,
    REFUSED,
    STALE,
    STOPPED,
    SURPLUS,
    mending_command,
)
from alerting.usecases.sources.stream import retry_dead

pages = APIRouter(include_in_schema=False)
SHOWN = 8
"""Definitions with their lag, the most overdue first."""

_SOURCE = ("source ", "/sources/{}", template("Open the source"))
_MENDED_AT = {
    FAULTY: ("", "/definitions/{}", template("Open the definition")),
    WAITING: ("", "/models/{}/decide", template("Compare and decide")),
    **dict.fromkeys((FAILED, UNREADABLE), ("", "/models/{}/train", template("Train now"))),
    **dict.fromkeys((REFUSED, MISCALIBRATED), ("", "/models/{}", template("Open the models"))),
    DRIFTED: ("", "/trends?asset={}", template("Open in trends")),
    BEHIND: ("sink ", "/sinks/{}", template("Open the sink")),
    **dict.fromkeys((STALE, STOPPED, LOST, SURPLUS), _SOURCE),
}
"""Of a kind of fault: how its subject begins, the page on which it is mended, and the link."""


@pages.get("/platform", response_class=HTMLResponse)
def faults(request: Request, platform: Served, _: Viewer) -> str:
    """Return the page of the platform: faults, and for engineers what runs, waits and is stored."""
    return _page(request, platform)


@pages.post("/platform/sources/{name}/retry", response_class=HTMLResponse)
def retry_by_form(name: Id, request: Request, platform: Served, person: FormEngineer) -> Response:
    """Store the dead messages of a source once more."""
    try:
        retry_dead(platform, name, person.name, platform.clock.now(), is_outage)
    except UserError as refusal:
        return HTMLResponse(_page(request, platform, str(refusal)), 422)
    return RedirectResponse("/platform#sources", 303)


def _mending_page(alert: PlatformAlert) -> tuple[str, str] | None:
    """Return the page on which a fault is mended, as address and text of its link."""
    begins, page, label = _MENDED_AT.get(alert.kind, ("", "", ""))
    if not page or not alert.subject.startswith(begins):
        return None
    return page.format(quote(alert.subject.removeprefix(begins), safe="")), label


def _page(request: Request, platform: Platform, refusal: str = "") -> str:
    """Return the page. `refusal`: why dead messages could not be tried again."""
    now = platform.clock.now()
    routes = ROUTES.read(platform)[0]
    runs_it = request.state.person.may("configure")
    reader: PlatformReader = request.app.state.reader
    return render(
        "platform.html",
        request,
        still_open=[
            (alert, mending_command(alert), _mending_page(alert))
            for alert in platform.platform_alerts.open()
        ],
        resolved=platform.platform_alerts.resolved_since(now - timedelta(days=7)),
        recipients=platform_recipients(platform, routes, now),
        is_asked=any(route.platform for route in routes),
        scrape=reader.read() if runs_it else None,
        service=platform.leases.find(STREAM) if runs_it else None,
        at=entrance_of(request).now(),
        dead_messages=_dead_messages(platform) if runs_it else {},
        disks=platform.disks() if runs_it else (),
        disk_least=platform.health_limits.disk_least,
        database=platform.database() if runs_it else None,
        backup_age=backup_age(platform.audit, datetime.now(UTC)) if runs_it else None,
        shown=SHOWN,
        gone=LEASE_LASTS,
        version=version("alerting"),
        refusal=refusal,
        silent=find_silent(request.app.state.others),
        now=now,
    )


def _dead_messages(platform: Platform) -> dict[str, int]:
    """Return how many messages of each source could not be stored."""
    names = sorted(str(document.get("name")) for document in platform.sources.documents())
    counted = {name: platform.dead_messages.count_dead(name) for name in names}
    return {name: count for name, count in counted.items() if count}
