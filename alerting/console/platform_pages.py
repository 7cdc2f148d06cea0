"""The platform itself: a page of its health, with faults for everyone and its parts for engineers;
`/metrics` for Prometheus, collected on request, in bounded time; and the audit (who did what, when,
from where and why) as a page, for programs and as CSV."""

import csv
import io
import platform as python
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from threading import Lock
from typing import Annotated, Any, Literal
from urllib.parse import quote

import pymongo
from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import HTMLResponse, StreamingResponse
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from pymongo.errors import ConnectionFailure, PyMongoError

from alerting.adapters.calls_with_deadline import find_silent
from alerting.adapters.mongo.mongo import DatabaseDown
from alerting.console.access import Engineer, Served, Viewer
from alerting.console.api import views
from alerting.console.api.parameters import NAME, Cursor, Instant, NameQuery
from alerting.console.fault_responses import METRICS
from alerting.console.login import entrance_of
from alerting.console.plant.trend_picture import read_instant
from alerting.console.rendering import render
from alerting.definitions.faults import UserError
from alerting.definitions.sources import LEASE_LASTS
from alerting.definitions.wording.clean_text import clean_line, spreadsheet_text
from alerting.definitions.wording.language import template
from alerting.ports import AuditEntry, AuditFilter, Platform, PlatformAlert
from alerting.stores.database.transactions_and_leases import STREAM
from alerting.usecases.access.accounts import PAGE, backup_age, changed_fields, entries_newest_first
from alerting.usecases.definitions.faults_and_platform_alerts import (
    DOCUMENT,
    DRIFTED,
    FAILING,
    FAULTY,
    LOAD,
    MISCALIBRATED,
    UNREADABLE,
    WAITING,
)
from alerting.usecases.health.open_faults import open_faults
from alerting.usecases.health.platform_health import (
    BEHIND,
    FAILED,
    LABELLED,
    LATE,
    LOST,
    REFUSED,
    STALE,
    STOPPED,
    SURPLUS,
    Inventory,
    read_inventory,
)
from alerting.usecases.health.platform_metrics import PlatformMetrics, platform_metrics
from alerting.usecases.health.scheduled_tasks import PAUSED, TASK
from alerting.usecases.notification.routing import ROUTES, platform_recipients
from alerting.usecases.sink_delivery import SinkStatus, sink_statuses
from alerting.usecases.sources.status import SourceStatus, source_statuses

pages = APIRouter(include_in_schema=False)
SHOWN = 8
"""Definitions with their lag, the most overdue first."""

_OPEN_DEFINITION = template("Open the definition")
_MENDED_AT = {
    FAULTY: ("", "/definitions/{}", _OPEN_DEFINITION),
    WAITING: ("", "/models/{}/decide", template("Compare and decide")),
    **dict.fromkeys((FAILED, UNREADABLE), ("", "/models/{}/train", template("Train now"))),
    **dict.fromkeys((REFUSED, MISCALIBRATED), ("", "/models/{}", template("Open the models"))),
    DRIFTED: ("", "/trends?asset={}", template("Open in trends")),
    BEHIND: ("sink ", "/sinks/{}", template("Open the sink")),
    FAILING: ("", "/routes#undelivered", template("Open the routes")),
    **dict.fromkeys(
        (STALE, STOPPED, LOST, SURPLUS), ("source ", "/sources/{}", template("Open the source"))
    ),
}
"""Of a kind of fault: how its subject begins, the page on which it is mended, and the link."""


@pages.get("/platform", response_class=HTMLResponse)
def faults(request: Request, platform: Served, _: Viewer) -> str:
    """Return the page of the platform: faults, and for engineers what runs, waits and is stored."""
    now = platform.clock.now()
    routes = ROUTES.read(platform)[0]
    runs_it = request.state.person.may("configure")
    reader: PlatformReader = request.app.state.reader
    still_open = open_faults(platform)
    return render(
        "platform.html",
        request,
        **{
            part: [(alert, _mending_page(alert, request.app.state.airflow)) for alert in alerts]
            for part, alerts in (("grave", still_open.grave), ("quiet", still_open.quiet))
        },
        resolved=platform.platform_alerts.resolved_since(now - timedelta(days=7)),
        recipients=platform_recipients(platform, routes, now),
        is_asked=any(route.platform for route in routes),
        scrape=reader.read() if runs_it else None,
        service=platform.leases.find(STREAM) if runs_it else None,
        at=entrance_of(request).now(),
        dead_messages={  # of each source
            name: count
            for name in (str(document.get("name")) for document in platform.sources.documents())
            if runs_it and (count := platform.dead_messages.count_dead(name))
        },
        disks=platform.disks() if runs_it else (),
        disk_least=platform.health_limits.disk_least,
        database=platform.database() if runs_it else None,
        backup_age=backup_age(platform.audit, datetime.now(UTC)) if runs_it else None,
        shown=SHOWN,
        gone=LEASE_LASTS,
        version=version("alerting"),
        silent=find_silent(request.app.state.others),
        now=now,
    )


def _mending_page(alert: PlatformAlert, airflow: str | None) -> tuple[str, str] | None:
    """Return the page on which a fault is mended or shown, as address and text of its link."""
    if alert.kind in (LATE, PAUSED, TASK):
        several = alert.subject.endswith("*")
        page = f"{airflow}/dags" + ("" if several else f"/{alert.subject}")
        return (page, template("Open in Airflow")) if airflow else None
    if alert.kind == DOCUMENT:
        return f"/{quote(alert.subject)}", template("Open the document")
    if alert.kind == LOAD:  # of one revision
        return f"/definitions/{quote(alert.subject.partition(' ')[0], safe='')}", _OPEN_DEFINITION
    begins, page, label = _MENDED_AT.get(alert.kind, ("", "", ""))
    if not page or not alert.subject.startswith(begins):
        return None
    return page.format(quote(alert.subject.removeprefix(begins), safe="")), label


LIMIT_S = 8.0
"""Time within which a scrape must have read the database: less than the ten seconds that Prometheus
waits by default."""
FRESH_S = 10.0
"""Time for which figures are answered again without reading the database."""


@dataclass(frozen=True)
class Scrape:
    """Result of one collection. `metrics`: None if not read, or not within the limit."""

    database_up: bool
    seconds: float
    metrics: PlatformMetrics | None
    sources: Sequence[SourceStatus] = ()
    sinks: Sequence[SinkStatus] = ()
    backup_age: timedelta | None = None


class PlatformReader(Collector):
    """Reads the metrics of a platform at most every `FRESH_S` seconds, one reader at a time, and
    converts them to metric families."""

    def __init__(
        self,
        platform: Platform,
        stopwatch: Callable[[], float] = time.monotonic,
        limit: float = LIMIT_S,
    ) -> None:
        self._platform = platform
        self._stopwatch = stopwatch
        self._limit = limit
        self._lock = Lock()
        self._inventory: Inventory | None = None
        self._last: Scrape | None = None
        self._read_at = 0.0

    def read(self) -> Scrape:
        """Return metrics, a few seconds old at most. Never raises for a database that is slow."""
        if not self._lock.acquire(timeout=self._limit):
            return Scrape(True, self._limit, None)
        try:
            if self._last is None or self._stopwatch() - self._read_at >= FRESH_S:
                self._last = self._measure()
                self._read_at = self._stopwatch()
            return self._last
        finally:
            self._lock.release()

    def collect(self) -> Iterator[Metric]:
        """Yield the metric families of one scrape; the platform's only if it could be read."""
        yield InfoMetricFamily(
            "alerting_build",
            "Version of the platform.",
            value={"version": version("alerting"), "python": python.python_version()},
        )
        scrape = self.read()
        yield _gauge("alerting_database_up", "1 if the database answers.", scrape.database_up)
        yield _gauge(
            "alerting_scrape_complete",
            "1 if all metrics were read within the time limit.",
            scrape.metrics is not None,
        )
        yield _gauge(
            "alerting_scrape_seconds",
            "Duration of reading these metrics from the database.",
            scrape.seconds,
        )
        if scrape.metrics is not None:
            for name, about, read, label in _GAUGES:
                yield _gauge(name, about, read(scrape.metrics), label)
            yield from _status_families("source", _SOURCE_GAUGES, scrape.sources[:LABELLED])
            yield from _status_families("sink", _SINK_GAUGES, scrape.sinks[:LABELLED])
            if scrape.backup_age is not None:
                about = "Age of the newest backup."
                yield _gauge("alerting_backup_age_seconds", about, scrape.backup_age)

    def _measure(self) -> Scrape:
        began = self._stopwatch()
        is_up = True
        metrics = None
        sources = list[SourceStatus]()
        sinks = list[SinkStatus]()
        backup = None
        try:
            with pymongo.timeout(self._limit):
                self._inventory = read_inventory(self._platform, self._inventory)
                now = self._platform.clock.now()
                sources = source_statuses(self._platform, now)
                sinks = sink_statuses(self._platform, now)
                backup = backup_age(self._platform.audit, datetime.now(UTC))
                metrics = platform_metrics(self._platform, self._inventory, now)
        except (ConnectionFailure, DatabaseDown) as fault:
            is_up = isinstance(fault, PyMongoError) and fault.timeout and self._answers()
        except (PyMongoError, UserError):
            is_up = self._answers()
        return Scrape(is_up, self._stopwatch() - began, metrics, sources, sinks, backup)

    def _answers(self) -> bool:
        try:
            with pymongo.timeout(1.0):
                self._platform.definitions.faulty()
        except (PyMongoError, UserError):
            return False
        return True


def metrics_routes(reader: PlatformReader) -> APIRouter:
    """Return the route of `/metrics` with a registry of its own. Role: viewer."""
    routes = APIRouter(include_in_schema=False)
    registry = CollectorRegistry()
    registry.register(reader)

    @routes.get(METRICS)
    def metrics(_: Viewer, accept: Annotated[str, Header(max_length=1000)] = "") -> Response:
        encode, content_type = choose_encoder(accept)
        return Response(encode(registry), media_type=content_type)

    return routes


_GaugeValue = float | timedelta | Mapping[str, float | timedelta]
_GAUGES: tuple[tuple[str, str, Callable[[PlatformMetrics], _GaugeValue], str], ...] = (
    ("alerting_open_episodes", "Open episodes.", lambda m: m.open_episodes, "severity"),
    (
        "alerting_definitions",
        "Definitions; a faulty one counts also under its state.",
        lambda m: m.definitions,
        "state",
    ),
    ("alerting_targets", "Definitions in service, times their assets.", lambda m: m.targets, ""),
    (
        "alerting_targets_never_evaluated",
        "Targets without any evaluation.",
        lambda m: m.never_evaluated,
        "",
    ),
    (
        "alerting_evaluation_lag_seconds",
        "Now minus watermark, largest of all assets; of the most overdue definitions.",
        lambda m: {n: lag.lag for n, lag in m.lag.items()},
        "definition",
    ),
    (
        "alerting_evaluation_interval_seconds",
        "Interval between two evaluations of these definitions.",
        lambda m: {n: lag.every for n, lag in m.lag.items()},
        "definition",
    ),
    (
        "alerting_evaluation_overdue_seconds",
        "Largest lag of all targets beyond their interval and latency.",
        lambda m: m.overdue,
        "",
    ),
    (
        "alerting_newest_reading_age_seconds",
        "Age of the newest reading of an asset; only the assets with the oldest ones.",
        lambda m: m.reading_age,
        "asset",
    ),
    (
        "alerting_newest_reading_age_max_seconds",
        "Age of the newest reading, largest of all assets of targets.",
        lambda m: m.oldest_reading_age,
        "",
    ),
    (
        "alerting_assets_without_readings",
        "Assets of targets that have no reading.",
        lambda m: m.assets_without_readings,
        "",
    ),
    (
        "alerting_late_readings",
        "Readings and events that came late, within the last hour.",
        lambda m: m.late_rows,
        "",
    ),
    (
        "alerting_too_late_readings",
        "Readings and events that came too late to be reprocessed, within the last hour.",
        lambda m: m.too_late_rows,
        "",
    ),
    (
        "alerting_late_arrivals_waiting",
        "Late arrivals that no evaluation has used yet.",
        lambda m: m.unrouted_arrivals,
        "",
    ),
    (
        "alerting_notifications",
        "Notifications: due or retried, delayed by a rule, undelivered.",
        lambda m: m.notifications,
        "state",
    ),
    (
        "alerting_delivery_overdue_seconds",
        "Time since the oldest pending notification became due.",
        lambda m: m.delivery_overdue,
        "",
    ),
    (
        "alerting_platform_alerts",
        "Open faults of the platform itself.",
        lambda m: m.platform_alerts,
        "kind",
    ),
)
"""Name, help, value and label of each gauge of the platform."""


_SOURCE_GAUGES: tuple[tuple[str, str, Callable[[SourceStatus], float | timedelta | None]], ...] = (
    ("rows", "Rows of a source that changed anything, so far.", lambda s: s.rows),
    ("refused_rows", "Rows of a source that could not be stored, so far.", lambda s: s.refused),
    (
        "lost_values",
        "Values of a source that were lost and could be counted, so far.",
        lambda s: s.lost,
    ),
    ("lag_seconds", "Now minus the newest time stamp of a source.", lambda s: s.lag),
    ("silent_seconds", "Time since the last row of a source came.", lambda s: s.silent),
    ("unread_seconds", "Time since a polled source was read last.", lambda s: s.unread),
    ("rows_per_minute", "Rows per minute of the last deliveries of a source.", lambda s: s.rate),
    (
        "stale",
        "1 if an active source has delivered nothing for its `stale_after`.",
        lambda s: s.is_stale,
    ),
)


_SINK_GAUGES: tuple[tuple[str, str, Callable[[SinkStatus], float | timedelta]], ...] = (
    ("sent_messages", "Messages of a sink that its receiver accepted, so far.", lambda s: s.sent),
    ("left_out_values", "Values of a sink that waited too long, so far.", lambda s: s.left_out),
    ("dead_letters", "Messages of a sink that its receiver refused.", lambda s: s.letters),
    ("lag_seconds", "Time since everything of a sink had gone out.", lambda s: s.lag),
    ("stale", "1 if an active sink is behind for its `stale_after`.", lambda s: s.is_stale),
)


def _status_families(
    label: Literal["source", "sink"],
    gauges: Sequence[tuple[str, str, Callable[[Any], float | timedelta | None]]],
    statuses: Sequence[SourceStatus | SinkStatus],
) -> Iterator[Metric]:
    for name, about, read in gauges:
        values = {s.name: value for s in statuses if (value := read(s)) is not None}
        yield _gauge(f"alerting_{label}_{name}", about, values, label)


def _gauge(
    name: str,
    help: str,
    value: _GaugeValue,
    label: str = "",
) -> GaugeMetricFamily:
    """Return a gauge: one value, or with a label one for each name; durations in seconds."""
    family = GaugeMetricFamily(name, help, labels=[label] if label else [])
    values = (
        {clean_line(text): v for text, v in value.items()}
        if isinstance(value, Mapping)
        else {"": value}
    )
    for text, measured in values.items():
        seconds = measured.total_seconds() if isinstance(measured, timedelta) else float(measured)
        family.add_metric([text] if label else [], seconds)
    return family


api = APIRouter(prefix="/api/v1")


class AuditPageView(views.RowPage[AuditEntry]):
    """Entries, newest first. `next`: the cursor of the page after, null on the last."""


@api.get("/audit", tags=["access"], operation_id="list_audit")
def list_entries(
    platform: Served,
    _: Engineer,
    actor: NameQuery | None = None,
    subject: NameQuery | None = None,
    act: Annotated[NameQuery | None, Query(alias="what")] = None,
    start: Annotated[Instant | None, Query(alias="from")] = None,
    end: Annotated[Instant | None, Query(alias="to")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = PAGE,
    cursor: Cursor | None = None,
) -> AuditPageView:
    """List what people, commands and the platform did, newest first. Role: engineer."""
    filters = AuditFilter(actor, subject, act, start, end)
    entries = platform.audit.find(filters, limit + 1, views.read_cursor(cursor) if cursor else None)
    items, next = views.page_of(entries, limit, lambda entry: entry.at)
    return AuditPageView(items=list(items), next=next)


@dataclass(frozen=True)
class AuditForm:
    """The fields of the filter on the page, as they are typed: times in the zone of the page."""

    actor: NameQuery = ""
    subject: NameQuery = ""
    act: Annotated[str, Query(alias="what", max_length=NAME)] = ""
    start: Annotated[str, Query(alias="from", max_length=30)] = ""
    end: Annotated[str, Query(alias="to", max_length=30)] = ""

    def wanted(self, request: Request) -> AuditFilter:
        """Return the filter of entries that the form states. Raises UserError for a time that
        cannot be read."""
        return AuditFilter(
            self.actor.strip() or None,
            self.subject.strip() or None,
            self.act.strip() or None,
            read_instant(request, self.start) if self.start else None,
            read_instant(request, self.end) if self.end else None,
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
    entries = platform.audit.find(form.wanted(request), PAGE + 1, before)
    items, older = views.page_of(entries, PAGE, lambda entry: entry.at)
    return render(
        "audit.html",
        request,
        entries=[(entry, changed_fields(entry)) for entry in items],
        older=older,
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
    yield _line(("at", "actor", "what", "subject", "origin", "why", "changes"))
    for entry in entries:
        changes = "; ".join(
            f"{name}: {before or '-'} -> {after or '-'}"
            for name, before, after in changed_fields(entry)
        )
        at = entry.at.isoformat(timespec="milliseconds")
        fields = (entry.actor, entry.what, entry.subject, entry.origin, entry.why, changes)
        yield _line((at, *map(spreadsheet_text, fields)))


def _line(values: tuple[str, ...]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow(values)
    return line.getvalue()
