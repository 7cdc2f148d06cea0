"""Assets at the console: their tree, one with all that is known of it, effects of a change."""

from datetime import datetime, timedelta
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse
from pydantic import Field

from alerting.console.api.api import Served, Viewer
from alerting.console.api.parameters import Id, NameQuery
from alerting.console.assets.shapes import importance_of, lane_shapes, spark_shape
from alerting.console.definitions.preview_shapes import raises_shape
from alerting.console.documents.kinds import ConsoleKind, FormFields, ReviewView
from alerting.console.documents.pages import Number, describe_revisions
from alerting.console.mutes.mutes import present_mutes
from alerting.console.trends.picture import trend_of_variables
from alerting.console.web.rendering import render
from alerting.definitions.wording.language import translatable
from alerting.ports import Document, Platform
from alerting.usecases.alarm_load.asset_overview import (
    HISTORY,
    AssetOverview,
    asset_overview,
    asset_tree,
)
from alerting.usecases.ingestion.assets import ASSETS, AffectedDefinition

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
