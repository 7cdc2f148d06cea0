"""How good the alarms are for the people who get them: a page, and the same figures for programs."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from alerting.console import quality_drawings as drawings
from alerting.console import views
from alerting.console.api import Served, Viewer
from alerting.console.rendering import render
from alerting.definitions.faults import Refused
from alerting.episodes.kpi import kpis
from alerting.episodes.kpi_figures import TARGETS
from alerting.episodes.kpi_groups import Group, Grouping
from alerting.pipelines.kpi import AlarmQuality, QualityByGroup, advise, alarm_quality, alarm_quality_by, alarms_of, grouped
from alerting.pipelines.ports import Platform

api = APIRouter(prefix="/api/v1")
pages = APIRouter(include_in_schema=False)
MONTH = timedelta(days=30)
PERIODS = (1, 7, 30, 90)
WORST = 5  # alarms that chatter for which the page looks for a remedy
EVERYONE = "all"


@api.get("/kpi", tags=["operators"])
def show_figures(
    platform: Served,
    _: Viewer,
    start: Annotated[views.Instant | None, Query(alias="from", description="30 days before the end when left out.")] = None,
    end: Annotated[views.Instant | None, Query(alias="to", description="Now when left out.")] = None,
    asset: Annotated[str | None, Query(description="Only assets of this name or pattern.")] = None,
    by: Annotated[Grouping | None, Query(description="Figures for each position, line or shift.")] = None,
) -> AlarmQuality | QualityByGroup:
    """Alarm figures after ISA-18.2 / EEMUA 191. Durations are ISO 8601."""
    until = end or platform.clock.now()
    begin = start or until - MONTH
    if by is None:
        return alarm_quality(platform, begin, until, asset)
    return alarm_quality_by(platform, begin, until, by, asset)


@pages.get("/kpi", response_class=HTMLResponse)
def quality(
    request: Request,
    platform: Served,
    _: Viewer,
    days: Annotated[int, Query(ge=1, le=366)] = 30,
    by: Literal["all", "position", "line", "shift"] = "all",
    group: str | None = None,
) -> str:
    """Alarm figures of the last days, of everyone or of one position, line or shift."""
    now = platform.clock.now()
    zone: ZoneInfo = request.app.state.zone
    midnight = now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    start = (midnight - timedelta(days=days)).astimezone(UTC)
    groups, missing = _groups(platform, start, now, by)
    chosen = next((g for g in groups if g.name == group), groups[0])
    k = chosen.kpis
    return render(
        "quality.html",
        request,
        k=k,
        chosen=chosen,
        groups=groups if by != EVERYONE else [],
        missing=missing,
        by=by,
        days=days,
        periods=PERIODS,
        targets=TARGETS,
        bars=drawings.distribution(k, int(TARGETS.acceptable), TARGETS.most),
        calendar=drawings.calendar(k, zone),
        shares=drawings.shares(k.top),
        lanes=drawings.lanes(k),
        scale=drawings.scale(),
        priorities=drawings.priorities(k.priorities),
        chattering=list(zip(k.chattering[:WORST], advise(platform, k, most=WORST), strict=True)),
    )


def _groups(platform: Platform, start: datetime, end: datetime, by: str) -> tuple[list[Group], str]:
    """The groups, at least one; and why there are none of those that were asked for."""
    alarms = alarms_of(platform, start, end)
    missing = ""
    if by in ("position", "line", "shift"):
        try:
            found = grouped(platform, alarms, start, end, by)  # type: ignore[arg-type]
        except Refused as refusal:
            found, missing = [], str(refusal)
        if found:
            return sorted(found, key=lambda g: (-g.kpis.alarms, g.name)), ""
    everyone = Group("everyone", kpis(alarms, start, end), TARGETS.per_day)
    return [everyone], missing or ("" if by == EVERYONE else "no asset is watched yet")
