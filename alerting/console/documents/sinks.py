"""Sinks at the console: what each delivers, a test message, dead letters."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from alerting.console.api import views
from alerting.console.api.api import Engineer, Served
from alerting.console.api.parameters import Id
from alerting.console.documents.kinds import ConsoleKind
from alerting.console.documents.pages import render_page, render_refusal
from alerting.console.documents.sources import PASSWORDS
from alerting.console.documents.trials import Trials
from alerting.console.web.rendering import FormEngineer
from alerting.definitions.faults import NotFound, UserError
from alerting.definitions.sinks.sink import Sink
from alerting.definitions.wording.language import translatable
from alerting.ports import Platform, SinkLetter
from alerting.usecases.documents import StoredDocument
from alerting.usecases.sinks.documents import LETTERS_SHOWN, SINKS, retry_letters
from alerting.usecases.sinks.status import SinkStatus, sink_status
from alerting.usecases.sinks.trial import OpenSink, try_sink

router = APIRouter(prefix="/api/v1", tags=["sinks"])
pages = APIRouter(include_in_schema=False)
_ALARMS = "sends: [alarms, acknowledgements]   # also scores, forecasts\n"
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
sends: [alarms, acknowledgements, scores, forecasts]
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


@router.post("/sinks/{name}:test")
def test_sink(name: Id, platform: Served, person: Engineer, request: Request) -> SinkTestView:
    """Send the receiver a message that is marked as a test. A database is looked at, and gets no
    row. Role: engineer."""
    return SinkTestView(name=name, result=_test(request, platform, name, person.name))


@router.get("/sinks/{name}/dead-letters")
def list_letters(name: Id, platform: Served, _: Engineer) -> SinkLettersView:
    """List the first messages that the receiver refused. Role: engineer."""
    SINKS.find(platform, name)
    letters = platform.sink_deliveries.letters(name, LETTERS_SHOWN)
    number = platform.sink_deliveries.count_letters(name)
    return SinkLettersView(items=letters, all=number)


@router.post("/sinks/{name}/dead-letters:retry")
def retry_sink_letters(name: Id, platform: Served, person: Engineer) -> RetriedLettersView:
    """Let the stream service send the dead letters of a sink once more. Role: engineer."""
    count = retry_letters(platform, name, person.name, platform.clock.now())
    return RetriedLettersView(letters=count)


@pages.post("/sinks/{name}/test", response_class=HTMLResponse)
def send_test(name: Id, request: Request, platform: Served, person: FormEngineer) -> Response:
    """Send the receiver a message that is marked as a test."""
    try:
        done = _test(request, platform, name, person.name)
    except NotFound:
        raise
    except UserError as refusal:
        return render_refusal(SINK_PAGES, request, platform, name, refusal)
    return render_page(SINK_PAGES, request, platform, name, done=done)


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


def _more(
    _: Request, platform: Platform, found: StoredDocument[Sink], __: object
) -> dict[str, Any]:
    letters = platform.sink_deliveries.letters(found.name, LETTERS_SHOWN)
    return {"letters": letters, "done": ""}


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
    more=_more,
    starts=SINK_STARTS,
    as_form=False,
)
