"""The trend of variables of an asset over a time: a page, drawn by the server, also where
scripts zoom; and over the REST API, version 1, statistics of a selected
time, the times at which a condition held, and labels.

Everything that is shown is in the address, so that it can be sent to a colleague.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, cast, get_args
from urllib.parse import parse_qs

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from markupsafe import Markup
from pydantic import Field

from alerting.console.access import Engineer, Served, Viewer
from alerting.console.api.parameters import (
    MAY_CONFLICT,
    MAY_NAME_NOTHING,
    NAME,
    Cursor,
    Duration,
    FormField,
    Id,
    Instant,
    NameQuery,
    NameText,
    SomeShort,
    read_duration,
)
from alerting.console.api.views import Body, ReasonBody, RowPage, page_of, read_cursor
from alerting.console.plant.trend_panel import (
    MOST_VARIABLES_OFFERED,
    alert_limits,
    draft_alert,
    panel_variables,
    propose_alerts,
    read_number,
    read_ranges,
    title_of,
)
from alerting.console.plant.trend_picture import (
    BAND_NAMES,
    KIND_NAMES,
    MOST_VARIABLES,
    NOTHING_TYPED,
    OVERLAID,
    OVERLAY,
    SPANS,
    USUAL_SPAN,
    MarkedTime,
    ShownTime,
    TrendQuery,
    find_marks,
    moved,
    numeric_names,
    read_instant,
    read_time,
    trend_figure,
)
from alerting.console.rendering import FormEngineer, language_of, render, zone_of
from alerting.definitions.asset_documents import Asset
from alerting.definitions.faults import NotFound, UserError
from alerting.definitions.wording.language import Styled, translatable
from alerting.operators.actions_and_mutes import NotAllowed
from alerting.ports import Platform
from alerting.readings.interval_labels import MOST_LABELLED_VARIABLES, IntervalLabel, LabelKind
from alerting.readings.variable_series import Statistics
from alerting.reporting.charts import LimitLine
from alerting.usecases.explain import (
    MOST_SELECTED,
    FoundTimes,
    LimitCondition,
    find_times,
    numeric_variables,
    selected_statistics,
)
from alerting.usecases.time_labels import (
    LabelPosition,
    list_labels,
    mark_interval,
    undo_label,
    without_bad_values,
)
from alerting.usecases.trend_series import read_series

router = APIRouter(prefix="/api/v1", tags=["trends"])
Variables = Annotated[
    list[Annotated[str, Field(max_length=NAME)]], Query(min_length=1, max_length=MOST_VARIABLES)
]
Start = Annotated[Instant, Query(description="Readings after this instant.")]
End = Annotated[Instant, Query(description="Readings up to this instant.")]
Limit = Annotated[float | None, Query(allow_inf_nan=False)]


@dataclass(frozen=True, kw_only=True)
class VariableStatistics:
    """Statistics of one variable, null without a value. `spread`: standard deviation, of one value
    null; `low`, `high`: 5 and 95 % of the values are below."""

    variable: str
    title: str
    unit: str | None
    mean: float | None
    spread: float | None
    lowest: float | None
    low: float | None
    median: float | None
    high: float | None
    highest: float | None
    count: int


@router.get("/statistics", openapi_extra=MAY_NAME_NOTHING)
def show_statistics(
    platform: Served, _: Viewer, asset: NameQuery, variable: Variables, start: Start, end: End
) -> list[VariableStatistics]:
    """Return statistics of numeric variables over a time, of the readings themselves: at most
    3 million readings within a year."""
    return summarise(platform, asset, variable, start, end)


@router.get("/occurrences", openapi_extra=MAY_NAME_NOTHING)
def show_occurrences(
    platform: Served,
    _: Viewer,
    asset: NameQuery,
    variable: NameQuery,
    start: Start,
    end: End,
    above: Limit = None,
    below: Limit = None,
    lasting: Annotated[Duration, Query(alias="for")] = timedelta(0),
) -> FoundTimes:
    """Find the times at which a variable was above a value, below one, or outside of both, for at
    least a time: as the problem of a definition is found."""
    declared = numeric_variables(platform.assets.get(asset), [variable])
    condition = LimitCondition(variable, above, below, lasting)
    return find_times(without_bad_values(platform).readings, declared, condition, start, end)


def summarise(
    platform: Platform,
    asset: str,
    variables: Sequence[str],
    start: datetime,
    end: datetime,
    most: int = MOST_SELECTED,
) -> list[VariableStatistics]:
    """Return the statistics of variables with title and unit. Raises UserError as the use case."""

    def summary(name: str, of_values: Statistics | None) -> VariableStatistics:
        return VariableStatistics(
            variable=name,
            title=title_of(declared, name),
            unit=declared.variables[name].unit,
            mean=of_values.mean if of_values else None,
            spread=of_values.spread if of_values else None,
            lowest=of_values.lowest if of_values else None,
            low=of_values.low if of_values else None,
            median=of_values.median if of_values else None,
            high=of_values.high if of_values else None,
            highest=of_values.highest if of_values else None,
            count=of_values.count if of_values else 0,
        )

    declared = numeric_variables(platform.assets.get(asset), variables)
    readings = without_bad_values(platform).readings
    by_variable = selected_statistics(readings, declared, variables, start, end, most)
    return [summary(name, of_values) for name, of_values in by_variable.items()]


class LabelBody(Body):
    """A time to label."""

    asset: NameText
    variables: Annotated[list[NameText], Field(max_length=MOST_LABELLED_VARIABLES)] = Field(
        [], description="Variables that are concerned; empty for all of the asset."
    )
    start: Instant = Field(description="First instant of the time.")
    end: Instant = Field(description="End of the time, which is not part of it; at most a year on.")
    kind: LabelKind = Field(
        description="bad: the values count as of bad quality. not_to_learn_from: no model learns "
        "from the time, or is measured by it."
    )
    reason: SomeShort = Field(description="Why, for those who look at this time later.")


class LabelPage(RowPage[IntervalLabel]):
    """Labels, newest first; `next` is the cursor of the page after this one, null on the last."""


@router.get("/labels", operation_id="list_marks", openapi_extra=MAY_NAME_NOTHING)
def show_labels(
    platform: Served,
    _: Viewer,
    asset: NameQuery,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Cursor | None = None,
) -> LabelPage:
    """List the labels of an asset, undone labels included, page by page."""
    before = LabelPosition(*read_cursor(cursor)) if cursor else None
    labels = list_labels(platform, asset, limit + 1, before)
    items, next = page_of(labels, limit, lambda label: label.made_at)
    return LabelPage(items=list(items), next=next)


@router.post("/labels", openapi_extra=MAY_NAME_NOTHING | MAY_CONFLICT, operation_id="mark_time")
def label(body: LabelBody, platform: Served, person: Engineer) -> IntervalLabel:
    """Label a time of an asset. Idempotent: the same label in force is returned as it is. Role:
    engineer."""
    return mark_interval(
        platform,
        platform.audit,
        body.asset,
        body.variables,
        body.start,
        body.end,
        body.kind,
        body.reason,
        person.name,
        platform.clock.now(),
    )


@router.post("/labels/{id}:undo", operation_id="undo_mark")
def undo_by_api(
    id: Id, platform: Served, person: Engineer, body: ReasonBody | None = None
) -> IntervalLabel:
    """Undo a label; its document stays. Idempotent. Role: engineer."""
    reason = body.reason if body else ""
    return undo_label(platform, platform.audit, id, person.name, platform.clock.now(), reason)


pages = APIRouter(include_in_schema=False)
POINTS = 1000
COMPUTED_AT_ONCE = 100_000
"""Readings of which the page shows statistics without being asked: reading more takes time."""
_TEXT = 40
ShortText = Annotated[str, Query(max_length=_TEXT)]


@pages.get("/trends", response_class=HTMLResponse)
def trends(
    request: Request,
    platform: Served,
    _: Viewer,
    asset: NameQuery = "",
    variable: Annotated[
        list[Annotated[str, Field(max_length=NAME)]], Query(max_length=MOST_VARIABLES_OFFERED)
    ] = [],  # noqa: B006 - FastAPI copies it
    start: ShortText = "",
    end: ShortText = "",
    span: ShortText = "",
    find: NameQuery = "",
    above: ShortText = "",
    below: ShortText = "",
    lasting: Annotated[str, Query(alias="for", max_length=_TEXT)] = "",
    view: Literal["", "overlay"] = "",
    text: NameQuery = "",
    statistics: bool = False,
    mark: LabelKind | None = None,
) -> Response:
    """Return the page of a trend. `start`, `end`: ISO 8601, local times of the plant without a
    zone; `span`: the last hours or days instead. `find`: the variable whose times beyond limits are
    listed. `view`: two variables in one plot. `text`: only variables with it are offered.
    `low.NAME`, `high.NAME`: the ends of a variable's axis. `statistics`: also of many readings.
    `mark`: with the form open that marks the time so."""
    names = tuple(variable)
    ranges = _typed_ranges(names, request.query_params)
    query = TrendQuery(
        asset, names, start, end, span, find, above, below, lasting, view, text, ranges
    )
    typed = {**NOTHING_TYPED, "kind": mark or ""}
    return trend_page(request, platform, query, typed, statistics=statistics)


def trend_page(
    request: Request,
    platform: Platform,
    query: TrendQuery,
    typed: Mapping[str, Any] = NOTHING_TYPED,
    *,
    statistics: bool = False,
) -> Response:
    """Return the page of a trend. `typed`: a label that was refused. Raises NotFound for an unknown
    asset or variable, UserError for a variable that is no number."""
    assets = [candidate for candidate in platform.assets.all() if numeric_names(candidate)]
    if not assets:
        return HTMLResponse(render("trends.html", request, of=None, assets=[]))
    are_too_many = len(set(query.variables)) > MOST_VARIABLES
    asset, query = choose(platform, query, assets)
    now = platform.clock.now()
    shown, note, refusal = read_time(request, platform, query, now)
    part_values = find_part(platform, asset, query, shown)
    zone = zone_of(request)
    marks = find_marks(platform, asset, shown, language_of(request))
    bands = [*part_values["times"], *marks["bands"]]
    drawn = _draw_lanes(request, platform, asset, query, shown, part_values["levels"], bands)
    marks["bands"] = sorted(bands, key=lambda band: band.start, reverse=True)
    names = query.variables
    is_refused = refusal or part_values["wrong"] or typed["refusal"] or drawn["misread"]
    page = render(
        "trends.html",
        request,
        asked=query,
        names=names,
        shown=shown,
        moved=moved(query, shown),
        note=note,
        refusal=refusal,
        typed=typed,
        kind_names=KIND_NAMES,
        band_names=BAND_NAMES,
        spans=SPANS,
        usual=USUAL_SPAN,
        titles={n: (title_of(asset, n), asset.variables[n].unit or "") for n in names},
        statistics=_statistics(
            platform, asset, names, shown, MOST_SELECTED if statistics else COMPUTED_AT_ONCE
        ),
        now=now,
        of=asset,
        assets=[(offered.name, offered.title) for offered in assets[:500]],
        are_too_many=are_too_many,
        is_overlay=query.view == OVERLAY,
        needs_two=query.view == OVERLAY and len(names) != OVERLAID,
        **part_values,
        **drawn,
        **marks,
        minute=timedelta(minutes=1),
        local=lambda at: f"{at.astimezone(zone):%Y-%m-%dT%H:%M}",
        local_seconds=lambda at: f"{at.astimezone(zone):%Y-%m-%dT%H:%M:%S}",
    )
    return HTMLResponse(page, 422 if is_refused else 200)


def choose(
    platform: Platform, query: TrendQuery, assets: Sequence[Asset]
) -> tuple[Asset, TrendQuery]:
    """Return the asset of a query, the first asset by default, and the query with its first twelve
    variables, the asset's first ones by default. Raises NotFound and UserError."""
    asset = platform.assets.get(query.asset) if query.asset else assets[0]
    if asset is None:
        raise NotFound(translatable("there is no such asset"))
    usual = tuple(numeric_names(asset)[:3])
    names = tuple(dict.fromkeys(name for name in query.variables if name)) or usual
    numeric_variables(asset, names)
    return asset, query._replace(asset=asset.name, variables=names[:MOST_VARIABLES])


def _draw_lanes(
    request: Request,
    platform: Platform,
    asset: Asset,
    query: TrendQuery,
    shown: ShownTime,
    levels: Sequence[float],
    marks: Sequence[MarkedTime],
) -> dict[str, Any]:
    """Return the chart, whether readings are too many to be read, and the panel of variables."""
    names = query.variables
    now = platform.clock.now()
    language = language_of(request)
    ranges, refusals = read_ranges(query)
    drawn: dict[str, Any] = {"lanes": Markup(), "unread": False}
    drafts: dict[str, str] = {}
    if names:
        read = read_series(platform, asset.name, names, *shown, POINTS, now)
        limits = alert_limits(platform, asset, names, language)
        limits.setdefault(query.find, []).extend(
            LimitLine(v, language.say("limit {value}", value=Styled(v, "g"))) for v in levels
        )
        lanes = trend_figure(
            read.series,
            shown,
            limits,
            marks,
            zone_of(request),
            language,
            ranges,
            is_overlay=query.view == OVERLAY and len(names) == OVERLAID,
        )
        drafts = propose_alerts(asset, read.series)
        drawn = {"lanes": lanes, "unread": bool(read.unread)}
    panel, is_cut = panel_variables(platform, asset, query, refusals, drafts)
    return {**drawn, "panel": panel, "panel_cut": is_cut, "misread": bool(refusals)}


def _statistics(
    platform: Platform, asset: Asset, names: Sequence[str], shown: ShownTime, most: int
) -> Sequence[Any] | None:
    """Return the statistics of the shown time; None if it has more readings than are summarised
    unasked."""
    try:
        return summarise(platform, asset.name, names, *shown, most)
    except UserError:
        return None


def find_part(
    platform: Platform, asset: Asset, query: TrendQuery, shown: ShownTime
) -> dict[str, Any]:
    """Return the condition to find, its limits, the times at which it held, why they cannot be
    found, and the definition that raises an alarm at it. Raises NotFound, and UserError for a
    variable that is no number."""
    part: dict[str, Any] = {
        "condition": None,
        "levels": [],
        "found": None,
        "times": [],
        "wrong": "",
        "draft": "",
    }
    if not query.find:
        return part
    numeric_variables(asset, [query.find])
    try:
        condition = _condition(query)
        part["condition"] = condition
        part["levels"] = [v for v in (condition.above, condition.below) if v is not None]
        part["draft"] = draft_alert(asset, condition)
        part["found"] = find_times(without_bad_values(platform).readings, asset, condition, *shown)
        part["times"] = [
            MarkedTime("found", title_of(asset, query.find), t.start, t.end, "", (query.find,))
            for t in part["found"].newest
        ]
    except UserError as fault:
        part["wrong"] = fault.message
    except ValueError as fault:
        part["wrong"] = f"“{query.lasting}” {fault}"
    return part


def _condition(query: TrendQuery) -> LimitCondition:
    lasting = read_duration(query.lasting) if query.lasting.strip() else timedelta(0)
    condition = LimitCondition(
        query.find, read_number(query.above), read_number(query.below), lasting
    )
    condition.problem()
    return condition


Back = Annotated[str, Form(max_length=4000)]


@pages.post("/trends/labels", response_class=HTMLResponse)
def mark(
    request: Request,
    platform: Served,
    person: FormEngineer,
    asset: FormField = "",
    variables: Annotated[
        list[Annotated[str, Field(max_length=NAME)]],
        Form(alias="variable", max_length=MOST_VARIABLES),
    ] = [],  # noqa: B006 - FastAPI copies it
    start: FormField = "",
    end: FormField = "",
    kind: FormField = "",
    whole: FormField = "",
    reason: FormField = "",
    back: Back = "",
) -> Response:
    """Mark a time, and go back to the trend; a refusal is shown on the same page."""
    typed = {"start": start, "end": end, "kind": kind, "whole": bool(whole), "reason": reason}
    now = platform.clock.now()
    try:
        if kind not in get_args(LabelKind):
            raise UserError(translatable("choose what the mark means"))
        mark_interval(
            platform,
            platform.audit,
            asset,
            () if whole else variables,
            read_instant(request, start),
            read_instant(request, end),
            cast(LabelKind, kind),
            reason,
            person.name,
            now,
        )
    except (NotFound, NotAllowed):
        raise
    except UserError as refusal:
        query = _query_of(back)._replace(asset=asset)
        return trend_page(request, platform, query, {**typed, "refusal": refusal.message})
    return RedirectResponse(_address(back, asset), 303)


@pages.post("/trends/labels/{id}/undo", response_class=HTMLResponse)
def undo(
    id: Id, platform: Served, person: FormEngineer, reason: FormField = "", back: Back = ""
) -> Response:
    """Undo a mark, and go back to the trend."""
    undone = undo_label(
        platform, platform.audit, id, person.name, platform.clock.now(), reason.strip()
    )
    return RedirectResponse(_address(back, undone.asset), 303)


def _address(back: str, asset: str) -> str:
    """Return the address of the trend from which a form was sent, rebuilt from its parameters."""
    return f"{_query_of(back)._replace(asset=asset).address()}#marks"


def _query_of(back: str) -> TrendQuery:
    parameters = parse_qs(back.partition("?")[2], max_num_fields=100)

    def field(name: str) -> str:
        return parameters.get(name, [""])[0][:200]

    names = tuple(name[:NAME] for name in parameters.get("variable", ())[:MOST_VARIABLES])
    return TrendQuery(
        field("asset"),
        names,
        field("start"),
        field("end"),
        field("span"),
        field("find"),
        field("above"),
        field("below"),
        field("for"),
        OVERLAY if field("view") == OVERLAY else "",
        field("text"),
        _typed_ranges(names, {name: values[0] for name, values in parameters.items()}),
    )


def _typed_ranges(names: Sequence[str], typed: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Return the typed ends of the axes of variables by the names of their fields."""
    fields = (f"{end}.{name}" for name in dict.fromkeys(names) for end in ("low", "high"))
    return tuple((field, typed[field][:_TEXT]) for field in fields if typed.get(field, "").strip())
