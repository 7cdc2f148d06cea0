"""REST API, version 1: performance reports with their tables, and reported misses."""

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse, PlainTextResponse

from alerting.console.api import views
from alerting.console.api.api import MAY_NAME_NOTHING, Operator, Served, Viewer
from alerting.console.api.operate_api import actor_of
from alerting.console.api.parameters import Id, Instant, NameQuery
from alerting.definitions.faults import NotFound
from alerting.ports import Platform, ReportContent, ReportHead
from alerting.reporting.base.table import Table
from alerting.usecases.operators.misses import report_miss

router = APIRouter(prefix="/api/v1")


class CsvResponse(PlainTextResponse):
    """A table as CSV."""

    media_type = "text/csv"


@router.get("/reports", tags=["reports"], openapi_extra=MAY_NAME_NOTHING)
def list_reports(
    platform: Served,
    _: Viewer,
    definition: NameQuery | None = None,
    plant: Annotated[bool, Query(description="true: only the reports on the whole plant.")] = False,
) -> list[views.ReportSummary]:
    """List performance reports by definition, newest first; those on the plant come first."""
    if definition is not None and platform.definitions.newest_revision(definition) is None:
        raise NotFound(f"there is no definition {definition!r}")
    every = [None, *(revision.name for revision in platform.definitions.latest_revisions())]
    names = [definition] if definition else [None] if plant else every
    return [
        views.report_summary(head)
        for name in names
        for head in platform.reports.for_definition(name)
        if not head.empty
    ]


@router.get("/reports/{id}", tags=["reports"], response_class=HTMLResponse)
def show_report(id: Id, platform: Served, _: Viewer) -> HTMLResponse:
    """Return the page of a report as one self-contained HTML file."""
    page = platform.reports.page(id)
    if page is None:
        raise NotFound(f"there is no report {id!r}")
    return HTMLResponse(page)


@router.get("/reports/{id}/metrics", tags=["reports"], operation_id="show_report_metrics")
def show_metrics(id: Id, platform: Served, _: Viewer) -> views.ReportDetail:
    """Show a report as JSON: its sentences and all its metrics."""
    return views.report_detail(*find_report(platform, id))


@router.get("/reports/{id}/tables/{table}", tags=["reports"], operation_id="show_report_table")
def show_table(id: Id, table: Id, platform: Served, _: Viewer) -> views.TableView:
    """Show a table of a report as JSON."""
    found = find_table(platform, id, table)
    return views.TableView(name=found.name, columns=list(found.columns), rows=found.to_records())


@router.get(
    "/reports/{id}/tables/{table}/csv",
    tags=["reports"],
    response_class=CsvResponse,
    operation_id="download_report_table",
)
def download_table(id: Id, table: Id, platform: Served, _: Viewer) -> CsvResponse:
    """Return a table of a report as CSV."""
    return CsvResponse(find_table(platform, id, table).to_csv())


@router.get("/misses", tags=["reports"])
def list_misses(
    platform: Served,
    _: Viewer,
    definition: NameQuery | None = None,
    start: Annotated[
        Instant | None, Query(alias="from", description="Happened at or after this instant.")
    ] = None,
    end: Annotated[
        Instant | None, Query(alias="to", description="Happened before this instant.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> list[views.MissView]:
    """List reported misses, newest first."""
    return [
        views.MissView.model_validate(miss)
        for miss in platform.misses.for_interval(start, end, definition, limit)
    ]


@router.post(
    "/misses", tags=["reports"], openapi_extra=MAY_NAME_NOTHING, operation_id="report_miss"
)
def submit_miss(body: views.MissBody, platform: Served, person: Operator) -> views.MissView:
    """Report a problem for which no alert was raised; it enters reports and the next training.
    Role: operator."""
    now = platform.clock.now()
    miss = report_miss(
        platform, body.definition, body.asset, body.at, body.comment, actor_of(person), now
    )
    return views.MissView.model_validate(miss)


def find_report(platform: Platform, id: str) -> tuple[ReportHead, ReportContent]:
    """Return a stored report. Raises NotFound for an unknown id, or an empty report."""
    head = platform.reports.get(id)
    content = platform.reports.content(id)
    if head is None or content is None or head.empty:
        raise NotFound(f"there is no report {id!r}")
    return head, content


def find_table(platform: Platform, id: str, name: str) -> Table:
    """Return a table of a stored report. Raises NotFound if the report or the table is unknown."""
    _, content = find_report(platform, id)
    if name not in content.tables:
        raise NotFound(
            f"the report {id!r} has no table {name!r}; its tables: "
            f"{', '.join(content.tables) or 'none'}"
        )
    stored = content.tables[name]
    return Table(name, tuple(stored["columns"]), tuple(tuple(row) for row in stored["rows"]))
