"""What a source of kind `sql` may do to a database, and a database to the platform, on real
servers."""

import time

import pytest
from sqlalchemy.exc import DBAPIError

from alerting.adapters.sources import sql
from alerting.adapters.sources.addresses_and_secrets import resolver
from alerting.adapters.sources.file_drops import FolderDrop
from alerting.adapters.sources.sql import SqlReader
from alerting.definitions.faults import UserError
from alerting.usecases.sources.poll import Readers, poll
from alerting.usecases.sources.status import SOURCES
from tests.builders import at
from tests.helpers.mariadb import mariadb_server
from tests.helpers.postgres import postgres_server
from tests.in_memory_platform import memory_platform

SOURCE = {"name": "quality", "kind": "sql", "url": {"env": "DB"}, "cursor": "id", "asset": "oven-1"}
ROWS = "SELECT id, ts, id * 1.5 AS hardness FROM results"
WRITE = {
    "postgres": (
        "CREATE FUNCTION noted() RETURNS int LANGUAGE sql VOLATILE AS 'INSERT INTO results VALUES "
        "(9) RETURNING id'"
    ),
    "mariadb": (
        "CREATE FUNCTION noted() RETURNS INT MODIFIES SQL DATA BEGIN INSERT INTO results VALUES "
        "(9, ''); RETURN 9; END"
    ),
}
LONG = {
    "postgres": "SELECT pg_sleep(60)::text AS id",
    "mariadb": "SELECT SLEEP(60) AS id",
    "sqlite": (
        "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 1e12) SELECT "
        "count(*) AS id FROM c"
    ),
}


@pytest.fixture(scope="module")
def postgres():
    yield from postgres_server()


@pytest.fixture(scope="module")
def mariadb(tmp_path_factory):
    yield from mariadb_server(tmp_path_factory.mktemp("mariadb"))


@pytest.fixture(params=["postgres", "mariadb", "sqlite"])
def kind(request):
    return request.param


@pytest.fixture
def database(request, kind, tmp_path):
    """The address of a database of this kind with a table `results` of eight rows."""
    address = (
        f"sqlite:///{tmp_path}/plant.db" if kind == "sqlite" else request.getfixturevalue(kind)
    )
    statements = [
        *(["DROP FUNCTION IF EXISTS noted"] if kind in WRITE else []),
        "DROP TABLE IF EXISTS results",
        "CREATE TABLE results (id int, ts varchar(30))",
        "INSERT INTO results VALUES "  # noqa: S608
        + ", ".join(f"({id}, '2026-01-05T12:0{id}:00Z')" for id in range(1, 9)),
        *([WRITE[kind]] if kind in WRITE else []),
    ]
    with opened(address) as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    return address


def opened(address):
    return sql.engine_of("test", address).begin()


def count(address):
    with opened(address) as connection:
        return connection.exec_driver_sql("SELECT count(*) FROM results").scalar()


def platform_with(query, **changes):
    made = memory_platform()
    SOURCES.apply(made, [SOURCE | {"query": query} | changes], "ada", at(0))
    return made


def read(platform, address, **options):
    return poll(
        platform,
        Readers(FolderDrop(), SqlReader(resolver({"DB": str(address)}), **options)),
        "quality",
        at(1),
    )


@pytest.mark.parametrize("kind", ["postgres", "mariadb"], indirect=True)
def test_a_query_with_a_side_effect_is_refused_by_the_server_and_changes_nothing(database):
    platform = platform_with("SELECT id, ts, noted() AS hardness FROM results")
    with pytest.raises(UserError, match=r"the database refuses: .*(?i:read.only)"):
        read(platform, database)
    assert count(database) == 8
    assert "the database refuses" in platform.deliveries.progress("quality").fault


def test_the_transaction_of_every_chunk_refuses_to_write(database):
    with sql.engine_of("test", database).connect() as connection:
        for _ in range(2):
            with (
                pytest.raises(DBAPIError, match=r"(?i)read.?only"),
                sql.read_transaction(connection, 5.0),
            ):
                connection.exec_driver_sql("DELETE FROM results")
    assert count(database) == 8


@pytest.mark.parametrize(
    ("kind", "ends_by_itself"),
    [
        ("postgres", True),
        ("postgres", False),
        ("mariadb", True),
        ("mariadb", False),
        ("sqlite", True),
    ],
    indirect=["kind"],
)
def test_what_takes_too_long_is_ended_or_left_and_the_next_poll_reads_on(
    kind, database, monkeypatch, ends_by_itself
):
    platform = platform_with(LONG[kind])
    told = r"timeout|max_statement_time|no answer within 0\.5 s"
    if not ends_by_itself:
        monkeypatch.setattr(sql, "_time_limit_statements", lambda *_: ())
        told = r"the database gave no answer within 0\.5 s, and was left; an index"
    began = time.monotonic()
    with pytest.raises(UserError, match=told):
        read(platform, database, statement_s=0.5)
    assert time.monotonic() - began < 30
    SOURCES.apply(platform, [SOURCE | {"query": ROWS}], "ada", at(2))
    assert read(platform, database).new == 8


def test_a_chunk_ends_with_its_bytes_and_the_rows_after_it_are_read_too(
    kind, database, monkeypatch
):
    monkeypatch.setattr(sql, "MOST_BYTES", 1000)
    monkeypatch.setattr(sql, "_MOST_OF_ONE", 4000)
    sizes = []
    platform = platform_with(ROWS)
    monkeypatch.setattr(sql, "_size", lambda row: sizes.append(row) or 600)
    assert read(platform, database).new == 8
    assert len(sizes) > 8  # a row at the end of a chunk is read again by the next
    monkeypatch.setattr(sql, "_size", lambda row: 2000)
    with pytest.raises(
        UserError, match=r"rows with the id 5 have more than .* a query without the large columns"
    ):
        read(platform_with("SELECT 5 AS id, ts, 1.5 AS hardness FROM results"), database)
