"""A classifier whose rows alone do not exceed chance: the problems of the validation period
decide."""

from dataclasses import replace

import numpy as np
import pytest

from alerting.kinds.classifier.training import TRAINING
from alerting.learning.experiment.chance import ShiftedLabels
from alerting.learning.experiment.experiment import Found
from alerting.learning.experiment.trials import Trial
from alerting.learning.selection.candidates import assemble, average_precision, usable_folds
from tests import small_models

pytestmark = pytest.mark.models

DEFINITION = small_models.definition()


def nearly_above(data):
    """Return a candidate whose figure out of fold is reached by one of ten shifts."""
    folds, notes = usable_folds(data, 2)
    scores = [np.random.default_rng(0).random(len(fold.test)) for fold in folds]
    chance = ShiftedLabels(data, folds, 0).evaluate(scores)
    aps = tuple(average_precision(data, fold, s) for fold, s in zip(folds, scores, strict=True))
    trial = Trial({}, float(np.mean(aps)), aps)
    found = assemble(
        "lightgbm", data, folds, Found(trial, 0.0, scores, scores, chance, [trial]), 1, notes, {}
    )
    return replace(found, metrics=found.metrics | {"ap": float(np.quantile(chance, 0.9))})


def test_problems_that_rank_high_in_validation_confirm_a_figure_below_its_bound():
    data = small_models.dataset()
    chance, chosen = TRAINING.choose(data, DEFINITION, [nearly_above(data)])
    assert not chance.is_above
    assert chance.validation.share < 0.02
    assert chance.together < 0.01
    assert chosen.evidence.validation == chance.validation
    assert chance.to_document()["passed"]


def test_a_figure_below_its_bound_makes_no_challenger_if_no_later_problem_ranks_high():
    data = small_models.dataset()
    half = replace(data, label=np.roll(data.label, len(data.label) // 2))
    chance, chosen = TRAINING.choose(half, DEFINITION, [nearly_above(half)])
    assert chance.may_pass
    assert not chance.is_confirmed
    assert chosen is None
    assert "does not exceed what one trial reaches by chance" in chance.message
