"""What chance alone would give: the labels of the scored rows shifted in time, by which a score is
compared with it; the placements of problems among the rows of validation; and a rate of events.

Labels are shifted circularly in time within each asset and fold, so their runs and the spacing of
problems stay while their relation to the scores is lost. Every trial is scored on the same shifts:
the maximum over all trials is then what the best of a whole search reaches by chance, and no model
is fitted again (Westfall and Young 1993, on shifts instead of permutations).

The rows after a problem (its recovery) are no rows of a fold. A score that varies slowly, and is
high before a problem by chance, would be high there too. So as many rows after a shifted problem
are left out; otherwise noise exceeds its bound twice as often as stated.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, sqrt
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from alerting.learning.data.dataset import Dataset
from alerting.learning.experiment.folds import Fold, evenly
from alerting.readings.history import BoolArray, Floats, Positions

MOST_SCORED = 150_000  # rows of all folds
ROUNDING = 1e-9  # equal scores reach the prevalence, but not to the last bit
SHIFTS = 400
PLACEMENTS = 2_000
NOTHING_TRIED = np.zeros(SHIFTS)  # of nothing tried
_UNLIKELY = 0.05  # probability of so many events, below which they are too many
_AT_ONCE = 4_000_000  # ranks that are sorted together
Ranks = npt.NDArray[np.int32]


class _AssetRows(NamedTuple):
    """Some rows of a fold: their `position` among the rows of their asset; where these rows `begin`
    in the fold, and their number (`length`); and the number of the `asset`."""

    position: Positions
    begin: Positions
    length: Positions
    asset: Positions

    def shift(self, offsets: npt.NDArray[np.int64]) -> Positions:
        """Return the positions of the rows after shifts (shifts x assets)."""
        moved: Positions = (self.position + offsets[:, self.asset]) % self.length
        return self.begin + moved


@dataclass(frozen=True)
class _ShiftedFold:
    """The scored rows of a fold, and where its positives lie after each shift.

    `after`: the rows after problems, which shifts leave out. `offsets`: shifts x assets.
    """

    rows: Positions
    positive: _AssetRows
    after: _AssetRows
    offsets: npt.NDArray[np.int64]

    @property
    def prevalence(self) -> float:
        return len(self.positive.position) / max(len(self.rows), 1)

    def average_precisions(self, score: Floats) -> Floats:
        """Return the average precision of the scores of the rows on each shift of the labels."""
        if not len(self.positive.position):
            return np.zeros(SHIFTS)
        at_or_above = (len(score) - np.searchsorted(np.sort(score), score, side="left")).astype(
            np.int32
        )
        step = max(_AT_ONCE // (len(self.positive.position) + len(self.after.position)), 1)
        return np.concatenate(
            [self._shift(at_or_above, self.offsets[i : i + step]) for i in range(0, SHIFTS, step)]
        )

    def _shift(self, at_or_above: Ranks, offsets: npt.NDArray[np.int64]) -> Floats:
        """Return the average precision on some shifts. `at_or_above`: rows that score no lower."""
        below = np.sort(at_or_above[self.positive.shift(offsets)], axis=1)
        hits = np.broadcast_to(np.arange(1, below.shape[1] + 1), below.shape)
        ties = below[:, :-1] == below[:, 1:]
        if ties.any():  # rows of one score are found together
            last = np.where(np.pad(ties, ((0, 0), (0, 1))), below.shape[1], hits)
            hits = np.minimum.accumulate(last[:, ::-1], axis=1)[:, ::-1]
        count = len(self.after.position)
        if count:
            left_out = np.sort(at_or_above[self.after.shift(offsets)], axis=1)
            # all shifts are searched at once, each in a range of its own
            number = np.arange(len(offsets))[:, None]
            start = number * (len(at_or_above) + 1)
            before = np.searchsorted((left_out + start).ravel(), below + start, side="right")
            negative = len(at_or_above) - below.shape[1]
            # the other rows without a problem count for those left out: their share stays
            weight = negative / max(negative - count, 1)
            below = hits + weight * (below - (before - number * count) - hits)
        return np.asarray((hits / below).mean(axis=1), np.float64)


class ShiftedLabels:
    """The labels of the scored rows of all folds, shifted SHIFTS times, each time by the same
    shifts.

    `rows`: by fold, the positions of its scored rows: all test rows; of a large table as many as a
    search uses, evenly in time. `problems`: runs of rows with a problem ahead among them.
    """

    def __init__(self, dataset: Dataset, folds: Sequence[Fold], seed: int) -> None:
        total = sum(len(fold.test) for fold in folds)
        random = np.random.default_rng(seed)
        self._folds = [
            _shift_fold(
                dataset,
                evenly(fold.test, ceil(len(fold.test) * min(1.0, MOST_SCORED / total))),
                random,
            )
            for fold in folds
        ]
        self.rows = [fold.rows for fold in self._folds]
        self._problems = [dataset.count_problems(rows) for rows in self.rows]
        self.problems = sum(self._problems)

    @property
    def prevalence(self) -> float:
        """Return the share of rows with a problem ahead, on average over the folds."""
        return float(np.mean([fold.prevalence for fold in self._folds])) if self._folds else 0.0

    def evaluate(self, scores: Sequence[Floats]) -> Floats:
        """Return the mean average precision over the folds on each shift, of scores of `rows`.

        A pruned trial has scored only the first folds, whose few problems scatter more than those
        of all folds. Its excess over their prevalence counts by the square root of their share of
        all problems, so that it scatters as if it had scored all folds.
        """
        above = np.mean(
            [
                fold.average_precisions(score) - fold.prevalence
                for fold, score in zip(self._folds, scores, strict=False)
            ],
            axis=0,
        )
        scored = sum(self._problems[: len(scores)]) / max(self.problems, 1)
        return np.asarray(above * sqrt(scored) + self.prevalence, np.float64)


def _shift_fold(dataset: Dataset, rows: Positions, random: np.random.Generator) -> _ShiftedFold:
    """Draw a fold's shifts, none shorter than a label looks ahead, if rows allow."""
    _, first, number = np.unique(
        dataset.asset[rows].astype(str), return_index=True, return_inverse=True
    )
    counts = np.bincount(number)
    near = _label_length(dataset)
    least = np.minimum(near, counts // 4)
    offsets = random.integers(
        least, np.maximum(counts - least, least + 1), size=(SHIFTS, len(counts))
    )
    positive = np.flatnonzero(dataset.label[rows] == 1)
    after = _rows_after(dataset, rows, near)

    def locate(chosen: Positions) -> _AssetRows:
        asset = number[chosen]
        return _AssetRows(chosen - first[asset], first[asset], counts[asset], asset)

    return _ShiftedFold(rows, locate(positive), locate(after), offsets)


def _label_length(dataset: Dataset) -> int:
    """Return how many rows a label looks ahead."""
    return max(1, ceil((dataset.gap_ms + dataset.horizon_ms) / dataset.plan.stride_ms))


def _rows_after(dataset: Dataset, rows: Positions, most: int) -> Positions:
    """Return the rows (positions among `rows`) that represent the rows without evaluation after a
    problem: after each problem as many rows as are missing, at most `most`, except rows before a
    problem."""
    label = dataset.label[rows]
    at = dataset.at[rows]
    asset = dataset.asset[rows]
    if len(rows) < 2:
        return np.empty(0, np.int64)
    usual = max(dataset.plan.stride_ms, float(np.median(np.abs(np.diff(at)))))
    missing = np.diff(at) / usual - 1
    last = np.flatnonzero((label[:-1] == 1) & (asset[1:] == asset[:-1]) & (missing >= 1))
    count = np.minimum(missing[last], most).astype(np.int64)
    rows_by_distance = [
        last[count > number] + 1 + number for number in range(int(count.max(initial=0)))
    ]
    rows_after = np.unique(np.concatenate([np.empty(0, np.int64), *rows_by_distance]))
    rows_after = rows_after[rows_after < len(rows)]
    return np.asarray(rows_after[label[rows_after] == 0], np.int64)


def placed_share(dataset: Dataset, rows: Positions, score: Floats, seed: int) -> float:
    """Return the probability that chance ranks the rows before problems so high; 1 without any.

    `rows`: rows that chose no model; `score`: of all rows of the dataset. Each problem is placed
    PLACEMENTS times anywhere among the rows of its asset, independently, because few rows allow too
    few different common shifts for a small probability. If problems come independently of each
    other, it is exact for any score, even a slow one; problems at regular intervals are not taken
    for chance. Rows count by Savage's scores (1956), minus the logarithm of the share of rows that
    score as high, because the highest scores raise the alarms; the mean before problems is compared
    with that of the other rows.
    """
    rows = evenly(rows, min(len(rows), MOST_SCORED))
    score = score[rows]
    positive = np.flatnonzero(dataset.label[rows] == 1)
    if not len(positive) or len(positive) == len(rows):
        return 1.0
    _, first, number = np.unique(
        dataset.asset[rows].astype(str), return_index=True, return_inverse=True
    )
    counts = np.bincount(number)
    begins = dataset.begin_problems(rows)
    problem = np.cumsum(begins) - 1
    length = counts[number[begins]]
    after = _rows_after(dataset, rows, _label_length(dataset))

    def locate(chosen: Positions) -> _AssetRows:
        begin = first[number[chosen]]
        return _AssetRows(chosen - begin, begin, counts[number[chosen]], problem[chosen])

    as_high = len(score) - np.searchsorted(np.sort(score), score, side="left")
    savage = -np.log(as_high / len(score))
    placed = (locate(positive), locate(after))
    none_after = (placed[0], locate(after[:0]))
    observed = _lead(savage, none_after, np.zeros((1, len(length)), np.int64))[0]
    random = np.random.default_rng(seed)
    step = max(_AT_ONCE // (len(positive) + len(after)), 1)
    reached = 0
    for done in range(0, PLACEMENTS, step):
        size = (min(step, PLACEMENTS - done), len(length))
        leads = _lead(savage, placed, random.integers(0, length, size=size))
        reached += int((leads >= observed - ROUNDING).sum())
    return (reached + 1) / (PLACEMENTS + 1)


def _lead(value: Floats, placed: tuple[_AssetRows, _AssetRows], offsets: Positions) -> Floats:
    """Return, for some placements, the mean of a value before problems minus its mean over other
    rows. `placed`: the rows before problems, and those after them, which are left out."""
    positive, after = placed
    count = len(positive.position)
    others = max(len(value) - count - len(after.position), 1)
    total_before = value[positive.shift(offsets)].sum(axis=1)
    total_after = value[after.shift(offsets)].sum(axis=1)
    total_others = value.sum() - total_before - total_after
    return np.asarray(total_before / count - total_others / others, np.float64)


def share_between_groups(score: Floats, shown: BoolArray, group: npt.NDArray[Any]) -> float:
    """Return the probability by chance that the groups of which a row is `shown` score so high
    beside the others (Mann and Whitney 1947); 1 without others. Each group counts once, by its
    highest score."""
    from scipy.stats import mannwhitneyu  # noqa: PLC0415 - only a training measures

    _, number = np.unique(group, return_inverse=True)
    is_shown = np.bincount(number, shown) > 0
    if is_shown.all() or not is_shown.any():
        return 1.0
    highest = np.full(len(is_shown), -np.inf)
    np.maximum.at(highest, number, score)
    parts = (highest[is_shown], highest[~is_shown])
    return float(mannwhitneyu(*parts, alternative="greater").pvalue)


def is_above_rate(count: int, expected: float) -> bool:
    """Return whether so many events are unlikely (5 %) where `expected` are expected, and come
    independently of each other (Poisson)."""
    from scipy.special import pdtrc  # noqa: PLC0415 - takes 15 MB; only counts of events need it

    return count > 0 and bool(pdtrc(count - 1, expected) < _UNLIKELY)
