"""REST API, version 1: assets, their variables, series of these, and events."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from pydantic import Field, StringConstraints
from pydantic_core import to_json

from alerting.console.api.api import MAY_NAME_NOTHING, Served, Viewer
from alerting.console.api.parameters import NAME, Id, Instant, NameQuery
from alerting.console.api.views import View
from alerting.definitions.assets import VariableType
from alerting.definitions.model import Severity
from alerting.usecases.trends.series import (
    MOST_VARIABLES,
    EventBand,
    VariableLine,
    asset_lines,
    find_bands,
    read_series,
    variable_page,
)

router = APIRouter(prefix="/api/v1", tags=["trends"])
Seconds = Annotated[float, Field(description="Unix time in seconds.")]
Interval = Annotated[list[Seconds], Field(min_length=2, max_length=2)]
Start = Annotated[Instant, Query(description="Beginning of the span.")]
End = Annotated[Instant, Query(description="End of the span, which is not part of it.")]
_VariableName = Annotated[str, StringConstraints(max_length=NAME)]


class AssetView(View):
    """An asset. `variables`: their number; `last_reading`: the instant of its newest one."""

    name: str
    title: str | None
    parent: str | None
    variables: int
    last_reading: datetime | None


class VariableView(View):
    """A variable with what came of it since `since` of the page.

    `delay`: seconds after its stamp at which a value is known. `last_value`: the newest good one.
    `good`, `bad`: numbers of samples; bad ones are of bad quality or outside the range. `coverage`:
    share of the time without gaps, from 0 to 1 (null if nothing was read). `definitions`: those
    that read it, drafts among them.
    """

    name: str
    title: str
    type: VariableType
    unit: str | None
    low: float | None
    high: float | None
    delay: float
    controllable: bool
    computed: bool
    last_value: float | str | bool | None
    last_at: datetime | None
    good: int
    bad: int
    coverage: float | None
    definitions: list[str]


class VariablePageView(View):
    """Variables of an asset by name, with what came in [since, until), except for the times of
    `unread`, whose readings are too many to read now. `next`: for `after` of the next page."""

    asset: str
    since: datetime
    until: datetime
    unread: list[Interval]
    items: list[VariableView]
    next: str | None


class VariableSeriesView(View):
    """One variable. Each point is a reading, or a bucket of time that begins at `t`; null where
    there is no good value.

    `source`: of what points are made; `gaps`: times without a good value; `bad`: times with values
    of bad quality or outside the range; `count`: good values in the span.
    """

    variable: str
    title: str
    unit: str | None
    source: Literal["readings", "minutes", "hours"]
    t: list[Seconds]
    low: list[float | None]
    high: list[float | None]
    mean: list[float | None]
    gaps: list[Interval]
    bad: list[Interval]
    count: int


class SeriesView(View):
    """Series of an asset's variables. `unread`: times whose readings are too many to read now; they
    are missing in every series."""

    asset: str
    start: datetime
    end: datetime
    series: list[VariableSeriesView]
    unread: list[Interval]


class EpisodeBandView(View):
    """An episode; `closed_at` is null while it is open."""

    id: str
    definition: str
    title: str
    severity: Severity
    raised_at: datetime
    closed_at: datetime | None
    backfilled: bool
    withdrawn: bool


class BandsView(View):
    """Events and episodes of a span, oldest first. `cut`: there are more than the newest 1,000 of
    each, which are given."""

    asset: str
    start: datetime
    end: datetime
    events: list[EventBand]
    episodes: list[EpisodeBandView]
    cut: bool


@router.get("/assets")
def list_assets(platform: Served, _: Viewer) -> list[AssetView]:
    """List all assets by name."""
    return [
        AssetView(
            name=line.asset.name,
            title=line.asset.title,
            parent=line.asset.parent,
            variables=len(line.asset.variables),
            last_reading=line.last_reading,
        )
        for line in asset_lines(platform, platform.clock.now())
    ]


@router.get("/assets/{asset}/variables")
def list_variables(
    asset: Id,
    platform: Served,
    _: Viewer,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
    after: Annotated[NameQuery | None, Query(description="`next` of the page before.")] = None,
) -> VariablePageView:
    """List the variables of an asset with what came of them over the last day, page by page."""
    found = variable_page(platform, asset, platform.clock.now(), limit, after)
    return VariablePageView(
        asset=found.asset,
        since=found.since,
        until=found.until,
        unread=_spans(found.unread),
        items=[variable_view(line) for line in found.items],
        next=found.next,
    )


@router.get("/series", response_model=SeriesView, openapi_extra=MAY_NAME_NOTHING)
def show_series(
    platform: Served,
    _: Viewer,
    asset: NameQuery,
    variable: Annotated[list[_VariableName], Query(min_length=1, max_length=MOST_VARIABLES)],
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
    found = read_series(platform, asset, variable, start, end, points, platform.clock.now())
    columns = ("low", "high", "mean")
    # a model of each number would take longer than reading it
    series = [
        {
            "variable": one.variable,
            "title": one.title,
            "unit": one.unit,
            "source": one.source,
            "t": (one.t / 1000).tolist(),
            **{name: getattr(one, name).tolist() for name in columns},
            "gaps": _spans(one.gaps),
            "bad": _spans(one.bad),
            "count": one.count,
        }
        for one in found.series
    ]
    answer = {
        "asset": found.asset,
        "start": found.start,
        "end": found.end,
        "series": series,
        "unread": _spans(found.unread),
    }
    return Response(to_json(answer, inf_nan_mode="null"), media_type="application/json")


@router.get("/events", openapi_extra=MAY_NAME_NOTHING, operation_id="list_events")
def list_bands(platform: Served, _: Viewer, asset: NameQuery, start: Start, end: End) -> BandsView:
    """List the events of an asset and those above it, and its episodes, that overlap a span."""
    found = find_bands(platform, asset, start, end)
    return BandsView(
        asset=asset,
        start=start,
        end=end,
        events=found.events,
        episodes=[EpisodeBandView.model_validate(one) for one in found.episodes],
        cut=found.cut,
    )


def variable_view(line: VariableLine) -> VariableView:
    """Return the view of a variable."""
    declared = line.variable
    return VariableView(
        name=line.name,
        title=declared.title or line.name,
        type=declared.type,
        unit=declared.unit,
        low=declared.low,
        high=declared.high,
        delay=line.delay / timedelta(seconds=1),
        controllable=declared.controllable,
        computed=declared.computed is not None,
        last_value=line.last.value if line.last else None,
        last_at=line.last.at if line.last else None,
        good=line.good,
        bad=line.bad,
        coverage=line.coverage,
        definitions=line.definitions,
    )


def _spans(spans: Iterable[Sequence[int]]) -> list[list[float]]:
    return [[start / 1000, end / 1000] for start, end in spans]
