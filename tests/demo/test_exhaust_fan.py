"""The exhaust fan of the demo line: slips of its belt within usual values, which the example
definition finds."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import yaml

from alerting.demo.chance import DAY
from alerting.demo.disturbances import LineSchedule
from alerting.demo.line import causes, new_line, simulate
from alerting.demo.machines import EXHAUST_FAN, EXHAUST_FLOW, belt_slips, exhaust_fan, fan_values
from alerting.ports import ReadingRow
from alerting.usecases.definitions.sync import apply
from alerting.usecases.evaluation.evaluate import evaluate
from alerting.usecases.ingestion.arrivals import add_readings
from alerting.usecases.training.train import train
from tests.builders import at
from tests.in_memory_platform import in_memory_platform

SCHEDULE = LineSchedule(seed=1, live_from=30 * DAY)
LIVE = 30 * DAY
END = 44 * DAY
EXAMPLE = Path(__file__).parents[2] / "config" / "examples" / "demo" / "exhaust-unlike-normal.yaml"


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


@pytest.mark.models
def test_the_example_is_put_in_service_and_finds_every_slip_by_its_sensor():
    platform = in_memory_platform()
    platform.assets.store_assets([exhaust_fan()])
    rows = [
        ReadingRow(EXHAUST_FAN, at(minute + 1), values)
        for minute, values in fan_values(SCHEDULE, 0, END)
    ]
    add_readings(platform, rows, at(0))
    document = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
    apply(platform, [document], "engineer", at(0), "test")
    platform.clock.instant = at(LIVE)
    decided = train(platform, document["name"], at(LIVE))
    assert (decided.promote, decided.waiting) == (True, False), decided.reason
    platform.clock.instant = at(END)
    evaluate(platform, None, at(END))
    episodes = platform.episodes.find()
    slips = belt_slips(SCHEDULE, LIVE, END)
    assert len(slips) >= 2
    for slip in slips:
        found = [e for e in episodes if at(slip.start) <= e.raised_at <= at(slip.end + 30)]
        assert found
        assert found[-1].contributions[0].variable == EXHAUST_FLOW
    false = [
        e for e in episodes if not any(at(s.start) <= e.raised_at <= at(s.end + 60) for s in slips)
    ]
    assert len(false) <= 4
