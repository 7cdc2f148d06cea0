"""Nothing of the future reaches a model: the suite that a leak of any kind would have to pass.

Beside these: `data/test_quality.py` flags a planted variable that knows the future,
`data/test_feedback_labels.py` keeps answers out that had not been given yet, `data/test_split.py`
purges what reaches into the next part or fold, `features/test_build.py` and `data/test_dataset.py`
compare rows with and without what came later.
"""

from dataclasses import replace

import numpy as np
import pytest

from alerting.learning.selection.challenger import finish_challenger
from alerting.learning.selection.choice import choose
from alerting.learning.selection.classifier_search import search_candidate
from alerting.ports import silent
from tests import small_models

pytestmark = pytest.mark.models


@pytest.mark.parametrize(
    "family", ["logistic_regression", pytest.param("lightgbm", marks=pytest.mark.night)]
)
def test_shuffled_labels_give_chance_out_of_fold_and_on_the_test_period(family):
    dataset = small_models.dataset(600)
    definition = small_models.definition()
    areas = []
    taken = 0
    for seed in range(4):
        label = np.random.default_rng(seed).permutation(dataset.label)
        shuffled = replace(dataset, label=label, label_by_data=label)
        candidate = search_candidate(shuffled, definition, family, silent)
        taken += choose(shuffled, definition, [candidate]).candidate is not None
        _, evidence = finish_challenger(shuffled, candidate, definition)
        prevalence = label[dataset.part == "test"].mean()
        assert evidence.rows["test"]["ap"] < 1.5 * prevalence
        areas += [candidate.metrics["roc_auc"], evidence.rows["test"]["roc_auc"]]
    assert abs(np.mean(areas) - 0.5) < 0.04
    assert taken <= 1, "what is good by chance is no challenger"
    real = search_candidate(dataset, definition, family, silent)
    assert real.metrics["roc_auc"] > 0.9, "while the real labels are learned"
