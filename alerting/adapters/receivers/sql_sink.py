"""Sink of tables in PostgreSQL, MariaDB, MySQL or SQLite: a row for each message or value, stored
once by its key; and the views of the folder `views` on these tables, for reports."""

import hashlib
import logging
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError

from alerting.adapters.receivers.sinks import Surroundings
from alerting.adapters.sources.addresses_and_secrets import Unusable
from alerting.adapters.sources.sql import STATEMENT_S, engine_of, reason_of, write_transaction
from alerting.definitions.faults import UserError
from alerting.definitions.routes_and_sinks import SinkContent, SqlSink
from alerting.ports import ACCEPTED, Answer, ReceiverAway, SinkMessage

_log = logging.getLogger(__name__)
_AT_ONCE = 5000
"""Rows of one transaction, which must end within `STATEMENT_S`."""
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
_READING: _Columns = [
    *_KEY,
    ("asset", "name"),
    ("variable", "name"),
    ("value", "number"),
    ("text", "text"),
    ("low_limit", "number"),
    ("high_limit", "number"),
]
COLUMNS: Mapping[SinkContent, _Columns] = {
    "alarms": _ALARM,
    "acknowledgements": _ALARM,
    "scores": _SCORE,
    "forecasts": _FORECAST,
    "readings": _READING,
}
_VIEWS = Path(__file__).with_name("views")


def rows_of(message: SinkMessage) -> list[dict[str, Any]]:
    """Return a message as rows: one for each value ahead of a forecast, one for each variable of a
    reading (booleans as 0 and 1), a single one for other messages."""
    content = message.content
    if message.sends == "readings":
        return [
            {
                "key": f"{content['sink']}:{message.asset}:{content['ts']}:{variable}",
                "at": message.at,
                "asset": message.asset,
                "variable": variable,
                "value": None if value is None or isinstance(value, str) else float(value),
                "text": value if isinstance(value, str) else None,
                "low_limit": content["limits"][variable]["low"],
                "high_limit": content["limits"][variable]["high"],
            }
            for variable, value in content["values"].items()
        ]
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
        """Connect, and create the tables that are missing, and the views if the login may. Raises
        ReceiverAway, UserError."""
        self._engine = engine_of(sink.name, surroundings.resolve(sink.url), "sink")
        dialect = self._engine.dialect.name
        if dialect not in _DIALECTS:
            raise Unusable(
                f"sink {sink.name}",
                f"{dialect} is not supported: PostgreSQL, MariaDB, MySQL, SQLite",
            )
        self._is_zoned = dialect == "postgresql"
        metadata = sa.MetaData()
        self._tables: dict[SinkContent, sa.Table] = {}
        for content in sink.sends:
            place = _fill(sink.table, content)
            if place.fullname not in metadata.tables:  # as for another content with the same table
                columns = [_column(*column) for column in COLUMNS[content]]
                sa.Table(place.name, metadata, *columns, schema=place.schema)
            self._tables[content] = metadata.tables[place.fullname]
        try:
            self._connection = self._engine.connect()
            with write_transaction(self._connection, STATEMENT_S):
                metadata.create_all(self._connection)
        except (SQLAlchemyError, TimeoutError) as error:
            raise ReceiverAway(f"the database refuses: {reason_of(error)}") from error
        try:
            with (
                self._engine.connect() as connection,
                write_transaction(connection, STATEMENT_S),
            ):
                write_views(connection, sink)
        except (SQLAlchemyError, TimeoutError) as error:  # rows go out all the same
            _log.warning("sink %s: its views cannot be made: %s", sink.name, reason_of(error))

    def send(self, messages: Sequence[SinkMessage]) -> Iterator[Answer]:
        for piece in _pieces(messages):
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
                    insert = _insert(
                        self._engine.dialect.name, table, table is self._tables.get("readings")
                    )
                    newest = {row["key"]: row for row in rows}
                    self._connection.execute(insert, list(newest.values()))
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


def _pieces(messages: Sequence[SinkMessage]) -> Iterator[Sequence[SinkMessage]]:
    """Yield messages in order, as many at a time as have `_AT_ONCE` rows, or a single one."""
    start = rows = 0
    for end, message in enumerate(messages):
        count = len(message.content.get("values", "-"))
        if start < end and rows + count > _AT_ONCE:
            yield messages[start:end]
            start = end
            rows = 0
        rows += count
    yield messages[start:]


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
    return sa.Column(
        name, types[kind], primary_key=is_key, nullable=not is_given, index=name == "at"
    )


def _fill(pattern: str, name: str) -> sa.TableClause:
    """Return the table or view that a pattern names."""
    schema, _, filled = pattern.replace("{sends}", name).rpartition(".")
    return sa.table(filled, schema=schema or None)


def _insert(dialect: str, table: sa.Table, renews: bool) -> Any:
    """Return the statement that stores rows whose key is new, and leaves the other rows unchanged
    or `renews` them."""
    names = [column.name for column in table.c if renews or column.name == "key"]
    if dialect in ("mysql", "mariadb"):
        into = mysql.insert(table)
        return into.on_duplicate_key_update({name: into.inserted[name] for name in names})
    insert = postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
    if not renews:
        return insert.on_conflict_do_nothing(index_elements=["key"])
    return insert.on_conflict_do_update(
        index_elements=["key"], set_={name: insert.excluded[name] for name in names}
    )


def write_views(connection: sa.Connection, sink: SqlSink) -> None:
    """Create the views on the tables of a sink, and replace those that another version has made.
    Does nothing if all are there. Raises SQLAlchemyError."""
    if not _VIEWS.is_dir():
        return
    dialect = connection.dialect
    written = tomllib.loads((_VIEWS / "dialects.toml").read_text(encoding="utf-8"))
    phrases = written[dialect.name.replace("mariadb", "mysql")]
    inspector = sa.inspect(connection)
    has_pattern = "{sends}" in sink.table
    tables = {
        content: dialect.identifier_preparer.format_table(place)
        for content in (COLUMNS if has_pattern else sink.sends)
        if inspector.has_table((place := _fill(sink.table, content)).name, schema=place.schema)
    }
    names = {**phrases, **tables, **_unions(tables)}
    pattern = sink.table if has_pattern else f"{sink.table}_{{sends}}"
    texts = dict[str, str]()
    for path in sorted(_VIEWS.glob("*.sql")):
        with suppress(KeyError):  # of a table that no sink has made
            texts[path.stem] = path.read_text(encoding="utf-8").format_map(names)
            names[path.stem] = dialect.identifier_preparer.format_table(_fill(pattern, path.stem))
    stamp = f"made_{hashlib.sha256(repr(texts).encode()).hexdigest()[:12]}"
    schema = _fill(pattern, "").schema
    views = {_fill(pattern, stem).name: stem for stem in texts}
    present = [name for name in views if name in inspector.get_view_names(schema=schema)]
    if len(present) == len(views) and all(
        stamp in str(inspector.get_view_definition(name, schema=schema)) for name in present
    ):
        return
    connection.exec_driver_sql(phrases["begin"])
    for name in reversed(present):
        connection.execute(sa.text(f"DROP VIEW {names[views[name]]}"))
    for stem, text in texts.items():
        view = f"CREATE VIEW {names[stem]} AS SELECT * FROM ({text}) AS {stamp}"  # noqa: S608 - files of the package
        connection.execute(sa.text(view))


def _unions(tables: Mapping[SinkContent, str]) -> dict[str, str]:
    """Return the tables of several contents as one: `changes` of alarms, and the `definitions` and
    `assets` of all rows."""
    columns = {
        "changes": ("*", ("alarms", "acknowledgements")),
        "definitions": ("definition", ("alarms", "acknowledgements", "scores", "forecasts")),
        "assets": ("asset", tuple(COLUMNS)),
    }
    return {
        name: f"({' UNION ALL '.join(f'SELECT {column} FROM {t}' for t in present)})"  # noqa: S608
        for name, (column, contents) in columns.items()
        if (present := dict.fromkeys(tables[c] for c in contents if c in tables))
    }


def _concerns_rows(error: DBAPIError) -> bool:
    """Return whether a fault concerns the values of a row, and not the connection or the table."""
    code = error.orig.args[0] if error.orig is not None and error.orig.args else None
    return isinstance(error, DataError | IntegrityError) or code in _OF_THE_ROW
