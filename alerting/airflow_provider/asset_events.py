"""Events of Airflow's assets for DAGs of others: `alerting://DEFINITION/alarm`, `/champion` and
`/report`, and `source__NAME` for rows that the stream service or the API has stored. A thread of
the process that starts the DAG processor.

A change stream tells of them within a second. Nothing is read while no DAG listens. At least once:
the position in the stream is stored after the events before it are Airflow's. While it is away or
refuses one, the events wait in memory, so that others are not added again. One process of all hosts
emits them, by a lease.
"""

import logging
import os
import socket
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pymongo.database import Database
from pymongo.errors import OperationFailure, PyMongoError

from alerting.definitions.faults import first_line
from alerting.local.airflow_client import AirflowClient, AirflowSilent, find_airflow
from alerting.settings.environment import Settings
from alerting.stores.database.documents import DECISIONS, EPISODES, REPORTS, SOURCE_PROGRESS
from alerting.stores.database.transactions_and_leases import LEASES, Leases
from alerting.stores.deliveries_and_changes import LOST

_log = logging.getLogger(__name__)
Document = dict[str, Any]
SCHEME = "alerting://"
SOURCE = "source__"
_OWN = {"evaluate__arrived"}  # the stream service evaluates what it stores
_LEASE = "asset events"
_LOOK_S = 10.0
_GATHER_S = 1.0
_ROWS_EVERY_S = 60.0
_PATIENCE_S = 8.0  # a busy Airflow adds an event whose answer nobody waits for, and the next, too
MOST_NAMED = 50
_PAGE = 100

# By collection, the asset's last part, and the names of fields of the document and of the event.
_FIELDS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    EPISODES: (
        "alarm",
        {"_id": "episode", "asset": "asset", "severity": "severity", "revision": "revision"}
        | {"raised_at": "raised_at", "model_version": "model_version"},
    ),
    DECISIONS: ("champion", {"challenger_version": "model_version", "revision": "revision"}),
    REPORTS: ("report", {"_id": "report", "start": "start", "end": "end", "period": "period"}),
}
_PIPELINE: list[Document] = [
    {
        "$match": {
            "$or": [
                {
                    "ns.coll": EPISODES,
                    "operationType": "insert",
                    "fullDocument.backfilled": {"$ne": True},
                },
                {
                    "ns.coll": DECISIONS,
                    "operationType": "insert",
                    "fullDocument.promoted": True,
                },
                {
                    "ns.coll": REPORTS,
                    "operationType": {"$in": ["insert", "replace"]},
                    "fullDocument.empty": {"$ne": True},
                    "fullDocument.definition": {"$type": "string"},
                },
                {
                    "ns.coll": SOURCE_PROGRESS,
                    "$or": [
                        {"updateDescription.updatedFields.arrived_at": {"$exists": True}},
                        {"fullDocument.arrived_at": {"$exists": True}},
                    ],
                },
            ]
        }
    },
    {
        "$project": {"ns.coll": True, "documentKey": True, "fullDocument.definition": True}
        | {f"fullDocument.{name}": True for _, fields in _FIELDS.values() for name in fields}
    },
]


def follow(settings: Settings, database: Database[Document]) -> None:
    """Emit events until the process ends, from when Airflow's address and password are known."""
    while (airflow := find_airflow(settings, os.environ, _PATIENCE_S)) is None:
        _log.warning("no events for other DAGs: Airflow's address or password is not known")
        time.sleep(_ROWS_EVERY_S)
    AssetEvents(database, airflow).follow()


@dataclass
class AssetEvents:
    """Follower of the database, which emits the events of assets that a DAG listens to.

    `listened`: ids of these assets in Airflow, by URI. `waiting`: what is not emitted yet, by URI,
    the first `MOST_NAMED`; `counts`: of all. `is_away`: Airflow did not do what it was last asked.
    """

    database: Database[Document]
    airflow: AirflowClient
    holder: str = field(default_factory=lambda: f"{socket.gethostname()}-{os.getpid()}")
    listened: dict[str, int] = field(default_factory=dict)
    waiting: dict[str, list[Document]] = field(default_factory=lambda: defaultdict(list))
    counts: Counter[str] = field(default_factory=Counter)
    is_away: bool = False
    looked_at: float = -_LOOK_S
    emitted_at: dict[str, float] = field(default_factory=dict)

    def follow(self, stop: Callable[[], bool] = lambda: False) -> None:
        """Emit events until `stop`. An outage of the database or of Airflow is waited for."""
        while not stop():
            try:
                if self._looks() and self.listened:
                    self._read_stream(stop)
            except Exception as fault:  # also a faulty answer must not end the thread
                _log.warning("events for other DAGs wait: %s", first_line(fault))
                if isinstance(fault, OperationFailure) and fault.code in LOST:
                    with suppress(PyMongoError):
                        self._store(None)
            if not stop():
                time.sleep(_GATHER_S)

    def _looks(self) -> bool:
        """Return whether this process emits the events; every few seconds ask Airflow what its DAGs
        listen to."""
        if time.monotonic() - self.looked_at < _LOOK_S:
            return True
        if not Leases(self.database).claim(_LEASE, self.holder):
            return False
        self.looked_at = time.monotonic()
        with self._outages():
            self.listened = {
                asset["uri"]: asset["id"]
                for prefix in (SCHEME, SOURCE)
                for asset in self._assets(prefix)
                if {dag["dag_id"] for dag in asset["scheduled_dags"]} - _OWN
            }
            if not self.listened:  # the first DAG that listens begins with what comes then
                self._store(None)
        return True

    @contextmanager
    def _outages(self) -> Iterator[None]:
        """Log the begin of an outage of Airflow, and let the rest go on."""
        try:
            yield
            self.is_away = False
        except AirflowSilent as fault:
            if not self.is_away:
                _log.warning("events for other DAGs wait: %s", first_line(fault))
            self.is_away = True

    def _assets(self, prefix: str) -> list[Document]:
        assets: list[Document] = []
        while True:
            query = {"uri_prefix_pattern": prefix, "limit": _PAGE, "offset": len(assets)}
            page = self.airflow.read("/assets", order_by="id", **query).get("assets", [])
            assets += page
            if len(page) < _PAGE:
                return [asset for asset in assets if asset["uri"].startswith(prefix)]

    def _read_stream(self, stop: Callable[[], bool]) -> None:
        stored = self.database[LEASES].find_one({"_id": _LEASE}) or {}
        position = stored.get("position")
        self.waiting.clear()
        self.counts.clear()
        if position is not None:  # rows may have come whose event waited in another process
            self.waiting |= {uri: [] for uri in self.listened if uri.startswith(SOURCE)}
        with self.database.watch(
            _PIPELINE, resume_after=position, max_await_time_ms=int(_GATHER_S * 1000)
        ) as stream:
            self._store(stream.resume_token)
            while stream.alive and not stop():
                began = time.monotonic()
                while time.monotonic() - began < _GATHER_S and (change := stream.try_next()):
                    self._note(change)
                is_due = self._emit() or time.monotonic() - self.looked_at >= _LOOK_S
                if is_due and all(uri.startswith(SOURCE) for uri in self.waiting):
                    self._store(stream.resume_token)
                if not self._looks() or not self.listened:
                    return

    def _note(self, change: Document) -> None:
        document = change.get("fullDocument") or {}
        part, fields = _FIELDS.get(change["ns"]["coll"], ("", {}))
        uri = (
            f"{SCHEME}{document.get('definition')}/{part}"
            if part
            else f"{SOURCE}{change['documentKey']['_id']}"
        )
        if uri not in self.listened:
            return
        self.counts[uri] += 1
        if len(waiting := self.waiting[uri]) < MOST_NAMED:
            waiting.append(
                {
                    name: value.isoformat() if isinstance(value, datetime) else value
                    for stored, name in fields.items()
                    for value in [document.get(stored)]
                }
            )

    def _emit(self) -> bool:
        """Emit the events that wait: one for each asset, of rows at most one a minute. Return
        whether there was one. An event that Airflow does not take waits behind the others."""
        has_emitted = False
        for uri, details in list(self.waiting.items()):
            is_source = uri.startswith(SOURCE)
            since = time.monotonic() - self.emitted_at.get(uri, -_ROWS_EVERY_S)
            if is_source and since < _ROWS_EVERY_S:
                continue
            if not self._looks():
                break
            del self.waiting[uri]
            by_task = {"_id": uri.removeprefix(SOURCE), "polled_by": "scheduler"}
            # the task that reads a source emits its event itself
            if uri in self.listened and not self.database[SOURCE_PROGRESS].find_one(by_task):
                part = uri.rpartition("/")[2]
                extra = {f"{part}s": details, "count": self.counts[uri]}
                with self._outages():
                    self.airflow.emit(self.listened[uri], {} if is_source else extra)
                if self.is_away:
                    self.waiting[uri] = details
                    break
                has_emitted = True
            del self.counts[uri]
            self.emitted_at[uri] = time.monotonic()
        return has_emitted

    def _store(self, position: Any) -> None:
        """Store the position up to which all events are emitted; None after a loss."""
        lease = {"_id": _LEASE, "holder": self.holder}
        self.database[LEASES].update_one(lease, {"$set": {"position": position}})
