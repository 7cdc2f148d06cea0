"""Relations estimated from history: which variable follows which set-point, how far and how
fast."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from alerting.definitions.assets import Asset, Relation, Variable
from alerting.readings.history import History
from alerting.recommendation.relations import lagged, suggest_relations

pytestmark = pytest.mark.fast

MINUTES = 1200


def history(follower: np.ndarray, setpoint: np.ndarray, every: str = "1min") -> History:
    index = pd.date_range(
        datetime(2026, 1, 1, tzinfo=UTC), periods=len(setpoint), freq=every, name="ts"
    ).as_unit("ms")
    variables = {
        "setpoint": Variable(controllable=True),
        "other": Variable(controllable=True),
        "temperature": Variable(),
    }
    other = np.repeat(np.random.default_rng(9).normal(0, 1, len(setpoint) // 40), 40)
    readings = pd.DataFrame(
        {"setpoint": setpoint, "other": other, "temperature": follower}, index=index
    )
    return History(Asset(name="oven-1", variables=variables), readings)


def setpoint() -> np.ndarray:
    return np.repeat(np.random.default_rng(1).normal(200, 5, MINUTES // 60), 60)


def test_a_first_order_lag_has_reached_63_percent_of_a_step_after_its_time_constant():
    step = np.concatenate([np.zeros(1), np.ones(10)])
    assert lagged(step, 5.0)[5] == pytest.approx(1 - np.exp(-1))
    assert lagged(step, 0.0) is step


def test_a_variable_that_follows_with_a_lag_is_found_beside_noise_and_a_fault():
    noise = np.random.default_rng(2).normal(0, 0.3, MINUTES)
    temperature = 0.5 * lagged(setpoint(), 10.0) + noise
    temperature[300:420] -= 40  # a fault of the burner
    temperature[700] = np.nan
    (found,) = suggest_relations(history(temperature, setpoint()))
    assert (found.variable, found.of, found.gain, found.time_constant) == (
        "temperature",
        "setpoint",
        0.5,
        timedelta(minutes=10),
    )
    assert found.explained > 0.9
    assert found.described == pytest.approx(0.9, abs=0.02)
    assert found.to_document() == {
        "variable": "temperature",
        "kind": "lag",
        "of": "setpoint",
        "gain": 0.5,
        "time_constant": "10m",
    }


@pytest.mark.parametrize(("every", "stated"), [("50ms", "1s"), ("250ms", "2s"), ("1s", "10s")])
def test_the_lag_of_a_fast_line_is_stated_in_whole_seconds_as_an_asset_accepts_it(every, stated):
    noise = np.random.default_rng(2).normal(0, 0.3, MINUTES)
    (found,) = suggest_relations(history(lagged(setpoint(), 10.0) + noise, setpoint(), every))
    assert Relation(**found.to_document()).time_constant == found.time_constant
    assert found.to_document()["time_constant"] == stated


def test_a_variable_that_is_the_setpoint_is_equal():
    (found,) = suggest_relations(
        history(setpoint() + np.random.default_rng(3).normal(0, 0.1, MINUTES), setpoint())
    )
    assert found.to_document() == {"variable": "temperature", "kind": "equal", "of": "setpoint"}


def test_chance_and_a_setpoint_that_hardly_moves_suggest_nothing():
    assert (
        suggest_relations(history(np.random.default_rng(4).normal(0, 1, MINUTES), setpoint())) == []
    )
    constant = np.full(MINUTES, 200.0)
    constant[600:] = 201
    assert suggest_relations(history(constant + 0.0, constant)) == []
