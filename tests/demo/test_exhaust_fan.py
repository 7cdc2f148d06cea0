"""The exhaust fan of the demo line: slips of its belt within usual values."""

from datetime import UTC, datetime, timedelta

import numpy as np

from alerting.demo.disturbances import DAY, EXHAUST_FLOW, LineSchedule, belt_slips, fan_values
from alerting.demo.line import causes, new_line, simulate

SCHEDULE = LineSchedule(seed=1, live_from=30 * DAY)


def test_values_are_the_same_in_any_chunks_and_stop_with_the_line():
    whole = [*fan_values(SCHEDULE, 0, 2 * DAY)]
    assert [*fan_values(SCHEDULE, 0, 777), *fan_values(SCHEDULE, 777, 2 * DAY)] == whole
    assert [minute for minute, _ in whole] == [
        m for m in range(0, 2 * DAY, 5) if SCHEDULE.stop(m) is None
    ]


def test_a_slip_stays_within_the_usual_values_of_the_flow_and_is_a_true_cause():
    flow = {minute: values[EXHAUST_FLOW] for minute, values in fan_values(SCHEDULE, 0, 30 * DAY)}
    slips = belt_slips(SCHEDULE, 0, 30 * DAY)
    slipping = {m for slip in slips for m in range(slip.start, slip.end)}
    usual = [value for minute, value in flow.items() if minute not in slipping]
    slipped = np.array([value for minute, value in flow.items() if minute in slipping])
    assert np.mean((slipped >= min(usual)) & (slipped <= max(usual))) > 0.99
    line = new_line(1, datetime(2026, 1, 1, tzinfo=UTC), 30)
    line = simulate(line, 0).state.__class__(**{**vars(line), "minute": slips[0].start + 5})
    assert slips[0] in [found for _, _, found in causes(line, timedelta(hours=1))]
