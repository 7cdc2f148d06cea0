"""Things that left are named where they are written, on the upgrade page and at the start."""

import json
from pathlib import Path

import pytest

from alerting.adapters.mongo import prepare
from alerting.definitions import removed_features
from alerting.definitions.asset_documents import parse_asset
from alerting.definitions.faults import DocumentRefused
from alerting.definitions.removed_features import REMOVED_IN_0_2_0, Removed, find_removed
from alerting.definitions.routes_and_sinks import parse_route, parse_sink, sink_kinds
from alerting.definitions.sources import parse_source, source_kinds
from alerting.kinds.registry import parse_definition
from alerting.local.up import read_what_left
from tests.builders import too_hot
from tests.helpers.stores import real  # noqa: F401 - a fixture
from tools.pages.upgrade import upgrade_page

PAGE = Path(__file__).parents[2] / "docs" / "upgrade.md"
PARSERS = {"sink": parse_sink, "source": parse_source}
GONE = (
    Removed("field", "definition.colour", "tags"),
    Removed("field", "sink.match.colour", "definitions"),
    Removed("field", "asset.colour", "attributes"),
    Removed("field", "asset.variables.*.colour", "attributes"),
    Removed("field", "route.colour", "severity"),
    Removed("collection", "colours", "nothing"),
    Removed("setting", "ALERTING_COLOUR", "nothing"),
)


@pytest.fixture
def gone(monkeypatch):
    monkeypatch.setattr(removed_features, "REMOVED_IN_0_2_0", (*REMOVED_IN_0_2_0, *GONE))


@pytest.mark.parametrize(
    "one", [o for o in REMOVED_IN_0_2_0 if o.sort.startswith("kind of s")], ids=str
)
def test_a_kind_that_left_is_refused_with_what_does_it_now(one):
    parse = PARSERS[one.sort.removeprefix("kind of ")]
    with pytest.raises(DocumentRefused) as refusal:
        parse({"name": "old", "kind": one.name, "url": {"env": "OLD_URL"}})
    (fault,) = refusal.value.faults
    assert fault.hint == f"left in 0.2.0: {one.instead}"
    assert one.name not in (sink_kinds() if parse is parse_sink else source_kinds())


def test_a_field_that_left_is_refused_with_what_does_it_now(gone):
    def hint(parse, document):
        with pytest.raises(DocumentRefused) as refusal:
            parse(document)
        return refusal.value.faults[0].hint

    asset = {"name": "oven-1", "colour": "red"}
    route = {"name": "night", "channels": ["mail"], "colour": "red"}
    assert hint(parse_asset, asset) == "left in 0.2.0: attributes"
    assert hint(parse_route, route) == "left in 0.2.0: severity"
    hot = {**too_hot(), "colour": "red"}
    assert hint(parse_definition, hot) == "left in 0.2.0: tags"
    scada = {"name": "s", "kind": "mqtt", "url": {"env": "A_URL"}, "match": {"colour": "red"}}
    assert hint(parse_sink, scada) == "left in 0.2.0: definitions"


def test_every_entry_is_found_by_its_name_and_says_what_to_do():
    assert [find_removed(one.sort, one.name) for one in REMOVED_IN_0_2_0] == list(REMOVED_IN_0_2_0)
    assert all(one.instead for one in REMOVED_IN_0_2_0)


def test_the_upgrade_page_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == upgrade_page(), "run: make docs"


def test_the_next_start_names_what_a_home_has_of_it_and_deletes_nothing(real, gone, monkeypatch):  # noqa: F811 - a fixture
    database = real.database
    stored = {
        "sinks": [
            {"name": "old", "kind": "nats", "url": {"env": "A_URL"}, "topic": "a"},
            {"name": "scada", "kind": "mqtt", "url": {"env": "A_URL"}, "match": {"colour": "red"}},
        ],
        "sources": [{"name": "old", "kind": "kafka", "url": {"env": "A_URL"}, "topic": "a"}],
        "assets": [{"name": "oven-1", "variables": {"t": {"colour": "red"}}}],
        "colours": [{"name": "red"}],
    }
    for name, documents in stored.items():
        for document in documents:
            found = {"insert": name, "documents": [document], "bypassDocumentValidation": True}
            database.command(found)
    said = prepare.find_left_parts(database, {"ALERTING_COLOUR": "red", "ALERTING_HOME": "/x"})
    assert [line.partition(" left in")[0] for line in said] == [
        "asset oven-1: the field variables.t.colour",
        "sink old: the kind of sink nats",
        "sink scada: the field match.colour",
        "source old: the kind of source kafka",
        "the collection colours",
        "the setting ALERTING_COLOUR",
    ]
    assert all(" left in 0.2.0: " in line for line in said)
    assert {name: database[name].count_documents({}) for name in stored} == {
        name: len(documents) for name, documents in stored.items()
    }
    monkeypatch.setitem(prepare.KINDS, "sink", lambda: {"nats": None})  # a package has brought it
    assert not any("kind of sink nats" in line for line in prepare.find_left_parts(database, ()))
    for name in stored:
        database[name].delete_many({})


def test_up_says_what_the_preparation_found(tmp_path):
    log = tmp_path / "prepare.log"
    log.write_text(f"{json.dumps(['sink old: …'])}\ncollections, validators and indexes\n")
    assert read_what_left(log) == ["sink old: …"]
