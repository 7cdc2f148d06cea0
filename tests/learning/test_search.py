"""The search: what it tries first, what it gives up, where time ends it, and that it can be
repeated exactly."""

from dataclasses import replace

import numpy as np
import pytest
from pydantic import TypeAdapter
from sklearn.metrics import average_precision_score

from alerting.definitions.faults import UserError
from alerting.learning.features.encoding import ColumnPairs, Columns, Dense
from alerting.learning.models.calibration import fit_platt, sigmoid
from alerting.learning.models.families.contract import LabelledRows, get_family
from alerting.learning.models.files import model_files, model_from_files
from alerting.learning.search.candidates import (
    candidate_files,
    candidate_from_files,
    usable_folds,
)
from alerting.learning.search.search import search_candidate
from alerting.learning.selection.challenger import finish_challenger
from alerting.recommendation.contributions import explain
from tests import small_models
from tests.helpers.learning.machine_time import time_of_trials

pytestmark = pytest.mark.models


@pytest.fixture(scope="module")
def data():
    return small_models.dataset()


def definition(**learning):
    return small_models.definition(learning={"trials": 4, "folds": 2, **learning})


def silent(*_):
    pass


def same_search(one, other):
    return np.array_equal(one.oof, other.oof, equal_nan=True) and (one.tried, one.params) == (
        other.tried,
        other.params,
    )


def test_what_served_the_champion_is_tried_second_and_kept_with_the_candidate(data):
    warm = {"C": 0.5, "class_weight": "balanced"}
    found = search_candidate(data, definition(), "logistic_regression", silent, warm)
    assert found.tried[0].params == dict(get_family("logistic_regression").defaults)
    assert found.tried[1].params == found.tried[0].params | warm
    assert candidate_from_files(candidate_files(found)).warm_start == warm


def test_a_champion_with_the_default_parameters_costs_no_second_trial(data):
    warm = dict(get_family("logistic_regression").defaults)
    found = search_candidate(data, definition(trials=2), "logistic_regression", silent, warm)
    assert found.tried[1].params != found.tried[0].params


def test_hopeless_parameters_are_given_up_after_a_fold_and_never_chosen(data):
    found = search_candidate(data, definition(trials=14), "logistic_regression", silent)
    given_up = [trial for trial in found.tried if trial.state == "pruned"]
    assert given_up
    assert all(len(trial.folds) == 1 for trial in given_up)
    assert found.trials == 14
    assert not found.cut_short
    assert found.params in [trial.params for trial in found.tried if trial.state == "complete"]


def test_a_fold_keeps_the_trees_after_its_own_best_because_all_folds_choose_the_number(data):
    folds, _ = usable_folds(data, 2)
    columns = Columns.from_plan(data.plan)
    matrix = columns.matrix(data.rows)
    train, test = (
        LabelledRows(matrix[rows], data.label[rows], None)
        for rows in (folds[0].train, folds[0].test)
    )
    one = get_family("lightgbm")
    fitted, curve = one.fit_with_validation(one.defaults, columns, train, test, 0)
    assert len(curve) > np.argmax(curve) + 1
    for rounds in (np.argmax(curve) + 1, len(curve)):
        score = fitted.probability_of(test.matrix, int(rounds))
        figure = average_precision_score(test.label, score)
        assert figure == pytest.approx(curve[rounds - 1], abs=0.005)
    best = fitted.probability_of(test.matrix, int(np.argmax(curve)) + 1)
    assert not np.array_equal(best, fitted.probability_of(test.matrix, len(curve)))


@pytest.mark.parametrize("seed", [0, 1])
def test_the_best_mean_over_the_folds_is_chosen_however_they_scatter(data, seed):
    found = search_candidate(data, definition(trials=14, seed=seed), "logistic_regression", silent)
    complete = [trial for trial in found.tried if trial.state == "complete"]
    best = max(complete, key=lambda trial: trial.ap)
    assert found.params == best.params
    assert found.ap == pytest.approx(best.ap)


def test_a_search_that_time_cuts_short_says_so_and_is_repeated_exactly_by_its_trials(data):
    warm = {"C": 0.5, "class_weight": "balanced"}
    found = search_candidate(
        data,
        definition(trials=50, time_budget="5s"),
        "logistic_regression",
        silent,
        warm,
        time_of_trials(1.5),
    )
    assert (found.trials, found.cut_short, found.trials_asked) == (4, True, 50)
    assert found.notes[-1] == (
        "the time budget of 5s of CPU time ended the search of logistic_regression after 4 of 50 "
        "trials"
    )
    kept = candidate_from_files(candidate_files(found))
    again = search_candidate(
        data, definition(trials=kept.trials), "logistic_regression", silent, kept.warm_start
    )
    assert same_search(again, found)
    assert not again.cut_short


@pytest.mark.parametrize("family", ["lightgbm", "random_forest", "logistic_regression"])
def test_the_first_trial_is_finished_whatever_the_time_budget(data, family):
    found = search_candidate(
        data, definition(time_budget="0s"), family, silent, None, time_of_trials(60)
    )
    assert (found.trials, found.tried[0].state, found.cut_short) == (1, "complete", True)
    assert len(found.tried[0].folds) == 2
    assert same_search(search_candidate(data, definition(trials=1), family, silent), found)


def test_on_a_machine_with_other_work_the_same_trials_are_done(data):
    """Three times as long by the clock as it computes: the budget is of what it computes."""
    wanted = definition(trials=4, time_budget="4s")
    idle, busy = (
        search_candidate(data, wanted, "logistic_regression", silent, None, time_of_trials(1, took))
        for took in (1, 3)
    )
    assert same_search(busy, idle)
    assert (busy.trials, busy.cut_short) == (4, False)


def test_a_search_that_hardly_computes_ends_by_the_clock_and_says_so(data):
    found = search_candidate(
        data,
        definition(trials=9, time_budget="10s"),
        "logistic_regression",
        silent,
        None,
        time_of_trials(0.1, 15),
    )
    assert (found.trials, found.cut_short) == (3, True)
    assert found.notes[-1] == (
        "the limit of 40s by the clock, 4 times the time budget, ended the search of "
        "logistic_regression after 3 of 9 trials"
    )


def test_pairs_add_products_and_differences_and_share_them_evenly():
    columns = Columns(("a", "kind", "b", "c"), {"kind": ("x", "y")})
    pairs = ColumnPairs.choose(columns, np.array([0.5, 0.3, 0.2, 0.0]), most=3)
    assert pairs.of == ((0, 2),)
    expanded = pairs.expand(np.array([[2.0, 1.0, 5.0, 7.0], [np.nan, 0.0, 1.0, 1.0]]))
    assert expanded[0].tolist() == [2.0, 1.0, 5.0, 7.0, 10.0, -3.0]
    assert np.isnan(expanded[1, 4:]).all()
    shares = pairs.by_column(np.array([0.1, 0.2, 0.3, 0.4, 1.0, 0.5]), 4)
    assert shares.tolist() == pytest.approx([0.85, 0.2, 1.05, 0.4])


@pytest.mark.parametrize(
    ("family", "trees"), [("lightgbm", {"rounds": 10}), ("random_forest", {"n_estimators": 10})]
)
def test_a_model_with_pairs_is_kept_and_explained_by_its_own_columns(data, family, trees):
    columns = Columns.from_plan(data.plan)
    plain = search_candidate(data, definition(trials=1), family, silent)
    paired = replace(plain, params=plain.params | {"pairs": 3} | trees)
    model, evidence = finish_challenger(data, paired, small_models.definition())
    assert len(model.estimator.encoding.pairs.of) == 3
    read = model_from_files(model_files(model))
    assert np.array_equal(read.score(data.rows), model.score(data.rows))
    assert len(read.estimator.importance()) == len(columns.names)
    assert sum(evidence.importance.values()) == pytest.approx(1)
    row = data.rows.iloc[[5]]
    explained = explain(model, row)
    assert explained.shares.sum() == pytest.approx(model.score(row)[0] - explained.usual_score)


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
