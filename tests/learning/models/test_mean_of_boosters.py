"""The mean of several boosters scores and explains as their mean, and is read back as it was."""

import json

import numpy as np
import pytest

from alerting.deferred import lightgbm
from alerting.learning.features.encoding import Columns
from alerting.learning.models.families import lightgbm as family
from alerting.learning.models.families.contract import LabelledRows, get_family
from alerting.learning.models.families.lightgbm import BoosterMean, LightGbm
from alerting.learning.models.files import META, model_files, model_from_files
from alerting.learning.models.trained import ModelRefused
from tests.helpers.learning.trained import finished

pytestmark = pytest.mark.models

COLUMNS = Columns(("a", "b", "c", "kind"), {"kind": ("w", "x", "y", "z")})


def rows():
    random = np.random.default_rng(0)
    matrix = np.column_stack([random.normal(size=(400, 3)), random.integers(0, 4, 400)])
    matrix[random.random(matrix.shape) < 0.05] = np.nan
    label = (
        np.nan_to_num(matrix[:, 0]) + random.normal(size=400) + (matrix[:, 3] == 2) > 1
    ).astype(np.int8)
    return LabelledRows(matrix, label)


def final(seed=0):
    return LightGbm().fit_final(
        get_family("lightgbm").defaults | {"rounds": 7}, COLUMNS, rows(), seed
    )


@pytest.fixture(scope="module")
def model():
    return finished("lightgbm")[0]


def test_score_contributions_and_importance_are_the_means_of_three_different_boosters():
    estimator = final()
    matrix = rows().matrix
    boosters = estimator.model.boosters
    assert len({booster.model_to_string() for booster in boosters}) == 3
    assert estimator.margin_of(matrix) == pytest.approx(
        np.mean([b.predict(matrix, raw_score=True) for b in boosters], axis=0)
    )
    shares, base = estimator.contributions(matrix[[5]])
    expected = np.mean([b.predict(matrix[[5]], pred_contrib=True)[0] for b in boosters], axis=0)
    assert [*shares, base] == pytest.approx(expected)
    assert shares.sum() + base == pytest.approx(estimator.margin_of(matrix[[5]])[0])
    gains = np.mean([b.feature_importance("gain") for b in boosters], axis=0)
    assert estimator.importance() == pytest.approx(gains / gains.sum())


def test_a_large_table_has_one_booster(monkeypatch):
    monkeypatch.setattr(family, "SMALL", rows().matrix.size - 1)
    assert len(final().model.boosters) == 1


def test_a_booster_that_is_one_leaf_can_be_averaged():
    stump = lightgbm.train(
        {"objective": "binary", "verbosity": -1},
        lightgbm.Dataset(np.zeros((50, 1)), np.r_[np.ones(10), np.zeros(40)]),
        2,
    )
    one = BoosterMean((stump, stump))
    assert one.margin(np.zeros((1, 1))) == pytest.approx(
        stump.predict(np.zeros((1, 1)), raw_score=True)
    )


def test_the_hash_is_of_all_three_and_of_their_number(model):
    files = model_files(model)
    meta = json.loads(files[META])
    (member,) = meta["members"]
    names = member["files"]
    assert names == ["model-0.txt", "model-1.txt", "model-2.txt"]

    def listing(files):
        return {META: json.dumps(meta | {"members": [member | {"files": files}]}).encode()}

    twice = {"model-2.txt": files["model-1.txt"]}
    for forged in (twice, listing(names[:2]), listing(names[::-1])):
        with pytest.raises(ModelRefused, match="do not fit their hash"):
            model_from_files(files | forged)


def test_a_split_between_missing_and_known_values_is_read_back():
    """LightGBM writes such a split with the limit `inf`."""
    matrix = np.random.default_rng(1).normal(size=(400, 4))
    matrix[:, 3] = 0
    matrix[::3, 0] = np.nan
    label = np.isnan(matrix[:, 0]).astype(np.int8)
    label[:20] = 1 - label[:20]
    params = get_family("lightgbm").defaults | {"rounds": 5}
    estimator = LightGbm().fit_final(params, COLUMNS, LabelledRows(matrix, label), 0)
    files = estimator.model.files()
    lines = [line for data in files.values() for line in data.splitlines()]
    assert any(b"inf" in line for line in lines if line.startswith(b"threshold="))
    read = LightGbm().load(files, 4)
    assert np.array_equal(read.margin(matrix), estimator.margin_of(matrix))
