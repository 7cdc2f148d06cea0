"""A source of kind `sql` against a real PostgreSQL server."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from unittest.mock import DEFAULT, Mock

import pytest
import sqlalchemy as sa

from alerting.adapters.sources.addresses_and_secrets import resolver
from alerting.adapters.sources.file_drops import FolderDrop
from alerting.adapters.sources.sql import SqlReader
from alerting.definitions.faults import UserError
from alerting.definitions.sources import parse_source
from alerting.ports import WantedHistory
from alerting.usecases.sources.poll import Readers, poll, try_source
from alerting.usecases.sources.status import SOURCES
from tests.builders import at
from tests.helpers.postgres import postgres_server
from tests.in_memory_platform import memory_platform

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
SOURCE = {
    "name": "quality",
    "kind": "sql",
    "url": {"env": "QUALITY_DB"},
    "table": "plant.results",
    "cursor": "id",
    "chunk": 10,
    "time": "taken_at",
    "asset_column": "machine",
    "asset_prefix": "oven-",
    "variables": {"hardness": {"unit": "N"}},
}


@pytest.fixture(scope="module")
def server():
    yield from postgres_server()


@pytest.fixture
def database(server):
    """A connection to a database with an empty table of results."""
    engine = sa.create_engine(sa.make_url(server).set(drivername="postgresql+psycopg2"))
    with engine.connect() as connection:
        for statement in (
            "DROP SCHEMA IF EXISTS plant CASCADE",
            "CREATE SCHEMA plant",
            "CREATE TABLE plant.results (id serial, taken_at timestamptz, machine int, hardness "
            "numeric, grade text, ok bool, "
            "day date, raw bytea, batch uuid)",
        ):
            connection.execute(sa.text(statement))
        connection.commit()
        yield connection
    engine.dispose()


def hardness(platform):
    """Return the stored values of hardness by machine and minute."""
    found = {}
    for asset in platform.assets.all():
        frame = (
            platform.readings.load(WantedHistory(asset, None, None)).readings["hardness"].dropna()
        )
        found |= {
            (asset.name, int((ts - NOON).total_seconds() // 60)): value
            for ts, value in frame.items()
        }
    return found


def expected(count):
    """Return the hardness of the first results as `hardness` returns it."""
    return {(f"oven-{1 + i % 2}", i): i / 2 for i in range(count)}


def insert(database, count, start=0, **columns):
    """Insert results, one a minute; `columns` replace values of each."""
    plain = {"grade": "A", "ok": True, "day": "2026-01-05", "raw": b"x"}
    plain["batch"] = "6f1c9c8e-0b1a-4b44-a3d4-3f5d2a3a1a11"
    for i in range(start, start + count):
        own = {"taken_at": NOON + timedelta(minutes=i), "machine": 1 + i % 2, "hardness": i / 2}
        row = plain | own | columns
        names = ", ".join(row)
        database.execute(
            sa.text(f"INSERT INTO plant.results ({names}) VALUES (:{names.replace(', ', ', :')})"),  # noqa: S608
            row,
        )
    database.commit()


@pytest.fixture
def readers(server):
    return Readers(
        FolderDrop(),
        SqlReader(resolver({"QUALITY_DB": server}), now=lambda: NOON + timedelta(days=1)),
    )


@pytest.fixture
def platform():
    made = memory_platform()
    SOURCES.apply(made, [SOURCE], "ada", at(0))
    return made


def test_rows_are_shown_then_read_in_chunks_and_on_from_the_last_one(platform, readers, database):
    insert(database, 25)
    trial = try_source(platform, readers, parse_source(SOURCE))
    assert (trial.read, len(trial.rows), trial.rows[0]["asset"]) == (10, 10, "oven-1")
    assert platform.assets.all() == []
    first = poll(platform, readers, "quality", at(1))
    assert (first.new, first.refused) == (25, 0)
    insert(database, 5, start=25)
    assert [poll(platform, readers, "quality", at(minute)).new for minute in (2, 3)] == [5, 0]
    assert hardness(platform) == expected(30)
    progress = platform.deliveries.progress("quality")
    assert (progress.rows, progress.arrived_at, progress.newest) == (
        30,
        at(2),
        NOON + timedelta(minutes=29),
    )
    variables = platform.assets.get("oven-1").variables
    assert {name: v.type for name, v in variables.items()} == {
        "hardness": "number",
        "grade": "category",
        "ok": "boolean",
        "day": "category",
        "batch": "category",
    }
    assert (variables["hardness"].unit, variables["hardness"].source) == ("N", "quality")


def test_a_read_that_is_broken_off_goes_on_where_it_was_without_loss(platform, readers, database):
    insert(database, 25)
    killed = {"insert.side_effect": [DEFAULT, KeyboardInterrupt]}
    dying = replace(platform, reading_writes=Mock(wraps=platform.reading_writes, **killed))
    with pytest.raises(KeyboardInterrupt):
        poll(dying, readers, "quality", at(1))
    assert 0 < len(hardness(platform)) < 25
    poll(platform, readers, "quality", at(2))
    assert hardness(platform) == expected(25)


def test_a_query_with_a_cursor_of_instants_reads_rows_that_came_late_within_its_overlap(
    platform, readers, database
):
    query = "SELECT taken_at, machine, hardness FROM plant.results WHERE ok;"
    SOURCES.apply(
        platform, [{k: v for k, v in SOURCE.items() if k != "table"} | {"query": query,
        "cursor": "taken_at", "overlap": "5m"}],
        "ada", at(0),
    )  # fmt: skip
    insert(database, 10)
    database.execute(sa.text("DELETE FROM plant.results WHERE id IN (3, 8)"))
    database.commit()
    poll(platform, readers, "quality", at(1))
    insert(database, 1, start=7)
    insert(database, 1, start=2)
    assert poll(platform, readers, "quality", at(2)).new == 1
    assert hardness(platform) == {key: value for key, value in expected(10).items() if key[1] != 2}


def test_a_piece_with_faulty_rows_stores_the_others_and_one_with_faulty_rows_only_is_not_skipped(
    platform, readers, database
):
    insert(database, 3)
    insert(database, 1, start=3, machine=None)
    assert poll(platform, readers, "quality", at(1)).refused == 1
    fault = platform.deliveries.progress("quality").fault
    assert fault.startswith("1 row was refused: ")
    assert "machine: there is no asset" in fault
    # the last row again, of which this is known
    assert poll(platform, readers, "quality", at(1)).refused == 0
    cursor = platform.deliveries.progress("quality").cursor
    insert(database, 12, start=4, taken_at=None)
    with pytest.raises(UserError, match="all 10 rows that came are refused"):
        poll(platform, readers, "quality", at(2))
    assert platform.deliveries.progress("quality").cursor == cursor
    database.execute(
        sa.text("UPDATE plant.results SET taken_at = '2026-01-05T13:00Z' WHERE taken_at IS NULL")
    )
    database.commit()
    poll(platform, readers, "quality", at(3))
    assert len(hardness(platform)) == 5  # three, and the two machines at one instant


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"table": "plant.nothing"}, "does not exist"),
        ({"cursor": "nothing"}, "does not exist"),
        ({"cursor": "machine"}, "name another column as cursor"),
        ({"url": {"env": "NOT_SET"}}, "NOT_SET is not set"),
        ({"url": {"airflow_connection": "lab"}}, "known to Airflow only"),
    ],
)
def test_what_cannot_be_read_is_said_and_stored_as_the_fault_of_the_source(
    platform, readers, database, changes, message
):
    SOURCES.apply(platform, [{**SOURCE, **changes}], "ada", at(0))
    insert(database, 30)
    with pytest.raises(UserError, match=message):
        poll(platform, readers, "quality", at(1))
    assert message in platform.deliveries.progress("quality").fault
