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
from alerting.learning.search.candidates import Candidate, Trial
from alerting.learning.selection.challenger import finish_challenger
from alerting.recommendation.whatif import recommend
from tests import small_models

pytestmark = pytest.mark.models

AT = small_models.START + timedelta(hours=100)


@pytest.fixture(scope="module")
def trained():
    data = small_models.dataset()
    candidate = Candidate("logistic_regression", {"C": 0.01, "class_weight": None}, np.empty(0),
    np.empty(0), {"ap": 0.5},
                          (Trial({}, 0.5, (0.5,)),), 1, False)  # fmt: skip
    model, _ = finish_challenger(data, candidate, small_models.definition())
    return data, model


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


def test_models_without_normal_rows_load_and_say_that_plausibility_is_not_known(trained):
    _, model = trained
    files = model_files(model)
    meta = json.loads(files[META])
    del meta["normal"]
    older = model_from_files({**files, META: json.dumps(meta).encode()})
    assert older.normal is None
    meta["normal"] = {
        "columns": ["nothing"],
        "centre": [0],
        "scale": [1],
        "rows": [[0.0]] * 6,
        "distances": [0.0] * 6,
    }
    with pytest.raises(ModelRefused, match="columns that its plan does not have"):
        model_from_files({**files, META: json.dumps(meta).encode()})
    meta["normal"] = {
        "columns": ["setpoint.last"],
        "centre": [0],
        "scale": [0],
        "rows": [[0.0]] * 6,
        "distances": [0.0] * 6,
    }
    with pytest.raises(ModelRefused, match="scale must be above 0"):
        model_from_files({**files, META: json.dumps(meta).encode()})


@pytest.mark.parametrize(
    ("relations", "fault"),
    [
        ([{"variable": "a", "kind": "equal", "of": "a"}], "in a circle"),
        (
            [
                {"variable": "a", "kind": "equal", "of": "b"},
                {"variable": "b", "kind": "equal", "of": "a"},
            ],
            "in a circle",
        ),
        (
            [
                {"variable": "a", "kind": "equal", "of": "b"},
                {"variable": "a", "kind": "equal", "of": "c"},
            ],
            "two relations",
        ),
        (
            [{"variable": "a", "kind": "lag", "of": "b"}],
            "time_constant goes together with kind: lag",
        ),
        (
            [{"variable": "a", "kind": "equal", "of": "b", "time_constant": "5m"}],
            "time_constant goes together with kind: lag",
        ),
        (
            [{"variable": "a", "kind": "difference", "of": "b"}],
            "minus goes together with kind: difference",
        ),
    ],
)
def test_relations_that_cannot_be_are_refused(relations, fault):
    with pytest.raises(AssetRefused, match=fault):
        parse_asset({"name": "line", "relations": relations})
