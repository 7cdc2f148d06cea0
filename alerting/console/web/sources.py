"""The page of sources: what each has delivered, and its faults."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from alerting.console.api.api import Served, Viewer
from alerting.console.web.rendering import render
from alerting.usecases.sources.documents import read_sources
from alerting.usecases.sources.status import source_statuses

pages = APIRouter(include_in_schema=False)


@pages.get("/sources", response_class=HTMLResponse)
def sources(request: Request, platform: Served, _: Viewer) -> str:
    """Return the page of sources, which loads itself again."""
    now = platform.clock.now()
    return render(
        "sources.html",
        request,
        statuses=source_statuses(platform.sources, platform.deliveries, now),
        now=now,
        faulty=read_sources(platform.sources)[1],
    )
