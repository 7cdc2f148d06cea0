"""Quantiles as a distribution: their score, their calibration, the risk, and forecasters as fitted
models."""

from dataclasses import replace

import numpy as np
import pytest

from alerting.kinds.forecast.forecasters import FORECASTERS, Task
from alerting.kinds.forecast.kind import describe_forecast
from alerting.kinds.forecast.model import (
    FILE,
    QUANTILES,
    conformal_shifts,
    covered,
    crps,
    in_order,
    log_odds_outside,
)
from alerting.kinds.registry import parse_definition
from alerting.learning.features.plan import Columns
from alerting.learning.models.trained import ModelRefused

pytestmark = pytest.mark.models

FIVE_LINES = {
    "name": "clogs",
    "kind": "forecast",
    "assets": ["f-1"],
    "problem": {"variable": "drop", "above": 4.0},
    "horizon": "2h",
    "features": {"stride": "1h"},
}
TASK = Task(
    Columns(("drop.last", "drop.lag.1h", "flow.last"), {}),
    0,
    (1,),
    3_600_000,
    (1, 1),
    (3_600_000, 7_200_000),
    4.0,
    None,
)
EVEN = np.arange(7.0).reshape(1, 1, 7)  # 5 % at 0, the median at 3, 95 % at 6


def rising(rows=200, seed=1):
    """Return rows of a value that rises by one a lead, and the values ahead."""
    random = np.random.default_rng(seed)
    last = random.normal(0, 1, rows)
    matrix = np.column_stack([last, last - 1, random.normal(0, 1, rows)])
    return matrix, np.column_stack([last + 1, last + 2]) + random.normal(0, 0.1, (rows, 2))


def test_score_of_a_value_at_all_quantiles_is_zero_and_one_away_is_one_by_the_mean_pinball_loss():
    at_three = np.full((1, 1, 7), 3.0)
    assert crps(at_three, np.array([[3.0]])) == [0.0]
    assert crps(at_three, np.array([[4.0]])) == pytest.approx([2 * np.mean(QUANTILES)])
    assert np.isnan(crps(at_three, np.array([[np.nan]])))[0]


def test_the_risk_at_a_quantile_is_its_own_level_and_two_limits_add_up():
    assert log_odds_outside(EVEN, above=3.0, below=None)[0, 0] == pytest.approx(0.0)
    assert log_odds_outside(EVEN, above=6.0, below=None)[0, 0] == pytest.approx(np.log(0.05 / 0.95))
    assert log_odds_outside(EVEN, above=None, below=1.0)[0, 0] == pytest.approx(np.log(0.1 / 0.9))
    assert log_odds_outside(EVEN, above=6.0, below=0.0)[0, 0] == pytest.approx(np.log(0.1 / 0.9))
    assert log_odds_outside(EVEN, above=100.0, below=None)[0, 0] == -12.0


def test_the_interval_covers_its_limits_and_quantiles_never_fall():
    assert covered(EVEN, np.array([[6.0]]))[0, 0] == 1.0
    assert covered(EVEN, np.array([[6.1]]))[0, 0] == 0.0
    assert (np.diff(in_order(np.array([[[3.0, 1.0, 2.0, 2.0, 5.0, 4.0, 4.0]]]))) > 0).all()


def test_calibration_makes_intervals_hold_on_rows_like_those_it_saw_and_leaves_the_median():
    random = np.random.default_rng(0)
    values = random.normal(0, 2, (4000, 1))
    too_narrow = np.tile(np.linspace(-0.3, 0.3, 7), (4000, 1, 1))
    shifts = conformal_shifts(too_narrow[:2000], values[:2000])
    assert shifts[0, 3] == 0.0
    assert np.mean(covered(too_narrow[2000:] + shifts, values[2000:])) == pytest.approx(
        0.9, abs=0.02
    )
    assert (conformal_shifts(too_narrow[:5], values[:5])[0, [0, 6]] == 0).all(), (
        "five values cannot tell 5 %"
    )


def fitted(name, matrix, future, **changes):
    family = FORECASTERS[name]
    return family.fit({**family.proven[0], **changes}, TASK, matrix, future, 3)


@pytest.mark.parametrize(
    "name", ["persistence", "mean", "seasonal_naive", "smoothing", "ridge", "boosted_trees"]
)
def test_a_forecaster_is_the_same_for_the_same_rows_in_any_number_and_after_its_files(
    name, monkeypatch
):
    matrix, future = rising(rows=60)
    matrix[::7, 2] = np.nan
    matrix[-1] = np.nan
    model = fitted(name, matrix, future)
    assert model.files() == fitted(name, matrix, future).files()
    read = FORECASTERS[name].load(model.files(), 3)
    rows = [matrix[i : i + 1] for i in range(60)]
    margins = np.concatenate([read.margin(row) for row in rows])
    assert margins.tobytes() == model.margin(matrix).tobytes()
    assert np.isfinite(margins).all()
    together = model.quantiles(np.asfortranarray(matrix))
    assert together.shape == (60, len(model.leads_ms), len(QUANTILES))
    assert np.concatenate([read.quantiles(row) for row in rows]).tobytes() == together.tobytes()
    chosen = np.arange(3, 60, 2)
    assert model.quantiles(matrix, chosen).tobytes() == together[chosen].tobytes()
    seven_rows = 7 * len(model.leads_ms) * model.width
    monkeypatch.setattr("alerting.kinds.forecast.model._MOST_CELLS", seven_rows)
    assert model.quantiles(matrix).tobytes() == together.tobytes()


def test_each_lead_of_a_ridge_is_fitted_on_the_rows_that_have_its_value():
    matrix, future = rising()
    future[::3, 1] = np.nan
    ridge = FORECASTERS["ridge"]
    together = ridge.fit(ridge.proven[0], TASK, matrix, future, 3).core
    alone = [
        ridge.fit(ridge.proven[0], replace(TASK, leads_ms=(lead,)), matrix, future[:, [i]], 3).core
        for i, lead in enumerate(TASK.leads_ms)
    ]
    assert together.weights == (*alone[0].weights, *alone[1].weights)
    assert together.intercepts == (*alone[0].intercepts, *alone[1].intercepts)


@pytest.mark.parametrize("name", ["persistence", "ridge", "boosted_trees"])
def test_contributions_add_up_to_the_margin(name):
    matrix, future = rising(rows=60)
    model = fitted(name, matrix, future)
    shares, usual = model.contributions(matrix[:1])
    assert shares.sum() + usual == pytest.approx(model.margin(matrix[:1])[0], abs=1e-6)
    assert np.argmax(np.abs(shares)) == 0


def test_trees_on_many_columns_use_the_few_that_tell_most_also_chosen_before_a_fit():
    matrix, future = rising()
    noise = np.random.default_rng(5).normal(size=(len(matrix), 300))
    wide = np.column_stack([matrix, noise])
    names = (*TASK.columns.names, *(f"noise{number}" for number in range(300)))
    task = replace(TASK, columns=Columns(names, {}))
    family = FORECASTERS["boosted_trees"]
    for of in ("difference", "level"):
        params = {**family.proven[0], "of": of, "rounds": 7}
        forecast = family.fit(params, task, wide, future, seed=1)
        before = replace(task, strongest=family.strongest(params, task, wide, future, 1))
        assert family.fit(params, before, wide, future, seed=1).files() == forecast.files()
    assert {booster.num_trees() for booster in forecast.core.trees.boosters} == {7}
    forecast = family.fit({**family.proven[0], "of": "level"}, task, wide, future, seed=1)
    gains = forecast.importance()
    assert np.argmax(gains) < matrix.shape[1]
    assert np.count_nonzero(gains) <= 64
    noise_instead = wide.copy()
    noise_instead[:, matrix.shape[1] :][:, gains[matrix.shape[1] :] == 0] = 1e9
    assert forecast.quantiles(noise_instead).tobytes() == forecast.quantiles(wide).tobytes()


def test_ridge_and_smoothing_learn_a_rise():
    matrix, future = rising()
    error = np.abs(fitted("ridge", matrix, future).quantiles(matrix)[..., 3] - future)
    assert error.mean() < 0.15
    assert fitted("smoothing", matrix, future).core.trend > 0


def test_a_damaged_file_is_refused():
    files = fitted("ridge", *rising()).files()
    for damaged in (
        {},
        {FILE: files[FILE][:-9]},
        {FILE: files[FILE].replace(b'"width":3', b'"width":4')},
    ):
        with pytest.raises(ModelRefused):
            FORECASTERS["ridge"].load(damaged, 3)


def test_the_time_left_is_counted_from_the_last_value():
    hours = (3_600_000, 7_200_000)
    table = [
        (3.0, (5.0, 6.0), ["the median leaves its limit in about 30 min"]),
        (3.0, (3.5, 4.5), ["the median leaves its limit in about 1 h 30 min"]),
        (3.0, (3.5, 3.6), []),
        (4.5, (5.0, 6.0), []),
    ]
    for last, medians, told in table:
        predicted = {
            f"forecast +{lead // 1000}s {side}": value
            for lead, median in zip(hours, medians, strict=True)
            for side, value in {"low": 0.0, "high": 9.0, "median": median}.items()
        }
        sentences = describe_forecast(parse_definition(FIVE_LINES), "bar", last, hours, predicted)
        assert sentences[0] == f"forecast of drop in 1 h: {medians[0]:.4g} bar (90 %: 0 to 9)"
        assert sentences[2:] == told


def test_leads_lags_and_candidates_follow_the_document():
    plain = parse_definition(FIVE_LINES)
    seasonal = parse_definition(FIVE_LINES | {"season": "24h", "gap": "1h"})
    assert [lead.seconds // 60 for lead in plain.leads(None)] == [60, 120]
    assert [lead.seconds // 60 for lead in seasonal.leads(None)] == [120, 180]
    assert [lag.seconds // 3600 for lag in plain.own_lags(None)] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert [lag.seconds // 3600 for lag in seasonal.own_lags(None)][8:] == [22, 21]
    assert plain.families == ("persistence", "mean", "smoothing", "ridge", "boosted_trees")
    assert parse_definition(
        FIVE_LINES | {"season": "24h", "learning": {"candidates": ["ridge"]}}
    ).families == (
        "persistence",
        "mean",
        "seasonal_naive",
        "ridge",
    )
    assert plain.question_fields() != seasonal.question_fields()
