"""A line whose only causes are reported when they change: the recipe once a day, a set-point every
other day.

The windows are 30 minutes long, so that nearly every row lies behind them.
"""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from alerting.definitions.asset_documents import Asset, EventType, Variable
from alerting.definitions.revisions import definition_document
from alerting.kinds.classifier.definition import ClassifierDefinition
from alerting.learning.data.dataset import build_dataset
from alerting.learning.features.point_in_time import build_features
from alerting.learning.models import model_files
from alerting.ports import DecisionRecord, EventRow, ReadingRow
from alerting.readings.history import History, from_millis, millis, to_millis
from alerting.stores.database.documents import READINGS
from alerting.usecases.backtest.sandbox import ReadingsUntil
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.evaluation.rounds import evaluate
from alerting.usecases.ingestion.arrived_rows import add_events, add_readings
from alerting.usecases.model_registry import register_model
from alerting.usecases.training.promote import rollback
from tests import small_models
from tests.frame_readings import FrameReadings
from tests.helpers.stores import real  # noqa: F401 - a fixture
from tests.in_memory_platform import HandClock, in_memory_platform, platform_on

pytestmark = pytest.mark.models

START = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
DAYS = 80
VARIABLES = {
    "recipe": Variable(type="category"),
    "setpoint": Variable(controllable=True, min=190, max=230, step=5, unit="°C"),
    "pressure": Variable(unit="bar"),
}
STOP = EventType(name="stop", duration="instant")


def definition(**changes):
    document = {
        "name": "stops",
        "kind": "classifier",
        "assets": ["line-1"],
        "problem": {"event": "stop", "recovery": "0s"},
        "horizon": "30m",
        "features": {"windows": ["30m"], "stride": "10m"},
        "learning": {"trials": 1, "folds": 2},
    }
    return ClassifierDefinition.model_validate(document | changes)


def line():
    """Pressure every ten minutes, which means nothing; stops are frequent with oat on a cold oven,
    and rare otherwise."""
    rng = np.random.default_rng(7)
    n = DAYS * 144
    ts = pd.date_range(START, periods=n, freq="10min", tz="UTC", name="ts").as_unit("ms")
    recipe = pd.Series(None, ts, object)
    setpoint = pd.Series(np.nan, ts)
    recipe.iloc[::144] = rng.choice(["rye", "oat"], DAYS).astype(object)
    setpoint.iloc[7::288] = rng.choice([200.0, 220.0], DAYS // 2)
    risky = (recipe.ffill() == "oat").to_numpy() & (setpoint.ffill() == 200.0).to_numpy()
    stops = ts[rng.random(n) < np.where(risky, 0.35, 0.002)] + 3 * MINUTE
    columns = {"recipe": recipe, "setpoint": setpoint, "pressure": rng.normal(5, 1, n)}
    events = pd.DataFrame({"type": "stop", "start": stops, "end": stops})
    asset = Asset(name="line-1", variables=VARIABLES)
    return History(asset, pd.DataFrame(columns, index=ts), events, (STOP,))


@pytest.fixture(scope="module")
def learned():
    """The line, its dataset and a model of the set-point alone."""
    history = line()
    dataset = build_dataset(definition(), 1, [history], START + DAYS * DAY)
    weights = {"setpoint.last": -3.0}
    model = small_models.linear_model(dataset.plan, dataset.rows, weights, training_cutoff=START)
    return SimpleNamespace(history=history, dataset=dataset, model=model)


def test_rows_show_the_causes_although_no_window_does(learned):
    assert learned.dataset.plan.carried_longer == {"setpoint": 6 * DAY, "recipe": 3 * DAY}
    known = learned.dataset.rows.notna().mean()
    assert known["recipe.last"] > 0.99
    assert known["setpoint.mean.30m"] < 0.02, "while windows see nothing of them"


def test_live_scores_are_those_of_the_batch_bit_for_bit(learned, monkeypatch):
    model = learned.model
    risky = np.flatnonzero(model.score(learned.dataset.rows) >= model.threshold)
    end = from_millis(int(learned.dataset.at[risky[-1]])) + 2 * HOUR
    since = end - 15 * HOUR
    monkeypatch.setattr(model_files, "model_from_files", lambda files: model)
    platform = stocked(learned.history, since)
    for step in range(1, 19):
        platform.clock.instant = since + step * 50 * MINUTE
        evaluate(platform, None, platform.clock.instant)
    scored = {s["ts"]: s["score"] for s in platform.scores.for_interval("stops", since, end + HOUR)}
    at = np.array(sorted(to_millis(ts) for ts in scored), np.int64)
    batch = model.score(build_features(model.plan, learned.history, at))
    assert len(at) > 80
    assert [scored[ts] for ts in sorted(scored)] == batch.tolist()
    assert model.plan.lookback == 30 * MINUTE
    (raised, *_) = platform.episodes.find("stops")
    assert raised.inputs["setpoint"] == 200.0
    (advice,) = raised.recommendation.changes
    assert (advice.variable, advice.before) == ("setpoint", 200.0)
    assert advice.after > 205


def test_a_backtest_sees_no_held_value_that_came_after_its_instant(learned):
    asset = learned.history.asset
    now = START + 10 * DAY + HOUR
    stored = FrameReadings(learned.history)
    since = dict.fromkeys(["recipe", "setpoint"], START)
    found = ReadingsUntil(stored, now).newest_values(asset, since, now + 20 * DAY)
    pd.testing.assert_frame_equal(found, stored.newest_values(asset, since, now))
    assert found.index.max() <= now


def test_a_model_that_is_put_into_service_gets_the_indexes_of_what_it_carries_forward(
    learned,
    monkeypatch,
    real,  # noqa: F811 - a fixture
):
    monkeypatch.setattr(model_files, "model_from_files", lambda files: learned.model)
    since = START + (DAYS - 1) * DAY
    platform = stocked(learned.history, since, platform_on(real, [], HandClock()))
    decision = DecisionRecord("stops", since, 1, 2, 1, True, False, "promote", "", {}, None, "ann")
    platform.decisions.add(decision, 2)

    def indexed():
        names = real.database[READINGS].index_information()
        return {name for name in names if name.startswith("newest_")}

    assert indexed() == set()
    platform.clock.instant = since + HOUR
    rollback(platform, "stops", "the recipe sensor was moved", "ann")
    assert indexed() == {"newest_recipe", "newest_setpoint"}


def stocked(history, since, platform=None):
    """A platform with what is stored of the last days, and all of recipe and set-point; the model
    in service since then."""
    platform = platform or in_memory_platform()
    platform.assets.store_assets([history.asset])
    platform.assets.put_event_types([STOP])
    recent = millis(history.readings.index) > to_millis(since - 6 * HOUR)
    held = history.readings[["recipe", "setpoint"]].notna().any(axis=1).to_numpy()
    rows = [
        ReadingRow(
            "line-1",
            ts.to_pydatetime(),
            {k: v for k, v in row.items() if v is not None and v == v},  # noqa: PLR0124 - NaN
        )
        for ts, row in history.readings[recent | held].iterrows()
    ]
    add_readings(platform, rows, since)
    events = [
        EventRow("line-1", "stop", ts.to_pydatetime(), ts.to_pydatetime(), "test")
        for ts in history.events["start"]
    ]
    add_events(platform, events, since)
    apply(platform, [definition_document(definition())], "engineer", since, "test")
    register_model(platform, "stops", "run-1", {"version": b"1"}, {}, {})
    platform.decisions.add(
        DecisionRecord(
            "stops", since, 1, 1, None, True, True, "promote", "better", {}, "run-1", "platform"
        )
    )
    return platform
