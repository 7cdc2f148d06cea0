"""REST API, version 1: statistics of a selected time, and the times at which a condition held."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from alerting.console.api.api import MAY_CONFLICT, MAY_NAME_NOTHING, Engineer, Served, Viewer
from alerting.console.api.parameters import (
    NAME,
    Cursor,
    Duration,
    Id,
    Instant,
    NameQuery,
    NameText,
    Short,
    SomeShort,
)
from alerting.console.api.views import View, read_cursor
from alerting.console.trends.picture import MOST_VARIABLES
from alerting.definitions.assets import Asset
from alerting.ports import Platform
from alerting.readings.history import to_millis
from alerting.readings.interval_labels import MOST_LABELLED_VARIABLES, IntervalLabel, LabelKind
from alerting.usecases.explain.explain import (
    MOST_SELECTED,
    FoundTimes,
    LimitCondition,
    find_times,
    numeric_variables,
    selected_statistics,
)
from alerting.usecases.labels.overlay import (
    LabelPosition,
    list_labels,
    mark_interval,
    undo_label,
    without_bad_values,
)

router = APIRouter(prefix="/api/v1", tags=["trends"])
Variables = Annotated[
    list[Annotated[str, Field(max_length=NAME)]], Query(min_length=1, max_length=MOST_VARIABLES)
]
Start = Annotated[Instant, Query(description="Readings after this instant.")]
End = Annotated[Instant, Query(description="Readings up to this instant.")]
Limit = Annotated[float | None, Query(allow_inf_nan=False)]


class VariableStatistics(View):
    """Statistics of one variable, null without a value. `spread`: standard deviation, of one value
    null; `low`, `high`: 5 and 95 % of the values are below."""

    variable: str
    title: str
    unit: str | None
    count: int
    mean: float | None
    spread: float | None
    lowest: float | None
    low: float | None
    median: float | None
    high: float | None
    highest: float | None


@router.get("/statistics", openapi_extra=MAY_NAME_NOTHING)
def show_statistics(
    platform: Served, _: Viewer, asset: NameQuery, variable: Variables, start: Start, end: End
) -> list[VariableStatistics]:
    """Return statistics of numeric variables over a time, of the readings themselves: at most
    3 million readings within a year."""
    return statistic_views(platform, asset, variable, start, end)


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
    of = numeric_variables(platform.assets.get(asset), [variable])
    condition = LimitCondition(variable, above, below, lasting)
    readings = without_bad_values(platform).readings
    return find_times(readings, of, condition, start, end)


def statistic_views(
    platform: Platform,
    asset: str,
    variables: Sequence[str],
    start: datetime,
    end: datetime,
    most: int = MOST_SELECTED,
) -> list[VariableStatistics]:
    """Return the statistics of variables with title and unit. Raises UserError as the use case."""
    of = numeric_variables(platform.assets.get(asset), variables)
    readings = without_bad_values(platform).readings
    found = selected_statistics(readings, of, variables, start, end, most)
    return [
        VariableStatistics.model_validate(
            {
                **dict.fromkeys(VariableStatistics.model_fields),
                "count": 0,
                **(vars(statistics) if statistics else {}),
                "variable": name,
                "title": title_of(of, name),
                "unit": of.variables[name].unit,
            }
        )
        for name, statistics in found.items()
    ]


def title_of(asset: Asset, variable: str) -> str:
    """Return the name of a variable for people."""
    return asset.variables[variable].title or variable.replace("_", " ")


class LabelBody(BaseModel):
    """A time to label."""

    model_config = ConfigDict(extra="forbid", frozen=True)

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


class UndoBody(BaseModel):
    """Why a label is undone."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reason: Short = ""


class LabelPage(View):
    """Labels, those made last first; `next` is the cursor of the page after this one, null on the
    last."""

    items: list[IntervalLabel]
    next: str | None


@router.get("/labels", operation_id="list_marks", openapi_extra=MAY_NAME_NOTHING)
def show_labels(
    platform: Served,
    _: Viewer,
    asset: NameQuery,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Cursor | None = None,
) -> LabelPage:
    """List the labels of an asset, undone ones among them, page by page."""
    before = LabelPosition(*read_cursor(cursor)) if cursor else None
    found = list_labels(platform, asset, limit + 1, before)
    items = found[:limit]
    last = items[-1] if len(found) > limit else None
    return LabelPage(items=items, next=last and f"{to_millis(last.made_at)}_{last.id}")


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
def undo(id: Id, platform: Served, person: Engineer, body: UndoBody | None = None) -> IntervalLabel:
    """Undo a label; its document stays. Idempotent. Role: engineer."""
    reason = body.reason if body else ""
    return undo_label(platform, platform.audit, id, person.name, platform.clock.now(), reason)
