"""The application: the gate, the API, the pages, and the handlers of faults."""

from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, FastAPI

from alerting.adapters.deadline import OtherProcess, RegistryOfPages
from alerting.adapters.passwords import Argon2Passwords
from alerting.adapters.platform import Platform
from alerting.console import login
from alerting.console.access import Access
from alerting.console.api import api, operate_api
from alerting.console.attempts import Turns, WrongAttempts
from alerting.console.gate import BODY_SECONDS, Gate
from alerting.console.handover import page as handover_page
from alerting.console.head import HeadAsGet
from alerting.console.language import language_routes
from alerting.console.live import live_api
from alerting.console.live.changes import LiveChanges
from alerting.console.login import Entrance
from alerting.console.now import answer_pages, now_api
from alerting.console.now import page as now_page
from alerting.console.people import directory_page, password_page, signing
from alerting.console.problems import handle_problems
from alerting.console.request_log import RequestLog
from alerting.console.scripts import serving
from alerting.console.sign_in import sign_in_routes
from alerting.console.web import links, operate_pages, pages, seldom
from alerting.console.web.later import Later, LaterRoutes
from alerting.console.web.line_clock import PageClock
from alerting.console.web.prefix import Prefix, prefix_of, require_free
from alerting.definitions.wording.language import LanguageCode
from alerting.operators.actions import Role
from alerting.operators.refusals import RefusalLog
from alerting.settings.environment import UTC
from alerting.usecases.access.audit import audit_refusals
from alerting.usecases.access.people import Passwords
from alerting.usecases.now.known_plant import RecentPlant

if TYPE_CHECKING:
    from alerting.adapters.predictions.job_files import JobFolder
    from alerting.console.imports.imports import Imports
    from alerting.console.people.directory_page import Directory
    from alerting.usecases.sinks.trial import OpenSink
    from alerting.usecases.sources.poll import Readers

PROGRAMS: tuple[APIRouter | Later, ...] = (
    seldom.PREDICT_API,
    api.router,
    *seldom.ENGINEERING_APIS,
    operate_api.router,
    *seldom.DATA_APIS,
    now_api.api,
    *seldom.PLANT_APIS,
    live_api.router,
    seldom.SILENCE_API,
    seldom.PLANT_API,
)
"""Routes for programs. What operators need is loaded at the start, the rest with its first
request: 25 MB."""
PEOPLE: tuple[APIRouter | Later, ...] = (
    *(now_page.pages, answer_pages.pages, pages.router),
    *(serving.router, handover_page.pages, operate_pages.router),
    *seldom.PAGES,
)
# sessions expire by it, independent of the platform's clock
_real_time = partial(datetime.now, UTC)


def create_app(
    platform: Platform,
    tokens: Mapping[str, tuple[str, Role]],
    *,
    now: Callable[[], datetime] = _real_time,
    zone: ZoneInfo = UTC,
    language: LanguageCode = "en",
    sign_in: Path | None = None,
    public_url: str | None = None,
    body_seconds: float = BODY_SECONDS,
    predict_files: "JobFolder | None" = None,
    import_files: "Imports | None" = None,
    passwords: Passwords | None = None,
    directory: "Directory | None" = None,
    source_readers: "Callable[[], Readers] | None" = None,
    sink_opener: "Callable[[], OpenSink] | None" = None,
    airflow: str | None = None,
    mlflow: str | None = None,
) -> FastAPI:
    """Return the application with the API and pages of a platform. Raises UserError without tokens.

    `tokens`: name and role by token. `zone`: time zone of the pages. `language`: of the pages, for
    browsers that ask for none of those that exist; the API is in English. `sign_in`: the folder of
    the one-time link. `public_url`: the address at which people reach the pages; its path comes
    before that of every page. `body_seconds`: time limit for the body of a request to arrive.
    `predict_files`: the files of predict jobs, `import_files` of imports; without them none are
    taken. `passwords`: their hashes, argon2id if left out. `directory`: the proxy by which
    people sign in; it needs `public_url`. `source_readers`: makes what connects to sources, to
    look at their rows; `sink_opener`: what connects to receivers of sinks. `airflow`: the address
    of its pages, for links; `mlflow`: likewise.
    """
    registries: dict[Any, Any] = {
        one: RegistryOfPages(one) for one in (platform.runs, platform.models)
    }
    platform = replace(platform, runs=registries[platform.runs], models=registries[platform.models])
    access = Access(platform, tokens)
    hashes = passwords or Argon2Passwords()
    wrong = WrongAttempts(platform.sessions)
    entrance = Entrance(platform, access, hashes, wrong, now, public_url, directory)
    refusals = RefusalLog()
    later = ThreadPoolExecutor(1, "later")

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        app.state.live.close()
        later.shutdown(wait=False)
        audit_refusals(platform.audit, refusals.due(now(), all_of_them=True))

    app = FastAPI(
        lifespan=lifespan,
        title="Alerting",
        version="1",
        summary="Episodes, feedback, definitions, models and reports of production lines.",
        openapi_url=None,  # `describe` serves it, to those who may read
        docs_url=None,  # its page would load scripts from other sites
        redoc_url=None,
    )
    app.state.platform = platform
    app.state.known_plant = RecentPlant(later.submit)
    app.state.live = LiveChanges(platform)
    app.state.zone = zone
    app.state.language = language
    app.state.line_clock = PageClock(platform.line_speed)
    app.state.entrance = entrance
    app.state.predict_files = predict_files
    app.state.airflow = airflow
    others = {"Airflow": airflow, "MLflow": mlflow}
    app.state.others = {name: (OtherProcess(), at) for name, at in others.items() if at}
    app.state.import_files = import_files
    app.state.source_readers = source_readers
    app.state.sink_opener = sink_opener
    handle_problems(app)
    signing.sign_forms(app)
    _add_routes(app, entrance, tokens, sign_in, now)
    app.add_middleware(Turns)
    app.add_middleware(
        Gate,
        access=entrance.access,
        wrong_attempts=entrance.wrong_attempts,
        now=now,
        body_seconds=body_seconds,
        audit=platform.audit,
        refusals=refusals,
        by_proxy=directory_page.enter_by_proxy,
    )
    app.add_middleware(HeadAsGet)
    app.add_middleware(RequestLog)
    if prefix := prefix_of(public_url):
        require_free(prefix, app.routes)
        app.add_middleware(Prefix, prefix=prefix)
    return app


def _add_routes(
    app: FastAPI,
    entrance: Entrance,
    tokens: Mapping[str, tuple[str, Role]],
    sign_in: Path | None,
    now: Callable[[], datetime],
) -> None:
    entrances = (
        links.link_routes(now),
        *(password_page.pages, login.routes),
        language_routes(),
    )
    for one in (*PROGRAMS, *PEOPLE, *entrances):
        # as `include_router` without arguments, which makes every route again: .1 s
        routes = one.routes if isinstance(one, APIRouter) else [LaterRoutes(app, one)]
        app.router.routes.extend(routes)
    if sign_in is not None:
        app.include_router(sign_in_routes(entrance.access, tokens, sign_in, now))
