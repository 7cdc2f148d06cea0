"""What chooses the threshold of a challenger, and problems that are reported beside its figures."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from alerting.learning.selection.challenger import (
    find_problems_in_recovery,
    finish_challenger,
    sample_shares,
)
from alerting.learning.selection.classifier_search import search_candidate
from alerting.learning.selection.operating_point import OUT_OF_FOLD, VALIDATION
from alerting.ports import silent
from alerting.readings.history import millis
from alerting.recommendation.explanation import explain
from tests.small_models import dataset, definition, linear_model

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


ASKED = definition(learning={"trials": 1, "folds": 2})


def challenger(made, family="logistic_regression", **changes):
    candidate = replace(search_candidate(made, ASKED, family, silent), **changes)
    return finish_challenger(made, candidate, ASKED)


@pytest.mark.parametrize("family", ["persistence", "lightgbm"])
def test_without_a_problem_in_validation_the_rows_out_of_fold_choose_the_threshold(family):
    whole = dataset()
    made = without_later_problems(whole)
    model, evidence = challenger(made, family)
    choice = evidence.threshold
    assert choice.period == OUT_OF_FOLD in choice.reason
    assert choice.finds or family == "persistence"
    later = (made.part == "validation") | (made.part == "test")
    high = model.score(made.rows[later]) >= model.threshold
    assert family == "persistence" or whole.label[later][high].mean() > 0.6


def test_without_a_row_of_the_other_class_in_validation_the_rows_out_of_fold_choose_too():
    made = dataset()
    label = np.where(made.part == "validation", 1, made.label).astype(np.int8)
    _, evidence = challenger(replace(made, label=label, label_by_data=label))
    assert evidence.threshold.period == OUT_OF_FOLD


def test_without_scores_out_of_fold_the_threshold_raises_nothing_and_finds_nothing():
    made = without_later_problems(dataset())
    model, evidence = challenger(made, oof=np.full(len(made.at), np.nan))
    assert (evidence.threshold.period, evidence.threshold.finds) == (VALIDATION, False)
    assert (model.score(made.rows[made.part == "validation"]) < model.threshold).all()


def test_shares_of_validation_rows_add_up_and_importance_names_what_the_model_uses():
    data = dataset(hours=120)
    weights = {"humidity.last": 2.0, "humidity.mean.1h": 1.0, "setpoint.last": 0.5}
    model = linear_model(data.plan, data.rows, weights)
    sample = sample_shares(model, data, most=30)
    assert len(sample.shares) == 30
    first = data.rows.iloc[[np.flatnonzero(data.measured_in("validation"))[0]]]
    expected = model.score(first)[0] - explain(model, first).usual_score
    assert sample.shares[0].sum() == pytest.approx(expected)
    assert sample.values[0][sample.variables.index("humidity")] == first["humidity.last"].iloc[0]
    assert np.isnan(sample.values[:, sample.variables.index("crew")]).all()
    assert list(sample.importance)[:2] == ["humidity", "setpoint"]
    assert sample.importance["belt"] == 0.0
    assert sample_shares(model, replace(data, measured=np.zeros_like(data.measured))) is None
