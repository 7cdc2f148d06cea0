"""Readings of a control chart's training: which ones are read, and that its steps get the same ones."""

from datetime import timedelta

import numpy as np
import pytest

from alerting.definitions.assets import Asset, Variable
from alerting.definitions.faults import UserError
from alerting.detection.suppression import SuppressedInterval
from alerting.kinds.control_chart.readings import UNSEEN, ChartReadings, collect_readings
from alerting.kinds.training import Interval, TrainingSource
from alerting.kinds.validation import parse_definition
from alerting.ports import ReadingRow
from alerting.readings.history import to_millis
from alerting.usecases.ingestion.arrivals import add_readings
from tests.builders import at
from tests.pretended import pretended_platform

DAY = 24 * 60
DOCUMENT = {"name": "shifted", "kind": "control_chart", "assets": ["press-1"], "variable": "force"}
PRESS = Asset(name="press-1", variables={"force": Variable(low=0, high=500, delay=timedelta(hours=1))})


class Counted:
    """Readings that record which intervals are loaded."""

    def __init__(self, readings):
        self._readings, self.loaded = readings, []
        self.newest = readings.newest

    def load(self, asset, start, end, variables):
        self.loaded.append((start, end))
        return self._readings.load(asset, start, end, variables)


def collected(minutes, as_of, suppressed=(), values=None, **fields):
    platform = pretended_platform()
    platform.assets.put([PRESS])
    values = values or {}
    add_readings(platform, [ReadingRow("press-1", at(m), {"force": values.get(m, 200.0)}) for m in minutes], at(0))
    counted = Counted(platform.readings)
    source = TrainingSource([PRESS], counted, at(as_of), lambda start: {"press-1": list(suppressed)})
    return collect_readings(parse_definition(DOCUMENT | fields), source), counted.loaded


def test_the_normal_period_is_read_once_and_nothing_before_it():
    found, loaded = collected(range(0, 40 * DAY, 60), as_of=30 * DAY, normal="10d")
    newest = at(30 * DAY - 60)  # a value is known after an hour
    assert loaded == [(newest - timedelta(days=10), newest)]
    first = newest - timedelta(days=10) + timedelta(hours=1)
    assert found.normal == Interval(first - timedelta(milliseconds=1), found.unseen.start)
    assert (found.unseen.end, len(found.series["press-1"].at)) == (newest, 240)


def test_after_a_period_with_dates_the_newest_unseen_time_is_read():
    fields = {"normal": {"from": at(0).isoformat(), "to": at(5 * DAY).isoformat()}}
    found, loaded = collected(range(0, 60 * DAY, 60), as_of=60 * DAY, **fields)
    newest = at(60 * DAY - 60)
    assert loaded == [(at(0), at(5 * DAY)), (newest - UNSEEN, newest)]
    assert (found.normal, found.unseen) == (Interval(at(0), at(5 * DAY)), Interval(newest - UNSEEN, newest))


def test_impossible_values_and_suppressed_times_are_left_out():
    stopped = SuppressedInterval(at(10 * 60), at(20 * 60), "stopped")
    found, _ = collected(range(0, 2 * DAY, 60), as_of=3 * DAY, suppressed=[stopped], values={60: 900.0}, normal="2d")
    hours = [t // 3_600_000 for t in (found.series["press-1"].at - to_millis(at(0))).tolist()]
    assert hours == [0, *range(2, 10), *range(20, 48)]


def test_the_files_hold_the_same_readings():
    found, _ = collected(range(0, 20 * DAY, 60), as_of=20 * DAY)
    again = ChartReadings.from_files(found.to_files())
    assert (again.normal, again.unseen, again.profile) == (found.normal, found.unseen, found.profile)
    assert np.array_equal(again.series["press-1"].values, found.series["press-1"].values)


def test_a_training_without_readings_names_the_assets():
    with pytest.raises(UserError, match=r"no readings of force on press-1; import readings, or check assets"):
        collected([], as_of=DAY)
