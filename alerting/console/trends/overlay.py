"""The page of the last alarms of a definition on an asset, drawn over each other."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse
from pydantic import Field

from alerting.console.api.api import Served, Viewer
from alerting.console.api.parameters import NAME, NameQuery
from alerting.console.language import language_of
from alerting.console.trends.address import (
    MOST_VARIABLES,
    numeric_names,
    trend_of_episode,
    variables_of,
)
from alerting.console.trends.picture import ShownTime, overlay
from alerting.console.trends.trend_api import title_of
from alerting.console.web.rendering import render
from alerting.definitions.faults import NotFound
from alerting.definitions.wording.language import translatable
from alerting.usecases.explain.selected import numeric_variables
from alerting.usecases.trends.series import read_series

pages = APIRouter(include_in_schema=False)
MOST_EPISODES = 6
BEFORE = timedelta(hours=1)
AFTER = timedelta(minutes=30)
POINTS = 400
_USUAL_VARIABLES = 4
_MARKS = (-60, -45, -30, -15, 0, 15)
"""Minutes from the raise that the axis names."""


@pages.get("/trends/alarms", response_class=HTMLResponse)
def last_alarms(
    request: Request,
    platform: Served,
    _: Viewer,
    definition: NameQuery,
    asset: NameQuery,
    variable: Annotated[
        list[Annotated[str, Field(max_length=NAME)]], Query(max_length=MOST_VARIABLES)
    ] = [],  # noqa: B006 - FastAPI copies it
) -> str:
    """Return the page; without variables, of the newest alarm's own."""
    of = platform.assets.get(asset)
    if of is None:
        raise NotFound(translatable("there is no such asset"))
    numeric_variables(of, variable)
    now = platform.clock.now()
    found = platform.episodes.find(definition, asset, limit=MOST_EPISODES)
    own = dict.fromkeys(name for one in found for name in variables_of(one))
    numbers = numeric_names(of)
    usual = [name for name in own if name in numbers] or numbers
    names = list(dict.fromkeys(variable)) or usual[:_USUAL_VARIABLES]
    spans = [ShownTime(one.raised_at - BEFORE, one.raised_at + AFTER) for one in found]
    read = [
        read_series(platform, asset, names, *span, POINTS, now).series if names else []
        for span in spans
    ]
    return render(
        "trend_alarms.html",
        request,
        of=of,
        episodes=[(one, trend_of_episode(of, one, now)) for one in found],
        lanes=[
            (
                title_of(of, name),
                of.variables[name].unit or "",
                overlay([series[n] for series in read], spans, language_of(request)),
            )
            for n, name in enumerate(names)
            if read
        ],
        marks=[(100 * (timedelta(minutes=m) + BEFORE) / (BEFORE + AFTER), m) for m in _MARKS],
        now=now,
    )
