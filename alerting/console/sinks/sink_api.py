"""REST API, version 1: sinks, their check, changes, states, tests and dead letters."""

from datetime import datetime
from typing import Any, Literal

from fastapi import APIRouter, HTTPException, Request, Response

from alerting.adapters.platform import Platform
from alerting.console.api import views
from alerting.console.api.api import Engineer, Served, Viewer
from alerting.console.api.parameters import ETAG, Id, IfMatch, IfNoneMatch, etag_of, expected_of
from alerting.console.definitions.documents import TAKES_A_SINK, SentSink
from alerting.console.sinks.trials import SinkTrials
from alerting.definitions.faults import UserError
from alerting.definitions.sources.mapping import SourceState
from alerting.ports import SinkLetter
from alerting.usecases.sinks.documents import (
    SINK_FORM,
    apply_sink,
    change_sink_state,
    plan_sink,
    retry_letters,
    sink_detail,
    sink_statuses,
)
from alerting.usecases.sinks.status import SinkStatus

router = APIRouter(prefix="/api/v1", tags=["sinks"])


class SinkLine(views.View):
    """A sink as lists show it. `sent`, `left_out`: messages so far, and values that waited too
    long; `letters`: messages that were refused; `lag_s`: seconds since everything had gone out."""

    name: str
    title: str | None
    kind: str
    state: SourceState
    sent: int
    left_out: int
    letters: int
    lag_s: float
    sent_at: datetime | None
    is_stale: bool
    fault: str | None


class SinksView(views.View):
    """All sinks by name. `faulty`: documents that are not used, with their faults."""

    sinks: list[SinkLine]
    faulty: dict[str, list[str]]


class SinkRevisionView(views.View):
    """A revision of a sink: author, time, and the whole document."""

    number: int
    at: datetime
    actor: str
    document: Any


class SinkView(views.View):
    """A sink. `document`: as people write it, without fields at their default."""

    name: str
    revision: int
    document: Any
    status: SinkLine
    revisions: list[SinkRevisionView]


class SinkChangeView(views.View):
    """The change that a document makes. `revision`: the newest after it, null if nothing was
    applied."""

    name: str
    action: Literal["new", "changed", "unchanged"]
    revision: int | None = None


class SinkStateView(views.View):
    """The state of a sink after it was changed."""

    name: str
    state: SourceState
    revision: int


class SinkTestView(views.View):
    """The result of a test."""

    name: str
    result: str


class SinkLetterView(views.View):
    """A message that the receiver refused. `again`: it is sent once more soon."""

    id: str
    at: datetime
    sends: str
    definition: str
    asset: str
    reason: str
    again: bool
    content: dict[str, Any]


class SinkLettersView(views.View):
    """The first dead letters of a sink, oldest first. `all`: the number of all."""

    items: list[SinkLetterView]
    all: int


class RetriedLettersView(views.View):
    """The number of dead letters that are sent once more."""

    letters: int


@router.get("/sinks")
def list_sinks(platform: Served, _: Viewer) -> SinksView:
    """List all sinks by name, and faulty documents."""
    found = sink_statuses(platform, platform.clock.now())
    return SinksView(
        sinks=[_line(status) for status in found], faulty=SINK_FORM.read(platform.sinks)[1]
    )


@router.post("/sinks:check", openapi_extra=TAKES_A_SINK)
def check_sink(platform: Served, _: Engineer, document: SentSink) -> SinkChangeView:
    """Check a document without applying it: all its faults, or the change. Role: engineer."""
    plan = plan_sink(platform.sinks, document)
    return SinkChangeView(name=plan.name, action=plan.action)


@router.get("/sinks/{name:without_colon}", responses={200: ETAG})
def show_sink(name: Id, platform: Served, _: Engineer, response: Response) -> SinkView:
    """Show a sink with its revisions. The ETag is the newest revision. Role: engineer."""
    found = sink_detail(platform, name, platform.clock.now())
    response.headers["etag"] = etag_of(found.number)
    return SinkView(
        name=name,
        revision=found.number,
        document=found.document,
        status=_line(found.status),
        revisions=[SinkRevisionView.model_validate(one) for one in found.revisions],
    )


@router.put(
    "/sinks/{name:without_colon}",
    openapi_extra=TAKES_A_SINK,
    responses={200: ETAG, 201: {"model": SinkChangeView, "description": "Made."} | ETAG},
    operation_id="apply_sink",
)
def apply_document(
    name: Id,
    platform: Served,
    person: Engineer,
    document: SentSink,
    response: Response,
    if_match: IfMatch = None,
    if_none_match: IfNoneMatch = None,
) -> SinkChangeView:
    """Apply a document: as a change of the revision in If-Match, or, with If-None-Match: *, as a
    new sink. Role: engineer.

    412: it was changed since, by whom and when. A sink may name no path of the host that it does
    not use yet, at the same address: that is applied there.
    """
    expected = expected_of(if_match, if_none_match)
    if expected is None:
        raise HTTPException(
            428,
            "send If-Match with the ETag of the sink that was changed, or If-None-Match: * for a "
            "new one",
        )
    given = {"name": name, **document}
    if given["name"] != name:
        raise UserError(f"name: the document is of another sink than {name!r}")
    now = platform.clock.now()
    plan = apply_sink(platform, given, expected, person.name, now)
    number = sink_detail(platform, name, now).number
    response.status_code = 201 if plan.action == "new" else 200
    response.headers["etag"] = etag_of(number)
    return SinkChangeView(name=name, action=plan.action, revision=number)


@router.post("/sinks/{name}:pause", responses={200: ETAG})
def pause_sink(
    name: Id, platform: Served, person: Engineer, answer: Response, if_match: IfMatch = None
) -> SinkStateView:
    """Pause a sink: alarms wait until it is resumed, values within `values_wait`. Role:
    engineer."""
    return _change_state(platform, name, "paused", if_match, person.name, answer)


@router.post("/sinks/{name}:resume", responses={200: ETAG})
def resume_sink(
    name: Id, platform: Served, person: Engineer, answer: Response, if_match: IfMatch = None
) -> SinkStateView:
    """Resume a sink that is paused or retired. Role: engineer."""
    return _change_state(platform, name, "active", if_match, person.name, answer)


@router.post("/sinks/{name}:retire", responses={200: ETAG})
def retire_sink(
    name: Id, platform: Served, person: Engineer, answer: Response, if_match: IfMatch = None
) -> SinkStateView:
    """Retire a sink; its document, revisions and dead letters stay. Role: engineer."""
    return _change_state(platform, name, "retired", if_match, person.name, answer)


@router.post("/sinks/{name}:test")
def test_sink(name: Id, platform: Served, person: Engineer, request: Request) -> SinkTestView:
    """Send the receiver a message that is marked as a test. A database is looked at, and gets no
    row. Role: engineer."""
    trials: SinkTrials = request.app.state.sink_trials
    sink = SINK_FORM.find(platform.sinks, name)
    return SinkTestView(name=name, result=trials.try_one(platform, sink, person.name))


@router.get("/sinks/{name}/dead-letters")
def list_letters(name: Id, platform: Served, _: Engineer) -> SinkLettersView:
    """List the first messages that the receiver refused. Role: engineer."""
    found = sink_detail(platform, name, platform.clock.now())
    return SinkLettersView(items=letter_views(found.letters), all=found.status.letters)


@router.post("/sinks/{name}/dead-letters:retry")
def retry_sink_letters(name: Id, platform: Served, person: Engineer) -> RetriedLettersView:
    """Let the stream service send the dead letters of a sink once more. Role: engineer."""
    count = retry_letters(platform, name, person.name, platform.clock.now())
    return RetriedLettersView(letters=count)


def letter_views(letters: "tuple[SinkLetter, ...]") -> list[SinkLetterView]:
    """Return the views of dead letters."""
    return [
        SinkLetterView(
            id=one.id,
            at=one.at,
            sends=one.message.sends,
            definition=one.message.definition,
            asset=one.message.asset,
            reason=one.reason,
            again=one.again,
            content=one.message.content,
        )
        for one in letters
    ]


def _line(status: SinkStatus) -> SinkLine:
    return SinkLine.model_validate({**vars(status), "lag_s": round(status.lag.total_seconds(), 3)})


def _change_state(
    platform: Platform,
    name: str,
    state: SourceState,
    if_match: str | None,
    actor: str,
    response: Response,
) -> SinkStateView:
    now = platform.clock.now()
    change_sink_state(platform, name, state, expected_of(if_match, None), actor, now)
    number = sink_detail(platform, name, now).number
    response.headers["etag"] = etag_of(number)
    return SinkStateView(name=name, state=state, revision=number)
