"""What the code of schemas 9 and 14 stored, or read, has today's form after the preparation."""

from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest
from pymongo.collection import Collection

from alerting.adapters.mongo.mongo import MongoStores, open_database
from alerting.adapters.mongo.prepare import prepare_database
from alerting.definitions.alert_definition import shard_of
from alerting.definitions.revisions import definition_fields, definition_hash
from alerting.definitions.wording.language import translatable
from alerting.episodes.episode import OutcomeRecord, Transition
from alerting.episodes.evaluation_plan import ConditionTable
from alerting.episodes.lifecycle import ConditionState
from alerting.kinds.registry import parse_definition
from alerting.notifications.channel_faults import Undelivered
from alerting.notifications.notification import Content
from alerting.operators.account_rules import AccessToken, Account
from alerting.stores.database.documents import (
    ACCESS_TOKENS,
    ACCOUNTS,
    ASSETS,
    BACKTEST_EPISODES,
    DEFINITIONS,
    EPISODES,
    NOTIFICATIONS,
    PLATFORM_ALERTS,
    REPORTS,
    REVISIONS,
    SCHEMA,
    STATES,
    TRAININGS,
    WRITTEN,
    to_bson,
)
from alerting.stores.definitions import note_written
from alerting.stores.states import MongoStates
from alerting.usecases.access.accounts import change_person, enable_account, find_link
from alerting.usecases.access.devices_and_tokens import find_token_user
from tests.builders import at
from tests.helpers.episodes import episode
from tests.helpers.notifications import notice
from tests.helpers.reports import store_report
from tests.in_memory_platform import in_memory_platform

DOCUMENT = {"name": "odd", "kind": "anomaly", "assets": ["oven-1"]}
LEFT = {"candidates": ["pca"], "seed": 3}
UNCHECKED = {"bypass_document_validation": True}
KEY = ("too-hot", "oven-1")
NO_INSTANTS = {"failed_at": None, "failing_since": None}
BERLIN = ZoneInfo("Europe/Berlin")
STAMP = "2026-01-05T06:00:00+00:00"
OUTCOME_REASONS = (
    translatable("the outcome is known at {when}", when=at(40)),
    translatable("the data end at {when}, before the outcome window", when=at(50)),
)


@pytest.fixture
def stores(real_server):
    """A database with an anomaly definition, notifications and a training, as schema 9 has them."""
    with open_database(real_server, "migrated") as database:
        prepare_database(database)
        database[SCHEMA].update_one({"_id": "schema"}, {"$set": {"number": 9}})
        stores = MongoStores(database)
        yield stores
        database.client.drop_database("migrated")


def store_of_before(stores):
    note_written(stores.database, DEFINITIONS, {"odd": DOCUMENT | LEFT})
    stores.database[DEFINITIONS].insert_one({"_id": 0} | DOCUMENT | LEFT, **UNCHECKED)
    definition = parse_definition(DOCUMENT)
    for number, left in ((1, {"candidates": None, "seed": None}), (2, LEFT)):
        revision = {
            "_id": number,
            "name": "odd",
            "number": number,
            "hash": f"of schema 9, {number}",
            "author": "ada",
            "at": at(number),
            "reason": "",
            "question": "asked before",
            "definition": definition_fields(definition) | left,
        }
        stores.database[REVISIONS].insert_one(revision, **UNCHECKED)
    stores.database[TRAININGS].insert_one({"_id": "odd|asked before", "alarm_rule": 3})
    stores.database[NOTIFICATIONS].create_index([("status", 1), ("delivered_at", 1)])
    return definition


def store_other_forms_of_before(stores):
    """An asset, an account, a token, reports, an episode and states in forms that were read."""
    database = stores.database
    note_written(database, ASSETS, {"oven-1": {"name": "oven-1", "plant": None}})
    edited = {"_id": 0, "name": "oven-1", "plant": None, "title": "edited"}
    database[ASSETS].insert_one(edited, **UNCHECKED)
    stores.accounts.insert(Account("anna", "operator", at(0), "ada", at(0), link="code"))
    stores.access_tokens.insert(
        AccessToken("1" * 64, "line", "anna", "sender", at(1), "ada", at(900))
    )
    for name in (ACCOUNTS, ACCESS_TOKENS):
        database[name].update_many({}, {"$set": {"scope": ["line-1"]}})
    for period, number in (("2026-W01", 0), ("2026-W02", 1)):
        store_report(stores, period=period, announced=False)
        database[REPORTS].update_one(
            {"period": period},
            {"$set": {"revision": number}, "$unset": {"empty": 1, "picture": 1}},
        )
    stores.episodes.insert(episode(0))
    before = [{"at": at(n), "actor": "ann", **one} for n, one in enumerate(TRANSITIONS)]
    database[EPISODES].update_one({}, {"$set": {"transitions": to_bson(before)}})
    nothing = ConditionTable([KEY])
    begun = ConditionTable([KEY])
    begun.write_state(0, ConditionState(at(1), raised_at=at(0), severity="high"))
    MongoStates(database).advance(nothing, begun, every=60_000)
    (shard,) = database[STATES].find()
    database[STATES].delete_one({"_id": shard["_id"]})
    database[STATES].insert_one(shard | {"_id": f"{shard_of(KEY[0]):02}@north/60000"})
    return begun


TRANSITIONS = [
    {"kind": "raised", "reason": "too hot"},
    {"kind": "severity", "reason": "medium → high: above 90"},
    {"kind": "feedback", "reason": "true_alarm and acted"},
    {"kind": "outcome", "reason": "undetermined → hit: ann said so"},
]
COLLECTIONS = (
    *(ACCESS_TOKENS, ACCOUNTS, ASSETS, BACKTEST_EPISODES, DEFINITIONS, EPISODES, NOTIFICATIONS),
    *(PLATFORM_ALERTS, REPORTS, REVISIONS, STATES, TRAININGS, WRITTEN),
)


JUDGED = [episode(n, condition="closed", closed_at=at(30)) for n in (20, 21)]


def outcome(reason):
    return OutcomeRecord("undetermined", reason, None, None, False, False, 1)


def store_outcomes_of_before(stores):
    """Episodes whose outcomes wait for data and lack them, with their instants as texts."""
    for one, reason in zip(JUDGED, OUTCOME_REASONS, strict=True):
        when = reason.values["when"].isoformat()
        record = to_bson(outcome(reason.template.replace("{when}", when)))
        del record["known_at"]
        record["reason_template"] = {"template": reason.template, "values": {"when": when}}
        stores.episodes.insert(one)
        written = {"$set": {"outcome_record": record}}
        stores.database[EPISODES].update_one({"_id": one.id}, written)
        in_backtest = to_bson(one) | {"_id": one.id, "backtest": "of before"}
        stores.database[BACKTEST_EPISODES].insert_one(in_backtest | written["$set"])


def store_texts_of_before(stores):
    """A message that waits, and an open alert of the platform, with stamps in their texts."""
    waiting = notice("waiting", 1, content=Content("Running", f"Running ({STAMP})", {"at": STAMP}))
    stores.notifications.add([waiting])
    alert = {"kind": "late", "subject": "oven-1", "reason": f"since {STAMP}", "opened_at": at(0)}
    stores.database[PLATFORM_ALERTS].insert_one({"_id": 0, "open_key": "late|oven-1"} | alert)


def everything(stores):
    database = stores.database
    return {
        name: (list(database[name].find().sort("_id")), database[name].index_information())
        for name in sorted(database.list_collection_names())
    }


def test_a_definition_loses_its_fields_without_effect_and_keeps_champion_and_revisions(stores):
    definition = store_of_before(stores)
    prepare_database(stores.database)
    assert stores.definitions.documents() == [DOCUMENT]
    assert stores.documents.edits() == [], "the platform has written it"
    history = stores.definitions.histories(["odd"])["odd"]
    assert [(r.number, r.hash, r.question) for r in history] == [
        (number, definition_hash(definition), "asked before") for number in (1, 2)
    ]
    assert history[-1].definition == definition
    (training,) = stores.database[TRAININGS].find()
    assert "alarm_rule" not in training


def test_undelivered_notifications_get_an_instant_from_which_their_channel_is_a_fault(stores):
    dead = notice("dead", 3, status="dead", error="403")
    stores.notifications.add([dead, notice("sent", 1, status="sent", delivered_at=at(2))])
    stores.database[NOTIFICATIONS].update_many({}, {"$unset": NO_INSTANTS})
    assert stores.notifications.channel_facts(at(9)) == []
    prepare_database(stores.database)
    ((first,), (second,)) = (stores.notifications.get([key]) for key in ("dead", "sent"))
    assert (first.failed_at, first.failing_since, second.failed_at) == (at(3), at(3), None)
    (facts,) = stores.notifications.channel_facts(at(9))
    assert facts.refused == Undelivered(1, at(3), at(3), "403")


def test_an_edit_of_before_stays_an_edit_and_a_further_fault_stops_nothing(stores):
    store_of_before(stores)
    definitions = stores.database[DEFINITIONS]
    definitions.update_one({"name": "odd"}, {"$set": {"message": "by hand"}}, **UNCHECKED)
    faulty = {"name": "faulty", "kind": "anomaly", "assets": 7, "seed": 3}
    definitions.insert_one({"_id": 1} | faulty, **UNCHECKED)
    note_written(stores.database, DEFINITIONS, {"faulty": faulty})
    revisions = stores.database[REVISIONS]
    revisions.update_one({"number": 1}, {"$set": {"definition.assets": 7}}, **UNCHECKED)
    prepare_database(stores.database)
    del faulty["seed"]
    assert stores.definitions.documents() == [faulty, DOCUMENT | {"message": "by hand"}]
    (edit,) = stores.documents.edits()
    assert (edit.name, edit.after) == ("odd", DOCUMENT | {"message": "by hand"})
    assert [one.number for one in stores.definitions.revisions("odd")] == [2]


def test_an_asset_loses_the_field_of_its_plant(stores):
    document = {"name": "oven-1", "plant": "north"}
    note_written(stores.database, ASSETS, {"oven-1": document})
    stores.database[ASSETS].insert_one(dict(document), **UNCHECKED)
    prepare_database(stores.database)
    assert stores.assets.get("oven-1").name == "oven-1"
    assert stores.documents.edits() == [], "the platform has written it"


def test_an_account_that_was_limited_to_assets_stands_still_until_it_is_enabled(stores):
    store_other_forms_of_before(stores)
    bob = Account("bob", "viewer", at(0), "ada", at(0), disabled_at=at(5))
    stores.accounts.insert(bob)
    stores.database[ACCOUNTS].update_one({"_id": "bob"}, {"$set": {"scope": []}})
    stores.accounts.insert(Account("eve", "viewer", at(0), "ada", at(0)))
    prepare_database(stores.database)
    disabled = {account.id: account.disabled_at for account in stores.accounts.all()}
    assert disabled == {"anna": at(0), "bob": at(5), "eve": None}
    platform = replace(
        in_memory_platform(),
        accounts=stores.accounts,
        access_tokens=stores.access_tokens,
        audit=stores.audit,
    )
    assert find_link(platform, "code", at(1)) is None
    (limited,) = stores.access_tokens.all()
    assert limited.ends_at == limited.made_at
    assert find_token_user(platform, limited.id, at(1)) is None
    change_person(platform, "anna", "ada", at(1), "viewer")  # another change gives nothing back
    assert stores.accounts.get("anna").disabled_at is not None
    enable_account(platform, "anna", "ada", at(2))
    assert stores.accounts.get("anna").disabled_at is None
    assert find_token_user(platform, limited.id, at(3)) is None


def test_reports_of_0_1_0_are_shown_unless_there_was_nothing_to_report(stores):
    store_other_forms_of_before(stores)
    prepare_database(stores.database)
    (shown,) = stores.reports.unannounced(10)
    assert shown.period == "2026-W02"
    assert stores.reports.content(shown.id).picture == b""
    assert [one.empty for one in stores.reports.for_definition("too-hot")].count(True) == 1


def test_transitions_get_the_severity_and_the_outcome_that_their_sentences_say(stores):
    store_other_forms_of_before(stores)
    prepare_database(stores.database)
    transitions = stores.episodes.get(episode(0).id).transitions
    assert transitions == (
        Transition("raised", at(0), "ann", "too hot"),
        Transition("severity", at(1), "ann", "medium → high: above 90", "high"),
        Transition("feedback", at(2), "ann", "right and acted"),
        Transition("outcome", at(3), "ann", "undetermined → hit: ann said so", None, "hit"),
    )
    assert [one.cause for one in transitions] == ["", "above 90", "", "ann said so"]


def test_states_of_a_plant_that_was_one_of_several_go_on(stores):
    begun = store_other_forms_of_before(stores)
    prepare_database(stores.database)
    states = MongoStates(stores.database)
    found = states.load_many([KEY])
    assert found.state(0) == begun.state(0)
    after = ConditionTable([KEY])
    after.write_state(0, ConditionState(at(2)))
    states.advance(found, after, every=60_000)
    assert MongoStates(stores.database).load_many([KEY]).state(0) == ConditionState(at(2))


def test_an_outcome_that_waits_for_data_says_when_they_will_show_it(stores):
    store_outcomes_of_before(stores)
    prepare_database(stores.database, BERLIN)
    waits, lacks = (outcome(reason) for reason in OUTCOME_REASONS)
    expected = [replace(waits, known_at=at(40)), lacks]
    for episodes in (
        [stores.episodes.get(one.id) for one in JUDGED],
        stores.backtests.episodes("of before"),
    ):
        records = [one.outcome_record for one in episodes]
        assert records == expected, "to determine it again is no change"
        assert [one.reason.values for one in records] == [{"when": at(40)}, {"when": at(50)}]


def test_an_outcome_that_is_determined_meanwhile_stays(stores, monkeypatch):
    store_outcomes_of_before(stores)
    determined = replace(outcome("it occurred"), outcome="hit", occurred=True)
    write = Collection.bulk_write

    def write_later(collection, *args, **kwargs):
        change = {"$set": {"outcome_record": to_bson(determined)}}
        collection.update_one({"_id": JUDGED[0].id}, change)
        return write(collection, *args, **kwargs)

    monkeypatch.setattr(Collection, "bulk_write", write_later)
    prepare_database(stores.database)
    assert stores.episodes.get(JUDGED[0].id).outcome_record == determined


def test_outcomes_with_an_unreadable_instant_stay_and_stop_no_other(stores):
    store_outcomes_of_before(stores)
    when = "outcome_record.reason_template.values.when"
    damaged = {"_id": JUDGED[0].id}
    stores.database[EPISODES].update_one(damaged, {"$set": {when: "2026-13-05T06:00:00+00:00"}})
    before = stores.database[EPISODES].find_one(damaged)
    prepare_database(stores.database)
    assert stores.database[EPISODES].find_one(damaged) == before
    assert stores.episodes.get(JUDGED[1].id).outcome_record == outcome(OUTCOME_REASONS[1])


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (f"Running ({STAMP}): 2 open.", "Running (2026-01-05 07:00 CET): 2 open."),
        (f"{STAMP}: Too hot", "2026-01-05 07:00 CET: Too hot"),
        (
            f"{STAMP} bis 2026-07-05T06:30:05.5Z",
            "2026-01-05 07:00 CET bis 2026-07-05 08:30:05 CEST",
        ),
        (f"the cell '{STAMP}' of http://a/?at={STAMP}", None),
        ("2026-13-05T06:00:00+00:00 and 2026-01-05T06:00", None),
        ("until 9999-12-31T23:30:00+00:00", "until 9999-12-31 23:30 UTC"),
    ],
)
def test_messages_that_are_still_to_be_sent_get_the_times_of_the_plant(stores, before, after):
    statuses = ("pending", "claimed", "failed", "dead", "sent")
    content = Content(before, f"{before}\n{before}", {"at": STAMP})
    made = [notice(status, 1, status=status, content=content) for status in statuses]
    stores.notifications.add(made)
    prepare_database(stores.database, BERLIN)
    said = after or before
    changed = Content(said, f"{said}\n{said}", {"at": STAMP})
    stored = {one.status: one for (one,) in (stores.notifications.get([s]) for s in statuses)}
    assert {status: one.content for status, one in stored.items()} == {
        **dict.fromkeys(statuses, changed),
        "sent": content,
    }


def test_open_alerts_of_the_platform_get_the_times_of_the_plant(stores):
    alerts = stores.platform_alerts
    alerts.report("late", "oven-1", f"no reading since {STAMP}", at(0))
    alerts.report("late", "oven-2", translatable("no reading since {at}", at=at(0)), at(0))
    alerts.report("late", "oven-3", f"no reading since {STAMP}", at(0))
    alerts.resolve("late", "oven-3", at(1))
    prepare_database(stores.database, BERLIN)
    first, second = alerts.open()
    assert first.reason == "no reading since 2026-01-05 07:00 CET"
    assert second.reason.values == {"at": at(0)}
    assert STAMP in alerts.resolved_since(at(0))[0].reason, "it is over"


def stop_before_write(monkeypatch, number):
    """Interrupt the write of this number to any collection."""
    writes = iter(range(1, number))

    def stopping(write):
        def write_or_stop(*args, **kwargs):
            if next(writes, None) is None:
                raise KeyboardInterrupt
            return write(*args, **kwargs)

        return write_or_stop

    for name in (
        *("bulk_write", "replace_one", "update_one", "update_many"),
        *("delete_one", "drop_index"),
    ):
        monkeypatch.setattr(Collection, name, stopping(getattr(Collection, name)))


def test_a_migration_that_stops_anywhere_goes_on_and_a_further_one_changes_nothing(
    stores, monkeypatch
):
    ends = []
    for number in range(1, 20):
        for name in COLLECTIONS:
            stores.database[name].delete_many({})
        stores.database[SCHEMA].update_one({"_id": "schema"}, {"$set": {"number": 9}})
        store_of_before(stores)
        store_other_forms_of_before(stores)
        store_outcomes_of_before(stores)
        store_texts_of_before(stores)
        with monkeypatch.context() as stopping:
            stop_before_write(stopping, number)
            with pytest.raises(KeyboardInterrupt):
                prepare_database(stores.database)
        prepare_database(stores.database)
        assert [edit.name for edit in stores.documents.edits()] == ["oven-1"]
        ends.append(everything(stores))
    assert "status_1_delivered_at_1" not in ends[0][NOTIFICATIONS][1]
    assert ends[1:] == ends[:-1]
    stores.database[SCHEMA].update_one({"_id": "schema"}, {"$set": {"number": 9}})
    prepare_database(stores.database)
    assert everything(stores) == ends[0]
