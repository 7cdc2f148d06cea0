"""The application: the gate, the API, the pages, and the handlers of faults."""

import time
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import datetime
from functools import cache, partial
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any
from uuid import uuid4
from zoneinfo import ZoneInfo

from fastapi import APIRouter, FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from alerting.adapters.deadline import OtherProcess, RegistryOfPages
from alerting.adapters.passwords_and_links import Argon2Passwords
from alerting.console import audit_page, login, people_pages, platform_health, scripts
from alerting.console.access import Access
from alerting.console.alarms import (
    episode_pages,
    handover_page,
    live_api,
    mute_pages,
    now_page,
    report_pages,
)
from alerting.console.alarms.live_api import LiveChanges
from alerting.console.api import api, ingest_api, openapi, predict_api
from alerting.console.api.predict_api import Predictor
from alerting.console.documents import (
    definition_api,
    definition_pages,
    previews,
    route_pages,
    sources_and_sinks,
)
from alerting.console.documents.console_kind import ConsoleKind
from alerting.console.documents.document_api import DocumentApi
from alerting.console.documents.document_pages import DocumentPages
from alerting.console.documents.previews import Previews
from alerting.console.documents.sources_and_sinks import Trials
from alerting.console.gate import BODY_SECONDS, SIGN_IN, Gate, Turns, WrongAttempts
from alerting.console.login import Entrance, sign_in_routes
from alerting.console.models import model_api, model_pages
from alerting.console.plant import asset_pages, import_pages, trend_page
from alerting.console.platform_health import PlatformReader, metrics_routes
from alerting.console.prefix import Prefix, prefix_of, require_free
from alerting.console.problems import METRICS, handle_problems
from alerting.console.rendering import language_routes
from alerting.definitions.wording.language import Language, LanguageCode
from alerting.operators.accounts import RefusalLog
from alerting.operators.actions_and_mutes import Role
from alerting.ports import Platform
from alerting.ports.use_cases import id_logger, log_context
from alerting.reporting import phrases
from alerting.settings.environment import UTC
from alerting.usecases.access.accounts import Passwords
from alerting.usecases.access.audit import audit_refusals
from alerting.usecases.document_kinds import KINDS
from alerting.usecases.operators.known_plant import RecentPlant

if TYPE_CHECKING:
    from alerting.adapters.predictions import PredictFolder
    from alerting.console.login import Directory
    from alerting.console.plant.import_jobs import Imports
    from alerting.usecases.sink_delivery import OpenSink
    from alerting.usecases.sources.poll import Readers


class HeadAsGet:
    """Handles HEAD as GET, except where GET changes something: one-time links.

    The scope then has `is_head`, for an answer that would not end.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (
            scope["type"] != "http"
            or scope["method"] != "HEAD"
            or scope["path"].startswith(SIGN_IN)
        ):
            await self._app(scope, receive, send)
            return

        async def send_head(message: Message) -> None:
            await send(
                {**message, "body": b""} if message["type"] == "http.response.body" else message
            )

        await self._app({**scope, "method": "GET", "is_head": True}, receive, send_head)


_log = id_logger(__name__)


class RequestLog:
    """Log of method, declared address (never its values, often permissions), status, duration."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = monotonic()
        status = 500

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        with log_context(request=uuid4().hex[:12]):
            try:
                await self._app(scope, receive, sending)
            finally:
                _write(scope, status, monotonic() - began)


def _write(scope: Scope, status: int, seconds: float) -> None:
    path = getattr(scope.get("route"), "path", "no such address")
    # requested every few seconds: logged only on failure
    if path in {"/api/v1/health", "/style.css", METRICS} and status < 400:
        return
    person = scope.get("state", {}).get("person")
    write = _log.error if status >= 500 else _log.info
    write(
        "%s %s: %d in %.0f ms",
        scope["method"],
        path,
        status,
        1000 * seconds,
        actor=person.name if person else None,
    )


_READ_AGAIN_S = 10.0


class PageClock:
    """The name of the clock for pages, read every ten seconds; a page never fails for it."""

    def __init__(self, read: Callable[[], float | None]) -> None:
        """`read`: returns the speed of the simulated line; None in real time."""
        self._read = read
        self._speed: float | None = None
        self._again_at = 0.0

    def describe(self, language: Language) -> str | None:
        """Return the name of the clock in a language; None for real time."""
        if time.monotonic() >= self._again_at:
            self._again_at = time.monotonic() + _READ_AGAIN_S
            with suppress(Exception):  # of a database that is away: the page says so itself
                self._speed = self._read()
        return phrases.line_clock(self._speed, language)


PROGRAMS = (
    predict_api.router,
    api.router,
    definition_api.router,
    previews.router,
    sources_and_sinks.source_api,
    sources_and_sinks.sink_api,
    model_api.router,
    report_pages.api,
    ingest_api.router,
    asset_pages.api,
    now_page.api,
    route_pages.router,
    people_pages.api,
    audit_page.api,
    trend_page.router,
    live_api.router,
    mute_pages.api,
)
"""Routes for programs."""
DOCUMENTS: Mapping[str, ConsoleKind] = {
    one.kind.word: one
    for one in (
        sources_and_sinks.SOURCE_PAGES,
        sources_and_sinks.SINK_PAGES,
        route_pages.ROUTE_PAGES,
        asset_pages.ASSET_PAGES,
        definition_pages.DEFINITION_PAGES,
    )
}
"""How the console shows each kind of documents that has its own parts of pages."""
PEOPLE = (
    now_page.pages,
    episode_pages.router,
    scripts.router,
    handover_page.pages,
    mute_pages.pages,
    definition_pages.editor_routes,
    definition_pages.router,
    model_pages.router,
    report_pages.router,
    report_pages.pages,
    route_pages.pages,
    asset_pages.pages,
    sources_and_sinks.pages,
    platform_health.pages,
    trend_page.pages,
    import_pages.pages,
    people_pages.pages,
    audit_page.pages,
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
    predict_files: "PredictFolder | None" = None,
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
    app.state.source_trials = Trials("source", source_readers)
    app.state.sink_trials = Trials("sink", sink_opener)
    app.state.document_kinds = list_document_kinds()
    handle_problems(app)
    login.sign_forms(app)
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
        by_proxy=login.enter_by_proxy,
    )
    app.add_middleware(HeadAsGet)
    app.add_middleware(RequestLog)
    if prefix := prefix_of(public_url):
        require_free(prefix, app.routes)
        app.add_middleware(Prefix, prefix=prefix)
    return app


def list_document_kinds() -> list[ConsoleKind]:
    """Return how the console shows each kind of documents."""
    return [
        DOCUMENTS.get(word)
        or ConsoleKind(kind, {"name": "new"}, f"{word.capitalize()}s", f"New {word}")
        for word, kind in KINDS.items()
    ]


@cache
def _document_api(kind: ConsoleKind) -> APIRouter:
    return DocumentApi(kind).router()


@cache
def _document_pages(kind: ConsoleKind) -> APIRouter:
    return DocumentPages(kind).router()


def _add_routes(
    app: FastAPI,
    entrance: Entrance,
    tokens: Mapping[str, tuple[str, Role]],
    sign_in: Path | None,
    now: Callable[[], datetime],
) -> None:
    entrances = (
        episode_pages.link_routes(now),
        login.routes,
        language_routes(),
    )
    app.state.predictor = Predictor(app.state.platform)
    app.state.previews = Previews()
    app.state.deliveries = ingest_api.Deliveries()
    app.state.reader = PlatformReader(app.state.platform)
    shared = (metrics_routes(app.state.reader), openapi.describe(app))
    kinds = app.state.document_kinds
    documents = [*map(_document_api, kinds), *map(_document_pages, kinds)]
    for one in (*PROGRAMS, *PEOPLE, *documents, *shared, *entrances):
        # as `include_router` without arguments, which makes every route again: .5 s
        app.router.routes.extend(one.routes)
    if sign_in is not None:
        app.include_router(sign_in_routes(entrance.access, tokens, sign_in, now))
