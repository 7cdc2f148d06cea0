"""Assets at the console: their tree, one with all that is known of it, effects of a change; and
over the REST API, version 1, with their variables, series of these, and events."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Literal

import numpy as np
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse
from markupsafe import Markup
from pydantic import Field, StringConstraints
from pydantic_core import to_json

from alerting.console.access import Served, Viewer, known_plant
from alerting.console.alarms.alarm_charts import present_mutes, raises_spark
from alerting.console.api.parameters import MAY_NAME_NOTHING, NAME, Id, Instant, NameQuery
from alerting.console.documents.document_api import ConsoleKind, FormFields, ReviewView
from alerting.console.documents.document_pages import Number, describe_revisions
from alerting.console.plant.trend_picture import BAND_NAMES, trend_of_variables
from alerting.console.rendering import address_with, language_of, render, zone_of
from alerting.definitions.alert_definition import Severity
from alerting.definitions.asset_documents import VariableType
from alerting.definitions.wording.language import translatable
from alerting.ports import Document, Platform
from alerting.readings.history import to_millis
from alerting.reporting.charts import ROW, Plot, figure, spark, time_ticks
from alerting.reporting.model_charts import BarChart, importance_bars
from alerting.usecases.ingestion.asset_import import ASSETS, AffectedDefinition
from alerting.usecases.operators.asset_overview import (
    HISTORY,
    TREE_ORDERS,
    AssetOverview,
    Lane,
    asset_overview,
    asset_tree,
)
from alerting.usecases.trend_series import (
    MOST_VARIABLES,
    EventBand,
    VariableLine,
    VariablePage,
    asset_lines,
    find_bands,
    read_series,
    variable_page,
)

_HOUR = 3_600_000


def hourly_spark(line: VariableLine, page: VariablePage) -> Markup:
    """Return the line of the hourly means of a number, broken where values are missing for much
    longer than usual; empty without means."""
    hours = line.hours.has_good()
    if line.variable.type != "number" or len(hours.start) < 2:
        return Markup()
    means = hours.total / hours.count
    low = float(np.min(means))
    height = float(np.max(means)) - low or 1.0
    y = (low - 0.1 * height, low + 1.1 * height)
    plot = Plot((to_millis(page.since), to_millis(page.until)), y)
    longest = 2.5 * max(_HOUR, float(np.median(np.diff(hours.start))))
    breaks = np.flatnonzero(np.diff(hours.start) > longest) + 1
    for at, values in zip(np.split(hours.start, breaks), np.split(means, breaks), strict=True):
        plot.line(at + _HOUR / 2, values)
    return spark(plot, width=150, height=36)


def lanes_figure(request: Request, lanes: Sequence[Lane], start: datetime, end: datetime) -> Markup:
    """Return the times of each lane as bars below each other."""
    language = language_of(request)
    rows = range(len(lanes) - 1, -1, -1)
    plot = Plot(
        (float(to_millis(start)), float(to_millis(end))),
        (-0.5, len(lanes) - 0.5),
        ROW * len(lanes),
        x_ticks=time_ticks(start, end, zone_of(request), language),
        y_ticks=[(float(row), lane.title) for row, lane in zip(rows, lanes, strict=True)],
        grid=False,
        named_rows=True,
    )
    for row, lane in zip(rows, lanes, strict=True):
        name, colour = BAND_NAMES["event" if lane.is_event else "alarm"]
        for first, last in lane.times:
            times = (float(to_millis(first)), float(to_millis(last or end)))
            plot.bar(times, (row - 0.3, row + 0.3), colour, 1, language.say(name))
    return figure([plot], language.say("Problems and alarms, 90 days"), language, zone_of(request))


def importance_of(request: Request, overview: AssetOverview) -> list[tuple[str, str, BarChart]]:
    """Return name, title and bars of the variables that the model of each definition uses most."""
    titles = {name: variable.title or name for name, variable in overview.asset.variables.items()}
    made = []
    for line in overview.definitions:
        decision = overview.importance.get(line.name)
        if decision is None:
            continue
        shares = decision.evidence["importance"]["variables"]
        most = dict(sorted(shares.items(), key=lambda item: -item[1])[:8])
        bars = importance_bars(most, titles, language_of(request))
        if bars is not None:
            made.append((line.name, line.title, bars))
    return made


pages = APIRouter(include_in_schema=False)
ASSETS_SHOWN = 40
VARIABLES_SHOWN = 30


@pages.get("/assets", response_class=HTMLResponse)
def assets(
    request: Request,
    platform: Served,
    _: Viewer,
    text: NameQuery = "",
    sort: NameQuery = "",
    after: Annotated[int, Query(ge=0, le=100_000)] = 0,
) -> str:
    """Return the tree of assets, or those with a text in name or title."""
    now = platform.clock.now()
    searched = text.strip()
    order = sort if sort.removeprefix("-") in TREE_ORDERS else ""
    tree = asset_tree(
        platform,
        known_plant(request, platform, just_now=True),
        now,
        searched,
        after,
        ASSETS_SHOWN,
        order,
    )
    return render(
        "assets/assets.html",
        request,
        found=tree,
        text=searched,
        address=lambda **changed: address_with(
            "/assets", {"text": searched, "sort": order, **changed}
        ),
        order=order,
        sparks={
            row.asset.name: raises_spark(row.raises, language_of(request)) for row in tree.rows
        },
        is_first=after == 0,
        faulty={faulty.name: faulty.reasons for faulty in platform.assets.read_all()[1]},
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
    overview = asset_overview(
        platform,
        known_plant(request, platform, just_now=True),
        name,
        now,
        VARIABLES_SHOWN,
        after or None,
    )
    runs = viewer.may("configure")
    stored = ASSETS.show(platform, name, now) if runs else None
    return render(
        "assets/asset.html",
        request,
        o=overview,
        asset=overview.asset,
        sparks={
            line.name: hourly_spark(line, overview.variables) for line in overview.variables.items
        },
        trends={
            line.name: trend_of_variables(overview.asset, [line.name], now - timedelta(days=1), now)
            for line in overview.variables.items
        },
        raises={
            line.name: raises_spark(line.raises, language_of(request))
            for line in overview.definitions
        },
        past_times=lanes_figure(request, overview.lanes, now - HISTORY, now)
        if overview.lanes
        else None,
        importance=importance_of(request, overview),
        **describe_revisions(ASSET_PAGES, platform, stored, start, end) if stored else {},
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


def _names_to_offer(platform: Platform, _: Document) -> dict[str, dict[str, str]]:
    assets = platform.assets.all()
    positions = {asset.position for asset in assets if asset.position}
    return {
        "parent": {asset.name: asset.title or "" for asset in assets[:500]},
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
    offered=_names_to_offer,
)


api = APIRouter(prefix="/api/v1", tags=["trends"])
Seconds = Annotated[float, Field(description="Unix time in seconds.")]
Interval = Annotated[list[Seconds], Field(min_length=2, max_length=2)]
Start = Annotated[Instant, Query(description="Beginning of the span.")]
End = Annotated[Instant, Query(description="End of the span, which is not part of it.")]


@dataclass(frozen=True, kw_only=True)
class AssetView:
    """An asset. `variables`: their number; `last_reading`: the instant of its newest one."""

    name: str
    title: str | None
    parent: str | None
    last_reading: datetime | None
    variables: int


@dataclass(frozen=True, kw_only=True)
class VariableView:
    """A variable with its samples since `since` of the page. `delay`: seconds after its stamp at
    which a value is known. `last_value`: the newest good value. `good`, `bad`: numbers of samples;
    bad samples are of bad quality or outside the range. `coverage`: share of the time without gaps,
    from 0 to 1 (null if nothing was read). `definitions`: definitions that read the variable,
    drafts included."""

    name: str
    type: VariableType
    unit: str | None
    low: float | None
    high: float | None
    controllable: bool
    good: int
    bad: int
    coverage: float | None
    definitions: list[str]
    title: str
    delay: float
    computed: bool
    last_value: float | str | bool | None
    last_at: datetime | None


def _variable_view(line: VariableLine) -> VariableView:
    variable = line.variable
    return VariableView(
        name=line.name,
        type=variable.type,
        unit=variable.unit,
        low=variable.low,
        high=variable.high,
        controllable=variable.controllable,
        good=line.good,
        bad=line.bad,
        coverage=line.coverage,
        definitions=line.definitions,
        title=variable.title or line.name,
        delay=line.delay.total_seconds(),
        computed=variable.computed is not None,
        last_value=line.last.value if line.last else None,
        last_at=line.last.at if line.last else None,
    )


@dataclass(frozen=True, kw_only=True)
class VariablePageView:
    """Variables of an asset by name, with their samples in [since, until), except for the times of
    `unread`, whose readings are too many to read now. `next`: for `after` of the next page."""

    asset: str
    since: datetime
    until: datetime
    next: str | None
    unread: list[Interval]
    items: list[VariableView]


@dataclass(frozen=True, kw_only=True)
class VariableSeriesView:
    """One variable. Each point is a reading, or a bucket of time that begins at `t`; null where
    there is no good value. `source`: of what points are made; `gaps`: times without a good value;
    `bad`: times with values of bad quality or outside the range; `count`: good values in the
    span."""

    variable: str
    title: str
    unit: str | None
    source: Literal["readings", "minutes", "hours"]
    count: int
    t: list[Seconds]
    low: list[float | None]
    high: list[float | None]
    mean: list[float | None]
    gaps: list[Interval]
    bad: list[Interval]


@dataclass(frozen=True, kw_only=True)
class SeriesView:
    """Series of an asset's variables. `unread`: times whose readings are too many to read now; they
    are missing in every series."""

    asset: str
    start: datetime
    end: datetime
    series: list[VariableSeriesView]
    unread: list[Interval]


@dataclass(frozen=True, kw_only=True)
class EpisodeBandView:
    """An episode; `closed_at` is null while it is open."""

    id: str
    definition: str
    title: str
    severity: Severity
    raised_at: datetime
    closed_at: datetime | None
    backfilled: bool
    withdrawn: bool


@dataclass(frozen=True, kw_only=True)
class BandsView:
    """Events and episodes of a span, oldest first. `cut`: there are more than the newest 1,000 of
    each, which are given."""

    asset: str
    start: datetime
    end: datetime
    events: list[EventBand]
    episodes: list[EpisodeBandView]
    cut: bool


@api.get("/assets")
def list_assets(platform: Served, _: Viewer) -> list[AssetView]:
    """List all assets by name."""
    return [
        AssetView(
            name=line.asset.name,
            title=line.asset.title,
            parent=line.asset.parent,
            last_reading=line.last_reading,
            variables=len(line.asset.variables),
        )
        for line in asset_lines(platform, platform.clock.now())
    ]


@api.get("/assets/{asset}/variables")
def list_variables(
    request: Request,
    asset: Id,
    platform: Served,
    _: Viewer,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
    after: Annotated[NameQuery | None, Query(description="`next` of the page before.")] = None,
) -> VariablePageView:
    """List the variables of an asset with their samples of the last day, page by page."""
    page = variable_page(
        platform,
        known_plant(request, platform, just_now=True).latest.values(),
        asset,
        platform.clock.now(),
        limit,
        after,
    )
    return VariablePageView(
        asset=page.asset,
        since=page.since,
        until=page.until,
        next=page.next,
        unread=_spans(page.unread),
        items=[_variable_view(line) for line in page.items],
    )


@api.get("/series", response_model=SeriesView, openapi_extra=MAY_NAME_NOTHING)
def show_series(
    platform: Served,
    _: Viewer,
    asset: NameQuery,
    variable: Annotated[
        list[Annotated[str, StringConstraints(max_length=NAME)]],
        Query(min_length=1, max_length=MOST_VARIABLES),
    ],
    start: Start,
    end: End,
    points: Annotated[
        int, Query(ge=50, le=4000, description="About how many points a variable has at most.")
    ] = 800,
) -> Response:
    """Show series of up to 12 numbers of an asset, decimated so that minimum and maximum stay.

    At most 4,000 readings of a variable are given as they are: low, high and mean are the value.
    Texts and booleans have no series.
    """
    read = read_series(platform, asset, variable, start, end, points, platform.clock.now())
    # validating each number would take longer than reading it
    answer = SeriesView(
        asset=read.asset,
        start=read.start,
        end=read.end,
        series=[
            VariableSeriesView(
                variable=line.variable,
                title=line.title,
                unit=line.unit,
                source=line.source,
                count=line.count,
                t=(line.t / 1000).tolist(),
                low=line.low.tolist(),
                high=line.high.tolist(),
                mean=line.mean.tolist(),
                gaps=_spans(line.gaps),
                bad=_spans(line.bad),
            )
            for line in read.series
        ],
        unread=_spans(read.unread),
    )
    return Response(to_json(answer, inf_nan_mode="null"), media_type="application/json")


@api.get("/events", openapi_extra=MAY_NAME_NOTHING, operation_id="list_events")
def list_bands(platform: Served, _: Viewer, asset: NameQuery, start: Start, end: End) -> BandsView:
    """List the events of an asset and those above it, and its episodes, that overlap a span."""
    bands = find_bands(platform, asset, start, end)
    return BandsView(
        asset=asset,
        start=start,
        end=end,
        events=bands.events,
        episodes=[
            EpisodeBandView(
                id=episode.id,
                definition=episode.definition,
                title=episode.title,
                severity=episode.severity,
                raised_at=episode.raised_at,
                closed_at=episode.closed_at,
                backfilled=episode.backfilled,
                withdrawn=episode.withdrawn or episode.is_refuted,
            )
            for episode in bands.alarms
        ],
        cut=bands.cut,
    )


def _spans(spans: Iterable[Sequence[int]]) -> list[list[float]]:
    return [[start / 1000, end / 1000] for start, end in spans]
