"""Alarm metrics: a page, and the same for programs."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from alerting.adapters.platform import Platform
from alerting.alarm_kpis.groups import EvaluatedByAsset, Group, Grouping, evaluated_of
from alerting.alarm_kpis.kpis import kpis
from alerting.alarm_kpis.metrics import targets_under
from alerting.alarm_kpis.observation import observation
from alerting.alarm_kpis.past_alarms import with_past
from alerting.console.api.api import Served, Viewer
from alerting.console.api.parameters import NAME, Instant, NameQuery
from alerting.console.now.page import known_plant
from alerting.console.web import quality_charts as drawings
from alerting.console.web.rendering import render, zone_of
from alerting.definitions.faults import UserError
from alerting.episodes.extract import Alarm
from alerting.usecases.alarm_load.evaluated_times import evaluated_times
from alerting.usecases.alarm_load.kpis import (
    AlarmQuality,
    QualityByGroup,
    advise,
    alarm_quality,
    alarm_quality_by,
    alarms_of,
    group_assets,
)

api = APIRouter(prefix="/api/v1")
pages = APIRouter(include_in_schema=False)
MONTH = timedelta(days=30)
LONGEST = timedelta(days=1100)
WORST = 5  # chattering alarms for which the page computes advice
EVERYONE = "all"


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
    by: Annotated[
        Grouping | None, Query(description="Group figures by position, line or shift.")
    ] = None,
    past: Annotated[
        bool,
        Query(description="Count also alarms found by evaluating past data, without notification."),
    ] = False,
) -> AlarmQuality | QualityByGroup:
    """Return alarm metrics after ISA-18.2 / EEMUA 191. Durations are ISO 8601."""
    until = end or platform.clock.now()
    begin = start or until - MONTH
    if begin >= until:
        raise UserError(f"from {begin.isoformat()} must lie before to {until.isoformat()}")
    if until - begin > LONGEST:
        raise UserError(
            f"from, to: {(until - begin).days} days are too many; ask for at most {LONGEST.days} "
            "at a time"
        )
    if by is None:
        return alarm_quality(platform, begin, until, asset, past=past)
    return alarm_quality_by(platform, begin, until, by, asset, past=past)


@pages.get("/kpi", response_class=HTMLResponse)
def quality(
    request: Request,
    platform: Served,
    _: Viewer,
    days: Annotated[int, Query(ge=1, le=366)] = 30,
    by: Literal["all", "position", "line", "shift"] = "all",
    group: NameQuery | None = None,
    past: bool | None = None,
) -> str:
    """Return the page of alarm metrics of some days, of all or a position, line, shift."""
    now = platform.clock.now()
    targets = targets_under(platform.budget)
    zone: ZoneInfo = zone_of(request)
    midnight = now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    start = (midnight - timedelta(days=days)).astimezone(UTC)
    alarms, found = with_past(alarms_of(platform.episodes, start, now), start, now, past)
    evaluated = evaluated_times(platform, start, now, past=found.counted)
    groups, missing = _groups(platform, alarms, start, now, by, evaluated)
    chosen = next((g for g in groups if g.name == group), groups[0])
    k = chosen.kpis
    plant = known_plant(request, platform)
    return render(
        "quality.html",
        request,
        k=k,
        chosen=chosen,
        groups=groups if by != EVERYONE else [],
        is_short=bool(k.observed) and _load(chosen, by) is None,
        loads={g.name: _load(g, by) for g in groups},
        missing=missing,
        past=found,
        observed=observation(k, zone),
        by=by,
        days=days,
        titles=plant.titles,
        asset_titles=plant.asset_titles,
        periods=(1, 7, 30, 90),
        targets=targets,
        bars=drawings.distribution(k, int(targets.acceptable), targets.most),
        calendar=drawings.calendar(k, zone),
        shares=drawings.shares(k.top),
        lanes=drawings.lanes(k),
        scale=drawings.scale(),
        priorities=list(reversed(k.priorities)),
        chattering=list(zip(k.chattering[:WORST], advise(platform, k, most=WORST), strict=True)),
    )


def _load(group: Group, by: str) -> float | None:
    """Return the used part of a group's budget; None if too little time was evaluated."""
    per_hour = group.kpis.per_hour
    per_day = group.kpis.per_day
    rate, allowed = (per_hour, group.budget / 24) if by == "shift" else (per_day, group.budget)
    return None if rate is None else rate / allowed


def _groups(
    platform: Platform,
    alarms: list[Alarm],
    start: datetime,
    end: datetime,
    by: str,
    evaluated: EvaluatedByAsset,
) -> tuple[list[Group], str]:
    """Return groups of metrics, and the reason if the grouping is not available."""
    missing = ""
    if by in ("position", "line", "shift"):
        try:
            found = group_assets(platform, alarms, start, end, by, evaluated)  # type: ignore[arg-type]
        except UserError as refusal:
            found = []
            missing = str(refusal)
        if found:
            return sorted(found, key=lambda g: (-g.kpis.alarms, g.name)), ""
    targets = targets_under(platform.budget)
    figures = kpis(alarms, start, end, targets, evaluated=evaluated_of(evaluated, start, end))
    return [Group("everyone", figures, targets.per_day)], missing or (
        "" if by == EVERYONE else "no definition applies to an asset yet"
    )
