"""A database is prepared once, and opening it creates nothing."""

from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest

from alerting.adapters.mongo import prepare as preparation
from alerting.adapters.mongo.mongo import DatabaseDown, open_database
from alerting.adapters.mongo.prepare import (
    SCHEMA_NUMBER,
    NotPrepared,
    prepare_database,
    schema_hash,
)
from alerting.local.prepare import prepare, prepare_home
from alerting.notifications.notification import Content
from alerting.settings.environment import Settings
from alerting.stores.database.documents import EPISODES, SCHEMA
from alerting.stores.database.indexes import INDEXES
from alerting.wiring import open_platform
from alerting.wiring import prepare_database as prepare_by_settings
from tests.helpers.commands import record_commands
from tests.helpers.notifications import notice
from tests.support import free_port, require_real_server


@pytest.fixture
def settings(real_server, tmp_path):
    """A home with a database of its own on the real server, which is prepared."""
    settings = Settings(home=tmp_path, mongodb_uri=real_server, database="to-prepare")
    prepare_home(settings)
    prepare(settings)
    yield settings
    with opened(settings) as database:
        database.client.drop_database("to-prepare")


def opened(settings):
    return open_database(settings.mongodb_uri, settings.database)


def set_version(settings, **document):
    with opened(settings) as database:
        database[SCHEMA].replace_one({"_id": "schema"}, {"_id": "schema", **document}, upsert=True)


def documents_of(settings):
    with open_platform(settings) as platform:
        return platform.definitions.documents()


def test_opening_the_platform_takes_at_most_three_commands_and_computes_no_schema(
    settings, monkeypatch
):
    schema_hash.cache_clear()
    record = record_commands(monkeypatch)
    with open_platform(settings) as platform:
        assert schema_hash.cache_info().currsize == 0
        assert list(record.commands) == [f"find {SCHEMA}"]
        assert platform.definitions.documents() == []
    assert len(record.commands) - 2 <= 3, "opened, asked for documents and their faults, and closed"


def test_an_empty_database_is_refused_with_what_to_do(settings):
    empty = replace(settings, database="to-prepare-later")
    with pytest.raises(NotPrepared, match=r"is not prepared.*run `alerting prepare`"):
        documents_of(empty)
    with opened(empty) as database:
        assert database.list_collection_names() == []


def test_a_database_of_another_version_is_refused_until_it_is_prepared(settings):
    set_version(settings, hash="of an older version", version="0.0.1")
    words = r"another version .*0\.0\.1.* run `alerting prepare`"
    with pytest.raises(NotPrepared, match=words):
        documents_of(settings)
    prepare_by_settings(settings)
    assert documents_of(settings) == []


def test_texts_of_before_get_the_times_of_the_plant_s_zone(settings):
    begun = Content("Running", "Running (2026-01-05T06:00:00+00:00)")
    with open_platform(settings) as platform:
        platform.notifications.add([notice("waiting", 1, content=begun)])
    set_version(settings, number=14)
    prepare_by_settings(replace(settings, timezone=ZoneInfo("Europe/Berlin")))
    with open_platform(settings) as platform:
        (waiting,) = platform.notifications.get(["waiting"])
    assert waiting.content.text == "Running (2026-01-05 07:00 CET)"


def test_an_older_process_works_beside_a_newer_one_that_says_so_and_leaves_its_schema(settings):
    newer = {"hash": "newer", "number": 99, "readable_from_number": SCHEMA_NUMBER}
    set_version(settings, **newer)
    prepare_by_settings(settings)
    assert documents_of(settings) == []
    with opened(settings) as database:
        assert database[SCHEMA].find_one() == {"_id": "schema", **newer}


@pytest.mark.parametrize("step", [documents_of, prepare])
def test_older_code_refuses_a_database_that_it_cannot_read_also_of_the_same_version(
    settings, step, monkeypatch
):
    with monkeypatch.context() as newer:
        newer.setattr(preparation, "SCHEMA_NUMBER", 99)
        newer.setattr(preparation, "READABLE_FROM_NUMBER", 98)
        prepare(settings)
    with pytest.raises(NotPrepared, match=r"newer code of the platform \(schema 99; this code"):
        step(settings)


def test_the_number_of_the_schema_counts_up_with_it():
    known = {
        1: "7188020c548a02a0b92b7ed77db83c32",
        2: "08137b36b503991c1e98123f6ce1944c",
        3: "eff8e830bf84ef90b2d6a15d7ddef0b7",
        4: "f9f7ec61044b0b12af4755b27ecec13f",
        5: "eab47803de050abee0a7d588d83a5ecd",
        6: "b55a8ecd8f0cb72e50e3e712e1620290",
        7: "00ef4c16850a01541e59cba7eef75b1c",
        8: "dbe09e4da4b2b60ea0d2893c2dedbd4c",
        9: "4d39896ae9a0e14b2ee89543cbff1593",
        10: "5edd17bd4bf4980b51715b0594ddfdaa",
        11: "0d4f6f13e7ea3e9c263c342fa8a9f669",
        12: "a6c026348843dd3a1f8471a7440be59b",
        13: "505e69f19cad5955ab656ebbd2edee4d",
        14: "07514264c3875e5718e05c851c8aa416",
        15: "6d196b96b03ab3c886f23856d13e736b",
    }
    assert known[preparation.SCHEMA_NUMBER] == schema_hash(), (
        "the schema has changed: count SCHEMA_NUMBER up, and write its hash here"
    )


def test_a_home_that_nobody_else_uses_prepares_itself(tmp_path):
    require_real_server()
    settings = Settings(home=tmp_path)
    prepare_home(settings)
    assert documents_of(settings) == []


@pytest.fixture
def database(real_server):
    """A new, empty database on the real server."""
    with open_database(real_server, "prepared") as database:
        yield database
        database.client.drop_database("prepared")


def found_in(database):
    return {
        c["name"]: (c["options"], database[c["name"]].index_information())
        for c in database.list_collections()
    }


def test_preparing_makes_everything_that_is_described_and_doing_it_again_changes_nothing(database):
    prepare_database(database)
    first = found_in(database)
    prepare_database(database)
    assert found_in(database) == first
    assert set(first) == set(INDEXES)


def test_an_index_of_an_older_version_is_replaced(database):
    database[EPISODES].create_index([("raised_at", 1)], name="over_unacknowledged")
    database[EPISODES].create_index([("muted_by", 1)], name="mine", sparse=True)
    prepare_database(database)
    made = database[EPISODES].index_information()
    assert made["over_unacknowledged"]["key"] == [("raised_at", -1), ("_id", -1)]
    assert {"muted_by_1", "mine"} & set(made)


def test_a_server_that_does_not_answer_is_not_prepared(tmp_path):
    settings = Settings(home=tmp_path, mongodb_uri=f"mongodb://127.0.0.1:{free_port()}")
    with pytest.raises(DatabaseDown, match="does not answer"):
        prepare(settings)
