"""The application: the gate, the API, the pages, and one way to say what went wrong."""

from collections.abc import Callable, Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from fastapi import FastAPI

from alerting.console import api, links, operate_api, operate_pages, pages, quality, routes
from alerting.console.access import Access
from alerting.console.gate import Gate
from alerting.console.problems import handle_problems
from alerting.episodes.operator import Role
from alerting.pipelines.ports import Platform
from alerting.settings import UTC


def wall_clock() -> datetime:
    """The real time: sessions of people end by it, whatever the platform's clock says."""
    return datetime.now(UTC)


def create_app(
    platform: Platform,
    tokens: Mapping[str, tuple[str, Role]],
    *,
    now: Callable[[], datetime] = wall_clock,
    zone: ZoneInfo = UTC,
) -> FastAPI:
    """The API and pages of a platform. Raises Refused without tokens.

    `tokens`: name and role by token. `zone`: in which the pages show their times; the API speaks UTC.
    """
    access = Access(tokens)
    app = FastAPI(
        title="Alerting",
        version="1",
        summary="Episodes, feedback, definitions, models and reports of production lines.",
        openapi_url="/api/v1/openapi.json",
        docs_url=None,  # its page would load scripts from elsewhere
        redoc_url=None,
    )
    app.state.platform = platform
    app.state.zone = zone
    handle_problems(app)
    app.include_router(api.router)
    app.include_router(operate_api.router)
    app.include_router(quality.api)
    app.include_router(routes.api)
    app.include_router(pages.router)
    app.include_router(quality.pages)
    app.include_router(routes.pages)
    app.include_router(operate_pages.router)
    app.include_router(links.link_routes(now))
    app.include_router(pages.login_routes(access, now))
    app.add_middleware(Gate, access=access, now=now)
    return app
