"""Airflow's DAG files in the home: copies of `dags/`, in which a hash of the name deals the
training DAGs to sixteen files; and what these files read: the active definitions, by one bounded
query, with a last good copy on disk.

Airflow reads all files every half hour, because reading a thousand DAGs takes a quarter of a minute
of CPU; it reads a modified file within seconds. So a changed definition marks its own file as
modified.

The copy serves while the database does not answer. Airflow reads a DAG file every few minutes and
once more in each task, so this module imports nothing heavy. Its result is sorted and holds no
clock: the same definitions give the same DAGs.
"""

import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pymongo
from pymongo.errors import PyMongoError

from alerting.definitions.alert_definition import SHARDS, ModelDefinition, shard_of
from alerting.definitions.faults import format_duration, parse_duration, shown
from alerting.definitions.sources import (
    LEASE_LASTS,
    POLLED,
    SHORTEST_SCHEDULED,
    PolledFields,
    parse_source,
)
from alerting.kinds.registry import (
    definition_types,
    parse_definition,
    parse_revision,
    sometimes_trained_kinds,
    trained_kinds,
)
from alerting.settings.home_folder import home_errors
from alerting.settings.shipped_files import shipped

if TYPE_CHECKING:
    from pymongo.collection import Collection
    from pymongo.database import Database

BACKGROUND_POOL = "background"
PREDICT_POOL = "predict"
EVALUATION_FILE = "evaluate.py"
SOURCE_FILE = "ingest.py"
_WRITTEN = ".written"  # names of the files of the folder that the platform has written
OWN_DAGS = "own_dags"  # folder of the home for DAGs of others
MARGIN_S = 2.0  # a mark is this much later than now, so that a reading under way does not hide it


def dag_folder(home: Path) -> Path:
    """Return the folder of the DAG files of a home."""
    return home / "dags"


def bundles(home: Path) -> str:
    """Return Airflow's setting of its DAG folders: that of the platform, and `own_dags` of the
    home, in which the platform changes nothing."""
    return json.dumps(
        [
            {
                "name": name,
                "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
                "kwargs": options,
            }
            for name, options in (("dags-folder", {}), ("own", {"path": str(home / OWN_DAGS)}))
        ]
    )


def write_dag_files(home: Path) -> None:
    """Write the DAG files of this version into the home, and remove those that another version has
    written there. Raises UserError if the home cannot be written. Idempotent.

    A file that is unchanged is not written again, because Airflow would read it again.
    """
    folder = dag_folder(home)
    sources = dict(_list_files())
    written = folder / _WRITTEN
    with home_errors(home):
        folder.mkdir(parents=True, exist_ok=True)
        (home / OWN_DAGS).mkdir(exist_ok=True)
        before = written.read_text(encoding="utf-8").splitlines() if written.exists() else ()
        for old in {*before} - {*map(str, sources)}:
            (folder / old).unlink(missing_ok=True)
        written.write_text("".join(f"{name}\n" for name in sources), encoding="utf-8")
        for name, source in sources.items():
            copy = folder / name
            content = source.read_bytes()
            if copy.exists() and copy.read_bytes() == content:
                continue
            copy.parent.mkdir(parents=True, exist_ok=True)
            draft = copy.with_suffix(".new")
            shutil.copyfile(source, draft)
            draft.replace(copy)


def missing_files(folder: Path) -> list[str]:
    """Return the DAG files of this version that a folder lacks, by name."""
    return [str(name) for name, _ in _list_files() if not (folder / name).exists()]


def write_pools(home: Path, background_slots: int) -> Path:
    """Write the file of Airflow's pools into the home, for `airflow pools import`; return its
    path. Airflow never starts a task of a missing pool."""
    background = "Trainings and reports: long work, which leaves the other slots to evaluation."
    rows = ((BACKGROUND_POOL, background_slots, background), (PREDICT_POOL, 1, "Predict jobs."))
    pools = {
        name: {"slots": slots, "description": text, "include_deferred": False}
        for name, slots, text in rows
    }
    path = home / "airflow_pools.json"
    with home_errors(home):
        path.write_text(json.dumps(pools), encoding="utf-8")
    return path


def training_file(definition: str) -> str:
    """Return the name of the file with the training DAG of a definition."""
    return f"train_{shard_of(definition):02}.py"


def mark(home: Path, files: Iterable[str]) -> None:
    """Mark DAG files as modified: Airflow reads them within seconds instead of minutes. Files that
    are missing or not writable are left as they are."""
    at = time.time() + MARGIN_S
    for file in files:
        with suppress(OSError):
            os.utime(dag_folder(home) / file, (at, at))


def mark_all(home: Path) -> None:
    """Mark every DAG file that depends on a definition or a source."""
    trained = (f"train_{number:02}.py" for number in range(SHARDS))
    mark(home, (EVALUATION_FILE, SOURCE_FILE, *trained))


def _list_files() -> Iterable[tuple[Path, Path]]:
    folder = shipped("dags")
    for source in sorted(folder.rglob("*")):
        name = source.relative_to(folder)
        if name == Path("train.py"):
            yield from ((Path(f"train_{number:02}.py"), source) for number in range(SHARDS))
        elif source.suffix == ".py" or source.name == ".airflowignore":
            yield name, source


LIMIT_S = 2.0
AT_MOST_HOURLY = timedelta(hours=1)
_SERVICE_GONE = 2 * LEASE_LASTS
"""Time without a note after which Airflow reads in place of a process, which another one may have
taken over from by then."""
_log = logging.getLogger(__name__)
Document = dict[str, Any]

# Newest revision of each definition; the sort can use the unique index on name and number.
NEWEST_ACTIVE: tuple[Document, ...] = (
    {"$sort": {"name": -1, "number": -1}},
    {
        "$group": {
            "_id": "$name",
            "number": {"$first": "$number"},
            "definition": {"$first": "$definition"},
        }
    },
    {"$match": {"definition.state": "active"}},
)


@dataclass(frozen=True)
class TrainedRevision:
    """An active definition with a trained model, and the number of its revision."""

    revision: int
    definition: ModelDefinition


class PolledRow(NamedTuple):
    """A source that the platform reads, the interval at which Airflow reads it, and its name for
    people, if it has one."""

    name: str
    every: timedelta
    title: str | None = None


class NoDefinitionsRead(Exception):
    """Error: neither the database nor a copy of its last answer can be read."""


@dataclass(frozen=True)
class DagSnapshot:
    """Reader of the active definitions for DAG files: from MongoDB, else from the last good copy in
    the folder `copies`.

    Waits `limit_s` seconds for MongoDB. Raises NoDefinitionsRead if there is no copy either, so
    that Airflow shows an import error instead of an empty list.
    """

    uri: str
    database: str
    copies: Path
    limit_s: float = LIMIT_S

    def cadences(self) -> list[str]:
        """Return the distinct cadences, shortest first: short for ten thousand definitions."""
        texts: list[str] = self._read_or_copy(
            "cadences", lambda read: {"cadences": _cadences(read)}
        )["cadences"]
        return texts

    def trained(self, number: int) -> tuple[TrainedRevision, ...]:
        """Return definitions with a trained model whose DAGs belong to this shard, by name."""
        answer = self._read_or_copy(
            f"train_{number:02}", lambda revisions: {"trained": _trained_rows(revisions, number)}
        )
        return tuple(row for row in map(_read_trained, answer["trained"]) if row is not None)

    def sources(self) -> tuple[PolledRow, ...]:
        """Return the active sources that the platform reads by itself, by name. Airflow reads a
        source that the stream service reads now at most once an hour, as a visible record."""
        rows = self._read_or_copy(
            "sources", lambda read: {"sources": _polled_rows(read)}, "sources"
        )["sources"]
        return tuple(
            PolledRow(row["name"], parse_duration(row["every"]), row.get("title")) for row in rows
        )

    def _read_or_copy(
        self,
        name: str,
        query: "Callable[[Collection[Document]], Document]",
        collection: str = "definition_revisions",
    ) -> Document:
        copy = self.copies / f"{name}.json"
        limit_ms = int(self.limit_s * 1000)
        try:
            client: pymongo.MongoClient[Document] = pymongo.MongoClient(
                self.uri,
                tz_aware=True,
                serverSelectionTimeoutMS=limit_ms,
                datetime_conversion="DATETIME_AUTO",
                unicode_decode_error_handler="replace",
            )
            with client, pymongo.timeout(self.limit_s):
                answer = query(client[self.database][collection])
        except PyMongoError as error:
            _log.warning("definitions are read from the last good copy %s: %s", copy, error)
            try:
                document: Document = json.loads(copy.read_text(encoding="utf-8"))
            except (FileNotFoundError, ValueError):
                raise NoDefinitionsRead(
                    f"the database does not answer, and there is no earlier answer in {copy}: "
                    f"{error}"
                ) from error
            return document
        _write_copy(copy, answer)
        return answer


def read_by_service(database: "Database[Document]") -> set[str]:
    """Return the polled sources that the stream service reads now, by the clock of the database."""
    gone_ms = _SERVICE_GONE.total_seconds() * 1000
    lately = {"$expr": {"$gt": ["$at", {"$subtract": ["$$NOW", gone_ms]}]}}
    lease = database["leases"].find_one({"_id": "stream", "at": {"$type": "date"}, **lately})
    return set() if lease is None else set(lease.get("reads", ()))


def _polled_rows(sources: "Collection[Document]") -> list[Document]:
    rows = []
    of_service = read_by_service(sources.database)
    for document in sources.find({"kind": {"$in": list(POLLED)}}, {"_id": False}).sort("name", 1):
        try:
            source = parse_source(document)
        except Exception as error:  # one faulty document must not stop the others
            _log.warning("no DAG for a source that cannot be read: %s", shown(str(error)))
            continue
        if source.state == "active" and isinstance(source, PolledFields):
            least = AT_MOST_HOURLY if source.name in of_service else SHORTEST_SCHEDULED
            every = format_duration(max(source.every, least))
            rows.append({"name": source.name, "every": every, "title": source.title})
    return rows


def _cadences(revisions: "Collection[Document]") -> list[str]:
    groups = revisions.aggregate(
        [*NEWEST_ACTIVE, {"$group": {"_id": "$definition.schedule.every"}}]
    )
    replaced = _find_last_valid(revisions, [])
    durations = [
        *(row["_id"] for row in groups),
        *(row["definition"]["schedule"]["every"] for row in replaced),
    ]
    lengths = set()
    for text in durations:
        try:
            lengths.add(parse_duration(text))
        except (ValueError, TypeError, AttributeError):
            _log.warning("no evaluation DAG for the cadence %s", shown(text))
    return [format_duration(length) for length in sorted(lengths)]


def _trained_rows(revisions: "Collection[Document]", number: int) -> list[Document]:
    trained = revisions.aggregate([*NEWEST_ACTIVE, {"$match": {"$or": _queries_for_models()}}])
    rows = [
        (str(row["_id"]), {"revision": row["number"], "definition": row["definition"]})
        for row in trained
    ]
    rows_of_shard = [(name, row) for name, row in rows if shard_of(name) == number]
    readable = {
        name: row
        for name, row in rows_of_shard
        if (readable_row := _read_trained(row)) is not None and readable_row.definition.name == name
    }
    replaced = _find_last_valid(
        revisions, [name for name, _ in rows_of_shard if name not in readable]
    )
    of_shard = [row for row in replaced if _read_trained(row) is not None]
    good = [
        *readable.values(),
        *(row for row in of_shard if shard_of(row["definition"]["name"]) == number),
    ]
    return sorted(good, key=lambda row: str(row["definition"]["name"]))


def _queries_for_models() -> list[Document]:
    """Return queries; a definition that meets one of them has a model."""
    conditions: list[Document] = [{"definition.kind": {"$in": trained_kinds()}}]
    for kind, paths in sometimes_trained_kinds().items():
        conditions.append(
            {
                "definition.kind": kind,
                "$or": [{f"definition.{path}": {"$exists": True}} for path in paths],
            }
        )
    return conditions


def _find_last_valid(revisions: "Collection[Document]", faulty: list[Any]) -> list[Document]:
    """Return the last valid revision, if it is active, of each definition whose newest revision
    cannot be read."""
    readable = {
        "definition.kind": {"$in": list(definition_types())},
        "definition.state": {"$in": ["draft", "active", "retired"]},
        "definition.schedule.every": {"$type": "string"},
        "number": {"$type": "number"},
    }
    odd = revisions.aggregate([*NEWEST_ACTIVE[:2], {"$match": {"$nor": [readable]}}])
    names = [row["_id"] for row in odd] + faulty
    rows = []
    for name in sorted({name for name in names if isinstance(name, str)}):
        for document in revisions.find({"name": name}, {"_id": False}).sort("number", -1):
            row = _read_valid(document)
            if row is not None:
                rows += [row] if row["definition"]["state"] == "active" else []
                break
    return rows


def _read_valid(document: Document) -> Document | None:
    try:
        revision = parse_revision(document)
    except Exception as error:  # one faulty document must not stop the others
        _log.warning("a revision cannot be read: %s", shown(str(error)))
        return None
    written = revision.definition.model_dump(mode="json", by_alias=True)
    return {"revision": revision.number, "definition": written}


def _write_copy(copy: Path, document: Document) -> None:
    """Write the copy in one step if it changed, so that a reader never sees a partial copy."""
    text = json.dumps(document, sort_keys=True, indent=1, default=str)
    with suppress(FileNotFoundError):
        if copy.read_text(encoding="utf-8") == text:
            return
    copy.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(
        "w", dir=copy.parent, prefix=f"{copy.name}.", delete=False, encoding="utf-8"
    ) as draft:
        draft.write(text)
    Path(draft.name).replace(copy)


def _read_trained(row: Document) -> TrainedRevision | None:
    """Return the trained revision of a row; None, with a log line, if it cannot be read."""
    try:
        definition = parse_definition(row["definition"])
        return (
            TrainedRevision(int(row["revision"]), definition)
            if isinstance(definition, ModelDefinition)
            else None
        )
    except Exception as error:  # one faulty document must not stop the others
        _log.warning("no training DAG for a revision that cannot be read: %s", shown(str(error)))
        return None
