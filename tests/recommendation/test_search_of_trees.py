"""The search for advice on a model of LightGBM: no cheaper answer exists than the one that is
called the least."""

import numpy as np
import pytest

from alerting.deferred import lightgbm
from alerting.learning.models.families.lightgbm import BoosterMean
from tests.helpers.advice import assert_no_cheaper_answer

pytestmark = pytest.mark.models


def boosted():
    """Trees of three columns with interactions and missing values."""
    random = np.random.default_rng(4)
    rows = random.integers(0, 11, (600, 3)).astype(np.float64)
    label = ((rows[:, 0] > 6) & (rows[:, 1] > 4)) | (rows[:, 2] * rows[:, 0] > 50)
    rows[random.random(rows.shape) < 0.05] = np.nan
    settings = {"num_leaves": 6, "num_threads": 1, "min_data_in_leaf": 5}
    settings |= {"objective": "binary", "verbosity": -1}
    return BoosterMean((lightgbm.train(settings, lightgbm.Dataset(rows, label), 12),))


def test_no_cheaper_answer_exists_than_the_least_one():
    trees = boosted()
    for present in ((9.0, 9.0, 9.0), (7.0, 10.0, np.nan), (10.0, 1.0, 6.0)):
        for share in (0.9, 0.5, 0.25):
            assert_no_cheaper_answer(trees, present, share)
