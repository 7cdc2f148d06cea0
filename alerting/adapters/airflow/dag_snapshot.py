"""Reading of the active definitions for the DAG files: one bounded query, and a last good copy on disk.

The copy serves while the database does not answer. Airflow reads a DAG file every few seconds and once more in each task, so
this module imports nothing heavy. Its result is sorted and holds no clock: the same definitions give the same DAGs.
"""

import json
import logging
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pymongo
from pymongo.errors import PyMongoError

from alerting.definitions.durations import format_duration, parse_duration
from alerting.definitions.faults import shown
from alerting.definitions.model import TrainedDefinition
from alerting.kinds.registry import definition_types, trained_kinds
from alerting.kinds.validation import parse_definition, parse_revision

if TYPE_CHECKING:
    from pymongo.collection import Collection

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
NEWEST = NEWEST_ACTIVE[:2]


@dataclass(frozen=True)
class TrainedRevision:
    """An active definition with a trained model, and the number of its revision."""

    revision: int
    definition: TrainedDefinition


@dataclass(frozen=True)
class DagSnapshot:
    """The definitions that decide which DAGs exist: `trained` by name, and the distinct cadences, shortest first, e.g. `1m`."""

    trained: tuple[TrainedRevision, ...]
    cadences: tuple[str, ...]


class NoDefinitionsRead(Exception):
    """Error: neither the database nor a copy of its last answer can be read."""


def read_dag_snapshot(uri: str, database: str, home: Path, limit_s: float = LIMIT_S) -> DagSnapshot:
    """Return the active definitions from MongoDB, or from the copy in `home` if MongoDB does not answer within `limit_s`.

    Raises NoDefinitionsKnown if there is no copy either, so that Airflow shows an import error instead of an empty list.
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
    """Return the answer of two aggregations under one limit; with ten thousand threshold definitions it is still small."""
    limit_ms = int(limit_s * 1000)
    client: pymongo.MongoClient[Document] = pymongo.MongoClient(
        uri,
        tz_aware=True,
        serverSelectionTimeoutMS=limit_ms,
        datetime_conversion="DATETIME_AUTO",
        unicode_decode_error_handler="replace",
    )
    with client, pymongo.timeout(limit_s):
        revisions = client[database]["definition_revisions"]
        is_trained = {"definition.kind": {"$in": trained_kinds()}}
        trained = revisions.aggregate([*NEWEST_ACTIVE, {"$match": is_trained}, {"$sort": {"_id": 1}}])
        cadences = revisions.aggregate([*NEWEST_ACTIVE, {"$group": {"_id": "$definition.schedule.every"}}])
        found = [(str(row["_id"]), {"revision": row["number"], "definition": row["definition"]}) for row in trained]
        lengths = [row["_id"] for row in cadences]
        readable = {name: row for name, row in found if (one := _trained(row)) is not None and one.definition.name == name}
        good = list(readable.values())
        for row in _instead_of_faulty(revisions, [name for name, _ in found if name not in readable]):
            good += [row] if row["definition"]["kind"] in trained_kinds() else []
            lengths.append(row["definition"]["schedule"]["every"])
        return {
            "trained": sorted(good, key=lambda row: str(row["definition"]["name"])),
            "cadences": _by_length(lengths),
        }


def _instead_of_faulty(revisions: "Collection[Document]", faulty: list[Any]) -> list[Document]:
    """Return the last valid revisions, where active, of definitions whose newest revision cannot be read."""
    readable = {
        "definition.kind": {"$in": list(definition_types())},
        "definition.state": {"$in": ["draft", "active", "retired"]},
        "number": {"$type": "number"},
    }
    odd = revisions.aggregate([*NEWEST, {"$match": {"$nor": [readable]}}])
    names = [row["_id"] for row in odd] + faulty
    found = []
    for name in sorted({name for name in names if isinstance(name, str)}):
        for document in revisions.find({"name": name}, {"_id": False}).sort("number", -1):
            row = _valid(document)
            if row is not None:
                found += [row] if row["definition"]["state"] == "active" else []
                break
    return found


def _valid(document: Document) -> Document | None:
    try:
        revision = parse_revision(document)
    except Exception as error:  # one faulty document must not stop the others
        _log.warning("a revision cannot be read: %s", shown(str(error)))
        return None
    written = revision.definition.model_dump(mode="json", by_alias=True)
    return {"revision": revision.number, "definition": written}


def _by_length(durations: Iterable[Any]) -> list[str]:
    """Return the cadences, shortest first, without values that are no cadence."""
    lengths = set()
    for text in durations:
        try:
            lengths.add(parse_duration(text))
        except (ValueError, TypeError, AttributeError):
            _log.warning("no evaluation DAG for the cadence %s", shown(text))
    return [format_duration(length) for length in sorted(lengths)]


def _last_good(copy: Path, error: PyMongoError) -> Document:
    try:
        document: Document = json.loads(copy.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        raise NoDefinitionsRead(f"the database does not answer, and there is no earlier answer in {copy}: {error}") from error
    return document


def _keep(copy: Path, document: Document) -> None:
    """Write the copy in one step if it changed, so that a reader never sees a partial copy."""
    text = json.dumps(document, sort_keys=True, indent=1, default=str)
    with suppress(FileNotFoundError):
        if copy.read_text(encoding="utf-8") == text:
            return
    copy.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=copy.parent, prefix=f"{COPY}.", delete=False, encoding="utf-8") as draft:
        draft.write(text)
    Path(draft.name).replace(copy)


def _snapshot(document: Document) -> DagSnapshot:
    numbered = (_trained(row) for row in document["trained"])
    return DagSnapshot(tuple(row for row in numbered if row is not None), tuple(document["cadences"]))


def _trained(row: Document) -> TrainedRevision | None:
    """Return the classifier of a row; None, with a log line, if an older version wrote it and this one cannot read it."""
    try:
        definition = parse_definition(row["definition"])
        return TrainedRevision(int(row["revision"]), definition) if isinstance(definition, TrainedDefinition) else None
    except Exception as error:  # one faulty document must not stop the others
        _log.warning("no training DAG for a revision that cannot be read: %s", shown(str(error)))
        return None
