"""A source of kind `sql` against a real MariaDB server, and what Microsoft SQL Server would be
asked (not tested against one)."""

from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import mssql

from alerting.adapters.memory.platform import memory_platform
from alerting.adapters.sources.folder import FolderDrop
from alerting.adapters.sources.secrets import resolver
from alerting.adapters.sources.sql import SqlReader, _statement
from alerting.definitions.faults import UserError
from alerting.definitions.sources.source import parse_source
from alerting.usecases.sources.documents import apply_sources
from alerting.usecases.sources.poll import Readers, poll
from tests.builders import at
from tests.helpers.mariadb import mariadb_server
from tests.helpers.sql_results import NOON, SOURCE, expected, hardness

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    yield from mariadb_server(tmp_path_factory.mktemp("mariadb"))


@pytest.fixture
def database(server):
    engine = sa.create_engine(server.replace("mysql://", "mysql+pymysql://"))
    with engine.connect() as connection:
        for statement in (
            "DROP DATABASE IF EXISTS plant",
            "CREATE DATABASE plant",
            "CREATE TABLE plant.results (id int AUTO_INCREMENT PRIMARY KEY, taken_at datetime(3), "
            "machine int, "
            "hardness decimal(6, 2), grade varchar(10), `ok?` boolean)",
        ):
            connection.execute(sa.text(statement))
        connection.commit()
        yield connection
    engine.dispose()


def insert(database, count, start=0):
    for i in range(start, start + count):
        row = {
            "at": (NOON + timedelta(minutes=i)).replace(tzinfo=None),
            "machine": 1 + i % 2,
            "hardness": i / 2,
            "grade": "A",
        }
        statement = (
            "INSERT INTO plant.results (taken_at, machine, hardness, grade) VALUES (:at, :machine, "
            ":hardness, :grade)"
        )
        database.execute(sa.text(statement), row)
    database.commit()


def platform_with(**changes):
    made = memory_platform()
    apply_sources(
        made,
        [{name: v for name, v in {**SOURCE, **changes}.items() if v is not None}],
        "ada",
        at(0),
    )
    return made


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {
            "table": None,
            "query": "SELECT id, taken_at, machine, hardness FROM plant.results WHERE grade = 'A';",
        },
        {"cursor": "taken_at", "overlap": "5m"},
    ],
    ids=["table", "query", "instants"],
)
def test_rows_of_mariadb_are_read_in_chunks_and_on_from_the_last_one(server, database, changes):
    platform = platform_with(**changes)
    readers = Readers(
        FolderDrop(),
        SqlReader(resolver({"QUALITY_DB": server}), now=lambda: NOON + timedelta(days=1)),
    )
    insert(database, 25)
    assert poll(platform, readers, "quality", at(1)).new == 25
    insert(database, 5, start=25)
    assert poll(platform, readers, "quality", at(2)).new == 5
    assert poll(platform, readers, "quality", at(3)).new == 0
    assert hardness(platform) == expected(30)


def test_sql_server_is_asked_for_the_next_rows_in_its_own_words():
    """Not tested against a server: the statements alone."""
    plain = str(
        _statement(parse_source(SOURCE), 7).compile(
            dialect=mssql.dialect(), compile_kwargs={"literal_binds": True}
        )
    )
    assert (
        " ".join(plain.split())
        == "SELECT TOP 10 * FROM plant.results WHERE id IS NOT NULL AND id >= 7 ORDER BY id"
    )
    query = parse_source(
        {**{k: v for k, v in SOURCE.items() if k != "table"}, "query": "SELECT id FROM results"}
    )
    first = str(
        _statement(query, None).compile(
            dialect=mssql.dialect(), compile_kwargs={"literal_binds": True}
        )
    )
    expected_words = (
        "SELECT TOP 10 * FROM (SELECT id FROM results) AS source_rows WHERE id IS NOT NULL ORDER "
        "BY id"
    )
    assert " ".join(first.split()) == expected_words


def test_a_driver_that_is_not_installed_is_named():
    platform = platform_with()
    address = "mssql+pymssql://line:hidden@127.0.0.1/plant"
    with pytest.raises(UserError, match="driver of its database is not installed") as refusal:
        poll(
            platform,
            Readers(FolderDrop(), SqlReader(resolver({"QUALITY_DB": address}))),
            "quality",
            at(1),
        )
    assert "hidden" not in str(refusal.value)
