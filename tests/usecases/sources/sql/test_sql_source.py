"""A source of kind `sql` against a real PostgreSQL server."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from alerting.adapters.memory.platform import memory_platform
from alerting.adapters.sources.folder import FolderDrop
from alerting.adapters.sources.secrets import resolver
from alerting.adapters.sources.sql import SqlReader
from alerting.definitions.faults import UserError
from alerting.definitions.sources.source import parse_source
from alerting.usecases.sources.documents import apply_sources
from alerting.usecases.sources.poll import Readers, poll, try_source
from tests.builders import at
from tests.helpers.postgres import postgres_server

pytestmark = pytest.mark.server
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
        frame = platform.readings.load(asset, None, None).readings["hardness"].dropna()
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
    for i in range(start, start + count):
        row = {
            "taken_at": NOON + timedelta(minutes=i),
            "machine": 1 + i % 2,
            "hardness": i / 2,
            "grade": "A",
            "ok": True,
        } | columns
        row |= {"batch": "6f1c9c8e-0b1a-4b44-a3d4-3f5d2a3a1a11", "day": "2026-01-05", "raw": b"x"}
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
    apply_sources(made, [SOURCE], "ada", at(0))
    return made


def test_rows_are_read_in_chunks_and_on_from_the_last_one(platform, readers, database):
    insert(database, 25)
    first = poll(platform, readers, "quality", at(1))
    assert (first.new, first.refused) == (25, 0)
    insert(database, 5, start=25)
    assert poll(platform, readers, "quality", at(2)).new == 5
    assert poll(platform, readers, "quality", at(3)).new == 0
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
    writes = []
    insert_rows = platform.reading_writes.insert

    class Killed(Exception):
        pass

    def dying(rows, arrived_at):
        writes.append(len(rows))
        if len(writes) == 2:
            raise Killed
        return insert_rows(rows, arrived_at)

    class Dying:
        def __getattr__(self, name):
            return dying if name == "insert" else getattr(platform.reading_writes, name)

    with pytest.raises(Killed):
        poll(replace(platform, reading_writes=Dying()), readers, "quality", at(1))
    assert 0 < len(hardness(platform)) < 25
    poll(platform, readers, "quality", at(2))
    assert hardness(platform) == expected(25)


def test_backfill_reads_all_again_and_changes_only_what_has_changed(platform, readers, database):
    insert(database, 15)
    poll(platform, readers, "quality", at(1))
    database.execute(sa.text("UPDATE plant.results SET hardness = 99 WHERE id = 3"))
    database.commit()
    assert poll(platform, readers, "quality", at(2)).new == 0
    assert poll(platform, readers, "quality", at(3), again=True).new == 1
    assert hardness(platform) == expected(15) | {("oven-1", 2): 99.0}


def test_a_query_with_a_cursor_of_instants_reads_rows_that_came_late_within_its_overlap(
    platform, readers, database
):
    query = "SELECT taken_at, machine, hardness FROM plant.results WHERE ok;"
    apply_sources(
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


def test_more_rows_of_one_cursor_value_than_fit_into_a_chunk_are_an_error_and_no_loss(
    platform, readers, database
):
    apply_sources(platform, [{**SOURCE, "cursor": "machine"}], "ada", at(0))
    insert(database, 30)
    with pytest.raises(UserError, match="name another column as cursor"):
        poll(platform, readers, "quality", at(1))


def test_a_look_at_a_source_shows_rows_and_stores_nothing(platform, readers, database):
    insert(database, 12)
    trial = try_source(platform, readers, parse_source(SOURCE))
    assert (trial.read, len(trial.rows)) == (10, 10)
    assert trial.rows[0]["asset"] == "oven-1"
    assert platform.assets.all() == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"table": "plant.nothing"}, "does not exist"),
        ({"cursor": "nothing"}, "does not exist"),
        ({"url": {"env": "NOT_SET"}}, "NOT_SET is not set"),
        ({"url": {"airflow_connection": "lab"}}, "known to Airflow only"),
    ],
)
def test_what_cannot_be_read_is_said_and_stored_as_the_fault_of_the_source(
    platform, readers, database, changes, message
):
    apply_sources(platform, [{**SOURCE, **changes}], "ada", at(0))
    with pytest.raises(UserError, match=message):
        poll(platform, readers, "quality", at(1))
    assert message in platform.deliveries.progress("quality").fault


def test_a_server_that_does_not_answer_is_named_without_its_password(platform):
    address = "postgresql://line:secret@127.0.0.1:1/postgres"
    readers = Readers(FolderDrop(), SqlReader(resolver({"QUALITY_DB": address})))
    with pytest.raises(UserError) as refusal:
        poll(platform, readers, "quality", at(1))
    assert "secret" not in str(refusal.value)


def test_a_secret_is_read_from_a_file_that_only_its_owner_may_read(
    platform, server, database, tmp_path
):
    insert(database, 2)
    path = tmp_path / "url"
    path.write_text(f"{server}\n")
    apply_sources(platform, [{**SOURCE, "url": {"file": str(path)}}], "ada", at(0))
    readers = Readers(FolderDrop(), SqlReader(resolver({})))
    path.chmod(0o644)
    with pytest.raises(UserError, match="chmod 600"):
        poll(platform, readers, "quality", at(1))
    path.chmod(0o600)
    assert poll(platform, readers, "quality", at(1)).new == 2
