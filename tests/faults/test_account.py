"""The fault tests find what is lost, doubled or changed."""

from dataclasses import replace

import pytest

from alerting.notifications.notification import new_message
from tests.builders import at
from tests.faults.account import Account, compare_episodes, compare_notifications
from tests.faults.streamed.models import ScoreKey, check_scores
from tests.helpers.episodes import closed, episode
from tests.helpers.notifications import notice

COME_TRUE = closed(episode(1, happening_at=at(6), model_version=2, valid_until=at(8)))
TOLD = notice(f"{COME_TRUE.id}:raised:mes", 1, channel="mes", episode=COME_TRUE.id, status="sent")
KNOWN = [TOLD, *(replace(TOLD, key=kind, transition=kind) for kind in ("happening", "closed"))]


@pytest.mark.parametrize(
    ("stormy", "wrong"),
    [
        ([COME_TRUE], []),
        ([], ["episodes missing"]),
        ([COME_TRUE] * 2, ["episodes only in the storm"]),
        ([replace(COME_TRUE, model_version=1)], ["episodes missing", "episodes only in the storm"]),
        ([replace(COME_TRUE, valid_until=at(7))], ["episodes with other steps"]),
    ],
)
def test_an_episode_that_is_not_as_undisturbed_is_found(stormy, wrong):
    account = Account()
    compare_episodes(account, stormy, [COME_TRUE])
    assert [text.partition(":")[0] for text in account.wrong] == wrong


@pytest.mark.parametrize(
    ("notifications", "accepted", "wrong"),
    [
        (KNOWN, KNOWN, []),
        ([], [], ["episodes without a notification"]),
        (KNOWN[:2], KNOWN, ["ends without a notification"]),
        ([replace(TOLD, status="dead"), *KNOWN[1:]], KNOWN, ["notifications that are dead"]),
        (KNOWN, KNOWN[1:], ["recorded as sent and not received"]),
        (
            [replace(TOLD, status="grouped"), *KNOWN[1:]],
            KNOWN,
            ["marked as told with others and listed in no delivered message"],
        ),
    ],
)
def test_a_notification_that_is_lost_is_found(notifications, accepted, wrong):
    account = Account()
    compare_notifications(account, [COME_TRUE], notifications, {n.key: 1 for n in accepted})
    assert [text.partition(":")[0] for text in account.wrong] == wrong


@pytest.mark.parametrize("reason", ["first notification; 1 more since 4 min ago", "first"])
def test_the_newest_of_a_catch_up_speaks_for_the_others_where_it_counts_them(reason):
    newest = episode(5, detected_at=at(9))
    earlier = closed(episode(1, detected_at=at(9)))
    told = replace(TOLD, episode=newest.id, reason=reason, status="grouped")
    digest = new_message("digest:1", "mes", "1", "text", at(20), "all", notifications=[told.key])
    account = Account()
    sent = [told, replace(digest, status="sent")]
    compare_notifications(account, [earlier, newest], sent, {"digest:1": 1})
    assert bool(account.wrong) == (reason == "first")


def test_a_score_that_is_lost_doubled_or_another_is_found():
    def row(score):
        return [{"score": score, "threshold": 0.4, "model_version": 1}]

    a, b, c = (ScoreKey("moist", "oven-1", at(minute)) for minute in range(3))
    account = Account()
    check_scores(account, {a: row(0.5), b: row(0.6) * 2}, dict.fromkeys((a, b, c), row(0.5)), {})
    found = [text.partition(":")[0] for text in account.wrong]
    assert found == ["scores missing", "scores doubled", "scores that differ"]
