"""The pairs of columns that a search adds are those of its own rows, whatever was asked before."""

from dataclasses import replace

import numpy as np
import pytest

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


def test_rows_that_differ_in_their_labels_have_pairs_of_their_own():
    for first, second in ((0, 1), (2, 5), (0, 1)):
        label = (MATRIX[:, first] + MATRIX[:, second] > 1).astype(np.int8)
        assert find(LabelledRows(MATRIX, label)).of == ((first, second),)


def test_rows_that_differ_in_their_weights_have_pairs_of_their_own():
    for half, found in ((FIRST_HALF, (0, 1)), (~FIRST_HALF, (3, 4))):
        rows = LabelledRows(MATRIX, HALVES, np.where(half, 1.0, 1e-6))
        assert find(rows).of == (found,)


def test_rows_that_differ_in_their_values_have_pairs_of_their_own():
    label = (MATRIX[:, 0] + MATRIX[:, 1] > 1).astype(np.int8)
    rows = LabelledRows(MATRIX, label)
    find(rows)
    assert find(replace(rows, matrix=MATRIX[:, ::-1])).of == ((4, 5),)


def test_another_seed_finds_pairs_of_its_own():
    noise = np.random.default_rng(5).integers(0, 2, len(MATRIX)).astype(np.int8)
    rows = LabelledRows(MATRIX, noise)
    assert len({find(rows, 3, seed).of for seed in range(6)}) > 1


@pytest.mark.parametrize("most", [0, 2, 3])
def test_sets_that_ask_for_more_or_fewer_pairs_get_their_number(most):
    label = (MATRIX[:, 0] + MATRIX[:, 1] > 1).astype(np.int8)
    found = find(LabelledRows(MATRIX, label), most).of
    assert len(found) == most * (most - 1) // 2
