"""Which channels fail, and where a critical alarm goes that no channel delivered: decided from
facts."""

from dataclasses import replace
from datetime import timedelta

import pytest

from alerting.definitions.wording.language import ENGLISH
from alerting.notifications.channel_faults import ChannelFacts, Undelivered, why_failing
from alerting.notifications.policy import Situation, announcements
from alerting.notifications.recipients import Recipient
from tests.builders import at
from tests.helpers.episodes import full_episode
from tests.helpers.notifications import notice

pytestmark = pytest.mark.fast
NOW = at(1000)
DAY = timedelta(days=1)


def ago(minutes):
    return NOW - timedelta(minutes=minutes)


def lost(number, since, last, answer="the receiver answered 403"):
    return Undelivered(number, ago(since), ago(last), answer)


def facts(refused=None, waiting=None, delivered=None, before=None):
    return ChannelFacts(
        "chat",
        refused,
        waiting,
        None if delivered is None else ago(delivered),
        None if before is None else ago(before),
    )


ONE = lost(1, 0, 0)
FOUND = {
    "the first refusal": (facts(ONE), {}, "refused 1 message"),
    "refusals since the last delivery": (facts(lost(29, 90, 1), delivered=91), {}, "refused 29"),
    "a refusal of last week, and nothing since": (facts(lost(1, 9000, 9000)), {}, "refused 1"),
    "a refusal before the last delivery": (facts(lost(3, 90, 20), delivered=19), {}, None),
    "of one message, the next is delivered": (
        facts(lost(1, 5, 5), delivered=4, before=30),
        {},
        None,
    ),
    "in the same round as a delivery, the first ever": (
        facts(ONE, delivered=0, before=None),
        {},
        None,
    ),
    "by turns": (facts(lost(4, 14, 3), delivered=2, before=5), {}, "refused 4"),
    "by turns, and no more for 15 min": (facts(lost(4, 30, 15), delivered=2, before=16), {}, None),
    "without settings": (facts(lost(2, 30, 20)), {"is_configured": False}, "refused 2"),
    "without settings, and nothing for a day": (
        facts(lost(2, 3000, 1440)),
        {"is_configured": False},
        None,
    ),
    "an error for 14 min": (facts(None, lost(3, 14, 1)), {}, None),
    "an error for 15 min": (facts(None, lost(3, 15, 1)), {}, "3 messages wait"),
    "a hanging message among delivered ones": (facts(None, lost(1, 60, 4), 3), {}, None),
    "hanging ones since a delivery of 15 min ago": (facts(None, lost(2, 60, 4), 15), {}, "2 mess"),
    "hanging ones since one of 14 min ago": (facts(None, lost(2, 60, 4), 14), {}, None),
    "sent again, not yet tried": (facts(None, lost(2, 3, 2)), {"is_open": True}, "2 messages wait"),
    "sent again, and delivered": (facts(None, None, 0), {"is_open": True}, None),
    "nothing waits any more": (facts(), {"is_open": True}, None),
}


@pytest.mark.parametrize("case", FOUND)
def test_a_channel_fails_from_its_first_refusal_or_15_minutes_of_silence_until_it_delivers(case):
    given, changes, wanted = FOUND[case]
    why = why_failing(given, **{"is_configured": True, "is_open": False, "now": NOW, **changes})
    assert (why is None) == (wanted is None)
    assert wanted is None or (wanted in why and "alerting try chat" in why)


def test_the_answer_of_a_receiver_is_bounded():
    why = why_failing(facts(lost(1, 0, 0, "x" * 100_000)), True, False, NOW)
    assert len(why) < 600
    assert ENGLISH.show(ago(0)) in why


OPEN = replace(
    full_episode(),
    id="e",
    condition="open",
    severity="critical",
    closed_at=None,
    acknowledged=None,
    muted_by=None,
    backfilled=False,
    withdrawn=False,
)


def alarm(channel, status="dead", since=None, transition="raised", **changes):
    values = {"severity": "critical", "failing_since": None if since is None else ago(since)}
    return replace(
        notice(f"e:{transition}:{channel}", 980, status=status, episode="e", **values),
        channel=channel,
        transition=transition,
        **changes,
    )


ALL = ["chat", "log", "mail", "pager"]
SENT_TO = {
    "refused": ([alarm("chat")], ["log", "mail", "pager"]),
    "hangs for 15 min": ([alarm("chat", "failed", 15)], ["log", "mail", "pager"]),
    "hangs for 14 min": ([alarm("chat", "failed", 14)], []),
    "not tried yet": ([alarm("chat", "pending")], []),
    "skipped for 15 min, as others failed": (
        [alarm("chat", "pending", 15)],
        ["log", "mail", "pager"],
    ),
    "delivered": ([alarm("chat", "sent")], []),
    "one of two": ([alarm("chat"), alarm("mail", "sent")], []),
    "both": ([alarm("chat"), alarm("mail", "failed", 20)], ["log", "pager"]),
    "only the log has it": ([alarm("chat"), alarm("log", "sent")], ["mail", "pager"]),
    "the log alone, as written": ([alarm("log", "sent")], []),
    "the log alone, and its disk is full": (
        [alarm("log", "failed", 20)],
        ["chat", "mail", "pager"],
    ),
    "a raise of a lower severity arrived, the rise did not": (
        [alarm("mail", "sent", severity="high"), alarm("chat", transition="severity_rose")],
        ["log", "mail", "pager"],
    ),
    "a repeat failed, the raise arrived": (
        [alarm("chat", "sent"), alarm("chat", transition="repeated")],
        [],
    ),
    "its end failed": ([alarm("chat", transition="closed")], []),
    "escalated": ([alarm("chat"), alarm("mail", "pending", transition="escalated")], []),
    "muted meanwhile": ([alarm("chat", "muted")], []),
    "beside a refused one, one is dropped": (
        [alarm("chat"), alarm("mail", "dropped")],
        ["log", "mail", "pager"],
    ),
    "its correction failed": ([alarm("chat", transition="corrected")], []),
    "news of a mute failed": ([alarm("chat", transition="muted")], []),
    "not critical": ([alarm("chat", severity="high")], []),
    "a channel without settings": ([alarm("gone")], ["chat", "log", "mail", "pager"]),
    "none": ([], []),
}


def redirected(episode, sent, channels):
    """Return what is added once a message may have reached no channel."""
    return announcements(
        Situation(episode, Recipient(channel), "undelivered", NOW, tuple(sent))
        for channel in channels
    )


@pytest.mark.parametrize("case", SENT_TO)
def test_a_critical_alarm_that_no_channel_delivered_goes_to_all_others_once(case):
    sent, wanted = SENT_TO[case]
    made = redirected(OPEN, sent, ALL)
    assert [n.channel for n in made] == wanted
    assert {n.key for n in made} == {f"e:redirected:{channel}" for channel in wanted}
    assert {(n.transition, n.severity) for n in made} <= {("raised", "critical")}
    assert redirected(OPEN, [*sent, *made], ALL) == ()
    assert redirected(OPEN, [*sent, *(replace(n, status="dead") for n in made)], ALL) == ()


@pytest.mark.parametrize(
    "changes",
    [
        {"acknowledged": full_episode().acknowledged or "anna"},
        {"muted_by": "m"},
        {"backfilled": True},
        {"withdrawn": True},
    ],
)
def test_an_alarm_that_is_known_muted_or_of_the_past_goes_nowhere_else(changes):
    assert redirected(OPEN, [alarm("chat")], ALL)
    assert redirected(replace(OPEN, **changes), [alarm("chat")], ALL) == ()
