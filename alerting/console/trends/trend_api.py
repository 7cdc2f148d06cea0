"""REST API, version 1: statistics of a selected time, and the times at which a condition held."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from alerting.adapters.platform import Platform
from alerting.console.api.api import MAY_NAME_NOTHING, Served, Viewer
from alerting.console.api.parameters import NAME, Duration, Instant, NameQuery
from alerting.console.api.views import View
from alerting.console.trends.address import MOST_VARIABLES
from alerting.definitions.assets import Asset
from alerting.usecases.explain.explain import (
    MOST_SELECTED,
    LimitCondition,
    find_times,
    numeric_variables,
    selected_statistics,
)
from alerting.usecases.labels.overlay import without_bad_values

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


class FoundTime(View):
    """A time at which a condition held."""

    start: datetime
    end: datetime


class FoundTimesView(View):
    """The times at which a condition held; `newest`: at most 200, the newest first."""

    number: int
    together: timedelta
    newest: list[FoundTime]


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
) -> FoundTimesView:
    """Find the times at which a variable was above a value, below one, or outside of both, for at
    least a time: as the problem of a definition is found."""
    of = numeric_variables(platform.assets.get(asset), [variable])
    condition = LimitCondition(variable, above, below, lasting)
    readings = without_bad_values(platform).readings
    found = find_times(readings, of, condition, start, end)
    newest = [FoundTime(start=first, end=last) for first, last in found.newest]
    return FoundTimesView(number=found.number, together=found.together, newest=newest)


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
