"""The shard keys of the data model page: what a sharded cluster demands of indexes and commands."""

import re
from functools import partial
from pathlib import Path

import pytest
from pymongo import MongoClient, monitoring

from alerting.adapters.mongo.indexes import INDEXES
from alerting.adapters.mongo.mongo import MongoStores, connect
from alerting.usecases.evaluation.evaluate import evaluate
from tests.builders import at
from tests.helpers.databases import empty_database
from tests.helpers.late_line import LEVELS, Line
from tests.helpers.notifications import notifications_of

PAGE = (Path(__file__).parents[3] / "docs" / "data-model.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `(\w+)` \| (`.*?`) \| [^|]+ \|$", PAGE.split("## Shard keys")[1], re.M)
KEYS = {name: tuple(re.findall(r"`(\w+)`", fields)) for name, fields in ROWS}
DUE_OUTCOMES = {("episodes", ("outcome_due_at",)), ("episodes", ("_id",))}
OPEN_AFTER_A_CHANGE = ("episodes", ("condition",))  # of all shards, once for each new plan
LATE = (8, 9, 30, 31)
HEAT = {m: 231 if 20 <= m < 26 else 218 if 6 <= m < 34 or m > 44 else 200 for m in range(1, 60)}


class Filters(monitoring.CommandListener):
    """The conditions of all commands on sharded collections, and whether each is an upsert."""

    def __init__(self):
        self.found = []

    def started(self, event):
        command = event.command
        collection = command.get(event.command_name)
        if collection not in KEYS:
            return
        if event.command_name == "find":
            self.add(event, command["filter"])
        elif event.command_name == "aggregate":
            first = dict(command["pipeline"][0])
            self.add(event, first.get("$match", {}))
        elif event.command_name in ("update", "delete"):
            for one in command[f"{event.command_name}s"]:
                self.add(event, one["q"], one.get("upsert", False))
        elif event.command_name not in ("insert", "getMore"):
            self.add(event, command.get("query", {}))

    def succeeded(self, event):
        pass

    def failed(self, event):
        pass

    def add(self, event, condition, upsert=False):
        name = event.command_name
        self.found.append((name, event.command[name], tuple(condition), upsert))


def names_its_shard(collection, fields, upsert):
    key = KEYS[collection]
    return set(key) <= set(fields) if upsert else key[0] in fields


def test_the_page_gives_a_key_to_each_collection_that_grows():
    assert set(KEYS) == {"readings", "scores", "episodes", "notifications"}
    for name, key in KEYS.items():
        command = ", ".join(f"{field}: 1" for field in key)
        assert f'sh.shardCollection("alerting.{name}", {{{command}}})' in PAGE


@pytest.mark.parametrize("name", KEYS)
def test_every_unique_index_begins_with_the_shard_key(name):
    key = KEYS[name]
    unique = [tuple(i.document["key"]) for i in INDEXES[name] if i.document.get("unique")]
    assert all(fields[: len(key)] == key for fields in unique)
    assert unique or key == ("_id",)


def test_every_command_of_an_import_and_an_evaluation_but_due_outcomes_names_its_shard(
    real_server, two_prepared, monkeypatch
):
    filters = Filters()
    monkeypatch.setattr(
        "alerting.adapters.mongo.mongo.MongoClient", partial(MongoClient, event_listeners=[filters])
    )
    database = two_prepared[0].database
    with connect(real_server) as client:
        line = Line(stores=MongoStores(client[database.name]), clear_for="2m", **LEVELS)
        line.feed({m: value for m, value in HEAT.items() if m not in LATE})
        for minute in (5, 20, 40):
            evaluate(line.platform, None, at(minute))
        line.feed({m: HEAT[m] for m in LATE}, 41)
        for minute in (42, 58, 59):
            evaluate(line.platform, None, at(minute))
        commands = list(filters.found)
        assert len(notifications_of(line.platform)) >= 3
    empty_database(database, {"schema"})
    assert {(name, collection) for name, collection, _, _ in commands} >= {
        ("find", "readings"),
        ("find", "episodes"),
        ("update", "episodes"),
        ("update", "notifications"),
    }
    others = [one[1:3] for one in commands if not names_its_shard(*one[1:])]
    assert others.count(OPEN_AFTER_A_CHANGE) == 1, "of six rounds, the first made the plan"
    assert set(others) == DUE_OUTCOMES | {OPEN_AFTER_A_CHANGE}
