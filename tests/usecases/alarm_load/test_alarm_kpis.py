from datetime import timedelta

import pytest

from alerting.definitions.faults import UserError
from alerting.ports import DecisionRecord, ReadingRow
from alerting.usecases.alarm_load.kpis import alarm_quality
from alerting.usecases.definitions.sync import apply
from alerting.usecases.evaluation.evaluate import evaluate, evaluate_past
from alerting.usecases.ingestion.arrivals import add_readings
from tests.builders import at, oven, too_hot, too_moist
from tests.helpers.episodes import closed, episode
from tests.helpers.stores import states_of
from tests.in_memory_platform import Mailbox, in_memory_platform


@pytest.fixture
def platform():
    made = in_memory_platform(Mailbox("mail"))
    made.assets.store_assets([oven(), oven().model_copy(update={"name": "oven-2"})])
    apply(made, [too_hot(assets=["oven-*"])], "engineer", at(0), "test")
    return made


def test_only_the_assets_that_are_asked_for_count(platform):
    for asset in ("oven-1", "oven-2", "press-1"):
        platform.episodes.insert(closed(episode(10, asset=asset)))
    counts = [
        alarm_quality(platform, at(0), at(60), pattern).kpis.alarms
        for pattern in (None, "oven-*", "oven-2", "nothing")
    ]
    assert counts == [3, 2, 1, 0]


def test_old_alarms_that_are_still_open_are_stale_in_this_period(platform):
    platform.episodes.insert(episode(-60 * 24 * 40))
    platform.episodes.insert(closed(episode(-60 * 24 * 40, asset="oven-2")))
    found = alarm_quality(platform, at(0), at(60)).kpis
    assert (found.alarms, len(found.stale), found.stale[0].active_for) == (
        0,
        1,
        timedelta(days=40, hours=1),
    )


def test_an_empty_period_is_refused(platform):
    with pytest.raises(UserError, match="must lie before"):
        alarm_quality(platform, at(5), at(5))


# --- evaluated times
# --------------------------------------------------------------------------------------------------

DAY = 24 * 60


def hot_minutes(platform, minutes, until):
    """Make a reading every hour, too hot at these minutes."""
    rows = [
        ReadingRow("oven-1", at(m), {"temperature": 230.0 if m in minutes else 200.0})
        for m in range(0, until, 60)
    ]
    add_readings(platform, rows, at(0))


def five_a_day(days):
    return {day * DAY + hour * 60 for day in days for hour in (2, 6, 10, 14, 18)}


@pytest.fixture
def young_plant():
    """A line that is recorded for thirty days and evaluated since the twenty-fourth, with five
    alarms a day."""
    platform = in_memory_platform(Mailbox("mail"))
    platform.assets.store_assets([oven(), oven().model_copy(update={"name": "oven-2"})])
    hot_minutes(platform, five_a_day(range(30)), 30 * DAY)
    apply(platform, [too_hot(stale_after="2h")], "engineer", at(24 * DAY), "test")
    platform.clock.instant = at(30 * DAY)
    evaluate(platform, None, at(30 * DAY))
    return platform


def test_the_days_before_anything_was_evaluated_do_not_thin_the_rates(young_plant):
    found = alarm_quality(young_plant, at(0), at(30 * DAY)).kpis
    assert (found.alarms, found.observed) == (30, timedelta(days=6))
    assert (found.observed_since, found.per_day) == (at(24 * DAY), pytest.approx(5))
    assert sum(found.distribution) == 6 * 144


def test_a_position_is_observed_as_long_as_its_own_assets_were_evaluated(young_plant):
    for name in ("oven-1", "oven-2"):
        asset = young_plant.assets.get(name)
        young_plant.assets.store_assets([asset.model_copy(update={"position": f"at {name}"})])
    apply(young_plant, [too_hot(name="hot-2", assets=["oven-2"])], "engineer", at(28 * DAY), "test")
    evaluate(young_plant, None, at(30 * DAY))
    positions = alarm_quality(young_plant, at(0), at(30 * DAY)).positions
    assert {p.name: (p.kpis.observed.days, p.kpis.per_day, p.budget) for p in positions} == {
        "at oven-1": (6, 5.0, 144),
        "at oven-2": (2, 0.0, 144),
    }
    assert alarm_quality(young_plant, at(0), at(30 * DAY), "oven-2").kpis.observed == timedelta(
        days=2
    )
    assert alarm_quality(young_plant, at(0), at(30 * DAY)).kpis.observed == timedelta(days=6)


def test_past_days_count_as_observed_only_where_their_alarms_count(young_plant):
    evaluate_past(young_plant, "too-hot", at(10 * DAY), at(12 * DAY), revision="latest")
    without, with_past = (
        alarm_quality(young_plant, at(0), at(30 * DAY), past=past).kpis for past in (False, True)
    )
    assert (without.alarms, without.observed.days, without.per_day) == (30, 6, pytest.approx(5))
    assert (with_past.alarms, with_past.observed.days, with_past.per_day) == (
        40,
        8,
        pytest.approx(5),
    )
    assert with_past.observed_since == at(10 * DAY)


def test_days_without_a_champion_are_not_observed():
    platform = in_memory_platform(Mailbox("mail"))
    platform.assets.store_assets([oven()])
    apply(platform, [too_moist()], "engineer", at(0), "test")
    platform.clock.instant = at(10 * DAY)
    evaluate(platform, None, at(10 * DAY))
    assert states_of(platform, "too-moist", ["oven-1"])["oven-1"].watermark > at(9 * DAY)
    assert alarm_quality(platform, at(0), at(10 * DAY)).kpis.observed == timedelta(0)
    platform.decisions.add(
        DecisionRecord(
            "too-moist",
            at(7 * DAY),
            1,
            1,
            None,
            True,
            True,
            "provisional",
            "no champion yet",
            {},
            "run-1",
            "platform",
        )
    )
    assert alarm_quality(platform, at(0), at(10 * DAY)).kpis.observed == timedelta(days=3)


def test_where_nothing_was_evaluated_no_rate_is_known():
    platform = in_memory_platform()
    platform.assets.store_assets([oven()])
    apply(platform, [too_hot()], "engineer", at(0), "test")
    found = alarm_quality(platform, at(0), at(30 * DAY)).kpis
    assert found.observed_since is None
    assert {found.per_ten_minutes, found.per_day, found.time_in_flood, found.busiest} == {None}
    assert {(finding.value, finding.met) for finding in found.findings} == {(None, None)}
