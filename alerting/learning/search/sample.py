"""The training rows of a search: all, or a sample of a large table.

All rows of the rarer class stay; the other class is thinned evenly in time, and each row that stays
has the weight of the rows that it represents, so that prevalence and probabilities remain the same.
Only trials are fitted and compared on the sample: a candidate's metrics and out-of-fold scores are
of all rows, and the chosen candidate is fitted on all rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from alerting.detection.problems import BoolArray
from alerting.learning.data.dataset import Dataset
from alerting.learning.features.moments import Floats

MOST_SEARCHED = 150_000  # rows, of a table with at most MOST_CELLS
MOST_CELLS = 60_000_000  # rows times columns; a wider table is searched on fewer rows
LEAST_SEARCHED = 20_000  # however many columns there are
Positions = npt.NDArray[np.int64]


@dataclass(frozen=True)
class SearchSample:
    """Rows of a search: by row of the dataset, whether the search uses it, and its weight there.

    `notes`: a sentence where rows were excluded, none otherwise.
    """

    selected: BoolArray
    weight: Floats
    notes: tuple[str, ...]

    @property
    def thinned(self) -> bool:
        """Return whether any row was excluded."""
        return bool(self.notes)

    def select_rows(self, rows: Positions) -> Positions:
        """Return the rows (positions) that belong to the sample."""
        return rows[self.selected[rows]]

    def weights(self, rows: Positions) -> Floats | None:
        """Return weights of some rows of the sample (positions); None where all are 1."""
        weight = self.weight[rows]
        return None if (weight == 1.0).all() else weight


def search_sample(dataset: Dataset, most: int | None = None) -> SearchSample:
    """Return a sample of at most `most` rows (default: fewer with many columns)."""
    if most is None:
        most = min(MOST_SEARCHED, max(LEAST_SEARCHED, MOST_CELLS // len(dataset.plan.columns)))
    train = np.flatnonzero(dataset.part == "train")
    selected = np.ones(len(dataset.label), np.bool_)
    weight = dataset.weight.copy()
    if len(train) <= most:
        return SearchSample(selected, weight, ())
    with_problem, without = (train[dataset.label[train] == value] for value in (1, 0))
    first = min(len(with_problem), max(most // 2, most - len(without)))
    selected[train] = False
    for rows, count in ((with_problem, first), (without, most - first)):
        selected[evenly(rows, count)] = True
        weight[rows] *= len(rows) / max(count, 1)
    note = (
        f"searched on {most:,} of {len(train):,} training rows ({_share(first, len(with_problem))} "
        f"with a problem ahead, {_share(most - first, len(without))} without, evenly in time and "
        "weighted); figures and the final fit are of all rows"
    )
    return SearchSample(selected, weight, (note,))


def evenly(rows: Positions, count: int) -> Positions:
    """Return `count` of the rows, as evenly spaced as possible; all where there are no more."""
    if count >= len(rows):
        return rows
    return rows[(np.arange(count, dtype=np.int64) * len(rows) + len(rows) // 2) // count]


def _share(count: int, of: int) -> str:
    return f"all {of:,}" if count == of else f"{count:,} of {of:,}"
