"""Alarm metrics: a page, and the same for programs."""

import math
from datetime import UTC, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from alerting.alarm_kpis.kpis import MANAGEABLE, USUAL
from alerting.console.api.api import Served, Viewer
from alerting.console.api.parameters import NAME, Instant, NameQuery
from alerting.console.now.page import known_plant
from alerting.console.web.rendering import render, zone_of
from alerting.definitions.faults import UserError
from alerting.definitions.wording.language import translatable
from alerting.usecases.alarm_load.kpis import AlarmQuality, alarm_quality

api = APIRouter(prefix="/api/v1")
pages = APIRouter(include_in_schema=False)
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
    found = alarm_quality(platform, start, now, past=past)
    chosen = next((p for p in found.positions if p.name == position), None)
    k = chosen.kpis if chosen else found.kpis
    most = math.log10(1 + max(k.distribution)) or 1.0
    plant = known_plant(request, platform)
    return render(
        "quality.html",
        request,
        k=k,
        chosen=chosen,
        positions=found.positions if len(found.positions) > 1 else (),
        past=found.past,
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
    )


def _band(number: int, most: int) -> str:
    """Return the name that EEMUA gives to so many alarms within ten minutes."""
    if number > most:
        return translatable("unacceptable")
    return next((name for least, name in BANDS if number <= least), translatable("over-demanding"))
