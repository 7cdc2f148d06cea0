import pytest

from alerting.definitions.families import longest_first

pytestmark = pytest.mark.fast


@pytest.mark.parametrize(
    ("families", "order"),
    [
        (
            ("persistence", "logistic_regression", "random_forest", "lightgbm"),
            ["random_forest", "lightgbm", "logistic_regression", "persistence"],
        ),
        (
            ("persistence", "seasonal_naive", "smoothing", "ridge", "boosted_trees"),
            ["boosted_trees", "ridge", "seasonal_naive", "smoothing", "persistence"],
        ),
        (("later", "added", "random_forest"), ["random_forest", "added", "later"]),
    ],
)
def test_searches_that_take_longest_are_begun_first(families, order):
    assert longest_first(families) == order
