"""The pairs of columns that a search adds are those of its own rows, whatever was asked before."""

from dataclasses import replace

import numpy as np

from alerting.learning.features.encoding import ColumnPairs, Columns
from alerting.learning.models.families.contract import LabelledRows
from alerting.learning.models.families.lightgbm import informative_pairs

COLUMNS = Columns(tuple("abcdef"), {})
MATRIX = np.random.default_rng(3).normal(size=(1200, 6))
FIRST_HALF = np.arange(1200) < 600
HALVES = np.where(
    FIRST_HALF, MATRIX[:, 0] + MATRIX[:, 1] > 1, MATRIX[:, 3] + MATRIX[:, 4] > 1
).astype(np.int8)


def find(rows: LabelledRows, most: int = 2, seed: int = 1) -> ColumnPairs:
    return informative_pairs({"pairs": most}, COLUMNS, rows, seed, 1)


def labelled(first, second):
    """Rows of which the sum of two columns decides."""
    return LabelledRows(MATRIX, (MATRIX[:, first] + MATRIX[:, second] > 1).astype(np.int8))


def test_rows_that_differ_in_labels_weights_or_values_have_pairs_of_their_own():
    columns = [(0, 1), (2, 5), (0, 1)]
    assert [find(labelled(*pair)).of for pair in columns] == [(pair,) for pair in columns]
    halves = [
        LabelledRows(MATRIX, HALVES, np.where(half, 1.0, 1e-6))
        for half in (FIRST_HALF, ~FIRST_HALF)
    ]
    assert [find(rows).of for rows in halves] == [((0, 1),), ((3, 4),)]
    assert find(replace(labelled(0, 1), matrix=MATRIX[:, ::-1])).of == ((4, 5),)
    noise = np.random.default_rng(5).integers(0, 2, len(MATRIX)).astype(np.int8)
    assert len({find(LabelledRows(MATRIX, noise), 3, seed).of for seed in range(6)}) > 1
    assert {most: len(find(labelled(0, 1), most).of) for most in (0, 2, 3)} == {0: 0, 2: 1, 3: 3}
