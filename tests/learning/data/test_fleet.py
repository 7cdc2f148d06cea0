"""The dataset of a fleet: each asset runs to its failure at a time of its own."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from alerting.definitions.assets import Asset, EventType, Variable
from alerting.readings.history import History
from tests.helpers.learning.dataset import START, built, definition

pytestmark = pytest.mark.models


def test_a_fleet_that_runs_to_failure_keeps_all_its_positives():
    fleet = []
    random = np.random.default_rng(0)
    types = (EventType(name="failure", duration="instant"),)
    for number in range(100):
        life = 150 + number * 4
        index = pd.date_range(START, periods=life, freq="h", name="ts", unit="ms")
        end = pd.Series([index[-1]])
        failure = pd.DataFrame(
            {"type": pd.Series(["failure"], dtype=object), "start": end, "end": end}
        )
        readings = pd.DataFrame({"x": random.normal(0, 1, life)}, index=index)
        fleet.append(
            History(
                Asset(name=f"oven-{number:03}", variables={"x": Variable()}),
                readings,
                failure,
                types,
            )
        )
    wanted = definition(
        problem={"event": "failure"}, horizon="12h", features={"stride": "1h", "windows": ["3h"]}
    )
    dataset = built(wanted, fleet, START + timedelta(hours=2000))
    assert len(dataset.problems) == 100
    assert dataset.label[dataset.fit].sum() == 100 * 12
    assert dataset.label[dataset.measured].sum() == 100 * 12
    for part in ("train", "validation", "test"):
        measured = dataset.label[dataset.measured & (dataset.part == part)]
        assert measured.sum() >= 12
        assert (measured == 0).any()
