"""Model of the remaining life of a part: discrete-time survival.

A classifier gives the hazard of each interval ahead, from the features, the age of the part and the
interval. Levels of the distribution that calibration has found turn its curve into an interval
(distributional conformal prediction: Chernozhukov, Wüthrich and Zhu 2021; one distribution of
scores over lives of equal weight, as in Lee, Barber and Willett 2023).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.stats import t

from alerting.definitions.alert_definition import LifeEnds
from alerting.definitions.wording.language import spoken_about, spoken_share
from alerting.episodes.remaining_life import RemainingLife
from alerting.learning.features.plan import Columns
from alerting.learning.models.trained import Estimator, sigmoid
from alerting.readings.history import Floats, Millis, duration_millis, from_millis

STATED = 0.8  # share of the time in which the interval should hold
WRONG = 0.02  # share of lives that may end before advice to keep the part says
_CHANCE = 0.05
Rows = npt.NDArray[Any]  # numbers of rows, or of intervals
BESIDE = ("life.age", "life.ahead", "life.interval")
_AT_ONCE = 2_000  # rows that are expanded together


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

    `edges_ms`: ends of the intervals ahead, increasing; the last is the longest time that a life of
    the training still lasted. `replaced_every_ms`: the plan against which advice is proven.
    `check`: how it did on lives that it has not seen.
    """

    estimator: Estimator
    edges_ms: tuple[float, ...]
    levels: LifeLevels
    replaced_every_ms: int | None
    check: str

    def hazards(self, matrix: Floats, age: Floats) -> Floats:
        """Return the cumulative hazard of each row up to each edge."""
        count = len(self.edges_ms)
        parts = [np.empty((0, count))]
        for first in range(0, len(matrix), _AT_ONCE):
            some = slice(first, first + _AT_ONCE)
            rows = np.repeat(np.arange(len(matrix[some])), count)
            interval = np.tile(np.arange(count), len(matrix[some]))
            expanded = expand_rows(matrix[some], age[some], rows, interval, self.edges_ms)
            margin = self.estimator.margin_of(expanded)
            hazard = np.clip(sigmoid(margin), 1e-9, 1 - 1e-9).reshape(-1, count)
            parts.append(np.cumsum(-np.log1p(-hazard), axis=1))
        return np.concatenate(parts)

    def hash(self, fitted: Iterable[bytes] | None = None) -> str:
        """Return the SHA-256 over all that decides an estimate, with `fitted` (default: its own)
        values."""
        settings = [self.estimator.family, self.estimator.encoding.to_document()]
        stated = [*settings, self.edges_ms, self.levels, self.replaced_every_ms]
        digest = hashlib.sha256(json.dumps(stated, sort_keys=True).encode())
        for part in self.estimator.model.fitted_bytes() if fitted is None else fitted:
            digest.update(part)
        return digest.hexdigest()

    def estimate(
        self, matrix: Floats, age: Floats, at: Millis, plan: LifePlan
    ) -> list[RemainingLife]:
        """Return the remaining life of rows of features at these instants (ms)."""
        times = np.column_stack(self.times(matrix, age, plan)).tolist()
        return [
            RemainingLife(
                from_millis(instant),
                timedelta(milliseconds=int(low)),
                _time(median),
                _time(high),
                from_millis(instant + int(keep)) if keep else None,
            )
            for instant, (low, median, high, keep) in zip(at.tolist(), times, strict=True)
        ]

    def times(self, matrix: Floats, age: Floats, plan: LifePlan) -> LifeTimes:
        """Return the estimates of rows of features. Advice is given only against the plan for which
        it is proven: the bound ends after the planned replacement, and after one horizon; never for
        a part of unknown age."""
        edges = self.edges_ms
        hazards = self.hazards(matrix, age)
        low, median, high = (time_to(hazards, edges, level) for level in self.levels[:3])
        keep = np.zeros(len(age))
        if self.levels.keep is not None and plan.every_ms == self.replaced_every_ms:
            bound = np.minimum(time_to(hazards, edges, self.levels.keep), edges[-1])
            keep = np.where(bound > latest_of(age, plan), bound, 0.0)
        return LifeTimes(np.minimum(low, edges[-1]), median, high, keep)


class LifeTimes(NamedTuple):
    """Estimates of rows (ms): the interval with its middle, infinite beyond what is known, and the
    time for which to keep the part against the plan, 0 without advice."""

    low: Floats
    median: Floats
    high: Floats
    keep: Floats


class KnownLives(NamedTuple):
    """What came of rows whose lives ended with a failure: their age and the time left (ms), and the
    number of their life."""

    age: Floats
    time_left: Floats
    life: npt.NDArray[np.int64]


class LifeCheck(NamedTuple):
    """How a model did on lives that it has not seen. `coverage`: share of the time in which the
    interval held, by life; `error_ms`, `trivial_ms`: mean absolute error of the median, and of the
    mean life minus the age; `outlived`: lives that lasted longer than the plan, `advised` those of
    them in which advice against the plan was given, `wrong` those that ended before it said."""

    coverage: Floats
    error_ms: float
    trivial_ms: float
    outlived: int
    advised: int
    wrong: int

    @property
    def is_calibrated(self) -> bool:
        """Return whether the interval holds as often as stated, or less often only by chance."""
        spread = self.coverage.std(ddof=1) / np.sqrt(len(self.coverage))
        margin = t.ppf(1 - _CHANCE, len(self.coverage) - 1) * spread
        return bool(self.coverage.mean() + margin >= STATED)

    @property
    def message(self) -> str:
        """Return the check in sentences."""
        count = len(self.coverage)
        error = spoken_about(timedelta(milliseconds=self.error_ms))
        trivial = spoken_about(timedelta(milliseconds=self.trivial_ms))
        advice = ""
        if self.outlived:
            advice = (
                f" Advice to keep the part longer than planned: in {self.advised} of "
                f"{self.outlived} lives that lasted longer than the plan, wrong in {self.wrong} of "
                f"{count} lives."
            )
        share = spoken_share(float(self.coverage.mean()))
        return (
            f"Remaining life: on {count} unseen lives the interval held "
            f"{share} of the time ({spoken_share(STATED)} stated); "
            f"its middle is {error} off on average, the mean life minus the age {trivial}.{advice}"
        )


def check_lives(
    times: LifeTimes, lives: KnownLives, every_ms: int | None, mean_life: float = float("nan")
) -> LifeCheck:
    """Compare estimates with lives that ended with a failure."""
    _, number, count = np.unique(lives.life, return_inverse=True, return_counts=True)
    weight = 1 / count[number]
    is_inside = (times.low <= lives.time_left) & (lives.time_left <= times.high)
    guess = np.where(np.isfinite(times.median), times.median, times.low)
    error = np.abs(guess - lives.time_left)
    trivial = np.abs(np.maximum(mean_life - lives.age, 0) - lives.time_left)
    compared = np.where(np.isnan(trivial) & ~np.isnan(mean_life), 0.0, weight)
    total = max(float(compared.sum()), 1e-9)
    every = np.inf if every_ms is None else every_ms
    outlived = np.unique(number[lives.age + lives.time_left > every])
    in_time = number[(times.keep > 0) & (lives.age <= every)]
    return LifeCheck(
        np.asarray(np.bincount(number, weight * is_inside), np.float64),
        float((error * compared).sum() / total),
        float(np.nansum(trivial * compared) / total),
        len(outlived),
        len(np.intersect1d(outlived, in_time)),
        len(np.unique(number[lives.time_left < times.keep])),
    )


class LifePlan(NamedTuple):
    """The plan of replacements: the age of a part at its replacement (ms), None without a plan, and
    the least time (ms) by which advice against it must exceed the present."""

    every_ms: int | None
    horizon_ms: int

    @classmethod
    def from_ends(cls, ends: LifeEnds) -> LifePlan:
        """Return the plan that a definition states."""
        every = ends.replaced_every
        return cls(None if every is None else duration_millis(every), duration_millis(ends.horizon))


def life_columns(columns: Columns, intervals: int) -> Columns:
    """Return the columns of the hazard model: the plan's, the age, and the interval ahead as a
    number and as a category."""
    levels = tuple(str(i) for i in range(intervals))
    return Columns((*columns.names, *BESIDE), {**columns.levels, BESIDE[-1]: levels})


def expand_rows(
    matrix: Floats, age: Floats, rows: Rows, interval: Rows, edges: tuple[float, ...]
) -> Floats:
    """Return one row of the hazard model for each pair of a row and an interval ahead."""
    ahead = np.log(np.asarray(edges))[interval]
    return np.column_stack([matrix[rows], age[rows], ahead, interval])


def level_at(hazards: Floats, edges: tuple[float, ...], after: Floats) -> Floats:
    """Return the level of each row's distribution at a time ahead (ms): the probability that the
    life ends by then. Beyond the last edge it is that of the last edge."""
    starts = np.append(0.0, edges)
    reached = [
        np.interp(time, starts, np.append(0.0, row))
        for time, row in zip(after, hazards, strict=True)
    ]
    return np.asarray(-np.expm1(-np.asarray(reached)), np.float64)


def time_to(hazards: Floats, edges: tuple[float, ...], level: float) -> Floats:
    """Return the time (ms) after which each row's distribution reaches a level; infinite if it lies
    beyond the last edge."""
    if level >= 1:
        return np.full(len(hazards), np.inf)
    hazard = -np.log1p(-level)
    starts = np.append(0.0, edges)
    times = [np.interp(hazard, np.append(0.0, row), starts, right=np.inf) for row in hazards]
    return np.asarray(times, np.float64)


def latest_of(age: Floats, plan: LifePlan) -> Floats:
    """Return the time (ms) to the planned replacement, at least one horizon; NaN if unknown."""
    return np.asarray(np.maximum((plan.every_ms or 0) - age, plan.horizon_ms), np.float64)


def _time(ms: float) -> timedelta | None:
    return timedelta(milliseconds=int(ms)) if np.isfinite(ms) else None  # as it is stored
