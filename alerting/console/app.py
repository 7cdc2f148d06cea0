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

from fastapi import FastAPI

from alerting.adapters.deadline import OtherProcess, RegistryOfPages
from alerting.adapters.passwords import Argon2Passwords
from alerting.adapters.platform import Platform
from alerting.console import login
from alerting.console.access import Access
from alerting.console.api import (
    api,
    ingest_api,
    openapi,
    operate_api,
    predict_api,
    predict_jobs_api,
    report_api,
    series_api,
)
from alerting.console.api.predictor import Predictor
from alerting.console.assets import asset_pages
from alerting.console.attempts import Turns, WrongAttempts
from alerting.console.definitions import definition_api, editor_page, list_page, preview_api
from alerting.console.definitions.previews import Previews
from alerting.console.documents import sinks, sources
from alerting.console.documents.api import DocumentApi
from alerting.console.documents.kinds import ConsoleKind
from alerting.console.documents.pages import DocumentPages
from alerting.console.documents.trials import Trials
from alerting.console.gate import BODY_SECONDS, Gate
from alerting.console.handover import page as handover_page
from alerting.console.head import HeadAsGet
from alerting.console.imports import import_pages
from alerting.console.language import language_routes
from alerting.console.live import live_api
from alerting.console.live.changes import LiveChanges
from alerting.console.login import Entrance
from alerting.console.metrics import PlatformReader, metrics_routes
from alerting.console.models import decision_pages, model_api, model_pages
from alerting.console.mutes import mutes
from alerting.console.now import answer_pages, now_api
from alerting.console.now import page as now_page
from alerting.console.people import (
    access_page,
    account_page,
    audit_page,
    directory_page,
    password_page,
    signing,
)
from alerting.console.problems import handle_problems
from alerting.console.request_log import RequestLog
from alerting.console.routes import route_pages
from alerting.console.scripts import serving
from alerting.console.sign_in import sign_in_routes
from alerting.console.trends import label_api, label_pages, trend_api
from alerting.console.trends import page as trend_page
from alerting.console.web import links, operate_pages, pages, platform_page, quality, report_pages
from alerting.console.web.line_clock import PageClock
from alerting.console.web.prefix import Prefix, prefix_of, require_free
from alerting.definitions.wording.language import LanguageCode
from alerting.operators.actions import Role
from alerting.operators.refusals import RefusalLog
from alerting.settings.environment import UTC
from alerting.usecases.access.audit import audit_refusals
from alerting.usecases.access.people import Passwords
from alerting.usecases.document_kinds import KINDS
from alerting.usecases.now.known_plant import RecentPlant

if TYPE_CHECKING:
    from alerting.adapters.predictions import PredictFolder
    from alerting.console.imports.imports import Imports
    from alerting.console.people.directory_page import Directory
    from alerting.usecases.sinks.trial import OpenSink
    from alerting.usecases.sources.poll import Readers

PROGRAMS = (
    predict_api.router,
    api.router,
    definition_api.router,
    preview_api.router,
    sources.router,
    sinks.router,
    model_api.router,
    operate_api.router,
    report_api.router,
    ingest_api.router,
    predict_jobs_api.router,
    series_api.router,
    now_api.api,
    quality.api,
    route_pages.router,
    access_page.api,
    audit_page.api,
    trend_api.router,
    label_api.router,
    live_api.router,
    mutes.api,
)
"""Routes for programs."""
DOCUMENTS: Mapping[str, ConsoleKind] = {
    one.kind.word: one
    for one in (
        sources.SOURCE_PAGES,
        sinks.SINK_PAGES,
        route_pages.ROUTE_PAGES,
        asset_pages.ASSET_PAGES,
        editor_page.DEFINITION_PAGES,
    )
}
"""How the console shows each kind of documents that has its own parts of pages."""
PEOPLE = (
    now_page.pages,
    answer_pages.pages,
    pages.router,
    serving.router,
    handover_page.pages,
    operate_pages.router,
    mutes.pages,
    editor_page.router,
    list_page.router,
    model_pages.router,
    decision_pages.router,
    report_pages.router,
    quality.pages,
    route_pages.pages,
    asset_pages.pages,
    sources.pages,
    sinks.pages,
    platform_page.pages,
    trend_page.pages,
    label_pages.pages,
    import_pages.pages,
    access_page.pages,
    account_page.pages,
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


def list_document_kinds() -> list[ConsoleKind]:
    """Return how the console shows each kind of documents."""
    return [
        DOCUMENTS.get(word)
        or ConsoleKind(kind, {"name": "new"}, f"{word.capitalize()}s", f"New {word}")
        for word, kind in KINDS.items()
    ]


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
    app.state.predictor = Predictor(app.state.platform)
    app.state.previews = Previews()
    app.state.deliveries = ingest_api.Deliveries()
    app.state.reader = PlatformReader(app.state.platform)
    shared = (metrics_routes(app.state.reader), openapi.describe(app))
    kinds = app.state.document_kinds
    documents = [made(kind).router() for made in (DocumentApi, DocumentPages) for kind in kinds]
    for one in (*PROGRAMS, *PEOPLE, *documents, *shared, *entrances):
        # as `include_router` without arguments, which makes every route again: .5 s
        app.router.routes.extend(one.routes)
    if sign_in is not None:
        app.include_router(sign_in_routes(entrance.access, tokens, sign_in, now))
