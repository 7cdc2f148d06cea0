"""The choice among candidates: nothing that chance explains, and the last known value where nothing
is better."""

from dataclasses import replace

import numpy as np
import pytest

from alerting.definitions.fields.learning import PERSISTENCE
from alerting.learning.experiment.chance import ShiftedLabels, placed_share
from alerting.learning.experiment.experiment import Found
from alerting.learning.experiment.trials import Trial
from alerting.learning.selection.candidates import assemble, average_precision, usable_folds
from alerting.learning.selection.choice import (
    ChanceTest,
    OnsetTest,
    ValidationChance,
    choose,
    combine_shares,
    find_present,
)
from alerting.learning.selection.classifier_search import search_candidate
from alerting.learning.selection.decision import add_objection, decide
from tests import small_models

pytestmark = pytest.mark.models

DEFINITION = small_models.definition()
FAMILIES = ("lightgbm", "random_forest", "logistic_regression")


def scored_by(data, family, score):
    folds, notes = usable_folds(data, 2)
    scores = [score[fold.test] for fold in folds]
    aps = tuple(average_precision(data, fold, s) for fold, s in zip(folds, scores, strict=True))
    trial = Trial({}, float(np.mean(aps)), aps)
    shifted = ShiftedLabels(data, folds, 0)
    result = Found(trial, 0.0, scores, scores, shifted.evaluate(scores), [trial])
    return assemble(family, data, folds, result, 1, notes, {})


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
        f"Its average precision out of fold, {telling.ap:.3f}, exceeds what one trial "
        "reaches by chance in 1 of "
        f"40 cases, {choice.chance.bound:.3f} (labels shifted in time 400 times)."
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
    assert equal.chance.ap == persistence.ap < alike.ap
    assert equal.candidate.family == PERSISTENCE
    why = equal.candidate.notes[-1]
    (figures,) = equal.candidate.statistics
    assert why == "The last known value was chosen, because no candidate is clearly better."
    assert f"Its average precision is {persistence.ap:.3f}, that of lightgbm" in figures
    assert choose(data, DEFINITION, [better, persistence]).candidate is better
    assert (
        choose(data, DEFINITION, [scored_by(data, "lightgbm", -known), persistence]).candidate
        is persistence
    )


def test_a_last_known_value_that_tells_nothing_is_not_chosen_for_being_simple(data):
    persistence = scored_by(data, PERSISTENCE, slow_noise(5, len(data.label)))
    telling = scored_by(data, "lightgbm", data.label + slow_noise(6, len(data.label)))
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
    unseen = [
        {"exclude": ["moist*"]},
        {"include": ["humidity"]},
        {"problem": {"event": "failure"}},
        {"features": {"aggregations": ["mean"]}},
    ]
    families = [small_models.definition(**changes).families for changes in unseen]
    assert [PERSISTENCE in tried for tried in families] == [False] * 4
    found = search_candidate(data, DEFINITION, PERSISTENCE, lambda *_: None)
    assert (found.trials, found.trials_asked, found.cut_short) == (1, 1, False)
    assert found.params == {"column": "moisture.last", "above": 5.0, "below": None, "equals": None}
    scored = np.isfinite(found.oof) & np.isfinite(data.persistence)
    for fold in usable_folds(data, 2)[0]:  # one scale a fold
        rows = fold.test[scored[fold.test]]
        order = np.argsort(data.persistence[rows], kind="stable")
        assert (np.diff(found.oof[rows][order]) >= 0).all()


def test_a_refused_training_says_about_how_many_more_problems_would_show_its_figure():
    tests = {
        bounds: ChanceTest(*bounds, trials=5, problems=10, prevalence=0.1)
        for bounds in ((0.3, 0.4), (0.15, 0.3), (0.09, 0.3), (0.5, 0.4))
    }
    assert {bounds: test.more_problems for bounds, test in tests.items()} == {
        (0.3, 0.4): 13,  # (0.3 / 0.2)² of ten problems
        (0.15, 0.3): None,  # hardly above guessing: no honest number
        (0.09, 0.3): None,  # below guessing
        (0.5, 0.4): None,  # beyond chance
    }
    said = [test.remedy for test in tests.values()]
    words = "about 13 more problems (if its figure stays)"
    assert [words in text for text in said] == [True, False, False, False]
    assert all(text.startswith("What may help: ") for text in said)
    assert all("another horizon" in text for text in said)


def test_the_validation_period_decides_from_three_problems_and_a_share_of_a_fifth_on():
    may = {(3, 0.2): True, (2, 0.2): False, (3, 0.201): False}
    below = {key: ChanceTest(0.3, 0.4, 9, key[0], share=key[1]) for key in may}
    assert {key: test.may_pass for key, test in below.items()} == may
    assert not any(test.passed for test in below.values())


STATE = {"problem": {"variable": "moisture", "above": 5.0, "predict": "state"}}
STATE_DEFINITION = small_models.definition(**STATE)


@pytest.fixture(scope="module")
def state():
    return small_models.dataset(**STATE)


def test_a_score_that_shows_only_what_is_there_is_refused_and_one_that_knows_more_is_not(state):
    # noise before the problem; while it is there above all others
    shown = [find_present(state) + slow_noise(seed, len(state.label)) for seed in range(6)]
    choices = [choose(state, STATE_DEFINITION, [scored_by(state, "family", s)]) for s in shown]
    assert all(choice.chance.is_above for choice in choices)
    assert sum(choice.candidate is None for choice in choices) >= 5
    telling = scored_by(state, "family", state.label + 0.3 * slow_noise(2, len(state.label)))
    assert choose(state, STATE_DEFINITION, [telling]).candidate is telling
    onset = replace(state, occurrences=state.occurrences.iloc[:0])
    assert choose(onset, STATE_DEFINITION, [telling]).chance.onset is None


def test_what_serves_must_itself_know_the_problem_before_it_is_there(state):
    present = find_present(state)
    rows = len(state.label)
    # the last known value shows the problem once it is there; the other one foresees it, and is
    # lower over all rows, so that it is not chosen
    shown = scored_by(state, PERSISTENCE, present + slow_noise(1, rows))
    ahead = state.label * ~present + 0.2 * present + 0.6 * slow_noise(2, rows)
    foresees = scored_by(state, "lightgbm", ahead)
    assert shown.ap > foresees.ap
    choice = choose(state, STATE_DEFINITION, [shown, foresees])
    onset = choice.chance.onset
    assert (choice.candidate.family, onset.family) == ("lightgbm", "lightgbm")
    assert choice.chance.passed
    assert choice.chance.ap == foresees.ap  # beside validation its own figure counts
    assert choice.chance.share == (np.sum(choice_chance(shown, foresees) >= foresees.ap) + 1) / 401
    assert "Not the last known value but lightgbm was chosen" in choice.candidate.notes[-1]
    assert choose(state, STATE_DEFINITION, [foresees]).candidate is foresees
    # the bound is that of the best of all candidates, so noise passes no more often
    alone = choose(state, STATE_DEFINITION, [shown]).chance.onset
    assert alone.bound <= onset.bound


def choice_chance(*candidates):
    return np.max([candidate.chance for candidate in candidates], axis=0)


def slow_noise(seed, rows):
    random = np.random.default_rng([seed, 1])
    values = random.normal(size=rows)
    for row in range(1, rows):
        values[row] = 0.8 * values[row - 1] + 0.6 * values[row]
    return 1 / (1 + np.exp(-values))


def test_a_useless_score_is_refused_by_its_rows_and_waits_for_a_person_by_validation(data):
    score = slow_noise(5, len(data.label))
    choice = choose(data, DEFINITION, [scored_by(data, "lightgbm", score)])
    assert (choice.candidate, choice.chance.passed) == (None, False)
    words = "does not exceed what one trial reaches by chance"
    assert words in choice.chance.message

    share = placed_share(data, np.flatnonzero(data.measured_in("validation")), score, 0)
    assert share > 0.1
    test = ChanceTest(0.4, 0.3, 16, 10, share=0.02, validation=ValidationChance(3, 4, 5, share))
    assert (test.passed, test.is_confirmed) == (True, False)
    first = decide({"no_champion": True})
    assert not first.waits(DEFINITION)
    values = {"number": 4, "problems_found": 3}
    by_chance = add_objection(first, "found_by_chance", values, evidence=test.facts)
    assert by_chance.waits(DEFINITION)
    assert by_chance.evidence["found_by_chance"]["together"] == test.together


def test_two_probabilities_of_noise_together_are_as_seldom_small_as_one():
    random = np.random.default_rng(0)
    together = [combine_shares(*pair) for pair in random.random((20_000, 2))]
    for level in (0.025, 0.2, 0.5):
        assert np.mean(np.array(together) <= level) == pytest.approx(level, rel=0.1)
    assert combine_shares(0.0, 1.0) == 0.0


# chance ranks its four problems so high in 1 of 100 cases
THREE_OF_FOUR = ValidationChance(3, 4, 5, 0.01)


def test_a_figure_a_little_below_its_bound_passes_if_later_problems_rank_high():
    test = ChanceTest(0.28, 0.30, 16, problems=10, share=0.05)
    assert (test.is_above, test.may_pass, test.passed) == (False, True, False)
    confirmed = replace(test, validation=THREE_OF_FOUR)
    assert confirmed.passed
    assert confirmed.message.endswith(
        "0.300 (labels shifted in time 400 times). But with its scores before the 4 problems of "
        "the validation period, it comes by chance in 0.4 % of the cases (at most 2.5 % are "
        "allowed)."
    )
    assert not replace(test, validation=ValidationChance(3, 4, 5, 0.3)).passed


def test_later_problems_outweigh_no_other_refusal():
    test = ChanceTest(0.28, 0.30, 16, problems=10, share=0.05, validation=THREE_OF_FOUR)
    assert test.passed
    # far below its bound, too few problems, nothing to forecast
    changes = [{"share": 0.21}, {"problems": 2}, {"onset": OnsetTest(0.1, 0.2, 8)}]
    assert [change for change in changes if replace(test, **change).passed] == []


NONE_OF_FOUR = ValidationChance(0, 4, 2, 1.0)
