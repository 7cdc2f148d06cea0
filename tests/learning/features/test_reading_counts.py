"""A window with fewer than half of its usual readings, or with a stop in it, says too little; not
where one sensor is silent or reports as it likes."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pandas as pd

from alerting.definitions.asset_documents import Asset, Variable
from alerting.learning.features.plan import FeaturePlan, NumberSource
from alerting.learning.features.point_in_time import has_any_value
from alerting.learning.features.reading_counts import (
    count_readings,
    has_enough_readings,
    most_have_enough_readings,
    regular_names,
    usual_counts,
    with_usual_counts,
)
from alerting.readings.history import History

MINUTE = 60_000
DAY = 24 * 60
PLAN = FeaturePlan(
    MINUTE, (10 * MINUTE, 60 * MINUTE), ("mean",), tuple(NumberSource(n, MINUTE) for n in "ab")
)


def line(minutes, asset=None, **columns):
    index = pd.DatetimeIndex((np.asarray(minutes) * MINUTE).astype("M8[ms]"), tz="UTC", name="ts")
    values = {name: np.ones(len(index)) for name in "ab"} | columns
    return History(
        asset or Asset(name="line", variables={name: Variable() for name in values}),
        pd.DataFrame(values, index=index),
    )


def nights(days):
    """Return the minutes of days that run from six to eighteen."""
    return [minute for minute in range(days * DAY) if 360 <= minute % DAY < 1080]


def usual_of(history, plan=PLAN, windows=None):
    at = np.arange(1, 5 * DAY) * MINUTE
    names = regular_names(plan, history)
    windows = windows or plan.windows_ms
    return usual_counts(names, windows, count_readings(history, names, windows, at))


RUNNING = line(nights(5))


def test_after_a_stop_nothing_is_known_until_every_window_has_its_usual_count_again():
    usual = usual_of(RUNNING)
    counts = {(one.name, one.window_ms // MINUTE, one.readings) for one in usual}
    assert counts == {(name, length, length) for name in "ab" for length in (10, 60)}
    at = (2 * DAY + 360 + np.array([0, 9, 10, 58, 59, 60, 90])) * MINUTE
    enough = has_enough_readings(replace(PLAN, usual=usual), RUNNING, at)
    assert enough.tolist() == [False] * 5 + [True] * 2
    assert has_enough_readings(PLAN, RUNNING, at).all(), "without usual counts none are waited for"
    counted = replace(PLAN, usual=usual)
    assert "usual" not in PLAN.to_document()
    assert FeaturePlan.from_document(counted.to_document()) == counted


def test_a_model_of_a_problem_waits_for_its_shortest_window_alone():
    plan = with_usual_counts(PLAN, [RUNNING])
    assert {one.window_ms for one in plan.usual} == {10 * MINUTE}
    at = (2 * DAY + 360 + np.array([0, 3, 4, 28])) * MINUTE
    assert most_have_enough_readings(plan, RUNNING, at).tolist() == [False, False, True, True]


def test_a_count_depends_on_what_lies_before_its_instant_alone():
    plan = replace(PLAN, usual=usual_of(RUNNING))
    at = np.arange(DAY + 300, DAY + 500) * MINUTE
    cut = line([minute for minute in nights(3) if DAY + 210 < minute <= DAY + 499])
    found, whole = (has_enough_readings(plan, one, at).tolist() for one in (cut, RUNNING))
    assert found == whole


def test_slow_and_irregular_variables_are_exempt():
    hour = timedelta(hours=1)
    hourly = replace(PLAN, numbers=(NumberSource("a", 60 * MINUTE), NumberSource("b", MINUTE)))
    found = []
    # a laboratory, and a sampling above the window
    for slow, plan in ((Variable(delay=hour), PLAN), (Variable(sampling=hour), hourly)):
        asset = Asset(name="line", variables={"a": slow, "b": Variable()})
        found.append({one.name for one in usual_of(line(nights(5), asset), plan)})
    minutes = nights(5)
    there = np.repeat(np.random.default_rng(0).random(len(minutes) // 5) < 0.6, 5)  # bursts
    bursts = line(minutes, a=np.where(there, 1.0, np.nan))
    found.append({one.name for one in usual_of(bursts, windows=(10 * MINUTE,))})
    assert found == [{"b"}] * 3


def test_a_silent_sensor_is_no_pause():
    plan = replace(PLAN, usual=usual_of(RUNNING))
    history = line(nights(5), b=np.where(np.asarray(nights(5)) > 3 * DAY, np.nan, 1.0))
    at = np.array([4 * DAY + 500]) * MINUTE
    assert has_enough_readings(plan, history, at).all()
    assert most_have_enough_readings(plan, history, at).all()


def test_where_most_windows_are_filled_a_value_is_known():
    """So that an evaluation need not ask again whether any is."""
    plan = with_usual_counts(PLAN, [RUNNING])
    minutes = nights(5)
    a, b = np.where(np.random.default_rng(1).random((2, len(minutes))) < 0.2, 1.0, np.nan)
    history = line(minutes, a=a, b=b)
    at = np.arange(DAY, 4 * DAY) * MINUTE
    enough = most_have_enough_readings(plan, history, at)
    known = has_any_value(plan, history, at)
    assert known[enough].all()
    assert enough.any() and not known.all()
