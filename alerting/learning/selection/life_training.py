"""Fit, calibrate and check a model of the remaining life.

A life is never on two sides: folds and parts hold whole lives, and the check uses lives that ended
after everything from which fit and calibration have learned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from alerting.definitions.alert_definition import LifeEnds
from alerting.definitions.fields.learning import BUILT_IN
from alerting.learning.data.dataset import Dataset
from alerting.learning.features.lives import RowLives
from alerting.learning.features.plan import Columns
from alerting.learning.models.families.contract import LabelledRows, get_family
from alerting.learning.models.life_model import (
    STATED,
    WRONG,
    KnownLives,
    LifeLevels,
    LifeModel,
    LifePlan,
    check_lives,
    expand_rows,
    latest_of,
    level_at,
    life_columns,
)
from alerting.learning.models.trained import Estimator
from alerting.readings.history import BoolArray, Floats, Millis

FEWEST_LIVES = 8
_TAIL = (1 - STATED) / 2
_FOLDS = 5
_ROUNDING = 1e-9
# of a level that the worst of few lives decides: without it 3.1 % of simulated lives were wrong
_MARGIN = 0.5
_INTERVALS = 30
_MOST_ROWS = 2_500  # of all lives, evenly spread in each
_MOST_CHECKED = 20_000
_UNSEEN = LifeLevels(_TAIL, 0.5, 1 - _TAIL, None)


@dataclass(frozen=True)
class LifeRows:
    """Rows of lives. `age`, `time_left` (ms), `failed`: as in `RowLives`. `life`: number of the
    life; `ends_at`: instant (ms) of its end, or of the last reading. `is_test`: whether a row is of
    the test period."""

    matrix: Floats
    age: Floats
    time_left: Floats
    failed: BoolArray
    life: npt.NDArray[np.int64]
    ends_at: Millis
    is_test: BoolArray

    def select(self, rows: npt.NDArray[Any]) -> LifeRows:
        """Return some rows (a mask or positions)."""
        return LifeRows(*(getattr(self, part.name)[rows] for part in fields(self)))

    @property
    def weight(self) -> Floats:
        """Return the weight of each row, so that all lives count alike; together the number of
        lives."""
        _, number, count = np.unique(self.life, return_inverse=True, return_counts=True)
        return np.asarray(1 / count[number], np.float64)

    def count_failures(self) -> int:
        """Return the number of lives that ended with a failure."""
        return len(np.unique(self.life[self.failed]))


def rows_of_lives(dataset: Dataset) -> LifeRows:
    """Return the rows of a dataset that live evaluation would score, by their lives."""
    columns = RowLives(*dataset.lives.T)
    _, asset = np.unique(dataset.asset.astype(str), return_inverse=True)
    life = asset * 1_000_000 + columns.life.astype(np.int64)
    is_test = np.asarray(dataset.part == "test", np.bool_)
    ends_at = dataset.at + columns.time_left.astype(np.int64)
    rows = LifeRows(
        dataset.matrix, columns.age, columns.time_left, columns.failed == 1, life, ends_at, is_test
    )
    return rows.select(columns.time_left > 0)


def spread_rows(rows: LifeRows, most: int = _MOST_ROWS) -> LifeRows:
    """Return at most so many rows, evenly spread over each life."""
    lives = np.unique(rows.life)
    per_life = max(2, most // max(1, len(lives)))
    chosen = []
    for life in lives:
        of_life = np.flatnonzero(rows.life == life)
        chosen.append(of_life[np.unique(np.linspace(0, len(of_life) - 1, per_life).astype(int))])
    return rows.select(np.concatenate(chosen))


class AtRisk(NamedTuple):
    """Pairs of a row and an interval ahead in which its part was at risk. `ended`: whether its life
    ended there."""

    row: npt.NDArray[np.int64]
    interval: npt.NDArray[np.int64]
    ended: npt.NDArray[np.int8]


def person_periods(time_left: Floats, failed: BoolArray, edges: Sequence[float]) -> AtRisk:
    """Return the intervals that each row survived, and the one in which its life ended with a
    failure. An interval in which it was replaced or the data ended is left out."""
    survived = np.searchsorted(edges, time_left, side="right")
    within = np.where(failed, np.searchsorted(edges, time_left, side="left"), survived)
    count = within + (failed & (within < len(edges)))
    row = np.repeat(np.arange(len(time_left)), count)
    interval = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
    ended = failed[row] & (interval == within[row])
    return AtRisk(row, interval, ended.astype(np.int8))


def interval_edges(time_left: Floats, stride_ms: int) -> tuple[float, ...]:
    """Return the ends of the intervals ahead (ms), each longer than the one before by the same
    factor, up to the longest time."""
    longest = float(max(time_left.max(), 2 * stride_ms))
    return tuple(np.geomspace(min(stride_ms, longest / 2), longest, _INTERVALS).tolist())


def fit_hazard(
    family: str, rows: LifeRows, columns: Columns, edges: tuple[float, ...], seed: int
) -> Estimator:
    """Fit the hazard of each interval ahead."""
    periods = person_periods(rows.time_left, rows.failed, edges)
    matrix = expand_rows(rows.matrix, rows.age, periods.row, periods.interval, edges)
    weight = rows.weight[periods.row]
    labelled = LabelledRows(matrix, periods.ended, weight / weight.mean())
    recipe = get_family(family)
    params = {**recipe.defaults, **(recipe.of_lives or {})}
    return recipe.fit(params, life_columns(columns, len(edges)), labelled, seed)


def loss_of(hazards: Floats, rows: LifeRows, edges: Sequence[float]) -> float:
    """Return the log loss of the hazards on rows, in which all lives count alike."""
    within = np.minimum(np.searchsorted(edges, rows.time_left, side="left"), len(edges) - 1)
    reached = np.column_stack([np.zeros(len(hazards)), hazards])
    row = np.arange(len(within))
    before = reached[row, within]
    ended = np.log(-np.expm1(before - reached[row, within + 1]))
    return float(((before - np.where(rows.failed, ended, 0.0)) * rows.weight).sum())


def level_quantile(
    level: Floats, failed: BoolArray, weight: Floats, share: float, unseen: float
) -> float:
    """Return the level up to which this share of the weight ended (Kaplan and Meier 1958: other
    rows are known to end later). `unseen`: weight of a further life that may lie anywhere, which
    counts against the interval: half of it on each side."""
    order = np.argsort(level, kind="stable")
    total = weight.sum() + unseen
    at_risk = total - np.append(0.0, np.cumsum(weight[order]))[:-1]
    survives = np.cumprod(np.where(failed[order], 1 - weight[order] / at_risk, 1.0))
    ended = 1 - survives
    if share < 0.5:
        which = np.searchsorted(ended + unseen / total, share + _ROUNDING, side="right")
        return float(np.append(0.0, level[order])[which])
    which = np.searchsorted(ended, share - _ROUNDING, side="left")
    return float(np.append(level[order], 1.0)[which])


def keep_level(level: Floats, life: npt.NDArray[np.int64]) -> float | None:
    """Return the level below which at most 2 % of lives end (conformal risk control: Angelopoulos
    and others 2022). `level`: where each row's advice would be wrong. None if there are too few
    lives to prove it."""
    lives = np.unique(life)
    allowed = int(np.floor(WRONG * (len(lives) + 1) + _ROUNDING)) - 1
    if allowed < 0:
        return None
    least = np.sort([np.nanmin(np.append(level[life == one_life], 1.0)) for one_life in lives])
    return float(least[allowed] * _MARGIN)


def train_life(
    dataset: Dataset, ends: LifeEnds, seed: int, cutoff_ms: int
) -> tuple[LifeModel | None, str]:
    """Return the model of the remaining life, and how it did on unseen lives; without a model, why
    there is none. `cutoff_ms`: last instant from which it may learn."""
    rows = rows_of_lives(dataset)
    seen = rows.select(rows.ends_at <= cutoff_ms)
    unseen = rows.select((rows.ends_at > cutoff_ms) & rows.is_test & rows.failed)
    for name, lives in (("learn from", seen), ("check it", unseen)):
        if (count := lives.count_failures()) < FEWEST_LIVES:
            return None, (
                f"No remaining life is estimated: there are {count} lives with a failure to {name} "
                f"and {FEWEST_LIVES} are needed."
            )
    plan = LifePlan.from_ends(ends)
    seen = spread_rows(seen, _MOST_CHECKED)
    edges = interval_edges(seen.time_left, dataset.plan.stride_ms)
    columns = Columns.from_plan(dataset.plan)
    hazards = {
        family: _out_of_fold(family, seen, columns, edges, seed)
        for family in BUILT_IN
        if get_family(family).of_lives is not None
    }
    family = min(hazards, key=lambda name: loss_of(hazards[name], seen, edges))
    levels = calibrate(hazards[family], seen, edges, plan)
    estimator = fit_hazard(family, spread_rows(seen), columns, edges, seed)
    model = LifeModel(estimator, edges, levels, plan.every_ms, "")
    unseen = spread_rows(unseen, _MOST_CHECKED)
    estimates = model.times(unseen.matrix, unseen.age, plan)
    ended = KnownLives(unseen.age, unseen.time_left, unseen.life)
    check = check_lives(estimates, ended, plan.every_ms, _mean_life(seen))
    if not check.is_calibrated:
        return None, f"{check.message} No remaining life is shown: it holds less often than stated."
    message = check.message
    if levels.keep is not None and check.wrong > WRONG * len(check.coverage):
        model = replace(model, levels=levels._replace(keep=None))
        message = f"{message} The advice is not given."
    return replace(model, check=message), message


def refit_life(dataset: Dataset, seed: int, twin: LifeModel) -> LifeModel:
    """Return the twin's model of the remaining life fitted on all lives; intervals, levels and
    check are the twin's."""
    estimator = fit_hazard(
        twin.estimator.family,
        spread_rows(rows_of_lives(dataset)),
        Columns.from_plan(dataset.plan),
        twin.edges_ms,
        seed,
    )
    return replace(twin, estimator=estimator)


def _out_of_fold(
    family: str, rows: LifeRows, columns: Columns, edges: tuple[float, ...], seed: int
) -> Floats:
    """Return the cumulative hazards of each row by a model that has not seen its life."""
    first = np.unique(rows.life, return_index=True)[1]
    in_time = rows.life[first[np.argsort(rows.ends_at[first], kind="stable")]]
    rank = {life: position % _FOLDS for position, life in enumerate(in_time.tolist())}
    fold = np.array([rank[life] for life in rows.life.tolist()])
    hazards = np.empty((len(rows.life), len(edges)))
    for number in np.unique(fold):
        left_out = fold == number
        estimator = fit_hazard(family, spread_rows(rows.select(~left_out)), columns, edges, seed)
        model = LifeModel(estimator, edges, _UNSEEN, None, "")
        hazards[left_out] = model.hazards(rows.matrix[left_out], rows.age[left_out])
    return hazards


def calibrate(
    hazards: Floats, rows: LifeRows, edges: tuple[float, ...], plan: LifePlan
) -> LifeLevels:
    """Return the levels at which the interval holds, found on hazards out of fold."""
    level = level_at(hazards, edges, rows.time_left)
    low, median, high = (
        level_quantile(level, rows.failed, rows.weight, share, unseen)
        for share, unseen in ((_TAIL, 0.5), (0.5, 0.0), (1 - _TAIL, 0.5))
    )
    keep = None
    if plan.every_ms is not None:
        failed = rows.select(rows.failed)
        latest = np.maximum(latest_of(failed.age, plan), failed.time_left)
        is_aged = ~np.isnan(latest)
        wrong_at = np.full(len(latest), np.nan)
        wrong_at[is_aged] = level_at(hazards[rows.failed][is_aged], edges, latest[is_aged])
        keep = keep_level(wrong_at, failed.life)
    return LifeLevels(low, median, high, keep)


def _mean_life(rows: LifeRows) -> float:
    """Return the mean length (ms) of the lives that ended with a failure and whose begin is known;
    NaN without one."""
    used = rows.failed & ~np.isnan(rows.age)
    length = (rows.age + rows.time_left)[used]
    return float(np.average(length, weights=rows.weight[used])) if used.any() else float("nan")
