"""Preparation of a database: collections, validators, indexes, and the document that says which of
them were made.

Only `alerting prepare` and `alerting up` change the schema of a database. A program that opens a
database compares this document with the hash of the schema that it needs. The hash is computed from
the same constants that the preparation uses, so no change can be forgotten. Computing it takes half
a second, so a program first compares the hash of its own code: the same code needs the same schema.
"""

import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import UTC, tzinfo
from functools import cache, partial
from importlib.metadata import version
from typing import get_args

from pydantic import VERSION as PYDANTIC
from pymongo import IndexModel
from pymongo.errors import DuplicateKeyError, OperationFailure

from alerting.adapters.mongo.migration import migrate
from alerting.definitions.asset_documents import Asset, EventType
from alerting.definitions.faults import UserError
from alerting.definitions.routes_and_sinks import SINK_UNION, Route
from alerting.definitions.sources import SOURCE_UNION
from alerting.kinds.registry import (
    mongo_model_validator,
    mongo_revision_validator,
    mongo_union_validator,
    mongo_validator,
)
from alerting.readings.interval_labels import (
    LONGEST_LABEL_REASON,
    MOST_LABELLED_VARIABLES,
    LabelKind,
)
from alerting.settings.shipped_files import PACKAGE
from alerting.stores.database.documents import (
    ASSETS,
    BACKTEST_FILES,
    DEFINITIONS,
    EVENT_TYPES,
    LABELS,
    REVISIONS,
    ROUTES,
    SCHEMA,
    SINKS,
    SOURCE_FILES,
    SOURCES,
    Document,
    MongoCollection,
    MongoDatabase,
)
from alerting.stores.database.indexes import INDEXES

SCHEMA_NUMBER = 15
"""Counts up with every change of a collection, a validator, an index or a stored form: code with a
smaller number refuses the database, also between two releases."""
READABLE_FROM_NUMBER = 11
"""The smallest number whose code may work on a database that this one has prepared. Code that
writes documents in a form that older code misreads names itself."""
_ID = "schema"
_KEYS: Document = {"_id": {"$regex": "^key:"}}
_TEXT: Document = {"bsonType": "string", "minLength": 1, "maxLength": 1000}
_PATH: Document = {
    "bsonType": "string",
    "minLength": 1,
    "maxLength": 5000,
    "pattern": r"^[^\x00]+$",
}
_HASH: Document = {"bsonType": "string", "pattern": "^[0-9a-f]{64}$"}
_COUNT: Document = {"bsonType": ["int", "long"], "minimum": 0}
_INSTANT: Document = {"bsonType": "date"}


class NotPrepared(UserError):
    """Error: the database lacks collections, validators or indexes; opening has changed nothing."""


@cache
def schema_hash() -> str:
    """Return a hash of all collections, validators and indexes that this version needs."""
    indexes = {
        name: [index.document for index in of_collection] for name, of_collection in INDEXES.items()
    }
    validators = {name: _make_validator(validator) for name, validator in VALIDATORS.items()}
    # unsorted: the order of an index's fields counts
    ordered = json.dumps([indexes, validators], default=str)
    return hashlib.sha256(ordered.encode()).hexdigest()[:32]


@cache
def code_hash() -> str:
    """Return a hash of the source files of this package, its version, and the version of the
    library that makes validators from them."""
    digest = hashlib.sha256(f"{version('alerting')} {PYDANTIC}".encode())
    for file in sorted(PACKAGE.rglob("*.py")):
        digest.update(f"\0{file.relative_to(PACKAGE)}\0".encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()[:32]


def check_prepared(database: MongoDatabase) -> None:
    """Check that a version with the same schema prepared the database, or a newer version whose
    documents this version can read, as during an upgrade.

    Raises NotPrepared if no version, or another one, prepared it.
    """
    stored = database[SCHEMA].find_one({"_id": _ID})
    if stored is None:
        raise NotPrepared(
            f"the database {database.name!r} is not prepared, so it has no collections yet: run "
            "`alerting prepare`, "
            "then this again"
        )
    _refuse_newer(database.name, stored)
    number = _number(stored)
    if number < SCHEMA_NUMBER or (
        number == SCHEMA_NUMBER
        and stored.get("code") != code_hash()
        and stored.get("hash") != schema_hash()
    ):
        raise NotPrepared(
            f"the database {database.name!r} was prepared by another version of the platform "
            f"(alerting {stored.get('version')}): "
            "run `alerting prepare` with this one, then this again"
        )


def _number(stored: Document) -> int:
    return int(stored.get("number", 0))


def _refuse_newer(name: str, stored: Document) -> None:
    """Raise NotPrepared for a database of newer code that writes documents which this code cannot
    read."""
    number = _number(stored)
    if number > SCHEMA_NUMBER and int(stored.get("readable_from_number", number)) > SCHEMA_NUMBER:
        raise NotPrepared(
            f"the database {name!r} was prepared by newer code of the platform (schema {number}; "
            f"this code knows {SCHEMA_NUMBER}): install that code again, then run this again"
        )


def prepare_database(database: MongoDatabase, zone: tzinfo = UTC) -> None:
    """Create missing collections and indexes, and update validators; the schema document is written
    last.

    Idempotent, also when two processes do it at once. Documents of an earlier form are rewritten,
    instants in finished texts in the `zone` of the plant; the others stay as they are and are
    validated when they are read. A database that newer code has prepared stays as it is. Raises
    NotPrepared if this code cannot read it.
    """
    stored = database[SCHEMA].find_one({"_id": _ID}) or {}
    _refuse_newer(database.name, stored)
    number = _number(stored)
    if number > SCHEMA_NUMBER:
        return
    create_collections(database)
    create_indexes(database)
    if number < SCHEMA_NUMBER:
        migrate(database, zone)
    made = {
        "_id": _ID,
        "hash": schema_hash(),
        "code": code_hash(),
        "version": version("alerting"),
        "number": SCHEMA_NUMBER,
        "readable_from_number": READABLE_FROM_NUMBER,
    }
    database[SCHEMA].replace_one({"_id": _ID}, made, upsert=True)


def known_keys(database: MongoDatabase) -> set[str]:
    """Return the names of the keys whose hashes the database stores."""
    return {document["_id"].partition(":")[2] for document in database[SCHEMA].find(_KEYS)}


def check_key(database: MongoDatabase, name: str, key: bytes, named: str) -> None:
    """Compare a key with the hash of the key of this name that the database was first used with.
    `named`: the file and its variable, for the message. Raises UserError for another key."""
    made = {"_id": f"key:{name}", "hash": hmac.new(key, name.encode(), "sha256").hexdigest()}
    stored = database[SCHEMA].find_one({"_id": made["_id"]})
    if stored is None:
        try:
            database[SCHEMA].insert_one(made)
        except DuplicateKeyError:
            stored = database[SCHEMA].find_one({"_id": made["_id"]})
    if stored is not None and stored["hash"] != made["hash"]:
        raise UserError(
            f"{named} is not the key that the other hosts of the database {database.name!r} use: "
            "put theirs there; or, if it was replaced on all of them, run "
            "`alerting prepare --new-keys`"
        )


def forget_keys(database: MongoDatabase) -> None:
    """Remove the hashes of all keys: the next process stores the hashes of its own keys."""
    database[SCHEMA].delete_many(_KEYS)


def create_collections(database: MongoDatabase) -> None:
    """Create missing collections; the server then refuses malformed documents that people edit."""
    stored = {
        collection["name"]: collection.get("options", {})
        for collection in database.list_collections()
    }
    for name in INDEXES:
        options = _options(name)
        if name not in stored and _create(database, name, options):
            continue
        if {key: stored.get(name, {}).get(key) for key in options} != options:
            database.command("collMod", name, **options)


def create_indexes(database: MongoDatabase) -> None:
    """Create missing indexes. An existing index of the same name or fields with other options is
    replaced."""
    for name, indexes in INDEXES.items():
        if indexes:
            try:
                database[name].create_indexes(indexes)
            except OperationFailure as error:
                if error.code not in (85, 86):  # IndexOptionsConflict and IndexKeySpecsConflict
                    raise
                _replace_indexes(database[name], indexes)


def _replace_indexes(collection: MongoCollection, indexes: list[IndexModel]) -> None:
    """Drop the indexes with the name or the fields of a wanted one, and create the wanted ones."""
    names = {index.document["name"] for index in indexes}
    fields = [list(index.document["key"].items()) for index in indexes]
    for name, stored in collection.index_information().items():
        if name != "_id_" and (name in names or stored["key"] in fields):
            collection.drop_index(name)
    collection.create_indexes(indexes)


@cache
def _make_validator(validator: Callable[[], Document]) -> Document:
    """Return the validator that a function makes, made once: making all validators takes half a
    second."""
    return validator()


def _options(name: str) -> Document:
    if name not in VALIDATORS:
        return {}
    return {
        "validator": _make_validator(VALIDATORS[name]),
        "validationLevel": "strict",
        "validationAction": "error",
    }


def _create(database: MongoDatabase, name: str, options: Document) -> bool:
    """Create a collection; return False if another process has created it meanwhile."""
    try:
        database.create_collection(name, check_exists=False, **options)
    except OperationFailure as error:
        if error.code != 48:  # NamespaceExists
            raise
        return False
    return True


def source_file_validator() -> Document:
    """Return the validator of the files that sources have read."""
    return _validator(
        source=_TEXT,
        path=_PATH,
        size=_COUNT,
        sha256=_TEXT,
        modified={"bsonType": ["int", "long"]},
        at=_INSTANT,
    )


def backtest_file_validator() -> Document:
    """Return the validator of pieces of files of backtests."""
    name = {
        "bsonType": "string",
        "maxLength": 500,
        "pattern": r"^(?!/)(?!(.*/)?\.\.?(/|$))[^\x00]+$",
    }
    return _validator(
        backtest=_TEXT, segment=_COUNT, name=name, piece=_COUNT, data={"bsonType": "binData"}
    )


def label_validator() -> Document:
    """Return the validator of labels of times, which permits no other fields."""
    text = {"bsonType": "string", "minLength": 1}
    validator = _validator(
        _id={"bsonType": "string", "pattern": "^[0-9a-f]{16}$"},
        asset=text,
        variables={
            "bsonType": "array",
            "items": text,
            "maxItems": MOST_LABELLED_VARIABLES,
            "uniqueItems": True,
        },
        start=_INSTANT,
        end=_INSTANT,
        kind={"enum": list(get_args(LabelKind))},
        reason={**text, "maxLength": LONGEST_LABEL_REASON},
        author=text,
        made_at=_INSTANT,
        undone_at={"bsonType": ["date", "null"]},
        undone_by={"bsonType": ["string", "null"]},
    )
    validator["$jsonSchema"]["additionalProperties"] = False
    return validator


def _validator(**properties: Document) -> Document:
    return {
        "$jsonSchema": {
            "bsonType": "object",
            "required": list(properties),
            "properties": properties,
        }
    }


VALIDATORS: dict[str, Callable[[], Document]] = {
    DEFINITIONS: mongo_validator,
    REVISIONS: mongo_revision_validator,
    ASSETS: partial(mongo_model_validator, Asset),
    EVENT_TYPES: partial(mongo_model_validator, EventType),
    ROUTES: partial(mongo_model_validator, Route),
    SOURCES: lambda: mongo_union_validator(SOURCE_UNION.adapter),
    SINKS: lambda: mongo_union_validator(SINK_UNION.adapter),
    SOURCE_FILES: source_file_validator,
    BACKTEST_FILES: backtest_file_validator,
    LABELS: label_validator,
}
"""The function that makes the validator of each collection that people may edit, or whose documents
name a file."""
