"""The application: the gate, the API, the pages, and the handlers of faults; and its OpenAPI
description, with every status of an operation and its problem document."""

import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache, partial
from http import HTTPStatus
from itertools import chain
from pathlib import Path
from time import monotonic
from typing import Annotated, Any
from uuid import uuid4
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.dependencies.models import Dependant
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field
from starlette.types import Message, Receive, Scope, Send

from alerting.adapters.calls_with_deadline import OtherProcess, RegistryOfPages
from alerting.adapters.passwords_and_links import Argon2Passwords
from alerting.adapters.scored_files import PredictFolder
from alerting.console import (
    help_pages,
    login,
    model_pages,
    people_pages,
    platform_pages,
    scripts_and_styles,
)
from alerting.console.access import Access, Viewer, require
from alerting.console.alarms import (
    episode_pages,
    handover_and_report_pages,
    live_api,
    mute_pages,
    now_page,
)
from alerting.console.alarms.live_api import LiveChanges
from alerting.console.api import episode_api, ingest_api, model_api, predict_api
from alerting.console.api.ingest_api import BODIES
from alerting.console.api.parameters import MAY_CONFLICT, MAY_NAME_NOTHING, YAML, describe_schema
from alerting.console.api.predict_api import Predictor
from alerting.console.documents import definition_api, definition_pages, sources_sinks_routes
from alerting.console.documents.definition_api import Previews
from alerting.console.documents.document_api import ConsoleKind, DocumentApi
from alerting.console.documents.document_pages import DocumentPages
from alerting.console.documents.sources_sinks_routes import Trials
from alerting.console.fault_responses import METRICS, PROBLEM, handle_problems
from alerting.console.gate import BODY_SECONDS, OPEN, READING, SIGN_IN, Gate, Turns, WrongAttempts
from alerting.console.login import Directory, Entrance, sign_in_routes
from alerting.console.plant import asset_pages, import_pages, trend_page
from alerting.console.plant.import_jobs import Imports
from alerting.console.platform_pages import PlatformReader, metrics_routes
from alerting.console.rendering import (
    HttpMiddleware,
    Prefix,
    language_routes,
    prefix_of,
    render,
    require_free,
    when_started,
)
from alerting.definitions.faults import Fault
from alerting.definitions.wording.language import Language, LanguageCode
from alerting.operators.account_rules import RefusalLog
from alerting.operators.actions_and_mutes import Role
from alerting.optional_folders import find_optional
from alerting.ports import Platform
from alerting.ports.use_cases import id_logger, log_context
from alerting.reporting import phrases
from alerting.settings.environment import UTC
from alerting.stores.recent_alarms import with_recent_alarms
from alerting.usecases.access.accounts import Passwords, audit_refusals
from alerting.usecases.document_kinds import KINDS
from alerting.usecases.operators.known_plant import RecentPlant
from alerting.usecases.sink_delivery import OpenSink
from alerting.usecases.sources.poll import Readers


class HeadAsGet(HttpMiddleware):
    """Handles HEAD as GET, except where GET changes something: one-time links.

    The scope then has `is_head`, for an answer that would not end.
    """

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "HEAD" or scope["path"].startswith(SIGN_IN):
            await self._app(scope, receive, send)
            return

        async def send_head(message: Message) -> None:
            await send(
                {**message, "body": b""} if message["type"] == "http.response.body" else message
            )

        await self._app({**scope, "method": "GET", "is_head": True}, receive, send_head)


_log = id_logger(__name__)


class RequestLog(HttpMiddleware):
    """Log of method, declared address (never its values, which are often permissions), status,
    duration."""

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = monotonic()
        statuses = [500]
        sending = when_started(send, lambda message: statuses.append(message["status"]))
        with log_context(request=uuid4().hex[:12]):
            try:
                await self._app(scope, receive, sending)
            finally:
                _write(scope, statuses[-1], monotonic() - began)


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


class PageClock:
    """The name of the clock and the age of the readings for pages, read every ten seconds; a page
    never fails for it."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._speed: float | None = None
        self._age: timedelta | None = None
        self._again_at = 0.0

    def _read(self) -> None:
        if time.monotonic() >= self._again_at:
            self._again_at = time.monotonic() + 10.0
            with suppress(Exception):  # of a database that is away: the page says so itself
                self._speed = self._platform.line_speed()
                now = self._platform.clock.now()
                newest = self._platform.readings.newest_readings(now).values()
                self._age = min((now - reading.ts for reading in newest), default=None)

    def describe(self, language: Language) -> str | None:
        """Return the name of the clock in a language; None for real time."""
        self._read()
        return phrases.line_clock(self._speed, language)

    def age_of_readings(self) -> timedelta | None:
        """Return the age of the newest reading of all assets; None without one."""
        self._read()
        return self._age


PROGRAMS = (
    predict_api.router,
    episode_api.router,
    definition_api.router,
    sources_sinks_routes.source_api,
    sources_sinks_routes.sink_api,
    model_api.router,
    handover_and_report_pages.api,
    ingest_api.router,
    asset_pages.api,
    now_page.api,
    sources_sinks_routes.route_api,
    people_pages.api,
    platform_pages.api,
    trend_page.router,
    live_api.router,
    mute_pages.api,
)
"""Routes for programs."""
DOCUMENTS: Mapping[str, ConsoleKind] = {
    shown.kind.word: shown
    for shown in (
        sources_sinks_routes.SOURCE_PAGES,
        sources_sinks_routes.SINK_PAGES,
        sources_sinks_routes.ROUTE_PAGES,
        asset_pages.ASSET_PAGES,
        definition_pages.DEFINITION_PAGES,
    )
}
"""How the console shows each kind of documents that has its own parts of pages."""
PEOPLE = (
    now_page.pages,
    episode_pages.router,
    scripts_and_styles.script_routes,
    handover_and_report_pages.pages,
    mute_pages.pages,
    definition_pages.editor_routes,
    definition_pages.router,
    model_pages.router,
    handover_and_report_pages.router,
    sources_sinks_routes.pages,
    asset_pages.pages,
    platform_pages.pages,
    trend_page.pages,
    import_pages.pages,
    people_pages.pages,
    help_pages.pages,
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
    predict_files: PredictFolder | None = None,
    import_files: Imports | None = None,
    passwords: Passwords | None = None,
    directory: Directory | None = None,
    source_readers: Callable[[], Readers] | None = None,
    sink_opener: Callable[[], OpenSink] | None = None,
    airflow: str | None = None,
    mlflow: str | None = None,
) -> FastAPI:
    """Return the application with the API and pages of a platform. Raises UserError without tokens.

    `tokens`: name and role by token. `zone`: time zone of the pages. `language`: of the pages, for
    browsers that ask for no existing language; the API is in English. `sign_in`: the folder of the
    one-time link. `public_url`: the address at which people reach the pages; its path comes before
    the path of every page. `body_seconds`: time limit for the body of a request to arrive.
    `predict_files`: the files of predict jobs, `import_files` of imports; without them none are
    taken. `passwords`: their hashes, argon2id by default. `directory`: the proxy by which people
    sign in; it needs `public_url`. `source_readers`: makes connections to sources, to look at their
    rows; `sink_opener`: makes connections to receivers of sinks. `airflow`, `mlflow`: addresses of
    their pages, for links.
    """
    later = ThreadPoolExecutor(1, "later")
    platform = _for_pages(platform, later)
    access = Access(platform, tokens)
    hashes = passwords or Argon2Passwords()
    wrong = WrongAttempts(platform.sessions)
    entrance = Entrance(platform, access, hashes, wrong, now, public_url, directory)
    refusals = RefusalLog()

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
    app.state.line_clock = PageClock(platform)
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
    app.state.sign = login.sign  # forms on shared devices
    app.add_exception_handler(login.NotSigned, lambda _, fault: fault.args[0])
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


def _for_pages(platform: Platform, later: ThreadPoolExecutor) -> Platform:
    """Return the platform as pages read it: one registry a page, and recent alarms in memory."""
    registries: dict[Any, Any] = {
        registry: RegistryOfPages(registry) for registry in (platform.runs, platform.models)
    }
    return replace(
        platform,
        runs=registries[platform.runs],
        models=registries[platform.models],
        episodes=with_recent_alarms(platform.episodes, later.submit),
    )


def list_document_kinds() -> list[ConsoleKind]:
    """Return how the console shows each kind of documents."""
    return [
        DOCUMENTS.get(word)
        or ConsoleKind(kind, {"name": "new"}, f"{word.capitalize()}s", f"New {word}")
        for word, kind in KINDS.items()
    ]


@cache
def _document_routers(kind: ConsoleKind) -> tuple[APIRouter, APIRouter]:
    return DocumentApi(kind).router(), DocumentPages(kind).router()


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
    shared = (metrics_routes(app.state.reader), describe(app))
    documents = chain.from_iterable(map(_document_routers, app.state.document_kinds))
    added = [pages.routes(app) for pages in find_optional("console_routes")]
    for router in (*PROGRAMS, *PEOPLE, *documents, *shared, *entrances, *added):
        # as `include_router` without arguments, which makes every route again: .5 s
        app.router.routes.extend(router.routes)
    if sign_in is not None:
        app.include_router(sign_in_routes(entrance.access, tokens, sign_in, now))


_AT = "2026-01-05T09:45:00Z"
_REASON = {"reason": "agreed with the shift"}
_DEFINITION = {"definition": "oven-too-hot", "asset": "oven-1"}
EXAMPLES: Mapping[str, dict[str, Any]] = {
    "FeedbackBody": {"verdict": "true_alarm", "acted": True, "action": "zone 2 to 221 °C"},
    "AckBody": {"note": "on my way"},
    "ReasonBody": {"reason": "new sensor since Monday"},
    "StatedReasonBody": {"reason": "started by mistake"},
    "ConfirmBody": {"action": "slowed the belt", "acted_at": _AT},
    "CommentBody": {"comment": "the damper sticks"},
    "AssignBody": {"to": "anna"},
    "MuteBody": {"kind": "maintenance", "part": "oven-1", "for": "2h", "reason": "belt change"},
    "EndingEventBody": {"type": "start", "asset": "oven-1"},
    "ProlongBody": {"until": "2026-01-05T14:00:00Z"},
    "MissBody": {**_DEFINITION, "at": _AT, "comment": "zone 2 was too hot, no alarm came"},
    "ChangeBody": _REASON,
    "RestoreBody": {**_REASON, "revision": 2},
    "PreviewBody": {
        "definition": {
            "name": "oven-too-hot",
            "kind": "threshold",
            "assets": ["oven-1"],
            "variable": "zone_2_temperature",
            "above": 215,
        },
        "from": "2026-01-01T00:00:00Z",
        "to": "2026-01-29T00:00:00Z",
    },
    "ApprovalBody": {"run": "3b1f6f7c7c1d4f0c9f0e2f6a5d4c3b2a"},
    "RejectionBody": {"reason": "too many false alarms"},
    "RollbackBody": {"reason": "misses since Monday"},
    "ReadingBody": {"ts": _AT, "asset": "oven-1", "values": {"zone_2_temperature": 216.4}},
    "EventBody": {"ts": _AT, "asset": "oven-1", "type": "stop", "end": None},
    "PredictBody": {"asset": "oven-1"},
    "PredictBatchBody": {"assets": ["oven-1", "oven-2"]},
    "LabelBody": {
        "asset": "oven-1",
        "variables": ["zone_2_temperature"],
        "start": "2026-01-05T08:00:00Z",
        "end": _AT,
        "kind": "bad",
        "reason": "the sensor was exchanged",
    },
    "RetryBody": {"id": "all"},
    "TokenBody": {
        "name": "gateway-3",
        "owner": "anna",
        "role": "sender",
        "ends_at": "2027-01-05T00:00:00Z",
    },
}


_DESCRIPTIONS = {
    400: (
        "The body cannot be read: it is not JSON, nests too deeply, or holds a number that is too "
        "long."
    ),
    401: "The request has no valid token.",
    403: "The role of this token does not suffice.",
    404: "The named object does not exist.",
    408: "The body did not arrive in time.",
    409: "Another person was first, or the state does not allow it; the detail says which.",
    411: "The body came without its length.",
    412: "It was changed since the revision in If-Match; the detail says by whom, when and what.",
    413: "The body is too large.",
    422: "A parameter or the body has a fault; the detail names the fault and its place.",
    428: "The request names no revision that it changes.",
    429: (
        "This address sent too many wrong tokens, or too many deliveries or predictions are under "
        "way at once."
    ),
    431: "Address and headers are too large.",
    500: "A fault of the server; its log has the details.",
    503: "The database or the model registry does not answer.",
}
DESCRIPTION = "/api/v1/openapi.json"
_HEADERS = {
    401: {
        "WWW-Authenticate": {
            "description": "The authentication scheme.",
            "schema": {"type": "string"},
        }
    },
    429: {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}},
}


class ProblemDocument(BaseModel):
    """A problem document (RFC 9457)."""

    type: str = Field(description="Always `about:blank`: the status names the kind of problem.")
    title: str = Field(description="The status as text.")
    status: int
    detail: str = Field(description="The fault, its place, and the remedy.")
    instance: str = Field(description="The requested address.")
    faults: list[Fault] | None = Field(
        None,
        description="Each fault of a parameter, body or document: its place (fields joined by "
        "points), the fault, and a hint, empty without one. Absent without any.",
    )


def describe(app: FastAPI) -> APIRouter:
    """Return the routes of the OpenAPI description with its problem documents, for every role (a
    sender's program reads it, too, to know how to send), and of its page."""
    router = APIRouter()

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _describe_api(app)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]

    @router.api_route(DESCRIPTION, methods=sorted(READING), include_in_schema=False)
    def description(_: Annotated[object, Depends(require("describe"))]) -> JSONResponse:
        return JSONResponse(app.openapi())

    @router.get("/api", response_class=HTMLResponse, include_in_schema=False)
    def reference(request: Request, _: Viewer) -> str:
        """Return the page of the API, which Swagger UI makes of the description."""
        return render("api/reference.html", request)

    return router


def _describe_api(app: FastAPI) -> dict[str, Any]:
    routes = app.routes
    schema = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=routes)
    schemas = schema["components"]["schemas"]
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    problem = ProblemDocument.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas |= problem.pop("$defs") | {"Problem": problem | {"title": "Problem"}}
    schemas |= {body.__name__: body.model_json_schema() for body in BODIES}
    schemas |= {
        f"{shown.kind.word.capitalize()}Body": describe_schema(shown.kind.word, shown.example)
        for shown in app.state.document_kinds
    }
    for name in EXAMPLES.keys() & schemas.keys():
        schemas[name] = schemas[name] | {"examples": [EXAMPLES[name]]}
    for route in routes:
        if not isinstance(route, APIRoute) or not route.include_in_schema:
            continue
        for method in route.methods or ():
            operation = schema["paths"][route.path_format][method.lower()]
            operation["operationId"] = route.operation_id or route.name
            answers = {
                str(status): _problem(status) for status in _list_statuses(route, method, operation)
            }
            others = {
                code: answer for code, answer in operation["responses"].items() if code != "422"
            }
            operation["responses"] = dict(sorted((others | answers).items()))
            for mark in MAY_NAME_NOTHING | MAY_CONFLICT:
                operation.pop(mark, None)
    return schema


def _list_statuses(route: APIRoute, method: str, operation: dict[str, Any]) -> Iterator[int]:
    yield from (431, 500, 503)
    if route.path not in OPEN:
        yield from (401, 429)
    if any(hasattr(call, "permission") for call in _dependencies(route.dependant)):
        yield 403
    if "{" in route.path or operation.keys() & MAY_NAME_NOTHING.keys():
        yield 404
    if operation.keys() & MAY_CONFLICT.keys():
        yield 409
    if "parameters" in operation or "requestBody" in operation:
        yield 422
    if any(parameter["name"] == "if-match" for parameter in operation.get("parameters", ())):
        yield from (412, 428) if method == "PUT" else (412,)
    if method not in READING:
        yield from (411, 413)
    if "requestBody" in operation:
        yield 408
        content = operation["requestBody"]["content"]
        if "application/json" in content and YAML not in content:
            yield 400


def _dependencies(dependant: Dependant) -> Iterator[Callable[..., Any] | None]:
    for inner in dependant.dependencies:
        yield inner.call
        yield from _dependencies(inner)


def _problem(status: int) -> dict[str, Any]:
    content = {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    answer = {
        "description": f"{HTTPStatus(status).phrase}. {_DESCRIPTIONS[status]}",
        "content": content,
    }
    return answer | ({"headers": _HEADERS[status]} if status in _HEADERS else {})
