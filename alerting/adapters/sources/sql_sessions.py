"""Connections to databases of sources: read only, and ended on both sides after a time."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event, Timer
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from alerting.definitions.faults import UserError, first_line
from alerting.definitions.wording.language import ENGLISH

STATEMENT_S = 60.0
"""Time that a chunk of rows may take in the database and on its way here."""
# where the address names none: the driver that the platform brings
_DRIVERS = {
    "postgresql": "postgresql+psycopg2",
    "mysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
}
_TIMEOUT_ARGUMENT = {
    "postgresql": "connect_timeout",
    "mysql": "connect_timeout",
    "mariadb": "connect_timeout",
    "mssql": "timeout",
}
_READ_ONLY = {
    "postgresql": "SET TRANSACTION READ ONLY",
    "mysql": "START TRANSACTION READ ONLY",
    "mariadb": "START TRANSACTION READ ONLY",
    "oracle": "SET TRANSACTION READ ONLY",
    "sqlite": "PRAGMA query_only = ON",
}
_GRACE_S = 5.0  # after which a statement is broken off that its server should have ended
_CONNECT_S = 10


def engine_of(name: str, address: str, word: str = "source") -> sa.Engine:
    """Return an engine of a source or sink (`word`), no pool. Raises UserError, without the
    address, if bad."""
    try:
        url = sa.make_url(address)
        url = url.set(drivername=_DRIVERS.get(url.drivername, url.drivername))
        argument = _TIMEOUT_ARGUMENT.get(url.get_backend_name())
        return sa.create_engine(
            url, poolclass=NullPool, connect_args={argument: _CONNECT_S} if argument else {}
        )
    except (ArgumentError, ValueError):  # ValueError of a port that is no number quotes the address
        raise UserError(
            f"{ENGLISH.say(word)} {name}: its url is not the address of a database; write for "
            "example postgresql://user:password@host:5432/database"
        ) from None
    except (NoSuchModuleError, ModuleNotFoundError) as error:
        raise UserError(
            f"{ENGLISH.say(word)} {name}: the driver of its database is not installed: "
            f"{first_line(error)}"
        ) from error


@contextmanager
def read_transaction(connection: sa.Connection, seconds: float) -> Iterator[None]:
    """Begin a transaction that only reads, as far as the database knows such, and end it.

    Raises TimeoutError if it takes longer than `seconds` and its server has not ended it: by then
    the connection is closed.
    """
    with _bounded(connection, seconds):
        if (read_only := _READ_ONLY.get(connection.dialect.name)) is not None:
            connection.exec_driver_sql(read_only)
        yield


@contextmanager
def write_transaction(connection: sa.Connection, seconds: float) -> Iterator[None]:
    """Begin a transaction, and commit it unless it fails. Raises TimeoutError as
    `read_transaction`."""
    with _bounded(connection, seconds):
        yield
        connection.commit()


@contextmanager
def _bounded(connection: sa.Connection, seconds: float) -> Iterator[None]:
    raw = connection.connection.dbapi_connection
    is_late = Event()

    def break_off() -> None:
        is_late.set()
        _break_off(raw)

    limits = _limits(connection, raw, seconds)
    timer = Timer(seconds + (_GRACE_S if limits else 0.0), break_off)
    timer.daemon = True
    timer.start()
    try:
        for limit in limits:
            connection.exec_driver_sql(limit)
        yield
    except (
        Exception
    ) as fault:  # drivers disagree on the exception of a connection that was closed under them
        if is_late.is_set():
            raise TimeoutError(f"no answer within {seconds:g} s") from fault
        raise
    finally:
        timer.cancel()
        with suppress(SQLAlchemyError):
            connection.rollback()


def leave(connection: sa.Connection) -> None:
    """Close a connection that has rows left, without reading them as PyMySQL would."""
    unread = getattr(connection.connection.dbapi_connection, "_result", None)
    if unread is not None:
        unread.unbuffered_active = False
    connection.invalidate()


def _limits(connection: sa.Connection, raw: Any, seconds: float) -> tuple[str, ...]:
    """Return statements by which the server ends long ones, or set the driver's own limit."""
    millis = max(int(seconds * 1000), 1)
    dialect = connection.dialect
    if dialect.name == "postgresql":
        return (f"SET LOCAL statement_timeout = {millis}",)
    if getattr(dialect, "is_mariadb", False):
        return (f"SET SESSION max_statement_time = {seconds:g}",)
    # the version from which MySQL has a limit of time
    if dialect.name == "mysql" and (dialect.server_version_info or ()) >= (5, 7, 8):
        return (f"SET SESSION max_execution_time = {millis}",)
    with suppress(Exception):  # a driver that lacks it is bounded by the timer alone
        if dialect.name == "mssql":
            raw.timeout = max(int(seconds), 1)
        elif dialect.name == "oracle":
            raw.call_timeout = millis
    return ()


def _break_off(raw: Any) -> None:
    """End what a connection waits for, from another thread: by its driver, or its socket."""
    with suppress(Exception):
        if hasattr(raw, "interrupt"):  # SQLite
            raw.interrupt()
        elif hasattr(raw, "fileno") or hasattr(raw, "_sock"):  # PostgreSQL; MySQL and MariaDB
            number = raw.fileno() if hasattr(raw, "fileno") else raw._sock.fileno()
            with socket.socket(fileno=os.dup(number)) as same:
                same.shutdown(socket.SHUT_RDWR)
        else:  # Oracle
            raw.cancel()


def reason_of(error: Exception) -> str:
    """Return what the database said, without what the library adds."""
    cause = getattr(error, "orig", None)
    return first_line(cause if isinstance(cause, Exception) else error)
