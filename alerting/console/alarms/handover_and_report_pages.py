"""The hand-over of a shift, as a page; and reports for people and over the REST API, version 1:
periods side by side, one with its tables, numbers of all definitions, and reported misses."""

import math
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from markupsafe import Markup
from pydantic_core import to_jsonable_python

from alerting.console.access import Delivery, Operator, Served, Viewer, actor_of, known_plant
from alerting.console.alarms.alarm_charts import share_track
from alerting.console.alarms.report_tables import definition_titles
from alerting.console.api import views
from alerting.console.api.parameters import (
    MAY_NAME_NOTHING,
    NAME,
    FormField,
    FormText,
    Id,
    Instant,
    NameQuery,
)
from alerting.console.rendering import (
    FormOperator,
    address_with,
    language_of,
    menu_style,
    render,
    zone_of,
)
from alerting.definitions.faults import NotFound, UserError
from alerting.definitions.wording.language import translatable
from alerting.operators.alarm_views import Shift
from alerting.operators.kpis import MANAGEABLE, USUAL
from alerting.ports import Platform, ReportContent, ReportHead
from alerting.reporting.definition.money_spans import add_spans
from alerting.reporting.estimates import Table, write_workbook
from alerting.reporting.phrases import money
from alerting.usecases.alarm_load.alarm_metrics import AlarmQuality, alarm_quality
from alerting.usecases.make_reports import read_money, read_numbers
from alerting.usecases.operators.handover import (
    LONGEST_NOTE,
    ChosenShift,
    choose_shift,
    read_shift,
    send_handover,
    write_note,
)
from alerting.usecases.operators.links_and_misses import report_miss

pages = APIRouter(include_in_schema=False)
FormInstant = Annotated[Instant | None, Form()]


@pages.get("/handover", response_class=HTMLResponse)
def handover_page(
    request: Request,
    platform: Served,
    _: Viewer,
    line: NameQuery | None = None,
    at: Annotated[Instant | None, Query()] = None,
    shift: NameQuery | None = None,
) -> str:
    """Return the page of the hand-over of a shift."""
    return _handover_page(request, platform, _chosen_shift(request, platform, line, at, shift))


@pages.post("/handover/note", response_class=HTMLResponse)
def add_note(
    request: Request,
    platform: Served,
    person: FormOperator,
    line: FormField = "",
    at: FormInstant = None,
    shift: FormField = "",
    text: FormText = "",
) -> Response:
    """Write a note of a shift."""
    chosen = _chosen_shift(request, platform, line, at, shift)
    try:
        write_note(platform, chosen, text, actor_of(person), platform.clock.now())
    except UserError as fault:
        page = _handover_page(request, platform, chosen, refusal=fault.message, text=text)
        return HTMLResponse(page, 422)
    return RedirectResponse(f"{_handover_address(chosen.part, chosen.shift)}#notes", 303)


@pages.post("/handover/send", response_class=HTMLResponse)
def send(
    request: Request,
    platform: Served,
    deliver: Delivery,
    person: FormOperator,
    route: FormField = "",
    line: FormField = "",
    at: FormInstant = None,
    shift: FormField = "",
) -> Response:
    """Send the hand-over of a shift to the recipients of a route."""
    chosen = _chosen_shift(request, platform, line, at, shift)
    plant = known_plant(request, platform)
    address = _handover_address(chosen.part, chosen.shift)
    try:
        count = send_handover(
            platform, plant, chosen, route, address, actor_of(person), platform.clock.now()
        )
    except NotFound:
        raise
    except UserError as fault:
        return HTMLResponse(_handover_page(request, platform, chosen, refusal=fault.message), 422)
    deliver()
    return HTMLResponse(_handover_page(request, platform, chosen, sent=count, sent_to=route))


def _chosen_shift(
    request: Request, platform: Platform, line: str | None, at: datetime | None, shift: str | None
) -> ChosenShift:
    plant = known_plant(request, platform)
    now = platform.clock.now()
    return choose_shift(platform, plant, request.app.state.zone, now, line, at, shift or None)


def _handover_address(part: str | None, shift: Shift | None = None) -> str:
    """Return the address of a shift, of the present one for None."""
    values = {"line": part or ""}
    if shift is not None:
        values |= {"at": f"{shift.start.astimezone(UTC):%Y-%m-%dT%H:%MZ}", "shift": shift.name}
    return address_with("/handover", values)


def _handover_page(request: Request, platform: Platform, chosen: ChosenShift, **values: Any) -> str:
    plant = known_plant(request, platform)
    now = platform.clock.now()
    account = read_shift(platform, plant, chosen, now, language_of(request, now))
    shift = chosen.shift
    return render(
        "now/handover.html",
        request,
        account=account,
        chosen=chosen,
        shift=shift,
        is_running=shift.has(account.at),
        has_begun=shift.start <= account.at,
        address=lambda other_shift: _handover_address(chosen.part, other_shift),
        lines=[(name, title, _handover_address(name)) for name, title in plant.lines.items()],
        whole=_handover_address(None),
        unfolded=4,
        most=LONGEST_NOTE,
        now=account.at,
        **{"refusal": "", "text": "", "sent": 0, "sent_to": "", **values},
    )


router = APIRouter(include_in_schema=False)


@router.get("/plant", response_class=HTMLResponse)
def plant(request: Request, platform: Served, _: Viewer) -> str:
    """Return the newest reports' numbers of each definition, and the money of a week, month and
    year, with its sum."""
    numbers = read_numbers(platform.reports)
    spans = read_money(platform.reports, numbers)
    language = language_of(request)
    return render(
        "plant.html",
        request,
        rows=numbers,
        spans=spans,
        totals=add_spans(spans.values()),
        money=lambda amount, currency: money(amount.low, amount.high, currency, language),
        now=platform.clock.now(),
    )


@router.get("/reports/{id}", response_class=HTMLResponse)
def report(id: Id, request: Request, platform: Served, _: Viewer) -> Response:
    """Return the report below the menu, in its language; then tables."""
    head, content = find_report(platform, id)
    named = [] if head.definition is None else [head.definition]
    titles = definition_titles(platform.definitions.latest_revisions(names=named))
    of_period = platform.reports.of_period(head.period) if head.period else {}

    def part(name: str) -> str:
        return render(
            "report.html",
            request,
            part=name,
            style=Markup(menu_style()),  # noqa: S704 - a file of the platform
            r=head,
            title=titles.get(head.definition, head.definition) or translatable("the plant"),
            is_of_definition=head.definition in titles,
            newest=of_period.get(head.definition, head),
            tables=list(content.tables),
            has_workbook=find_spec("openpyxl") is not None,
        )

    return HTMLResponse(
        framed(content.page, part("bar"), part("end")),
        headers={
            # a file for itself, with its style within it, and without scripts
            "content-security-policy": (
                "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'self'; "
                "base-uri 'none'; frame-ancestors 'none'"
            )
        },
    )


def framed(page: str, head: str, end: str) -> str:
    """Return a stored page with other markup at the begin and end of its body."""
    before, body, after = page.partition("<body>")
    if not body:
        return f"{head}{page}{end}"
    main, closing, tail = after.rpartition("</body>")
    return f"{before}{body}\n{head}{main}{end}{closing}{tail}"


api = APIRouter(prefix="/api/v1")
MONTH = timedelta(days=30)
LONGEST = timedelta(days=1100)
BANDS = (
    (USUAL, translatable("acceptable")),
    (MANAGEABLE, translatable("manageable")),
)


@api.get("/kpi", tags=["kpi"])
def show_alarm_metrics(
    platform: Served,
    _: Viewer,
    start: Annotated[
        Instant | None, Query(alias="from", description="30 days before the end when left out.")
    ] = None,
    end: Annotated[Instant | None, Query(alias="to", description="Now when left out.")] = None,
    asset: Annotated[
        str | None, Query(max_length=NAME, description="Only assets of this name or pattern.")
    ] = None,
    past: Annotated[
        bool,
        Query(description="Count also alarms found by evaluating past data, without notification."),
    ] = False,
) -> AlarmQuality:
    """Return alarm metrics after ISA-18.2 / EEMUA 191, of all and of each operator position.
    Durations are ISO 8601."""
    until = end or platform.clock.now()
    begin = start or until - MONTH
    if until - begin > LONGEST:
        raise UserError(
            f"from, to: {(until - begin).days} days are too many; ask for at most {LONGEST.days} "
            "at a time"
        )
    return alarm_quality(platform, begin, until, asset, past=past)


@pages.get("/kpi", response_class=HTMLResponse)
def quality(
    request: Request,
    platform: Served,
    _: Viewer,
    days: Annotated[int, Query(ge=1, le=366)] = 30,
    position: NameQuery | None = None,
    past: bool | None = None,
) -> str:
    """Return the page of alarm metrics of some days, of all or of a position."""
    now = platform.clock.now()
    zone: ZoneInfo = zone_of(request)
    midnight = now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    start = (midnight - timedelta(days=days)).astimezone(UTC)
    alarm_metrics = alarm_quality(platform, start, now, past=past)
    chosen = next((p for p in alarm_metrics.positions if p.name == position), None)
    k = chosen.kpis if chosen else alarm_metrics.kpis
    most = math.log10(1 + max(k.distribution)) or 1.0
    plant = known_plant(request, platform)
    return render(
        "quality.html",
        request,
        k=k,
        chosen=chosen,
        positions=alarm_metrics.positions if len(alarm_metrics.positions) > 1 else (),
        past=alarm_metrics.past,
        findings={f.metric: f for f in k.findings},
        days=days,
        periods=(1, 7, 30, 90),
        titles=plant.titles,
        asset_titles=plant.asset_titles,
        bars=[
            (number, _band(number, len(k.distribution) - 2), count, math.log10(1 + count) / most)
            for number, count in enumerate(k.distribution)
        ],
        now=now,
        track=share_track,
    )


def _band(number: int, most: int) -> str:
    """Return the name that EEMUA gives to so many alarms within ten minutes."""
    if number > most:
        return translatable("unacceptable")
    return next((name for least, name in BANDS if number <= least), translatable("over-demanding"))


class CsvResponse(PlainTextResponse):
    """A table as CSV."""

    media_type = "text/csv"


class WorkbookResponse(Response):
    """Tables as a workbook."""

    media_type = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


@api.get("/reports", tags=["reports"], openapi_extra=MAY_NAME_NOTHING)
def list_reports(
    platform: Served,
    _: Viewer,
    definition: NameQuery | None = None,
    plant: Annotated[bool, Query(description="true: only the reports on the whole plant.")] = False,
) -> list[views.ReportSummary]:
    """List performance reports by definition, newest first; those on the plant come first."""
    if definition is not None and platform.definitions.newest_revision(definition) is None:
        raise NotFound(f"there is no definition {definition!r}")
    names: list[str | None] = [definition] if definition else [None]
    if not definition and not plant:
        names += [revision.name for revision in platform.definitions.latest_revisions()]
    return [
        views.ReportSummary.from_domain(head)
        for name in names
        for head in platform.reports.for_definition(name)
        if not head.empty
    ]


@api.get("/reports/{id}", tags=["reports"], response_class=HTMLResponse)
def show_report(id: Id, platform: Served, _: Viewer) -> HTMLResponse:
    """Return the page of a report as one self-contained HTML file."""
    page = platform.reports.page(id)
    if page is None:
        raise NotFound(f"there is no report {id!r}")
    return HTMLResponse(page)


@api.get("/reports/{id}/metrics", tags=["reports"], operation_id="show_report_metrics")
def show_metrics(id: Id, platform: Served, _: Viewer) -> views.ReportDetail:
    """Show a report as JSON: its sentences and all its metrics."""
    head, content = find_report(platform, id)
    return views.ReportDetail(
        **vars(views.ReportSummary.from_domain(head)),
        metrics=to_jsonable_python(content.metrics, fallback=str, inf_nan_mode="null"),
        tables=list(content.tables),
    )


@api.get("/reports/{id}/tables/{table}", tags=["reports"], operation_id="show_report_table")
def show_table(id: Id, table: Id, platform: Served, _: Viewer) -> views.TableView:
    """Show a table of a report as JSON."""
    stored = find_table(platform, id, table)
    return views.TableView(name=stored.name, columns=stored.columns, rows=stored.to_records())


@api.get(
    "/reports/{id}/tables/{table}/csv",
    tags=["reports"],
    response_class=CsvResponse,
    operation_id="download_report_table",
)
def download_table(id: Id, table: Id, platform: Served, _: Viewer) -> CsvResponse:
    """Return a table of a report as CSV."""
    return CsvResponse(find_table(platform, id, table).to_csv())


@api.get(
    "/reports/{id}/xlsx",
    tags=["reports"],
    response_class=WorkbookResponse,
    operation_id="download_report_workbook",
)
def download_workbook(id: Id, platform: Served, _: Viewer) -> WorkbookResponse:
    """Return all tables of a report as one workbook (.xlsx), a sheet for each."""
    tables = find_report(platform, id)[1].tables
    content = write_workbook(find_table(platform, id, name) for name in tables)
    name = f'attachment; filename="report-{id}.xlsx"'
    return WorkbookResponse(content, headers={"content-disposition": name})


@api.get("/misses", tags=["reports"])
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
    misses = platform.misses.for_interval(start, end, definition, limit)
    return [views.MissView.from_domain(miss) for miss in misses]


@api.post("/misses", tags=["reports"], openapi_extra=MAY_NAME_NOTHING, operation_id="report_miss")
def submit_miss(body: views.MissBody, platform: Served, person: Operator) -> views.MissView:
    """Report a problem for which no alert was raised; it enters reports and the next training.
    Role: operator."""
    now = platform.clock.now()
    miss = report_miss(
        platform, body.definition, body.asset, body.at, body.comment, actor_of(person), now
    )
    return views.MissView.from_domain(miss)


def find_report(platform: Platform, id: str) -> tuple[ReportHead, ReportContent]:
    """Return a stored report. Raises NotFound for an unknown id, or an empty report."""
    head = platform.reports.get(id)
    content = platform.reports.content(id)
    if head is None or content is None or head.empty:
        raise NotFound(f"there is no report {id!r}")
    return head, content


def find_table(platform: Platform, id: str, name: str) -> Table:
    """Return a table of a stored report. Raises NotFound if the report or the table is unknown."""
    content = find_report(platform, id)[1]
    if name not in content.tables:
        raise NotFound(
            f"the report {id!r} has no table {name!r}; its tables: "
            f"{', '.join(content.tables) or 'none'}"
        )
    stored = content.tables[name]
    return Table(name, tuple(stored["columns"]), tuple(tuple(row) for row in stored["rows"]))
