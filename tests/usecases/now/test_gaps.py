from datetime import timedelta

import pytest

from alerting.ports import DecisionRecord, ReadingRow
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.evaluation.rounds import evaluate
from alerting.usecases.ingestion.arrived_rows import add_readings
from alerting.usecases.operators import known_plant as gaps_module
from alerting.usecases.operators.known_plant import RecentPlant, find_gaps, read_plant
from alerting.usecases.operators.present_state import NowFilters, read_now
from tests.builders import at, oven, too_hot, too_moist
from tests.in_memory_platform import in_memory_platform

LATE = timedelta(minutes=15)


@pytest.fixture
def platform():
    made = in_memory_platform()
    made.assets.store_assets([oven()])
    apply(made, [too_hot(stale_after="5m")], "ann", at(0), "test")
    add_readings(
        made, [ReadingRow("oven-1", at(n), {"temperature": 200.0}) for n in range(60)], at(0)
    )
    return made


def gaps(platform, now):
    return find_gaps(platform.states, read_plant(platform).targets, now, LATE)


def evaluated(platform, minute, until=None):
    platform.clock.instant = at(minute)
    evaluate(platform, ["too-hot"], at(minute if until is None else until))


def test_what_is_evaluated_in_time_is_no_gap_until_evaluation_stands_still(platform):
    evaluated(platform, 60, 59)
    found = gaps(platform, at(60))
    assert found.gaps == ()
    assert at(55) <= found.until <= at(60)
    [gap] = gaps(platform, at(120)).gaps
    assert (gap.kind, gap.since) == ("late", found.until)


def test_a_silent_sensor_is_a_gap_with_its_reason(platform):
    evaluated(platform, 120)
    [gap] = gaps(platform, at(120)).gaps
    assert (gap.definition, gap.kind, gap.assets) == ("too-hot", "unknown", ("oven-1",))
    assert "no reading of Zone 2 temperature within 5 min" in gap.reason


def test_in_its_first_minutes_an_alert_that_waits_for_a_reading_is_new_and_no_gap(platform):
    apply(platform, [too_hot(name="new", stale_after="5m")], "ann", at(60), "test")
    platform.clock.instant = at(61)
    evaluate(platform, ["too-hot", "new"], at(61))
    found = [gaps(platform, at(minute)) for minute in (61, 62, 63)]
    assert [[gap.definition for gap in one.gaps] for one in found] == [[], [], ["new"]]
    assert [dict(one.new) for one in found] == [{"new": timedelta(minutes=1)}] * 2 + [{}]
    assert found[0].on_time_until == at(62)


def test_what_waits_for_its_model_is_a_gap_and_what_was_never_evaluated_is_one_after_a_while(
    platform,
):
    assert gaps(platform, at(5)).gaps == ()
    assert [gap.kind for gap in gaps(platform, at(60)).gaps] == ["never"]
    apply(platform, [too_moist()], "ann", at(60), "test")
    evaluated(platform, 60, 59)
    [gap] = gaps(platform, at(61)).gaps
    assert (gap.definition, gap.kind, gap.since) == ("too-moist", "no model", None)


def test_the_plant_is_read_again_once_a_document_has_changed(platform):
    known = RecentPlant()
    first = known.find(platform, at(0))
    apply(platform, [too_hot(name="hotter", above=230)], "ann", at(1), "test")
    assert known.find(platform, at(1)).definition_counts == {
        "oven-1": first.definition_counts["oven-1"] + 1
    }


def test_gaps_are_not_looked_for_again_until_a_state_is_written_or_a_target_is_late(
    platform, monkeypatch
):
    monkeypatch.setattr(gaps_module, "_MANY", 0)
    evaluated(platform, 60, 59)
    recent = gaps_module.RecentCoverage()
    targets = read_plant(platform).targets

    def found(minute):
        return recent.find(platform.states, targets, at(minute), LATE)

    first = found(60)
    assert [found(minute) is first for minute in (61, 62, 63)] == [True] * 3
    first_late = (first.on_time_until - at(0)) / timedelta(minutes=1)
    assert found(first_late) is first
    assert [gap.kind for gap in found(first_late + 0.1).gaps] == ["late"]
    add_readings(
        platform, [ReadingRow("oven-1", at(n), {"temperature": 200.0}) for n in (70, 80)], at(80)
    )
    evaluated(platform, 81, 80)
    again = found(first_late + 0.2)
    assert again.gaps == ()
    assert again.until > first.until


@pytest.mark.parametrize("stored", [False, True], ids=["never evaluated", "evaluated before"])
def test_a_definition_with_a_champion_is_never_said_to_have_no_model(platform, stored):
    apply(platform, [too_moist()], "ann", at(60), "test")
    platform.clock.instant = at(70)
    if stored:
        evaluate(platform, ["too-moist"], at(69))

    def reasons():
        found = read_now(platform, read_plant(platform), NowFilters(), "otto")
        return {gap.reason for gap in found.gaps if gap.definition == "too-moist"}

    assert len(reasons()) == 1
    assert "in service yet" in next(iter(reasons()))
    decision = DecisionRecord(
        "too-moist", at(70), 1, 1, None, True, True, "promote", "better", {}, "run-1", "platform"
    )
    platform.decisions.add(decision, 1)
    assert reasons() == {"the model has just gone into service and has not given a score yet"}
