"""Two variables against each other, with what came of each instant: a problem, or an alarm that was
right or wrong."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import numpy as np
import numpy.typing as npt

from alerting.deferred import pd
from alerting.definitions.assets import Asset
from alerting.definitions.model import Definition, TrainedDefinition
from alerting.detection.problems import problem_intervals
from alerting.episodes.episode import Episode
from alerting.ports import Readings, SeriesPorts
from alerting.readings.cleaning import Floats, has_data
from alerting.readings.history import History, millis
from alerting.readings.instants import Millis, duration_millis, to_millis
from alerting.usecases.explain.selected import MOST_SELECTED, load_selected
from alerting.usecases.labels.overlay import LabelledReadings

PointKind = Literal["other", "before", "problem", "undetermined", "wrong", "right"]
KINDS: tuple[PointKind, ...] = ("other", "before", "problem", "undetermined", "wrong", "right")
"""The kinds of points, those that are drawn over others last."""
MOST_POINTS = 3_000
_RARE = 600
"""Points of each kind but `other` that are shown."""
_USUAL_DISTANCES = 10
"""Usual times between two values for which the last one stands beside later values of the other."""
Ranks = npt.NDArray[np.int64]


@dataclass(frozen=True)
class PointCloud:
    """The shown points of one kind; `number`: how many there are."""

    kind: PointKind
    x: Floats
    y: Floats
    number: int


@dataclass(frozen=True)
class Scatter:
    """The points of two variables by kind, in the order of `KINDS`; kinds without one are left
    out."""

    clouds: tuple[PointCloud, ...]

    @property
    def number(self) -> int:
        """Return how many points there are."""
        return sum(cloud.number for cloud in self.clouds)

    @property
    def shown(self) -> int:
        """Return how many points are shown."""
        return sum(len(cloud.x) for cloud in self.clouds)


def find_scatter(
    platform: SeriesPorts,
    asset: Asset,
    x: str,
    y: str,
    start: datetime,
    end: datetime,
    definition: Definition | None = None,
    by_episodes: bool = False,
    most: int = MOST_SELECTED,
) -> Scatter:
    """Return the points of two numeric variables over (start, end].

    A point is a value of the variable with fewer, beside the last one of the other. Of each kind
    few enough are shown, evenly in time. With a definition, points are of its problem and the time
    before it in which it is predicted, or `by_episodes` of its alarms by what came of them. Raises
    UserError for a time that is empty or too long, and for too many readings.
    """
    readings: Readings = LabelledReadings(platform.readings, platform.labels, None)
    history = load_selected(readings, asset, [x, y], start, end, most)
    ts, of_x, of_y = _pairs(history, x, y)
    kinds = np.zeros(len(ts), np.int64)
    if definition is not None and by_episodes:
        found = platform.episodes.overlapping(definition.name, asset.name, start, end)
        _mark_episodes(kinds, ts, found)
    elif definition is not None and definition.problem is not None:
        _mark_problems(kinds, ts, definition, readings, asset, start, end, most)
    clouds = []
    rare = 0
    for position in [*range(1, len(KINDS)), 0]:
        rows = np.flatnonzero(kinds == position)
        shown = _spread(rows, _RARE if position else MOST_POINTS - rare)
        rare += len(shown)
        if len(rows):
            clouds.append(PointCloud(KINDS[position], of_x[shown], of_y[shown], len(rows)))
    return Scatter(tuple(sorted(clouds, key=lambda cloud: KINDS.index(cloud.kind))))


def _pairs(history: History, x: str, y: str) -> tuple[Millis, Floats, Floats]:
    """Return instants (ms) with the values of both variables, at the values of the one with
    fewer."""
    first, second = (_values(history, name) for name in (x, y))
    is_swapped = len(second[0]) < len(first[0])
    rare, other = (second, first) if is_swapped else (first, second)
    if not len(rare[0]) or not len(other[0]):
        return np.empty(0, np.int64), np.empty(0), np.empty(0)
    declared = history.asset.variables[x if is_swapped else y]
    usual = np.median(np.diff(other[0])) if len(other[0]) > 1 else 0.0
    longest = (
        duration_millis(declared.carry_forward)
        if declared.carry_forward is not None
        else _USUAL_DISTANCES * usual
    )
    last = np.searchsorted(other[0], rare[0], side="right") - 1
    there = (last >= 0) & (rare[0] - other[0][last] <= longest)
    beside = other[1][last[there]]
    own = rare[1][there]
    return rare[0][there], *((beside, own) if is_swapped else (own, beside))


def _values(history: History, name: str) -> tuple[Millis, Floats]:
    there = has_data(history, name)
    if not there.any():
        return np.empty(0, np.int64), np.empty(0)
    ts = millis(pd.DatetimeIndex(history.readings.index))
    return ts[there], history.readings[name].to_numpy(np.float64)[there]


def _mark_episodes(kinds: Ranks, ts: Millis, episodes: Sequence[Episode]) -> None:
    for episode in episodes:
        if episode.withdrawn:
            continue
        outcome = episode.outcome_record.outcome if episode.outcome_record else None
        kind: PointKind = (
            "right"
            if outcome in ("hit", "avoided")
            else "wrong"
            if outcome == "false_alarm"
            else "undetermined"
        )
        until = None if episode.closed_at is None else to_millis(episode.closed_at)
        _mark(kinds, ts, to_millis(episode.raised_at), until, kind)


def _mark_problems(
    kinds: Ranks,
    ts: Millis,
    definition: Definition,
    readings: Readings,
    asset: Asset,
    start: datetime,
    end: datetime,
    most: int,
) -> None:
    problem = definition.problem
    if problem is None:
        return
    ahead = (
        definition.window.after + definition.window.length
        if isinstance(definition, TrainedDefinition)
        else None
    )
    until = end if ahead is None else end + ahead
    history = (
        load_selected(readings, asset, list(problem.variables), start, until, most)
        if problem.event is None
        else readings.load(asset, until, until, (), events_since=start)
    )
    found = problem_intervals(problem, history)
    if ahead is not None:
        for first, _ in found:
            _mark(kinds, ts, first - duration_millis(ahead), first - 1, "before")
    for first, last in found:
        _mark(kinds, ts, first, last, "problem")


def _mark(kinds: Ranks, ts: Millis, start: int, end: int | None, kind: PointKind) -> None:
    """Give the points of [start, end] (ms; None: without an end) a kind, unless they have one that
    is drawn over it."""
    rank = KINDS.index(kind)
    first = int(np.searchsorted(ts, start))
    last = len(ts) if end is None else int(np.searchsorted(ts, end, side="right"))
    kinds[first:last] = np.maximum(kinds[first:last], rank)


def _spread(rows: Ranks, most: int) -> Ranks:
    """Return at most so many of the rows, evenly."""
    if len(rows) <= most:
        return rows
    return rows[np.linspace(0, len(rows) - 1, most).astype(np.int64)]
