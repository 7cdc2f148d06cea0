"""Whom to tell, and why: stage by stage."""

from dataclasses import replace
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerting.definitions.routes_and_sinks import Flood, parse_route
from alerting.definitions.wording.language import language, translatable
from alerting.detection.evaluation_results_and_texts import Evaluation
from alerting.episodes.episode import ActorStamp, Episode
from alerting.notifications.notification import GIVE_UP_AFTER, Content, retry_delay
from alerting.notifications.policy import (
    STAGES,
    Situation,
    announcements,
    decide,
    due_groups,
    next_state,
)
from alerting.notifications.recipients import Recipient, escalations, recipients
from tests.builders import at, threshold

pytestmark = pytest.mark.fast

EPISODE = Episode(
    "e1", "too-hot", 1, "threshold", "oven-1", "Too hot", "medium", at(0), at(0), "open", None,
    Evaluation(at(0), "triggered", "hot"),
)  # fmt: skip
PAGER = Recipient("pager")


def situation(episode=EPISODE, recipient=PAGER, cause="raised", minute=0, sent=(), **more):
    return Situation(episode, recipient, cause, at(minute), sent, "first notification", **more)


def waiting(notification, episode=EPISODE, cause="due", minute=90, sent=(), **more):
    """Return the situation of a stored notification whose time has come, or that was tried."""
    recipient = Recipient(notification.channel)
    return Situation(episode, recipient, cause, at(minute), sent, waiting=notification, **more)


def told(recipient=PAGER):
    """Return the notifications of a recipient after the raise was delivered."""
    notices = announcements([situation(recipient=recipient)])
    return tuple(replace(n, status="sent", delivered_at=n.next_attempt_at) for n in notices)


def over(episode):
    return replace(episode, condition="closed", closed_at=at(5))


def test_the_stages_read_aloud():
    assert [stage.__name__ for stage in STAGES] == [
        "record_delivery",
        "retry",
        "deliver_message",
        "mute_waiting",
        "drop_overtaken",
        "deliver_due",
        "skip_backfilled",
        "skip_muted",
        "skip_notified",
        "digest_if_over",
        "notify_of_raise",
        "notify_of_happening",
        "notify_of_end",
        "notify_of_reopening",
        "redirect",
        "skip_over",
        "notify_of_unmuting",
        "notify_of_renewal",
        "skip_in_quiet_hours",
        "notify_of_worse",
        "skip_acknowledged",
        "escalate",
        "repeat",
    ]


NAGGED = replace(PAGER, repeat=timedelta(minutes=30))
CHIEF = Recipient("chief", escalates_after=timedelta(minutes=15))
ASLEEP = replace(PAGER, quiet_until=at(60))
OVER = over(EPISODE)
HIGH = replace(EPISODE, severity="high")
CRITICAL = replace(EPISODE, severity="critical")
RENEWED = EPISODE.with_transition("renewed", at(5), "now: temp is 150, above 100")


def of_status(notices, status):
    return tuple(replace(notice, status=status) for notice in notices)


RAISED = announcements([situation()])
TOLD = told()
HELD = announcements([situation(recipient=ASLEEP)])
HELD_AND_TOLD = told(recipient=replace(NAGGED, quiet_until=at(100)))
[ROSE] = announcements([situation(HIGH, cause="time", minute=5, sent=TOLD)])
[ROSE_LATE] = announcements([situation(HIGH, NAGGED, "time", 29, TOLD)])
[REPEATED] = announcements([situation(EPISODE, NAGGED, "time", 30, TOLD)])
[LATE] = announcements([situation(EPISODE, NAGGED, "time", 301, TOLD)])
[ESCALATED] = announcements([situation(EPISODE, CHIEF, "time", 15, TOLD)])
ANSWERED = (
    replace(EPISODE, acknowledged=ActorStamp("otto", at(1))),
    replace(EPISODE, muted_by="s1"),
)
# a situation, and the key of what is told of it
TABLE = {
    "the raise is told": (situation(), "e1:raised:pager"),
    "once": (situation(sent=TOLD), None),
    "not of past times": (situation(replace(EPISODE, backfilled=True)), None),
    "not of what late data refuted": (situation(replace(EPISODE, withdrawn=True)), None),
    "the end is told": (situation(OVER, cause="closed", sent=TOLD), "e1:closed:pager"),
    "not to whom the raise was not": (
        situation(OVER, Recipient("mail"), "closed", sent=TOLD),
        None,
    ),
    "not where the definition does not wish it": (
        situation(OVER, cause="closed", sent=TOLD, notify_resolved=False),
        None,
    ),
    "not where the raise was given up": (
        situation(OVER, cause="closed", sent=of_status(TOLD, "dead")),
        None,
    ),
    "where the raise is being delivered": (
        situation(OVER, cause="closed", sent=of_status(TOLD, "claimed")),
        "e1:closed:pager",
    ),
    "where it is tried again": (
        situation(OVER, cause="closed", sent=of_status(TOLD, "failed")),
        "e1:closed:pager",
    ),
    "the end of what quiet hours hold back is held back too": (
        situation(OVER, ASLEEP, "closed", sent=HELD),
        None,
    ),
    "what they hold back is told at once when it becomes critical": (
        situation(CRITICAL, PAGER, "time", 5, HELD),
        "e1:severity_rose-critical:pager",
    ),
    "and not when it becomes worse": (situation(HIGH, ASLEEP, "time", 5, HELD), None),
    "a severity that rises is told": (
        situation(HIGH, cause="time", minute=5, sent=TOLD),
        "e1:severity_rose-high:pager",
    ),
    "a rise once": (situation(HIGH, cause="time", minute=6, sent=(*TOLD, ROSE)), None),
    "one that falls never": (
        situation(replace(EPISODE, severity="low"), cause="time", minute=7, sent=(*TOLD, ROSE)),
        None,
    ),
    "who hears only of the worse hears of it when it gets worse": (
        situation(HIGH, Recipient("chief"), "time", 5, TOLD),
        "e1:severity_rose-high:chief",
    ),
    "and not before": (situation(EPISODE, Recipient("chief"), "time", 5, TOLD), None),
    "another condition is told, by its number": (
        situation(RENEWED, cause="renewed", minute=5, sent=TOLD),
        "e1:renewed:pager:1",
    ),
    "also who has acknowledged the first one": (
        situation(
            replace(RENEWED, acknowledged=ActorStamp("otto", at(1))), PAGER, "renewed", 5, TOLD
        ),
        "e1:renewed:pager:1",
    ),
    "another condition waits for the end of quiet hours": (
        situation(RENEWED, replace(PAGER, quiet_until=at(60)), "renewed", 5, TOLD),
        "e1:renewed:pager:1",
    ),
    "it is not told beside a raise that waits": (
        situation(RENEWED, ASLEEP, "renewed", 5, HELD),
        None,
    ),
    "nor beside a rise of the same round": (
        situation(RENEWED, cause="renewed", minute=5, sent=(*TOLD, ROSE)),
        None,
    ),
    "nor of an alarm that nobody was told": (situation(RENEWED, cause="renewed"), None),
    "nor of a muted one": (
        situation(replace(RENEWED, muted_by="s1"), cause="renewed", minute=5, sent=TOLD),
        None,
    ),
    "who has acknowledged it is not told again": (
        situation(ANSWERED[0], NAGGED, "time", 30, TOLD),
        None,
    ),
    "nor is it escalated": (situation(ANSWERED[0], CHIEF, "time", 30, TOLD), None),
    "who has muted it is not told again": (
        situation(ANSWERED[1], NAGGED, "time", 30, TOLD),
        None,
    ),
    "nor is that escalated": (situation(ANSWERED[1], CHIEF, "time", 30, TOLD), None),
    "it is not repeated before its time": (situation(EPISODE, NAGGED, "time", 29, TOLD), None),
    "it is repeated with a number in the key": (
        situation(EPISODE, NAGGED, "time", 30, TOLD),
        "e1:repeated:pager:1",
    ),
    "not when it is over": (situation(OVER, NAGGED, "time", 30, TOLD), None),
    "not at once after another message of the episode": (
        situation(HIGH, NAGGED, "time", 30, (*TOLD, ROSE_LATE)),
        None,
    ),
    "a while after it": (
        situation(HIGH, NAGGED, "time", 44, (*TOLD, ROSE_LATE)),
        "e1:repeated:pager:1",
    ),
    "after an outage one repeat makes up for all": (
        situation(EPISODE, NAGGED, "time", 301, TOLD),
        "e1:repeated:pager:10",
    ),
    "and the next is due in its time": (
        situation(EPISODE, NAGGED, "time", 302, (*TOLD, LATE)),
        None,
    ),
    "quiet hours bring no repeats": (
        situation(EPISODE, replace(NAGGED, quiet_until=at(400)), "time", 300, TOLD),
        None,
    ),
    "a raise that was held back counts from when it was told": (
        situation(EPISODE, NAGGED, "time", 120, HELD_AND_TOLD),
        None,
    ),
    "and is repeated so long after it": (
        situation(EPISODE, NAGGED, "time", 130, HELD_AND_TOLD),
        "e1:repeated:pager:1",
    ),
    "it does not escalate before its time": (situation(EPISODE, CHIEF, "time", 14, TOLD), None),
    "it escalates when nobody answers": (
        situation(EPISODE, CHIEF, "time", 15, TOLD),
        "e1:escalated:chief",
    ),
    **{
        f"once, {status}": (
            situation(EPISODE, CHIEF, "time", 200, (*TOLD, *of_status([ESCALATED], status))),
            None,
        )
        for status in ("pending", "sent", "dead")
    },
    "nothing escalates of which nobody was told": (situation(EPISODE, CHIEF, "time", 100), None),
    "who was told by escalation hears of the end": (
        situation(OVER, Recipient("chief"), "closed", 16, (*TOLD, *of_status([ESCALATED], "sent"))),
        "e1:closed:chief",
    ),
    # a receiver that refuses the raise for ever ends neither escalation nor repeats nor a rise
    **{
        f"{what} of a raise that is {status}": (
            situation(episode, who, cause, minute, of_status(sent, status)),
            key,
        )
        for status in ("pending", "claimed", "failed", "sent", "dead")
        for what, episode, who, cause, minute, sent, key in (
            ("no early escalation", EPISODE, CHIEF, "time", 14, RAISED, None),
            ("escalation", EPISODE, CHIEF, "time", 15, RAISED, "e1:escalated:chief"),
            ("no early repeat", EPISODE, NAGGED, "time", 29, RAISED, None),
            ("repeat", EPISODE, NAGGED, "time", 30, RAISED, "e1:repeated:pager:1"),
            ("no early second", EPISODE, NAGGED, "time", 59, (*RAISED, REPEATED), None),
            ("second", EPISODE, NAGGED, "time", 60, (*RAISED, REPEATED), "e1:repeated:pager:2"),
            ("rise", CRITICAL, PAGER, "worse", 5, RAISED, "e1:severity_rose-critical:pager"),
            ("rise in time", CRITICAL, PAGER, "time", 5, RAISED, "e1:severity_rose-critical:pager"),
        )
    },
}


def test_who_is_told_what_of_a_situation():
    found = {what: [n.key for n in announcements([one])] for what, (one, _) in TABLE.items()}
    assert found == {what: [] if key is None else [key] for what, (_, key) in TABLE.items()}
    assert [notice.reason for notice in (*RAISED, ROSE, ESCALATED)] == [
        "first notification",
        "severity rose from medium to high",
        "no operator has acknowledged it for 15 min",
    ]


def test_what_is_held_back_waits_for_its_time_and_the_top_severity_for_nothing():
    [held] = HELD
    crowded = replace(PAGER, flood=Flood(more_than=2, within=timedelta(minutes=10)))
    decided = [
        decide(situation(recipient=crowded, recent_alerts=1)),
        decide(situation(recipient=crowded, recent_alerts=2, minute=3)),
        decide(situation(CRITICAL, crowded, recent_alerts=1000)),
        # over for more than ten minutes, and for less
        decide(situation(OVER, minute=16)),
        decide(situation(OVER, minute=15)),
    ]
    assert [held.postponed_by, *(one.postponed_by for one in decided)] == [
        "quiet",
        None,
        "flood",
        None,
        "digest",
        None,
    ]
    assert (held.next_attempt_at, decided[1].waiting_until) == (at(60), at(10))
    overtaken = [
        next_state(waiting(held, OVER, sent=HELD)).status,
        next_state(waiting(held, EPISODE, sent=HELD)).status,
        next_state(waiting(replace(held, status="claimed"), OVER, sent=HELD)).status,
        next_state(waiting(held, EPISODE, sent=(*HELD, ROSE))).status,
    ]
    assert overtaken == ["dropped", "claimed", "claimed", "dropped"]
    night = [{"from": "00:00", "to": "24:00"}]
    route = parse_route({"name": "r", "channels": ["pager"], "quiet": night})
    quiet = [
        recipients(threshold(), "oven-1", severity, [route], ["pager"], at(0))[0].quiet_until
        for severity in ("medium", "critical")
    ]
    assert [until is not None for until in quiet] == [True, False]


def test_why_a_notification_is_late_keeps_the_instants_and_the_language_of_its_reason():
    late = translatable("known since {when}, from late data", when=at(0))
    held = replace(situation(recipient=ASLEEP), reason=late)
    reason = decide(held).reason
    assert reason == "known since 2026-01-05 00:00 UTC, from late data; delayed by quiet hours"
    german = language("de").with_clock(ZoneInfo("Europe/Berlin"), at(9)).translate(reason)
    assert german.startswith("bekannt seit heute 01:00, aus späten Daten; ")


def chosen(definition=None, minute=0, routes=()):
    parsed = [parse_route({"name": f"r{i}", **r}) for i, r in enumerate(routes)]
    channels = ["log", "pager"]
    found = recipients(
        definition or threshold(tags=["line-3"]), "oven-1", "medium", parsed, channels, at(minute)
    )
    return [recipient.channel for recipient in found]


def test_a_route_matches_when_all_that_it_names_fits():
    everyone = ["log", "pager"]
    table = [
        ({}, ["mail"]),
        ({"severity": ["medium", "high"]}, ["mail"]),
        ({"severity": ["high"]}, everyone),
        ({"assets": ["oven-*"]}, ["mail"]),
        ({"assets": ["mill-*"]}, everyone),
        ({"definitions": ["too-*"]}, ["mail"]),
        ({"definitions": ["too-cold"]}, everyone),
        ({"tags": ["line-3", "line-9"]}, ["mail"]),
        ({"tags": ["line-9"]}, everyone),
        ({"severity": ["medium"], "assets": ["mill-*"]}, everyone),
    ]
    found = [(one, chosen(routes=[{"channels": ["mail"], "match": one}])) for one, _ in table]
    assert found == table


def test_without_a_route_in_its_shift_everyone_is_told_but_where_a_definition_names_channels():
    day = {"channels": ["mail"], "shifts": [{"from": "06:00", "to": "22:00"}]}
    pager = [{"channels": ["pager"]}]
    found = [
        chosen(minute=7 * 60, routes=[day]),
        chosen(minute=5 * 60, routes=[day]),
        chosen(threshold(notify={"channels": ["mail"]}), routes=pager),
        chosen(threshold(notify={"channels": []}), routes=pager),
    ]
    assert found == [["mail"], ["log", "pager"], ["mail"], []]


def test_a_channel_of_two_routes_is_told_by_the_one_awake_and_escalations_come_soonest_first():
    asleep = {"channels": ["mail"], "quiet": [{"from": "00:00", "to": "24:00"}]}
    steps = [{"after": "1h", "channels": ["boss"]}, {"after": "15m", "channels": ["chief"]}]
    parsed = [
        parse_route({"name": "a", **asleep}),
        parse_route({"name": "b", "channels": ["mail"], "escalation": steps}),
    ]
    [mail] = recipients(threshold(), "oven-1", "medium", parsed, [], at(0))
    assert (mail.route, mail.quiet_until) == ("b", None)
    found = escalations(threshold(), "oven-1", "medium", parsed, at(0))
    assert [recipient.channel for recipient in found] == ["chief", "boss"]


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
    [n] = of_status(RAISED, "claimed")
    refused = next_state(waiting(n, None, "refused", reason="no such room"))
    assert (refused.status, refused.error, refused.next_attempt_at) == (
        "dead",
        "no such room",
        None,
    )
    lasted = timedelta(0)
    attempts = 1
    while True:
        after = next_state(waiting(replace(n, attempts=attempts), None, "failed", reason="busy"))
        if after.status == "dead":
            break
        assert (after.status, after.error) == ("failed", "busy")
        assert after.next_attempt_at == at(90) + retry_delay(attempts, n.key)
        lasted = lasted + retry_delay(attempts, n.key)
        attempts = attempts + 1
    assert (attempts, after.next_attempt_at) == (GIVE_UP_AFTER, None)
    assert lasted > timedelta(hours=8)


def test_a_failure_is_counted_from_the_first_one_until_a_delivery():
    [n] = of_status(RAISED, "claimed")
    first = next_state(waiting(replace(n, attempts=1), None, "failed", reason="busy"))
    again = next_state(waiting(first, None, "failed", minute=95, reason="still busy"))
    assert (again.failing_since, again.failed_at, again.error) == (at(90), at(95), "still busy")
    skipped = next_state(waiting(first, None, "skipped", minute=97))
    assert (skipped.status, skipped.attempts, skipped.error) == ("failed", 1, "busy")
    assert (skipped.failing_since, skipped.failed_at) == (at(90), at(97))
    assert skipped.next_attempt_at == at(97) + retry_delay(2, n.key)
    sent = next_state(waiting(again, None, "delivered", minute=99))
    assert sent == replace(n, status="sent", attempts=1, delivered_at=at(99), next_attempt_at=None)


def test_what_waits_is_muted_and_an_end_is_told_only_where_the_raise_was():
    def notice(channel, kind, status):
        key = f"e:{kind}:{channel}"
        return replace(RAISED[0], key=key, channel=channel, transition=kind, status=status)

    notifications = (
        notice("mail", "raised", "sent"),
        notice("mail", "closed", "pending"),
        notice("pager", "raised", "pending"),
        notice("pager", "closed", "pending"),
    )
    after = [
        next_state(waiting(n, sent=notifications, muted="muted by otto"))
        for n in notifications
        if n.is_waiting
    ]
    assert [(n.channel, n.status, n.error) for n in after] == [
        ("mail", "claimed", None),
        ("pager", "muted", "muted by otto"),
        ("pager", "muted", "muted by otto"),
    ]


def test_a_message_is_delivered_but_not_of_an_episode_that_is_gone():
    [n] = RAISED
    gone = next_state(waiting(n, None))
    assert (gone.status, gone.error) == ("muted", "its episode is not stored any more")
    beat = replace(n, episode=None, content=Content("Alerting is running", ""))
    assert next_state(waiting(beat, None, muted=None)).status == "claimed"


def test_after_a_mute_an_open_alarm_is_told_once_and_after_the_quiet_hours():
    muted = replace(EPISODE, muted_by="m1")
    [now] = announcements([situation(muted, cause="unmuted", minute=9)])
    [later] = announcements([situation(muted, ASLEEP, "unmuted", 9)])
    assert [now.key, later.key] == ["e1:unmuted-m1:pager"] * 2
    assert (now.postponed_by, later.postponed_by) == (None, "quiet")
    assert (now.next_attempt_at, later.next_attempt_at) == (at(9), at(60))
    ended = [replace(over(EPISODE), muted_by="m1"), replace(muted, backfilled=True)]
    assert announcements([situation(one, cause="unmuted", minute=9) for one in ended]) == ()
    assert announcements([situation(muted, cause="unmuted", minute=9, sent=(now,))]) == ()


def test_a_flood_is_one_message_for_each_asset_and_slot_and_a_digest_one_for_each_channel():
    def held(key, by, until, channel="pager", asset="oven-1"):
        return replace(
            RAISED[0],
            key=key,
            postponed_by=by,
            channel=channel,
            asset=asset,
            next_attempt_at=at(until),
        )

    held_back = [
        held("a", "flood", 80),
        held("b", "flood", 80),
        held("next slot", "flood", 100),
        held("other asset", "flood", 80, asset="oven-2"),
        held("c", "digest", 80, asset="oven-3"),
        held("d", "digest", 100),
        held("not yet", "digest", 100, "mail"),
    ]
    found = [waiting(n) for n in held_back]
    groups = [[s.notification.key for s in group] for group in due_groups(found, at(90))]
    assert groups == [["a", "b"], ["other asset"], ["c", "d"]]
    after = next_state(found[0])
    assert (after.status, after.delivered_at, after.next_attempt_at) == ("grouped", at(90), None)
    assert next_state(replace(found[0], muted="muted by otto")).status == "muted"
