"""The mean of several models as one model."""

import lightgbm
import numpy as np
import pytest

from alerting.learning.models.seed_average import average


def fitted(seed):
    random = np.random.default_rng(0)
    matrix = np.column_stack([random.normal(size=(400, 3)), random.integers(0, 4, 400)])
    matrix[random.random(matrix.shape) < 0.05] = np.nan
    label = (np.nan_to_num(matrix[:, 0]) + random.normal(size=400) + (matrix[:, 3] == 2) > 1).astype(int)
    settings = {"objective": "binary", "verbosity": -1, "num_leaves": 6, "seed": seed, "feature_fraction": 0.5, "num_threads": 1}
    return lightgbm.train(settings, lightgbm.Dataset(matrix, label, categorical_feature=[3]), 7), matrix


def test_the_mean_of_models_scores_and_explains_as_their_mean():
    boosters, matrix = [fitted(seed)[0] for seed in (0, 1, 2)], fitted(0)[1]
    one = average(boosters)
    assert one.num_trees() == 21
    for how in ({"raw_score": True}, {"pred_contrib": True}):
        assert one.predict(matrix, **how) == pytest.approx(np.mean([b.predict(matrix, **how) for b in boosters], axis=0))
    assert one.feature_importance("gain") == pytest.approx(sum(b.feature_importance("gain") for b in boosters), rel=1e-4)


def test_the_mean_is_read_back_from_its_text_bit_for_bit():
    one, matrix = average([fitted(seed)[0] for seed in (3, 4)]), fitted(0)[1]
    read = lightgbm.Booster(model_str=one.model_to_string())
    assert np.array_equal(read.predict(matrix), one.predict(matrix))
    assert read.model_to_string() == one.model_to_string()


def test_a_model_that_is_one_leaf_can_be_averaged():
    stump = lightgbm.train(
        {"objective": "binary", "verbosity": -1}, lightgbm.Dataset(np.zeros((50, 1)), np.r_[np.ones(10), np.zeros(40)]), 2
    )
    assert average([stump, stump]).predict(np.zeros((1, 1))) == pytest.approx(stump.predict(np.zeros((1, 1))))
