"""REST API, version 1: sources, their check, changes, states, rows and dead messages."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from fastapi import APIRouter, HTTPException, Request, Response
from pydantic import Field

from alerting.adapters.mongo.mongo import is_outage
from alerting.adapters.platform import Platform
from alerting.console.api import views
from alerting.console.api.api import Engineer, Served, Viewer
from alerting.console.api.parameters import ETAG, Id, IfMatch, IfNoneMatch, etag_of, expected_of
from alerting.console.definitions.documents import TAKES_A_SOURCE, SentSource
from alerting.console.sources.trials import SourceTrials
from alerting.definitions.faults import UserError
from alerting.definitions.sources.mapping import SourceState
from alerting.definitions.sources.source import PolledBy
from alerting.ports import DeadMessage, PollReader
from alerting.usecases.sources.changes import (
    DEAD_SHOWN,
    SourceDetail,
    apply_source,
    change_state,
    plan_source,
    require_known_paths,
    source_detail,
)
from alerting.usecases.sources.documents import check_sources, find_source, read_sources
from alerting.usecases.sources.status import source_statuses
from alerting.usecases.sources.stream import retry_dead
from alerting.usecases.sources.trial import SourceTrial

router = APIRouter(prefix="/api/v1", tags=["sources"])
LONGEST_PAYLOAD = 2000


class SourceLine(views.View):
    """A source as lists show it. `rows`, `refused`, `lost`: so far; `silent_s`: seconds since the
    last row; `rate`: rows a minute over the last deliveries. Of a polled one `read_by`: who reads
    it, and `polled_by`: who read it last, at `polled_at`."""

    name: str
    title: str | None
    kind: str
    state: SourceState
    rows: int
    refused: int
    lost: int
    newest: datetime | None
    silent_s: float
    rate: float
    is_stale: bool
    is_stopped: bool
    fault: str | None
    last_refused: str | None
    read_by: PolledBy | None
    polled_by: PollReader | None
    polled_at: datetime | None


class SourcesView(views.View):
    """All sources by name. `faulty`: documents that are not used, with their faults."""

    sources: list[SourceLine]
    faulty: dict[str, list[str]]


class SourceRevisionView(views.View):
    """A revision of a source: author, time, and the whole document."""

    number: int
    at: datetime
    actor: str
    document: Any


class DeadMessageView(views.View):
    """A message that could not be stored. `payload`: its first 2,000 characters."""

    id: str
    at: datetime
    topic: str
    payload: str
    reason: str


class SourceView(views.View):
    """A source. `document`: as people write it, without fields at their default."""

    name: str
    revision: int
    document: Any
    status: SourceLine
    revisions: list[SourceRevisionView]


class SourceChangeView(views.View):
    """The change that a document makes. `revision`: the newest after it, null if nothing was
    applied."""

    name: str
    action: Literal["new", "changed", "unchanged"]
    revision: int | None = None


class SourceStateView(views.View):
    """The state of a source after it was changed."""

    name: str
    state: SourceState
    revision: int


class RefusedView(views.View):
    """A row that would be refused: its number, and why."""

    line: int
    reason: str


class SourceRowsView(views.View):
    """Rows of a source as they would be stored, ten at most. `read`: the number looked at."""

    read: int
    rows: list[dict[str, Any]]
    refused: list[RefusedView]
    notes: list[str]


class DeadMessagesView(views.View):
    """Dead messages, oldest first. `more`: there are more than these."""

    items: list[DeadMessageView]
    more: bool = Field(description=f"More than {DEAD_SHOWN}.")


class RetriedView(views.View):
    """Result of a retry: messages tried, new ones stored, and those that stay dead."""

    messages: int
    stored: int
    dead: int


@router.get("/sources")
def list_sources(platform: Served, _: Viewer) -> SourcesView:
    """List all sources by name, and faulty documents."""
    now = platform.clock.now()
    found = source_statuses(platform.sources, platform.deliveries, now)
    return SourcesView(
        sources=[_line(status) for status in found], faulty=read_sources(platform.sources)[1]
    )


@router.post("/sources:check", openapi_extra=TAKES_A_SOURCE)
def check_source(platform: Served, _: Engineer, document: SentSource) -> SourceChangeView:
    """Check a document without applying it: all its faults, or the change. Role: engineer."""
    plan = plan_source(platform.sources, document)
    return SourceChangeView(name=plan.name, action=plan.action)


@router.post("/sources:test", openapi_extra=TAKES_A_SOURCE, operation_id="test_source_document")
def look_at_document(
    platform: Served, _: Engineer, request: Request, document: SentSource
) -> SourceRowsView:
    """Show ten rows as a source that is not applied yet would store them. Stores nothing, takes no
    message from a broker. Role: engineer."""
    return rows_view(look_at(request, platform, document))


@router.get("/sources/{name:without_colon}", responses={200: ETAG})
def show_source(name: Id, platform: Served, _: Engineer, response: Response) -> SourceView:
    """Show a source with its revisions. The ETag is the newest revision. Role: engineer."""
    found = source_detail(platform, name, platform.clock.now())
    response.headers["etag"] = etag_of(found.number)
    return SourceView(
        name=name,
        revision=found.number,
        document=found.document,
        status=_line(found.status),
        revisions=[SourceRevisionView.model_validate(one) for one in found.revisions],
    )


@router.put(
    "/sources/{name:without_colon}",
    openapi_extra=TAKES_A_SOURCE,
    responses={200: ETAG, 201: {"model": SourceChangeView, "description": "Made."} | ETAG},
    operation_id="apply_source",
)
def apply_document(
    name: Id,
    platform: Served,
    person: Engineer,
    document: SentSource,
    response: Response,
    if_match: IfMatch = None,
    if_none_match: IfNoneMatch = None,
) -> SourceChangeView:
    """Apply a document: as a change of the revision in If-Match, or, with If-None-Match: *, as a
    new source. Role: engineer.

    412: it was changed since, by whom and when. A source may name no path of the host that it does
    not use yet, at the same address: that is applied there.
    """
    expected = expected_of(if_match, if_none_match)
    if expected is None:
        raise HTTPException(
            428,
            "send If-Match with the ETag of the source that was changed, or If-None-Match: * for a "
            "new one",
        )
    given = {"name": name, **document}
    if given["name"] != name:
        raise UserError(f"name: the document is of another source than {name!r}")
    now = platform.clock.now()
    plan = apply_source(platform, given, expected, person.name, now)
    number = source_detail(platform, name, now).number
    response.status_code = 201 if plan.action == "new" else 200
    response.headers["etag"] = etag_of(number)
    return SourceChangeView(name=name, action=plan.action, revision=number)


@router.post("/sources/{name}:pause", responses={200: ETAG})
def pause_source(
    name: Id, platform: Served, person: Engineer, answer: Response, if_match: IfMatch = None
) -> SourceStateView:
    """Pause a source: its rows are neither read nor accepted, and it is not stale. Role:
    engineer."""
    return _change_state(platform, name, "paused", if_match, person.name, answer)


@router.post("/sources/{name}:resume", responses={200: ETAG})
def resume_source(
    name: Id, platform: Served, person: Engineer, answer: Response, if_match: IfMatch = None
) -> SourceStateView:
    """Resume a source that is paused or retired. Role: engineer."""
    return _change_state(platform, name, "active", if_match, person.name, answer)


@router.post("/sources/{name}:retire", responses={200: ETAG})
def retire_source(
    name: Id, platform: Served, person: Engineer, answer: Response, if_match: IfMatch = None
) -> SourceStateView:
    """Retire a source; its document, revisions and readings stay. Role: engineer."""
    return _change_state(platform, name, "retired", if_match, person.name, answer)


@router.post("/sources/{name}:test", operation_id="test_source")
def look_at_source(name: Id, platform: Served, _: Engineer, request: Request) -> SourceRowsView:
    """Show ten rows as they would be stored, and what is refused and why. Stores nothing. Role:
    engineer."""
    trials: SourceTrials = request.app.state.source_trials
    return rows_view(trials.look(platform, find_source(platform.sources, name)))


@router.get("/sources/{name}/dead-messages")
def list_dead_messages(name: Id, platform: Served, _: Engineer) -> DeadMessagesView:
    """List the first messages of a broker that could not be stored. Role: engineer."""
    found = source_detail(platform, name, platform.clock.now())
    return DeadMessagesView(items=dead_views(found), more=found.dead_more)


@router.post("/sources/{name}/dead-messages:retry")
def retry_dead_messages(name: Id, platform: Served, person: Engineer) -> RetriedView:
    """Store the dead messages of a source once more. Role: engineer."""
    found = retry_dead(platform, name, person.name, platform.clock.now(), is_outage)
    return RetriedView(messages=found.messages, stored=found.new, dead=found.dead)


def look_at(request: Request, platform: Platform, document: Mapping[str, Any]) -> SourceTrial:
    """Return rows of a document that need not be applied. Raises UserError."""
    (source,) = check_sources([document])
    require_known_paths(platform.sources, source)
    trials: SourceTrials = request.app.state.source_trials
    return trials.look(platform, source)


def rows_view(trial: SourceTrial) -> SourceRowsView:
    """Return the view of rows as they would be stored."""
    return SourceRowsView(
        read=trial.read,
        rows=[dict(row) for row in trial.rows],
        refused=[RefusedView(line=row.line, reason=row.reason) for row in trial.refused],
        notes=list(trial.notes),
    )


def dead_views(found: SourceDetail) -> list[DeadMessageView]:
    """Return the views of the dead messages that are shown."""
    return [
        DeadMessageView(
            id=message.id,
            at=message.at,
            topic=message.topic,
            payload=_text(message),
            reason=message.reason,
        )
        for message in found.dead
    ]


def _text(message: DeadMessage) -> str:
    return message.payload[:LONGEST_PAYLOAD].decode("utf-8", "backslashreplace")


def _line(status: Any) -> SourceLine:
    return SourceLine.model_validate(
        {**vars(status), "silent_s": round(status.silent.total_seconds(), 3)}
    )


def _change_state(
    platform: Platform,
    name: str,
    state: SourceState,
    if_match: str | None,
    actor: str,
    response: Response,
) -> SourceStateView:
    now = platform.clock.now()
    change_state(platform, name, state, expected_of(if_match, None), actor, now)
    number = source_detail(platform, name, now).number
    response.headers["etag"] = etag_of(number)
    return SourceStateView(name=name, state=state, revision=number)
