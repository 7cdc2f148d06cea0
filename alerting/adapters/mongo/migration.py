"""Rewriting of documents that earlier code stored, in the form of today: done once, when a database
is prepared.

Each step finds only documents of the earlier form, so a stopped one goes on when it is run again,
and one after the end finds nothing. Nothing else reads an earlier form.
"""

import logging
from contextlib import suppress

from alerting.definitions.faults import DocumentRefused
from alerting.definitions.revisions import definition_hash
from alerting.kinds.registry import parse_revision
from alerting.stores.database.documents import (
    DEFINITIONS,
    NOTIFICATIONS,
    REVISIONS,
    TRAININGS,
    Document,
    MongoDatabase,
    label,
)
from alerting.stores.definitions import note_written

_WITHOUT_EFFECT = ("candidates", "seed")
"""Fields of the kind `anomaly` that left."""
_RETIRED_INDEX = "status_1_delivered_at_1"
_log = logging.getLogger(__name__)


def migrate(database: MongoDatabase) -> None:
    """Rewrite what schema 9 stored, and drop the index that another one replaces. Idempotent."""
    for document in database[DEFINITIONS].find(_with_left_fields("")):
        written = without_left_fields(document)
        name = label(document)
        content = {key: value for key, value in written.items() if key != "_id"}
        note_written(database, DEFINITIONS, {name: content})
        database[DEFINITIONS].replace_one({"_id": document["_id"]}, written)
        _log.info("%s: rewritten without fields that left", name)
    for document in database[REVISIONS].find(_with_left_fields("definition.")):
        database[REVISIONS].replace_one({"_id": document["_id"]}, revision_of_today(document))
    undated = {"status": {"$in": ["dead", "failed"]}, "failed_at": None}
    failed = {"failed_at": "$created_at", "failing_since": "$created_at"}
    dated = database[NOTIFICATIONS].update_many(undated, [{"$set": failed}])
    database[TRAININGS].update_many({}, {"$unset": {"alarm_rule": True}})
    if dated.modified_count:
        _log.info("%d undelivered notifications have an instant now", dated.modified_count)
    if _RETIRED_INDEX in database[NOTIFICATIONS].index_information():
        database[NOTIFICATIONS].drop_index(_RETIRED_INDEX)


def _with_left_fields(path: str) -> Document:
    """Return the query for documents with a field that left. `path`: of the definition in them."""
    present: list[Document] = [{path + name: {"$exists": True}} for name in _WITHOUT_EFFECT]
    return {f"{path}kind": "anomaly", "$or": present}


def without_left_fields(definition: Document) -> Document:
    """Return a document of an anomaly definition without the fields that left."""
    return {name: value for name, value in definition.items() if name not in _WITHOUT_EFFECT}


def revision_of_today(document: Document) -> Document:
    """Return a revision of an anomaly definition without the fields that left, with the hash of
    what remains; its question stays, so that its champion goes on. The hash of a revision that
    cannot be read stays as it is."""
    after = document | {"definition": without_left_fields(document["definition"])}
    with suppress(DocumentRefused):
        read = parse_revision({name: value for name, value in after.items() if name != "_id"})
        after["hash"] = definition_hash(read.definition)
    return after
