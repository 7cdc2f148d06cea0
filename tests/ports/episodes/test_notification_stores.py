"""Routes, notifications and sessions: in memory and on a real server."""

from dataclasses import replace
from datetime import timedelta
from unittest.mock import ANY

import pytest

from alerting.definitions.faults import UserError
from alerting.definitions.routes_and_sinks import parse_route, route_document
from alerting.notifications.channel_faults import ChannelFacts, Undelivered
from alerting.notifications.notification import new_message
from alerting.ports import Conflict
from alerting.usecases.data_upkeep import retain
from tests.builders import at
from tests.helpers.contracts import each, having, step
from tests.helpers.episodes import full_episode
from tests.helpers.notifications import notice
from tests.helpers.stores import broken_in_memory
from tests.in_memory_platform import HandClock, platform_on


def old(key, **changes):
    return notice(key, 1, status="sent", delivered_at=at(1), **changes)


def failed(key, since, last, error, **changes):
    return notice(key, since, failing_since=at(since), failed_at=at(last), error=error, **changes)


def on_notifications(method, *given, **named):
    return step(f"notifications.{method}", *given, **named)


def claimed(one, minute, attempts=1):
    """The notification while a process delivers it, until a minute."""
    return replace(one, status="claimed", attempts=attempts, next_attempt_at=at(minute))


SUMMARY = new_message(
    "flood:1", "mail", "+3 more", "text", at(0), "night", asset="oven-1", notifications=["a", "b"]
)
RAISED = notice(
    "a:raised:mail", 1, severity="high", episode="a", asset="oven-1", number=2, postponed_by="quiet"
)
WAITING = [
    notice("first", 1),
    notice("a", 2, transition="closed"),
    notice("b", 2),
    notice("late", 9),
]
DONE = notice("done", 1, status="sent")
DEAD = notice("dead", 1, status="dead")
A = notice("a", 1)
B = notice("b", 1)
C = notice("c", 1)
SENT = replace(A, status="sent", attempts=1, delivered_at=at(3), next_attempt_at=None)
OF_FIRST = [notice("e1:raised:mail", 1, episode="e1"), notice("e1:closed:mail", 2, episode="e1")]
STAYING = [
    notice("waits", 1),
    old("open", episode="e1"),
    old("fault"),
    notice("new", 9, status="sent"),
]
CLAIMS = {
    "a route is kept as it was written, and replaced by its name": [
        step("routes.store_document", {"name": "b", "channels": ["x"]}),
        step("routes.store_document", {"name": "a", "channels": ["z"]}),
        step("routes.store_document", {"name": "b", "channels": ["y"]}),
        step(
            "routes.documents",
            gives=[{"name": "a", "channels": ["z"]}, {"name": "b", "channels": ["y"]}],
        ),
        step("routes.remove", "a", gives=True),
        step("routes.remove", "a", gives=False),
    ],
    "a notification is stored once under its key and comes back the same": [
        on_notifications("add", [SUMMARY, RAISED], gives=2),
        on_notifications("add", [replace(SUMMARY, channel="other"), B], gives=1),
        on_notifications("get", ["flood:1"], gives=[SUMMARY]),
        on_notifications("get", ["a:raised:mail", "x"], gives=[RAISED]),
        on_notifications("add", [], gives=0),
    ],
    "notifications are due in order, and a raise comes before its end": [
        on_notifications("add", [*reversed(WAITING), DONE, DEAD]),
        on_notifications("due", at(5), 10, gives=each(key=["first", "b", "a"])),
        on_notifications("due", at(5), 1, gives=each(key=["first"])),
        on_notifications("waiting", gives=each(key=["first", "a", "b", "late"])),
        on_notifications("waiting", 2, gives=each(key=["first", "a"])),
        on_notifications("dead", gives=[DEAD]),
    ],
    "a claim counts the attempt, and no other process has it until it ends": [
        on_notifications("add", [A, B, C]),
        on_notifications("claim", [A, B], at(2), at(4), gives=[claimed(A, 4), claimed(B, 4)]),
        on_notifications("get", ["a"], gives=[claimed(A, 4)]),
        on_notifications("claim", [A, B, C], at(3), at(5), gives=[claimed(C, 5)]),
        on_notifications(
            "claim",
            [claimed(A, 4), claimed(B, 4)],
            at(4),
            at(6),
            gives=[claimed(A, 6, 2), claimed(B, 6, 2)],
        ),
    ],
    "a change counts only while the notification is as it was read": [
        on_notifications("add", [A]),
        on_notifications("claim", [A], at(1), at(2)),
        on_notifications(
            "change", [(A, replace(A, status="muted", next_attempt_at=None))], gives=0
        ),
        on_notifications("claim", [claimed(A, 2)], at(2), at(4), gives=[claimed(A, 4, 2)]),
        on_notifications(
            "change", [(claimed(A, 2), replace(claimed(A, 2), status="failed"))], gives=0
        ),
        on_notifications("change", [(None, SENT)], gives=1),
        on_notifications(
            "change", [(claimed(A, 4, 2), replace(claimed(A, 4, 2), status="failed"))], gives=0
        ),
        on_notifications("get", ["a"], gives=[SENT]),
    ],
    "notifications of episodes are read together, oldest first": [
        on_notifications("add", [OF_FIRST[1], OF_FIRST[0], notice("e2", 1, episode="e2")]),
        on_notifications("of_episodes", ["e1"], gives={"e1": tuple(OF_FIRST)}),
        on_notifications("of_episodes", ["e1", "e3"], gives=having(e1=tuple(OF_FIRST))),
        on_notifications("of_episodes", ["e3"], gives={"e3": ()}),
    ],
    "finished notifications are forgotten, and those of open matters stay": [
        on_notifications("add", [*STAYING, old("a", episode="e2"), old("b"), DEAD]),
        on_notifications("forget", at(5), ["e1"], ["fault"], gives=3),
        *(on_notifications("get", [one.key], gives=[one]) for one in STAYING),
        on_notifications("get", ["a", "b", "dead"], gives=[]),
    ],
    "what was told of an asset lately, and what was delivered since an instant": [
        on_notifications("add", [notice(f"k{m}", m, asset="oven-1") for m in (1, 3)]),
        on_notifications("add", [notice("k2", 2, asset="oven-2"), DEAD, old("old")]),
        on_notifications("add", [notice("end", 4, asset="oven-1", transition="closed")]),
        on_notifications("add", [replace(old("new"), delivered_at=at(8))]),
        on_notifications("raised_since", "oven-1", at(1), gives=each(key=["k3"])),
        on_notifications("raised_since", "oven-1", at(0), gives=[ANY, ANY]),
        on_notifications("sent_since", at(5), gives=each(key=["new"])),
    ],
    "of each channel what is undelivered, and when it last delivered": [
        on_notifications("channel_facts", at(0), gives=[]),
        on_notifications(
            "add",
            [
                failed("k1", 3, 3, "403", status="dead", channel="chat"),
                failed("k2", 5, 8, "404", status="dead", channel="chat"),
                failed("k3", 6, 9, None, status="pending", channel="chat"),
                failed("k4", 4, 7, "500", status="failed", channel="chat"),
                replace(old("k5"), channel="chat", delivered_at=at(4)),
                replace(old("k6"), channel="mail", delivered_at=at(9)),
                failed("k7", 2, 2, "550", status="dead"),
            ],
        ),
        on_notifications(
            "channel_facts",
            at(5),
            gives=[
                ChannelFacts(
                    "chat",
                    Undelivered(1, at(5), at(8), "404"),
                    Undelivered(2, at(4), at(9), "500"),
                    at(4),
                    at(4),
                ),
                ChannelFacts("mail", None, None, at(9)),
            ],
        ),
        on_notifications(
            "channel_facts",
            at(1),
            gives=[
                having(name="chat", refused=Undelivered(2, at(3), at(8), "404")),
                ChannelFacts("mail", Undelivered(1, at(2), at(2), "550"), None, at(9), None),
            ],
        ),
    ],
    "the episodes with a notification of a severity that failed lately": [
        on_notifications(
            "add",
            [
                failed("a:1", 2, 5, "500", status="failed", severity="critical", episode="a"),
                failed("b:1", 2, 2, "403", status="dead", severity="critical", episode="b"),
                failed("c:1", 5, 5, "403", status="dead", severity="high", episode="c"),
                failed("d:1", 5, 5, "403", status="dead", severity="critical"),
                notice("e:1", 5, severity="critical", episode="e"),
                failed("f:1", 5, 5, "403", status="dead", severity="critical", episode="f"),
                replace(old("f:2", severity="critical", episode="f"), delivered_at=at(6)),
                replace(
                    old("b:2", severity="critical", episode="b"), channel="log", delivered_at=at(6)
                ),
                replace(
                    old("a:2", severity="critical", episode="a"),
                    transition="closed",
                    delivered_at=at(6),
                ),
            ],
        ),
        on_notifications("undelivered_episodes", "critical", at(1), gives={"a", "b"}),
        on_notifications("undelivered_episodes", "critical", at(2), gives={"a"}),
    ],
}


def test_the_stores_of_routes_and_notifications_keep_every_claim(broken):
    assert broken(CLAIMS) == {}


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


def forgotten(platform, as_of, dry=False):
    return next(
        swept.documents for swept in retain(platform, as_of, dry) if swept.kind == "notifications"
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


def test_messages_that_were_given_up_long_ago_cost_nothing_at_each_look(real):
    given_up = {"status": "dead", "severity": "critical"}
    lost = [failed(f"lost-{n}", 1, 2 + n / 300, "403", **given_up) for n in range(300)]
    real.notifications.add([*lost, notice("sent", 3, status="sent", delivered_at=at(4))])
    real.database.command("profile", 2)
    try:
        [facts] = real.notifications.channel_facts(at(500))
        assert real.notifications.undelivered_episodes("critical", at(4)) == set()
    finally:
        real.database.command("profile", 0)
    read = [one.get("keysExamined", 0) for one in real.database["system.profile"].find()]
    real.database["system.profile"].drop()
    assert facts.delivered_at == at(4)
    assert len(read) > 4
    assert sum(read) < 50


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


def test_the_stores_in_memory_keep_this_contract():
    assert broken_in_memory(globals()) == {}
