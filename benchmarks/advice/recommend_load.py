"""Cost of contributions and a recommendation for one alert, with 200 features and 500 trees, on one
core.

Synthetic line: a reading a minute of 25 variables with 8 features each, of which four can be set in
40 steps; the risk rises where two of them are high together. 100 alerts one after another; the goal
is under a second for each and under 30 s for all. The peer is the contributions alone.
"""

import statistics
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from alerting.deferred import lightgbm
from alerting.definitions.assets import Asset, Variable
from alerting.learning.features.build import build_features
from alerting.learning.features.encoding import Columns, Encoding
from alerting.learning.features.plan import FeaturePlan, NumberSource
from alerting.learning.models.calibration import fit_platt
from alerting.learning.models.estimator import Estimator
from alerting.learning.models.families.lightgbm import BoosterMean
from alerting.learning.models.normal import sample_normal
from alerting.learning.models.trained import TrainedModel
from alerting.learning.selection.ordinary_values import ordinary_ranges, usual_values
from alerting.readings.history import History, from_millis, to_millis
from alerting.recommendation.contributions import contributions, explain
from alerting.recommendation.whatif import recommend
from benchmarks.helpers.memory import peak_mib

START = datetime(2026, 1, 5, tzinfo=UTC)
MINUTE = 60_000
DAYS = 14
VARIABLES = 25
CONTROLLABLE = 4
TREES = 500
ALERTS = 100
LOADED = timedelta(hours=3)
MOST_SECONDS = 1.0
MOST_OF_ALL = 30.0
AGGREGATIONS = ("mean", "std", "min", "max", "last", "slope")


def run() -> dict[str, Any]:
    """Return seconds of an alert (median and slowest) and of all, peak memory, and the mean number
    of scorings."""
    history = _history()
    plan = _plan()
    at = to_millis(START) + np.arange(120, DAYS * 24 * 60, 5, dtype=np.int64) * MINUTE
    rows = build_features(plan, history, at)
    model = _model(plan, rows, at)
    score = model.score(rows)
    alarmed = at[
        np.argsort(-score)[:: max(1, int((score >= model.threshold).sum()) // ALERTS)][:ALERTS]
    ]
    seconds = []
    explaining = []
    scorings = []
    outcomes = []
    for instant in alarmed.tolist():
        until = from_millis(instant)
        known = History(history.asset, history.readings.loc[until - LOADED : until])
        row = build_features(plan, known, np.array([instant]))
        started = time.perf_counter()
        explained = explain(model, row)
        contributions(model, row, known.asset, explained)
        explaining.append(time.perf_counter() - started)
        found = recommend(model, known, until, 2, explained=explained)
        seconds.append(time.perf_counter() - started)
        scorings.append(found.scorings)
        outcomes.append(f"{found.safety or 'none'}, {found.search or 'none'}")
    median = statistics.median(seconds)
    peer = statistics.median(explaining)
    return {
        "benchmark": "recommend_load",
        "figure": round(median, 3),
        "unit": (
            f"s of contributions and a recommendation, {len(plan.columns)} features, {TREES} "
            f"trees, median of {len(alarmed)}"
        ),
        "peer": "contributions alone",
        "peer_figure": round(peer, 3),
        "ratio": round(peer / median, 3),
        "goal": f"each < {MOST_SECONDS:.0f} s, all < {MOST_OF_ALL:.0f} s",
        "met": max(seconds) < MOST_SECONDS and sum(seconds) < MOST_OF_ALL,
        "slowest": round(max(seconds), 3),
        "all": round(sum(seconds), 1),
        "peak_mib": peak_mib(),
        "scorings": round(statistics.mean(scorings), 1),
        "outcomes": {kind: outcomes.count(kind) for kind in sorted(set(outcomes))},
    }


def _plan() -> FeaturePlan:
    numbers = tuple(NumberSource(f"v{i}", MINUTE) for i in range(VARIABLES))
    return FeaturePlan(
        5 * MINUTE, (60 * MINUTE,), (*AGGREGATIONS, "missing", "age"), numbers=numbers
    )


def _history() -> History:
    random = np.random.default_rng(0)
    rows = DAYS * 24 * 60
    values = random.standard_normal((rows, VARIABLES))
    values[:, :8] = np.cumsum(random.standard_normal((rows, 8)) * 0.03, axis=0)
    for i in range(8):
        values[:, i] -= pd.Series(values[:, i]).rolling(1440, min_periods=1).mean().to_numpy()
    for i in range(CONTROLLABLE):  # a set-point moves every four hours
        values[:, i] = np.repeat(random.integers(-15, 16, rows // 240 + 1) * 0.1, 240)[:rows]
    setting = {"controllable": True, "min": -2.0, "max": 2.0, "step": 0.1}
    variables = {
        f"v{i}": Variable(**setting) if i < CONTROLLABLE else Variable() for i in range(VARIABLES)
    }
    index = pd.date_range(START, periods=rows, freq="min", name="ts").as_unit("ms")
    return History(
        Asset(name="line-1", variables=variables),
        pd.DataFrame(values, columns=list(variables), index=index),
    )


def _model(plan: FeaturePlan, rows: pd.DataFrame, at: Any) -> TrainedModel:
    random = np.random.default_rng(1)
    risk = (
        rows["v0.mean.1h"]
        + rows["v1.mean.1h"]
        + rows["v5.last"]
        + 0.5 * rows["v2.last"] * rows["v6.last"]
    )
    label = (risk + 0.3 * random.standard_normal(len(rows)) > 1.5).to_numpy().astype(np.int8)
    columns = Columns.from_plan(plan)
    matrix = columns.matrix(rows)
    settings = {
        "objective": "binary",
        "verbosity": -1,
        "num_leaves": 31,
        "learning_rate": 0.03,
        "num_threads": 1,
        "seed": 0,
    }
    names = [f"c{i}" for i in range(matrix.shape[1])]
    booster = lightgbm.train(settings, lightgbm.Dataset(matrix, label, feature_name=names), TREES)
    estimator = Estimator("lightgbm", BoosterMean((booster,)), columns, Encoding())
    return TrainedModel(
        definition="load",
        revision=1,
        plan=plan,
        estimator=estimator,
        calibration=fit_platt(estimator.margin_of(matrix), label),
        threshold=0.5,
        training_cutoff=from_millis(int(at[-1])),
        as_of=from_millis(int(at[-1])),
        horizon=timedelta(minutes=60),
        gap=timedelta(0),
        usual=usual_values(plan, rows),
        ranges=ordinary_ranges(plan, rows)[0],
        hash="",
        normal=sample_normal(plan, rows, label, 0),
    )
