"""Rows of tables and queries in databases of SQLAlchemy, read onwards along an increasing column,
over read-only connections with a time limit at the server and here."""

import json
import math
import os
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from datetime import time as time_of_day
from decimal import Decimal
from functools import partial
from threading import Event, Timer
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from alerting.adapters.sources.addresses_and_secrets import Resolve, Unusable
from alerting.definitions.faults import UserError, first_line, shown
from alerting.definitions.sources import SqlSource
from alerting.definitions.wording.language import ENGLISH
from alerting.ports import Records

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
    """Return an engine without a pool, of a source or sink (`word`). Raises UserError, without the
    address, if the address is bad."""
    try:
        url = sa.make_url(address)
        url = url.set(drivername=_DRIVERS.get(url.drivername, url.drivername))
        argument = _TIMEOUT_ARGUMENT.get(url.get_backend_name())
        return sa.create_engine(
            url, poolclass=NullPool, connect_args={argument: _CONNECT_S} if argument else {}
        )
    except (ArgumentError, ValueError):  # ValueError of a port that is no number quotes the address
        raise Unusable(
            f"{ENGLISH.say(word)} {name}",
            "its url is not the address of a database; write for example "
            "postgresql://user:password@host:5432/database",
        ) from None
    except (NoSuchModuleError, ModuleNotFoundError) as error:
        raise Unusable(
            f"{ENGLISH.say(word)} {name}",
            f"the driver of its database is not installed: {first_line(error)}",
        ) from error


@contextmanager
def read_transaction(connection: sa.Connection, seconds: float) -> Iterator[None]:
    """Begin a transaction that only reads, if the database has such transactions, and end it.

    Raises TimeoutError if it takes longer than `seconds` and its server has not ended it: by then
    the connection is closed.
    """
    with _limit_time(connection, seconds):
        if (read_only := _READ_ONLY.get(connection.dialect.name)) is not None:
            connection.exec_driver_sql(read_only)
        yield


@contextmanager
def write_transaction(connection: sa.Connection, seconds: float) -> Iterator[None]:
    """Begin a transaction, and commit it unless it fails. Raises TimeoutError as
    `read_transaction`."""
    with _limit_time(connection, seconds):
        yield
        connection.commit()


@contextmanager
def _limit_time(connection: sa.Connection, seconds: float) -> Iterator[None]:
    """Close a connection whose block takes longer than `seconds`, and roll back what is not
    committed. Raises TimeoutError then."""
    raw = connection.connection.dbapi_connection
    is_late = Event()

    def break_off() -> None:
        is_late.set()
        _break_off(raw)

    limits = _time_limit_statements(connection, raw, seconds)
    timer = Timer(seconds + (_GRACE_S if limits else 0.0), break_off)
    timer.daemon = True
    timer.start()
    try:
        for limit in limits:
            connection.exec_driver_sql(limit)
        yield
    except Exception as fault:
        # drivers disagree on the exception of a connection that was closed under them
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


def _time_limit_statements(connection: sa.Connection, raw: Any, seconds: float) -> tuple[str, ...]:
    """Return statements that let the server end long statements, or set the driver's own limit."""
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
    """End the wait of a connection from another thread, by its driver or its socket."""
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
    """Return the database's own message, without the additions of the library."""
    cause = getattr(error, "orig", None)
    return first_line(cause if isinstance(cause, Exception) else error)


MOST_BYTES = 16 << 20
"""Bytes of values after which a chunk ends, unless all its rows have the same cursor."""
_MOST_OF_ONE = 4 * MOST_BYTES
Cursor = int | float | Decimal | str | datetime | date
_MOST_AT_ONCE = 64  # rows
_LARGE_BYTES = 1 << 20
_BYTEA = 17  # the type of bytes in PostgreSQL


@dataclass(frozen=True)
class SqlReader:
    """Port `RecordReader` for sources of kind `sql`. `plant_zone`: zone of instants without one if
    the source names none.

    `statement_s`: time limit of a chunk, at the server if it has limits, and here.
    """

    resolve: Resolve
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    plant_zone: str | None = None
    statement_s: float = STATEMENT_S

    def read(self, source: SqlSource, cursor: str | None) -> Iterator[Records]:
        """Yield chunks of rows whose cursor is not below the last one, in the order of the cursor.
        Each chunk is read in a transaction of its own.

        Rows with the last value itself are read again, because more rows with this value may have
        come since. Raises UserError if the database cannot be reached or read in time, if more rows
        share a value than fit into a chunk, if the cursor cannot be read, or if the source has an
        overlap and its cursor is no instant. A cursor of instants stays at most at now, so that one
        row with a later stamp does not hide the rows before it.
        """
        last = None if cursor is None else _read_cursor(source.name, cursor)
        engine = engine_of(source.name, self.resolve(source.url))
        try:
            with engine.connect() as connection:
                latest = self.now().astimezone(
                    ZoneInfo(source.timezone or self.plant_zone or "UTC")
                )
                yield from _chunks(
                    partial(_fetch, connection, source, seconds=self.statement_s),
                    source,
                    last,
                    latest,
                )
        except SQLAlchemyError as error:
            raise UserError(
                f"source {source.name}: the database refuses: {reason_of(error)}"
            ) from error
        except TimeoutError as late:
            raise UserError(
                ENGLISH.say(
                    "source {name}: the database gave {late}, and was left; an index on the cursor "
                    "column makes the query shorter, a smaller chunk its answer",
                    name=source.name,
                    late=late.args[0] if late.args else str(late),
                )
            ) from late
        finally:
            engine.dispose()


class _Fetched(NamedTuple):
    """Rows in order of the cursor. `is_cut`: the chunk had too many bytes for its last row."""

    rows: list[dict[str, Any]]
    is_cut: bool


def _chunks(
    fetch: Callable[[Cursor | None], _Fetched],
    source: SqlSource,
    last: Cursor | None,
    latest: datetime,
) -> Iterator[Records]:
    """Yield chunks. `latest`: now in the zone of the source; no later cursor is stored."""
    if source.overlap is not None and isinstance(last, datetime):
        with suppress(OverflowError):  # of a cursor in the first days of the year 1
            last -= source.overlap
    while True:
        rows, is_cut = fetch(last)
        if not rows:
            return
        newest = _newest_stamp(source, rows)
        yield Records(rows, _write_cursor(_earlier_of(newest, latest)))
        if not is_cut and len(rows) < source.chunk:
            return
        if rows[0][source.cursor] == newest:
            raise UserError(
                f"source {source.name}: {source.chunk} rows or more have the {source.cursor} "
                f"{newest!s}, so reading cannot go on after it: name another column as cursor, "
                "or a larger chunk"
            )
        last = newest


def _fetch(
    connection: sa.Connection, source: SqlSource, last: Cursor | None, *, seconds: float
) -> _Fetched:
    """Return the next rows: a chunk, or about `MOST_BYTES`.

    Raises TimeoutError after `seconds` without an answer, UserError if the rows with one cursor are
    too large.
    """
    with read_transaction(connection, seconds):
        is_postgres = connection.dialect.name == "postgresql"
        statement = _statement(source, last, _columns(connection, source) if is_postgres else ())
        cursor = connection.execute(
            statement, execution_options={"stream_results": True}
        ).mappings()
        rows: list[dict[str, Any]] = []
        size = 0
        at_once = 1
        while new := cursor.fetchmany(min(at_once, source.chunk - len(rows))):
            added = sum(_size(row) for row in new)
            # other drivers hand on row by row without a way to the server
            at_once = min(2 * at_once, _MOST_AT_ONCE) if is_postgres and added < _LARGE_BYTES else 1
            size += added
            rows += [{str(title): _value(value) for title, value in row.items()} for row in new]
            if len(rows) >= source.chunk:
                break
            if size >= MOST_BYTES and rows[0].get(source.cursor) != rows[-1].get(source.cursor):
                leave(connection)
                return _Fetched(rows, is_cut=True)
            if size >= _MOST_OF_ONE:
                leave(connection)
                raise UserError(
                    f"source {source.name}: the rows with the {source.cursor} "
                    f"{shown(rows[-1].get(source.cursor))} have more than {_MOST_OF_ONE >> 20} "
                    "MB: name "
                    "another column as cursor, or a query without the large columns"
                )
        cursor.close()
        return _Fetched(rows, is_cut=False)


def _columns(connection: sa.Connection, source: SqlSource) -> tuple[str, ...]:
    """Return a source's columns if PostgreSQL has some of bytes, without these."""
    none = _statement(source, None).order_by(None).limit(0)
    described = connection.execute(none).cursor.description
    titles = tuple(
        str(column[0]) for column in described if column[1] != _BYTEA or column[0] == source.cursor
    )
    return titles if len(titles) < len(described) else ()


def _newest_stamp(source: SqlSource, rows: list[dict[str, Any]]) -> Any:
    """Return the last value of the cursor. Raises UserError if it is not finite and usable."""
    if source.cursor not in rows[0]:
        raise UserError(
            f"source {source.name}: the rows have no column {shown(source.cursor)}: "
            f"{', '.join(rows[0])}"
        )
    values = [row[source.cursor] for row in rows if _is_finite(row[source.cursor])]
    if not values:
        newest = shown(rows[-1][source.cursor])
        raise UserError(
            f"source {source.name}: its cursor {shown(source.cursor)} is {newest}, after which "
            "nothing can come: name a column that only increases, or leave such rows out by a "
            "query"
        )
    if source.overlap is not None and not isinstance(values[-1], datetime):
        raise UserError(
            f"source {source.name}: its cursor {shown(source.cursor)} is no instant "
            f"({shown(values[-1])}), "
            "so it can have no overlap: name a column of instants as cursor, or leave overlap "
            "out"
        )
    return values[-1]


def _is_finite(value: Any) -> bool:
    return value is not None and (not isinstance(value, float | Decimal) or math.isfinite(value))


def _statement(
    source: SqlSource, last: Cursor | None, titles: Sequence[str] = ()
) -> sa.Select[Any]:
    column: sa.ColumnClause[Any] = sa.column(source.cursor)
    rows: Any
    if source.query is not None:
        query = source.query.rstrip("; \t\r\n")
        rows = sa.text(f"({query}) AS source_rows")
    else:
        schema, _, table = str(source.table).rpartition(".")
        rows = sa.table(table, schema=schema or None)
    columns: list[Any] = [sa.column(title) for title in titles] or [sa.literal_column("*")]
    chosen = sa.select(*columns).select_from(rows).where(column.is_not(None))
    return (
        (chosen if last is None else chosen.where(column >= last))
        .order_by(column)
        .limit(source.chunk)
    )


def _size(row: Mapping[Any, Any]) -> int:
    return sum(
        len(value) if isinstance(value, str | bytes | memoryview) else 8 for value in row.values()
    )


def _value(value: Any) -> Any:
    """Return a value for a row: a day as its first instant, values of unknown types as text."""
    if value is None or isinstance(value, bool | int | float | Decimal | str | datetime):
        return value
    if isinstance(value, date):
        return datetime.combine(value, time_of_day())
    return None if isinstance(value, bytes | memoryview) else str(value)


def _earlier_of(value: Any, latest: datetime) -> Any:
    if not isinstance(value, datetime):
        return value
    return min(value, latest if value.tzinfo else latest.replace(tzinfo=None))


def _write_cursor(value: Any) -> str:
    if isinstance(value, datetime):
        return json.dumps({"instant": value.isoformat()})
    if isinstance(value, str):
        return json.dumps({"text": str(value)})
    return json.dumps({"number": str(int(value) if isinstance(value, bool) else value)})


def _read_cursor(name: str, text: object) -> Cursor:
    """Return the stored position in a source, after which reading continues. Raises UserError for a
    text that is no position."""
    try:
        if not isinstance(text, str):
            raise TypeError
        [(kind, value)] = json.loads(text).items()
        if not isinstance(value, str):
            raise TypeError
        if kind == "instant":
            return datetime.fromisoformat(value)
        if kind == "text":
            return value
        number = int(value) if value.lstrip("-").isdecimal() else Decimal(value)
        if kind != "number" or not math.isfinite(number):
            raise ValueError
    except (ArithmeticError, AttributeError, RecursionError, TypeError, ValueError):
        raise UserError(
            f"source {name}: where it was read to cannot be read ({shown(text)}, field cursor "
            "in source_progress); read it from its beginning, which stores nothing twice: "
            f"alerting read {name} --again"
        ) from None
    return number
