"""Advice of a forecast: which set-point keeps the value within its limit."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from alerting.definitions.assets import Asset, Variable
from alerting.kinds.forecast.training import TRAINING
from alerting.kinds.validation import parse_definition
from alerting.learning.data.dataset import build_dataset
from alerting.ports import silent
from alerting.readings.history import to_millis
from alerting.recommendation.whatif import recommend
from tests import small_models

pytestmark = pytest.mark.models

DEFINITION = parse_definition(
    {
        "name": "too-moist",
        "kind": "forecast",
        "assets": ["oven-1"],
        "problem": {"variable": "moisture", "above": 5.0},
        "horizon": "30m",
        "features": {"stride": "10m", "windows": ["15m", "1h"], "aggregations": ["mean", "last"]},
        "learning": {"trials": 1, "folds": 2, "candidates": ["ridge"]},
    }
)


@pytest.fixture(scope="module")
def line():
    """Return a line whose moisture follows the speed of the belt within minutes."""
    history = small_models.line(120)
    random = np.random.default_rng(1)
    belt = np.repeat(random.choice([1.6, 2.0, 2.4], len(history.readings) // 36 + 1), 36)[
        : len(history.readings)
    ]
    slow = np.convolve(belt, np.full(4, 0.25))[: len(belt)]
    moisture = 4.2 + 2.5 * (slow - 2.0) + random.normal(0, 0.1, len(belt))
    variables = {
        "belt": Variable(unit="m/min", controllable=True, min=1, max=3, step=0.1),
        "moisture": Variable(unit="%"),
    }
    readings = history.readings[["belt", "moisture"]].assign(belt=belt, moisture=moisture)
    return replace(history, asset=Asset(name="oven-1", variables=variables), readings=readings)


@pytest.fixture(scope="module")
def model(line):
    data = build_dataset(DEFINITION, 1, [line], small_models.as_of(line))
    candidates = [
        TRAINING.train(data, DEFINITION, family, silent, None)
        for family in ("persistence", "ridge")
    ]
    chance, challenger = TRAINING.choose(data, DEFINITION, candidates)
    assert challenger is not None, chance
    return challenger.model


def test_a_slower_belt_keeps_the_forecast_within_its_limit(line, model):
    belt = line.readings["belt"].to_numpy()
    fast = next(i for i in range(len(belt) - 400, len(belt)) if (belt[i - 12 : i + 1] == 2.4).all())
    instant = small_models.START + timedelta(minutes=5 * fast)
    instant -= timedelta(milliseconds=to_millis(instant) % 600_000)
    found = recommend(model, line, instant, 2)
    assert found.changes, found
    assert found.changes[0].variable == "belt"
    assert found.changes[0].before == 2.4 > found.changes[0].after
    assert found.risk_after < model.threshold <= found.risk_before
