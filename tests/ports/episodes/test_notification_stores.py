"""Routes, notifications and sessions: in memory and on a real server."""

from dataclasses import replace
from datetime import timedelta

import pytest

from alerting.definitions.faults import UserError
from alerting.definitions.routes import parse_route, route_document
from alerting.definitions.wording.language import language, translatable
from alerting.notifications.notification import new_message
from alerting.ports import Conflict
from alerting.usecases.upkeep.retention import retain
from tests.builders import at
from tests.helpers.episodes import full_episode
from tests.helpers.notifications import notice
from tests.in_memory_platform import HandClock, platform_on


def test_a_route_is_kept_as_it_was_written_and_replaced_by_its_name(stores):
    for document in (
        {"name": "b", "channels": ["x"]},
        {"name": "a", "channels": ["z"]},
        {"name": "b", "channels": ["y"]},
    ):
        stores.routes.store_document(document)
    assert stores.routes.documents() == [
        {"name": "a", "channels": ["z"]},
        {"name": "b", "channels": ["y"]},
    ]
    assert (stores.routes.remove("a"), stores.routes.remove("a")) == (True, False)


def test_a_notification_is_stored_once_under_its_key_and_comes_back_the_same(stores):
    summary = new_message(
        "flood:1",
        "mail",
        "+3 more",
        "text",
        at(0),
        "night",
        asset="oven-1",
        notifications=["a", "b"],
    )
    one = notice(
        "a:raised:mail",
        1,
        severity="high",
        episode="a",
        asset="oven-1",
        number=2,
        postponed_by="quiet",
    )
    assert stores.notifications.add([summary, one]) == 2
    assert stores.notifications.add([replace(summary, channel="other"), notice("b", 2)]) == 1
    assert {n.key: n for n in stores.notifications.get(["flood:1", "a:raised:mail", "x"])} == {
        n.key: n for n in (summary, one)
    }
    assert stores.notifications.add([]) == 0


def test_notifications_are_due_in_order_and_a_raise_comes_before_its_end(stores):
    kept = [
        notice("late", 9),
        notice("b", 2),
        notice("a", 2, transition="closed"),
        notice("first", 1),
    ]
    stores.notifications.add(
        [*kept, notice("done", 1, status="sent"), notice("dead", 1, status="dead")]
    )
    assert [n.key for n in stores.notifications.due(at(5), 10)] == ["first", "b", "a"]
    assert [n.key for n in stores.notifications.due(at(5), 1)] == ["first"]
    assert [n.key for n in stores.notifications.waiting()] == ["first", "a", "b", "late"]
    assert [n.key for n in stores.notifications.waiting(2)] == ["first", "a"]
    assert [n.key for n in stores.notifications.dead()] == ["dead"]


def test_a_claim_counts_the_attempt_and_no_other_process_has_it_until_it_ends(stores):
    both = [notice("a", 1), notice("b", 1)]
    stores.notifications.add([*both, notice("c", 1)])
    claimed = stores.notifications.claim(both, at(2), at(4))
    assert [(n.key, n.status, n.attempts, n.next_attempt_at) for n in claimed] == [
        (k, "claimed", 1, at(4)) for k in "ab"
    ]
    assert {n.key: n for n in stores.notifications.get("ab")} == {n.key: n for n in claimed}
    assert [n.key for n in stores.notifications.claim([*both, notice("c", 1)], at(3), at(5))] == [
        "c"
    ]
    assert [n.attempts for n in stores.notifications.claim(claimed, at(4), at(6))] == [2, 2]


def test_a_change_counts_only_while_the_notification_is_as_it_was_read(stores):
    one = notice("a", 1)
    stores.notifications.add([one])
    [claimed] = stores.notifications.claim([one], at(1), at(2))
    assert (
        stores.notifications.change([(one, replace(one, status="muted", next_attempt_at=None))])
        == 0
    )
    [again] = stores.notifications.claim([claimed], at(2), at(4))
    assert stores.notifications.change([(claimed, replace(claimed, status="failed"))]) == 0
    sent = replace(claimed, status="sent", delivered_at=at(3), next_attempt_at=None)
    assert stores.notifications.change([(None, sent)]) == 1
    assert stores.notifications.change([(again, replace(again, status="failed"))]) == 0
    assert stores.notifications.get(["a"]) == [sent]


def test_in_a_unit_of_work_all_changes_count_or_none(real):
    one = notice("a", 1)
    other = notice("b", 1)
    real.notifications.add([one, other])
    real.notifications.claim([other], at(1), at(2))
    with pytest.raises(Conflict), real.unit_of_work.begin() as unit:
        real.notifications.add([notice("c", 1)], unit)
        real.notifications.change(
            [(n, replace(n, status="grouped", next_attempt_at=None)) for n in (one, other)], unit
        )
    assert {n.key: n.status for n in real.notifications.get("abc")} == {
        "a": "pending",
        "b": "claimed",
    }


def test_notifications_of_episodes_are_read_together_oldest_first(stores):
    stores.notifications.add(
        [
            notice("e1:closed:mail", 2, episode="e1"),
            notice("e1:raised:mail", 1, episode="e1"),
            notice("e2:raised:mail", 1, episode="e2"),
        ]
    )
    found = stores.notifications.of_episodes(["e1", "e3"])
    assert {id: [n.key for n in of_episode] for id, of_episode in found.items()} == {
        "e1": ["e1:raised:mail", "e1:closed:mail"],
        "e3": [],
    }
    assert stores.notifications.of_episodes(["e1"]) == {"e1": found["e1"]}


def test_finished_notifications_are_forgotten_and_those_of_open_matters_stay(stores):
    def old(key, **changes):
        return notice(key, 1, status="sent", delivered_at=at(1), **changes)

    kept = [
        notice("waits", 1),
        old("open", episode="e1"),
        old("fault"),
        notice("new", 9, status="sent"),
    ]
    stores.notifications.add(
        [*kept, old("a", episode="e2"), old("b"), notice("c", 1, status="dead")]
    )
    assert stores.notifications.forget(at(5), ["e1"], ["fault"]) == 3
    assert {
        n.key for n in stores.notifications.get(["waits", "open", "fault", "new", "a", "b", "c"])
    } == {n.key for n in kept}


def forgotten(platform, as_of, dry=False):
    return next(
        swept.documents for swept in retain(platform, as_of, dry) if swept.what == "notifications"
    )


def test_messages_of_what_is_happening_stay_however_old_and_go_after_its_end(stores):
    platform = platform_on(stores, [], HandClock())
    late = at(0) + timedelta(days=200)
    one = replace(full_episode(), happening_at=at(20), prediction_ended_at=at(20))
    platform.episodes.insert(one)
    assert platform.episodes.get(one.id) == one
    told = [
        notice(
            f"{one.id}:{kind}:mail",
            m,
            transition=kind,
            status="sent",
            delivered_at=at(m),
            episode=one.id,
        )
        for kind, m in (("raised", 1), ("happening", 20))
    ]
    platform.notifications.add(told)
    assert forgotten(platform, late) == 0
    with platform.unit_of_work.begin() as unit:
        platform.episodes.write([replace(one, condition="closed", closed_at=late, version=2)], unit)
    # late data could reopen it, and its raise would be sent again
    assert forgotten(platform, late) == 0
    assert forgotten(platform, late + timedelta(days=91), dry=True) == 2
    assert (
        forgotten(platform, late + timedelta(days=91)),
        platform.notifications.of_episodes([one.id]),
    ) == (2, {one.id: ()})
    assert platform.episodes.get(one.id).happening_at == at(20)


def test_what_was_told_of_an_asset_lately(stores):
    raised = [
        notice(f"k{minute}", minute, asset=asset)
        for minute, asset in ((1, "oven-1"), (2, "oven-2"), (3, "oven-1"))
    ]
    stores.notifications.add([*raised, notice("end", 4, asset="oven-1", transition="closed")])
    assert [n.key for n in stores.notifications.raised_since("oven-1", at(1))] == ["k3"]
    assert len(stores.notifications.raised_since("oven-1", at(1) - timedelta(seconds=1))) == 2


def test_the_server_itself_refuses_a_malformed_route_and_takes_every_legal_one(real):
    legal = {
        "name": "ovens-at-night",
        "match": {"severity": ["high", "critical"], "assets": ["oven-*"], "tags": ["line-3"]},
        "channels": ["shift", "teams"],
        "timezone": "Europe/Berlin",
        "shifts": [{"days": ["mon", "tue"], "from": "22:00", "to": "06:00"}],
        "quiet": [{"from": "22:00", "to": "06:00"}],
        "repeat": "30m",
        "escalation": [{"after": "15m", "channels": ["chief"]}],
        "flood": {"more_than": 5, "within": "10m"},
        "heartbeat": "24h",
        "acknowledge_by_link": True,
        "platform": True,
    }
    for document in (
        {"name": "short", "channels": ["log"]},
        legal,
        route_document(parse_route(legal)),
    ):
        real.routes.store_document(dict(document))
    faults = [
        {"channels": "shift"},
        {"chanels": ["x"]},
        {"repeat": 30},
        {"match": {"severity": ["bad"]}},
        {"channels": []},
    ]
    for fault in faults:
        with pytest.raises(UserError, match="ovens-at-night"):
            real.routes.store_document(legal | fault)


def test_what_was_delivered_since_an_instant(stores):
    sent = [
        notice(key, minute, status="sent", delivered_at=at(minute))
        for key, minute in (("old", 1), ("new", 8))
    ]
    stores.notifications.add([*sent, notice("pending", 9), notice("dead", 9, status="dead")])
    assert [n.key for n in stores.notifications.sent_since(at(5))] == ["new"]


def test_why_a_message_was_not_delivered_comes_back_for_readers_of_every_language(real):
    waiting = notice("k:raised:shift", 1)
    real.notifications.add([waiting])
    error = translatable("{receiver} answered {status}", receiver="webhook", status=503)
    real.notifications.change([(waiting, replace(waiting, status="dead", error=error))])
    (letter,) = real.notifications.dead()
    assert letter.error == "webhook answered 503"
    assert language("de").translate(letter.error) == "webhook hat mit 503 geantwortet"
