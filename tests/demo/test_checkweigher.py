"""The check-weigher of the demo line: steps of its calibration, and the control chart that finds
them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from alerting.demo.chance import DAY
from alerting.demo.disturbances import LineSchedule
from alerting.demo.line import causes, new_line, simulate, weigh
from alerting.demo.machines import CHECKWEIGHER, SPREAD, USUAL, calibration_steps, weights
from alerting.detection.control_charts.chart import Chart, ChartState
from alerting.detection.control_charts.limits import limit_of
from alerting.detection.control_charts.phase_one import estimate

MINUTE_MS = 60_000
A_WEEK = 7 * DAY
SCHEDULE = LineSchedule(seed=1, live_from=30 * DAY)


@pytest.fixture(scope="module")
def phase_one():
    found = np.array([*weights(SCHEDULE, 2 * DAY, 24 * DAY)])
    return estimate(
        found[:, 0].astype(np.int64) * MINUTE_MS, found[:, 1], 10 * MINUTE_MS, residuals=True
    )


def test_phase_one_leaves_out_every_step_of_the_calibration_and_nothing_else(phase_one):
    steps = calibration_steps(SCHEDULE, 2 * DAY, 24 * DAY)
    assert len(phase_one.left_out) == len(steps) > 3
    for step, left_out in zip(steps, phase_one.left_out, strict=True):
        assert abs(left_out.start / MINUTE_MS - step.start) <= 150
        assert (left_out.mean > USUAL) == (step.size > 0)
    assert (phase_one.centre, phase_one.sigma) == (
        pytest.approx(USUAL, abs=0.002),
        pytest.approx(SPREAD, rel=0.02),
    )
    assert phase_one.coefficients == ()


def test_every_later_step_is_found_within_a_quarter_of_an_hour_with_a_false_alarm_a_week_at_most(
    phase_one,
):
    chart = Chart("ewma", phase_one.centre, phase_one.sigma, 0.0)
    chart = replace(chart, limit=limit_of(chart, A_WEEK))
    state = ChartState()
    last = -99
    signals = []
    for minute, weight in weights(SCHEDULE, 24 * DAY, 66 * DAY):
        if state.add(chart, minute, weight).signals:
            signals += [minute] if minute - last > 10 else []
            last = minute
    steps = calibration_steps(SCHEDULE, 24 * DAY, 66 * DAY)
    assert len(steps) == 8
    assert all(any(0 <= at - step.start <= 15 for at in signals) for step in steps)
    false = [at for at in signals if not any(step.start <= at < step.end + 30 for step in steps)]
    assert len(false) <= 8


def weighed(line, until):
    return [row for row in weigh(line, until) if row.asset == CHECKWEIGHER]


def test_weights_are_the_same_in_any_chunks_and_stop_with_the_line():
    line = new_line(1, datetime(2026, 1, 1, tzinfo=UTC), 30)
    whole = weighed(line, 3 * 60)
    first = simulate(line, 70).state
    assert weighed(line, 70) + weighed(first, 3 * 60) == whole
    assert len(whole) == sum(SCHEDULE.stop(minute) is None for minute in range(3 * 60))


def test_the_true_cause_is_told():
    step = calibration_steps(SCHEDULE, 0, 5 * DAY)[0]
    line = new_line(1, datetime(2026, 1, 1, tzinfo=UTC), 30)
    line = simulate(line, 0).state.__class__(**{**vars(line), "minute": step.start + 5})
    assert step in [found for _, _, found in causes(line, timedelta(hours=1))]
