"""The choice among candidates: nothing that chance explains, and the last known value where nothing
is better."""

from dataclasses import replace

import numpy as np
import pytest

from alerting.definitions.families import PERSISTENCE
from alerting.learning.search.candidates import Trial, assemble, average_precision, usable_folds
from alerting.learning.search.chance import ShiftedLabels
from alerting.learning.search.search import search_candidate
from alerting.learning.selection.choice import ChanceTest, choose
from tests import small_models

pytestmark = pytest.mark.models

DEFINITION = small_models.definition()
FAMILIES = ("lightgbm", "random_forest", "logistic_regression")


@pytest.fixture(scope="module")
def data():
    return small_models.dataset()


def scored_by(data, family, score):
    folds, notes = usable_folds(data, 2)
    scores = [score[fold.test] for fold in folds]
    aps = tuple(average_precision(data, fold, s) for fold, s in zip(folds, scores, strict=True))
    trial = Trial({}, float(np.mean(aps)), aps)
    shifted = ShiftedLabels(data, folds, 0)
    return assemble(family, data, folds, [trial], trial, scores, shifted.evaluate(scores), 1, notes)


def test_a_score_that_knows_something_is_chosen_and_the_sentence_has_figure_bound_and_trials(data):
    telling = scored_by(
        data, "lightgbm", data.label + np.random.default_rng(0).normal(0, 0.7, len(data.label))
    )
    choice = choose(data, DEFINITION, [telling])
    assert choice.candidate is telling
    assert (
        choice.chance.ap == telling.ap > choice.chance.bound == np.quantile(telling.chance, 0.975)
    )
    assert choice.chance.message == (
        f"The best average precision out of fold, {telling.ap:.3f}, exceeds what the best of 1 "
        "trials reaches by chance in 1 of "
        f"40 cases, {choice.chance.bound:.3f} (labels shifted in time 400 times)."
    )


def test_the_best_of_three_scores_by_chance_is_seldom_chosen_and_the_reason_says_so(data):
    random = np.random.default_rng(1)
    taken = 0
    refused = []
    for _ in range(40):
        # noise that varies slowly, as readings do
        slow = np.cumsum(random.normal(size=(3, len(data.label))), axis=1)
        choice = choose(
            data,
            DEFINITION,
            [scored_by(data, f, score) for f, score in zip(FAMILIES, slow, strict=True)],
        )
        taken += choice.chance.is_above
        refused += [] if choice.chance.is_above else [choice.chance.message]
    assert taken <= 3
    assert all(
        "does not exceed what the best of 3 trials reaches by chance" in message
        for message in refused
    )


def test_more_trials_raise_the_bound(data):
    random = np.random.default_rng(2)
    by_chance = [scored_by(data, f, random.normal(size=len(data.label))) for f in FAMILIES * 5]
    bounds = [choose(data, DEFINITION, by_chance[:n]).chance.bound for n in (1, 3, 15)]
    assert bounds == sorted(bounds)
    assert bounds[2] > bounds[0]


def test_the_last_known_value_is_chosen_unless_another_is_better_by_more_than_noise(data):
    known = data.label + np.random.default_rng(3).normal(0, 0.7, len(data.label))
    persistence = scored_by(data, PERSISTENCE, known)
    alike = scored_by(
        data, "lightgbm", known + np.random.default_rng(4).normal(0, 0.02, len(data.label))
    )
    alike = replace(alike, metrics=alike.metrics | {"ap": persistence.ap + 0.001})
    better = scored_by(data, "lightgbm", known + 0.8 * data.label)
    equal = choose(data, DEFINITION, [alike, persistence])
    assert equal.candidate.family == PERSISTENCE
    assert (
        "no candidate is better beyond chance: the best, lightgbm, has an average precision of"
        in equal.candidate.notes[-1]
    )
    assert choose(data, DEFINITION, [better, persistence]).candidate is better
    assert (
        choose(data, DEFINITION, [scored_by(data, "lightgbm", -known), persistence]).candidate
        is persistence
    )


def test_a_last_known_value_that_tells_nothing_is_not_chosen_for_being_simple(data):
    random = np.random.default_rng(5)
    persistence = scored_by(data, PERSISTENCE, random.normal(size=len(data.label)))
    telling = scored_by(data, "lightgbm", data.label + random.normal(0, 0.5, len(data.label)))
    assert choose(data, DEFINITION, [persistence, telling]).candidate is telling


def few_problems(data, count):
    """Return the data with this many rows with a problem ahead, each its own problem, in the rows
    that the folds score."""
    folds, _ = usable_folds(data, 2)
    label = np.zeros_like(data.label)
    label[folds[0].train[10]] = 1
    for number in range(count):
        test = folds[number % 2].test
        label[test[len(test) * (number + 1) // (count + 1)]] = 1
    return replace(data, label=label, label_by_data=label)


def test_too_few_problems_to_tell_are_no_proof_and_the_reason_says_so(data):
    few = few_problems(data, 2)
    choice = choose(few, DEFINITION, [scored_by(few, "lightgbm", few.label.astype(float))])
    assert choice.candidate is None
    assert choice.chance.message.startswith(
        "Too few problems to tell a model from chance: 2 in the rows that the folds score, 3 are "
        "needed"
    )
    enough = few_problems(data, 3)
    assert (
        choose(
            enough, DEFINITION, [scored_by(enough, "lightgbm", enough.label.astype(float))]
        ).candidate
        is not None
    )


def test_a_lead_over_the_last_known_value_that_cannot_be_known_does_not_count(data):
    few = few_problems(data, 3)
    random = np.random.default_rng(6)
    persistence = scored_by(few, PERSISTENCE, few.label + random.normal(0, 0.1, len(few.label)))
    perfect = scored_by(few, "lightgbm", few.label.astype(float))
    persistence = replace(persistence, metrics=persistence.metrics | {"ap": perfect.ap - 0.01})
    assert choose(few, DEFINITION, [perfect, persistence]).candidate.family == PERSISTENCE


def test_persistence_is_tried_where_the_model_may_see_the_last_value_of_the_problem(data):
    assert DEFINITION.families == (PERSISTENCE, *DEFINITION.learning.candidates)
    for changes in (
        {"exclude": ["moist*"]},
        {"include": ["humidity"]},
        {"problem": {"event": "failure"}},
        {"features": {"aggregations": ["mean"]}},
    ):
        assert PERSISTENCE not in small_models.definition(**changes).families
    found = search_candidate(data, DEFINITION, PERSISTENCE, lambda *_: None)
    assert (found.trials, found.trials_asked, found.cut_short) == (1, 1, False)
    scored = np.isfinite(found.oof) & np.isfinite(data.persistence)
    order = np.argsort(data.persistence[scored], kind="stable")
    assert found.params == {"column": "moisture.last", "above": 5.0, "below": None, "equals": None}
    for fold in usable_folds(data, 2)[0]:  # one scale a fold
        rows = fold.test[scored[fold.test]]
        order = np.argsort(data.persistence[rows], kind="stable")
        assert (np.diff(found.oof[rows][order]) >= 0).all()


@pytest.mark.parametrize(
    ("ap", "bound", "more"),
    [
        (0.3, 0.4, 13),  # (0.3 / 0.2)² of ten problems
        (0.15, 0.3, None),  # hardly above guessing: no honest number
        (0.09, 0.3, None),  # below guessing
        (0.5, 0.4, None),  # beyond chance
    ],
)
def test_a_refused_training_says_about_how_many_more_problems_would_show_its_figure(
    ap, bound, more
):
    test = ChanceTest(ap, bound, trials=5, problems=10, prevalence=0.1)
    assert test.more_problems == more
    said = test.remedy
    assert ("about 13 more problems (if its figure stays; " in said) == (more == 13)
    assert said.startswith("What may help: ")
    assert "another horizon" in said


@pytest.mark.parametrize(
    ("problems", "share", "may"),
    [(3, 0.2, True), (2, 0.2, False), (3, 0.201, False)],
)
def test_the_validation_period_decides_from_three_problems_and_a_share_of_a_fifth_on(
    problems, share, may
):
    below = ChanceTest(0.3, 0.4, 9, problems, share=share)
    assert not below.passed
    assert below.may_pass is may
