"""The page of a trend: variables of an asset over a time, drawn by the server; where scripts run,
they draw it again for zooming.

Everything that is shown is in the address, so that it can be sent to a colleague.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import yaml
from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, Response
from pydantic import Field

from alerting.adapters.platform import Platform
from alerting.console.api.api import Served, Viewer
from alerting.console.api.parameters import NAME, NameQuery, read_duration
from alerting.console.language import language_of
from alerting.console.scripts.serving import has_uplot
from alerting.console.trends.address import MOST_VARIABLES, Asked, numeric_names
from alerting.console.trends.picture import MarkedTime, ShownTime, lane, marks_shape, ticks
from alerting.console.trends.trend_api import statistic_views, title_of
from alerting.console.web.rendering import render, zone_of
from alerting.definitions.assets import Asset
from alerting.definitions.faults import NotFound, UserError
from alerting.definitions.wording.language import Language, translatable
from alerting.usecases.explain.selected import (
    LONGEST_SELECTED,
    MOST_SELECTED,
    FoundTimes,
    LimitCondition,
    find_times,
    numeric_variables,
)
from alerting.usecases.trends.bands import find_bands
from alerting.usecases.trends.series import VariableSeries, read_series

pages = APIRouter(include_in_schema=False)
SPANS = {
    "1h": (timedelta(hours=1), translatable("1 h")),
    "8h": (timedelta(hours=8), translatable("8 h")),
    "1d": (timedelta(days=1), translatable("1 day")),
    "7d": (timedelta(days=7), translatable("1 week")),
    "28d": (timedelta(days=28), translatable("4 weeks")),
}
USUAL_SPAN = "8h"
FIRST_VARIABLES = 3
POINTS = 1000
MOST_BANDS = 100
MOST_ASSETS_OFFERED = 500
MOST_VARIABLES_OFFERED = 200
COMPUTED_AT_ONCE = 100_000
"""Readings of which the page shows statistics without being asked: reading more takes time."""
_TEXT = 40
Short = Annotated[str, Query(max_length=_TEXT)]


@pages.get("/trends", response_class=HTMLResponse)
def trends(
    request: Request,
    platform: Served,
    _: Viewer,
    asset: NameQuery = "",
    variable: Annotated[
        list[Annotated[str, Field(max_length=NAME)]], Query(max_length=MOST_VARIABLES)
    ] = [],  # noqa: B006 - FastAPI copies it
    start: Short = "",
    end: Short = "",
    span: Short = "",
    find: NameQuery = "",
    above: Short = "",
    below: Short = "",
    lasting: Annotated[str, Query(alias="for", max_length=_TEXT)] = "",
    statistics: bool = False,
    part: bool = False,
) -> Response:
    """Return the page of a trend. `start`, `end`: ISO 8601, local times of the plant without a
    zone; `span`: the last hours or days instead. `find`: the variable whose times beyond limits are
    listed. `statistics`: also of many readings. `part`: without pictures, for a script that draws
    them."""
    assets = [one for one in platform.assets.all() if numeric_names(one)]
    if not assets:
        return HTMLResponse(render("trends.html", request, of=None, assets=[]))
    chosen = platform.assets.get(asset) if asset else assets[0]
    if chosen is None:
        raise NotFound("there is no such asset")
    usual = tuple(numeric_names(chosen)[:FIRST_VARIABLES])
    names = tuple(dict.fromkeys(name for name in variable if name)) or usual
    numeric_variables(chosen, names)
    asked = Asked(chosen.name, names, start, end, span, find, above, below, lasting)
    refusal: str | UserError = ""
    now = platform.clock.now()
    try:
        shown, note = _span_of(request, platform, asked, now)
    except UserError as fault:
        refusal = fault.message
        note = ""
        shown = ShownTime(now - SPANS[USUAL_SPAN][0], now)
    language = language_of(request)
    condition, found, wrong = _find(platform, chosen, asked, shown)
    levels = [v for v in (condition.above, condition.below) if v is not None] if condition else []
    bands, are_cut = _bands(platform, chosen, shown, language)
    series, unread = _series(platform, asked, shown, now, without=part)
    many = MOST_SELECTED if statistics else COMPUTED_AT_ONCE
    return HTMLResponse(
        render(
            "trends.html",
            request,
            of=chosen,
            assets=[(one.name, one.title) for one in assets[:MOST_ASSETS_OFFERED]],
            offered=[
                (n, title_of(chosen, n)) for n in numeric_names(chosen)[:MOST_VARIABLES_OFFERED]
            ],
            asked=asked,
            names=names,
            shown=shown,
            moved=_moved(asked, shown),
            note=note,
            refusal=refusal,
            spans=SPANS,
            usual=USUAL_SPAN,
            lanes=[
                {
                    "name": one.variable,
                    "count": one.count,
                    **lane(one, shown, levels if one.variable == find else [], language),
                }
                for one in series
            ],
            titles={n: (title_of(chosen, n), chosen.variables[n].unit or "") for n in names},
            bands=bands,
            are_cut=are_cut,
            unread=unread,
            bands_data=[(b.kind, b.title, b.start.timestamp(), b.end.timestamp()) for b in bands],
            places=marks_shape(bands, shown),
            minute=timedelta(minutes=1),
            ticks=ticks(shown, zone_of(request), language),
            statistics=_statistics(platform, chosen, names, shown, many),
            condition=condition,
            levels=levels,
            found=found,
            wrong=wrong,
            draft=_draft(chosen, condition) if condition else "",
            has_uplot=has_uplot(),
            local=lambda at: f"{at.astimezone(zone_of(request)):%Y-%m-%dT%H:%M}",
            now=now,
        ),
        422 if refusal or wrong else 200,
    )


def _span_of(
    request: Request, platform: Platform, asked: Asked, now: datetime
) -> tuple[ShownTime, str]:
    """Return the time that is asked for, and a sentence if it is another one. Raises UserError for
    one that cannot be read, is empty or too long."""
    length = SPANS.get(asked.span or USUAL_SPAN, SPANS[USUAL_SPAN])[0]
    if not asked.span and (asked.start or asked.end):
        end = _instant(request, asked.end) if asked.end else now
        start = _instant(request, asked.start) if asked.start else end - length
        if start >= end:
            raise UserError(translatable("the time must begin before it ends"))
        if end - start > LONGEST_SELECTED:
            raise UserError(translatable("show at most a year at once"))
        return ShownTime(start, end), ""
    last = platform.readings.span(asked.asset)
    if last is not None and last[1] < now - length:
        note = translatable("There are no newer readings; this is the time up to the last one.")
        return ShownTime(last[1] - length, last[1]), note
    return ShownTime(now - length, now), ""


def _instant(request: Request, text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text.replace(" ", "+"))
        at = found if found.tzinfo else found.replace(tzinfo=zone_of(request))
        return at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise UserError(translatable("“{text}” is not a time", text=text)) from None


def _moved(asked: Asked, shown: ShownTime) -> dict[str, str]:
    """Return the addresses of the time before and after, and of half and twice the time."""
    width = shown.end - shown.start
    middle = shown.start + width / 2
    wide = min(width, LONGEST_SELECTED / 2)
    return {
        "earlier": asked.over(shown.start - width, shown.start),
        "later": asked.over(shown.end, shown.end + width),
        "closer": asked.over(middle - width / 4, middle + width / 4),
        "wider": asked.over(middle - wide, middle + wide),
    }


def _series(
    platform: Platform, asked: Asked, shown: ShownTime, now: datetime, without: bool
) -> tuple[list[VariableSeries], bool]:
    """Return the series of a page, none `without` pictures, and whether readings are too many to be
    read."""
    if without or not asked.variables:
        return [], False
    found = read_series(platform, asked.asset, asked.variables, *shown, POINTS, now)
    return found.series, bool(found.unread)


def _bands(
    platform: Platform, asset: Asset, shown: ShownTime, language: Language
) -> tuple[list[MarkedTime], bool]:
    """Return alarms and events within a time, the newest hundred of each, and whether there are
    more."""
    found = find_bands(platform, asset.name, *shown)
    alarms = [
        MarkedTime(
            "alarm",
            language.translate(e.title),
            max(e.raised_at, shown.start),
            min(e.closed_at or shown.end, shown.end),
            f"/episodes/{e.id}",
        )
        for e in reversed(found.episodes)
        if not e.withdrawn
    ]
    events = [
        MarkedTime("event", e.type, max(e.start, shown.start), min(e.end or shown.end, shown.end))
        for e in reversed(found.events)
    ]
    are_cut = found.cut or max(len(alarms), len(events)) > MOST_BANDS
    return [*alarms[:MOST_BANDS], *events[:MOST_BANDS]], are_cut


def _find(
    platform: Platform, asset: Asset, asked: Asked, shown: ShownTime
) -> tuple[LimitCondition | None, FoundTimes | None, str]:
    """Return the condition that is asked for, the times at which it held, and why they cannot be
    found."""
    if not asked.find:
        return None, None, ""
    numeric_variables(asset, [asked.find])
    try:
        condition = LimitCondition(
            asked.find,
            _number(asked.above),
            _number(asked.below),
            read_duration(asked.lasting) if asked.lasting.strip() else timedelta(0),
        )
        condition.problem()
    except UserError as fault:
        return None, None, fault.message
    except ValueError as fault:
        return None, None, f"“{asked.lasting}” {fault}"
    try:
        return condition, find_times(platform.readings, asset, condition, *shown), ""
    except UserError as fault:
        return condition, None, fault.message


def _number(text: str) -> float | None:
    if not text.strip():
        return None
    try:
        found = float(text.replace(",", "."))
    except ValueError:
        found = float("nan")
    if not abs(found) < 1e300:
        raise UserError(translatable("“{text}” is not a number", text=text))
    return found


def _statistics(
    platform: Platform, asset: Asset, names: Sequence[str], shown: ShownTime, most: int
) -> Sequence[Any] | None:
    """Return the statistics of what is shown; None of more readings than these."""
    try:
        return statistic_views(platform, asset.name, names, *shown, most)
    except UserError:
        return None


def _draft(asset: Asset, condition: LimitCondition) -> str:
    """Return the definition that raises an alarm at a condition, as YAML."""
    sides = {"above": condition.above, "below": condition.below}
    side = "high" if condition.above is not None else "low"
    name = f"{asset.name}-{condition.variable}-{side}".lower().replace("_", "-")
    document = {
        "name": name,
        "kind": "threshold",
        "assets": [asset.name],
        "variable": condition.variable,
        **{key: value for key, value in sides.items() if value is not None},
    }
    if condition.lasting:
        document["for"] = f"{int(condition.lasting.total_seconds())}s"
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
