"""The chart of a preview and the line of raises of a definition as SVG shapes."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, tzinfo
from math import floor, log10
from typing import Any

from alerting.console.web.chart import chart_shape
from alerting.definitions.wording.language import Language
from alerting.ports import Document
from alerting.reporting.base.messages import number
from alerting.reporting.figures.episode_chart import EpisodeChart, Panel, describe, value_range
from alerting.usecases.backtest.preview_chart import PreviewChart

MOST_BANDS = 400
_BAR = 4  # width of a day, with the space beside it
_HEIGHT = 28
_LEAST = 0.25  # share of the width, in percent, that a band has at least


def preview_shape(
    drawn: PreviewChart, zone: tzinfo, language: Language, document: Document
) -> dict[str, Any]:
    """Return what the template draws: panels with limits, and bands of times in percent.

    `document`: the draft, whose limits can be moved.
    """
    before = drawn.start - timedelta(seconds=1)  # no episode of the chart lies within it
    panels = tuple(panel for panel in drawn.panels if len(panel.at))
    chart = EpisodeChart(panels, drawn.start, drawn.end, before, None, None, None)
    shape = chart_shape(chart, zone, language)
    limits = _movable(document)
    bands = {
        name: bands_of_times(getattr(drawn, name), drawn.start, drawn.end)
        for name in ("suppressed", "draft", "served", "both")
    }
    return {
        "panels": [
            {**one, **_limits(panel, one["levels"], limits, language)}
            for one, panel in zip(shape["panels"], panels, strict=True)
        ],
        "ticks": shape["ticks"],
        "description": describe(chart, zone, language) if panels else "",
        "asset": drawn.asset,
        **bands,
    }


def _movable(document: Document) -> dict[str, float]:
    """Return the limits of a draft that are numbers of fields of their own, by path."""
    problem = document.get("problem")
    groups: tuple[tuple[str, Any], ...] = (("", document), ("problem.", problem))
    return {
        prefix + name: float(group[name])
        for prefix, group in groups
        if isinstance(group, Mapping)
        for name in ("above", "below")
        if isinstance(group.get(name), int | float) and not isinstance(group[name], bool)
    }


def _limits(
    panel: Panel, spots: Sequence[Any], limits: Mapping[str, float], language: Language
) -> dict[str, Any]:
    """Return the range of a panel, the step by which a limit moves, and its limits with the path
    of their field, empty without one; `words`: the label with a place for another value."""
    low, high = value_range(panel)
    step = 10.0 ** floor(log10((high - low) / 100))
    shown = [level.value for level in panel.levels if low <= level.value <= high]
    paths = {value: path for path, value in limits.items()}
    return {
        "low": low,
        "high": high,
        "step": f"{step:.12g}",
        "limits": [
            {
                "at": spot.at,
                "label": spot.label,
                "words": spot.label.replace(number(value, 4, language), "{value}"),
                "value": f"{value:.12g}",
                "path": paths.get(value, ""),
            }
            for spot, value in zip(spots, shown, strict=True)
        ],
    }


def bands_of_times(
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
    """Return the bars of the raises of each day as one path, in a box of width and height."""
    most = max(raises, default=0) or 1
    tall = {day: max(_HEIGHT * count / most, 3) for day, count in enumerate(raises) if count}
    return {
        "width": _BAR * len(raises),
        "height": _HEIGHT,
        "bars": "".join(
            f"M{_BAR * day} {_HEIGHT}v-{height:.1f}h{_BAR - 1}V{_HEIGHT}z"
            for day, height in tall.items()
        ),
    }
