"""The search: what it tries first, what it gives up, where time ends it, and that it can be
repeated exactly."""

from dataclasses import replace

import numpy as np
import pytest
from pydantic import TypeAdapter

from alerting.definitions.faults import UserError
from alerting.definitions.fields.learning import BUILT_IN
from alerting.learning.experiment.trials import SearchFailed
from alerting.learning.features.column_pairs import ColumnPairs
from alerting.learning.features.plan import Columns, Dense
from alerting.learning.models.families.contract import LabelledRows, get_family
from alerting.learning.models.families.lightgbm import LightGbm
from alerting.learning.models.model_files import model_files, model_from_files
from alerting.learning.models.trained import fit_platt, sigmoid
from alerting.learning.selection import candidates
from alerting.learning.selection.candidates import (
    candidate_files,
    candidate_from_files,
    usable_folds,
)
from alerting.learning.selection.classifier_search import search_candidate
from tests import small_models
from tests.helpers.learning.machine_time import time_of_trials
from tests.helpers.learning.trained import chosen, finished

pytestmark = pytest.mark.models


def definition(**learning):
    return small_models.definition(learning={"trials": 4, "folds": 2, **learning})


def silent(*_):
    pass


def searched(family="logistic_regression", warm=None, read_time=None, tell=silent, **learning):
    return search_candidate(
        small_models.dataset(), definition(**learning), family, tell, warm, read_time
    )


def fails_in(monkeypatch, family, *trials):
    """Let the fits of these trials of a family fail."""
    kind = type(get_family(family))
    fit = kind.fit_with_validation
    begun = []

    def failing(self, params, *rest):
        begun.extend([params] * (params not in begun))
        if begun.index(params) in trials:
            raise ValueError("Input X has infinity\nor something else")
        return fit(self, params, *rest)

    monkeypatch.setattr(kind, "fit_with_validation", failing)


def same_search(one, other):
    return np.array_equal(one.oof, other.oof, equal_nan=True) and (one.tried, one.params) == (
        other.tried,
        other.params,
    )


def test_what_served_the_champion_is_tried_second_unless_it_is_the_default():
    default = dict(get_family("logistic_regression").defaults)
    warm = {"C": 0.5, "class_weight": "balanced"}
    found = searched(warm=warm, trials=2)
    assert [trial.params for trial in found.tried] == [default, default | warm]
    assert candidate_from_files(candidate_files(found)).warm_start == warm
    assert searched(warm=default, trials=2).tried[1].params != default


def test_hopeless_parameters_are_given_up_after_a_fold_and_the_best_mean_over_the_folds_is_chosen():
    found = searched(trials=14)
    by_state = {
        state: [trial for trial in found.tried if trial.state == state]
        for state in ("pruned", "complete")
    }
    assert {len(trial.folds) for trial in by_state["pruned"]} == {1}
    assert (found.trials, found.cut_short) == (14, False)
    best = max(by_state["complete"], key=lambda trial: trial.ap)
    assert (found.params, found.ap) == (best.params, pytest.approx(best.ap))


def test_a_search_that_time_cuts_short_says_so_and_is_repeated_exactly_by_its_trials():
    warm = {"C": 0.5, "class_weight": "balanced"}
    found = searched(warm=warm, read_time=time_of_trials(1.5), trials=50, time_budget="5s")
    assert (found.trials, found.cut_short, found.trials_asked) == (4, True, 50)
    assert found.notes[-1] == (
        "the time budget of 5s of CPU time ended the search of logistic_regression after 4 of 50 "
        "trials"
    )
    kept = candidate_from_files(candidate_files(found))
    again = searched(warm=kept.warm_start, trials=kept.trials)
    assert same_search(again, found)
    assert not again.cut_short


@pytest.mark.parametrize("family", BUILT_IN)
@pytest.mark.parametrize("failing", [(0,), (1,), (1, 2)])
def test_a_trial_that_fails_ends_no_search(monkeypatch, family, failing):
    fails_in(monkeypatch, family, *failing)
    found = searched(family, trials=3)
    assert [trial.state for trial in found.tried].count("complete") + len(failing) == 3
    assert (found.trials, found.cut_short, found.ap > 0.5) == (3, False, True)
    assert found.failure == f"{len(failing)} of 3 trials failed: ValueError: Input X has infinity"
    assert candidate_from_files(candidate_files(found)).failure == found.failure


def test_a_family_whose_every_trial_fails_is_no_candidate_and_the_reason_is_said(monkeypatch):
    fails_in(monkeypatch, "random_forest", 0, 1)
    with pytest.raises(SearchFailed, match=r"^2 of 2 trials failed: ValueError: Input X has infin"):
        searched("random_forest", trials=2)


def test_the_first_trial_is_finished_whatever_the_time_budget():
    found = searched(read_time=time_of_trials(60), time_budget="0s")
    assert (found.trials, found.tried[0].state, found.cut_short) == (1, "complete", True)
    assert same_search(searched(trials=1), found)


def test_other_work_of_the_machine_does_not_count_unless_the_search_hardly_computes():
    """Three times as long by the clock as it computes: the budget is of what it computes."""
    idle, busy = (searched(read_time=time_of_trials(1, took), time_budget="4s") for took in (1, 3))
    assert same_search(busy, idle)
    assert (busy.trials, busy.cut_short) == (4, False)
    stuck = searched(read_time=time_of_trials(0.1, 15), trials=9, time_budget="10s")
    assert (stuck.trials, stuck.cut_short) == (3, True)
    assert stuck.notes[-1] == (
        "the limit of 40s by the clock, 4 times the time budget, ended the search of "
        "logistic_regression after 3 of 9 trials"
    )


def test_pairs_add_products_and_differences_and_share_them_evenly():
    columns = Columns(("a", "kind", "b", "c"), {"kind": ("x", "y")})
    pairs = ColumnPairs.choose(columns, np.array([0.5, 0.3, 0.2, 0.0]), most=3)
    assert pairs.positions == ((0, 2),)
    expanded = pairs.expand(np.array([[2.0, 1.0, 5.0, 7.0], [np.nan, 0.0, 1.0, 1.0]]))
    assert expanded[0].tolist() == [2.0, 1.0, 5.0, 7.0, 10.0, -3.0]
    assert np.isnan(expanded[1, 4:]).all()
    shares = pairs.by_column(np.array([0.1, 0.2, 0.3, 0.4, 1.0, 0.5]), 4)
    assert shares.tolist() == pytest.approx([0.85, 0.2, 1.05, 0.4])


@pytest.mark.parametrize("family", ["lightgbm", "random_forest"])
def test_a_model_with_pairs_is_kept_and_explained_by_its_own_columns(data, family):
    model, evidence = finished(family, pairs=3)
    assert len(model.estimator.encoding.pairs.positions) == 3
    read = model_from_files(model_files(model))
    assert np.array_equal(read.score(data.rows), model.score(data.rows))
    assert len(read.estimator.importance()) == len(data.plan.columns)
    assert sum(evidence.importance.values()) == pytest.approx(1)


def test_every_trial_is_told_and_every_fold_is_scored_once(data):
    calls = []
    found = searched(tell=lambda *call: calls.append(call), trials=2)
    assert calls == [("trying logistic_regression", 1, 2), ("trying logistic_regression", 2, 2)]
    folds, _ = usable_folds(data, 2)
    scored = np.concatenate([fold.test for fold in folds]).tolist()
    assert np.flatnonzero(~np.isnan(found.oof)).tolist() == scored


def test_lightgbm_stops_by_itself_and_keeps_the_number_of_trees():
    found = searched("lightgbm", trials=1)
    assert 1 <= found.params["rounds"] <= 300
    assert found.ap > searched("persistence").ap


def labelled(label):
    return replace(small_models.dataset(), label=label, label_by_data=label)


def test_a_fold_with_one_class_only_is_left_out_and_said_and_without_any_fold_learning_is_refused(
    data,
):
    label = data.label.copy()
    folds, _ = usable_folds(data, 2)
    label[folds[0].test] = 0
    usable, notes = usable_folds(labelled(label), 2)
    assert [f.number for f in usable] == [2]
    assert notes == [
        f"fold 1 of 2 was left out: all {len(folds[0].test)} rows it would be scored on are "
        "negative"
    ]
    with pytest.raises(UserError, match="no walk-forward fold has rows with and without a problem"):
        usable_folds(labelled(np.zeros_like(label)), 2)


def test_a_candidate_survives_its_files():
    made = searched("persistence")
    read = candidate_from_files(candidate_files(made))
    for name in ("oof", "chance", "loss"):
        np.testing.assert_array_equal(getattr(read, name), getattr(made, name))
    assert replace(read, oof=made.oof, chance=made.chance, loss=made.loss) == made


@pytest.mark.parametrize("family", ["random_forest", "logistic_regression"])
def test_classes_are_balanced_by_the_weights_of_their_rows(data, family):
    columns = Columns.from_plan(data.plan)
    matrix = columns.matrix(data.rows)
    params = {**chosen(family).params, "class_weight": "balanced"}
    weight = np.where(data.label == 1, 0.25, 1.0)
    fits = [
        get_family(family).fit(params, columns, LabelledRows(matrix, data.label, w), 1)
        for w in (weight * len(weight) / weight.sum(), None)
    ]
    weighted, plain = (fit.probability_of(matrix) for fit in fits)
    assert np.allclose(weighted, plain, rtol=0, atol=1e-6)


def test_missing_numbers_are_filled_and_flagged_and_unknown_levels_are_nobodys():
    columns = Columns(("x", "colour"), {"colour": ("red", "green")})
    train = np.array([[1.0, 0.0], [3.0, 1.0], [np.nan, 0.0]])
    dense = Dense.fit(columns, train, scaled=False)
    encoded = dense.encode(np.array([[np.nan, np.nan], [5.0, 1.0]]))
    assert encoded.tolist() == [[2.0, 1.0, 0.0, 0.0], [5.0, 0.0, 0.0, 1.0]]
    assert dense.origin.tolist() == [0, 0, 1, 1]
    scaled = Dense.fit(columns, train, scaled=True)
    assert scaled.encode(train).mean(axis=0) == pytest.approx(0)
    assert scaled.encode(train)[:, 0].std() == pytest.approx(1)
    stored = TypeAdapter(Dense)
    assert stored.validate_json(stored.dump_json(scaled), strict=True) == scaled


def test_calibration_gives_back_the_rate_of_problems_and_never_changes_the_order():
    rng = np.random.default_rng(0)
    margin = rng.normal(size=20_000)
    label = (rng.random(20_000) < sigmoid(2.0 * margin - 3.0)).astype(np.int8)
    platt = fit_platt(margin, label)
    assert platt.slope == pytest.approx(2.0, rel=0.1)
    assert platt.probability(margin).mean() == pytest.approx(label.mean(), rel=0.01)
    assert fit_platt(margin, 1 - label).slope > 0
    one_class = fit_platt(np.linspace(-3, 3, 50), np.zeros(50, np.int8))
    assert np.all(np.isfinite(one_class.probability(np.array([-100.0, 100.0]))))
    assert one_class.slope > 0


def test_probabilities_from_few_problems_do_not_reach_one():
    """120 rows of 6 problems say no more than 6 observations."""
    label = np.repeat([0, 1], [1000, 120]).astype(np.int8)
    margin = np.where(label == 1, 5.0, -5.0)
    rows = fit_platt(margin, label).probability(np.array([5.0]))
    problems = fit_platt(margin, label, problems=6).probability(np.array([5.0, -5.0]))
    assert rows[0] == pytest.approx(121 / 122, abs=1e-3)
    assert problems == pytest.approx([7 / 8, 1 / 52], abs=1e-3)


def test_a_search_on_a_sample_fits_and_tries_each_fold_on_its_part_and_its_figures_are_of_all_rows(
    data,
    monkeypatch,
):
    """As if a search of 150 rows were a long one: a small table stands for a large one."""
    monkeypatch.setattr(candidates, "MOST_SEARCHED", 150)
    fitted = []
    fit = LightGbm.fit_with_validation

    def fit_and_count(self, params, columns, rows, watched, seed):
        fitted.append([(len(part.matrix), part.weight.sum()) for part in (rows, watched)])
        return fit(self, params, columns, rows, watched, seed)

    monkeypatch.setattr(LightGbm, "fit_with_validation", fit_and_count)
    found = searched("lightgbm", trials=1)
    folds, _ = usable_folds(data, 2)
    assert max(rows for (rows, _), _ in fitted) < 150
    weights = [[weight for _, weight in parts] for parts in fitted]
    expected = [[len(fold.train), len(fold.test)] for fold in folds]
    np.testing.assert_allclose(weights, expected, rtol=0.05)
    scored = np.concatenate([fold.test for fold in folds])
    assert np.flatnonzero(np.isfinite(found.oof)).tolist() == scored.tolist()
    assert found.metrics["prevalence"] == pytest.approx(data.label[scored].mean(), rel=1e-3)
    # without weights it would be far higher
    assert found.tried[0].ap == pytest.approx(found.metrics["ap"], abs=0.1)
