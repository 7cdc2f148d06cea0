"""Drift of numbers, whose distance SciPy computes: what moved is named, and what only varies is
not."""

import numpy as np
import pandas as pd
import pytest

from alerting.reporting.definition.drift import drift_of_inputs, standardised_wasserstein


def minutes(number):
    return pd.date_range("2026-01-01", periods=number, freq="1min", tz="UTC")


def test_a_shift_of_one_standard_deviation_is_a_distance_of_one():
    values = np.array([0.0, 2.0] * 50)  # standard deviation 1
    assert standardised_wasserstein(values, values + 1) == pytest.approx(1)


def test_drift_names_the_variables_that_moved_and_leaves_out_those_with_few_values():
    shuffled = np.random.default_rng(1).permutation(1000).astype(float)
    before = pd.DataFrame(
        {"speed": shuffled, "steam": shuffled, "rare": np.nan}, index=minutes(1000)
    )
    now = before.assign(speed=before["speed"] + 500)
    found = drift_of_inputs({"oven-1": before, "gone": before}, {"oven-1": now})
    assert [d.variable for d in found] == ["speed", "steam"]
    assert found[0].is_clear
    assert found[1].psi == 0
    assert found[0].reference == pytest.approx([0.1] * 10)
    assert found[0].current == pytest.approx([0, 0, 0, 0, 0, 0.1, 0.1, 0.1, 0.1, 0.6])


def test_other_values_of_a_variable_that_changes_slowly_are_no_drift_and_those_of_a_fast_one_are():
    rng = np.random.default_rng(3)
    # a new value every 500 minutes
    slow = np.interp(np.arange(4000), np.arange(0, 4001, 500), rng.standard_normal(9))
    fast = rng.standard_normal(4000)
    both = pd.DataFrame({"slow": slow, "fast": fast, "jumped": slow}, index=minutes(4000))
    now = both[3200:].assign(fast=fast[3200:] + 1, jumped=slow[3200:] + 50)
    found = {d.variable: d for d in drift_of_inputs({"x": both[:3200]}, {"x": now})}
    assert found["slow"].psi > 0.25
    assert (found["slow"].is_slow, found["slow"].is_clear) == (True, False)
    assert found["slow"].independent < 5
    assert found["fast"].independent > 200
    assert found["fast"].is_clear
    assert found["jumped"].is_clear, (
        "its distance is far beyond what chance gives to a slow variable"
    )
