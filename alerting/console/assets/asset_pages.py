"""Assets at the console: their tree, one with all that is known of it, effects of a change."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any
from urllib.parse import urlencode

import numpy as np
from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse
from pydantic import Field

from alerting.console.api.api import Served, Viewer
from alerting.console.api.parameters import Id, NameQuery
from alerting.console.definitions.preview_shapes import bands_of_times, raises_shape
from alerting.console.documents.kinds import ConsoleKind, FormFields, ReviewView
from alerting.console.documents.pages import Number, describe_revisions
from alerting.console.mutes.mutes import present_mutes
from alerting.console.trends.picture import trend_of_variables
from alerting.console.web.rendering import language_of, render, zone_of
from alerting.definitions.wording.language import translatable
from alerting.ports import Document, Platform
from alerting.readings.history import to_millis
from alerting.reporting.figures.bars import BarChart, importance_bars
from alerting.usecases.alarm_load.asset_overview import (
    HISTORY,
    AssetOverview,
    Lane,
    asset_overview,
    asset_tree,
)
from alerting.usecases.ingestion.assets import ASSETS, AffectedDefinition
from alerting.usecases.trends.series import VariableLine, VariablePage

WIDTH = 150
HEIGHT = 36
_HOUR = 3_600_000
_TICKS = 3
_VARIABLES = 8


def spark_shape(line: VariableLine, page: VariablePage) -> str:
    """Return the path of the hourly means of a number, in a box of 150 by 36; empty without any.
    The line is broken where values are missing for much longer than usual."""
    hours = line.hours.has_good()
    if line.variable.type != "number" or len(hours.start) < 2:
        return ""
    means = hours.total / hours.count
    low = float(np.min(means))
    height = float(np.max(means)) - low or 1.0
    start = to_millis(page.since)
    length = to_millis(page.until) - start
    longest = 2.5 * max(_HOUR, float(np.median(np.diff(hours.start))))
    path = []
    before = None
    for at, mean in zip(hours.start.tolist(), means.tolist(), strict=True):
        x = WIDTH * min(max((at + _HOUR / 2 - start) / length, 0.0), 1.0)
        y = 3 + (HEIGHT - 6) * (1 - (mean - low) / height)
        path.append(
            f"{'L' if before is not None and at - before <= longest else 'M'}{x:.1f} {y:.1f}"
        )
        before = at
    return "".join(path)


def lane_shapes(
    request: Request, lanes: Sequence[Lane], start: datetime, end: datetime
) -> dict[str, Any]:
    """Return each lane with its bands in percent of the time, and the dates below them."""
    language = language_of(request)
    zone = zone_of(request)
    ticks = [(n / _TICKS, start + (end - start) * n / _TICKS) for n in range(_TICKS + 1)]
    return {
        "lanes": [
            (lane, bands_of_times([(a, b or end) for a, b in lane.times], start, end))
            for lane in lanes
        ],
        "ticks": [
            {"x": round(100 * part, 1), "label": language.month_day(at.astimezone(zone))}
            for part, at in ticks
        ],
    }


def importance_of(request: Request, found: AssetOverview) -> list[tuple[str, str, BarChart]]:
    """Return name, title and bars of the variables that the model of each definition uses most."""
    titles = {name: one.title or name for name, one in found.asset.variables.items()}
    made = []
    for line in found.definitions:
        decision = found.importance.get(line.name)
        if decision is None:
            continue
        shares = decision.evidence["importance"]["variables"]
        most = dict(sorted(shares.items(), key=lambda item: -item[1])[:_VARIABLES])
        bars = importance_bars(most, titles, language_of(request))
        if bars is not None:
            made.append((line.name, line.title, bars))
    return made


pages = APIRouter(include_in_schema=False)
ASSETS_SHOWN = 40
VARIABLES_SHOWN = 30
_DAY = timedelta(days=1)
_MOST_ASSETS = 100_000


@pages.get("/assets", response_class=HTMLResponse)
def assets(
    request: Request,
    platform: Served,
    _: Viewer,
    text: NameQuery = "",
    after: Annotated[int, Query(ge=0, le=_MOST_ASSETS)] = 0,
) -> str:
    """Return the tree of assets, or those with a text in name or title."""
    now = platform.clock.now()
    wanted = text.strip()
    found = asset_tree(platform, now, wanted, after, ASSETS_SHOWN)

    def address(position: int) -> str:
        given = {"text": wanted, "after": position or ""}
        query = urlencode({key: value for key, value in given.items() if value})
        return f"/assets?{query}" if query else "/assets"

    return render(
        "assets/assets.html",
        request,
        found=found,
        text=wanted,
        address=address,
        is_first=after == 0,
        faulty={one.name: one.reasons for one in platform.assets.read_all()[1]},
        now=now,
    )


@pages.get("/assets/{name}", response_class=HTMLResponse)
def asset(
    name: Id,
    request: Request,
    platform: Served,
    viewer: Viewer,
    after: NameQuery = "",
    start: Annotated[Number, Query(alias="from")] = 0,
    end: Annotated[Number, Query(alias="to")] = 0,
) -> str:
    """Return the page of an asset; with `from` and `to` the difference of two revisions."""
    now = platform.clock.now()
    found = asset_overview(platform, name, now, VARIABLES_SHOWN, after or None)
    runs = viewer.may("configure")
    stored = ASSETS.show(platform, name, now) if runs else None
    revisions = describe_revisions(ASSET_PAGES, platform, stored, start, end) if stored else {}
    return render(
        "assets/asset.html",
        request,
        o=found,
        asset=found.asset,
        sparks={line.name: spark_shape(line, found.variables) for line in found.variables.items},
        trends=_trends(found, now),
        raises={line.name: raises_shape(line.raises) for line in found.definitions},
        lanes=lane_shapes(request, found.lanes, now - HISTORY, now),
        importance=importance_of(request, found),
        **revisions,
        runs=runs,
        is_first=not after,
        mutes=present_mutes(request, platform, now, asset=name),
        now=now,
    )


class AssetReviewView(ReviewView):
    """The effect of a document of an asset; a faulty one has faults alone. `dropped`: variables
    that it declares no more."""

    affected: list[AffectedDefinition] = Field(default_factory=list)
    dropped: list[str] = Field(default_factory=list)


def _offered(platform: Platform, _: Document) -> dict[str, dict[str, str]]:
    known = platform.assets.all()
    positions = {asset.position for asset in known if asset.position}
    return {
        "parent": {asset.name: asset.title or "" for asset in known[:500]},
        "position": dict.fromkeys(sorted(positions), ""),
    }


ASSET_PAGES = ConsoleKind(
    ASSETS,
    example={"name": "oven-1", "variables": {"temperature": {"unit": "°C"}}},
    title=translatable("Assets"),
    new=translatable("New asset"),
    reads="read",
    own_list=True,
    own_page=True,
    editor="assets/edit.html",
    review_view=AssetReviewView,
    fields=FormFields(
        first=("name", "title", "parent", "position"),
        starting=lambda _: frozenset({"attributes"}),
        named=frozenset({"of", "minus", "by", "variable"}),
        parts="variables",
    ),
    offered=_offered,
)


def _trends(found: AssetOverview, now: datetime) -> dict[str, Any]:
    """Return the address of the trend of each variable that is a number, over the last day."""
    return {
        line.name: trend_of_variables(found.asset, [line.name], now - _DAY, now)
        for line in found.variables.items
    }
