"""The audit: who did what, when, from where and why, as a page, for programs and as CSV."""

import csv
import io
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse, StreamingResponse

from alerting.console.api import views
from alerting.console.api.api import Engineer, Served
from alerting.console.api.parameters import EARLIEST, LATEST, Cursor, Instant, NameQuery
from alerting.console.rendering import render, zone_of
from alerting.definitions.faults import UserError
from alerting.definitions.wording.clean_text import spreadsheet_text
from alerting.definitions.wording.language import translatable
from alerting.ports import AuditEntry, AuditFilter
from alerting.readings.history import to_millis
from alerting.usecases.access.audit import PAGE, changed_fields, entries_newest_first

api = APIRouter(prefix="/api/v1")
pages = APIRouter(include_in_schema=False)
_COLUMNS = ("at", "actor", "what", "subject", "origin", "why", "changes")


class AuditPageView(views.View):
    """Entries, newest first. `next`: the cursor of the page after, null on the last."""

    items: list[AuditEntry]
    next: str | None


@api.get("/audit", tags=["access"], operation_id="list_audit")
def list_entries(
    platform: Served,
    _: Engineer,
    actor: NameQuery | None = None,
    subject: NameQuery | None = None,
    what: NameQuery | None = None,
    start: Annotated[Instant | None, Query(alias="from")] = None,
    end: Annotated[Instant | None, Query(alias="to")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = PAGE,
    cursor: Cursor | None = None,
) -> AuditPageView:
    """List what people, commands and the platform did, newest first. Role: engineer."""
    wanted = AuditFilter(actor, subject, what, start, end)
    found = platform.audit.find(wanted, limit + 1, views.read_cursor(cursor) if cursor else None)
    return AuditPageView(
        items=list(found[:limit]),
        next=_cursor(found[limit - 1]) if len(found) > limit else None,
    )


@dataclass(frozen=True)
class AuditForm:
    """The fields of the filter on the page, as they are typed: times in the zone of the page."""

    actor: NameQuery = ""
    subject: NameQuery = ""
    what: NameQuery = ""
    start: Annotated[str, Query(alias="from", max_length=30)] = ""
    end: Annotated[str, Query(alias="to", max_length=30)] = ""

    def wanted(self, request: Request) -> AuditFilter:
        """Return the entries that the form asks for. Raises UserError for a time that is none."""
        return AuditFilter(
            self.actor.strip() or None,
            self.subject.strip() or None,
            self.what.strip() or None,
            _local_time(request, self.start),
            _local_time(request, self.end),
        )


WantedEntries = Annotated[AuditForm, Depends()]


@pages.get("/audit", response_class=HTMLResponse)
def audit(
    request: Request,
    platform: Served,
    _: Engineer,
    form: WantedEntries,
    cursor: Cursor | None = None,
) -> str:
    """Return one page of the audit, newest first."""
    before = views.read_cursor(cursor) if cursor else None
    found = platform.audit.find(form.wanted(request), PAGE + 1, before)
    return render(
        "audit.html",
        request,
        entries=[(entry, changed_fields(entry)) for entry in found[:PAGE]],
        older=_cursor(found[PAGE - 1]) if len(found) > PAGE else None,
        wanted=asdict(form),
        is_first=cursor is None,
    )


@pages.get("/audit.csv")
def export(
    request: Request, platform: Served, _: Engineer, form: WantedEntries
) -> StreamingResponse:
    """Return all wanted entries as CSV, times in UTC."""
    return StreamingResponse(
        csv_lines(entries_newest_first(platform.audit, form.wanted(request))),
        media_type="text/csv; charset=utf-8",
        headers={"content-disposition": 'attachment; filename="audit.csv"'},
    )


def csv_lines(entries: Iterator[AuditEntry]) -> Iterator[str]:
    """Yield entries as lines of CSV, the names of the columns first.

    A text that a spreadsheet would take for a formula begins with an apostrophe.
    """
    yield _line(_COLUMNS)
    for entry in entries:
        changes = "; ".join(
            f"{name}: {before or '-'} -> {after or '-'}"
            for name, before, after in changed_fields(entry)
        )
        at = entry.at.isoformat(timespec="milliseconds")
        rest = (entry.actor, entry.what, entry.subject, entry.origin, entry.why, changes)
        yield _line((at, *map(spreadsheet_text, rest)))


def _line(values: tuple[str, ...]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow(values)
    return line.getvalue()


def _local_time(request: Request, text: str) -> datetime | None:
    """Return a time of a form's field, in the zone of the page. Raises UserError."""
    if not text:
        return None
    try:
        value = datetime.fromisoformat(text)
    except ValueError:
        raise UserError("from, to: not a time; write for example 2026-03-14T06:00") from None
    at = value if value.tzinfo else value.replace(tzinfo=zone_of(request))
    if not EARLIEST <= at <= LATEST:  # no database holds every instant that can be written
        raise UserError(translatable("“{text}” lies not between 1900 and 2200", text=text))
    return at


def _cursor(entry: AuditEntry) -> str:
    return f"{to_millis(entry.at)}_{entry.id}"
