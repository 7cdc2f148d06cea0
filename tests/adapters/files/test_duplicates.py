import numpy as np
import pyarrow as pa
import pytest

from alerting.adapters.files.duplicates import Duplicates

pytestmark = pytest.mark.fast


def find(duplicates, *rows):
    """Rows of (series, at, cell, cell); returns rows that add nothing, and contradictions."""
    series = np.array([r[0] for r in rows], dtype=object)
    at = np.array([r[1] for r in rows], dtype=np.int64)
    cells = [pa.array([r[i] for r in rows], pa.string()) for i in (2, 3)]
    found = duplicates.find(series, at, cells, np.ones(len(rows), dtype=bool))
    return np.flatnonzero(found.same).tolist(), found.contradictions


ROWS = [
    # different instants or series are no repetition
    ([("a", 1, "1", "x"), ("b", 1, "2", "y"), ("a", 2, "1", "x")], ([], {})),
    # the same row again adds nothing, however its numbers are written
    ([("a", 1, "1.0", "x"), ("a", 2, "5", "x"), ("a", 1, "1.00", None)], ([2], {})),
    # another value is a contradiction in that column
    ([("a", 1, "1", "x"), ("a", 1, "1", "y")], ([], {1: 1})),
    # rows that complete each other are neither
    ([("a", 1, "1", None), ("a", 1, None, "x"), ("a", 1, "2", None)], ([], {2: 0})),
]


def test_the_same_row_adds_nothing_and_another_value_contradicts():
    assert [(rows, find(Duplicates(), *rows)) for rows, _ in ROWS] == ROWS


def test_the_last_row_of_each_series_is_remembered_from_chunk_to_chunk():
    duplicates = Duplicates()
    find(duplicates, ("a", 1, "1", "x"), ("b", 1, "2", "y"), ("a", 2, "3", "z"))
    find(duplicates, ("c", 9, "1", "x"))
    assert find(duplicates, ("b", 1, "2", "y"), ("a", 2, "4", "z"), ("d", 2, "4", "z")) == (
        [0],
        {1: 0},
    )
    assert find(duplicates, ("c", 9, "1", "x")) == ([0], {})
