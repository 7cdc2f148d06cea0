"""Stored parts of recommendations: normal rows with a model, and results with an episode."""

import json
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from alerting.definitions.assets import AssetRefused, parse_asset
from alerting.learning.models.files import META, model_files, model_from_files
from alerting.learning.models.normal import MOST_ROWS, sample_normal
from alerting.learning.models.trained import ModelRefused
from alerting.recommendation.whatif import recommend
from tests import small_models
from tests.helpers.learning.trained import finished

pytestmark = pytest.mark.models

AT = small_models.START + timedelta(hours=100)


@pytest.fixture(scope="module")
def trained():
    return small_models.dataset(), finished("logistic_regression")[0]


def test_a_model_keeps_normal_rows_of_its_training_and_says_how_unusual_a_row_is(trained):
    data, model = trained
    normal = model.normal
    train = data.part == "train"
    assert normal.columns == ("belt.last", "humidity.last", "moisture.last", "setpoint.last")
    assert len(normal.rows) == min(MOST_ROWS, int((train & (data.label == 0)).sum()))
    levels = data.rows.loc[train & (data.label == 0), list(normal.columns)].to_numpy(np.float64)
    unusual = normal.unusual(normal.distance(levels))
    assert 0.2 < np.median(unusual) < 0.6, (
        "normal rows are as unusual as normal rows, each near to itself"
    )
    far = normal.unusual(normal.distance(levels[:1] + 100.0))
    assert far == [1.0]


def test_normal_rows_are_sampled_by_the_seed_and_bounded(trained):
    data, _ = trained
    many = data.rows.loc[np.repeat(np.arange(len(data.rows)), 5)].reset_index(drop=True)
    label = np.zeros(len(many), np.int8)
    one, same, other = (sample_normal(data.plan, many, label, seed) for seed in (1, 1, 2))
    assert len(one.rows) == MOST_ROWS
    assert np.array_equal(one.rows, same.rows)
    assert not np.array_equal(one.rows, other.rows)
    assert sample_normal(data.plan, many, label + 1, 1) is None


def test_normal_rows_come_back_from_the_files_and_advice_with_them(trained):
    _, model = trained
    files = model_files(model)
    read = model_from_files(files)
    assert np.array_equal(read.normal.rows, model.normal.rows)
    assert np.array_equal(read.normal.distances, model.normal.distances)
    history = small_models.line()
    low = [replace(m, threshold=1e-3) for m in (model, read)]
    first, second = (recommend(m, history, AT, 2) for m in low)
    assert first == second
    assert first.unusual is None or first.unusual <= 1


def test_models_without_normal_rows_load_and_forged_ones_are_refused(trained):
    files = model_files(trained[1])
    meta = json.loads(files[META])
    sample = {"centre": [0], "rows": [[0.0]] * 6, "distances": [0.0] * 6}
    forged = {
        "columns that its plan does not have": {"columns": ["nothing"], "scale": [1]},
        "scale must be above 0": {"columns": ["setpoint.last"], "scale": [0]},
    }
    for words, changed in forged.items():
        document = json.dumps(meta | {"normal": sample | changed}).encode()
        with pytest.raises(ModelRefused, match=words):
            model_from_files({**files, META: document})
    del meta["normal"]
    assert model_from_files({**files, META: json.dumps(meta).encode()}).normal is None


def test_relations_that_cannot_be_are_refused():
    equal = {"variable": "a", "kind": "equal", "of": "b"}
    forged = [
        ([equal | {"of": "a"}], "in a circle"),
        ([equal, {"variable": "b", "kind": "equal", "of": "a"}], "in a circle"),
        ([equal, equal | {"of": "c"}], "two relations"),
        ([equal | {"kind": "lag"}], "time_constant goes together with kind: lag"),
        ([equal | {"time_constant": "5m"}], "time_constant goes together with kind: lag"),
        ([equal | {"kind": "difference"}], "minus goes together with kind: difference"),
    ]
    for relations, fault in forged:
        with pytest.raises(AssetRefused, match=fault):
            parse_asset({"name": "line", "relations": relations})
