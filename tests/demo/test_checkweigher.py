"""The check-weigher of the demo line: steps of its calibration, and the control chart that finds
them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from alerting.demo.disturbances import (
    CHECKWEIGHER,
    DAY,
    SPREAD,
    USUAL,
    LineSchedule,
    calibration_steps,
    weights,
)
from alerting.demo.line import causes, new_line, simulate, weigh
from alerting.kinds.control_chart.model import estimate

MINUTE_MS = 60_000
SCHEDULE = LineSchedule(seed=1, live_from=30 * DAY)


def test_phase_one_leaves_out_every_step_of_the_calibration_and_nothing_else():
    found = np.array([*weights(SCHEDULE, 2 * DAY, 24 * DAY)])
    minutes = found[:, 0].astype(np.int64)
    phase_one = estimate(minutes * MINUTE_MS, found[:, 1], 10 * MINUTE_MS, residuals=True)
    steps = calibration_steps(SCHEDULE, 2 * DAY, 24 * DAY)
    assert len(phase_one.left_out) == len(steps) > 3
    for step, left_out in zip(steps, phase_one.left_out, strict=True):
        assert abs(left_out.start / MINUTE_MS - step.start) <= 150
        assert (left_out.mean > USUAL) == (step.size > 0)
    assert phase_one.centre == pytest.approx(USUAL, abs=0.002)
    assert phase_one.sigma == pytest.approx(SPREAD, rel=0.02)
    assert phase_one.coefficients == ()


def test_weights_are_the_same_in_any_chunks_and_stop_with_the_line_and_steps_are_causes():
    line = new_line(1, datetime(2026, 1, 1, tzinfo=UTC), 30)
    chunks = (weigh(line, 3 * 60), weigh(line, 70), weigh(simulate(line, 70).state, 3 * 60))
    whole, first, rest = ([row for row in rows if row.asset == CHECKWEIGHER] for rows in chunks)
    assert first + rest == whole
    assert len(whole) == sum(SCHEDULE.stop(minute) is None for minute in range(3 * 60))
    step = calibration_steps(SCHEDULE, 0, 5 * DAY)[0]
    state = replace(simulate(line, 0).state, minute=step.start + 5)
    assert step in [found for _, _, found in causes(state, timedelta(hours=1))]
