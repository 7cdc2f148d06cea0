"""A small line with a known cause of its problem, and models with hand-written weights."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from alerting.definitions.asset_documents import Asset, Variable
from alerting.kinds.classifier.definition import ClassifierDefinition
from alerting.learning.data.dataset import Dataset, build_dataset
from alerting.learning.features.point_in_time import FeaturePlan
from alerting.ports import ReadingRow
from alerting.readings.history import History

if TYPE_CHECKING:
    from alerting.learning.models.trained import TrainedModel

START = datetime(2026, 1, 1, tzinfo=UTC)
STEP = timedelta(minutes=5)

VARIABLES = {
    "setpoint": Variable(
        title="oven set-point",
        unit="°C",
        controllable=True,
        min=180,
        max=260,
        step=1,
        max_change=20,
    ),
    "belt": Variable(
        title="belt speed", unit="m/min", controllable=True, min=1, max=3, step=0.1, cost=2.0
    ),
    "humidity": Variable(title="air humidity", unit="g/kg"),
    "moisture": Variable(unit="%"),
    "crew": Variable(type="category"),
}


def rows_of(readings: pd.DataFrame, asset: str = "oven-1") -> list[ReadingRow]:
    """Return rows as they are stored: what is missing has no value."""
    return [
        ReadingRow(asset, ts.to_pydatetime(), row.dropna().to_dict())
        for ts, row in readings.iterrows()
    ]


def definition(**changes: Any) -> ClassifierDefinition:
    document = {
        "name": "too-moist",
        "kind": "classifier",
        "assets": ["oven-1"],
        "problem": {"variable": "moisture", "above": 5.0},
        "horizon": "30m",
        "features": {
            "stride": "10m",
            "windows": ["15m", "1h"],
            "aggregations": ["mean", "last", "std"],
        },
        "learning": {"trials": 2, "folds": 2},
    }
    return ClassifierDefinition.model_validate(document | changes)


def line(hours: int = 200, seed: int = 0, name: str = "oven-1") -> History:
    """Return a line whose moisture follows a random humidity 20 minutes later, and leaves its limit
    every few hours."""
    rng = np.random.default_rng(seed)
    n = hours * 12
    ts = pd.date_range(START, periods=n, freq="5min", tz="UTC", name="ts").as_unit("ms")
    humidity = (
        8
        + 3 * np.sin(np.arange(n) / 9.0 + np.cumsum(rng.normal(0, 0.05, n)))
        + rng.normal(0, 0.1, n)
    )
    readings = pd.DataFrame(
        {
            "setpoint": np.repeat(rng.choice([215.0, 220.0, 225.0], n // 60 + 1), 60)[:n],
            "belt": 2.0 + rng.choice([-0.1, 0.0, 0.1], n),
            "humidity": np.where(rng.random(n) < 0.02, np.nan, humidity),
            "moisture": 2.5 + np.roll(humidity, 4) * 0.25 + rng.normal(0, 0.02, n),
            "crew": np.where((np.arange(n) // 96) % 2 == 0, "early", "late").astype(object),
        },
        index=ts,
    )
    return History(Asset(name=name, variables=VARIABLES), readings)


def as_of(history: History) -> datetime:
    return history.readings.index[-1].to_pydatetime()


def dataset(hours: int = 200, **changes: Any) -> Dataset:
    """Return the dataset of the line and of the changed definition; no test alters it."""
    return _built(hours, json.dumps(changes, sort_keys=True))


@cache
def _built(hours: int, changes: str) -> Dataset:
    history = line(hours)
    return build_dataset(definition(**json.loads(changes)), 1, [history], as_of(history))


def linear_model(
    plan: FeaturePlan,
    rows: pd.DataFrame,
    weights: Mapping[str, float],
    intercept: float = 0.0,
    threshold: float = 0.5,
    training_cutoff: datetime = START,
) -> "TrainedModel":
    """Return a logistic regression with the given weights per scaled column; the other columns have
    weight 0."""
    # imported here, because tests of datasets need no library of models
    from alerting.learning.features.plan import Columns, Dense, Encoding
    from alerting.learning.models.families.logistic_regression import LinearModel
    from alerting.learning.models.trained import Estimator, Platt, TrainedModel, model_hash
    from alerting.learning.selection.challenger import ordinary_ranges, usual_values

    columns = Columns.from_plan(plan)
    dense = Dense.fit(columns, columns.matrix(rows), scaled=True)
    coef = np.zeros(len(dense.mean))
    for name, weight in weights.items():
        coef[dense.numbers.index(plan.columns.index(name))] = weight
    model = SimpleNamespace(coef_=coef[None, :], intercept_=np.array([intercept]))
    estimator = Estimator("logistic_regression", LinearModel(model), columns, Encoding(dense))
    calibration = Platt(1.0, 0.0)
    ranges, usual_ranges = ordinary_ranges(plan, rows)
    return TrainedModel(
        definition="too-moist",
        revision=1,
        plan=plan,
        estimator=estimator,
        calibration=calibration,
        threshold=threshold,
        training_cutoff=training_cutoff,
        as_of=training_cutoff,
        horizon=timedelta(minutes=30),
        gap=timedelta(0),
        usual=usual_values(plan, rows),
        ranges=ranges,
        usual_ranges=usual_ranges,
        hash=model_hash(estimator, calibration, threshold, plan),
    )
