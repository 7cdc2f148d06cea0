"""Edits of documents in MongoDB: found once, told from what the platform wrote itself."""

import pytest

from alerting.definitions.asset_documents import EventType
from alerting.stores.definitions import note_written
from tests.builders import at, oven, too_hot
from tests.helpers.streamed_messages import SOURCE

ROUTE = {"name": "shift", "channels": ["mail"]}


@pytest.fixture
def written(real):
    stores = real
    stores.assets.store_assets([oven()])
    stores.assets.put_event_types([EventType(name="stop", duration="lasting")])
    stores.definitions.store_document(too_hot())
    stores.routes.store_document(ROUTE)
    stores.sources.store_document(SOURCE)
    return stores


def edits(stores):
    """Return name, before and after of each edit, and note them all."""
    found = stores.documents.edits()
    for edit in found:
        stores.documents.note(edit)
    return [(edit.name, edit.before, edit.after) for edit in found]


def test_what_the_platform_writes_replaces_and_removes_is_no_edit(written):
    changed = {**ROUTE, "channels": ["pager"]}
    steps = (
        lambda: None,
        lambda: note_written(written.database, "routes", {"shift": changed}),  # and then it dies
        lambda: written.routes.store_document(changed),
        lambda: written.assets.store_assets([oven()]),
        lambda: written.routes.remove("shift"),
        lambda: written.definitions.mark_faulty("too-hot", ["a fault"]),
    )
    found = []
    for step in steps:
        step()
        found.append(edits(written))
    assert found == [[]] * len(steps)


def test_a_changed_added_or_removed_document_is_found_once(written):
    routes = written.database["routes"]
    night = {"name": "night", "channels": ["mail"]}
    routes.update_one({"name": "shift"}, {"$set": {"channels": ["pager"]}})
    found = edits(written)
    routes.insert_one(dict(night))
    found += edits(written)
    routes.delete_one({"name": "night"})
    found += edits(written)
    changed = ("shift", ROUTE, {**ROUTE, "channels": ["pager"]})
    assert found == [changed, ("night", None, night), ("night", night, None)]
    assert edits(written) == []


def test_a_document_without_a_name_and_a_huge_one_stop_no_other(written):
    written.database["event_types"].insert_one(
        {"_id": 7, "duration": "lasting"}, bypass_document_validation=True
    )
    written.database["assets"].update_one(
        {"name": "oven-1"},
        {"$set": {"attributes.note": "x" * 2_000_000}},
        bypass_document_validation=True,
    )
    found = {edit.name: edit for edit in written.documents.edits()}
    assert found["_id 7"].after == {"duration": "lasting"}
    for edit in found.values():
        written.audit.add("MongoDB", "changed", edit.name, at(1), edit.before, edit.after)
        written.documents.note(edit)
    assert edits(written) == []


def test_a_copy_that_someone_has_edited_is_made_anew(real):
    real.routes.store_document(ROUTE)
    copies = real.database["written_documents"]
    found = []
    for junk in (None, 7, "x", [], [7], [{"hash": 3}]):
        copies.update_one({"_id": "routes/shift"}, {"$set": {"versions": junk}})
        found.append([[name for name, _, _ in edits(real)] for _ in range(2)])
    assert found == [[["shift"], []]] * 6
