"""Readings of a training without problems: which ones are read, and that its steps get the same
ones."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from alerting.definitions.asset_documents import Asset, EventType, Variable
from alerting.definitions.faults import UserError
from alerting.kinds.training_protocol import NormalTime
from alerting.ports import EventRow, ReadingRow, TrainingLimits, WantedHistory
from alerting.readings.history import History
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.ingestion.arrived_rows import add_events, add_readings
from alerting.usecases.training.run_files import (
    BYTES_PER_VALUE,
    ReadingsWriter,
    load_learning_data,
    stored_history,
)
from alerting.usecases.training.training_steps import fit, prepare
from tests.builders import at
from tests.in_memory_platform import in_memory_platform

pytestmark = pytest.mark.models

DAY = 24 * 60
DOCUMENT = {"name": "shifted", "kind": "control_chart", "assets": ["press-1"], "variable": "force"}
PRESS = Asset(
    name="press-1",
    variables={"force": Variable(low=0, high=500, delay=timedelta(hours=1)), "other": Variable()},
)
STOPPED = {"suppression": {"when": [{"event": "line-stop"}]}}


class Counted:
    """Readings that record which intervals of the press are loaded, and of which variables."""

    def __init__(self, readings):
        self._readings = readings
        self.loaded = []
        self.newest_values = readings.newest_values
        self.span = readings.span

    def load(self, request):
        if request.variables:
            self.loaded.append((request.start, request.end, *request.variables))
        return self._readings.load(request)


def prepared(hours, as_of, values=(), events=(), document=DOCUMENT, **fields):
    """A platform whose training is prepared: its run, and what was loaded."""
    platform = in_memory_platform()
    platform.assets.store_assets([PRESS])
    platform.assets.put_event_types([EventType(name="line-stop", duration="lasting")])
    noise = np.random.default_rng(3).normal(200, 1, 60 * 24)
    rows = [
        ReadingRow("press-1", at(h * 60), {"force": dict(values).get(h, noise[h]), "other": 1.0})
        for h in hours
    ]
    add_readings(platform, rows, at(0))
    add_events(platform, events, at(0))
    apply(platform, [document | fields], "engineer", at(0), "test")
    platform.clock.instant = at(as_of)
    counted = replace(platform, readings=Counted(platform.readings))
    return counted, prepare(counted, "shifted", at(as_of)), counted.readings.loaded


def learning_data(platform, run_id, as_of):
    return load_learning_data(
        platform, run_id, platform.definitions.newest_revision("shifted").definition, at(as_of)
    )


def test_the_normal_period_is_read_once_by_all_steps_and_nothing_before_it():
    platform, run, loaded = prepared(range(40 * 24), as_of=30 * DAY, normal="10d")
    newest = at(30 * DAY - 60)  # a value is known after an hour
    cutoff = newest - timedelta(days=2)
    assert loaded == [(newest - timedelta(days=10), cutoff, "force"), (cutoff, newest, "force")]
    fit(platform, run, "ewma")
    data = learning_data(platform, run, 30 * DAY)
    assert len(loaded) == 2
    assert data.period == NormalTime(newest - timedelta(days=10), cutoff, newest)
    assert len(data.whole_histories[0].readings) == 240


def test_after_a_period_with_dates_the_four_weeks_behind_it_are_read():
    fields = {"normal": {"from": at(0).isoformat(), "to": at(5 * DAY).isoformat()}}
    _, _, loaded = prepared(range(60 * 24), as_of=60 * DAY, **fields)
    assert loaded[-2:] == [(at(0), at(5 * DAY), "force"), (at(5 * DAY), at(33 * DAY), "force")]


def test_a_long_period_is_read_four_weeks_at_a_time_and_learned_from_as_one():
    fields = {"normal": {"from": at(0).isoformat(), "to": at(40 * DAY).isoformat()}}
    platform, run, loaded = prepared(range(0, 60 * 24, 24), as_of=60 * DAY, **fields)
    assert [interval[:2] for interval in loaded[-3:]] == [
        (at(0), at(28 * DAY)),
        (at(28 * DAY), at(32 * DAY)),  # the newest fifth is held out
        (at(32 * DAY), at(59 * DAY)),
    ]
    [history] = learning_data(platform, run, 60 * DAY).whole_histories
    assert list(history.readings.index) == [at(day * DAY) for day in range(1, 60)]


def test_texts_of_a_training_stay_texts_and_missing_ones_missing():
    index = pd.DatetimeIndex([at(0), at(1), at(2)], name="ts").as_unit("ms")
    texts = {
        name: pd.Series(values, index, object)
        for name, values in {"r": ["x", None, "y"], "none": [None] * 3}.items()
    }
    frame = pd.DataFrame({"force": [1.0, np.nan, 3.0], **texts}, index)
    file = ReadingsWriter({"force": "number", "r": "category", "none": "category"})
    for piece in (
        frame.iloc[:0],
        frame[["r"]].iloc[:1].reindex(columns=list(frame)),
        frame.iloc[1:],
    ):
        file.write(piece)
    found = stored_history(History(PRESS), file.content()).load_all().readings
    pd.testing.assert_frame_equal(
        found, frame.assign(force=[np.nan, np.nan, 3.0]), check_freq=False
    )
    assert found["r"].tolist() == ["x", None, "y"]


def test_the_stored_readings_and_events_are_those_of_the_plant():
    """Impossible values and suppressed times are not learned from."""
    stop = EventRow("press-1", "line-stop", at(600), at(1200), "test")
    platform, run, _ = prepared(
        range(20 * 24), as_of=20 * DAY, values={30: 900.0}, events=[stop], **STOPPED
    )
    data = learning_data(platform, run, 20 * DAY)
    (history,) = data.whole_histories
    whole = platform.readings.load(
        WantedHistory(PRESS, data.period.start, data.period.end, ["force"])
    )
    pd.testing.assert_frame_equal(history.readings, whole.readings)
    pd.testing.assert_frame_equal(history.events, whole.events)
    assert [(s.start, s.end) for s in data.suppressed["press-1"]] == [(at(600), at(1200))]
    before = fit(*prepared(range(20 * 24), as_of=20 * DAY)[:2], "ewma").used
    # of ten stopped hours and an impossible value, one may be an outlier
    assert before - fit(platform, run, "ewma").used in (10, 11)


def test_a_training_without_readings_names_the_assets():
    with pytest.raises(
        UserError, match=r"no readings of force on press-1; import readings, or check assets"
    ):
        prepared([], as_of=DAY)


@pytest.mark.parametrize(
    ("fields", "enough", "too_little"),
    [
        ({}, 10**9, 2 * 100 * BYTES_PER_VALUE),
        # a kind that reads pieces needs the memory of its file and of one variable
        ({"kind": "anomaly", "include": ["*"]}, 100_000, 10_000),
    ],
)
def test_readings_that_would_fill_the_memory_are_refused(fields, enough, too_little):
    document = {**DOCUMENT, "normal": "10d", **fields}
    document = {key: one for key, one in document.items() if not (fields and key == "variable")}
    platform, _, _ = prepared(range(20 * 24), as_of=20 * DAY, document=document)
    prepare(replace(platform, limits=TrainingLimits(memory_bytes=enough)), "shifted", at(20 * DAY))
    small = replace(platform, limits=TrainingLimits(memory_bytes=too_little))
    with pytest.raises(UserError, match="choose a shorter normal period, or fewer variables"):
        prepare(small, "shifted", at(20 * DAY))
