"""Drawings of an asset's page as SVG shapes: values of a day, and times of ninety days."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np
from fastapi import Request

from alerting.console.definitions.preview_shapes import bands_of_times
from alerting.console.web.rendering import language_of, zone_of
from alerting.readings.history import to_millis
from alerting.reporting.figures.bars import BarChart, importance_bars
from alerting.usecases.alarm_load.asset_overview import AssetOverview, Lane
from alerting.usecases.trends.catalogue import VariableLine, VariablePage

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
