"""Simulated processes on a real server, which are killed or frozen between any two of their
database commands."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from itertools import count
from typing import Any
from unittest.mock import patch

from pymongo import MongoClient, monitoring

from alerting.adapters.mongo import mongod_access
from alerting.adapters.mongo.embedded_mongod import EmbeddedMongod
from alerting.adapters.mongo.mongo import MongoStores, connect, open_stores
from alerting.stores.database.documents import MongoDatabase
from tests.helpers.databases import empty_database, filled_collections

HANDSHAKE = ("hello", "ismaster", "saslStart", "saslContinue", "ping")


class Killed(BaseException):
    """As if the process had been killed. pymongo passes on what is no Exception."""


class Commands(monitoring.CommandListener):
    """Counts the commands of a process, without handshakes; before some of them something happens.

    Once it is killed, a process sends nothing any more: neither the end of its transaction nor that
    of its sessions.
    """

    def __init__(self) -> None:
        self.names: list[str] = []
        self.in_transactions: list[str] = []
        self._happens: dict[int, Callable[[], object]] = {}
        self._dead = False

    @property
    def count(self) -> int:
        return len(self.names)

    def run_before(self, number: int, happens: Callable[[], object]) -> None:
        """Let something happen before this command."""
        self._happens[number] = happens

    def kill(self) -> None:
        self._dead = True

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        if event.command_name in HANDSHAKE:
            return
        if not self._dead:
            self.names.append(event.command_name)
            if event.command.get("autocommit") is False:
                self.in_transactions.append(event.command_name)
            self._happens.get(self.count, lambda: None)()
        if self._dead:
            raise Killed

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        pass

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        pass


@contextmanager
def process(uri: str, name: str, commands: Commands) -> Iterator[MongoStores]:
    """Yield the stores of a simulated process. If it is killed, the caller continues after the
    block."""
    with patch(
        "alerting.adapters.mongo.mongo.MongoClient",
        partial(MongoClient, event_listeners=[commands]),
    ):
        client = connect(uri)
    try:
        with suppress(Killed):
            yield MongoStores(client[name])
    finally:
        with suppress(Killed):
            client.close()
        client.close()  # the first attempt sent endSessions, which a killed process cannot send


def before_each_command(
    begin_again: Callable[[], object],
    disturbed: Callable[[Commands], object],
    happens: Callable[[Commands], Callable[[], object]],
) -> Iterator[str]:
    """Let something happen before each command of a process, one after the other, each in a run of
    its own. Yield the command."""
    for number in count(1):
        begin_again()
        commands = Commands()
        commands.run_before(number, happens(commands))
        disturbed(commands)
        if commands.count < number:
            assert "commitTransaction" in commands.names
            return
        yield f"{commands.names[number - 1]}, command {number}"


def killing(commands: Commands) -> Callable[[], object]:
    return commands.kill


@contextmanager
def prepared_stores(server: EmbeddedMongod, name: str) -> Iterator[MongoStores]:
    """Yield stores of a prepared database of a server that ends transactions after a second."""
    with short_transactions(server), open_stores(server.uri, name, prepare=True) as opened:
        yield opened


@contextmanager
def short_transactions(server: EmbeddedMongod, seconds: int = 1) -> Iterator[None]:
    """Let the server end transactions after a second, as it ends those of dead processes after
    ten."""
    with mongod_access.as_server(server.folder, server.port) as admin:
        admin.admin.command({"setParameter": 1, "transactionLifetimeLimitSeconds": seconds})
        yield
        admin.admin.command(
            {
                "setParameter": 1,
                "transactionLifetimeLimitSeconds": mongod_access.TRANSACTION_LIFETIME_S,
            }
        )


def end_transactions(server: EmbeddedMongod) -> None:
    """End all transactions that are open, as the server does by itself after its time limit."""
    with mongod_access.as_server(server.folder, server.port) as admin:
        admin.admin.command({"killAllSessions": []})


def copy_of(database: MongoDatabase) -> dict[str, list[dict[str, Any]]]:
    """Return all documents of a database."""
    return {name: list(database[name].find()) for name in filled_collections(database)}


def restore(database: MongoDatabase, documents: Mapping[str, list[dict[str, Any]]]) -> None:
    """Give a database these documents in place of its own."""
    empty_database(database)
    for name, ones in documents.items():
        if ones:
            database[name].insert_many(ones)
