"""A score that shows the problem only once it is there, and noise before it, forecasts nothing."""

from dataclasses import replace

import numpy as np
import pytest

from alerting.learning.search.candidates import Trial, assemble, average_precision, usable_folds
from alerting.learning.search.chance import ShiftedLabels
from alerting.learning.selection.choice import choose, find_present
from tests import small_models

pytestmark = pytest.mark.models

STATE = {"problem": {"variable": "moisture", "above": 5.0, "predict": "state"}}
DEFINITION = small_models.definition(**STATE)


@pytest.fixture(scope="module")
def data():
    return small_models.dataset(**STATE)


def scored_by(data, family, score):
    folds, notes = usable_folds(data, 2)
    scores = [score[fold.test] for fold in folds]
    aps = tuple(average_precision(data, fold, s) for fold, s in zip(folds, scores, strict=True))
    trial = Trial({}, float(np.mean(aps)), aps)
    shifted = ShiftedLabels(data, folds, 0)
    return assemble(family, data, folds, [trial], trial, scores, shifted.evaluate(scores), 1, notes)


@pytest.mark.night
def test_a_score_that_shows_only_what_is_there_is_refused_and_one_that_knows_more_is_not(data):
    random = np.random.default_rng(1)
    present = find_present(data)
    refused = 0
    for _ in range(40):
        slow = np.cumsum(random.normal(0, 0.1, (3, len(present))), axis=1)
        noise = slow - slow.min(axis=1)[:, None]
        noise /= noise.max(axis=1)[:, None]
        scores = present + noise  # noise before the problem; while it is there above all others
        made = [scored_by(data, f"family {i}", score) for i, score in enumerate(scores)]
        choice = choose(data, DEFINITION, made)
        assert choice.chance.is_above
        refused += choice.candidate is None
    assert refused >= 37
    telling = scored_by(data, "family", data.label + random.normal(0, 0.7, len(data.label)))
    assert choose(data, DEFINITION, [telling]).candidate is telling


def test_rows_that_are_all_before_a_problem_need_no_second_test(data):
    onset = replace(data, occurrences=data.occurrences.iloc[:0])
    random = np.random.default_rng(2)
    telling = scored_by(onset, "family", onset.label + random.normal(0, 0.7, len(onset.label)))
    assert choose(onset, DEFINITION, [telling]).chance.onset is None
