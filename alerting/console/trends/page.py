"""The page of a trend: variables of an asset over a time, drawn by the server; where scripts run,
they draw it again for zooming.

Everything that is shown is in the address, so that it can be sent to a colleague.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, Response
from pydantic import Field

from alerting.adapters.platform import Platform
from alerting.console.api.api import Served, Viewer
from alerting.console.api.parameters import NAME, NameQuery
from alerting.console.language import language_of
from alerting.console.scripts.serving import has_uplot
from alerting.console.trends.address import MOST_VARIABLES, Asked, numeric_names
from alerting.console.trends.marks import KIND_NAMES, NOTHING_TYPED, Typed, find_marks
from alerting.console.trends.picture import ShownTime, lane, marks_shape, ticks
from alerting.console.trends.shown_time import SPANS, USUAL_SPAN, moved, read_time
from alerting.console.trends.times_beyond_limits import find_part
from alerting.console.trends.trend_api import statistic_views, title_of
from alerting.console.web.rendering import render, zone_of
from alerting.definitions.assets import Asset
from alerting.definitions.faults import NotFound, UserError
from alerting.definitions.wording.language import Language, translatable
from alerting.readings.interval_labels import LabelKind
from alerting.usecases.explain.explain import MOST_SELECTED, numeric_variables
from alerting.usecases.trends.series import read_series

pages = APIRouter(include_in_schema=False)
FIRST_VARIABLES = 3
POINTS = 1000
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
    mark: LabelKind | None = None,
) -> Response:
    """Return the page of a trend. `start`, `end`: ISO 8601, local times of the plant without a
    zone; `span`: the last hours or days instead. `find`: the variable whose times beyond limits are
    listed. `statistics`: also of many readings. `part`: without pictures, for a script that draws
    them. `mark`: with the form open that marks the time so."""
    asked = Asked(asset, tuple(variable), start, end, span, find, above, below, lasting)
    typed = Typed(kind=mark or "")
    return trend_page(request, platform, asked, typed, statistics=statistics, part=part)


def trend_page(
    request: Request,
    platform: Platform,
    asked: Asked,
    typed: Typed = NOTHING_TYPED,
    *,
    statistics: bool = False,
    part: bool = False,
) -> Response:
    """Return the page of what is asked for. `typed`: a mark that was refused. Raises NotFound for
    an unknown asset or variable, UserError for a variable that is no number."""
    assets = [one for one in platform.assets.all() if numeric_names(one)]
    if not assets:
        return HTMLResponse(render("trends.html", request, of=None, assets=[]))
    of, asked = choose(platform, asked, assets)
    now = platform.clock.now()
    language = language_of(request)
    shown, note, refusal = read_time(request, platform, asked, now)
    found = find_part(platform, of, asked, shown)
    marks = find_marks(platform, of, shown, language)
    names = asked.variables
    page = render(
        "trends.html",
        request,
        asked=asked,
        names=names,
        shown=shown,
        moved=moved(asked, shown),
        note=note,
        refusal=refusal,
        typed=typed,
        kind_names=KIND_NAMES,
        spans=SPANS,
        usual=USUAL_SPAN,
        titles={n: (title_of(of, n), of.variables[n].unit or "") for n in names},
        statistics=_statistics(
            platform, of, names, shown, MOST_SELECTED if statistics else COMPUTED_AT_ONCE
        ),
        has_uplot=has_uplot(),
        now=now,
        **offers(of, assets),
        **found,
        **_drawn(platform, asked, shown, found["levels"], language, now, without=part),
        **_background(request, marks, shown, language),
    )
    return HTMLResponse(page, 422 if refusal or found["wrong"] or typed.refusal else 200)


def choose(platform: Platform, asked: Asked, assets: Sequence[Asset]) -> tuple[Asset, Asked]:
    """Return the asset that is asked for, the first one if none is, and what is asked of it: its
    first variables if none are named. Raises NotFound and UserError."""
    of = platform.assets.get(asked.asset) if asked.asset else assets[0]
    if of is None:
        raise NotFound(translatable("there is no such asset"))
    usual = tuple(numeric_names(of)[:FIRST_VARIABLES])
    names = tuple(dict.fromkeys(name for name in asked.variables if name)) or usual
    numeric_variables(of, names)
    return of, asked._replace(asset=of.name, variables=names)


def offers(of: Asset, assets: Sequence[Asset]) -> dict[str, Any]:
    """Return the assets and variables that the page offers."""
    numbers = numeric_names(of)[:MOST_VARIABLES_OFFERED]
    return {
        "of": of,
        "assets": [(one.name, one.title) for one in assets[:MOST_ASSETS_OFFERED]],
        "offered": [(name, title_of(of, name)) for name in numbers],
    }


def _drawn(
    platform: Platform,
    asked: Asked,
    shown: ShownTime,
    levels: Sequence[float],
    language: Language,
    now: datetime,
    *,
    without: bool,
) -> dict[str, Any]:
    """Return the lanes, none `without` pictures, and whether readings are too many to be read."""
    if without or not asked.variables:
        return {"lanes": [], "unread": False}
    found = read_series(platform, asked.asset, asked.variables, *shown, POINTS, now)
    lanes = [
        {
            "name": one.variable,
            "count": one.count,
            **lane(one, shown, levels if one.variable == asked.find else [], language),
        }
        for one in found.series
    ]
    return {"lanes": lanes, "unread": bool(found.unread)}


def _background(
    request: Request, marks: dict[str, Any], shown: ShownTime, language: Language
) -> dict[str, Any]:
    """Return what stands behind the lanes, for the server's picture and for the script's."""
    zone = zone_of(request)
    drawn = marks.pop("drawn")
    return {
        **marks,
        "bands_data": [
            (b.kind, b.title, b.start.timestamp(), b.end.timestamp(), b.variables) for b in drawn
        ],
        "places": marks_shape(drawn, shown),
        "minute": timedelta(minutes=1),
        "ticks": ticks(shown, zone, language),
        "local": lambda at: f"{at.astimezone(zone):%Y-%m-%dT%H:%M}",
        "local_seconds": lambda at: f"{at.astimezone(zone):%Y-%m-%dT%H:%M:%S}",
    }


def _statistics(
    platform: Platform, asset: Asset, names: Sequence[str], shown: ShownTime, most: int
) -> Sequence[Any] | None:
    """Return the statistics of what is shown; None of more readings than these."""
    try:
        return statistic_views(platform, asset.name, names, *shown, most)
    except UserError:
        return None
