"""Machine failures of the AI4I data set, without the columns that define them, by stratified
folds."""

import os
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import f1_score, precision_recall_curve, roc_auc_score
from sklearn.model_selection import StratifiedKFold

from alerting.learning.features.encoding import Columns
from alerting.learning.search.search import search_candidate
from alerting.learning.selection.challenger import finish_challenger, fit_rows
from alerting.learning.selection.choice import choose
from alerting.ports import silent
from benchmarks.helpers.public_data import ABSENT, ai4i, folder, stratified

pytestmark = [
    pytest.mark.models,
    pytest.mark.real_data,
    pytest.mark.skipif(folder() is None, reason=ABSENT),
    pytest.mark.timeout(900),
]


def scored(dataset, definition, candidate, fitted_on, asked):
    matrix = Columns.from_plan(dataset.plan).matrix(dataset.rows)
    estimator = fit_rows(dataset, candidate, definition, matrix, fitted_on, dataset.label)
    return estimator.margin_of(matrix[asked])


def threshold_of_best_f1(dataset, definition, candidate, rows):
    """Chosen on inner folds of the rows alone."""
    score = np.empty(len(rows))
    for fit, held in StratifiedKFold(4, shuffle=True, random_state=1).split(
        rows, dataset.label[rows]
    ):
        score[held] = scored(dataset, definition, candidate, rows[fit], rows[held])
    precision, recall, thresholds = precision_recall_curve(dataset.label[rows], score)
    return thresholds[
        np.argmax((2 * precision * recall / np.maximum(precision + recall, 1e-9))[:-1])
    ]


@pytest.mark.night
def test_failures_are_told_as_well_as_by_the_best_published_models():
    """Two of five folds, with a short search."""
    definition, whole = ai4i(Path(os.environ["ALERTING_REAL_DATA"]), trials=3)
    assert whole.rows.shape[1] == 6
    f1 = []
    auc = []
    for dataset in islice(stratified(whole), 2):
        candidates = [
            search_candidate(dataset, definition, family, silent)
            for family in definition.learning.candidates
        ]
        choice = choose(dataset, definition, candidates)
        chosen = choice.candidate
        rest = np.flatnonzero(dataset.part != "test")
        test = dataset.part == "test"
        threshold = threshold_of_best_f1(dataset, definition, chosen, rest)
        score = scored(dataset, definition, chosen, rest, test)
        f1.append(f1_score(dataset.label[test], score >= threshold))
        auc.append(roc_auc_score(dataset.label[test], score))
    assert np.mean(f1) >= 0.84
    assert np.mean(auc) >= 0.976


@pytest.mark.parametrize(
    ("mode", "figure", "least"),
    [
        ("HDF", "ap", 0.9),
        ("PWF", "ap", 0.9),
        ("OSF", "ap", 0.9),
        # a worn tool fails at a random wear: it is known when it may, not when it will
        (
            "TWF",
            "roc_auc",
            0.9,
        ),
    ],
)
def test_each_failure_mode_can_be_its_own_definition(mode, figure, least):
    definition, dataset = ai4i(Path(os.environ["ALERTING_REAL_DATA"]), mode, trials=3)
    found = search_candidate(dataset, definition, "lightgbm", silent)
    assert found.metrics[figure] >= least
    model, _ = finish_challenger(
        dataset, choose(dataset, definition, [found]).candidate, definition
    )
    assert 0 < model.threshold < 1


def test_a_failure_mode_that_is_pure_chance_is_not_found():
    definition, dataset = ai4i(Path(os.environ["ALERTING_REAL_DATA"]), "RNF", trials=3)
    found = search_candidate(dataset, definition, "lightgbm", silent)
    assert found.ap < 0.05
    assert found.metrics["roc_auc"] < 0.7
    assert choose(dataset, definition, [found]).candidate is None
