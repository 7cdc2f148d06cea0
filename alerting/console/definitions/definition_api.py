"""REST API, version 1: definitions, their check, changes, revisions and states."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, HTTPException, Path, Query, Response
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from alerting.adapters.platform import Platform
from alerting.console.access import Person
from alerting.console.api.api import Engineer, Served, Viewer
from alerting.console.api.parameters import (
    ETAG,
    Id,
    IfMatch,
    IfNoneMatch,
    Short,
    etag_of,
    expected_of,
)
from alerting.console.definitions import views
from alerting.console.definitions.documents import (
    EXAMPLE,
    SCENARIO_EXAMPLE,
    TAKES_A_DOCUMENT,
    Sent,
)
from alerting.definitions.faults import UserError
from alerting.definitions.revisions import definition_document
from alerting.ports import Document
from alerting.usecases.alarm_load.changes import (
    apply_change,
    changed_fields_between,
    document_in_state,
    review_change,
)
from alerting.usecases.alarm_load.overview import definition_line, definition_lines
from alerting.usecases.definitions import lookup, sync
from alerting.usecases.definitions.checking import check
from alerting.usecases.definitions.scenarios import run_scenarios
from alerting.usecases.evaluation.orphans import close_orphans

router = APIRouter(prefix="/api/v1", tags=["definitions"])
_MOST = 2**31 - 1
Number = Annotated[int, Path(ge=1, le=_MOST, description="Number of a revision.")]
Reason = Annotated[Short, Query(description="Why, recorded with the revision and in the audit.")]
AcceptLoad = Annotated[
    Short,
    Query(description="Why more alarms than the budget allows are accepted; else refused."),
]


class ChangeBody(BaseModel):
    """Why a state is changed; `accept_load`: why alarms beyond the budget are accepted."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reason: Short = Field("", description="Recorded with the revision and in the audit.")
    accept_load: Short = ""


def require_number(value: object) -> object:
    """Return a number as it was sent. Raises ValueError for anything else, such as `true`."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("is not a number")
    return value


class RestoreBody(ChangeBody):
    """The revision that becomes the newest, and why."""

    revision: Annotated[int, BeforeValidator(require_number)] = Field(ge=1, le=_MOST)


class ScenariosBody(BaseModel):
    """A definition, and scenarios as in a scenario file."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "examples": [{"definition": dict(EXAMPLE), "scenarios": [SCENARIO_EXAMPLE]}]
        },
    )

    definition: Document
    scenarios: list[Document] = Field(min_length=1, max_length=50)


class RetireBody(BaseModel):
    """Why a definition is taken out of service."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reason: Short = ""


@router.get("/definitions")
def list_definitions(platform: Served, _: Viewer) -> list[views.DefinitionSummary]:
    """List all definitions by name."""
    return [views.summary_view(line) for line in definition_lines(platform, platform.clock.now())]


@router.post("/definitions:check", openapi_extra=TAKES_A_DOCUMENT)
def check_definition(platform: Served, _: Engineer, document: Sent) -> views.CheckView:
    """Check a document without applying it: all its faults, or the changes, warnings and expected
    alarm load. Role: engineer."""
    return views.check_view(
        review_change(platform, document, platform.clock.now(), datetime.now(UTC))
    )


@router.post("/definitions:test")
def test_definition(platform: Served, body: ScenariosBody, _: Engineer) -> views.ScenariosView:
    """Run scenarios against a document: readings over time, and exactly the transitions that must
    follow, after the checks of `:check`. Nothing is stored; at most 50 scenarios with 100,000
    values. Role: engineer."""
    check(platform, [body.definition])
    found = run_scenarios(body.definition, body.scenarios, "the body", platform.zone)
    return views.scenarios_view(found)


@router.get("/definitions/{name:without_colon}", responses={200: ETAG})
def show_definition(
    name: Id, platform: Served, _: Viewer, response: Response
) -> views.DefinitionDetail:
    """Show a definition: the current document, its faults, its revisions. The ETag is the newest
    revision."""
    line = definition_line(platform, platform.clock.now(), name)
    response.headers["etag"] = etag_of(line.latest.number if line.latest else 0)
    return views.detail_view(line, platform.definitions.revisions(name))


@router.put(
    "/definitions/{name:without_colon}",
    openapi_extra=TAKES_A_DOCUMENT,
    responses={
        200: ETAG,
        201: {"model": views.AppliedView, "description": "Made."} | ETAG,
    },
)
def apply_definition(
    name: Id,
    platform: Served,
    person: Engineer,
    document: Sent,
    response: Response,
    reason: Reason = "",
    accept_load: AcceptLoad = "",
    if_match: IfMatch = None,
    if_none_match: IfNoneMatch = None,
) -> views.AppliedView:
    """Apply a document: as a change of the revision in If-Match, or, with If-None-Match: *, as a
    new definition. Role: engineer.

    412: it was changed since, by whom and what. Nothing is written if the document has a fault, or
    breaks the alarm budget of a position and `accept_load` is empty.
    """
    expected = expected_of(if_match, if_none_match)
    if expected is None:
        raise HTTPException(
            428,
            "send If-Match with the ETag of the definition that was changed, or If-None-Match: * "
            "for a new one",
        )
    given = {"name": name, **document}
    if given["name"] != name:
        raise UserError(f"name: the document is of another definition than {name!r}")
    applied = _change(
        platform, given, expected, person, reason or "applied through the API", accept_load
    )
    response.status_code = 201 if applied.plan.action == "create" else 200
    response.headers["etag"] = etag_of(applied.revision)
    return applied


@router.post("/definitions/{name}:retire", responses={200: ETAG})
def retire_definition(
    name: Id,
    platform: Served,
    person: Engineer,
    response: Response,
    body: RetireBody | None = None,
    if_match: IfMatch = None,
) -> views.RetiredView:
    """Take a definition out of service; its history, models and episodes stay. Role: engineer."""
    reason = body.reason if body else ""
    retired = retire(platform, name, expected_of(if_match, None), person.name, reason)
    response.headers["etag"] = etag_of(retired.revision)
    return retired


@router.post("/definitions/{name}:activate", responses={200: ETAG})
def activate_definition(
    name: Id,
    platform: Served,
    person: Engineer,
    response: Response,
    body: ChangeBody | None = None,
    if_match: IfMatch = None,
) -> views.AppliedView:
    """Put a draft or a retired definition into service, within the alarm budget. Role: engineer."""
    given = body or ChangeBody(reason="")
    expected = expected_of(if_match, None)
    if expected is not None:
        sync.require_expected(platform, name, expected, platform.clock.now())
    applied = _change(
        platform,
        document_in_state(platform, name, "active"),
        expected,
        person,
        given.reason or "activated",
        given.accept_load,
    )
    response.headers["etag"] = etag_of(applied.revision)
    return applied


@router.post("/definitions/{name}:restore", responses={200: ETAG})
def restore_revision(
    name: Id,
    body: RestoreBody,
    platform: Served,
    person: Engineer,
    response: Response,
    if_match: IfMatch = None,
) -> views.AppliedView:
    """Make the document of an earlier revision the newest one, within the alarm budget. Role:
    engineer."""
    chosen = lookup.require_revision(platform.definitions, name, body.revision)
    applied = _change(
        platform,
        definition_document(chosen.definition),
        expected_of(if_match, None),
        person,
        body.reason or f"revision {chosen.number} restored",
        body.accept_load,
    )
    response.headers["etag"] = etag_of(applied.revision)
    return applied


@router.get("/definitions/{name}/revisions")
def list_revisions(
    name: Id,
    platform: Served,
    _: Viewer,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    before: Annotated[
        int | None, Query(ge=1, le=_MOST, description="`next` of the page before.")
    ] = None,
) -> views.RevisionPage:
    """List the revisions of a definition, newest first, page by page."""
    lookup.require_revision(platform.definitions, name)
    found = [
        revision
        for revision in reversed(platform.definitions.revisions(name))
        if before is None or revision.number < before
    ]
    return views.RevisionPage(
        items=[views.RevisionSummary.model_validate(revision) for revision in found[:limit]],
        next=found[limit - 1].number if len(found) > limit else None,
    )


@router.get("/definitions/{name}/revisions/{number}")
def show_revision(name: Id, number: Number, platform: Served, _: Viewer) -> views.RevisionDetail:
    """Show a revision with its document."""
    return views.revision_view(lookup.require_revision(platform.definitions, name, number))


@router.get("/definitions/{name}/diff")
def show_difference(
    name: Id,
    platform: Served,
    _: Viewer,
    start: Annotated[int, Query(alias="from", ge=1, le=_MOST)],
    end: Annotated[
        int | None, Query(alias="to", ge=1, le=_MOST, description="The newest if left out.")
    ] = None,
) -> views.DifferenceView:
    """Show the fields that differ between two revisions."""
    one = lookup.require_revision(platform.definitions, name, start)
    other = lookup.require_revision(platform.definitions, name, end)
    return views.DifferenceView.model_validate(
        {
            "name": name,
            "from": one.number,
            "to": other.number,
            "changes": views.field_changes(changed_fields_between(one, other)),
        }
    )


def retire(
    platform: Platform, name: str, expected: sync.Expected | None, author: str, reason: str
) -> views.RetiredView:
    """Retire a definition and close its open episodes."""
    now = platform.clock.now()
    if expected is not None:
        sync.require_expected(platform, name, expected, now)
    revision = sync.retire(platform, name, author, now, reason or "retired")
    closed = close_orphans(platform, platform.clock.now())
    return views.RetiredView(name=name, state="retired", revision=revision.number, closed=closed)


def _change(
    platform: Platform,
    document: Document,
    expected: sync.Expected | None,
    person: Person,
    reason: str,
    accepted: str,
) -> views.AppliedView:
    review = apply_change(
        platform,
        document,
        expected,
        person.name,
        platform.clock.now(),
        datetime.now(UTC),
        reason,
        accepted,
    )
    newest = lookup.require_revision(platform.definitions, review.name)
    return views.AppliedView(
        name=review.name,
        state=newest.definition.state,
        revision=newest.number,
        plan=views.plan_view(review),
    )
