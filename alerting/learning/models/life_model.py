"""Model of the remaining life of a part: discrete-time survival.

A classifier gives the hazard of each interval ahead, from the features, those of the part's life
and the interval. Levels of the distribution that calibration has found turn its curve into an
interval (distributional conformal prediction: Chernozhukov, Wüthrich and Zhu 2021; one distribution
of scores over lives of equal weight, as in Lee, Barber and Willett 2023).
"""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from alerting.definitions.alert_definition import LifeEnds
from alerting.episodes.remaining_life import RemainingLife
from alerting.learning.features.life_features import life_columns
from alerting.learning.features.plan import Columns, FeaturePlan
from alerting.learning.models.trained import Estimator, TrainedModel, hash_with, sigmoid
from alerting.readings.history import Floats, Millis, from_millis

STATED = 0.8  # share of the time in which the interval should hold
Rows = npt.NDArray[Any]  # numbers of rows, or of intervals
INTERVAL = ("life/ahead", "life/interval")
MOST_CELLS = 8_000_000  # of rows that are expanded together: 61 MiB


class LifeLevels(NamedTuple):
    """Calibrated levels of the distribution: ends of the interval, the middle between them, and the
    level below which a life practically never ends; None unless that is proven."""

    low: float
    median: float
    high: float
    keep: float | None


@dataclass(frozen=True)
class LifeModel:
    """A fitted model of the remaining life.

    `estimators`: one, or one of each family, whose hazards are averaged. `edges_ms`: ends of the
    intervals ahead, increasing; the last is the longest time that a life of the training still
    lasted. `levels`: of parts of known age, `ageless`: of others. `replaced_every_ms`: the plan
    against which advice is proven, 0 without one.
    """

    estimators: tuple[Estimator, ...]
    edges_ms: tuple[float, ...]
    levels: LifeLevels
    ageless: LifeLevels
    replaced_every_ms: int

    def times(self, matrix: Floats, life: Floats, ends: LifeEnds | None) -> Floats:
        """Return the estimates of rows of features (ms), as columns: the interval, its middle
        between both ends, and for how long to keep the part against the plan. NaN where nothing is
        known. `life`: rows as of `build_life_features`.

        Advice is given only against the plan for which it is proven: the bound ends after the
        planned replacement, and after one horizon; never for a part of unknown age, or without
        `ends`.
        """
        edges = self.edges_ms
        hazards = np.mean([hazards_of(e, edges, matrix, life) for e in self.estimators], axis=0)
        age = life[:, 0]
        low, median, high = (
            time_to(hazards, edges, np.where(np.isnan(age), ageless, aged))
            for ageless, aged in zip(self.ageless[:3], self.levels[:3], strict=True)
        )
        keep = np.full(len(age), np.nan)
        if self.levels.keep is not None and ends and ends.planned_ms == self.replaced_every_ms:
            bound = np.fmin(time_to(hazards, edges, np.full(len(age), self.levels.keep)), edges[-1])
            keep = np.where(bound > latest_of(age, ends), bound, np.nan)
        return np.column_stack([np.fmin(low, edges[-1]), median, high, keep])

    def estimate(
        self, matrix: Floats, life: Floats, at: Millis, ends: LifeEnds
    ) -> list[RemainingLife | None]:
        """Return the remaining life of rows of features at these instants (ms)."""
        times = self.times(matrix, life, ends).tolist()
        return [
            RemainingLife.from_times(
                from_millis(instant), [None if np.isnan(ms) else int(ms) for ms in row]
            )
            for instant, row in zip(at.tolist(), times, strict=True)
        ]


def with_life(model: TrainedModel, life: LifeModel) -> TrainedModel:
    """Return a model without remaining life and modes with this one, and with the hash of both."""
    further = [] if life.ageless == life.levels else [life.ageless]
    stated = [life.edges_ms, life.levels, life.replaced_every_ms, *further]
    return replace(model, life=life, hash=hash_with(model.hash, stated, life.estimators))


def hazards_of(
    estimator: Estimator, edges: tuple[float, ...], matrix: Floats, life: Floats
) -> Floats:
    """Return the cumulative hazard of each row up to each edge."""
    parts = [np.empty((0, len(edges)))]
    step = rows_at_once(matrix.shape[1] + life.shape[1] + len(INTERVAL), len(edges))
    for first in range(0, len(matrix), step):
        some = slice(first, first + step)
        rows, interval = np.indices((len(matrix[some]), len(edges))).reshape(2, -1)
        margin = estimator.margin_of(expand_rows(matrix[some], life[some], rows, interval, edges))
        hazard = np.clip(sigmoid(margin), 1e-9, 1 - 1e-9).reshape(-1, len(edges))
        parts.append(np.cumsum(-np.log1p(-hazard), axis=1))
    return np.concatenate(parts)


def rows_at_once(columns: int, intervals: int) -> int:
    """Return how many rows may be expanded together. `columns`: of the hazard model."""
    return max(1, MOST_CELLS // (columns * intervals))


def hazard_columns(plan: FeaturePlan, intervals: int) -> Columns:
    """Return the columns of the hazard model: the plan's, those of the life, and the interval ahead
    as a number and as a category."""
    levels = tuple(str(i) for i in range(intervals))
    names = (*plan.columns, *life_columns(plan), *INTERVAL)
    return Columns(names, {**plan.levels, INTERVAL[-1]: levels})


def expand_rows(
    matrix: Floats, life: Floats, rows: Rows, interval: Rows, edges: tuple[float, ...]
) -> Floats:
    """Return one row of the hazard model for each pair of a row and an interval ahead."""
    ahead = np.log(np.asarray(edges))[interval]
    return np.column_stack([matrix[rows], life[rows], ahead, interval])


def level_at(hazards: Floats, edges: tuple[float, ...], after: Floats) -> Floats:
    """Return the level of each row's distribution at a time ahead (ms): the probability that the
    life ends by then; NaN if the time is. Beyond the last edge it is that of the last edge."""
    starts = np.append(0.0, edges)
    pairs = zip(after, hazards, strict=True)
    reached = [np.interp(time, starts, np.append(0.0, row)) for time, row in pairs]
    return np.asarray(-np.expm1(-np.asarray(reached)), np.float64)


def time_to(hazards: Floats, edges: tuple[float, ...], level: Floats) -> Floats:
    """Return the time (ms) after which each row's distribution reaches its level; NaN if it lies
    beyond the last edge."""
    with np.errstate(divide="ignore"):  # a level of 1 is never reached
        pairs = zip(-np.log1p(-level), hazards, strict=True)
    starts = np.append(0.0, edges)
    times = [np.interp(ends, np.append(0.0, row), starts, right=np.nan) for ends, row in pairs]
    return np.asarray(times, np.float64)


def latest_of(age: Floats, ends: LifeEnds) -> Floats:
    """Return the time (ms) to the planned replacement, at least one horizon; NaN if unknown."""
    return np.asarray(np.maximum(ends.planned_ms - age, ends.horizon_ms), np.float64)
