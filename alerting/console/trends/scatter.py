"""The page of two variables of an asset against each other, coloured by what came of each
instant."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, Response

from alerting.adapters.platform import Platform
from alerting.console.api.api import Served, Viewer
from alerting.console.api.parameters import NameQuery
from alerting.console.language import language_of
from alerting.console.trends.address import Asked, numeric_names
from alerting.console.trends.page import Short, offers
from alerting.console.trends.picture import SIDE, grid
from alerting.console.trends.shown_time import SPANS, USUAL_SPAN, moved, read_time
from alerting.console.trends.trend_api import title_of
from alerting.console.web.rendering import render, zone_of
from alerting.definitions.assets import Asset
from alerting.definitions.faults import NotFound, UserError
from alerting.definitions.matching import matching_assets
from alerting.definitions.model import Definition
from alerting.definitions.wording.language import Language, Styled, translatable
from alerting.readings.cleaning import Floats
from alerting.usecases.explain.scatter import PointKind, Scatter, find_scatter
from alerting.usecases.explain.selected import numeric_variables

pages = APIRouter(include_in_schema=False)
MOST_DEFINITIONS_OFFERED = 200
By = Literal["", "problem", "episodes"]
POINT_NAMES: dict[PointKind, str] = {
    "other": translatable("otherwise"),
    "before": translatable("in the time before a problem in which it is predicted"),
    "problem": translatable("during a problem"),
    "undetermined": translatable("during an alarm that is not judged yet"),
    "wrong": translatable("during a wrong alarm"),
    "right": translatable("during a right alarm"),
}


@pages.get("/trends/scatter", response_class=HTMLResponse)
def scatter(
    request: Request,
    platform: Served,
    _: Viewer,
    asset: NameQuery = "",
    x: NameQuery = "",
    y: NameQuery = "",
    start: Short = "",
    end: Short = "",
    span: Short = "",
    definition: NameQuery = "",
    by: Annotated[By, Query()] = "",
) -> Response:
    """Return the page. `definition`: by whose problems or alarms points are coloured; `by`: by
    which of the two. Times as on the page of trends."""
    assets = [one for one in platform.assets.all() if numeric_names(one)]
    of = platform.assets.get(asset) if asset else next(iter(assets), None)
    if of is None:
        raise NotFound(translatable("there is no such asset"))
    numbers = numeric_names(of)
    first = x or next(iter(numbers), "")
    second = y or next((name for name in numbers if name != first), first)
    numeric_variables(of, [name for name in (first, second) if name])
    plain = Asked(of.name, (), start, end, span, "", "", "", "")
    asked = plain._replace(x=first, y=second, definition=definition, by=by)
    now = platform.clock.now()
    shown, note, refusal = read_time(request, platform, asked, now)
    definitions = _definitions(platform, of)
    chosen = definitions.get(definition)
    if definition and chosen is None:
        raise NotFound(translatable("there is no such definition of this asset"))
    found = None
    by_episodes = by == "episodes" or (chosen is not None and chosen.problem is None)
    if not refusal and first:
        try:
            found = find_scatter(platform, of, first, second, *shown, chosen, by_episodes)
        except UserError as fault:
            refusal = fault.message
    language = language_of(request)
    zone = zone_of(request)
    page = render(
        "trends/scatter.html",
        request,
        asked=asked,
        shown=shown,
        moved=moved(asked, shown),
        note=note,
        refusal=refusal,
        spans=SPANS,
        usual=USUAL_SPAN,
        definitions=[(one.name, one.title or one.name) for one in definitions.values()],
        chosen=chosen,
        by_episodes=by_episodes,
        scatter=found,
        picture=_picture(found, language) if found is not None and found.shown else None,
        point_names=POINT_NAMES,
        titles={n: (title_of(of, n), of.variables[n].unit or "") for n in (first, second) if n},
        local=lambda at: f"{at.astimezone(zone):%Y-%m-%dT%H:%M}",
        now=now,
        **offers(of, assets),
    )
    return HTMLResponse(page, 422 if refusal else 200)


def _definitions(platform: Platform, of: Asset) -> dict[str, Definition]:
    """Return the definitions that are on an asset, by name."""
    found = [one.definition for one in platform.definitions.latest_revisions()]
    there = [one for one in found if one.state != "retired" and matching_assets(one, [of])]
    there.sort(key=lambda one: one.title or one.name)
    return {one.name: one for one in there[:MOST_DEFINITIONS_OFFERED]}


def _picture(found: Scatter, language: Language) -> dict[str, Any]:
    """Return the points of each kind as a path in a square of 1000, and the grid in percent."""
    low_x, high_x = _value_range([cloud.x for cloud in found.clouds])
    low_y, high_y = _value_range([cloud.y for cloud in found.clouds])

    def path(xs: Floats, ys: Floats) -> str:
        across = SIDE * (xs - low_x) / (high_x - low_x)
        down = SIDE * (high_y - ys) / (high_y - low_y)
        return "".join(
            f"M{a:.0f} {d:.0f}h0" for a, d in zip(across.tolist(), down.tolist(), strict=True)
        )

    return {
        "paths": [(cloud.kind, path(cloud.x, cloud.y)) for cloud in found.clouds],
        "across": [
            (round(100 * (v - low_x) / (high_x - low_x), 1), language.show(Styled(v, "g")))
            for v in grid(low_x, high_x)
        ],
        "down": [
            (round(100 * (high_y - v) / (high_y - low_y), 1), language.show(Styled(v, "g")))
            for v in grid(low_y, high_y)
        ],
    }


def _value_range(columns: list[Floats]) -> tuple[float, float]:
    low = min(float(column.min()) for column in columns if len(column))
    high = max(float(column.max()) for column in columns if len(column))
    pad = 0.05 * (high - low or abs(high) or 1.0)
    return low - pad, high + pad
