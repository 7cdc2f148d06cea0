"""The shard keys of the data model page: what a sharded cluster demands of indexes and commands."""

import re
from pathlib import Path

import pytest

from alerting.adapters.mongo.indexes import INDEXES

PAGE = (Path(__file__).parents[3] / "docs" / "data-model.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `(\w+)` \| (`.*?`) \| [^|]+ \|$", PAGE.split("## Shard keys")[1], re.M)
KEYS = {name: tuple(re.findall(r"`(\w+)`", fields)) for name, fields in ROWS}


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
