"""The search: what it tries first, what it gives up, where time ends it, and that it can be repeated exactly."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from alerting.definitions.faults import UserError
from alerting.learning.features.encoding import Columns, Pairs
from alerting.learning.models.families import default_params, fit_estimator, importance
from alerting.learning.models.files import model_files, model_from_files
from alerting.learning.search.candidates import Trial, baseline_candidate, beats, candidate_files, candidate_from_files
from alerting.learning.search.search import repeat_search, search_candidate
from alerting.learning.selection.challenger import finish_challenger
from alerting.recommendation.contributions import explain
from tests import small_models


@pytest.fixture(scope="module")
def data():
    return small_models.dataset()


def definition(**learning):
    return small_models.definition(learning={"trials": 4, "folds": 2, **learning})


def silent(*_):
    pass


class Stopwatch:
    """A second passes whenever somebody looks."""

    def __init__(self):
        self.seconds = -1.0

    def __call__(self):
        self.seconds += 1
        return self.seconds


def same_search(one, other):
    return np.array_equal(one.oof, other.oof, equal_nan=True) and (one.tried, one.params) == (other.tried, other.params)


def test_what_served_the_champion_is_tried_second_and_kept_with_the_candidate(data):
    warm = {"C": 0.5, "class_weight": "balanced"}
    found = search_candidate(data, definition(), "logistic_regression", silent, warm)
    assert found.tried[0].params == default_params("logistic_regression")
    assert found.tried[1].params == warm
    assert candidate_from_files(candidate_files(found)).warm_start == warm


def test_a_champion_with_the_default_parameters_costs_no_second_trial(data):
    warm = default_params("logistic_regression")
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


def test_a_proven_set_is_not_given_up_for_one_that_is_better_by_luck():
    proven = Trial({}, 0.50, (0.50, 0.50, 0.50))
    assert not beats(Trial({}, 0.52, (0.70, 0.40, 0.46)), proven)
    assert beats(Trial({}, 0.52, (0.53, 0.51, 0.52)), proven)
    assert not beats(proven, proven)


def test_a_search_that_time_cuts_short_says_so_and_is_repeated_exactly(data):
    limited = definition(trials=50, time_budget="40s")
    found = search_candidate(data, limited, "logistic_regression", silent, None, Stopwatch())
    assert 1 < found.trials < 50
    assert found.cut_short
    assert found.notes[-1].startswith(
        f"the time budget of 40s ended the search of logistic_regression after {found.trials} of 50"
    )
    assert same_search(repeat_search(data, limited, candidate_from_files(candidate_files(found))), found)


@pytest.mark.parametrize(("family", "seconds", "trees"), [("lightgbm", 12, "rounds"), ("random_forest", 3, "n_estimators")])
def test_the_ceiling_is_kept_inside_the_first_trial_and_its_trees_are_repeated_exactly(data, family, seconds, trees):
    limited = definition(time_budget=f"{seconds}s")
    watch = Stopwatch()
    found = search_candidate(data, limited, family, silent, None, watch)
    assert watch.seconds <= seconds + 4  # only the looks that follow the end
    assert (found.trials, found.tried[0].state, found.cut_short) == (1, "cut", True)
    assert found.params[trees] <= found.tried[0].grown
    assert "1 of 2 folds of its first trial were done in that time" in found.notes
    assert same_search(repeat_search(data, limited, candidate_from_files(candidate_files(found))), found)


def test_a_linear_model_is_stopped_between_its_steps_and_repeated_exactly(data):
    watch = Stopwatch()
    found = search_candidate(data, definition(time_budget="2s"), "logistic_regression", silent, None, watch)
    assert watch.seconds <= 6
    assert (found.trials, found.tried[0].state, found.tried[0].grown) == (1, "cut", 2)
    assert same_search(repeat_search(data, definition(), candidate_from_files(candidate_files(found))), found)


def test_a_linear_model_is_the_same_whether_anybody_looks_or_not(data):
    columns, params = Columns.of(data.plan), default_params("logistic_regression")
    matrix = columns.matrix(data.rows)
    looked = []
    watched = fit_estimator(
        "logistic_regression", params, columns, matrix, data.label, 1, after_trees=lambda n: not looked.append(n)
    )
    alone = fit_estimator("logistic_regression", params, columns, matrix, data.label, 1)
    assert np.array_equal(watched.model.coef_, alone.model.coef_)
    assert looked == list(range(1, len(looked) + 1))
    steps = int(watched.model.n_iter_[0])
    assert len(looked) == steps - 1 < 20  # it knows itself when it has arrived
    at_once = LogisticRegression(**params, solver="newton-cholesky", max_iter=50)
    at_once.fit(watched.encode(matrix), data.label)
    assert at_once.n_iter_[0] == steps
    assert np.allclose(watched.model.coef_, at_once.coef_, rtol=0, atol=1e-9)


@pytest.mark.parametrize("family", ["lightgbm", "random_forest"])
def test_the_time_is_looked_at_too_while_the_telling_columns_are_found(data, family):
    class TimeIsUpError(Exception):
        pass

    def look(grown):
        if grown == 0:
            raise TimeIsUpError
        return True

    columns = Columns.of(data.plan)
    params = default_params(family) | {"pairs": 3}
    with pytest.raises(TimeIsUpError):
        fit_estimator(family, params, columns, columns.matrix(data.rows), data.label, 1, after_trees=look)


def test_a_later_trial_that_time_interrupts_does_not_count(data):
    watch = Stopwatch()
    limited = definition(time_budget="500s")
    found = search_candidate(data, limited, "lightgbm", silent, None, watch)
    assert watch.seconds <= 503
    assert found.cut_short
    assert {trial.state for trial in found.tried} == {"complete"}
    assert same_search(repeat_search(data, limited, found), found)


def test_a_baseline_cannot_be_searched_again(data):
    with pytest.raises(UserError, match="nothing to repeat"):
        repeat_search(data, definition(), baseline_candidate(data, definition()))


def test_the_forest_is_the_same_in_batches_and_at_once(data):
    columns, params = Columns.of(data.plan), default_params("random_forest") | {"n_estimators": 15, "class_weight": "balanced"}
    matrix = columns.matrix(data.rows)
    asked = []
    batches = fit_estimator("random_forest", params, columns, matrix, data.label, 1, after_trees=lambda n: not asked.append(n))
    del params["pairs"]
    at_once = type(batches.model)(**params, random_state=1).fit(batches.encode(matrix), data.label)
    assert asked == [10, 15]
    assert np.array_equal(batches.margin_of(matrix), at_once.predict_proba(batches.encode(matrix))[:, 1])


def test_pairs_add_products_and_differences_and_share_them_evenly():
    columns = Columns(("a", "kind", "b", "c"), {"kind": ("x", "y")})
    pairs = Pairs.among(columns, np.array([0.5, 0.3, 0.2, 0.0]), most=3)
    assert pairs.of == ((0, 2),)
    expanded = pairs.expand(np.array([[2.0, 1.0, 5.0, 7.0], [np.nan, 0.0, 1.0, 1.0]]))
    assert expanded[0].tolist() == [2.0, 1.0, 5.0, 7.0, 10.0, -3.0]
    assert np.isnan(expanded[1, 4:]).all()
    shares = pairs.by_column(np.array([0.1, 0.2, 0.3, 0.4, 1.0, 0.5]), 4)
    assert shares.tolist() == pytest.approx([0.85, 0.2, 1.05, 0.4])


@pytest.mark.parametrize(("family", "trees"), [("lightgbm", {"rounds": 10}), ("random_forest", {"n_estimators": 10})])
def test_a_model_with_pairs_is_kept_and_explained_by_its_own_columns(data, family, trees):
    columns = Columns.of(data.plan)
    plain = search_candidate(data, definition(trials=1), family, silent)
    paired = replace(plain, params=plain.params | {"pairs": 3} | trees)
    model, evidence = finish_challenger(data, paired, small_models.definition())
    assert len(model.estimator.pairs.of) == 3
    read = model_from_files(model_files(model))
    assert np.array_equal(read.score(data.rows), model.score(data.rows))
    assert len(importance(read.estimator)) == len(columns.names)
    assert sum(evidence.importance.values()) == pytest.approx(1)
    row = data.rows.iloc[[5]]
    explained = explain(model, row)
    assert explained.shares.sum() == pytest.approx(model.score(row)[0] - explained.usual_score)
