"""The data model page names every collection, key and validator of the platform, and no
other."""

import re
from pathlib import Path

from bson.codec_options import CodecOptions

from alerting.adapters.mongo.mongo import MongoClock, MongoStores
from alerting.adapters.mongo.prepare import VALIDATORS
from alerting.demo.stored_line import MongoLines
from alerting.stores.database.documents import SCHEMA, WRITTEN
from alerting.stores.database.indexes import INDEXES

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "data-model.md").read_text(encoding="utf-8")


def rows_of(text):
    """Return the cells of each row of the tables, by the name of its collection."""
    lines = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line] for line in lines]


def name_of(row):
    return re.match(r"`(\w+)`", row[0])[1]


ROWS = {name_of(row): row for row in rows_of(PAGE.partition("## Indexes\n")[0])}


class RecordingDatabase:
    """Records which collections are used."""

    codec_options = CodecOptions()

    def __init__(self):
        self.used = set()

    def __getitem__(self, name):
        self.used.add(name)
        return self

    def with_options(self, *_, **__):
        return self


def fields_of(index):
    return ", ".join(
        f"`{name}`{' ↓' if direction < 0 else ''}"
        for name, direction in index.document["key"].items()
    )


def test_every_collection_of_the_stores_is_described_and_no_other():
    database = RecordingDatabase()
    MongoStores(database)
    MongoClock(database)
    MongoLines(database)
    assert database.used | {SCHEMA, WRITTEN} == INDEXES.keys() == ROWS.keys()
    assert all(len(row) == 3 and all(row) for row in ROWS.values())
    validated = {name for name, row in ROWS.items() if row[0].endswith("(validator)")}
    assert VALIDATORS.keys() == validated


def test_the_key_of_a_collection_is_its_unique_index_or_its_id():
    for name, row in ROWS.items():
        unique = [
            index
            for index in INDEXES[name]
            if index.document.get("unique")
            and not index.document.get("sparse")
            and "partialFilterExpression" not in index.document
        ]
        expected = fields_of(unique[0]) if unique else "`_id`"
        assert row[2] == expected or row[2].startswith((f"{expected} (", f"{expected};")), name


def test_the_page_gives_a_shard_key_to_each_collection_that_grows():
    """A sharded cluster demands that every unique index begins with it."""
    rows = re.findall(
        r"^\| `(\w+)` \| (`.*?`) \| [^|]+ \|$", PAGE.split("## Shard keys")[1], re.MULTILINE
    )
    keys = {name: tuple(re.findall(r"`(\w+)`", fields)) for name, fields in rows}
    assert set(keys) == {"readings", "scores", "episodes", "notifications"}
    for name, key in keys.items():
        command = ", ".join(f"{field}: 1" for field in key)
        assert f'sh.shardCollection("alerting.{name}", {{{command}}})' in PAGE
        unique = [tuple(i.document["key"]) for i in INDEXES[name] if i.document.get("unique")]
        assert all(fields[: len(key)] == key for fields in unique), name
        assert unique or key == ("_id",), name
