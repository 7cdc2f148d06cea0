"""Chance: the figures that scores reach on labels which tell nothing of them.

Labels are shifted circularly in time within each asset and fold, so their runs and the spacing of
problems stay while their relation to the scores is lost. Every trial is scored on the same shifts:
the maximum over all trials is then what the best of a whole search reaches by chance, and no model
is fitted again (Westfall and Young 1993, on shifts instead of permutations).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, sqrt

import numpy as np
import numpy.typing as npt

from alerting.detection.problems import BoolArray
from alerting.learning.data.dataset import Dataset
from alerting.learning.features.moments import Floats
from alerting.learning.search.candidates import Fold
from alerting.learning.search.sample import MOST_SEARCHED, Positions, evenly

SHIFTS = 400
NOTHING_TRIED = np.zeros(SHIFTS)  # of nothing tried
_AT_ONCE = 4_000_000  # ranks that are sorted together
Ranks = npt.NDArray[np.int32]


@dataclass(frozen=True)
class _ShiftedFold:
    """The scored rows of a fold, and where its positives lie after each shift.

    By positive: its `position` in the rows of its asset, where these `begin` among the rows of the
    fold, how many they are (`length`), and the number of the `asset`. `offsets`: shifts x assets.
    """

    rows: Positions
    position: Positions
    begin: Positions
    length: Positions
    asset: Positions
    offsets: npt.NDArray[np.int64]

    @property
    def prevalence(self) -> float:
        return len(self.position) / max(len(self.rows), 1)

    def average_precisions(self, score: Floats) -> Floats:
        """Return the average precision of the scores of the rows on each shift of the labels."""
        if not len(self.position):
            return np.zeros(SHIFTS)
        at_or_above = (len(score) - np.searchsorted(np.sort(score), score, side="left")).astype(
            np.int32
        )
        step = max(_AT_ONCE // len(self.position), 1)
        return np.concatenate(
            [self._shift(at_or_above, self.offsets[i : i + step]) for i in range(0, SHIFTS, step)]
        )

    def _shift(self, at_or_above: Ranks, offsets: npt.NDArray[np.int64]) -> Floats:
        """Return the same for some shifts. `at_or_above`: rows that score no lower."""
        shifted = self.begin + (self.position + offsets[:, self.asset]) % self.length
        below = np.sort(at_or_above[shifted], axis=1)
        found = np.broadcast_to(np.arange(1, below.shape[1] + 1), below.shape)
        ties = below[:, :-1] == below[:, 1:]
        if ties.any():  # rows of one score are found together
            last = np.where(np.pad(ties, ((0, 0), (0, 1))), below.shape[1], found)
            found = np.minimum.accumulate(last[:, ::-1], axis=1)[:, ::-1]
        return np.asarray((found / below).mean(axis=1), np.float64)


class ShiftedLabels:
    """The labels of all folds' scored rows, shifted SHIFTS times, always alike.

    `rows`: by fold, the positions of its scored rows: all test rows; of a large table as many as a
    search uses, evenly in time. `problems`: runs of rows with a problem ahead among them.
    """

    def __init__(self, dataset: Dataset, folds: Sequence[Fold], seed: int) -> None:
        total = sum(len(fold.test) for fold in folds)
        random = np.random.default_rng(seed)
        self._folds = [
            _shift_fold(
                dataset,
                evenly(fold.test, ceil(len(fold.test) * min(1.0, MOST_SEARCHED / total))),
                random,
            )
            for fold in folds
        ]
        self.rows = [fold.rows for fold in self._folds]
        self._problems = [count_problems(dataset, rows) for rows in self.rows]
        self.problems = sum(self._problems)

    @property
    def prevalence(self) -> float:
        """Return the share of rows with a problem ahead, on average over the folds."""
        return float(np.mean([fold.prevalence for fold in self._folds])) if self._folds else 0.0

    def evaluate(self, scores: Sequence[Floats]) -> Floats:
        """Return the mean average precision over the folds on each shift, of scores of `rows`.

        A pruned trial has scored the first folds alone, whose few problems scatter more than those
        of all: what it reaches above their prevalence counts by the square root of their share of
        the problems, so that it scatters as if it had scored all folds.
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
    near = max(1, ceil((dataset.gap_ms + dataset.horizon_ms) / dataset.plan.stride_ms))
    least = np.minimum(near, counts // 4)
    offsets = random.integers(
        least, np.maximum(counts - least, least + 1), size=(SHIFTS, len(counts))
    )
    positive = np.flatnonzero(dataset.label[rows] == 1)
    asset = number[positive]
    return _ShiftedFold(rows, positive - first[asset], first[asset], counts[asset], asset, offsets)


def count_problems(dataset: Dataset, rows: Positions | BoolArray) -> int:
    """Return the number of runs of rows with a problem ahead among these, of one asset each."""
    label = dataset.label[rows]
    asset = dataset.asset[rows]
    begins = (label == 1) & np.append(True, (label[:-1] == 0) | (asset[1:] != asset[:-1]))[
        : len(label)
    ]
    return int(begins.sum())
