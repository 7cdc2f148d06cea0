"""Sources, sinks and routes at the console: what each source delivers, rows as they would be
stored, test messages, pending notifications, and the messages that could not be stored or sent,
with their retry. A few connections are tried at once."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from threading import BoundedSemaphore
from typing import Any, Generic, TypeVar

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import Field

from alerting.adapters.mongo.mongo import is_outage
from alerting.console.access import Engineer, Served, Viewer
from alerting.console.api import views
from alerting.console.api.parameters import MAY_NAME_NOTHING, FormField, Id, Sent, describe_body
from alerting.console.api.views import Body, reader_of, translate_texts
from alerting.console.documents.document_api import (
    ConsoleKind,
    FormFields,
)
from alerting.console.documents.document_pages import render_page, render_refusal
from alerting.console.rendering import FormEngineer, render
from alerting.definitions.faults import DocumentRefused, NotFound, UserError
from alerting.definitions.source_fields import StreamedSource
from alerting.definitions.sources import FilesSource, Source, SqlSource
from alerting.definitions.wording.language import translatable
from alerting.notifications.notification import Notification, PostponedBy
from alerting.ports import Document, Platform, SinkLetter
from alerting.reporting.phrases import route_terms
from alerting.reporting.sentences import MESSAGE_NAMES
from alerting.usecases.document_life import StoredDocument
from alerting.usecases.notification.delivery import (
    RoutesOverview,
    deliver_due,
    retry,
    routes_overview,
    try_route,
)
from alerting.usecases.notification.routing import ROUTES
from alerting.usecases.sink_delivery import (
    LETTERS_SHOWN,
    SINKS,
    OpenSink,
    SinkStatus,
    retry_letters,
    sink_status,
    try_sink,
)
from alerting.usecases.sources.poll import Readers, try_source
from alerting.usecases.sources.status import SOURCES, SourceStatus, SourceTrial, source_status
from alerting.usecases.sources.stream import StreamCount, retry_dead

Opened = TypeVar("Opened")
R = TypeVar("R")


class Trials(Generic[Opened]):
    """The trials of one console. `noun`: what a document is called; `opener`: makes what connects;
    None where the console cannot connect."""

    def __init__(self, noun: str, opener: Callable[[], Opened] | None) -> None:
        self._noun = noun
        self._opener = opener
        self._free = BoundedSemaphore(2)

    def run(self, attempt: Callable[[Opened], R]) -> R:
        """Return the result of a trial. Raises UserError if it cannot connect, HTTPException 429 if
        others are under way."""
        if self._opener is None:
            raise UserError(f"this console connects to no {self._noun}")
        if not self._free.acquire(blocking=False):
            raise HTTPException(429, f"other {self._noun}s are being tried; try again in a moment")
        try:
            return attempt(self._opener())
        finally:
            self._free.release()


source_api = APIRouter(prefix="/api/v1", tags=["sources"])
pages = APIRouter(include_in_schema=False)
DEAD_SHOWN = 20
WAIT_S = 8.0
"""How long messages of a broker are waited for; a person waits for the page as long."""
_EXAMPLE: Document = {"name": "line-3", "kind": "http", "stale_after": "10m"}
_ASSETS = """asset_column: asset   # or, if all rows are of one asset: asset: oven-1
stale_after: 15m
"""
STARTS: Mapping[str, str] = {
    "http": f"""name: line-3
kind: http   # programs send rows: POST /api/v1/readings?source=line-3
{_ASSETS}""",
    "files": f"""name: line-3-files
kind: files
url: {{env: LAB_FILES_URL}}   # files of this machine: apply the source there
pattern: /line-3/*.csv
every: 1m
{_ASSETS}""",
    "sql": f"""name: line-3-database
kind: sql
url: {{env: QUALITY_DB_URL}}
table: quality.results
cursor: id
time: measured_at
every: 1m
{_ASSETS}""",
    "mqtt": """name: line-3
kind: mqtt
url: {env: BROKER_URL}   # mqtts://user:password@broker:8883
topic: line-3/{asset}/{variable}
payload: value
stamp: receipt
""",
    "amqp": """name: line-3
kind: amqp
url: {env: BROKER_URL}   # amqps://user:password@broker/virtual-host
topic: line-3.{asset}.readings
""",
    "opcua": """name: line-3
kind: opcua
url: {env: OPCUA_URL}   # opc.tcp://user:password@server:4840
history: 8h
nodes:
  ns=2;s=Oven1.Zone2: {variable: zone_2, asset: oven-1}
""",
}
"""A document of each kind, to be completed."""
PASSWORDS = translatable(
    "Passwords are not written here: a document names the variable of the environment, or the "
    "file, that holds an address with its password."
)


@dataclass(frozen=True, kw_only=True)
class DeadMessageView:
    """A message that could not be stored. `payload`: its first 2,000 characters."""

    id: str
    at: datetime
    topic: str
    reason: str
    payload: str


class DeadMessagesView(views.View):
    """Dead messages, oldest first. `more`: there are more than these."""

    items: list[DeadMessageView]
    more: bool = Field(description=f"More than {DEAD_SHOWN}.")


@source_api.post(
    "/sources:test",
    openapi_extra=describe_body("source", _EXAMPLE),
    operation_id="test_source_document",
)
def look_at_document(
    platform: Served, _: Engineer, request: Request, document: Sent
) -> SourceTrial:
    """Show ten rows as a source that is not applied yet would store them. Stores nothing, takes no
    message from a broker. Role: engineer."""
    return translate_texts(look_at(request, platform, document), reader_of(platform))


@source_api.post("/sources/{name}:test", operation_id="test_source")
def look_at_source(name: Id, platform: Served, _: Engineer, request: Request) -> SourceTrial:
    """Show ten rows as they would be stored, and what is refused and why. Stores nothing. Role:
    engineer."""
    trial = _try_source(request, platform, SOURCES.find(platform, name))
    return translate_texts(trial, reader_of(platform))


@source_api.get("/sources/{name}/dead-messages")
def list_dead_messages(name: Id, platform: Served, _: Engineer) -> DeadMessagesView:
    """List the first messages of a broker that could not be stored. Role: engineer."""
    SOURCES.find(platform, name)
    return first_dead_messages(platform, name)


@source_api.post("/sources/{name}/dead-messages:retry")
def retry_dead_messages(name: Id, platform: Served, person: Engineer) -> StreamCount:
    """Store the dead messages of a source once more. Role: engineer."""
    return retry_dead(platform, name, person.name, platform.clock.now(), is_outage)


@pages.post("/sources/{name}/look", response_class=HTMLResponse)
def look_at_rows(name: Id, request: Request, platform: Served, _: FormEngineer) -> Response:
    """Show ten rows as they would be stored."""
    return _tried(
        SOURCE_PAGES,
        request,
        platform,
        name,
        lambda: {"trial": _try_source(request, platform, SOURCES.find(platform, name))},
    )


def _tried(
    shown: ConsoleKind,
    request: Request,
    platform: Platform,
    name: str,
    attempt: Callable[[], dict[str, Any]],
) -> Response:
    """Return the page of a document with the result of an attempt, or why there is none."""
    try:
        result = attempt()
    except NotFound:
        raise
    except UserError as refusal:
        return render_refusal(shown, request, platform, name, refusal)
    return render_page(shown, request, platform, name, **result)


@pages.post("/sources/{name}/retry", response_class=HTMLResponse)
def retry_messages(name: Id, request: Request, platform: Served, person: FormEngineer) -> Response:
    """Store dead messages once more."""
    retry_dead(platform, name, person.name, platform.clock.now(), is_outage)
    return RedirectResponse(f"{request.url.path.removesuffix('/retry')}#dead", 303)


def look_at(request: Request, platform: Platform, document: Document) -> SourceTrial:
    """Return rows of a document that need not be applied. Raises UserError."""
    (review,) = SOURCES.plan(platform, [document], on_host=False)
    if review.read is None:
        raise DocumentRefused(review.name, review.faults, SOURCES.word)
    return _try_source(request, platform, review.read)


def _try_source(request: Request, platform: Platform, source: Source) -> SourceTrial:
    trials: Trials[Readers] = request.app.state.source_trials
    now = platform.clock.now()
    return trials.run(lambda readers: try_source(platform, readers, source, WAIT_S, now))


def first_dead_messages(platform: Platform, name: str) -> DeadMessagesView:
    """Return the first messages of a source that could not be stored."""
    messages = platform.dead_messages.dead(name, DEAD_SHOWN + 1)
    items = [
        DeadMessageView(
            id=dead.id,
            at=dead.at,
            topic=dead.topic,
            reason=dead.reason,
            payload=dead.payload[:2000].decode("utf-8", "backslashreplace"),
        )
        for dead in messages[:DEAD_SHOWN]
    ]
    return DeadMessagesView(items=items, more=len(messages) > DEAD_SHOWN)


def _more_of_source(
    _: Request, platform: Platform, stored: StoredDocument[Source], __: object
) -> dict[str, Any]:
    dead = first_dead_messages(platform, stored.name)
    return {
        "dead": dead.items,
        "dead_more": dead.more,
        "can_look": isinstance(stored.read, FilesSource | SqlSource | StreamedSource),
        "trial": None,
    }


SOURCE_PAGES = ConsoleKind(
    SOURCES,
    example=_EXAMPLE,
    title=translatable("Sources"),
    new=translatable("New source"),
    intro=translatable(
        "A source is where readings and events come from. Choose its kind, complete the document, "
        "look at ten rows, then apply it."
    ),
    note=PASSWORDS,
    lists_page="read",
    list_page="documents/sources.html",
    page="documents/source.html",
    editor="documents/source_editor.html",
    line_view=SourceStatus,
    status=source_status,
    more=_more_of_source,
    starts=STARTS,
    buttons={
        "look": lambda pressed, answer: replace(
            answer,
            more={"looked": look_at(pressed.request, pressed.platform, pressed.document)},
        )
    },
    as_form=False,
)


sink_api = APIRouter(prefix="/api/v1", tags=["sinks"])
_ALARMS = "sends: [alarms, acknowledgements]   # also scores, forecasts, readings\n"
SINK_STARTS: Mapping[str, str] = {
    "mqtt": f"""name: scada
kind: mqtt
url: {{env: BROKER_URL}}   # mqtts://user:password@broker:8883
topic: alerting/{{asset}}/{{definition}}/{{sends}}
{_ALARMS}""",
    "webhook": f"""name: mes
kind: webhook
url: {{env: MES_URL}}   # https://mes.plant/alarms
{_ALARMS}""",
    "sql": """name: reporting
kind: sql
url: {env: REPORTING_DB_URL}   # postgresql://user:password@host/name
table: alerting_{sends}
sends: [alarms, acknowledgements, scores, forecasts]   # also readings
""",
}
"""A document of each kind, to be completed."""


class SinkTestView(views.View):
    """The result of a test."""

    name: str
    result: str


class SinkLettersView(views.View):
    """The first dead letters of a sink, oldest first. `all`: the number of all."""

    items: list[SinkLetter]
    all: int


class RetriedLettersView(views.View):
    """The number of dead letters that are sent once more."""

    letters: int


@sink_api.post("/sinks/{name}:test")
def test_sink(name: Id, platform: Served, person: Engineer, request: Request) -> SinkTestView:
    """Send the receiver a message that is marked as a test. A database is looked at, and gets no
    row. Role: engineer."""
    return SinkTestView(name=name, result=_test(request, platform, name, person.name))


@sink_api.get("/sinks/{name}/dead-letters")
def list_letters(name: Id, platform: Served, _: Engineer) -> SinkLettersView:
    """List the first messages that the receiver refused. Role: engineer."""
    SINKS.find(platform, name)
    letters = platform.sink_deliveries.letters(name, LETTERS_SHOWN)
    return SinkLettersView(items=letters, all=platform.sink_deliveries.count_letters(name))


@sink_api.post("/sinks/{name}/dead-letters:retry")
def retry_sink_letters(name: Id, platform: Served, person: Engineer) -> RetriedLettersView:
    """Let the stream service send the dead letters of a sink once more. Role: engineer."""
    count = retry_letters(platform, name, person.name, platform.clock.now())
    return RetriedLettersView(letters=count)


@pages.post("/sinks/{name}/test", response_class=HTMLResponse)
def send_test(name: Id, request: Request, platform: Served, person: FormEngineer) -> Response:
    """Send the receiver a message that is marked as a test."""
    return _tried(
        SINK_PAGES,
        request,
        platform,
        name,
        lambda: {"done": _test(request, platform, name, person.name)},
    )


@pages.post("/sinks/{name}/retry", response_class=HTMLResponse)
def retry_dead_letters(
    name: Id, request: Request, platform: Served, person: FormEngineer
) -> Response:
    """Let the stream service send dead letters once more."""
    retry_letters(platform, name, person.name, platform.clock.now())
    return RedirectResponse(f"{request.url.path.removesuffix('/retry')}#dead", 303)


def _test(request: Request, platform: Platform, name: str, actor: str) -> str:
    trials: Trials[OpenSink] = request.app.state.sink_trials
    sink = SINKS.find(platform, name)
    return trials.run(lambda opened: try_sink(opened, sink, actor, platform.clock.now()))


SINK_PAGES = ConsoleKind(
    SINKS,
    example={"name": "scada", "kind": "mqtt", "url": {"env": "BROKER_URL"}},
    title=translatable("Sinks"),
    new=translatable("New sink"),
    intro=translatable(
        "A sink is where values and alarms go out. Choose its kind, complete the document, then "
        "apply it and send a test."
    ),
    note=PASSWORDS,
    list_page="documents/sinks.html",
    page="documents/sink.html",
    line_view=SinkStatus,
    status=sink_status,
    more=lambda _, platform, stored, __: {
        "letters": platform.sink_deliveries.letters(stored.name, LETTERS_SHOWN),
        "done": "",
    },
    starts=SINK_STARTS,
    as_form=False,
)


route_api = APIRouter(prefix="/api/v1", tags=["notifications"])
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


class RetryBody(Body):
    """Dead letters to deliver again."""

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


@route_api.get("/routes")
def show_routes(platform: Served, _: Viewer) -> RoutesOverview:
    """List routes and channels with pending notifications and dead letters. Channels appear by
    name, without addresses."""
    overview = routes_overview(platform, platform.clock.now())
    return translate_texts(overview, reader_of(platform))


@route_api.post("/routes/{name}/test", operation_id="test_route")
def test_by_api(name: Id, platform: Served, person: Engineer) -> list[TestView]:
    """Send a test message to every channel of a route, at once. Role: engineer."""
    tried = try_route(platform, name, person.name, platform.clock.now())
    results = translate_texts(tried, reader_of(platform))
    faults = {channel: None if result == "sent" else result for channel, result in results.items()}
    return [
        TestView(channel=channel, delivered=fault is None, fault=fault)
        for channel, fault in faults.items()
    ]


@route_api.post(
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
    overview = routes_overview(platform, now)
    return render(
        "routes/routes.html",
        request,
        found=overview,
        terms={line.route.name: route_terms(line.route) for line in overview.routes},
        channels={channel.name: channel for channel in overview.channels},
        dead=overview.dead[:100],
        tried=tried,
        results=results or {},
        message_name=_message_name,
        postponed=POSTPONED,
        refusal=refusal,
        now=now,
    )


def _message_name(message: Notification) -> str:
    """Return the name of a message in words; for an unknown kind, the beginning of its key."""
    if message.episode:
        return MESSAGE_NAMES.get(message.transition, message.transition.replace("_", " "))
    begin = message.key.partition(":")[0]
    return OTHER_MESSAGES.get(begin, begin.replace("-", " "))


def _names_to_offer(platform: Platform, document: Document) -> dict[str, dict[str, str]]:
    channels = dict.fromkeys(sorted(platform.channels), "")
    steps = document.get("escalation")
    number = len(steps) if isinstance(steps, list) else 0
    return {
        "channels": channels,
        **{f"escalation.{n}.channels": channels for n in range(number)},
        "match.assets": {asset.name: asset.title or "" for asset in platform.assets.all()},
        "match.definitions": {
            revision.name: revision.definition.title or ""
            for revision in platform.definitions.latest_revisions()
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
    offered=_names_to_offer,
)
