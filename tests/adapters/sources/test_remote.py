"""A file of a server is read as the one that was listed, or not at all, and leaves nothing
behind."""

import io
from datetime import UTC, datetime
from pathlib import Path

import pytest

from alerting.adapters.sources.folder import FolderDrop
from alerting.adapters.sources.servers.remote import RemoteDrop
from alerting.definitions.faults import UserError
from alerting.definitions.sources.source import parse_source

pytestmark = pytest.mark.fast

LISTED = datetime(2026, 1, 5, 12, 0, 0, 123_000, UTC)
SOURCE = {
    "name": "lab",
    "kind": "files",
    "url": {"env": "LAB"},
    "pattern": "/b/in/*.csv",
    "done": "/b/done",
    "asset": "oven-1",
}


class Store:
    """An object store like MinIO: its listing has milliseconds, the state of one object only
    seconds."""

    def __init__(self, content, size=None, after=None):
        self.content = content
        self.size = size or len(content)
        self.after = after
        self.moved = []

    def ls(self, _, detail):
        return (
            [{"name": "b/in/a.csv", "type": "file", "size": self.size, "mtime": LISTED}]
            if detail
            else []
        )

    def info(self, _):
        return {"size": self.size, "mtime": self.after or LISTED.replace(microsecond=0)}

    def open(self, *_):
        return io.BytesIO(self.content)

    def exists(self, _):
        return False

    def mv(self, before, after):
        self.moved.append((before, after))


def opened(**store):
    """Return a store, a drop of it, and the file that is listed there."""
    made = Store(b"ts;t\n", **store)
    drop = RemoteDrop("lab", made, FolderDrop(), "", (OSError,))
    return made, drop, *drop.found(parse_source(SOURCE))


def test_a_file_of_a_store_that_lists_milliseconds_is_read_and_moved():
    store, drop, file = opened()
    drop.sha256(file)
    drop.put_away(parse_source(SOURCE), file, None)
    assert store.moved == [("b/in/a.csv", "b/done/a.csv")]
    drop.close()


@pytest.mark.parametrize("change", [{"size": 3}, {"size": 9}, {"after": LISTED.replace(minute=1)}])
def test_a_file_that_changes_while_it_is_fetched_is_not_read_and_its_copy_is_deleted(change):
    _, drop, file = opened(**change)
    with pytest.raises(UserError, match="changed while it was read"):
        drop.sha256(file)
    assert list(Path(drop._copies.name).iterdir()) == []
    drop.close()
