"""The chart of a preview and the line of raises of a definition as SVG shapes."""

from collections.abc import Sequence
from datetime import datetime, timedelta, tzinfo
from typing import Any

from alerting.console.web.chart import chart_shape
from alerting.definitions.wording.language import Language
from alerting.reporting.figures.episode_chart import EpisodeChart, describe
from alerting.usecases.backtest.preview_chart import PreviewChart

MOST_BANDS = 400
_BAR = 4  # width of a day, with the space beside it
_HEIGHT = 28
_LEAST = 0.25  # share of the width, in percent, that a band has at least


def preview_shape(drawn: PreviewChart, zone: tzinfo, language: Language) -> dict[str, Any]:
    """Return what the template draws: panels with limits, and bands of times in percent."""
    before = drawn.start - timedelta(seconds=1)  # no episode of the chart lies within it
    panels = tuple(panel for panel in drawn.panels if len(panel.at))
    chart = EpisodeChart(panels, drawn.start, drawn.end, before, None, None, None)
    shape = chart_shape(chart, zone, language)
    bands = {
        name: _bands(getattr(drawn, name), drawn.start, drawn.end)
        for name in ("suppressed", "draft", "served")
    }
    return {
        **{key: shape[key] for key in ("panels", "ticks")},
        "description": describe(chart, zone, language) if panels else "",
        "asset": drawn.asset,
        **bands,
    }


def _bands(
    spans: Sequence[tuple[datetime, datetime]], start: datetime, end: datetime
) -> list[dict[str, float]]:
    """Return spans in percent of the width; those that would touch are one."""
    whole = (end - start) / timedelta(seconds=1)
    found: list[list[float]] = []
    for begin, stop in sorted(spans):
        left, right = (
            100 * min(max((at - start) / timedelta(seconds=1) / whole, 0.0), 1.0)
            for at in (begin, stop)
        )
        right = max(right, left + _LEAST)
        if found and left <= found[-1][1]:
            found[-1][1] = max(found[-1][1], right)
        else:
            found.append([left, right])
    return [
        {"x": round(left, 2), "width": round(right - left, 2)}
        for left, right in found[-MOST_BANDS:]
    ]


def raises_shape(raises: Sequence[int]) -> dict[str, Any]:
    """Return the bars of the raises of each day: x, y and height, in a box of width and height."""
    most = max(raises, default=0) or 1
    return {
        "width": _BAR * len(raises),
        "height": _HEIGHT,
        "bars": [
            {"x": _BAR * day, "y": _HEIGHT - tall, "height": tall}
            for day, count in enumerate(raises)
            if (tall := round(max(_HEIGHT * count / most, 3), 1)) and count
        ],
    }
