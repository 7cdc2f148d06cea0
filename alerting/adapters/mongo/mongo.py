"""The connection to MongoDB, its errors as messages for people, all stores behind the ports, the
state of the server and of the disks, and the clock that DAGs, commands and API share: real time, or
the time of the demo line, which one document stores."""

import atexit
import shutil
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from urllib.parse import urlsplit

import pymongo
from pymongo import MongoClient, ReadPreference
from pymongo.asynchronous import monitor as asynchronous_monitor
from pymongo.errors import (
    BulkWriteError,
    ConfigurationError,
    ConnectionFailure,
    InvalidURI,
    OperationFailure,
    PyMongoError,
    WriteError,
    WTimeoutError,
)
from pymongo.synchronous import monitor

from alerting import ports
from alerting.adapters.mongo.mongod_access import TRANSACTION_LIFETIME_S
from alerting.adapters.mongo.prepare import NotPrepared, check_prepared, prepare_database
from alerting.definitions.faults import UserError
from alerting.ports import ClockDifference, DatabaseState, Disk, Platform
from alerting.readings.history import whole_millis
from alerting.stores.assets import MongoAssets
from alerting.stores.database.documents import (
    CLOCK,
    CODEC,
    ROUTE_REVISIONS,
    ROUTES,
    SINK_REVISIONS,
    SINKS,
    SOURCE_REVISIONS,
    SOURCES,
    Document,
    MongoDatabase,
    cut_message,
)
from alerting.stores.database.faulty_documents import MongoDocuments
from alerting.stores.database.sweeps import Sweeps
from alerting.stores.database.transactions_and_leases import ELECTION_S, Leases, MongoUnitOfWork
from alerting.stores.definitions import MongoDefinitions, MongoDerivedFeatures, MongoDocumentStore
from alerting.stores.deliveries_and_changes import (
    ChangeFeed,
    DeadMessages,
    SinkDeliveries,
    SinkFeed,
    SourceDeliveries,
)
from alerting.stores.episodes import MongoEpisodes, MongoNotifications
from alerting.stores.evaluation import (
    MongoDecisions,
    MongoEvaluationPlans,
    MongoPastEvaluations,
    MongoScores,
    MongoTrainings,
)
from alerting.stores.file_forms import FileForms
from alerting.stores.operators import (
    AccessTokens,
    Accounts,
    FeedbackLog,
    MongoAudit,
    MongoMisses,
    MongoMutes,
    MongoPlatformAlerts,
    Sessions,
)
from alerting.stores.readings.arrivals import MongoArrivals
from alerting.stores.readings.readings import MongoReadings
from alerting.stores.readings.rollups import MongoLabels, Rollups
from alerting.stores.readings.writes import MongoReadingWrites
from alerting.stores.reports import Backtests, Reports
from alerting.stores.states import MongoCheckpoints, MongoStates

TIMEOUT_S = 3.0
_ASKED_EVERY_MS = 1000
KEYS_NOT_LOADED = 211
"""Code of the answer of a restarted server to clients of earlier connections, until it has loaded
its keys."""
_LIFETIME = "transactionLifetimeLimitSeconds"


class DatabaseDown(UserError):
    """Error: the database is not reachable, or refuses the login; the operation changed nothing."""


class NoAnswer(DatabaseDown):
    """Error: no server accepts a connection, or the one that did is silent."""


class MongoStores:
    """Every store of one prepared database. `unit_of_work`: replaces transactions. `state_parts`:
    number of parts of each sixteenth of the condition states."""

    def __init__(
        self,
        database: MongoDatabase,
        unit_of_work: ports.UnitOfWork | None = None,
        state_parts: int = 1,
    ) -> None:
        self.database = database
        self.unit_of_work: ports.UnitOfWork = unit_of_work or MongoUnitOfWork(database)
        self.definitions: ports.Definitions = MongoDefinitions(database)
        self.derived_features: ports.DerivedFeatureStore = MongoDerivedFeatures(database)
        self.assets: ports.Assets = MongoAssets(database)
        self.readings: ports.Readings = MongoReadings(database)
        self.reading_writes: ports.ReadingWrites = MongoReadingWrites(database)
        self.rollups = Rollups(database)
        self.labels = MongoLabels(database)
        self.episodes: ports.Episodes = MongoEpisodes(database)
        self.changes = ChangeFeed(database)
        self.states: ports.States = MongoStates(database, state_parts)
        self.arrivals = MongoArrivals(database)
        self.checkpoints: ports.Checkpoints = MongoCheckpoints(database)
        self.evaluation_plans: ports.EvaluationPlans = MongoEvaluationPlans(database)
        self.mutes: ports.Mutes = MongoMutes(database)
        self.feedback = FeedbackLog(database)
        self.misses: ports.Misses = MongoMisses(database)
        self.decisions: ports.Decisions = MongoDecisions(database)
        self.trainings: ports.Trainings = MongoTrainings(database)
        self.scores: ports.Scores = MongoScores(database)
        self.past_evaluations: ports.PastEvaluations = MongoPastEvaluations(database)
        self.reports = Reports(database)
        self.backtests = Backtests(database)
        self.audit: ports.Audit = MongoAudit(database)
        self.routes: ports.DocumentStore = MongoDocumentStore(
            database, ROUTES, ROUTE_REVISIONS, "route"
        )
        self.sources: ports.DocumentStore = MongoDocumentStore(
            database, SOURCES, SOURCE_REVISIONS, "source"
        )
        self.deliveries = SourceDeliveries(database)
        self.dead_messages = DeadMessages(database)
        self.leases = Leases(database)
        self.file_forms = FileForms(database)
        self.sinks: ports.DocumentStore = MongoDocumentStore(
            database, SINKS, SINK_REVISIONS, "sink"
        )
        self.sink_deliveries = SinkDeliveries(database)
        self.sink_feed = SinkFeed(database)
        self.notifications = MongoNotifications(database)
        self.accounts = Accounts(database)
        self.access_tokens = AccessTokens(database)
        self.sessions = Sessions(database)
        self.platform_alerts: ports.PlatformAlerts = MongoPlatformAlerts(database)
        self.documents: ports.Documents = MongoDocuments(database)
        self.sweeps = Sweeps(database)

    def platform(
        self,
        registry: ports.ModelRegistry,
        channels: Mapping[str, ports.Channel],
        clock: ports.Clock,
        in_memory: ports.InMemory,
    ) -> Platform:
        """Return a platform with these stores behind the ports of the same names."""
        stores = {name: store for name, store in vars(self).items() if name != "database"}
        return Platform(
            **stores,
            runs=registry,
            models=registry,
            channels=channels,
            clock=clock,
            in_memory=in_memory,
        )


def has_members(uri: str) -> bool:
    """Return whether an address names several servers, so that another server can take over."""
    parts = urlsplit(uri)
    return "," in parts.netloc.rpartition("@")[2] or parts.scheme == "mongodb+srv"


def connect(uri: str, timeout: float | None = None) -> MongoClient[Document]:
    """Return a client whose writes wait for the journal of the majority, even if the URI says
    otherwise.

    `timeout`: seconds to look for a server before an operation fails; by default three, and longer
    than an election if the address names several servers. The client does not connect yet. Raises
    UserError if the URI is not valid.
    """
    _end_without_waiting()
    try:
        if timeout is None:
            timeout = ELECTION_S if has_members(uri) else TIMEOUT_S
        return MongoClient(
            uri,
            w="majority",
            journal=True,
            wtimeoutMS=30_000,
            tz_aware=CODEC.tz_aware,
            tzinfo=CODEC.tzinfo,
            datetime_conversion=CODEC.datetime_conversion,
            unicode_decode_error_handler=CODEC.unicode_decode_error_handler,
            serverSelectionTimeoutMS=int(timeout * 1000),
            connectTimeoutMS=int(min(timeout, TIMEOUT_S) * 1000),
            # a server that is silent for this and connectTimeoutMS ends each operation; one that
            # answers ends none, however long it lasts
            heartbeatFrequencyMS=_ASKED_EVERY_MS,
            appname="alerting",
        )
    except (InvalidURI, ConfigurationError, ValueError) as error:
        raise UserError(
            f"ALERTING_MONGODB_URI is not the address of a MongoDB server: {error}"
        ) from error


def _end_without_waiting() -> None:
    """Let this process end without waiting for the driver's threads, which sleep for half a second
    at a time and so double the time of a short command. They are daemons, and end with the
    process."""
    for module in (monitor, asynchronous_monitor):
        atexit.unregister(module._shutdown_resources)


def check_server(database: MongoDatabase) -> None:
    """Check that a server answers, accepts the login and is a member of a replica set.

    Raises DatabaseDown if it does not answer, and UserError if it is no replica set.
    """
    hosts = _hosts(database.client)
    with database_errors(hosts):
        database.client.admin.command("ping")
        require_replica_set(database.client, hosts)


def require_replica_set(client: MongoClient[Document], hosts: str) -> None:
    """Raise UserError, with what to do, if a connected server cannot run transactions."""
    if any(
        server.server_type_name == "Standalone"
        for server in client.topology_description.server_descriptions().values()
    ):
        raise UserError(
            f"the database at {hosts} is not a replica set, and only a replica set has "
            "transactions: start its mongod with "
            "`--replSet alerting`, and run `rs.initiate()` once in mongosh; a set of one server is "
            "enough"
        )


def lifetime_warning(client: MongoClient[Document]) -> str | None:
    """Return a warning of the cost of a long lifetime of transactions; None if the lifetime is
    short, or unknown."""
    try:
        lifetime = client.admin.command({"getParameter": 1, _LIFETIME: 1})[_LIFETIME]
    except OperationFailure:
        return None
    if lifetime <= TRANSACTION_LIFETIME_S:
        return None
    return (
        f"{_LIFETIME} of the database is {lifetime} s: if a process dies while it writes, its "
        "alerts are not evaluated for that "
        f"long. Set it to {TRANSACTION_LIFETIME_S} (mongod --setParameter "
        f"{_LIFETIME}={TRANSACTION_LIFETIME_S})"
    )


def members_warning(uri: str, client: MongoClient[Document]) -> str | None:
    """Return a warning if the address names only one of several members of a connected replica set,
    else None."""
    members = _hosts(client)
    if has_members(uri) or "," not in members:
        return None
    return (
        "ALERTING_MONGODB_URI names one member of a replica set of several: while that one is away "
        f"no process finds the others, and none waits for a new primary. Name all: {members}"
    )


@contextmanager
def open_database(uri: str, name: str, timeout: float | None = None) -> Iterator[MongoDatabase]:
    """Yield the named database. Raises DatabaseDown if the server does not answer, or if the
    connection is lost.

    One of several servers must answer at once; it need not be a primary yet.
    """
    with connect(uri, timeout) as client, database_errors(_hosts(client)):
        if timeout is None and has_members(uri):
            with pymongo.timeout(TIMEOUT_S):
                client.admin.command("ping", read_preference=ReadPreference.NEAREST)
        yield client[name]


@contextmanager
def open_stores(
    uri: str,
    name: str,
    timeout: float | None = None,
    prepare: bool = False,
    state_parts: int = 1,
    zone: tzinfo = UTC,
) -> Iterator[MongoStores]:
    """Yield all stores of the named database, after one round trip that reads the version of its
    schema.

    With `prepare` a database of another version is prepared first, in the `zone` of the plant.
    Without `prepare` it raises NotPrepared. Raises DatabaseDown if the server does not answer, and
    UserError if it is no replica set.
    """
    with open_database(uri, name, timeout) as database:
        try:
            check_prepared(database)
        except NotPrepared:
            require_replica_set(database.client, _hosts(database.client))
            if not prepare:
                raise
            prepare_database(database, zone)
        require_replica_set(database.client, _hosts(database.client))
        yield MongoStores(database, state_parts=state_parts)


@contextmanager
def database_errors(hosts: str) -> Iterator[None]:
    """Raise DatabaseDown, for people, for a lost or refused connection to the `hosts`."""
    try:
        yield
    except (ConnectionFailure, WTimeoutError) as error:
        raise NoAnswer(
            f"the database at {hosts} does not answer: start it with `alerting up`, or set "
            "ALERTING_MONGODB_URI "
            f"to a running server ({cut_message(error)})"
        ) from error
    except OperationFailure as error:
        if error.code == 14031:  # code of OutOfDiskSpace
            raise DatabaseDown(
                f"the disk of the database at {hosts} is full: free some space, then run this again"
            ) from error
        if error.code == KEYS_NOT_LOADED:
            raise DatabaseDown(
                f"the database at {hosts} has just started and is not ready yet: try again"
            ) from error
        if error.code not in (13, 18):  # codes of Unauthorized and AuthenticationFailed
            raise
        raise DatabaseDown(
            f"the database at {hosts} refuses the user or password in ALERTING_MONGODB_URI: "
            f"{cut_message(error)}"
        ) from error


def is_outage(error: Exception) -> bool:
    """Return whether an error concerns the database, and not the documents to store."""
    if isinstance(error, BulkWriteError):
        return bool((error.details or {}).get("writeConcernErrors"))
    return isinstance(error, PyMongoError | DatabaseDown) and not isinstance(error, WriteError)


def _hosts(client: MongoClient[Document]) -> str:
    seeds = client.topology_description.server_descriptions()
    return ", ".join(sorted(f"{host}:{port}" for host, port in seeds))


def list_disks(home: Path, database: MongoDatabase) -> list[Disk]:
    """Return the disk of the home, and the disk of the database if its server tells its size."""
    usage = shutil.disk_usage(next(folder for folder in (home, *home.parents) if folder.exists()))
    disks = [Disk("home", usage.free)]
    try:
        stats = database.command("dbStats")
    except OperationFailure:  # a user without this right
        return disks
    total = int(stats.get("fsTotalSize", 0))
    if total in (0, usage.total):
        return disks
    return [*disks, Disk("database", total - int(stats.get("fsUsedSize", 0)))]


def read_database(database: MongoDatabase) -> DatabaseState:
    """Return name, size and members of the database server. Raises PyMongoError if it does not
    answer.

    An account that may not read the state of the replica set gets the names of its members.
    """
    stats = database.command("dbStats")
    size = int(stats.get("storageSize", 0)) + int(stats.get("indexSize", 0))
    server = f"MongoDB {database.client.server_info()['version']}"
    try:
        statuses = database.client.admin.command("replSetGetStatus")["members"]
        members = {str(member["name"]): str(member["stateStr"]).lower() for member in statuses}
    except OperationFailure:  # an account without this right
        hello = database.client.admin.command("hello")
        primary = hello.get("primary")
        hosts = hello.get("hosts", [])
        members = {host: "primary" if host == primary else "member" for host in hosts}
    return DatabaseState(server, size, members)


_ID = "clock"
_STORED_AND_NOW: list[Document] = [
    {"$documents": [{"now": "$$NOW"}]},
    {"$lookup": {"from": CLOCK, "pipeline": [{"$match": {"_id": _ID}}], "as": "stored"}},
]


class MongoClock:
    """Port `Clock`, and the clock of a line. Without a document the time is real, else `base` plus
    `speed` times the time since `anchored`.

    The clock stops at `until`, so that it does not run ahead of a line whose process has ended. It
    never goes back.
    """

    def __init__(self, database: MongoDatabase, wall: Callable[[], datetime] | None = None) -> None:
        """`wall`: the real time, by default that of the database server, so that the clocks of
        several machines need not agree."""
        self._database = database
        self._clock = database[CLOCK]
        self._real = wall

    def now(self) -> datetime:
        """Return the time of this clock, to the millisecond."""
        stored, wall = self._read()
        return wall if stored is None else _compute_clock(stored, wall)

    def line_speed(self) -> float | None:
        """Return seconds of the simulated line per second, 0 while the line stands; None in real
        time."""
        stored, wall = self._read()
        if stored is None:
            return None
        return float(stored["speed"]) if wall < stored["until"] else 0.0

    def difference(self) -> ClockDifference:
        """Return how far the clock of this machine is ahead of the real time of this clock."""
        now = self._read()[1]
        return ClockDifference(socket.gethostname(), datetime.now(UTC) - now, now)

    def start(self, base: datetime, speed: float, lease: timedelta) -> None:
        """Show from now on `base` plus `speed` seconds per second of real time, and stop at the end
        of the lease.

        A clock that is already after `base`, within its last lease, continues from its own time.
        """
        stored, wall = self._read()
        shown = base if stored is None else max(base, _compute_clock(stored, wall))
        self._store_clock(shown, speed, wall, wall + lease)

    def renew(self, lease: timedelta) -> None:
        """Continue for another `lease` of real time, from the instant at which a stopped clock
        stands."""
        stored, wall = self._read()
        if stored is not None:
            self._store_clock(_compute_clock(stored, wall), stored["speed"], wall, wall + lease)

    def freeze(self) -> None:
        """Stop at the current instant of this clock."""
        stored, wall = self._read()
        shown = wall if stored is None else _compute_clock(stored, wall)
        self._store_clock(shown, 0.0, wall, wall)

    def _read(self) -> tuple[Document | None, datetime]:
        """Return the stored clock, and the real time in the stored precision, so that a renewal
        does not change it."""
        if self._real is not None:
            return self._clock.find_one({"_id": _ID}), whole_millis(self._real())
        [answer] = self._database.aggregate(_STORED_AND_NOW)
        return next(iter(answer["stored"]), None), answer["now"]

    def _store_clock(
        self, base: datetime, speed: float, anchored: datetime, until: datetime
    ) -> None:
        document = {"_id": _ID, "base": base, "speed": speed, "anchored": anchored, "until": until}
        self._clock.replace_one({"_id": _ID}, document, upsert=True)


def _compute_clock(stored: Document, wall: datetime) -> datetime:
    elapsed = min(wall, stored["until"]) - stored["anchored"]
    return whole_millis(stored["base"] + stored["speed"] * max(elapsed, timedelta(0)))
