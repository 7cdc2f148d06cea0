"""The values that a preview draws: of the asset with most episodes, with limits and the times of
episodes."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from alerting.definitions.assets import Asset
from alerting.definitions.fields.conditions import Conditions
from alerting.definitions.matching import matching_assets
from alerting.definitions.model import Condition, Definition, Problem
from alerting.definitions.wording.phrases import variable_title
from alerting.episodes.episode import Episode
from alerting.ports import BacktestPorts, Readings
from alerting.reporting.figures.episode_chart import (
    ChartLevel,
    Panel,
    condition_levels,
    new_panel,
    problem_levels,
    thin_out,
)
from alerting.usecases.episodes.suppression import suppressed_between
from alerting.usecases.notification.chart import load_variable

MOST_PANELS = 3
_PART = timedelta(days=2)
"""Time whose readings are in memory at once."""
_COLUMNS = 96  # of a part
_PROBLEM_HOLD = timedelta(hours=1)  # a problem says not how long a value holds
Interval = tuple[datetime, datetime]


@dataclass(frozen=True)
class PreviewChart:
    """The variables of a draft on one asset over a period.

    `suppressed`: times in which an alarm would not be notified; `draft` and `served`: times of the
    episodes of the draft, and of the revision in service.
    """

    asset: str
    panels: tuple[Panel, ...]
    start: datetime
    end: datetime
    suppressed: tuple[Interval, ...]
    draft: tuple[Interval, ...]
    served: tuple[Interval, ...]


def draw_preview(
    platform: BacktestPorts,
    definition: Definition,
    draft: Sequence[Episode],
    served: Sequence[Episode],
    start: datetime,
    end: datetime,
    require_time: Callable[[], None],
) -> PreviewChart | None:
    """Return the drawing of a draft, None of one without limits on numbers."""
    targets = matching_assets(definition, platform.assets.find_matching(definition.assets))
    if not isinstance(definition, Conditions) or not targets:
        return None
    most = Counter(one.asset for one in (*draft, *served))
    asset = max(targets, key=lambda one: most[one.name])
    combination = definition.combination
    by_variable: dict[str, list[Condition]] = {}
    for one in (definition,) if combination is None else combination.leaves():
        by_variable.setdefault(one.variable, []).append(one)
    panels = [
        _panel(
            platform.readings,
            asset,
            variable,
            [level for one in conditions for level in condition_levels(one, asset)],
            conditions[0].stale_after,
            (start, end),
            require_time,
        )
        for variable, conditions in list(by_variable.items())[:MOST_PANELS]
    ]
    suppressed = (
        suppressed_between(platform, definition.suppression, asset.name, start, end)
        if definition.suppression
        else []
    )
    return PreviewChart(
        asset.name,
        tuple(panel for panel in panels if panel is not None),
        start,
        end,
        tuple((one.start, one.end) for one in suppressed),
        _spans(draft, asset, end),
        _spans(served, asset, end),
    )


def draw_problems(
    platform: BacktestPorts,
    problem: Problem,
    asset: Asset,
    times: Sequence[Interval],
    start: datetime,
    end: datetime,
    require_time: Callable[[], None],
) -> PreviewChart:
    """Return the values of a problem's variables on an asset, with the times of the problem."""
    panels = [
        _panel(
            platform.readings,
            asset,
            variable,
            problem_levels(problem),
            _PROBLEM_HOLD,
            (start, end),
            require_time,
        )
        for variable in problem.variables[:MOST_PANELS]
    ]
    shown = tuple(panel for panel in panels if panel is not None)
    return PreviewChart(asset.name, shown, start, end, (), tuple(times), ())


def _spans(episodes: Sequence[Episode], asset: Asset, end: datetime) -> tuple[Interval, ...]:
    return tuple(
        (one.raised_at, one.closed_at or end) for one in episodes if one.asset == asset.name
    )


def _panel(
    readings: Readings,
    asset: Asset,
    variable: str,
    levels: Sequence[ChartLevel],
    hold: timedelta,
    period: Interval,
    require_time: Callable[[], None],
) -> Panel | None:
    """Return the values of a variable, read part by part; None without a number."""
    at = []
    values = []
    begin, end = period
    while begin < end:
        require_time()
        stop = min(begin + _PART, end)
        columns = load_variable(readings, asset, variable, begin, stop)
        found = np.asarray(columns.values.get(variable, ()))
        if len(found) and np.issubdtype(found.dtype, np.number):
            part = thin_out(columns.ts, np.asarray(found, np.float64), _COLUMNS)
            at.append(part[0])
            values.append(part[1])
        begin = stop
    if not sum(map(len, at)):
        return None
    known = asset.variables.get(variable)
    return new_panel(
        Panel(
            variable_title(variable, asset.variables),
            known.unit if known else None,
            np.concatenate(at),
            np.concatenate(values),
            tuple(dict.fromkeys(levels)),
            hold=hold,
        )
    )
