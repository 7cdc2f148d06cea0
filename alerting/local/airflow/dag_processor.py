"""Airflow's DAG processor with DAG files of its own. They are marked on this host when a revision
is stored on any host: whichever process stores it, the database announces it."""

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pymongo
from pymongo.errors import OperationFailure, PyMongoError

from alerting.adapters.airflow.dag_files import (
    EVALUATION_FILE,
    SOURCE_FILE,
    dag_folder,
    mark,
    mark_all,
    read_by_service,
    training_file,
    write_dag_files,
)
from alerting.adapters.mongo.mongo import connect
from alerting.adapters.mongo.mongod_access import address
from alerting.adapters.mongo.shared_mongod import data_folder
from alerting.definitions.faults import UserError, first_line
from alerting.kinds.registry import sometimes_trained_kinds, trained_kinds
from alerting.local.supervisor import ending_with_this
from alerting.optional_folders import find_optional
from alerting.settings.environment import read_settings
from alerting.settings.logs import configure_logging


def main() -> int:
    """Run the DAG processor until it ends; return its exit code."""
    try:
        settings = read_settings(os.environ)
        write_dag_files(settings.home)
        uri = settings.mongodb_uri or address(data_folder(settings.home), settings.mongodb_port)
        client = connect(uri)
    except UserError as refusal:
        sys.stderr.write(f"refused: {refusal}\n")
        return 1
    configure_logging(os.environ)
    marks = DagMarks(client[settings.database], settings.home)
    Thread(target=marks.follow, daemon=True).start()
    for added in find_optional("asset_events"):
        Thread(target=added.follow, args=(settings, marks.database), daemon=True).start()
    # a revision that is stored from here on is seen: by a mark, or as the files are first read
    marks.is_open.wait(5.0)
    processor = subprocess.Popen(
        ending_with_this((sys.executable, "-m", "alerting.local.airflow.dag_reader")),
        env=os.environ | {"AIRFLOW__CORE__DAGS_FOLDER": str(dag_folder(settings.home))},
    )
    for forwarded in (signal.SIGTERM, signal.SIGINT):
        signal.signal(forwarded, lambda number, _frame: processor.send_signal(number))
    return processor.wait()


_log = logging.getLogger(__name__)
_SOURCES = "source_revisions"
_PIPELINE: list[dict[str, Any]] = [
    {"$match": {"ns.coll": {"$in": ["definition_revisions", _SOURCES]}, "operationType": "insert"}},
    {"$project": {"ns.coll": 1, "fullDocument.name": 1, "fullDocument.definition": 1}},
]
_WAIT_S = 1.0
_LOOK_S = 10.0

Database = pymongo.database.Database[dict[str, Any]]


@dataclass
class DagMarks:
    """Follower of the stored revisions of definitions and sources, which marks their DAG files in a
    home.

    It reads a change stream, which goes on from its token after an outage. If it cannot go on, and
    at the start, all files are marked. `is_open`: set once revisions are followed.
    """

    database: Database
    home: Path
    token: Any = None
    read_by_service: set[str] | None = None
    looked_at: float = -_LOOK_S
    is_open: Event = field(default_factory=Event)

    def follow(self, stop: Callable[[], bool] = lambda: False) -> None:
        """Mark files until `stop`; an outage of the database is waited for."""
        while not stop():
            try:
                self._read_stream(stop)
            except OperationFailure as fault:
                self.token = None
                _log.warning("all DAG files are marked: %s", first_line(fault))
            except PyMongoError as fault:
                _log.warning("edited DAGs wait for the database: %s", first_line(fault))
            if not stop():
                time.sleep(_WAIT_S)

    def _read_stream(self, stop: Callable[[], bool]) -> None:
        with self.database.watch(
            _PIPELINE, resume_after=self.token, max_await_time_ms=int(_WAIT_S * 1000)
        ) as stream:
            if self.token is None:
                mark_all(self.home)
                self.token = stream.resume_token
            self.is_open.set()
            while stream.alive and not stop():
                if (change := stream.try_next()) is not None:
                    mark(self.home, _changed_files(change))
                self.token = stream.resume_token
                self._mark_sources()

    def _mark_sources(self) -> None:
        """Mark the file of polled sources if the stream service has begun or ceased to read one:
        Airflow reads the others."""
        if time.monotonic() - self.looked_at < _LOOK_S:
            return
        self.looked_at = time.monotonic()
        sources = read_by_service(self.database)
        if self.read_by_service not in (None, sources):
            mark(self.home, (SOURCE_FILE,))
        self.read_by_service = sources


def _changed_files(change: dict[str, Any]) -> tuple[str, ...]:
    if change["ns"]["coll"] == _SOURCES:
        return (SOURCE_FILE,)
    revision = change.get("fullDocument") or {}
    if _is_trained(revision.get("definition")):
        return (EVALUATION_FILE, training_file(str(revision.get("name"))))
    return (EVALUATION_FILE,)


def _is_trained(definition: Any) -> bool:
    """Return whether a stored definition has a model. A definition that cannot be read has none."""
    kind = definition.get("kind") if isinstance(definition, dict) else None
    return kind in trained_kinds() or any(
        reduce(_field, path.split("."), definition) is not None
        for path in sometimes_trained_kinds().get(str(kind), ())
    )


def _field(document: Any, name: str) -> Any:
    return document.get(name) if isinstance(document, dict) else None


if __name__ == "__main__":
    sys.exit(main())
