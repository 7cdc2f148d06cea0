"""Rows and validation beside chance, together: with a score that is always high, a random one, and
one that knows."""

from dataclasses import replace

import numpy as np
import pytest

from alerting.learning.search.candidates import Trial, assemble, average_precision, usable_folds
from alerting.learning.search.chance import ShiftedLabels, placed_share
from alerting.learning.selection.choice import (
    ChanceTest,
    OnsetTest,
    ValidationChance,
    choose,
    combine_shares,
)
from alerting.learning.selection.decision_table import add_objection, decide
from tests import small_models

pytestmark = pytest.mark.models

DEFINITION = small_models.definition()


def scored_by(data, score):
    folds, notes = usable_folds(data, 2)
    scores = [score[fold.test] for fold in folds]
    aps = tuple(average_precision(data, fold, s) for fold, s in zip(folds, scores, strict=True))
    trial = Trial({}, float(np.mean(aps)), aps)
    chance = ShiftedLabels(data, folds, 0).evaluate(scores)
    return assemble("lightgbm", data, folds, [trial], trial, scores, chance, 1, notes)


def slow_noise(seed, rows):
    random = np.random.default_rng([seed, 1])
    values = random.normal(size=rows)
    for row in range(1, rows):
        values[row] = 0.8 * values[row - 1] + 0.6 * values[row]
    return 1 / (1 + np.exp(-values))


@pytest.mark.parametrize("name", ["always high", "random"])
def test_a_useless_score_is_refused_by_its_rows_and_waits_for_a_person_by_validation(name):
    data = small_models.dataset()
    rows = len(data.label)
    score = np.full(rows, 0.9) if name == "always high" else slow_noise(5, rows)
    choice = choose(data, DEFINITION, [scored_by(data, score)])
    assert not choice.chance.passed
    facts = {"chance": choice.chance.message, "stays": "", "remedy": ""}
    assert decide({"not_above_chance": True}, facts).verdict == "no_challenger"

    validation = np.flatnonzero(data.measured_in("validation"))
    share = placed_share(data, validation, score, 0)
    assert share > 0.1
    first = decide({"no_champion": True}, {})
    assert not first.waits(DEFINITION)
    found = ValidationChance(3, 4, 5, share)
    test = ChanceTest(0.4, 0.3, 16, problems=10, share=0.02, found=found)
    assert test.passed
    assert not test.is_confirmed
    assert add_objection(first, "found_by_chance", test.facts).waits(DEFINITION)


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
    confirmed = replace(test, found=THREE_OF_FOUR)
    assert confirmed.passed
    assert confirmed.message.endswith(
        "0.300 (labels shifted in time 400 times). But with its scores before the 4 problems of "
        "the validation period, it comes by chance in 0.4% of the cases (at most 2.5% are allowed)."
    )
    assert not replace(test, found=ValidationChance(3, 4, 5, 0.3)).passed


@pytest.mark.parametrize(
    "change",
    [{"share": 0.21}, {"problems": 2}, {"onset": OnsetTest(0.1, 0.2, 8)}],
    ids=["far below its bound", "too few problems", "nothing to forecast"],
)
def test_later_problems_outweigh_no_other_refusal(change):
    test = ChanceTest(0.28, 0.30, 16, problems=10, share=0.05, found=THREE_OF_FOUR)
    assert test.passed
    assert not replace(test, **change).passed


NONE_OF_FOUR = ValidationChance(0, 4, 2, 1.0)


@pytest.mark.parametrize(
    ("found", "share", "few"),
    [
        (NONE_OF_FOUR, 0.002, True),
        (NONE_OF_FOUR, 0.01, False),
        (replace(NONE_OF_FOUR, share=0.1), 0.01, True),
        (replace(NONE_OF_FOUR, problems=9), 0.002, True),
        (replace(NONE_OF_FOUR, problems=10), 0.002, False),
        (replace(NONE_OF_FOUR, alarms=0), 0.002, False),
        (THREE_OF_FOUR, 0.002, False),
        (None, 0.002, False),
    ],
    ids=[
        "few",
        "not beyond chance",
        "ranked high",
        "nine",
        "ten",
        "no alarm",
        "some found",
        "unknown",
    ],
)
def test_none_found_of_few_problems_says_nothing_against_a_model_beyond_chance(found, share, few):
    test = ChanceTest(0.5, 0.3, 16, problems=10, share=share, found=found)
    assert test.none_of_few is few
