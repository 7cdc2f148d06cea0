"""The page of the platform itself, for engineers: its faults, and who is told of them."""

from datetime import timedelta

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from alerting.console.api.api import PlantViewer, Served
from alerting.console.web.rendering import render
from alerting.usecases.notification.platform_alerts import platform_recipients
from alerting.usecases.notification.routes import read_routes

pages = APIRouter(include_in_schema=False)


@pages.get("/platform", response_class=HTMLResponse)
def faults(request: Request, platform: Served, _: PlantViewer) -> str:
    """Return the page of the platform's faults: open ones, and those of the last week."""
    now = platform.clock.now()
    routes = read_routes(platform.routes)[0]
    return render(
        "platform.html",
        request,
        still_open=platform.platform_alerts.open(),
        resolved=platform.platform_alerts.resolved_since(now - timedelta(days=7)),
        recipients=platform_recipients(platform, routes, now),
        is_asked=any(route.platform for route in routes),
        now=now,
    )
