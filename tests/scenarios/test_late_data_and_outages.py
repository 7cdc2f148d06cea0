"""Mistakes of other alarm systems with late data and outages."""

from collections import Counter
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerting.definitions.asset_documents import Variable
from alerting.ports import ReadingRow
from alerting.usecases.backtest.sandbox import Sandbox
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.evaluation.rounds import evaluate
from alerting.usecases.ingestion.arrived_rows import add_readings
from tests.builders import at, oven, too_hot
from tests.helpers.late_line import FIELDS, Line
from tests.in_memory_platform import in_memory_platform

pytestmark = pytest.mark.models
READINGS = st.lists(
    st.tuples(
        st.integers(1, 6),
        st.sampled_from([200, 212, 220, 235, "bad"]),
        st.sampled_from([0, 0, 0, 3, 20, 70]),
    ),
    min_size=10,
    max_size=36,
)


@settings(max_examples=40, deadline=None)
@given(READINGS, FIELDS, st.lists(st.integers(1, 230), max_size=20, unique=True).map(sorted))
def test_live_in_any_chunks_with_late_readings_one_batch_and_a_backtest_agree_to_the_millisecond(
    readings, fields, cuts
):
    batch, live, late = (Line(**fields) for _ in range(3))
    arrivals = []
    minute = 0.0
    for gap, value, lag in readings:
        minute += gap + 0.001
        arrivals.append((minute + lag, minute, value))
    end = 320
    values = {ts: value for _, ts, value in arrivals}
    for line in (batch, live):
        line.feed(values)
    batch.run(end)
    before = 0
    for cut in [*cuts, end]:
        live.run(cut)
        come = {ts: value for arrival, ts, value in arrivals if before < arrival <= cut}
        late.feed(come, cut)
        late.run(cut)
        before = cut
    sandbox = Sandbox(batch.platform, batch.platform.definitions.revisions("too-hot")[-1])
    for cut in [*cuts[::2], end]:
        evaluate(sandbox.live_view(at(cut)), ["too-hot"], at(cut))
    expected = batch.condition_intervals()
    assert live.condition_intervals() == late.condition_intervals() == expected
    assert [
        (e.raised_at, e.closed_at, e.condition, e.severity, e.severity_peak)
        for e in sorted(sandbox.memory.episodes.find(), key=lambda e: e.raised_at)
    ] == [interval[:-1] for interval in expected]
    assert live.state() == late.state() == batch.state()
    keys = Counter(message.key for message in late.mail.messages)
    raises = Counter(key.rsplit(":", 2)[0] for key in keys if ":raised:" in key)
    assert {*keys.values(), *raises.values()} <= {1}


HEAT = {m: 230 if 20 <= m % 60 < 32 or m % 60 == 40 else 200 for m in range(1, 181)}


def test_three_hours_that_are_back_filled_give_the_instants_of_a_live_run():
    fields = {"for": "5m", "clear_for": "3m"}
    live = Line(**fields)
    late = Line(**fields)
    for minute, value in HEAT.items():
        live.feed({minute: value}, minute)
        live.run(minute)
        late.run(minute)
    late.feed(HEAT, 181)
    live.run(182)
    late.run(182)
    assert late.condition_intervals() == live.condition_intervals()
    assert late.state() == live.state()
    assert {e.late_data_status for e in late.episodes()} == {"found_late"}
    assert {e.detected_at for e in late.episodes()} == {at(182)}
    for minute in (183, 190):
        late.run(minute)
    (digest,) = late.mail.messages
    assert digest.subject == "3 alerts raised and over before a notification was sent"


def test_a_laboratory_value_that_is_known_later_than_the_allowed_lateness_raises_its_alert():
    """The delay of a variable is no lateness: `allowed_lateness` is a day here, and the laboratory
    takes a day and a half."""
    platform = in_memory_platform()
    platform.assets.store_assets([oven(moisture=Variable(unit="%", delay=timedelta(hours=36)))])
    document = too_hot(variable="moisture", above=4.5, stale_after="2d")
    apply(platform, [document], "engineer", at(0), "test")
    too_late = []
    for hour in range(0, 48, 6):
        now = at(hour * 60)
        if hour == 42:
            add_readings(platform, [ReadingRow("oven-1", at(6 * 60), {"moisture": 5.0})], now)
        platform.clock.instant = now
        too_late.append(evaluate(platform, None, now).too_late)
    assert too_late == [0] * 8
    assert [(e.raised_at, e.late_data_status) for e in platform.episodes.find()] == [
        (at(6 * 60), None)
    ]
