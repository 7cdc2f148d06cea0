"""Fit, calibrate and check a model of the remaining life.

A life is never on two sides: folds and parts hold whole lives, and the check uses lives that ended
after everything from which fit and calibration have learned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.stats import t

from alerting.definitions.alert_definition import LifeEnds
from alerting.definitions.faults import name_fault
from alerting.definitions.fields.learning import BUILT_IN, Learning
from alerting.definitions.wording.language import spoken_about, spoken_share
from alerting.learning.data.dataset import Dataset
from alerting.learning.experiment.experiment import Experiment
from alerting.learning.experiment.folds import Fold, cut_by_group
from alerting.learning.features.lives import LIFE_SHARES, mean_by_life
from alerting.learning.features.plan import FeaturePlan
from alerting.learning.models.families.contract import LabelledRows, get_family
from alerting.learning.models.life_model import (
    MOST_CELLS,
    STATED,
    LifeLevels,
    LifeModel,
    Rows,
    expand_rows,
    hazard_columns,
    hazards_of,
    latest_of,
    level_at,
)
from alerting.learning.models.trained import Estimator
from alerting.readings.history import BoolArray, Floats, Millis, Positions

FEWEST_LIVES = 8
WRONG = 0.02  # share of lives that may end before advice to keep the part says
_CHANCE = 0.05
_TAIL = (1 - STATED) / 2
_FOLDS = 5
_ROUNDING = 1e-9
# Share of a level that the worst of few lives decides: without it 3.1 % of simulated lives were
# wrong.
_MARGIN = 0.5
_INTERVALS = 30
_MOST_ROWS = 2_500  # of all lives, evenly spread in each
_TIMES_AT_ONCE = 4  # as many cells as are expanded together may be fitted on
_MOST_CHECKED = 20_000


class LifeRows(NamedTuple):
    """Rows of lives. `row`: positions among the rows of a dataset; `features`: as of
    `build_life_features`; `time_left` (ms), `failed`: as in `row_lives`. `life`: number of the
    life; `ends_at`: instant (ms) of its end, or of the last reading. `is_test`: whether a row is of
    the test period."""

    row: Positions
    features: Floats
    time_left: Floats
    failed: BoolArray
    life: npt.NDArray[np.int64]
    ends_at: Millis
    is_test: BoolArray

    def select(self, rows: npt.NDArray[Any]) -> LifeRows:
        """Return some rows (a mask or positions)."""
        return LifeRows(*(part[rows] for part in self))

    @property
    def age(self) -> Floats:
        """Return the age of the part (ms), NaN where it is not known."""
        return self.features[:, 0]

    @property
    def weight(self) -> Floats:
        """Return the weight of each row, so that all lives count alike; together the number of
        lives."""
        _, number, count = np.unique(self.life, return_inverse=True, return_counts=True)
        return np.asarray(1 / count[number], np.float64)


def rows_of_lives(dataset: Dataset) -> LifeRows:
    """Return the rows of a dataset that live evaluation would score, by their lives."""
    time_left, failed, number = dataset.lives[:, 1:4].T
    _, asset = np.unique(dataset.asset.astype(str), return_inverse=True)
    _, life = np.unique(np.column_stack([asset, number]), axis=0, return_inverse=True)
    is_test = np.asarray(dataset.part == "test", np.bool_)
    ends_at = dataset.at + time_left.astype(np.int64)
    row = np.arange(len(number))
    rows = LifeRows(row, dataset.life_features, time_left, failed == 1, life, ends_at, is_test)
    return rows.select(time_left > 0)


def spread_rows(rows: LifeRows, most: int = _MOST_ROWS) -> LifeRows:
    """Return at most so many rows, evenly spread over each life."""
    lives = np.unique(rows.life)
    per_life = max(2, most // max(1, len(lives)))
    chosen = []
    for life in lives:
        of_life = np.flatnonzero(rows.life == life)
        chosen.append(of_life[np.unique(np.linspace(0, len(of_life) - 1, per_life).astype(int))])
    return rows.select(np.concatenate(chosen))


def person_periods(
    time_left: Floats, failed: BoolArray, edges: Sequence[float]
) -> tuple[Rows, Rows, BoolArray]:
    """Return pairs of a row and an interval ahead in which its part was at risk, and whether its
    life ended there: the intervals that each row survived, and the one in which its life ended with
    a failure. An interval in which it was replaced or the data ended is left out."""
    survived = np.searchsorted(edges, time_left, side="right")
    within = np.where(failed, np.searchsorted(edges, time_left, side="left"), survived)
    count = within + (failed & (within < len(edges)))
    row = np.repeat(np.arange(len(time_left)), count)
    interval = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
    return row, interval, failed[row] & (interval == within[row])


def interval_edges(time_left: Floats, stride_ms: int) -> tuple[float, ...]:
    """Return the ends of the intervals ahead (ms), each longer than the one before by the same
    factor, up to the longest time."""
    longest = float(max(time_left.max(), 2 * stride_ms))
    return tuple(np.geomspace(min(stride_ms, longest / 2), longest, _INTERVALS).tolist())


class LifeExperiment(Experiment[Estimator]):
    """The hazard of each interval ahead, by a family (the parameter `family`), in folds of whole
    lives. `matrix`: features, to which `lives.row` refers; `edges`: ends of the intervals (ms)."""

    def __init__(
        self,
        lives: LifeRows,
        matrix: Floats,
        plan: FeaturePlan,
        edges: tuple[float, ...],
        seed: int,
    ) -> None:
        self.rows = len(lives.life)
        self.folds = cut_by_group(lives.life, lives.failed, _FOLDS)
        self._lives = lives
        self._matrix = matrix
        self._columns = hazard_columns(plan, len(edges))
        self._edges = edges
        self._seed = seed

    def fit(self, params: Mapping[str, Any], fold: Fold) -> Estimator:
        """Fit on rows spread over all lives of `fold.train`; of the intervals that they survived,
        some stand for all where all would need too much memory."""
        lives = spread_rows(self._lives.select(fold.train))
        row, interval, ended = person_periods(lives.time_left, lives.failed, self._edges)
        every = -(-len(row) * len(self._columns.names) // (_TIMES_AT_ONCE * MOST_CELLS))
        is_used = ended | (np.random.default_rng(self._seed).random(len(row)) * every < 1)
        row, interval, ended = (part[is_used] for part in (row, interval, ended))
        matrix = expand_rows(self._matrix[lives.row], lives.features, row, interval, self._edges)
        weight = lives.weight[row] * np.where(ended, 1, every)
        labelled = LabelledRows(matrix, ended.astype(np.int8), weight / weight.mean())
        family = get_family(params["family"])
        of_lives = {**family.defaults, **(family.of_lives or {})}
        return family.fit(of_lives, self._columns, labelled, self._seed)

    def predict(self, fitted: Estimator, params: Mapping[str, Any], rows: Positions) -> Floats:
        """Return the cumulative hazards (rows x intervals)."""
        lives = self._lives.select(rows)
        return hazards_of(fitted, self._edges, self._matrix[lives.row], lives.features)

    def loss(self, predicted: Floats, rows: Positions) -> float:
        """Return the log loss, summed over lives, in which all count alike."""
        return float(self.losses(predicted, rows).sum())

    def losses(self, predicted: Floats, rows: Positions) -> Floats:
        """Return the log loss of each life: the mean of its rows."""
        lives = self._lives.select(rows)
        within = np.searchsorted(self._edges, lives.time_left, side="left")
        within = np.minimum(within, len(self._edges) - 1)
        reached = np.column_stack([np.zeros(len(rows)), predicted])
        row = np.arange(len(rows))
        before = reached[row, within]
        ended = np.log(-np.expm1(before - reached[row, within + 1]))
        return mean_by_life(lives.life, before - np.where(lives.failed, ended, 0.0))


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
    dataset: Dataset, ends: LifeEnds, learning: Learning, cutoff_ms: int
) -> tuple[LifeModel | None, str]:
    """Return the model of the remaining life, and how it did on unseen lives; without a model, why
    there is none. `cutoff_ms`: last instant from which it may learn."""
    rows = rows_of_lives(dataset)
    seen = rows.select(rows.ends_at <= cutoff_ms)
    unseen = rows.select((rows.ends_at > cutoff_ms) & rows.is_test & rows.failed)
    for name, lives in (("learn from", seen), ("check it", unseen)):
        if (count := len(np.unique(lives.life[lives.failed]))) < FEWEST_LIVES:
            return None, (
                f"No remaining life is estimated: there are {count} lives with a failure to {name} "
                f"and {FEWEST_LIVES} are needed."
            )
    seen = spread_rows(seen, _MOST_CHECKED)
    unseen = spread_rows(unseen, _MOST_CHECKED)
    edges = interval_edges(seen.time_left, dataset.plan.stride_ms)
    experiment = LifeExperiment(seen, dataset.matrix, dataset.plan, edges, learning.seed)
    every = np.arange(experiment.rows)
    hazards: list[Floats] = []
    fitted: list[Estimator] = []
    failed: list[str] = []
    for family in [name for name in BUILT_IN if get_family(name).of_lives is not None]:
        try:
            of_fold = experiment.out_of_fold({"family": family})
            fitted.append(experiment.refit({"family": family}, every))
            hazards.append(of_fold)
        except Exception as fault:
            failed.append(f"{family} failed ({name_fault(fault)})")
    if not fitted:
        return None, f"No remaining life is estimated: {', '.join(failed)}."
    losses = [experiment.losses(of_fold, every) for of_fold in hazards]
    best = int(np.argmin([of_lives.sum() for of_lives in losses]))
    together = np.mean(hazards, axis=0)  # errors of both partly cancel
    is_mean = gains_beyond_chance(losses[best] - experiment.losses(together, every))
    chosen = together if is_mean else hazards[best]
    estimators = tuple(fitted if is_mean else fitted[best : best + 1])
    model = LifeModel(estimators, edges, *calibrate(chosen, seen, edges, ends), ends.planned_ms)
    times = model.times(dataset.matrix[unseen.row], unseen.features, ends)
    check = check_lives(unseen, times, ends, seen)
    notes = [f"{fault}; it is left out." for fault in failed]
    usual = float(median_time_left(seen, np.zeros(1))[0])
    longest = max(dataset.plan.life_windows_ms, default=np.inf)
    if longest < LIFE_SHARES[-1] * usual / 2:
        notes.append(
            f"It compares means of {spoken_about(timedelta(milliseconds=longest))}, not of a fifth "
            "of the usual life, of which each evaluation would read too much."
        )
    message = " ".join([check.message, *notes])
    if not check.is_calibrated:
        return None, f"{message} No remaining life is shown: it holds less often than stated."
    if check.error >= check.error_by_age:
        return None, f"{message} No remaining life is shown: the age alone says as much."
    if model.levels.keep is not None and check.is_wrong:
        model = replace(model, levels=model.levels._replace(keep=None))
        message = f"{message} The advice is not given."
    return model, message


def refit_life(dataset: Dataset, seed: int, twin: LifeModel) -> LifeModel:
    """Return the twin's model of the remaining life fitted on all lives; intervals and levels are
    the twin's."""
    lives = rows_of_lives(dataset)
    experiment = LifeExperiment(lives, dataset.matrix, dataset.plan, twin.edges_ms, seed)
    every = np.arange(experiment.rows)
    families = [estimator.family for estimator in twin.estimators]
    fitted = (experiment.refit({"family": family}, every) for family in families)
    return replace(twin, estimators=tuple(fitted))


def calibrate(
    hazards: Floats, rows: LifeRows, edges: tuple[float, ...], ends: LifeEnds
) -> tuple[LifeLevels, LifeLevels]:
    """Return the levels at which the interval holds of parts of known and of unknown age, found on
    hazards out of fold. Those of unknown age are many in a history, where the first life of each
    asset is one, and few in service; with too few lives of either, both share the levels."""
    level = level_at(hazards, edges, rows.time_left)
    is_known = ~np.isnan(rows.age)
    levels = []
    for some in (is_known, ~np.isin(rows.life, rows.life[is_known])):
        lives = np.unique(rows.life[some & rows.failed])
        chosen = np.flatnonzero(some | (len(lives) < FEWEST_LIVES))
        part = rows.select(chosen)
        low, median, high = (
            level_quantile(level[chosen], part.failed, part.weight, share, unseen)
            for share, unseen in ((_TAIL, 0.5), (0.5, 0.0), (1 - _TAIL, 0.5))
        )
        levels.append(LifeLevels(low, median, high, None))
    aged, ageless = levels
    if ends.planned_ms:
        proven = is_known & rows.failed
        wrong_at = level_at(hazards, edges, np.maximum(latest_of(rows.age, ends), rows.time_left))
        aged = aged._replace(keep=keep_level(wrong_at[proven], rows.life[proven]))
    return aged, ageless


class LifeCheck(NamedTuple):
    """Estimates compared with lives that ended with a failure. `is_calibrated`: the interval holds
    as often as stated, or less often only by chance. `is_wrong`: advice to keep the part was wrong
    in too many lives. `error`, `error_by_age`: mean error (ms) of the middle, and of the median
    time that lives of the same age lasted. `message`: how they did, in sentences."""

    is_calibrated: bool
    is_wrong: bool
    error: float
    error_by_age: float
    message: str


def median_time_left(earlier: LifeRows, age: Floats) -> Floats:
    """Return the median time (ms) that failed lives lasted beyond each age; 0 beyond them all, and
    that of all rows for an age that is not known."""
    _, first = np.unique(earlier.life[earlier.failed], return_index=True)
    lasted = (earlier.age + earlier.time_left)[earlier.failed][first]
    lasted = np.sort(lasted[~np.isnan(lasted)])
    longer = np.searchsorted(lasted, age, side="right")
    middle = (longer + len(lasted) - 1) / 2
    usual = np.interp(middle, np.arange(len(lasted)), lasted) - age if len(lasted) else 0.0 * age
    remaining = np.where(longer < len(lasted), usual, 0.0)
    return np.where(np.isnan(age), np.median(earlier.time_left[earlier.failed]), remaining)


def gains_beyond_chance(by_life: Floats) -> bool:
    """Return whether a loss that is less by these amounts, one for each life, is less for others,
    too: in fewer than 1 of 20 cases a mean as great comes by chance."""
    return bool(by_life.mean() > _margin(by_life))


def _margin(by_life: Floats) -> float:
    """Return by how much the mean over lives may exceed the true one by chance, in 1 of 20
    cases."""
    deviation = by_life.std(ddof=1) / np.sqrt(len(by_life))
    return float(t.ppf(1 - _CHANCE, len(by_life) - 1) * deviation)


def check_lives(rows: LifeRows, times: Floats, ends: LifeEnds, earlier: LifeRows) -> LifeCheck:
    """Compare estimates with lives that ended with a failure. `earlier`: rows of earlier lives."""
    low, median, high, keep = times.T
    time_left = rows.time_left
    share = mean_by_life(rows.life, (low <= time_left) & ~(time_left > high))
    guess = np.where(np.isnan(median), low, median)
    error, error_by_age = (
        float(mean_by_life(rows.life, np.abs(estimate - time_left)).mean())
        for estimate in (guess, median_time_left(earlier, rows.age))
    )
    message = (
        f"Remaining life: on {len(share)} unseen lives the interval held "
        f"{spoken_share(float(share.mean()))} of the time ({spoken_share(STATED)} stated); its "
        f"middle is {spoken_about(timedelta(milliseconds=error))} off on average, a guess by the "
        f"age alone {spoken_about(timedelta(milliseconds=error_by_age))}."
    )
    wrong = len(np.unique(rows.life[time_left < keep]))
    outlived = np.unique(rows.life[rows.age + time_left > ends.planned_ms])
    advised = np.intersect1d(outlived, rows.life[(keep > 0) & (rows.age <= ends.planned_ms)])
    if ends.planned_ms and len(outlived):
        message += (
            f" Advice to keep the part longer than planned: in {len(advised)} of {len(outlived)} "
            f"lives that lasted longer than the plan, wrong in {wrong} of {len(share)} lives."
        )
    is_calibrated = bool(share.mean() + _margin(share) >= STATED)
    return LifeCheck(is_calibrated, wrong > WRONG * len(share), error, error_by_age, message)
