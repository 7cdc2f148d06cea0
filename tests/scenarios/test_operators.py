"""Mistakes of other alarm systems with what operators do and say."""

import ast
import inspect
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest

from alerting.console.app import create_app
from alerting.definitions.faults import UserError
from alerting.episodes.episode import Feedback
from alerting.operators.actions_and_mutes import Flags, NotAllowed, move
from alerting.ports import EventRow
from alerting.stores.episodes import MongoEpisodes
from alerting.stores.evaluation import MongoDecisions
from alerting.stores.operators import FeedbackLog, MongoAudit, MongoMutes
from alerting.usecases.data_upkeep import maintain
from alerting.usecases.ingestion.arrived_rows import add_events
from alerting.usecases.operators import operate
from alerting.usecases.operators.operate import give_feedback, list_mutes
from tests.builders import at
from tests.helpers.notifications import notifications_of
from tests.helpers.ovens import (
    ANN,
    EVE,
    feed,
    live,
    muted,
    oven_platform,
    receivers_broken,
    run,
    the_episode,
    told,
    unmuted,
)
from tests.helpers.stores import audit_entries
from tests.in_memory_platform import Mailbox, in_memory_platform

# --- crashes
# --------------------------------------------------------------------------------------------------


class Killed(Exception):
    """The process ends here."""


class Dying:
    """A store whose process dies just before its write number `left`."""

    def __init__(self, store, life):
        self._store = store
        self._life = life

    def __getattr__(self, name):
        call = getattr(self._store, name)
        if name not in ("insert", "replace", "append", "add", "advance"):
            return call

        def counted(*args, **kwargs):
            if self._life["left"] == 0:
                raise Killed
            self._life["left"] -= 1
            return call(*args, **kwargs)

        return counted


def dying(platform, writes):
    life = {"left": writes}
    parts = ("episodes", "mutes", "feedback", "audit", "states")
    return replace(platform, **{name: Dying(getattr(platform, name), life) for name in parts})


ACTS = {
    "acknowledge": lambda p, e: operate.acknowledge(p, e, ANN, at(11)),
    "confirm": lambda p, e: operate.confirm(p, e, ANN, at(11), "turned it down"),
    "comment": lambda p, e: operate.comment(p, e, ANN, at(11), "again"),
    "mute": lambda p, e: muted(60)(p, 11),
    "unmute": lambda p, e: unmuted()(p, 11),
}
OF_EVE = {"verdict": "true_alarm", "acted": False, "action": None, "comment": None, "actor": "eve"}
INTACT = {"verdicts": ["eve"], "comment": True, "muted": True, "told": True, "kept": True}


def what_survives(act, writes):
    """What is true after a crash before a write of an act, a round, and the act once more."""
    mail = Mailbox("mail")
    platform = oven_platform(mail)
    live(platform, (5, 230))
    id = the_episode(platform).id
    operate.comment(platform, id, EVE, at(9), "before")
    give_feedback(platform, Feedback(episode=id, at=at(9), **OF_EVE))
    if act == "unmute":
        muted(500, EVE)(platform, 9)
    with suppress(Killed):
        ACTS[act](dying(platform, writes), id)
    before = the_episode(platform)
    run(platform, 12)  # whatever was half done is mended by the next round
    has_mute = bool(list_mutes(platform, at(12)).present)
    is_muted = the_episode(platform).muted_by is not None
    messages = ["raised"] + ["unmuted"] * (act == "unmute" and not has_mute)
    is_told = told(mail) == messages
    ACTS[act](platform, id)  # and doing it again brings it to its end
    after = the_episode(platform)
    by_ann = act not in ("acknowledge", "confirm") or after.acknowledged.actor == "ann"
    return {
        "verdicts": [f.actor for f in before.feedback if f.verdict],
        "comment": "before" in [t.reason for t in before.transitions],
        "muted": is_muted == has_mute,
        "told": is_told,
        "kept": set(before.transitions) <= set(after.transitions) and by_ann,
    }


def test_what_operators_said_survives_a_crash_between_any_two_writes():
    found = {(act, writes): what_survives(act, writes) for act in ACTS for writes in range(7)}
    assert {crash: what for crash, what in found.items() if what != INTACT} == {}


# --- mutes and restarts
# ----------------------------------------------------------------------------------------------

OUT = "out_of_service"
MUTES = {
    "it ends by itself, what is open is announced once, and then its end": (
        [(1, muted(60)), (5, 230), (8,), (60,), (60,), (61,), (90,), (95, 200)],
        [(60, "unmuted"), (95, "closed")],
    ),
    "told before, it is told once more when the mute is taken away": (
        [(5, 230), (9, muted(20)), (12,), (13, unmuted()), (14,), (15,)],
        [(5, "raised"), (13, "unmuted")],
    ),
    "who was told of a raise is told of its end, and of nothing else of that time": (
        [(5, 230), (9, muted(60)), (10, 200), (12, 230), (14, 200), (61,)],
        [(5, "raised"), (10, "closed")],
    ),
    "what waited for a dead receiver meanwhile is not told late": (
        [(5, receivers_broken(True), 230), (9, muted(60), receivers_broken(False)), (20,),
         (30, 200), (70,)],
        [],
    ),
    "out of service mutes until it is returned": (
        [(0, muted(None, EVE, OUT)), (5, 230), (500,), (501, unmuted(EVE, OUT)), (502,)],
        [(501, "unmuted")],
    ),
}  # fmt: skip


def test_who_is_told_of_what_is_muted_and_when():
    found = {}
    statuses = {}
    for name, (story, _) in MUTES.items():
        platform = oven_platform(Mailbox("mail"))
        found[name] = live(platform, *story)
        statuses[name] = {n.status for n in notifications_of(platform)}
    assert found == {name: heard for name, (_, heard) in MUTES.items()}
    assert statuses["what waited for a dead receiver meanwhile is not told late"] == {"muted"}


def test_the_end_of_a_mute_is_the_reason_of_its_message_and_stored():
    mail = Mailbox("mail")
    platform = oven_platform(mail)
    live(platform, (1, muted(60)), (5, 230), (60,))
    assert the_episode(platform).condition == "open"  # judged as ever
    assert [t.kind for t in the_episode(platform).transitions][:2] == ["raised", "muted"]
    because = "You receive this because: its muting has ended: its time is over."
    assert because in mail.messages[-1].text.splitlines()
    assert platform.mutes.overlapping(None, at(99))[0].end_reason == "its time is over"


def test_a_refused_mute_is_not_stored_and_muting_again_moves_the_end():
    platform = oven_platform()
    for act, refused in (
        (muted(0), UserError),
        (muted(60 * 9), NotAllowed),
        (muted(None, kind=OUT), NotAllowed),
    ):
        with pytest.raises(refused):
            act(platform, 0)
    assert platform.mutes.not_ended() == []
    first = muted(60)(platform, 0)
    again = muted(90, EVE)(platform, 5)
    assert (again.id, again.since, again.until, again.actor) == (first.id, at(0), at(90), "eve")
    muted(None, EVE, OUT)(platform, 6)
    assert len(platform.mutes.not_ended()) == 2
    with pytest.raises(UserError, match="out of service"):
        muted(60)(platform, 7)


# --- records of what people said
# --------------------------------------------------------------------------------------------------


def test_nothing_of_a_long_history_is_cut_and_the_first_acknowledgement_is_kept(stores):
    platform = oven_platform(on=stores)
    feed(platform, 5, 230)
    run(platform, 8)
    id = the_episode(platform).id
    operate.acknowledge(platform, id, ANN, at(9))
    operate.acknowledge(platform, id, EVE, at(10))
    for number in range(50):
        operate.comment(platform, id, ANN, at(9) + timedelta(seconds=number), f"note {number}")
    feed(platform, 20, 200)
    run(platform, 21)
    for day in range(1, 400, 40):
        maintain(platform, at(60 * 24 * day))
    kept = the_episode(platform)
    notes = [t.reason for t in kept.transitions if t.reason.startswith("note")]
    assert notes == [f"note {n}" for n in range(50)]
    assert sum(entry["what"] == "comment" for entry in audit_entries(platform)) == 50
    assert (kept.acknowledged.actor, kept.acknowledged.at) == ("ann", at(9))


def test_no_store_of_what_people_did_can_delete_or_change_it():
    called = {
        (store.__name__, node.func.attr)
        for store in (MongoAudit, FeedbackLog, MongoEpisodes, MongoMutes, MongoDecisions)
        for node in ast.walk(ast.parse(inspect.getsource(store)))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    assert {one for one in called if one[1].startswith(("delete", "drop", "remove"))} == set()
    text = inspect.getsource(MongoAudit) + inspect.getsource(FeedbackLog)
    assert [word for word in ("update", "replace") if word in text] == []


def test_without_a_secret_nothing_starts():
    with pytest.raises(
        UserError, match="there is no API token, so no person can log in: add at least one"
    ):
        create_app(in_memory_platform(), {})


# --- the table, obeyed by the real thing
# --------------------------------------------------------------------------------


def of_episode(act, *words):
    return lambda platform, minute: act(
        platform, platform.episodes.find()[0].id, EVE, at(minute), *words
    )


def maintained(start, end=None):
    event = EventRow("oven-1", "maintenance", at(start), None if end is None else at(end), "test")
    return lambda platform, minute: add_events(platform, [event], at(minute))


LIFE = [
    ("raise", 230),
    ("acknowledge", of_episode(operate.acknowledge)),
    ("comment", of_episode(operate.comment, "words")),
    ("assign", of_episode(operate.assign, "bob")),
    ("mute", muted(300)),
    ("unmute", unmuted()),
    ("mute", muted(80)),
    ("mute_ends", None),
    ("take_out_of_service", muted(None, EVE, OUT)),
    ("return_to_service", unmuted(EVE, OUT)),
    ("suppress", maintained(110)),
    ("suppression_ends", maintained(110, 120)),
    ("clear", 200),
    ("raise", 230),
    ("confirm", of_episode(operate.confirm, "did")),
]


def test_the_platform_does_in_each_state_of_a_life_what_the_table_says():
    platform = oven_platform(suppression={"when": {"event": "maintenance"}})
    flags = Flags()
    found = []
    for number, (action, thing) in enumerate(LIFE, 1):
        minute = 10 * number
        if callable(thing):
            thing(platform, minute)
        elif thing is not None:
            feed(platform, minute, thing)
        run(platform, minute)
        flags = move(flags, action)
        newest = platform.episodes.find()[0]
        now = operate.operator_state(platform, newest, at(minute)).flags
        found.append((action, now == flags))
    assert found == [(action, True) for action, _ in LIFE]
    with pytest.raises(UserError):  # an alarm without a prediction ends by itself
        of_episode(operate.close, "because")(platform, 160)
