from dataclasses import replace
from datetime import timedelta

import pytest

from alerting.episodes.episode import ActorStamp, OutcomeRecord
from alerting.operators.alarm_views import (
    find_flood,
    group_by_cause,
    group_by_day,
    group_ended,
    is_of,
)
from tests.builders import at
from tests.helpers.episodes import closed, episode

pytestmark = pytest.mark.fast

PARENTS = {"line-1": None, "oven": "line-1", "mixer": "line-1", "oven-fan": "oven", "far": "line-2"}


def raised(seconds, asset="oven", **changes):
    moment = at(0) + timedelta(seconds=seconds)
    return episode(seconds, f"d-{asset}-{seconds}", asset, **{"raised_at": moment, **changes})


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


def test_a_severe_alarm_that_followed_makes_the_cause_severe():
    [cause] = group_by_cause(
        [raised(0, severity="low"), raised(9, "mixer", severity="critical")], PARENTS
    )
    assert (cause.first.severity, cause.severity) == ("low", "critical")


def test_a_flood_that_goes_on_for_long_is_not_hidden_under_its_first_alarm():
    assert len(group_by_cause([raised(50 * n) for n in range(20)], PARENTS)) == 2


SEEN = {"acknowledged": ActorStamp("anna", at(1))}
OVER = {"condition": "closed", "closed_at": at(9)}
FLOODS = {
    "ten in ten minutes": ([{}] * 10, 66, 600, 10),
    "nine": ([{}] * 9, 10, 600, None),
    "ten in more than ten minutes": ([{}] * 10, 67, 603, None),
    "ten not seen, hours later": ([{}] * 10, 10, 9000, 10),
    "one of ten is seen, nine minutes later": ([SEEN, *[{}] * 9], 10, 689, 10),
    "one of ten is seen, ten minutes later": ([SEEN, *[{}] * 9], 10, 690, None),
    "all are seen, at once": ([SEEN] * 10, 10, 100, 10),
    "six of ten are over, at once": ([OVER] * 6 + [{}] * 4, 10, 100, None),
    "five of ten are over, at once": ([OVER] * 5 + [{}] * 5, 10, 100, 5),
    "one of ten is muted": ([{"muted_by": "mute"}, *[{}] * 9], 10, 100, None),
    "one of ten is found in past data": ([{"backfilled": True}, *[{}] * 9], 10, 100, None),
    "a later flood": ([*[SEEN] * 10, *[{}] * 30], 66, 2640, 40),
}
"""Changes of each alarm, the seconds between two, the second at which somebody looks, and how many
open alarms the flood then has; None: there is no flood."""


@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_begins_with_ten_in_ten_minutes_and_lasts_until_few_wait(name):
    changes, apart, looks, expected = FLOODS[name]
    alarms = [raised(apart * n, **change) for n, change in enumerate(changes)]
    flood = find_flood(reversed(alarms), at(0) + timedelta(seconds=looks))
    assert (None if flood is None else len(flood.still_open)) == expected


def test_a_flood_is_grouped_by_alert_below_what_is_expected_and_names_what_came_first():
    predicted = {"is_prediction": True, "valid_until": at(90), "definition": "moist"}
    earlier = replace(raised(-400), **predicted)
    mild = {"definition": "hot", "severity": "low"}
    hot = [replace(raised(10 * n, f"press-{n}"), **mild) for n in range(1, 16)]
    pressure = replace(raised(0, "press-9"), definition="pressure")
    late = replace(raised(100, "press-3"), **predicted)
    flood = find_flood([*hot, late, pressure, earlier], at(3))
    groups = [(g.first.definition, g.phase, g.size) for g in flood.groups]
    assert groups == [
        ("moist", "expected", 2),
        ("pressure", "happening", 1),
        ("hot", "happening", 15),
    ]
    assert (flood.came_first, flood.since, flood.asset_count) == (pressure, at(0), 15)
    flood = find_flood([*hot, replace(pressure, raised_at=hot[0].raised_at)], at(3))
    assert flood.came_first is None, "of one instant none came first"


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
