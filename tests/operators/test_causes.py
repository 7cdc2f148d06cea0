from dataclasses import replace
from datetime import timedelta

import pytest

from alerting.episodes.episode import ActorStamp, OutcomeRecord
from alerting.operators.alarm_views import (
    find_flood,
    group_by_cause,
    group_by_day,
    group_ended,
    group_open,
    is_of,
)
from tests.builders import at
from tests.helpers.episodes import closed, episode

pytestmark = pytest.mark.fast

PARENTS = {"line-1": None, "oven": "line-1", "mixer": "line-1", "oven-fan": "oven", "far": "line-2"}


def raised(seconds, asset="oven", **changes):
    moment = at(0) + timedelta(seconds=seconds)
    return episode(seconds, f"d-{asset}-{seconds}", asset, **{"raised_at": moment, **changes})


def hot(seconds, asset, **changes):
    """Return an alarm of the same definition as the others of this kind."""
    return replace(raised(seconds, asset, **changes), definition="hot")


def test_a_flood_is_one_cause_and_its_first_alarm_leads():
    flood = [raised(10 * n, ("oven", "mixer", "oven-fan")[n % 3]) for n in range(12)]
    [cause] = group_by_cause(reversed(flood), PARENTS)
    assert cause.first == flood[0]
    assert cause.is_first_out
    assert {e.id for e in cause.others} == {e.id for e in flood[1:]}


def test_an_alarm_follows_a_cause_close_to_it_in_time_and_place():
    later = {
        "a minute later": raised(60, "mixer"),
        "later": raised(61, "mixer"),
        "another line": raised(20, "far"),
        "an unknown asset": raised(20, "unknown"),
        "above it": raised(20, "line-1"),
        "muted": raised(20, "mixer", muted_by="mute"),
    }
    found = {name: group_by_cause([raised(0), one], PARENTS) for name, one in later.items()}
    of_one_cause = {name for name, causes in found.items() if len(causes) == 1}
    assert of_one_cause == {"a minute later", "above it"}


def test_of_one_instant_none_came_first_and_the_worst_leads():
    mild = raised(0, "oven", severity="low")
    bad = raised(0, "mixer", severity="critical")
    [cause] = group_by_cause([mild, bad], PARENTS)
    assert (cause.first, cause.is_first_out, cause.severity) == (bad, False, "critical")
    [cause] = group_by_cause([mild, raised(0.9, "mixer")], PARENTS)
    assert not cause.is_first_out, "within the same second"


def test_a_severe_alarm_that_followed_makes_the_cause_severe():
    [cause] = group_by_cause(
        [raised(0, severity="low"), raised(9, "mixer", severity="critical")], PARENTS
    )
    assert (cause.first.severity, cause.severity) == ("low", "critical")


def test_a_flood_that_goes_on_for_long_is_not_hidden_under_its_first_alarm():
    assert len(group_by_cause([raised(50 * n) for n in range(20)], PARENTS)) == 2


SEEN = {"acknowledged": ActorStamp("anna", at(1))}
OVER = {"condition": "closed", "closed_at": at(9)}
MUTED = {"muted_by": "mute"}
EXPECTED = {"is_prediction": True, "valid_until": at(9000)}
GROUPS = {
    "five of one definition": ([{}] * 5, [5], True),
    "all are seen": ([SEEN] * 30, [30], True),
    "four": ([{}] * 4, [1] * 4, False),
    "five are muted": ([MUTED] * 5, [5], False),
    "one of five is muted": ([MUTED, *[{}] * 4], [1] * 5, False),
    "five are expected": ([EXPECTED] * 5, [5], False),
    "four happen, one is expected": ([EXPECTED, *[{}] * 4], [1] * 5, False),
}
"""Changes of each alarm of one definition, a day apart; how many alarms are shown together; and
whether it is a flood."""


@pytest.mark.parametrize("name", GROUPS)
def test_five_open_alarms_of_a_definition_are_one_group_for_as_long_as_they_are_open(name):
    changes, sizes, is_flood = GROUPS[name]
    alarms = [hot(86400 * n, f"press-{n}", **change) for n, change in enumerate(changes)]
    causes = group_open(reversed(alarms), PARENTS)
    assert [cause.size for cause in causes] == sizes
    assert (find_flood(causes) is not None) == is_flood


def test_what_is_expected_and_what_nobody_has_seen_stand_above_a_group():
    seen_group = [hot(n, f"press-{n}", severity="critical", **SEEN) for n in range(30)]
    medium = raised(9, "press-3", severity="medium")
    low = raised(10, "press-1", severity="low", **EXPECTED)
    causes = group_open([*seen_group, medium, low], {f"press-{n}": "line" for n in range(30)})
    assert [cause.first for cause in causes] == [low, medium, seen_group[0]]
    assert [cause.size for cause in causes] == [1, 1, 30], "nothing expected follows what happens"


def test_in_a_group_the_worst_comes_first():
    high = [hot(n, f"press-{n}", severity="high") for n in range(4)]
    bad = hot(50, "press-9", severity="critical")
    [group] = group_open([*high, bad], PARENTS)
    ordered = group.order_by_distance({high[2].id: 8.4, high[3].id: 9.1, bad.id: 0.2})
    assert ordered.episodes == (bad, high[3], high[2], high[0], high[1])
    assert ordered.is_worst_first
    assert not group.order_by_distance({}).is_worst_first


FIRSTS = {
    "ten seconds before": (-10, True),
    "within the same second": (-0.9, False),
    "over since, ten seconds before": (-10, True, OVER),
    "long before": (-86400, False),
    "withdrawn": (-10, False, OVER | {"withdrawn": True}),
}
"""Seconds from an alarm to fifteen others of one second, whether it came first, and its changes."""


@pytest.mark.parametrize("name", FIRSTS)
def test_a_flood_names_what_came_first(name):
    seconds, is_first, *changes = FIRSTS[name]
    together = [hot(n / 20, f"press-{n}") for n in range(15)]
    pressure = replace(raised(0, "press-9"), raised_at=at(0) + timedelta(seconds=seconds))
    pressure = replace(pressure, **dict(*changes))
    still = [pressure] if pressure.condition == "open" else []
    flood = find_flood(group_open([*together, *still], PARENTS), [pressure, *together])
    assert flood.came_first == (pressure if is_first else None)
    begins = min(seconds, 0) if still and seconds > -60 else 0
    assert flood.since == at(0) + timedelta(seconds=begins)
    assert flood.asset_count == 15


def test_a_flood_holds_only_alarms_that_are_shown_in_it():
    five = [hot(n, f"press-{n}") for n in range(5)]
    apart = [raised(6, "press-6", **EXPECTED), raised(7, "press-7"), raised(8, "press-8", **OVER)]
    flood = find_flood(group_open(five, PARENTS), [*apart, *five])
    assert flood.alarms == flood.unacknowledged == tuple(five)


def test_what_somebody_must_look_at_comes_first():
    seen = ActorStamp("anna", at(1))
    ordered = [
        raised(0, severity="critical"),
        raised(1000, severity="high"),
        raised(2000, severity="critical", acknowledged=seen),
        raised(3000, severity="critical", muted_by="mute"),
    ]
    found = group_by_cause(reversed(ordered), PARENTS)
    assert [cause.first for cause in found] == ordered


def test_ended_alarms_of_one_target_are_one_group():
    ended = [closed(episode(n)) for n in (1, 30, 60)] + [closed(episode(5, asset="oven-2"))]
    groups = group_ended(ended)
    assert [(g.newest_alarm.asset, g.size) for g in groups] == [("oven-1", 3), ("oven-2", 1)]
    assert groups[0].newest_alarm.raised_at == at(60)


def test_earlier_alarms_are_counted_by_day_with_their_outcomes():
    outcome = OutcomeRecord("hit", "", True, None, False, False, 1)
    unknown = OutcomeRecord("undetermined", "", None, None, False, False, 1)
    found = [
        closed(episode(9), outcome_record=outcome),
        closed(episode(5), outcome_record=unknown),
        closed(episode(1), outcome_record=outcome),
    ]
    days = group_by_day(found, {found[0].id: "b", found[1].id: "a", found[2].id: "a"})
    assert [(day, [(g.size, g.outcomes) for g in groups]) for day, groups in days.items()] == [
        ("b", [(1, {"hit": 1})]),
        ("a", [(2, {"hit": 1})]),
    ]


def test_an_alarm_is_of_whoever_took_it_over_or_acknowledged_it():
    assert is_of(episode(1, assigned_to="anna"), "anna")
    assert is_of(episode(1, acknowledged=ActorStamp("anna", at(1))), "anna")
    assert not is_of(episode(1, assigned_to="otto"), "anna")
