"""Routes, bulletins, revocations, and what deliveries ask of the episodes: on the pretended database and on a real server."""

from dataclasses import replace
from datetime import timedelta

import pytest

from alerting.definitions.faults import UserError
from alerting.definitions.routes import parse_route, route_document
from alerting.notifications.group_message import new_group_message
from tests.builders import at
from tests.helpers.episodes import episode
from tests.helpers.notifications import notice


def group_message(id="b1", minute=0):
    return new_group_message(id, "mail", "+3 more", "text", at(minute), "night", asset="oven-1", notifications=["a", "b"])


def test_a_route_is_kept_as_it_was_written_and_replaced_by_its_name(stores):
    for document in ({"name": "b", "channels": ["x"]}, {"name": "a", "channels": ["z"]}, {"name": "b", "channels": ["y"]}):
        stores.routes.put(document)
    assert stores.routes.documents() == [{"name": "a", "channels": ["z"]}, {"name": "b", "channels": ["y"]}]
    assert (stores.routes.remove("a"), stores.routes.remove("a")) == (True, False)


def test_a_bulletin_is_inserted_once_and_comes_back_the_same(stores):
    assert stores.group_messages.insert(group_message())
    assert not stores.group_messages.insert(replace(group_message(), text="other"))
    assert stores.group_messages.get("b1") == group_message()
    assert stores.group_messages.get("b2") is None


def test_of_two_who_change_a_bulletin_one_wins(stores):
    stores.group_messages.insert(group_message())
    sent = group_message().after(replace(group_message().notification, status="sent"))
    assert (stores.group_messages.replace(sent), stores.group_messages.replace(sent)) == (True, False)


def test_bulletins_are_due_oldest_first_and_dead_ones_listed(stores):
    for id, minute in (("late", 9), ("b", 2), ("a", 1)):
        stores.group_messages.insert(group_message(id, minute))
    assert [b.id for b in stores.group_messages.due(at(5))] == ["a", "b"]
    first = stores.group_messages.get("a")
    stores.group_messages.replace(first.after(replace(first.notification, status="dead")))
    assert [b.id for b in stores.group_messages.due(at(5))] == ["b"]
    assert [b.id for b in stores.group_messages.dead_letters()] == ["a"]


def test_a_revocation_counts_for_what_was_made_before_it_and_is_never_taken_back(stores):
    stores.revocations.revoke("e1", None, at(10))
    stores.revocations.revoke("e1", None, at(5))
    found = [stores.revocations.is_revoked(e, "anna", at(m)) for e, m in (("e1", 10), ("e1", 11), ("e2", 1))]
    assert found == [True, False, False]
    stores.revocations.revoke(None, "anna", at(20))
    assert stores.revocations.is_revoked("e2", "anna", at(20))
    assert not stores.revocations.is_revoked("e2", "otto", at(20))
    stores.revocations.revoke(None, None, at(30))
    assert stores.revocations.is_revoked("e9", "otto", at(30))


def test_what_was_told_of_an_asset_lately(stores):
    for minute, asset in ((1, "oven-1"), (2, "oven-2"), (3, "oven-1")):
        made = replace(episode(minute), asset=asset, condition="closed", notifications=(notice(f"k{minute}", minute),))
        assert stores.episodes.insert(replace(made, id=f"e{minute}"))
    assert [n.key for n in stores.episodes.notified_since("oven-1", at(1))] == ["k3"]
    assert len(stores.episodes.notified_since("oven-1", at(1) - timedelta(seconds=1))) == 2


def test_what_was_held_back_in_floods_until_now(stores):
    outboxes = {
        "held": notice("a", 5, postponed_by="flood"),
        "later": notice("b", 9, postponed_by="flood"),
        "plain": notice("c", 1),
    }
    for minute, (id, n) in enumerate(outboxes.items()):
        assert stores.episodes.insert(replace(episode(minute), id=id, condition="closed", notifications=(n,)))
    [found] = stores.episodes.waiting_in_floods(at(5))
    assert found.notifications == (outboxes["held"],)


def test_what_waits_for_a_digest_whenever_it_is_due(stores):
    outboxes = {
        "soon": notice("a", 5, postponed_by="digest"),
        "later": notice("b", 9, postponed_by="digest"),
        "flood": notice("c", 1, postponed_by="flood"),
    }
    outboxes["told"] = replace(notice("d", 1, postponed_by="digest"), status="grouped")
    for minute, (id, n) in enumerate(outboxes.items()):
        assert stores.episodes.insert(replace(episode(minute), id=id, condition="closed", notifications=(n,)))
    assert [e.id for e in stores.episodes.waiting_for_digest()] == ["soon", "later"]


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
    for document in ({"name": "short", "channels": ["log"]}, legal, route_document(parse_route(legal))):
        real.routes.put(dict(document))
    faults = [{"channels": "shift"}, {"chanels": ["x"]}, {"repeat": 30}, {"match": {"severity": ["bad"]}}, {"channels": []}]
    for fault in faults:
        with pytest.raises(UserError, match="ovens-at-night"):
            real.routes.put(legal | fault)


def test_what_was_delivered_since_an_instant(stores):
    def sent(key, minute):
        return notice(key, minute, status="sent", delivered_at=at(minute))

    notifications = (sent("old", 1), sent("new", 8), notice("pending", 9), notice("dead", 9, status="dead"))
    assert stores.episodes.insert(replace(episode(0), condition="closed", notifications=notifications))
    assert [n.key for n in stores.episodes.sent_since(at(5))] == ["new"]
    for id, minute in (("b1", 1), ("b2", 8), ("b3", 9)):
        stores.group_messages.insert(group_message(id, minute))
    for id, minute in (("b1", 1), ("b2", 8)):
        first = stores.group_messages.get(id)
        stores.group_messages.replace(first.after(replace(first.notification, status="sent", delivered_at=at(minute))))
    assert [n.key for n in stores.group_messages.sent_since(at(5))] == ["b2"]


def test_a_session_that_was_ended_stays_so_until_it_would_have_ended_by_itself(stores):
    stores.ended_sessions.end("a", at(10), at(0))
    stores.ended_sessions.end("a", at(10), at(1))
    assert (stores.ended_sessions.has_ended("a"), stores.ended_sessions.has_ended("b")) == (True, False)
    stores.ended_sessions.end("b", at(30), at(20))
    assert (stores.ended_sessions.has_ended("a"), stores.ended_sessions.has_ended("b")) == (False, True)
