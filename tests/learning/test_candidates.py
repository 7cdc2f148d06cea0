from dataclasses import replace

import numpy as np
import pytest
from pydantic import TypeAdapter

from alerting.definitions.faults import UserError
from alerting.learning.features.encoding import Columns, Dense
from alerting.learning.models.calibration import fit_platt, sigmoid
from alerting.learning.models.families.contract import LabelledRows, get_family
from alerting.learning.search.candidates import (
    candidate_files,
    candidate_from_files,
    usable_folds,
)
from alerting.learning.search.search import search_candidate
from tests import small_models

pytestmark = pytest.mark.models


@pytest.fixture(scope="module")
def data():
    return small_models.dataset()


def told():
    calls = []
    return calls, lambda step, done, total: calls.append((step, done, total))


def test_the_first_trial_is_the_proven_default_and_every_trial_is_told(data):
    calls, progress = told()
    found = search_candidate(data, small_models.definition(), "logistic_regression", progress)
    assert found.tried[0].params == dict(get_family("logistic_regression").defaults)
    assert calls == [("trying logistic_regression", 1, 2), ("trying logistic_regression", 2, 2)]
    assert found.ap == next(trial.ap for trial in found.tried if trial.params == found.params)
    assert not found.cut_short


def test_the_same_seed_finds_the_same_and_every_fold_is_scored_once(data):
    _, progress = told()
    one, other = (
        search_candidate(data, small_models.definition(), "logistic_regression", progress)
        for _ in range(2)
    )
    assert np.array_equal(one.oof, other.oof, equal_nan=True)
    assert one.tried == other.tried
    folds, _ = usable_folds(data, 2)
    assert (
        np.flatnonzero(~np.isnan(one.oof)).tolist()
        == np.concatenate([f.test for f in folds]).tolist()
    )


def test_lightgbm_stops_by_itself_and_keeps_the_number_of_trees(data):
    _, progress = told()
    found = search_candidate(
        data, small_models.definition(learning={"trials": 1, "folds": 2}), "lightgbm", progress
    )
    assert 1 <= found.params["rounds"] <= 300
    assert found.ap > search_candidate(data, small_models.definition(), "persistence", progress).ap


def test_a_fold_with_one_class_only_is_left_out_and_said(data):
    label = data.label.copy()
    folds, _ = usable_folds(data, 2)
    label[folds[0].test] = 0
    usable, notes = usable_folds(replace(data, label=label, label_by_data=label), 2)
    assert [f.number for f in usable] == [2]
    assert notes == [
        f"fold 1 of 2 was left out: all {len(folds[0].test)} rows it would be scored on are "
        "negative"
    ]


def test_without_any_usable_fold_learning_is_refused(data):
    with pytest.raises(UserError, match="no walk-forward fold has rows with and without a problem"):
        nothing = np.zeros_like(data.label)
        usable_folds(replace(data, label=nothing, label_by_data=nothing), 2)


def test_a_candidate_survives_its_files(data):
    made = search_candidate(data, small_models.definition(), "persistence", told()[1])
    read = candidate_from_files(candidate_files(made))
    assert np.array_equal(read.oof, made.oof, equal_nan=True)
    assert np.array_equal(read.chance, made.chance)
    assert np.array_equal(read.loss, made.loss)
    assert replace(read, oof=made.oof, chance=made.chance, loss=made.loss) == made


@pytest.mark.parametrize("family", ["random_forest", "logistic_regression"])
def test_classes_are_balanced_by_the_weights_of_their_rows(data, family):
    columns = Columns.from_plan(data.plan)
    matrix = columns.matrix(data.rows)
    params = get_family(family).defaults | {"class_weight": "balanced"}
    params |= {"n_estimators": 10} if family == "random_forest" else {}
    weight = np.where(data.label == 1, 0.25, 1.0)
    weight *= len(weight) / weight.sum()
    weighted, plain = (
        get_family(family).fit(params, columns, LabelledRows(matrix, data.label, w), 1)
        for w in (weight, None)
    )
    assert np.allclose(
        weighted.probability_of(matrix), plain.probability_of(matrix), rtol=0, atol=1e-6
    )


def test_missing_numbers_are_filled_and_flagged_and_unknown_levels_are_nobodys():
    columns = Columns(("x", "colour"), {"colour": ("red", "green")})
    train = np.array([[1.0, 0.0], [3.0, 1.0], [np.nan, 0.0]])
    dense = Dense.fit(columns, train, scaled=False)
    assert dense.encode(np.array([[np.nan, np.nan], [5.0, 1.0]])).tolist() == [
        [2.0, 1.0, 0.0, 0.0],
        [5.0, 0.0, 0.0, 1.0],
    ]
    assert dense.origin.tolist() == [0, 0, 1, 1]
    scaled = Dense.fit(columns, train, scaled=True)
    assert scaled.encode(train).mean(axis=0) == pytest.approx(0)
    assert scaled.encode(train)[:, 0].std() == pytest.approx(1)
    stored = TypeAdapter(Dense)
    assert [
        stored.validate_json(stored.dump_json(each), strict=True) for each in (scaled, dense)
    ] == [scaled, dense]


def test_calibration_gives_back_the_rate_of_problems_and_never_changes_the_order():
    rng = np.random.default_rng(0)
    margin = rng.normal(size=20_000)
    label = (rng.random(20_000) < sigmoid(2.0 * margin - 3.0)).astype(np.int8)
    platt = fit_platt(margin, label)
    assert platt.slope == pytest.approx(2.0, rel=0.1)
    assert platt.probability(margin).mean() == pytest.approx(label.mean(), rel=0.01)
    upside_down = fit_platt(margin, 1 - label)
    assert upside_down.slope > 0


def test_probabilities_from_few_problems_do_not_reach_one():
    """120 rows of 6 problems say no more than 6 observations."""
    label = np.repeat([0, 1], [1000, 120]).astype(np.int8)
    margin = np.where(label == 1, 5.0, -5.0)
    rows = fit_platt(margin, label).probability(np.array([5.0]))
    problems = fit_platt(margin, label, problems=6).probability(np.array([5.0, -5.0]))
    assert rows[0] == pytest.approx(121 / 122, abs=1e-3)
    assert problems == pytest.approx([7 / 8, 1 / 52], abs=1e-3)


def test_calibration_with_one_class_stays_finite():
    platt = fit_platt(np.linspace(-3, 3, 50), np.zeros(50, np.int8))
    assert np.all(np.isfinite(platt.probability(np.array([-100.0, 100.0]))))
    assert platt.slope > 0
