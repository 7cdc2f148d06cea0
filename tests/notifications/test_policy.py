"""Whom to tell, and why: stage by stage."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerting.definitions.routes import Flood, parse_route
from alerting.detection.evaluation import Evaluation
from alerting.episodes.episode import ActorStamp, Episode
from alerting.notifications.policy import STAGES, Situation, announcements, decide, is_overtaken
from alerting.notifications.retries import after_failure, retry_delay
from alerting.notifications.routing import Recipient, escalations, recipients
from tests.builders import at, threshold

pytestmark = pytest.mark.fast

EPISODE = Episode(
    "e1", "too-hot", 1, "threshold", "oven-1", "Too hot", "medium", at(0), at(0), "open", None,
    Evaluation(at(0), "triggered", "hot"),
)  # fmt: skip
PAGER = Recipient("pager")


def situation(episode=EPISODE, recipient=PAGER, cause="raised", minute=0, sent=(), **more):
    return Situation(episode, recipient, cause, at(minute), sent, "first notification", **more)


def told(recipient=PAGER):
    """Return the notifications of a recipient after the raise was delivered."""
    notices = announcements([situation(recipient=recipient)])
    return tuple(replace(n, status="sent", delivered_at=n.next_attempt_at) for n in notices)


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
    assert announcements([situation(sent=told())]) == ()


def test_episodes_of_past_times_tell_nobody():
    for changes in ({"backfilled": True}, {"withdrawn": True}):
        assert decide(situation(replace(EPISODE, **changes))).transition is None


def test_the_end_is_told_only_to_whom_the_raise_was_told():
    ended = over(EPISODE)
    assert [n.key for n in announcements([situation(ended, cause="closed", sent=told())])] == [
        "e1:closed:pager"
    ]
    assert announcements([situation(ended, Recipient("mail"), cause="closed", sent=told())]) == ()
    assert (
        announcements([situation(ended, cause="closed", sent=told(), notify_resolved=False)]) == ()
    )


def test_an_end_is_not_told_where_the_raise_was_given_up():
    dead = tuple(replace(n, status="dead") for n in told())
    assert announcements([situation(over(EPISODE), cause="closed", sent=dead)]) == ()


def test_an_end_is_told_where_the_raise_is_being_delivered_or_tried_again():
    for status in ("claimed", "failed"):
        under_way = tuple(replace(n, status=status) for n in told())
        assert [
            n.key for n in announcements([situation(over(EPISODE), cause="closed", sent=under_way)])
        ] == ["e1:closed:pager"]


def test_quiet_hours_hold_it_back_and_its_end_with_it():
    asleep = replace(PAGER, quiet_until=at(60))
    [held] = announcements([situation(recipient=asleep)])
    assert (held.postponed_by, held.next_attempt_at) == ("quiet", at(60))
    assert announcements([situation(over(EPISODE), asleep, cause="closed", sent=(held,))]) == ()
    assert is_overtaken(held, over(EPISODE), (held,))
    assert not is_overtaken(held, EPISODE, (held,))
    assert not is_overtaken(replace(held, status="claimed"), over(EPISODE), (held,))


def test_a_flood_holds_back_what_is_one_too_many_until_the_end_of_its_slot():
    crowded = replace(PAGER, flood=Flood(more_than=2, within=timedelta(minutes=10)))
    assert decide(situation(recipient=crowded, recent_alerts=1)).postponed_by is None
    held = decide(situation(recipient=crowded, recent_alerts=2, minute=3))
    assert (held.postponed_by, held.waiting_until) == ("flood", at(10))


def test_the_top_severity_is_held_back_by_nothing():
    burning = replace(EPISODE, severity="critical")
    crowded = replace(PAGER, flood=Flood(more_than=1))
    assert decide(situation(burning, crowded, recent_alerts=1000)).postponed_by is None
    route = parse_route(
        {"name": "r", "channels": ["pager"], "quiet": [{"from": "00:00", "to": "24:00"}]}
    )
    quiet = [
        recipients(threshold(), "oven-1", s, [route], ["pager"], at(0))[0].quiet_until is not None
        for s in ("medium", "critical")
    ]
    assert quiet == [True, False]


def test_what_quiet_hours_hold_back_is_told_at_once_when_it_becomes_critical():
    [held] = announcements([situation(recipient=replace(PAGER, quiet_until=at(60)))])
    burning = replace(EPISODE, severity="critical")
    assert [n.key for n in announcements([situation(burning, PAGER, "time", 5, (held,))])] == [
        "e1:severity_rose-critical:pager"
    ]
    still = replace(EPISODE, severity="high")
    assert (
        announcements([situation(still, replace(PAGER, quiet_until=at(60)), "time", 5, (held,))])
        == ()
    )


def test_a_severity_that_rises_is_told_once_and_one_that_falls_never():
    worse = replace(EPISODE, severity="high")
    [notice] = announcements([situation(worse, cause="time", minute=5, sent=told())])
    assert (notice.key, notice.reason) == (
        "e1:severity_rose-high:pager",
        "severity rose from medium to high",
    )
    both = (*told(), notice)
    assert announcements([situation(worse, cause="time", minute=6, sent=both)]) == ()
    assert (
        announcements(
            [situation(replace(worse, severity="low"), cause="time", minute=7, sent=both)]
        )
        == ()
    )


def test_who_hears_only_of_the_worse_hears_of_it_when_it_gets_worse():
    worse = replace(EPISODE, severity="high")
    chief = Recipient("chief")
    assert [
        n.channel
        for n in announcements([situation(worse, chief, cause="time", minute=5, sent=told())])
    ] == ["chief"]
    assert announcements([situation(EPISODE, chief, cause="time", minute=5, sent=told())]) == ()


def test_who_has_acknowledged_it_or_shelved_it_is_not_told_again():
    for changes in ({"acknowledged": ActorStamp("otto", at(1))}, {"muted_by": "s1"}):
        quiet = replace(EPISODE, **changes)
        assert (
            announcements(
                [
                    situation(quiet, NAGGED, "time", 30, told()),
                    situation(quiet, CHIEF, "time", 30, told()),
                ]
            )
            == ()
        )


NAGGED = replace(PAGER, repeat=timedelta(minutes=30))


def test_it_is_repeated_while_it_is_open_with_a_number_in_the_key():
    assert announcements([situation(EPISODE, NAGGED, "time", 29, told())]) == ()
    [notice] = announcements([situation(EPISODE, NAGGED, "time", 30, told())])
    assert notice.key == "e1:repeated:pager:1"
    assert announcements([situation(over(EPISODE), NAGGED, "time", 30, told())]) == ()


def test_a_reminder_does_not_follow_another_message_of_the_episode_at_once():
    worse = replace(EPISODE, severity="high")
    [rose] = announcements([situation(worse, NAGGED, "time", 29, told())])
    sent = (*told(), rose)
    assert announcements([situation(worse, NAGGED, "time", 30, sent)]) == ()
    [reminder] = announcements([situation(worse, NAGGED, "time", 44, sent)])
    assert reminder.key == "e1:repeated:pager:1"


def test_after_an_outage_one_repeat_makes_up_for_all():
    [late] = announcements([situation(EPISODE, NAGGED, "time", 301, told())])
    assert late.key == "e1:repeated:pager:10"
    assert announcements([situation(EPISODE, NAGGED, "time", 302, (*told(), late))]) == ()


def test_quiet_hours_bring_no_repeats():
    assert (
        announcements(
            [situation(EPISODE, replace(NAGGED, quiet_until=at(400)), "time", 300, told())]
        )
        == ()
    )


def test_a_raise_that_was_held_back_counts_from_when_it_was_told():
    held = told(recipient=replace(NAGGED, quiet_until=at(100)))
    assert announcements([situation(EPISODE, NAGGED, "time", 120, held)]) == ()
    assert [n.number for n in announcements([situation(EPISODE, NAGGED, "time", 130, held)])] == [1]


CHIEF = Recipient("chief", escalates_after=timedelta(minutes=15))


def test_it_escalates_once_when_nobody_answers():
    assert announcements([situation(EPISODE, CHIEF, "time", 14, told())]) == ()
    [notice] = announcements([situation(EPISODE, CHIEF, "time", 15, told())])
    assert (notice.key, notice.reason) == (
        "e1:escalated:chief",
        "no operator has acknowledged it for 15 min",
    )
    for status in ("pending", "sent", "dead"):
        done = (*told(), replace(notice, status=status))
        assert announcements([situation(EPISODE, CHIEF, "time", 200, done)]) == ()


def test_nothing_escalates_of_which_nobody_was_told():
    assert announcements([situation(EPISODE, CHIEF, "time", 100)]) == ()


@pytest.mark.parametrize("status", ["pending", "claimed", "failed", "sent", "dead"])
def test_what_is_due_later_begins_with_the_raise_whether_or_not_its_receiver_took_it(status):
    """A receiver that refuses the raise for ever ends neither escalation nor repeats nor a rise."""
    raised = tuple(replace(n, status=status) for n in announcements([situation()]))
    assert announcements([situation(EPISODE, CHIEF, "time", 14, raised)]) == ()
    [escalated] = announcements([situation(EPISODE, CHIEF, "time", 15, raised)])
    assert escalated.key == "e1:escalated:chief"
    assert announcements([situation(EPISODE, NAGGED, "time", 29, raised)]) == ()
    [repeated] = announcements([situation(EPISODE, NAGGED, "time", 30, raised)])
    assert repeated.key == "e1:repeated:pager:1"
    twice = (*raised, replace(repeated, status=status))
    assert announcements([situation(EPISODE, NAGGED, "time", 59, twice)]) == ()
    [again] = announcements([situation(EPISODE, NAGGED, "time", 60, twice)])
    assert again.key == "e1:repeated:pager:2"
    worse = replace(EPISODE, severity="critical")
    for cause in ("worse", "time"):
        [rise] = announcements([situation(worse, PAGER, cause, 5, raised)])
        assert rise.transition == "severity_rose"


def test_who_was_told_by_escalation_hears_of_the_end():
    [notice] = announcements([situation(EPISODE, CHIEF, "time", 15, told())])
    sent = (*told(), replace(notice, status="sent"))
    assert [
        n.channel
        for n in announcements([situation(over(EPISODE), Recipient("chief"), "closed", 16, sent)])
    ] == ["chief"]


# --- routes
# --------------------------------------------------------------------------------------------------


def chosen(definition=None, minute=0, routes=()):
    parsed = [parse_route({"name": f"r{i}", **r}) for i, r in enumerate(routes)]
    return [
        r.channel
        for r in recipients(
            definition or threshold(),
            "oven-1",
            "medium",
            parsed,
            ["log", "pager"],
            at(minute),
        )
    ]


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
    assert chosen(threshold(notify={"channels": ["mail"]}), routes=[{"channels": ["pager"]}]) == [
        "mail"
    ]
    assert chosen(threshold(notify={"channels": []}), routes=[{"channels": ["pager"]}]) == []


def test_a_channel_of_two_routes_is_told_once_and_by_the_one_that_is_awake():
    asleep = {"channels": ["mail"], "quiet": [{"from": "00:00", "to": "24:00"}]}
    parsed = [
        parse_route({"name": "a", **asleep}),
        parse_route({"name": "b", "channels": ["mail"]}),
    ]
    [mail] = recipients(threshold(), "oven-1", "medium", parsed, [], at(0))
    assert (mail.route, mail.quiet_until) == ("b", None)


@pytest.mark.parametrize(("minute", "held"), [(15, None), (16, "digest")])
def test_an_episode_that_was_over_goes_into_a_digest_only_if_it_was_over_for_more_than_ten_minutes(
    minute, held
):
    assert decide(situation(over(EPISODE), minute=minute)).postponed_by == held


def test_escalations_come_soonest_first():
    steps = [{"after": "1h", "channels": ["boss"]}, {"after": "15m", "channels": ["chief"]}]
    route = parse_route({"name": "a", "channels": ["mail"], "escalation": steps})
    assert [r.channel for r in escalations(threshold(), "oven-1", "medium", [route], at(0))] == [
        "chief",
        "boss",
    ]


# --- trying again
# --------------------------------------------------------------------------------------------------


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
    lasted = timedelta(0)
    attempts = 1
    while after_failure(attempts, permanent=False) == "failed":
        lasted = lasted + retry_delay(attempts, "k")
        attempts = attempts + 1
    assert lasted > timedelta(hours=8)
