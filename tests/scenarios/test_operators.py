"""Mistakes of other alarm systems with what operators do and say."""

import ast
import inspect
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from itertools import product

import pytest

from alerting.adapters.memory.platform import memory_platform
from alerting.adapters.mongo.episodes import episodes, shelves
from alerting.adapters.mongo.episodes.operators import MongoAudit, MongoFeedback
from alerting.adapters.mongo.evaluation import decisions
from alerting.console.app import create_app
from alerting.definitions.assets import EventType
from alerting.definitions.faults import UserError
from alerting.episodes.episode import Feedback
from alerting.operators.actions import RULES, Flags, NotAllowed, isa_state, move, refusal
from alerting.ports import DeliveryFailed, EventRow, ReadingRow
from alerting.usecases.definitions.sync import apply
from alerting.usecases.evaluation.evaluate import evaluate
from alerting.usecases.ingestion.arrivals import add_events, add_readings
from alerting.usecases.notification.deliver import deliver_due, retry
from alerting.usecases.notification.routes import apply_routes
from alerting.usecases.operators import operate, shelving
from alerting.usecases.operators.feedback import give_feedback
from alerting.usecases.operators.operate import Actor
from alerting.usecases.upkeep.maintain import maintain
from tests.builders import at, oven, too_hot
from tests.helpers.notifications import notifications_of
from tests.helpers.stores import audit_entries
from tests.in_memory_platform import HandClock, Mailbox, in_memory_platform, platform_on

ANN = Actor("ann", "operator")
EVE = Actor("eve", "engineer")
ADA = Actor("ada", "admin")


def ovens(count):
    return [oven().model_copy(update={"name": f"oven-{i}"}) for i in range(1, count + 1)]


def plant(on, *channels, count=1, **changes):
    platform = platform_on(on, channels, HandClock())
    platform.assets.store_assets(ovens(count))
    platform.assets.put_event_types([EventType(name="maintenance", duration="lasting")])
    apply(
        platform,
        [too_hot(assets=["oven-*"], stale_after="10h", **changes)],
        "engineer",
        at(0),
        "test",
    )
    return platform


def feed(platform, minute, value, count=1):
    rows = [
        ReadingRow(f"oven-{i}", at(minute), {"temperature": value}) for i in range(1, count + 1)
    ]
    add_readings(platform, rows, at(minute))


def run(platform, minute):
    platform.clock.instant = at(minute)
    evaluate(platform, None, at(minute))
    deliver_due(platform, at(minute))


def said(mailbox):
    return [m.key.split(":")[1].split("-")[0] for m in mailbox.messages]


def the_episode(platform):
    [one] = platform.episodes.find()
    return one


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
    parts = ("episodes", "shelves", "feedback", "audit", "states")
    return replace(platform, **{name: Dying(getattr(platform, name), life) for name in parts})


ACTS = {
    "acknowledge": lambda p, e: operate.acknowledge(p, e, ANN, at(11)),
    "confirm": lambda p, e: operate.confirm(p, e, ANN, at(11), "turned it down"),
    "comment": lambda p, e: operate.comment(p, e, ANN, at(11), "again"),
    "shelve": lambda p, e: shelving.shelve(p, "too-hot", "oven-1", ANN, at(11), at(60), "cleaning"),
    "unshelve": lambda p, e: shelving.unshelve(p, "too-hot", "oven-1", ANN, at(11)),
}


@pytest.mark.parametrize("writes", range(7))
@pytest.mark.parametrize("act", ACTS)
def test_what_operators_said_survives_a_crash_between_any_two_writes(stores, act, writes):
    mail = Mailbox("mail")
    platform = plant(stores, mail)
    feed(platform, 5, 230)
    run(platform, 8)
    id = the_episode(platform).id
    operate.comment(platform, id, EVE, at(9), "before")
    give_feedback(
        platform,
        Feedback(
            episode=id,
            verdict="true_alarm",
            acted=False,
            action=None,
            comment=None,
            actor="eve",
            at=at(9),
        ),
    )
    if act == "unshelve":
        shelving.shelve(platform, "too-hot", "oven-1", EVE, at(9), at(500), "cleaning")
    with suppress(Killed):
        ACTS[act](dying(platform, writes), id)
    before = the_episode(platform)
    assert [f.actor for f in before.feedback if f.verdict] == ["eve"]
    assert "before" in [t.reason for t in before.transitions]
    run(platform, 12)  # whatever was half done is mended by the next round
    if act == "unshelve" and not operate.shelves_now(platform.shelves, at(12)):
        assert said(mail) == ["raised", "unmuted"]
    if act == "shelve" and operate.shelves_now(platform.shelves, at(12)):
        assert the_episode(platform).muted_by is not None
    try:
        ACTS[act](platform, id)  # and doing it again brings it to its end
    except UserError:
        assert act == "unshelve"
    after = the_episode(platform)
    assert set(before.transitions) <= set(after.transitions)
    assert act not in ("acknowledge", "confirm") or after.acknowledged.actor == "ann"


# --- shelves and restarts
# ----------------------------------------------------------------------------------------------


def test_a_shelf_needs_an_end_a_reason_and_a_role_that_may_shelve_that_long(stores):
    platform = plant(stores)

    def shelve(actor=ANN, until=60, reason="cleaning"):
        return shelving.shelve(
            platform,
            "too-hot",
            "oven-1",
            actor,
            at(0),
            None if until is None else at(until),
            reason,
        )

    for refused in ({"until": None}, {"reason": "  "}, {"until": 0}):
        with pytest.raises(UserError):
            shelve(**refused)
    for actor, hours in ((ANN, 9), (EVE, 24 * 8), (ADA, 24 * 31), (Actor("vera", "viewer"), 1)):
        with pytest.raises(NotAllowed):
            shelve(actor, until=60 * hours)
    assert platform.shelves.in_force() == []
    assert shelve().until == at(60)
    assert [s.reason for s in operate.shelves_now(platform.shelves, at(59))] == ["cleaning"]


def test_a_shelf_ends_by_itself_without_a_reading_and_what_is_open_is_announced_once(stores):
    mail = Mailbox("mail")
    platform = plant(stores, mail)
    shelving.shelve(platform, "too-hot", "oven-1", ANN, at(1), at(60), "cleaning")
    feed(platform, 5, 230)
    run(platform, 8)
    assert the_episode(platform).condition == "open"  # judged as ever
    assert mail.messages == []
    assert [t.kind for t in the_episode(platform).transitions] == ["raised", "muted"]
    for minute in (60, 60, 61, 90):
        deliver_due(platform, at(minute))
    # nobody ran while it was time to remind, and a reminder of what is over helps nobody
    assert said(mail) == ["unmuted"]
    because = "You receive this because: its muting has ended: its time is over."
    assert because in mail.messages[-1].text.splitlines()
    assert platform.shelves.for_target("too-hot", "oven-1")[0].end_reason == "its time is over"
    feed(platform, 95, 200)
    run(platform, 96)
    assert said(mail)[-2:] == ["unmuted", "closed"]  # told of it, so told of its end


def test_people_are_reminded_once_before_a_shelf_ends_and_again_only_of_a_new_end(stores):
    mail = Mailbox("mail")
    platform = plant(stores, mail)
    shelving.shelve(platform, "too-hot", "oven-1", ANN, at(0), at(60), "cleaning")
    told = {
        minute: len(mail.messages)
        for minute in range(0, 60, 5)
        if deliver_due(platform, at(minute))
    }
    assert told[40] == 0
    assert told[45] == told[50] == told[55] == 1
    assert "ends soon" in mail.messages[0].subject
    shelving.shelve(platform, "too-hot", "oven-1", ANN, at(55), at(120), "still cleaning")
    for minute in (56, 100, 110, 119):
        deliver_due(platform, at(minute))
    assert said(mail) == ["reminder", "reminder"]


class Refusing(Mailbox):
    """A receiver that refuses for good while `broken`."""

    def deliver(self, message):
        if self.broken:
            raise DeliveryFailed("no such address", permanent=True)
        super().deliver(message)


def test_reminder_was_refused_is_listed_counted_in_sign_of_life_and_goes_out_under_its_old_key(
    stores,
):
    mail = Refusing("mail")
    chief = Mailbox("chief")
    platform = plant(stores, mail, chief)
    shelf = shelving.shelve(platform, "too-hot", "oven-1", ANN, at(0), at(60), "cleaning")
    mail.broken = True
    deliver_due(platform, at(46))
    [letter] = platform.notifications.dead()
    assert (letter.shelf, letter.episode, letter.channel, letter.transition) == (
        shelf.id,
        None,
        "mail",
        "reminder",
    )
    apply_routes(
        platform, [{"name": "alive", "channels": ["chief"], "heartbeat": "1h"}], "ann", at(47)
    )
    deliver_due(platform, at(48))
    assert "undelivered messages 1." in chief.messages[-1].text
    mail.broken = False
    assert retry(platform, letter.key, "ann", at(50)) == 1
    deliver_due(platform, at(51))
    assert [m.key for m in mail.messages] == [letter.key]
    assert platform.notifications.dead() == []


def test_alarm_told_before_it_was_shelved_is_told_once_more_when_shelf_ends_it_is_still_open(
    stores,
):
    mail = Mailbox("mail")
    platform = plant(stores, mail)
    feed(platform, 5, 230)
    run(platform, 8)
    shelving.shelve(platform, "too-hot", "oven-1", ANN, at(9), at(20), "waiting for parts")
    run(platform, 12)
    assert said(mail) == ["raised"]
    shelving.unshelve(platform, "too-hot", "oven-1", ANN, at(13))
    run(platform, 14)
    run(platform, 15)
    assert said(mail) == ["raised", "unmuted"]


def test_who_was_told_of_a_raise_is_told_of_its_end_even_while_it_is_shelved(stores):
    mail = Mailbox("mail")
    platform = plant(stores, mail)
    feed(platform, 5, 230)
    run(platform, 8)
    shelving.shelve(platform, "too-hot", "oven-1", ANN, at(9), at(60), "waiting for parts")
    feed(platform, 10, 200)
    feed(platform, 12, 230)
    feed(platform, 14, 200)
    run(platform, 11)
    run(platform, 13)
    run(platform, 15)
    run(platform, 61)
    assert said(mail) == ["raised", "closed"]
    assert len(platform.episodes.find()) == 2


def test_what_waited_for_a_dead_receiver_while_it_was_shelved_is_not_told_late(stores):
    mail = Mailbox("mail")
    mail.broken = True
    platform = plant(stores, mail)
    feed(platform, 5, 230)
    run(platform, 8)
    shelving.shelve(platform, "too-hot", "oven-1", ANN, at(9), at(60), "cleaning")
    mail.broken = False
    run(platform, 20)
    assert mail.messages == []
    feed(platform, 30, 200)
    run(platform, 31)
    run(platform, 70)
    assert mail.messages == []
    assert {n.status for n in notifications_of(platform)} == {"muted"}


def test_out_of_service_needs_an_engineer_and_mutes_until_it_is_returned(stores):
    mail = Mailbox("mail")
    platform = plant(stores, mail)
    with pytest.raises(NotAllowed):
        shelving.shelve(
            platform, "too-hot", "oven-1", ANN, at(0), None, "sensor removed", "out_of_service"
        )
    shelving.shelve(
        platform, "too-hot", "oven-1", EVE, at(0), None, "sensor removed", "out_of_service"
    )
    with pytest.raises(UserError, match="out of service"):
        shelving.shelve(platform, "too-hot", "oven-1", ANN, at(1), at(60), "cleaning")
    feed(platform, 5, 230)
    run(platform, 8)
    run(platform, 500)
    assert mail.messages == []
    shelving.unshelve(platform, "too-hot", "oven-1", EVE, at(501), kind="out_of_service")
    run(platform, 502)
    assert said(mail) == ["unmuted"]


# --- records of what people said
# --------------------------------------------------------------------------------------------------


def test_nothing_of_a_long_history_is_cut(stores):
    platform = plant(stores)
    feed(platform, 5, 230)
    run(platform, 8)
    id = the_episode(platform).id
    for number in range(300):
        operate.comment(platform, id, ANN, at(9) + timedelta(seconds=number), f"note {number}")
    feed(platform, 20, 200)
    run(platform, 21)
    for day in range(1, 400, 40):
        maintain(platform, at(60 * 24 * day))
    reasons = [t.reason for t in the_episode(platform).transitions]
    assert [f"note {n}" for n in range(300)] == [r for r in reasons if r.startswith("note")]
    assert sum(entry["what"] == "comment" for entry in audit_entries(platform)) == 300


STORES = (MongoAudit, MongoFeedback, episodes, shelves, decisions)


def test_no_store_of_what_people_did_can_delete_or_change_it():
    forbidden = ("delete", "drop", "remove")
    for store in STORES:
        tree = ast.parse(inspect.getsource(store))
        called = {
            n.func.attr
            for n in ast.walk(tree)
            if isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute)
        }
        assert not {c for c in called if c.startswith(forbidden)}, store.__name__
    for store in (MongoAudit, MongoFeedback):
        text = inspect.getsource(store)
        assert "update" not in text
        assert "replace" not in text


def test_of_two_who_acknowledge_the_first_is_kept_and_both_may(stores):
    platform = plant(stores)
    feed(platform, 5, 230)
    run(platform, 8)
    id = the_episode(platform).id
    operate.acknowledge(platform, id, ANN, at(9))
    operate.acknowledge(platform, id, EVE, at(10))
    assert (the_episode(platform).acknowledged.actor, the_episode(platform).acknowledged.at) == (
        "ann",
        at(9),
    )


def test_without_a_secret_nothing_starts():
    with pytest.raises(
        UserError, match="there is no API token, so no person can log in: add at least one"
    ):
        create_app(in_memory_platform(), {})


# --- the table, obeyed by the real thing
# --------------------------------------------------------------------------------


def brought_to(flags):
    """A platform whose only pair stands at these flags, brought there by what people and readings
    do."""
    platform = plant(memory_platform(), suppression={"when": {"event": "maintenance"}})
    if flags.active or not flags.acknowledged:
        feed(platform, 5, 230)
        run(platform, 8)
        if flags.acknowledged:
            operate.acknowledge(platform, the_episode(platform).id, ANN, at(9))
    if not flags.active and not flags.acknowledged:
        feed(platform, 10, 200)
    run(platform, 12)
    if flags.shelved:
        shelving.shelve(platform, "too-hot", "oven-1", ANN, at(13), at(100), "cleaning")
    if flags.out_of_service:
        shelving.shelve(
            platform, "too-hot", "oven-1", EVE, at(13), None, "repair", "out_of_service"
        )
    if flags.suppressed:
        maintain_oven(platform, 13, None)
    return platform


def maintain_oven(platform, start, end):
    event = EventRow("oven-1", "maintenance", at(start), None if end is None else at(end), "test")
    add_events(platform, [event], at(start))


def perform(platform, action, episode_id):
    pair = (platform, "too-hot", "oven-1", EVE, at(20))
    if action in ("raise", "clear"):
        feed(platform, 15, 230 if action == "raise" else 200)
        run(platform, 20)
    elif action == "shelf_ends":
        run(platform, 100)
    elif action == "suppress":
        maintain_oven(platform, 20, None)
    elif action == "suppression_ends":
        maintain_oven(platform, 13, 20)
    elif action in ("shelve", "take_out_of_service"):
        until, kind = (at(100), "shelved") if action == "shelve" else (None, "out_of_service")
        shelving.shelve(*pair, until, "because", kind)
    elif action in ("unshelve", "return_to_service"):
        shelving.unshelve(*pair, kind="shelved" if action == "unshelve" else "out_of_service")
    else:
        words = {"acknowledge": (), "confirm": ("did",), "comment": ("words",), "assign": ("bob",)}[
            action
        ]
        getattr(operate, action)(platform, episode_id, EVE, at(20), *words)


@pytest.mark.parametrize("action", [rule.action for rule in RULES])
@pytest.mark.parametrize(
    "flags", [Flags(*v) for v in product((False, True), repeat=5)], ids=isa_state
)
def test_the_platform_does_in_every_state_what_the_table_says(flags, action):
    platform = brought_to(flags)
    assert operate.target_flags(platform, "too-hot", "oven-1", at(14)) == flags
    found = platform.episodes.find()
    if not found and action in ("acknowledge", "confirm", "comment", "assign"):
        return  # normal, and nothing ever was raised: there is no episode to act on
    if (
        action == "close"
    ):  # the table permits it in every open state; an alarm without a prediction ends by itself
        with pytest.raises(UserError):
            operate.close(platform, found[0].id if found else "none", EVE, at(20), "because")
        return
    asked = refusal(flags, action)
    if asked is not None and action not in (
        "raise",
        "clear",
        "shelf_ends",
        "suppress",
        "suppression_ends",
    ):
        with pytest.raises(UserError):
            perform(platform, action, found[0].id if found else None)
        expected = flags
    else:
        perform(platform, action, found[0].id if found else None)
        expected = flags if asked is not None else move(flags, action)
    assert (
        operate.target_flags(
            platform, "too-hot", "oven-1", at(100) if action == "shelf_ends" else at(21)
        )
        == expected
    )
