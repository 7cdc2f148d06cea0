"""What the DAG files know of the definitions: one bounded query, and a last-good copy on disk for when the database is away.

A DAG file is read again every few seconds and once more in each task, so this module imports nothing heavy, and what it
returns is sorted and holds no clock: the same definitions give the same DAGs.
"""

import json
import logging
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymongo
from pydantic import ValidationError
from pymongo.errors import PyMongoError

from alerting.definitions.durations import format_duration, parse_duration
from alerting.definitions.model import ClassifierDefinition

LIMIT_S = 2.0
COPY = "dag_snapshot.json"
_log = logging.getLogger(__name__)
Document = dict[str, Any]

# Newest revision of each definition; the sort can use the unique index on name and number.
NEWEST_ACTIVE: tuple[Document, ...] = (
    {"$sort": {"name": -1, "number": -1}},
    {"$group": {"_id": "$name", "number": {"$first": "$number"}, "definition": {"$first": "$definition"}}},
    {"$match": {"definition.state": "active"}},
)


@dataclass(frozen=True)
class NumberedClassifier:
    """An active classifier definition and the number of the revision it stands in."""

    revision: int
    definition: ClassifierDefinition


@dataclass(frozen=True)
class DagSnapshot:
    """All that decides which DAGs there are: the classifiers by name, and the distinct cadences, shortest first, e.g. `1m`."""

    classifiers: tuple[NumberedClassifier, ...]
    cadences: tuple[str, ...]


class NoDefinitionsKnown(Exception):
    """Neither the database nor a copy of its last answer can be read."""


def read_dag_snapshot(uri: str, database: str, home: Path, limit_s: float = LIMIT_S) -> DagSnapshot:
    """The active definitions, from MongoDB or, if it does not answer within `limit_s`, from the copy in `home`.

    Raises NoDefinitionsKnown when there is no copy either, so that Airflow shows an import error instead of an empty list.
    """
    copy = home / COPY
    try:
        document = _query(uri, database, limit_s)
    except PyMongoError as error:
        _log.warning("definitions are read from the last good copy %s: %s", copy, error)
        document = _last_good(copy, error)
    else:
        _keep(copy, document)
    return _snapshot(document)


def _query(uri: str, database: str, limit_s: float) -> Document:
    """Two aggregations under one limit; with ten thousand threshold definitions the answer is still small."""
    limit_ms = int(limit_s * 1000)
    client: pymongo.MongoClient[Document] = pymongo.MongoClient(uri, serverSelectionTimeoutMS=limit_ms)
    with client, pymongo.timeout(limit_s):
        revisions = client[database]["definition_revisions"]
        classifiers = revisions.aggregate([*NEWEST_ACTIVE, {"$match": {"definition.kind": "classifier"}}, {"$sort": {"_id": 1}}])
        cadences = revisions.aggregate([*NEWEST_ACTIVE, {"$group": {"_id": "$definition.schedule.every"}}])
        return {
            "classifiers": [{"revision": row["number"], "definition": row["definition"]} for row in classifiers],
            "cadences": _by_length(row["_id"] for row in cadences),
        }


def _by_length(durations: Iterable[str]) -> list[str]:
    return [format_duration(length) for length in sorted({parse_duration(text) for text in durations})]


def _last_good(copy: Path, error: PyMongoError) -> Document:
    try:
        document: Document = json.loads(copy.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NoDefinitionsKnown(f"the database does not answer, and there is no earlier answer in {copy}: {error}") from error
    return document


def _keep(copy: Path, document: Document) -> None:
    """Write the copy if it changed, in one step, so that no reader ever sees half of it."""
    text = json.dumps(document, sort_keys=True, indent=1)
    with suppress(FileNotFoundError):
        if copy.read_text(encoding="utf-8") == text:
            return
    copy.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=copy.parent, prefix=f"{COPY}.", delete=False, encoding="utf-8") as draft:
        draft.write(text)
    Path(draft.name).replace(copy)


def _snapshot(document: Document) -> DagSnapshot:
    numbered = (_classifier(row) for row in document["classifiers"])
    return DagSnapshot(tuple(row for row in numbered if row is not None), tuple(document["cadences"]))


def _classifier(row: Document) -> NumberedClassifier | None:
    """None, with a word in the log, for one that an older version of the software wrote and this one no longer understands."""
    try:
        return NumberedClassifier(row["revision"], ClassifierDefinition.model_validate(row["definition"]))
    except ValidationError as error:
        _log.warning("no training DAG for %s revision %s: %s", row["definition"].get("name"), row["revision"], error)
        return None
