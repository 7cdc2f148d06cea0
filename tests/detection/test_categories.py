"""Categories over windows: the value in force, and whether it changed inside."""

import numpy as np
import pytest

from alerting.detection.categories import CategoryValues

pytestmark = pytest.mark.fast

AT = np.array([10, 20, 30, 50], np.int64)
RECIPES = CategoryValues(AT, np.array([*"AABC"], object), longest=40)


def over(values, ends, length, told_apart=None):
    found = values.over_windows(np.array(ends, np.int64), length, told_apart)
    return [*zip(found.values.tolist(), found.changes.tolist(), strict=True)]


def test_a_window_that_begins_at_a_change_is_of_the_new_value_alone():
    assert over(RECIPES, [29, 30, 39, 40], 10) == [
        ("A", False),
        ("B", True),
        ("B", True),
        ("B", False),
    ]


def test_the_first_value_and_the_end_of_the_last_are_changes_too():
    assert over(RECIPES, [9, 10, 19, 20], 10) == [
        (None, False),
        ("A", True),
        ("A", True),
        ("A", False),
    ]
    assert over(RECIPES, [90, 91, 100, 101], 10) == [
        ("C", False),
        (None, True),
        (None, True),
        (None, False),
    ]


def test_values_that_are_not_told_apart_are_one():
    assert over(RECIPES, [35, 55, 65], 10, {"A"}) == [(None, True), (None, False), (None, False)]


def test_without_values_nothing_is_known_and_nothing_changes():
    none = CategoryValues(np.empty(0, np.int64), np.empty(0, object), 40)
    assert over(none, [10, 20], 10) == [(None, False)] * 2
