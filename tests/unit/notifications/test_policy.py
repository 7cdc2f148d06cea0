"""Whom to tell, and why: stage by stage."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerting.definitions.routes import Flood, parse_route
from alerting.detection.evaluation import Evaluation
from alerting.episodes.episode import ActorStamp, Episode
from alerting.notifications.policy import STAGES, Situation, after_failure, announcements, decide, retry_delay
from alerting.notifications.routing import Recipient, escalations, recipients
from tests.builders import at, threshold

EPISODE = Episode(
    "e1", "too-hot", 1, "threshold", "oven-1", "Too hot", "medium", at(0), at(0), "open", None,
    Evaluation(at(0), "triggered", "hot"),
)  # fmt: skip
PAGER = Recipient("pager")


def situation(episode=EPISODE, recipient=PAGER, cause="raised", minute=0, **more):
    return Situation(episode, recipient, cause, at(minute), "first notification", **more)


def told(episode=EPISODE, recipient=PAGER, **more):
    """The episode after its raise was told and delivered."""
    notices = announcements([situation(episode, recipient, **more)])
    delivered = tuple(replace(n, status="sent", delivered_at=n.next_attempt_at) for n in notices)
    return replace(episode, notifications=(*episode.notifications, *delivered))


def over(episode):
    return replace(episode, condition="closed", closed_at=at(5))


def test_the_stages_read_aloud():
    assert [stage.__name__ for stage in STAGES] == [
        "skip_backfilled",
        "skip_muted",
        "digest_if_over",
        "notify_of_raise",
        "notify_of_happening",
        "notify_of_end",
        "notify_of_reopening",
        "skip_over",
        "skip_in_quiet_hours",
        "notify_of_worse",
        "skip_acknowledged",
        "escalate",
        "repeat",
    ]


def test_the_raise_is_told_once_under_a_key_that_says_what_it_is():
    [notice] = announcements([situation()])
    assert (notice.key, notice.reason) == ("e1:raised:pager", "first notification")
    assert announcements([situation(told())]) == ()


def test_episodes_of_past_times_tell_nobody():
    for changes in ({"backfilled": True}, {"withdrawn": True}):
        assert decide(situation(replace(EPISODE, **changes))).transition is None


def test_the_end_is_told_only_to_whom_the_raise_was_told():
    ended = over(told())
    assert [n.key for n in announcements([situation(ended, cause="closed")])] == ["e1:closed:pager"]
    assert announcements([situation(ended, Recipient("mail"), cause="closed")]) == ()
    assert announcements([situation(ended, cause="closed", notify_resolved=False)]) == ()


def test_an_end_is_not_told_where_the_raise_was_given_up():
    ended = over(told())
    dead = replace(ended, notifications=tuple(replace(n, status="dead") for n in ended.notifications))
    assert announcements([situation(dead, cause="closed")]) == ()


def test_quiet_hours_hold_it_back_and_its_end_with_it():
    asleep = replace(PAGER, quiet_until=at(60))
    [held] = announcements([situation(recipient=asleep)])
    assert (held.postponed_by, held.next_attempt_at) == ("quiet", at(60))
    ended = over(replace(EPISODE, notifications=(held,)))
    assert announcements([situation(ended, asleep, cause="closed")]) == ()


def test_a_flood_holds_back_what_is_one_too_many_until_the_end_of_its_slot():
    crowded = replace(PAGER, flood=Flood(more_than=2, within=timedelta(minutes=10)))
    assert decide(situation(recipient=crowded, recent_alerts=1)).postponed_by is None
    held = decide(situation(recipient=crowded, recent_alerts=2, minute=3))
    assert (held.postponed_by, held.waiting_until) == ("flood", at(10))


def test_the_top_severity_is_held_back_by_nothing():
    burning = replace(EPISODE, severity="critical")
    crowded = replace(PAGER, flood=Flood(more_than=1))
    assert decide(situation(burning, crowded, recent_alerts=1000)).postponed_by is None
    route = parse_route({"name": "r", "channels": ["pager"], "quiet": [{"from": "00:00", "to": "24:00"}]})
    quiet = [
        recipients(threshold(), "oven-1", s, [route], ["pager"], at(0))[0].quiet_until is not None for s in ("medium", "critical")
    ]
    assert quiet == [True, False]


def test_what_quiet_hours_hold_back_is_told_at_once_when_it_becomes_critical():
    [held] = announcements([situation(recipient=replace(PAGER, quiet_until=at(60)))])
    burning = replace(EPISODE, severity="critical", notifications=(held,))
    assert [n.key for n in announcements([situation(burning, PAGER, "time", 5)])] == ["e1:severity_rose-critical:pager"]
    still = replace(EPISODE, severity="high", notifications=(held,))
    assert announcements([situation(still, replace(PAGER, quiet_until=at(60)), "time", 5)]) == ()


def test_a_severity_that_rises_is_told_once_and_one_that_falls_never():
    worse = replace(told(), severity="high")
    [notice] = announcements([situation(worse, cause="time", minute=5)])
    assert (notice.key, notice.reason) == ("e1:severity_rose-high:pager", "severity rose from medium to high")
    again = replace(worse, notifications=(*worse.notifications, notice))
    assert announcements([situation(again, cause="time", minute=6)]) == ()
    assert announcements([situation(replace(again, severity="low"), cause="time", minute=7)]) == ()


def test_who_hears_only_of_the_worse_hears_of_it_when_it_gets_worse():
    worse = replace(told(), severity="high")
    assert [n.channel for n in announcements([situation(worse, Recipient("chief"), cause="time", minute=5)])] == ["chief"]
    assert announcements([situation(told(), Recipient("chief"), cause="time", minute=5)]) == ()


def test_who_has_acknowledged_it_or_shelved_it_is_not_told_again():
    for changes in ({"acknowledged": ActorStamp("otto", at(1))}, {"muted_by": "s1"}):
        quiet = replace(told(), **changes)
        assert announcements([situation(quiet, NAGGED, "time", 30), situation(quiet, CHIEF, "time", 30)]) == ()


NAGGED = replace(PAGER, repeat=timedelta(minutes=30))


def test_it_is_repeated_while_it_is_open_with_a_number_in_the_key():
    assert announcements([situation(told(), NAGGED, "time", 29)]) == ()
    [notice] = announcements([situation(told(), NAGGED, "time", 30)])
    assert notice.key == "e1:repeated:pager:1"
    assert announcements([situation(over(told()), NAGGED, "time", 30)]) == ()


def test_after_an_outage_one_repeat_makes_up_for_all():
    episode = told()
    [late] = announcements([situation(episode, NAGGED, "time", 301)])
    assert late.key == "e1:repeated:pager:10"
    assert announcements([situation(replace(episode, notifications=(*episode.notifications, late)), NAGGED, "time", 302)]) == ()


def test_quiet_hours_bring_no_repeats():
    assert announcements([situation(told(), replace(NAGGED, quiet_until=at(400)), "time", 300)]) == ()


def test_a_raise_that_was_held_back_counts_from_when_it_was_told():
    held = told(recipient=replace(NAGGED, quiet_until=at(100)))
    assert announcements([situation(held, NAGGED, "time", 120)]) == ()
    assert [n.number for n in announcements([situation(held, NAGGED, "time", 130)])] == [1]


CHIEF = Recipient("chief", escalates_after=timedelta(minutes=15))


def test_it_escalates_once_when_nobody_answers():
    assert announcements([situation(told(), CHIEF, "time", 14)]) == ()
    [notice] = announcements([situation(told(), CHIEF, "time", 15)])
    assert (notice.key, notice.reason) == ("e1:escalated:chief", "no operator has acknowledged it for 15 min")
    for status in ("pending", "sent", "dead"):
        done = replace(told(), notifications=(*told().notifications, replace(notice, status=status)))
        assert announcements([situation(done, CHIEF, "time", 200)]) == ()


def test_nothing_escalates_of_which_nobody_was_told():
    assert announcements([situation(EPISODE, CHIEF, "time", 100)]) == ()


def test_who_was_told_by_escalation_hears_of_the_end():
    episode = told()
    [notice] = announcements([situation(episode, CHIEF, "time", 15)])
    ended = over(replace(episode, notifications=(*episode.notifications, replace(notice, status="sent"))))
    assert [n.channel for n in announcements([situation(ended, Recipient("chief"), "closed", 16)])] == ["chief"]


# --- routes --------------------------------------------------------------------------------------------------------------


def chosen(definition=None, minute=0, routes=()):
    parsed = [parse_route({"name": f"r{i}", **r}) for i, r in enumerate(routes)]
    return [r.channel for r in recipients(definition or threshold(), "oven-1", "medium", parsed, ["log", "pager"], at(minute))]


@pytest.mark.parametrize(
    ("match", "fits"),
    [
        ({}, True),
        ({"severity": ["medium", "high"]}, True),
        ({"severity": ["high"]}, False),
        ({"assets": ["oven-*"]}, True),
        ({"assets": ["mill-*"]}, False),
        ({"definitions": ["too-*"]}, True),
        ({"definitions": ["too-cold"]}, False),
        ({"tags": ["line-3", "line-9"]}, True),
        ({"tags": ["line-9"]}, False),
        ({"severity": ["medium"], "assets": ["mill-*"]}, False),
    ],
)
def test_a_route_matches_when_all_that_it_names_fits(match, fits):
    found = chosen(threshold(tags=["line-3"]), routes=[{"channels": ["mail"], "match": match}])
    assert found == (["mail"] if fits else ["log", "pager"])


def test_without_a_route_in_its_shift_everyone_is_told():
    day = {"channels": ["mail"], "shifts": [{"from": "06:00", "to": "22:00"}]}
    assert chosen(minute=7 * 60, routes=[day]) == ["mail"]
    assert chosen(minute=5 * 60, routes=[day]) == ["log", "pager"]


def test_a_definition_that_names_its_channels_is_told_there_alone():
    assert chosen(threshold(notify={"channels": ["mail"]}), routes=[{"channels": ["pager"]}]) == ["mail"]
    assert chosen(threshold(notify={"channels": []}), routes=[{"channels": ["pager"]}]) == []


def test_a_channel_of_two_routes_is_told_once_and_by_the_one_that_is_awake():
    asleep = {"channels": ["mail"], "quiet": [{"from": "00:00", "to": "24:00"}]}
    parsed = [parse_route({"name": "a", **asleep}), parse_route({"name": "b", "channels": ["mail"]})]
    [mail] = recipients(threshold(), "oven-1", "medium", parsed, [], at(0))
    assert (mail.route, mail.quiet_until) == ("b", None)


@pytest.mark.parametrize(("minute", "held"), [(15, None), (16, "digest")])
def test_an_episode_that_was_over_goes_into_a_digest_only_if_it_was_over_for_more_than_ten_minutes(minute, held):
    assert decide(situation(over(EPISODE), minute=minute)).postponed_by == held


def test_escalations_come_soonest_first():
    steps = [{"after": "1h", "channels": ["boss"]}, {"after": "15m", "channels": ["chief"]}]
    route = parse_route({"name": "a", "channels": ["mail"], "escalation": steps})
    assert [r.channel for r in escalations(threshold(), "oven-1", "medium", [route], at(0))] == ["chief", "boss"]


# --- trying again --------------------------------------------------------------------------------------------------------


@given(st.integers(min_value=1, max_value=200), st.text())
def test_a_pause_is_the_same_for_the_same_key_and_stays_within_its_bounds(attempts, key):
    pause = retry_delay(attempts, key)
    assert pause == retry_delay(attempts, key)
    plain = min(5 * 2 ** (attempts - 1), 600)
    assert 0.75 * plain <= pause.total_seconds() <= 1.25 * plain


def test_many_deliveries_that_failed_together_do_not_come_back_together():
    assert len({retry_delay(5, f"e{i}:raised:pager") for i in range(100)}) > 90


def test_deliveries_are_given_up_after_hours_or_at_once_where_it_is_useless():
    assert after_failure(1, permanent=True) == "dead"
    lasted, attempts = timedelta(0), 1
    while after_failure(attempts, permanent=False) == "pending":
        lasted, attempts = lasted + retry_delay(attempts, "k"), attempts + 1
    assert lasted > timedelta(hours=8)
