"""The data model page names every collection, index and validator that the platform creates."""

import re
from pathlib import Path

from alerting.adapters.mongo.data_model_page import COLLECTIONS, data_model_page, fields_of
from alerting.adapters.mongo.demo.clock import MongoClock
from alerting.adapters.mongo.demo.line import MongoLines
from alerting.adapters.mongo.indexes import INDEXES, SCHEMA, VALIDATORS
from alerting.adapters.mongo.mongo import MongoStores

ROOT = Path(__file__).parents[4]
PAGE = ROOT / "docs" / "data-model.md"
DESCRIBED = {name: described for group in COLLECTIONS.values() for name, described in group.items()}


class RecordingDatabase:
    """Records which collections are used."""

    def __init__(self):
        self.used = set()

    def __getitem__(self, name):
        self.used.add(name)
        return self

    def with_options(self, **_):
        return self


def test_the_page_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == data_model_page(), "run: make docs"


def test_every_collection_of_the_stores_is_described_and_no_other():
    database = RecordingDatabase()
    MongoStores(database)
    MongoClock(database)
    MongoLines(database)
    assert database.used | {SCHEMA} == INDEXES.keys() == DESCRIBED.keys()


def test_every_validator_is_named():
    assert VALIDATORS.keys() == {name for name, described in DESCRIBED.items() if described.has_validator}


def test_every_index_is_named():
    page = PAGE.read_text(encoding="utf-8")
    rows = [f"| `{collection}` | {fields_of(index)} |" for collection, indexes in INDEXES.items() for index in indexes]
    assert [row for row in rows if row not in page] == []


def test_every_writer_that_is_named_exists():
    texts = " ".join(described.writers for described in DESCRIBED.values())
    named = re.findall(r"`((?:usecases|adapters|demo|console)/[^`]*)`", texts)
    assert [name for name in named if not (ROOT / "alerting" / name).exists()] == []


def test_the_key_of_a_collection_is_its_unique_index_or_its_id():
    for name, described in DESCRIBED.items():
        unique = [index for index in INDEXES.get(name, []) if index.document.get("unique") and not index.document.get("sparse")]
        expected = fields_of(unique[0]) if unique else "`_id`"
        assert described.key == expected or described.key.startswith((f"{expected} (", f"{expected};")), name
