"""Rows of tables and queries in any database that SQLAlchemy knows, read on from an increasing column."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from datetime import time as time_of_day
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from alerting.adapters.sources.secrets import Resolve
from alerting.definitions.faults import UserError, first_line
from alerting.definitions.sources.source import SqlSource
from alerting.ports import Records

_CONNECT_S = 10
_DRIVERS = {
    "postgresql": "postgresql+psycopg2",
    "mysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
}  # where the address names none: the driver that the platform brings
_TIMEOUT_ARGUMENT = {
    "postgresql": "connect_timeout",
    "mysql": "connect_timeout",
    "mariadb": "connect_timeout",
    "mssql": "timeout",
}
Cursor = int | float | Decimal | str | datetime | date


@dataclass(frozen=True)
class SqlReader:
    """Port `RecordReader` for sources of kind `sql`. `plant_zone`: of instants without a zone where the source names none."""

    resolve: Resolve
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    plant_zone: str | None = None

    def read(self, source: SqlSource, cursor: str | None) -> Iterator[Records]:
        """Yield chunks of rows whose cursor is not below the last one, in its order.

        Rows with the last value itself are read again: others of it may have come since. Raises UserError if the database cannot
        be reached or read, if more rows share a value than fit into a chunk, or if the source has an overlap and its cursor is no
        instant. A cursor of instants stays at most at now: one row with a later stamp does not hide the rows before it.
        """
        engine = _engine(source, self.resolve(source.url))
        try:
            with engine.connect() as connection:
                latest = self.now().astimezone(ZoneInfo(source.timezone or self.plant_zone or "UTC"))
                yield from _chunks(connection, source, cursor, latest)
        except SQLAlchemyError as error:
            raise UserError(f"source {source.name}: the database refuses: {_reason(error)}") from error
        finally:
            engine.dispose()


def _engine(source: SqlSource, address: str) -> sa.Engine:
    """Return an engine without a pool. Raises UserError, without the address, if that cannot be used."""
    try:
        url = sa.make_url(address)
        url = url.set(drivername=_DRIVERS.get(url.drivername, url.drivername))
        argument = _TIMEOUT_ARGUMENT.get(url.get_backend_name())
        return sa.create_engine(url, poolclass=NullPool, connect_args={argument: _CONNECT_S} if argument else {})
    except (ArgumentError, ValueError):  # ValueError of a port that is no number quotes the address
        hint = "write for example postgresql://user:password@host:5432/database"
        raise UserError(f"source {source.name}: its url is not the address of a database; {hint}") from None
    except (NoSuchModuleError, ModuleNotFoundError) as error:
        raise UserError(f"source {source.name}: the driver of its database is not installed: {first_line(error)}") from error


def _chunks(connection: sa.Connection, source: SqlSource, cursor: str | None, latest: datetime) -> Iterator[Records]:
    """Yield chunks. `latest`: now in the zone of the source, beyond which no cursor is stored."""
    last = None if cursor is None else _read_cursor(cursor)
    if source.overlap is not None and isinstance(last, datetime):
        last -= source.overlap
    while True:
        rows = [_plain(row) for row in connection.execute(_statement(source, last)).mappings()]
        if not rows:
            return
        if source.cursor not in rows[0]:
            raise UserError(f"source {source.name}: the rows have no column {source.cursor!r}: {', '.join(rows[0])}")
        newest = rows[-1][source.cursor]
        if source.overlap is not None and not isinstance(newest, datetime):
            raise UserError(
                f"source {source.name}: its cursor {source.cursor!r} is no instant ({newest!r}), so it can have no overlap: "
                "name a column of instants as cursor, or leave overlap out"
            )
        yield Records(rows, _write_cursor(_at_most(newest, latest)))
        if len(rows) < source.chunk:
            return
        if rows[0][source.cursor] == newest:
            raise UserError(
                f"source {source.name}: {source.chunk} rows or more have the {source.cursor} {newest}, so reading cannot go on "
                "after it: name another column as cursor, or a larger chunk"
            )
        last = newest


def _statement(source: SqlSource, last: Cursor | None) -> sa.Select[Any]:
    column: sa.ColumnClause[Any] = sa.column(source.cursor)
    rows: Any
    if source.query is not None:
        rows = sa.text(f"({source.query.rstrip().rstrip(';')}) AS source_rows")
    else:
        schema, _, table = str(source.table).rpartition(".")
        rows = sa.table(table, schema=schema or None)
    chosen: sa.Select[Any] = sa.select(sa.literal_column("*")).select_from(rows).where(column.is_not(None))
    return (chosen if last is None else chosen.where(column >= last)).order_by(column).limit(source.chunk)


def _plain(row: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(title): _value(value) for title, value in row.items()}


def _value(value: Any) -> Any:
    """Return a value that a row of a source may hold: a day becomes its first instant, what is no value of a row its text."""
    if value is None or isinstance(value, bool | int | float | Decimal | str | datetime):
        return value
    if isinstance(value, date):
        return datetime.combine(value, time_of_day())
    return None if isinstance(value, bytes | memoryview) else str(value)


def _at_most(value: Any, latest: datetime) -> Any:
    if not isinstance(value, datetime):
        return value
    return min(value, latest if value.tzinfo else latest.replace(tzinfo=None))


def _write_cursor(value: Any) -> str:
    kind = "instant" if isinstance(value, datetime) else "text" if isinstance(value, str) else "number"
    return json.dumps({kind: value.isoformat() if isinstance(value, datetime) else str(value)})


def _read_cursor(text: str) -> Cursor:
    [(kind, value)] = json.loads(text).items()
    if kind == "instant":
        return datetime.fromisoformat(value)
    if kind == "text":
        return str(value)
    return int(value) if value.lstrip("-").isdecimal() else Decimal(value)


def _reason(error: SQLAlchemyError) -> str:
    """Return the message of the database, without the statement and its values."""
    cause = getattr(error, "orig", None)
    return first_line(cause if isinstance(cause, Exception) else error)
