from dataclasses import replace

import numpy as np
import pytest

from alerting.learning.search.candidates import Trial, assemble, average_precision, baseline_candidate, usable_folds
from alerting.learning.selection.baseline_test import compare_with_baseline
from alerting.learning.selection.challenger import select
from tests import small_models

DEFINITION = small_models.definition()


@pytest.fixture(scope="module")
def data():
    return replace(small_models.dataset(), persistence=np.full(len(small_models.dataset().label), np.nan))


def scored_by(data, family, score):
    folds, notes = usable_folds(data, 2)
    scores = [score[fold.test] for fold in folds]
    aps = tuple(average_precision(data, fold, s) for fold, s in zip(folds, scores, strict=True))
    trial = Trial({}, float(np.mean(aps)), aps)
    return assemble(family, data, folds, [trial], trial, scores, 1, notes)


def test_a_score_that_knows_something_is_ahead_of_the_baseline_for_sure(data):
    random = np.random.default_rng(0)
    telling = scored_by(data, "lightgbm", data.label + random.normal(0, 0.7, len(data.label)))
    baseline = baseline_candidate(data, DEFINITION)
    lead = compare_with_baseline(data, telling, baseline, 2)
    assert lead.is_beyond_chance
    assert lead.low < telling.metrics["roc_auc"] - 0.5 < lead.high
    assert select(data, DEFINITION, [baseline, telling]) == (telling, "")


def test_the_best_of_three_scores_by_chance_is_seldom_a_challenger_and_the_reason_says_so(data):
    random = np.random.default_rng(1)
    baseline = baseline_candidate(data, DEFINITION)
    families = ("lightgbm", "random_forest", "logistic_regression")
    taken, refused = 0, []
    for _ in range(30):
        by_chance = [scored_by(data, family, random.normal(size=len(data.label))) for family in families]
        chosen, reason = select(data, DEFINITION, [baseline, *by_chance])
        taken += chosen is not None
        refused += [reason] if "beyond chance" in reason else []
    assert taken <= 3
    assert len(refused) > 10  # a better figure alone would have done
    assert "its ROC-AUC less the baseline's may be -" in refused[0]


def test_over_the_last_known_value_a_small_lead_must_be_more_than_chance(data):
    random = np.random.default_rng(2)
    known = replace(data, persistence=data.label + random.normal(0, 0.7, len(data.label)))
    baseline = baseline_candidate(known, DEFINITION)
    assert baseline.params == {"score": "persistence"}
    alike = scored_by(known, "lightgbm", known.persistence + random.normal(0, 0.05, len(data.label)))
    better = scored_by(known, "lightgbm", known.persistence + 0.8 * data.label)
    assert not compare_with_baseline(known, alike, baseline, 2).is_beyond_chance
    assert select(known, DEFINITION, [baseline, better])[0] is better
    assert compare_with_baseline(known, better, baseline, 2).metric == "ap"


def test_too_few_problems_to_draw_again_leave_the_figure_to_decide(data):
    folds, _ = usable_folds(data, 2)
    label = np.zeros_like(data.label)
    for fold in folds:
        label[fold.test[len(fold.test) // 2]] = 1
    label[folds[0].train[len(folds[0].train) // 2]] = 1
    few = replace(data, label=label, label_by_data=label)
    right, baseline = scored_by(few, "lightgbm", label.astype(float)), baseline_candidate(few, DEFINITION)
    assert compare_with_baseline(few, right, baseline, 2) is None
    assert select(few, DEFINITION, [baseline, right])[0] is right
