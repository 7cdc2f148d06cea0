"""Sink of a table in PostgreSQL, MariaDB, MySQL or SQLite: a row for each message, stored once by
its key."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError

from alerting.adapters.receivers.sinks import Surroundings
from alerting.adapters.sources.sql import STATEMENT_S, engine_of, reason_of, write_transaction
from alerting.definitions.faults import UserError
from alerting.definitions.routes_and_sinks import SinkContent, SqlSink
from alerting.ports import ACCEPTED, Answer, ReceiverAway, SinkMessage

_AT_ONCE = 500
_DIALECTS = ("postgresql", "mysql", "mariadb", "sqlite")
_OF_THE_ROW = frozenset({1048, 1264, 1265, 1366, 1406, 3819, 4025})
"""Codes of MariaDB and MySQL that concern the values of a row, and that its driver names otherwise.
"""
_Columns = list[tuple[str, str]]
_KEY: _Columns = [("key", "key"), ("at", "instant")]
_TARGET: _Columns = [("definition", "name"), ("asset", "name")]
_ALARM: _Columns = [
    *_KEY,
    *_TARGET,
    ("sends", "name"),
    ("transition", "name"),
    ("actor", "text"),
    ("reason", "text"),
    ("episode", "name"),
    ("revision", "whole"),
    ("kind", "name"),
    ("title", "text"),
    ("severity", "name"),
    ("state", "name"),
    ("acknowledged", "flag"),
    ("acknowledged_by", "text"),
    ("muted", "flag"),
    ("withdrawn", "flag"),
    ("raised_at", "instant"),
    ("closed_at", "instant"),
    ("message", "text"),
    ("value", "number"),
    ("limit_value", "number"),
]
_SCORE: _Columns = [
    *_KEY,
    *_TARGET,
    ("score", "number"),
    ("limit_value", "number"),
    ("model_version", "whole"),
]
_FORECAST: _Columns = [
    *_KEY,
    *_TARGET,
    ("model_version", "whole"),
    ("ahead_s", "number"),
    ("low", "number"),
    ("median", "number"),
    ("high", "number"),
]
COLUMNS: Mapping[SinkContent, _Columns] = {
    "alarms": _ALARM,
    "acknowledgements": _ALARM,
    "scores": _SCORE,
    "forecasts": _FORECAST,
}


def rows_of(message: SinkMessage) -> list[dict[str, Any]]:
    """Return a message as rows: one for each value ahead of a forecast, a single one for other
    messages."""
    content = message.content
    names = [name for name, _ in COLUMNS[message.sends]]
    row = {name: content.get("limit" if name == "limit_value" else name) for name in names}
    row |= {"key": message.key, "at": message.at}
    for name in ("raised_at", "closed_at"):
        if row.get(name) is not None:
            row[name] = datetime.fromisoformat(str(row[name]))
    if message.sends != "forecasts":
        return [row]
    return [
        {**row, **value, "key": f"{message.key}:{value['ahead_s']:g}"}
        for value in content["values"]
    ]


class SqlReceiver:
    """Port `SinkClient`: a batch is one transaction; if it fails, each message gets its own
    transaction."""

    def __init__(self, sink: SqlSink, surroundings: Surroundings) -> None:
        """Connect, and create the tables that are missing. Raises ReceiverAway, UserError."""
        self._engine = engine_of(sink.name, surroundings.resolve(sink.url), "sink")
        dialect = self._engine.dialect.name
        if dialect not in _DIALECTS:
            raise UserError(
                f"sink {sink.name}: {dialect} is not supported: PostgreSQL, MariaDB, MySQL, SQLite"
            )
        self._is_zoned = dialect == "postgresql"
        metadata = sa.MetaData()
        self._tables: dict[SinkContent, sa.Table] = {}
        for content in sink.sends:
            schema, _, name = sink.table.replace("{sends}", content).rpartition(".")
            key = f"{schema}.{name}" if schema else name
            if key not in metadata.tables:  # as for another content with the same table
                columns = [_column(*column) for column in COLUMNS[content]]
                sa.Table(name, metadata, *columns, schema=schema or None)
            self._tables[content] = metadata.tables[key]
        try:
            self._connection = self._engine.connect()
            with write_transaction(self._connection, STATEMENT_S):
                metadata.create_all(self._connection)
        except (SQLAlchemyError, TimeoutError) as error:
            raise ReceiverAway(f"the database refuses: {reason_of(error)}") from error

    def send(self, messages: Sequence[SinkMessage]) -> Iterator[Answer]:
        for start in range(0, len(messages), _AT_ONCE):
            piece = messages[start : start + _AT_ONCE]
            if len(piece) > 1 and self._store(piece) == ACCEPTED:
                yield from [ACCEPTED] * len(piece)
            else:
                yield from (self._store([message]) for message in piece)

    def keep_alive(self) -> None:
        try:
            with write_transaction(self._connection, STATEMENT_S):
                self._connection.execute(sa.select(sa.literal(1)))
        except (SQLAlchemyError, TimeoutError) as error:
            raise ReceiverAway(f"the database is away: {reason_of(error)}") from error

    def probe(self, message: SinkMessage) -> str:  # noqa: ARG002 - a test stores no row
        try:
            with write_transaction(self._connection, STATEMENT_S):
                for table in self._tables.values():
                    self._connection.execute(sa.select(table).limit(0))
        except (SQLAlchemyError, TimeoutError) as error:
            raise UserError(f"a table has other columns: {reason_of(error)}") from error
        names = ", ".join(sorted({str(table) for table in self._tables.values()}))
        return f"the database has the tables {names}; no row was stored"

    def close(self) -> None:
        with suppress(SQLAlchemyError):
            self._connection.close()
        self._engine.dispose()

    def _store(self, messages: Sequence[SinkMessage]) -> Answer:
        by_table: dict[sa.Table, list[dict[str, Any]]] = {}
        for message in messages:
            rows = by_table.setdefault(self._tables[message.sends], [])
            rows += [{name: self._value(v) for name, v in row.items()} for row in rows_of(message)]
        try:
            with write_transaction(self._connection, STATEMENT_S):
                for table, rows in by_table.items():
                    self._connection.execute(_insert_new(self._engine.dialect.name, table), rows)
        except DBAPIError as error:
            if not _concerns_rows(error):
                raise ReceiverAway(f"the database refuses: {reason_of(error)}") from error
            return Answer("refused", f"the database refuses: {reason_of(error)}")
        except (SQLAlchemyError, TimeoutError) as error:
            raise ReceiverAway(f"the database is away: {reason_of(error)}") from error
        return ACCEPTED

    def _value(self, value: Any) -> Any:
        """Return a value of a row; instants are in UTC, without a zone where columns have none."""
        if not isinstance(value, datetime):
            return value
        at = value.astimezone(UTC)
        return at if self._is_zoned else at.replace(tzinfo=None)


def _column(name: str, kind: str) -> "sa.Column[Any]":
    instant = sa.DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=3), "mysql", "mariadb")
    types: Mapping[str, Any] = {
        "key": sa.String(400),
        "name": sa.String(100),
        "text": sa.Text(),
        "instant": instant,
        "number": sa.Double(),
        "whole": sa.Integer(),
        "flag": sa.Boolean(),
    }
    is_key = kind == "key"
    is_given = is_key or name in ("at", "definition", "asset")
    return sa.Column(name, types[kind], primary_key=is_key, nullable=not is_given)


def _insert_new(dialect: str, table: sa.Table) -> Any:
    """Return the statement that stores rows whose key is new, and leaves the other rows
    unchanged."""
    if dialect == "postgresql":
        return postgresql.insert(table).on_conflict_do_nothing(index_elements=["key"])
    if dialect == "sqlite":
        return sqlite.insert(table).on_conflict_do_nothing(index_elements=["key"])
    insert = mysql.insert(table)
    return insert.on_duplicate_key_update(key=table.c.key)


def _concerns_rows(error: DBAPIError) -> bool:
    """Return whether a fault concerns the values of a row, and not the connection or the table."""
    code = error.orig.args[0] if error.orig is not None and error.orig.args else None
    return isinstance(error, DataError | IntegrityError) or code in _OF_THE_ROW
