"""Readings of a training without problems: which ones are read, and that its steps get the same ones."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from alerting.definitions.assets import Asset, EventType, Variable
from alerting.definitions.faults import UserError
from alerting.kinds.training import NormalTime
from alerting.ports import EventRow, ReadingRow
from alerting.usecases.definitions.sync import apply
from alerting.usecases.ingestion.arrivals import add_events, add_readings
from alerting.usecases.training.readings import load_learning_data
from alerting.usecases.training.train import fit, prepare
from tests.builders import at
from tests.pretended import pretended_platform

DAY = 24 * 60
DOCUMENT = {"name": "shifted", "kind": "control_chart", "assets": ["press-1"], "variable": "force"}
PRESS = Asset(name="press-1", variables={"force": Variable(low=0, high=500, delay=timedelta(hours=1)), "other": Variable()})
STOPPED = {"suppression": {"when": [{"event": "line-stop"}]}}


class Counted:
    """Readings that record which intervals of the press are loaded, and of which variables."""

    def __init__(self, readings):
        self._readings, self.loaded = readings, []
        self.newest, self.span = readings.newest, readings.span

    def load(self, asset, start, end, variables=None, events_since=None):
        if variables:
            self.loaded.append((start, end, *variables))
        return self._readings.load(asset, start, end, variables, events_since)


def prepared(hours, as_of, values=(), events=(), **fields):
    """A platform whose training is prepared: its run, and what was loaded."""
    platform = pretended_platform()
    platform.assets.put([PRESS])
    platform.assets.put_event_types([EventType(name="line-stop", duration="lasting")])
    noise = np.random.default_rng(3).normal(200, 1, 60 * 24)
    rows = [ReadingRow("press-1", at(h * 60), {"force": dict(values).get(h, noise[h]), "other": 1.0}) for h in hours]
    add_readings(platform, rows, at(0))
    add_events(platform, events, at(0))
    apply(platform, [DOCUMENT | fields], "engineer", at(0), "test")
    platform.clock.instant = at(as_of)
    counted = replace(platform, readings=Counted(platform.readings))
    return counted, prepare(counted, "shifted", at(as_of)), counted.readings.loaded


def learning_data(platform, run_id, as_of):
    return load_learning_data(platform, run_id, platform.definitions.newest_revision("shifted").definition, at(as_of))


def test_the_normal_period_is_read_once_by_all_steps_and_nothing_before_it():
    platform, run, loaded = prepared(range(40 * 24), as_of=30 * DAY, normal="10d")
    newest = at(30 * DAY - 60)  # a value is known after an hour
    cutoff = newest - timedelta(days=2)
    assert loaded == [(newest - timedelta(days=10), cutoff, "force"), (cutoff, newest, "force")]
    fit(platform, run, "ewma")
    data = learning_data(platform, run, 30 * DAY)
    assert len(loaded) == 2
    assert data.period == NormalTime(newest - timedelta(days=10), cutoff, newest)
    assert len(data.histories[0].readings) == 240


def test_after_a_period_with_dates_the_newest_unseen_time_is_read():
    fields = {"normal": {"from": at(0).isoformat(), "to": at(5 * DAY).isoformat()}}
    _, _, loaded = prepared(range(60 * 24), as_of=60 * DAY, **fields)
    newest = at(60 * DAY - 60)
    assert loaded == [(at(0), at(5 * DAY), "force"), (newest - timedelta(days=28), newest, "force")]


def test_the_stored_readings_and_events_are_those_of_the_plant():
    stop = EventRow("press-1", "line-stop", at(600), at(1200), "test")
    platform, run, _ = prepared(range(20 * 24), as_of=20 * DAY, events=[stop], **STOPPED)
    data = learning_data(platform, run, 20 * DAY)
    (history,) = data.histories
    whole = platform.readings.load(PRESS, data.period.start, data.period.end, ["force"])
    pd.testing.assert_frame_equal(history.readings, whole.readings)
    pd.testing.assert_frame_equal(history.events, whole.events)
    assert [(s.start, s.end) for s in data.suppressed["press-1"]] == [(at(600), at(1200))]


def test_impossible_values_and_suppressed_times_are_not_learned_from():
    stop = EventRow("press-1", "line-stop", at(600), at(1200), "test")
    platform, run, _ = prepared(range(20 * 24), as_of=20 * DAY, values={30: 900.0}, events=[stop], **STOPPED)
    before, without = (fit(*one, "ewma").used for one in (prepared(range(20 * 24), as_of=20 * DAY)[:2], (platform, run)))
    assert before - without in (10, 11)  # of ten stopped hours and an impossible value, one may be an outlier


def test_a_training_without_readings_names_the_assets():
    with pytest.raises(UserError, match=r"no readings of force on press-1; import readings, or check assets"):
        prepared([], as_of=DAY)
