"""What the code of schema 9 stored has today's form after the preparation."""

import pytest
from pymongo.collection import Collection

from alerting.adapters.mongo.mongo import MongoStores, open_database
from alerting.adapters.mongo.prepare import prepare_database
from alerting.definitions.revisions import definition_fields, definition_hash
from alerting.kinds.registry import parse_definition
from alerting.notifications.channel_faults import Undelivered
from alerting.stores.database.documents import (
    DEFINITIONS,
    NOTIFICATIONS,
    REVISIONS,
    SCHEMA,
    TRAININGS,
    WRITTEN,
)
from alerting.stores.definitions import note_written
from tests.builders import at
from tests.helpers.notifications import notice

DOCUMENT = {"name": "odd", "kind": "anomaly", "assets": ["oven-1"]}
LEFT = {"candidates": ["pca"], "seed": 3}
NO_INSTANTS = {"failed_at": None, "failing_since": None}


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
    unchecked = {"bypass_document_validation": True}
    note_written(stores.database, DEFINITIONS, {"odd": DOCUMENT | LEFT})
    stores.database[DEFINITIONS].insert_one({"_id": 0} | DOCUMENT | LEFT, **unchecked)
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
        stores.database[REVISIONS].insert_one(revision, **unchecked)
    stores.database[TRAININGS].insert_one({"_id": "odd|asked before", "alarm_rule": 3})
    stores.database[NOTIFICATIONS].create_index([("status", 1), ("delivered_at", 1)])
    return definition


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


def stop_before_write(monkeypatch, number):
    """Interrupt the write of this number to any collection."""
    writes = iter(range(1, number))

    def stopping(write):
        def write_or_stop(*args, **kwargs):
            if next(writes, None) is None:
                raise KeyboardInterrupt
            return write(*args, **kwargs)

        return write_or_stop

    for name in ("bulk_write", "replace_one", "update_many", "drop_index"):
        monkeypatch.setattr(Collection, name, stopping(getattr(Collection, name)))


def test_a_migration_that_stops_anywhere_goes_on_and_a_further_one_changes_nothing(
    stores, monkeypatch
):
    ends = []
    for number in range(1, 9):
        for name in (DEFINITIONS, REVISIONS, TRAININGS, WRITTEN):
            stores.database[name].delete_many({})
        stores.database[SCHEMA].update_one({"_id": "schema"}, {"$set": {"number": 9}})
        store_of_before(stores)
        with monkeypatch.context() as stopping:
            stop_before_write(stopping, number)
            with pytest.raises(KeyboardInterrupt):
                prepare_database(stores.database)
        prepare_database(stores.database)
        assert stores.documents.edits() == []
        ends.append(everything(stores))
    assert "status_1_delivered_at_1" not in ends[0][NOTIFICATIONS][1]
    assert ends[1:] == ends[:-1]
    stores.database[SCHEMA].update_one({"_id": "schema"}, {"$set": {"number": 9}})
    prepare_database(stores.database)
    assert everything(stores) == ends[0]
