"""Reports read many readings within a bound of memory, and say of them what they would say with all
at once."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from alerting.definitions.assets import EventType
from alerting.detection.problems import find_occurrences, find_problems
from alerting.kinds.registry import kind_of
from alerting.learning.data.labels import label_instants, persistence
from alerting.readings.history import History, millis, to_millis
from alerting.readings.sample_quality import Doubts
from alerting.usecases.report_material.bounded_readings import load_bounded
from tests.builders import at, classifier, oven, threshold

HOURS = 30
START = at(0)
END = at(60 * HOURS)
PERIOD = (at(60 * 6), END)
MOST = 5_000
CHUNK = 2_000


def day_of_seconds():
    """Return a reading a second with one gap of an hour, slow waves and noise, and a category that
    changes now and then."""
    rng = np.random.default_rng(1)
    seconds = np.arange(1, HOURS * 3600 + 1)
    seconds = seconds[(seconds < 40_000) | (seconds >= 43_600)]
    index = pd.DatetimeIndex(
        (seconds * 1000 + to_millis(START)).astype("datetime64[ms]"), tz="UTC", name="ts"
    )
    wave = np.sin(2 * np.pi * seconds / 9_000)
    moisture = 4.0 + 0.7 * wave + rng.normal(0, 0.05, len(seconds))
    temperature = np.where(
        seconds % 3 == 0, 205 + 12 * wave + rng.normal(0, 1, len(seconds)), np.nan
    )
    return pd.DataFrame({"temperature": temperature, "moisture": moisture}, index=index)


class CountingReadings:
    """Readings that count the rows of each query, and the most of them."""

    def __init__(self, frame, every_bad=1_000):
        self.frame = frame
        self.rows = []
        self.every_bad = every_bad

    def span(self, asset, until=None):
        return tuple(self.frame.index[[0, -1]].to_pydatetime()) if len(self.frame) else None

    def load(self, asset, start, end, variables=None, events_since=None, with_events=True):
        part = self.frame[(self.frame.index > start) & (self.frame.index <= end)].copy()
        self.rows.append(len(part))
        bad = millis(part.index[:: self.every_bad]) if self.every_bad else []
        types = (EventType(name="stop", duration="lasting"),)
        return History(
            asset,
            part,
            event_types=types,
            doubts=Doubts(bad={"moisture": bad}) if len(bad) else Doubts(),
        )


@pytest.fixture(scope="module")
def frame():
    return day_of_seconds()


def load(frame, definition, most=MOST):
    readings = CountingReadings(frame)
    return readings, *load_bounded(readings, definition, oven(), START, END, PERIOD, most, CHUNK)


@pytest.mark.parametrize("definition", [threshold(), classifier()], ids=["threshold", "classifier"])
def test_many_readings_are_never_held_at_once(frame, definition):
    readings, history, reduced = load(frame, definition)
    assert sum(readings.rows) == len(frame)
    assert max(readings.rows[1:]) <= CHUNK, "the time of a query follows the rate"
    assert len(history.readings) <= 8 * 60 * HOURS, (
        "first, last, lowest and highest of a minute, and changes of the condition"
    )
    assert (
        reduced.counts["moisture"] == (frame.index >= PERIOD[0]).sum() - (frame.index == END).sum()
    )


@pytest.mark.parametrize(
    "ends", [{}, {"clear": 4.2}, {"clear": {"difference": 0.1}, "merge_within": "3m"}]
)
def test_problems_labels_and_the_last_known_value_are_those_of_all_readings(frame, ends):
    definition = classifier(problem={"variable": "moisture", "above": 4.5, "for": "5m"} | ends)
    _, history, _ = load(frame, definition)
    whole = History(oven(), frame)
    pd.testing.assert_frame_equal(
        find_problems(definition.problem, history), find_problems(definition.problem, whole)
    )
    ours, theirs = (
        pd.DataFrame(find_occurrences(definition, h).columns("oven-1")) for h in (history, whole)
    )
    pd.testing.assert_frame_equal(ours, theirs)
    assert len(find_problems(definition.problem, whole)) > 5
    instants = millis(pd.date_range(PERIOD[0], END - timedelta(hours=1), freq="1min").as_unit("ms"))
    for question in ("onset", "state"):
        ours, theirs = (
            label_instants(definition, question, h, instants, to_millis(END))
            for h in (history, whole)
        )
        np.testing.assert_array_equal(ours.label, theirs.label)
        np.testing.assert_array_equal(ours.reason, theirs.reason)
    np.testing.assert_array_equal(
        persistence(definition, history, instants), persistence(definition, whole, instants)
    )


@pytest.mark.parametrize("stale", ["30s", "10m"])
def test_gaps_are_those_of_all_readings(frame, stale):
    definition = threshold(stale_after=stale)
    _, history, reduced = load(frame, definition)
    expected = kind_of(definition).data_gaps(definition, History(oven(), frame), *PERIOD)
    assert len(expected) == 1
    assert [gap for gap in reduced.gaps if gap[1] > PERIOD[0]] == list(expected)
    assert kind_of(definition).data_gaps(definition, history, *PERIOD) == expected


def test_charts_keep_every_peak_and_each_doubtful_sample_is_counted(frame):
    frame = frame.copy()
    frame.iloc[50_000, 0] = 400.0
    _, history, _ = load(frame, threshold())
    assert history.readings["temperature"].max() == 400.0
    whole = frame["temperature"].groupby(-(-millis(frame.index) // 60_000))
    kept = history.readings["temperature"].groupby(-(-millis(history.readings.index) // 60_000))
    pd.testing.assert_frame_equal(
        kept.agg(["first", "last", "min", "max"]), whole.agg(["first", "last", "min", "max"])
    )
    assert len(history.doubts.bad["moisture"]) >= len(frame) // 1_000
