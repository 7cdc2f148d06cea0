"""Mistakes of other alarm systems with late data and outages."""

from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from alerting.definitions.assets import Variable
from alerting.ports import ReadingRow
from alerting.usecases.backtest.sandbox import Sandbox
from alerting.usecases.definitions.sync import apply
from alerting.usecases.evaluation.evaluate import evaluate
from alerting.usecases.ingestion.arrivals import add_readings
from tests.builders import at, oven, too_hot
from tests.helpers.late_line import FIELDS, Line
from tests.in_memory_platform import in_memory_platform

HEAT = {m: 230 if 20 <= m % 60 < 32 or m % 60 == 40 else 200 for m in range(1, 181)}


def condition_intervals(episodes):
    return sorted(
        (e.raised_at, e.closed_at, e.condition, e.severity, e.severity_peak) for e in episodes
    )


READINGS = st.lists(
    st.tuples(st.integers(1, 6), st.sampled_from([200, 212, 220, 235, "bad"])),
    min_size=10,
    max_size=40,
)


@settings(max_examples=40, deadline=None)
@given(READINGS, FIELDS, st.lists(st.integers(1, 230), max_size=12, unique=True).map(sorted))
def test_live_in_any_chunks_one_batch_catch_up_and_backtest_agree_to_the_millisecond(
    readings, fields, cuts
):
    values = {}
    minute = 0.0
    for gap, value in readings:
        minute += gap + 0.001
        values[minute] = value
    batch = Line(**fields)
    live = Line(**fields)
    caught_up = Line(**fields)
    for line in (batch, live, caught_up):
        line.feed(values)
    batch.run(240)
    for cut in [*cuts, 240]:
        live.run(cut)
    for cut in [*cuts[:1], 240]:
        caught_up.run(cut)
    sandbox = Sandbox(batch.platform, batch.platform.definitions.revisions("too-hot")[-1])
    for cut in [*cuts[::2], 240]:
        evaluate(sandbox.live_view(at(cut)), ["too-hot"], at(cut))
    expected = condition_intervals(batch.episodes())
    assert (
        condition_intervals(live.episodes())
        == condition_intervals(caught_up.episodes())
        == expected
    )
    assert condition_intervals(sandbox.memory.episodes.find()) == expected
    assert live.state() == caught_up.state() == batch.state()


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
    assert [s[:2] for s in late.condition_intervals()] == [
        s[:2] for s in live.condition_intervals()
    ]
    assert late.state() == live.state()
    assert {e.late_data_status for e in late.episodes()} == {"found_late"}
    assert {e.detected_at for e in late.episodes()} == {at(182)}
    for minute in (183, 190):
        late.run(minute)
    (digest,) = late.mail.messages
    assert digest.subject == "3 alerts raised and over before a notification was sent"


def test_after_an_outage_of_six_hours_there_are_the_same_episodes_and_at_most_one_digest():
    fields = {"for": "2m"}
    live = Line(**fields)
    down = Line(**fields)
    heat = {m: HEAT[(m - 1) % 180 + 1] for m in range(1, 400)}
    for minute in range(1, 400, 2):
        for line in (live, down):
            line.feed({m: heat[m] for m in (minute, minute + 1) if m in heat}, minute)
        live.run(minute + 1)
        if not 15 <= minute < 375:
            down.run(minute + 1)
    for minute in (401, 410):
        live.run(minute)
        down.run(minute)
    assert down.condition_intervals() == live.condition_intervals()
    assert [e.id for e in down.episodes()] == [e.id for e in live.episodes()]
    raised_after = [e for e in down.episodes() if e.raised_at >= at(375)]
    others = [m for m in down.mail.messages if not m.key.startswith("digest:")]
    assert len(down.mail.messages) - len(others) == 1
    assert len([m for m in others if ":raised:" in m.key]) <= 1 + len(raised_after)


def test_a_laboratory_value_that_is_known_later_than_the_allowed_lateness_raises_its_alert():
    """The delay of a variable is no lateness: `allowed_lateness` is a day here, and the laboratory
    takes a day and a half."""
    platform = in_memory_platform()
    platform.assets.store_assets([oven(moisture=Variable(unit="%", delay=timedelta(hours=36)))])
    apply(
        platform,
        [too_hot(variable="moisture", above=4.5, stale_after="2d")],
        "engineer",
        at(0),
        "test",
    )
    for hour in range(0, 48, 6):
        if hour == 42:
            add_readings(
                platform, [ReadingRow("oven-1", at(6 * 60), {"moisture": 5.0})], at(hour * 60)
            )
        platform.clock.instant = at(hour * 60)
        counts = evaluate(platform, None, at(hour * 60))
        assert counts.too_late == 0
    assert [(e.raised_at, e.late_data_status) for e in platform.episodes.find()] == [
        (at(6 * 60), None)
    ]
