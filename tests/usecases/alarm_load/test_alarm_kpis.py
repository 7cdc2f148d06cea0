from datetime import timedelta

import pytest

from alerting.definitions.faults import UserError
from alerting.ports import DecisionRecord
from alerting.usecases.alarm_load.alarm_metrics import alarm_quality
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.evaluation.rounds import evaluate, evaluate_past
from tests.builders import at, too_hot, too_moist
from tests.helpers.episodes import closed, episode
from tests.helpers.ovens import define, feed, oven_platform
from tests.helpers.stores import states_of

DAY = 24 * 60


def test_only_the_assets_that_are_asked_for_count_and_old_open_alarms_are_stale():
    platform = oven_platform(count=2)
    for asset in ("oven-1", "oven-2", "press-1"):
        platform.episodes.insert(closed(episode(10, asset=asset)))
    patterns = (None, "oven-*", "oven-2", "nothing")
    counts = [alarm_quality(platform, at(0), at(60), one).kpis.alarms for one in patterns]
    assert counts == [3, 2, 1, 0]
    platform.episodes.insert(episode(-DAY * 40))
    platform.episodes.insert(closed(episode(-DAY * 40, asset="oven-2")))
    [stale] = alarm_quality(platform, at(0), at(60)).kpis.stale
    assert stale.active_for == timedelta(days=40, hours=1)
    with pytest.raises(UserError, match="must lie before"):
        alarm_quality(platform, at(5), at(5))


# --- evaluated times
# --------------------------------------------------------------------------------------------------


@pytest.fixture
def young_plant():
    """A line that is recorded for thirty days and evaluated since the twenty-fourth, with five
    alarms a day."""
    platform = oven_platform(count=2, state="draft")
    for minute in range(0, 30 * DAY, 60):
        is_hot = minute % DAY in {hour * 60 for hour in (2, 6, 10, 14, 18)}
        feed(platform, minute, 230.0 if is_hot else 200.0)
    define(platform, 24 * DAY, assets=["oven-1"], stale_after="2h")
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
    whole = alarm_quality(young_plant, at(0), at(30 * DAY))
    assert {p.name: (p.kpis.observed.days, p.kpis.per_day, p.budget) for p in whole.positions} == {
        "at oven-1": (6, 5.0, 144),
        "at oven-2": (2, 0.0, 144),
    }
    of_second = alarm_quality(young_plant, at(0), at(30 * DAY), "oven-2")
    assert (of_second.kpis.observed.days, whole.kpis.observed.days) == (2, 6)


def test_past_days_count_as_observed_only_where_their_alarms_count(young_plant):
    evaluate_past(young_plant, "too-hot", at(10 * DAY), at(12 * DAY), revision="latest")
    found = [alarm_quality(young_plant, at(0), at(30 * DAY), past=p).kpis for p in (False, True)]
    assert [(one.alarms, one.observed.days, one.per_day) for one in found] == [
        (30, 6, pytest.approx(5)),
        (40, 8, pytest.approx(5)),
    ]
    assert found[1].observed_since == at(10 * DAY)


def test_days_without_a_champion_are_not_observed_and_where_none_are_no_rate_is_known():
    platform = oven_platform(state="draft")
    apply(platform, [too_moist()], "engineer", at(0), "test")
    platform.clock.instant = at(10 * DAY)
    evaluate(platform, None, at(10 * DAY))
    assert states_of(platform, "too-moist", ["oven-1"])["oven-1"].watermark > at(9 * DAY)
    found = alarm_quality(platform, at(0), at(10 * DAY)).kpis
    assert (found.observed, found.observed_since) == (timedelta(0), None)
    assert {found.per_ten_minutes, found.per_day, found.time_in_flood, found.busiest} == {None}
    assert {(finding.value, finding.met) for finding in found.findings} == {(None, None)}
    champion = ("provisional", "no champion yet", {}, "run-1", "platform")
    made = DecisionRecord("too-moist", at(7 * DAY), 1, 1, None, True, True, *champion)
    platform.decisions.add(made)
    assert alarm_quality(platform, at(0), at(10 * DAY)).kpis.observed == timedelta(days=3)
