"""What chooses the threshold of a challenger, and problems that are reported beside its figures."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from alerting.definitions.families import BUILT_IN as FAMILIES
from alerting.learning.search.search import search_candidate
from alerting.learning.selection.challenger import find_problems_in_recovery, finish_challenger
from alerting.learning.selection.operating_point import OUT_OF_FOLD, VALIDATION
from alerting.ports import silent
from alerting.readings.history import millis
from tests.small_models import dataset, definition

pytestmark = pytest.mark.models
MINUTE = 60_000


def test_problems_in_recovery_are_those_that_a_row_of_the_test_part_is_asked_about():
    made = dataset()
    rows = made.at[made.part == "test"]
    first = int(rows.min()) + 10 * MINUTE
    last = int(rows.max()) + 10 * MINUTE + made.horizon_ms
    starts = [first, first + 1, last, last + 1, last - MINUTE]
    problems = pd.DataFrame(
        {
            "asset": ["a", "b", "c", "d", "counts"],
            "start": pd.to_datetime(starts, unit="ms", utc=True),
            "uncounted": [True, True, True, True, False],
        }
    )
    asked = replace(made, gap_ms=10 * MINUTE, problems=problems)
    assert [asset for asset, _ in find_problems_in_recovery(asked)] == ["b", "c"]
    untested = replace(asked, part=np.where(made.part == "test", "purged", made.part))
    assert find_problems_in_recovery(untested) == []


def without_later_problems(made):
    """Return a dataset of which no problem occurs after the training period."""
    last = made.at[made.part == "train"].max() + made.horizon_ms
    label = np.where(made.at > last, 0, made.label).astype(np.int8)
    kept = made.problems[millis(made.problems["start"]) <= last]
    return replace(made, label=label, label_by_data=label, problems=kept)


@pytest.mark.parametrize("family", FAMILIES)
def test_without_a_problem_in_validation_the_rows_out_of_fold_choose_the_threshold(family):
    whole = dataset()
    made = without_later_problems(whole)
    asked = definition(learning={"trials": 1, "folds": 2})
    model, evidence = finish_challenger(made, search_candidate(made, asked, family, silent), asked)
    choice = evidence.threshold
    assert choice.period == OUT_OF_FOLD in choice.reason
    assert choice.finds or family == "persistence"
    later = (made.part == "validation") | (made.part == "test")
    high = model.score(made.rows[later]) >= model.threshold
    assert family == "persistence" or whole.label[later][high].mean() > 0.6


def test_without_a_row_of_the_other_class_in_validation_the_rows_out_of_fold_choose_too():
    made = dataset()
    label = np.where(made.part == "validation", 1, made.label).astype(np.int8)
    made = replace(made, label=label, label_by_data=label)
    asked = definition(learning={"trials": 1, "folds": 2})
    candidate = search_candidate(made, asked, "logistic_regression", silent)
    assert finish_challenger(made, candidate, asked)[1].threshold.period == OUT_OF_FOLD


def test_without_scores_out_of_fold_the_threshold_raises_nothing_and_finds_nothing():
    made = without_later_problems(dataset())
    asked = definition(learning={"trials": 1, "folds": 2})
    candidate = search_candidate(made, asked, "logistic_regression", silent)
    unknown = replace(candidate, oof=np.full(len(made.at), np.nan))
    model, evidence = finish_challenger(made, unknown, asked)
    assert (evidence.threshold.period, evidence.threshold.finds) == (VALIDATION, False)
    assert (model.score(made.rows[made.part == "validation"]) < model.threshold).all()
