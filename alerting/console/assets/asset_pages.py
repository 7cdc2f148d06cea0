"""Pages of assets: their tree, one with all that is known of it, and the editor."""

from datetime import datetime, timedelta
from functools import cache
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, Response

from alerting.adapters.platform import Platform
from alerting.console.api.api import Engineer, Served, Viewer
from alerting.console.api.parameters import Id, NameQuery
from alerting.console.assets.shapes import importance_of, lane_shapes, spark_shape
from alerting.console.definitions.form import FormSchema
from alerting.console.definitions.preview_shapes import raises_shape
from alerting.console.editing.editor import (
    Draft,
    EditedKind,
    Sent,
    render_editor,
    show_editor,
    submit,
)
from alerting.console.silences.silence_pages import present_silences
from alerting.console.trends.address import trend_of_variables
from alerting.console.web.forms import FormEngineer
from alerting.console.web.rendering import render
from alerting.definitions.assets import Asset
from alerting.kinds.schema import document_schema
from alerting.ports import Document
from alerting.usecases.alarm_load.asset_overview import (
    HISTORY,
    AssetOverview,
    asset_overview,
    asset_tree,
)
from alerting.usecases.definitions.edits import document_history
from alerting.usecases.ingestion.assets import (
    apply_asset,
    asset_as_written,
    require_asset,
    review_asset,
    tag_of_asset,
)

pages = APIRouter(include_in_schema=False)
ASSETS_SHOWN = 40
VARIABLES_SHOWN = 30
CHANGES_SHOWN = 20
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
        faulty=platform.assets.faulty(),
        now=now,
    )


@pages.get("/assets/{name}", response_class=HTMLResponse)
def asset(
    name: Id, request: Request, platform: Served, viewer: Viewer, after: NameQuery = ""
) -> str:
    """Return the page of an asset."""
    now = platform.clock.now()
    found = asset_overview(platform, name, now, VARIABLES_SHOWN, after or None)
    runs = viewer.may("configure")
    history = document_history(platform.audit, "asset", name)[:CHANGES_SHOWN] if runs else []
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
        history=history,
        runs=runs,
        is_first=not after,
        silences=present_silences(request, platform, now, asset=name),
        now=now,
    )


@pages.get("/assets/{name}/edit", response_class=HTMLResponse)
def edit(
    name: Id, request: Request, platform: Served, _: Engineer, variable: NameQuery = ""
) -> str:
    """Return the editor of an asset, or of one of its variables."""
    at = f"variables.{variable}" if variable else ""
    return show_editor(ASSETS, request, platform, name, at)


@pages.post("/assets/{name}/edit", response_class=HTMLResponse)
def submit_edit(
    name: Id, request: Request, platform: Served, person: FormEngineer, sent: Sent
) -> Response:
    """Check or apply a change of an asset, or change what is shown, as the pressed button says."""
    return submit(ASSETS, request, platform, person, sent, name)


@pages.get("/new-asset", response_class=HTMLResponse)
def new_asset(request: Request, platform: Served, _: Engineer) -> str:
    """Return the editor of a new asset."""
    return render_editor(ASSETS, request, platform, Draft(""))


@pages.post("/new-asset", response_class=HTMLResponse)
def make_asset(request: Request, platform: Served, person: FormEngineer, sent: Sent) -> Response:
    """Check or apply a new asset, or change what is shown, as the pressed button says."""
    return submit(ASSETS, request, platform, person, sent)


@cache
def asset_schema() -> FormSchema:
    """Return the fields of an asset for its form; variables have forms of their own."""
    schema = document_schema(Asset)
    return FormSchema(
        schema,
        schema["$defs"],
        first=("name", "title", "parent", "position"),
        starting=frozenset({"attributes"}),
        apart=frozenset({"variables"}),
        named=frozenset({"of", "minus", "by", "variable"}),
    )


def _find(platform: Platform, name: str) -> tuple[Document, str]:
    found = require_asset(platform.assets, name)
    return asset_as_written(found), tag_of_asset(found)


def _offered(platform: Platform, _: Document) -> dict[str, dict[str, str]]:
    known = platform.assets.all()
    positions = {asset.position for asset in known if asset.position}
    return {
        "parent": {asset.name: asset.title or "" for asset in known[:500]},
        "position": dict.fromkeys(sorted(positions), ""),
    }


ASSETS = EditedKind(
    "assets/edit.html",
    "/assets",
    "/new-asset",
    asset_schema,
    _find,
    review_asset,
    apply_asset,
    _offered,
    parts="variables",
)


def _trends(found: AssetOverview, now: datetime) -> dict[str, Any]:
    """Return the address of the trend of each variable that is a number, over the last day."""
    return {
        line.name: trend_of_variables(found.asset, [line.name], now - _DAY, now)
        for line in found.variables.items
    }
