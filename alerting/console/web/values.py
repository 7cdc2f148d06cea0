"""Predicted values on the page of a definition's models: as a chart, and graded by the samples."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from fastapi import Request

from alerting.adapters.platform import Platform
from alerting.console.language import language_of
from alerting.console.trends.address import trend_of_variables
from alerting.console.web.chart import chart_shape
from alerting.console.web.rendering import zone_of
from alerting.definitions.assets import Asset
from alerting.definitions.matching import matching_assets
from alerting.definitions.model import Definition, TrainedDefinition
from alerting.definitions.wording.language import Language, Styled
from alerting.learning.metrics.graded_values import ServedValues
from alerting.readings.history import from_millis, to_millis
from alerting.reporting.figures.episode_chart import EpisodeChart, Fan, Panel, problem_levels
from alerting.usecases.report_material.charted import load_served_values

MOST_ASSETS = 4
_MOST_SAMPLES = 60  # in a chart
_GRADED = timedelta(days=28)
_MOST_VALUES = 5_000  # of one asset that are read for a page
_LISTED = 8  # samples in the table


def value_shapes(
    platform: Platform, definition: Definition, assets: Sequence[Asset], request: Request
) -> list[dict[str, Any]]:
    """Return, for at most four assets, the newest value, its chart, and the grades of at most 28
    days; nothing of a definition that predicts no value."""
    if not isinstance(definition, TrainedDefinition) or definition.must_know is None:
        return []
    now = platform.clock.now()
    start = now - min(_GRADED, _MOST_VALUES * definition.stride)
    found = []
    for asset in matching_assets(definition, assets)[:MOST_ASSETS]:
        served = load_served_values(
            platform.scores, platform.readings, definition, asset, start, now
        )
        if served is not None:
            title = asset.variables[served.variable].title or served.variable.replace("_", " ")
            chart = _chart(served, title, definition, now)
            shape = chart_shape(chart, zone_of(request), language_of(request))
            described = _describe(served, language_of(request))
            trend = trend_of_variables(asset, [served.variable], chart.start, now)
            shown = {"asset": asset.name, "variable": title, "chart": shape, "trend": trend}
            found.append({**shown, **described})
    return found


def _describe(served: ServedValues, language: Language) -> dict[str, Any]:
    said = served.predicted
    graded = served.graded

    def show(value: float) -> str:
        return language.show(Styled(value, ".4g"))

    rows = [
        {
            "at": from_millis(int(graded.at[i])),
            "predicted_at": from_millis(int(graded.predicted_at[i])),
            "value": show(graded.value[i]),
            "median": show(graded.median[i]),
            "low": show(graded.low[i]),
            "high": show(graded.high[i]),
            "error": show(abs(graded.value[i] - graded.median[i])),
            "inside": bool(graded.is_inside[i]),
        }
        for i in range(len(graded.at) - 1, max(len(graded.at) - 1 - _LISTED, -1), -1)
    ]
    return {
        "unit": served.unit,
        "median": show(said.median[-1]),
        "low": show(said.low[-1]),
        "high": show(said.high[-1]),
        "predicted_at": from_millis(int(said.at[-1])),
        "until": from_millis(int(said.at[-1] + said.lead[-1])),
        "samples": len(graded.at),
        "since": from_millis(int(graded.at[0])) if len(graded.at) else None,
        "error": show(graded.error),
        "last_error": None if np.isnan(graded.last_error) else show(graded.last_error),
        "is_worse": graded.is_worse_than_last,
        "coverage": language.share(graded.coverage),
        "rows": rows,
    }


def _chart(
    served: ServedValues, title: str, definition: TrainedDefinition, now: datetime
) -> EpisodeChart:
    """Return the last samples, with the band and the median that were said of their time."""
    known = served.samples.known_at <= to_millis(now)
    at = served.samples.at[known][-_MOST_SAMPLES:]
    drawn = served.drawn_at
    begin = max(int(at[0]), int(drawn[0])) if len(at) else int(drawn[0])
    inside = drawn >= begin
    is_shown = at >= begin
    said = served.predicted
    fan = Fan(
        tuple(drawn[inside].tolist()),
        tuple(said.low[inside].tolist()),
        tuple(said.median[inside].tolist()),
        tuple(said.high[inside].tolist()),
    )
    values = served.samples.value[known][-_MOST_SAMPLES:][is_shown]
    levels = problem_levels(definition.problem)
    panel = Panel(title, served.unit, at[is_shown], values, levels, fan=fan)
    start = from_millis(begin)
    end = from_millis(max(int(drawn[-1]), to_millis(now)))
    return EpisodeChart((panel,), start, end, start, None, None, None)
