"""The cursor of a source of kind `sql`: what it belongs to, how far it may move, and how it is
asked for."""

import datetime as dt

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import mssql

from alerting.adapters.sources.addresses_and_secrets import resolver
from alerting.adapters.sources.file_drops import FolderDrop
from alerting.adapters.sources.sql import SqlReader, _Fetched, _statement
from alerting.definitions.faults import UserError
from alerting.definitions.sources import parse_source
from alerting.usecases.sources.poll import Readers, poll
from alerting.usecases.sources.status import SOURCES
from tests.builders import at
from tests.in_memory_platform import memory_platform

NOON = dt.datetime(2026, 1, 5, 12, tzinfo=dt.UTC)
SOURCE = {
    "name": "quality",
    "kind": "sql",
    "url": {"env": "DB"},
    "table": "results",
    "cursor": "id",
    "asset": "oven-1",
}


@pytest.fixture
def database(tmp_path):
    """An engine of a database with the tables `results` and `others`; instants are in `ts` and in
    `changed`."""
    engine = sa.create_engine(f"sqlite:///{tmp_path}/plant.db")
    with engine.begin() as connection:
        for table in ("results", "others"):
            connection.execute(
                sa.text(f"CREATE TABLE {table} (id int, batch int, ts text, t real)")
            )
    yield engine
    engine.dispose()


def insert(database, table, *rows):
    """Insert rows of id, batch, minute after noon, and value."""
    with database.begin() as connection:
        for id, batch, minute, t in rows:
            ts = (NOON + dt.timedelta(minutes=minute)).isoformat()
            row = {"id": id, "batch": batch, "ts": ts, "t": t}
            connection.execute(sa.text(f"INSERT INTO {table} VALUES (:id, :batch, :ts, :t)"), row)  # noqa: S608


@pytest.fixture
def platform():
    return memory_platform()


@pytest.fixture
def readers(database):
    return Readers(
        FolderDrop(), SqlReader(resolver({"DB": str(database.url), "SAME": str(database.url)}))
    )


@pytest.mark.parametrize(
    ("changes", "new"),
    [
        ({"table": "others"}, 2),
        ({"table": None, "query": "SELECT id, ts, t FROM others"}, 2),
        ({"cursor": "batch"}, 3),  # all of them, now with their id as a variable
        ({"url": {"env": "SAME"}}, 1),
        ({"title": "Results", "every": "5m"}, 0),
    ],
)
def test_a_source_that_reads_something_else_begins_anew(platform, readers, database, changes, new):
    SOURCES.apply(platform, [SOURCE], "ada", at(0))
    insert(database, "results", (1000, 8, 0, 1.0), (1001, 9, 1, 2.0))
    insert(database, "others", (1, 1, 5, 5.0), (2, 2, 6, 6.0))
    assert poll(platform, readers, "quality", at(1)).new == 2
    insert(database, "results", (3, 3, 2, 3.0))  # below the cursor, found only from the beginning
    changed = {name: value for name, value in {**SOURCE, **changes}.items() if value is not None}
    SOURCES.apply(platform, [changed], "ada", at(2))
    assert poll(platform, readers, "quality", at(3)).new == new
    assert poll(platform, readers, "quality", at(4)).new == 0


def test_an_overlap_with_a_cursor_that_is_no_instant_is_said(platform, readers, database):
    SOURCES.apply(platform, [{**SOURCE, "overlap": "10m"}], "ada", at(0))
    insert(database, "results", (1, 1, 0, 1.0))
    with pytest.raises(UserError, match="cursor 'id' is no instant"):
        poll(platform, readers, "quality", at(1))
    assert "leave overlap out" in platform.deliveries.progress("quality").fault


@pytest.mark.parametrize(("zone", "naive"), [("UTC", False), ("Europe/Berlin", True)])
def test_a_row_with_a_stamp_in_the_future_does_not_hide_rows_that_come_after_it(
    platform, monkeypatch, zone, naive
):
    """SQLite has no instants: the rows of the query come from a table of instants in memory."""
    now = NOON + dt.timedelta(minutes=10)
    rows = []
    local = dt.timezone(dt.timedelta(hours=1)) if naive else dt.UTC

    def stamp(minute):
        found = (NOON + dt.timedelta(minutes=minute)).astimezone(local)
        return found.replace(tzinfo=None) if naive else found

    def fetch(_, source, last, seconds):
        return _Fetched(
            sorted(
                (row for row in rows if last is None or row["ts"] >= last),
                key=lambda row: row["ts"],
            ),
            False,
        )

    monkeypatch.setattr("alerting.adapters.sources.sql._fetch", fetch)
    readers = Readers(FolderDrop(), SqlReader(resolver({"DB": "sqlite://"}), now=lambda: now))
    SOURCES.apply(platform, [{**SOURCE, "cursor": "ts", "timezone": zone}], "ada", at(0))
    rows += [{"ts": stamp(0), "t": 1.0}, {"ts": stamp(3000), "t": 2.0}]
    assert poll(platform, readers, "quality", at(1)).new == 2
    rows += [{"ts": stamp(11), "t": 3.0}]
    assert poll(platform, readers, "quality", at(2)).new == 1


ADDRESSES = {
    "postgresql://line:top@x:secret@db/plant": "is not the address of a database",
    "postgresql://line:x@db:secret/plant": "is not the address of a database",
    "mssql+pymssql://line:secret@127.0.0.1/plant": "driver of its database is not installed",
    "postgresql://line:secret@127.0.0.1:1/postgres": "refuses|refused|no connection",
}


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_that_leads_to_no_database_is_refused_without_showing_it(platform, address):
    SOURCES.apply(platform, [SOURCE], "ada", at(0))
    readers = Readers(FolderDrop(), SqlReader(resolver({"DB": address})))
    with pytest.raises(UserError, match=ADDRESSES[address]) as refusal:
        poll(platform, readers, "quality", at(1))
    assert "secret" not in f"{refusal.value} {refusal.value.__cause__}"
    assert refusal.value.__suppress_context__


NO_CURSORS = [
    "", "5", "null", "{}", "[]", "nonsense",
    "x" * 1_000_000, "[" * 5000,
    '{"number": "NaN"}', '{"number": "Infinity"}', '{"number": "x"}', '{"number": 5}',
    f'{{"number": "{"9" * 5000}"}}',
    '{"instant": "yesterday"}', '{"instant": null}', '{"number": "1", "text": "1"}',
    '{"colour": "1"}',
]  # fmt: skip


def test_a_stored_cursor_that_is_none_is_refused_with_its_remedy_and_stops_no_other_source(
    platform, readers, database
):
    SOURCES.apply(platform, [SOURCE, {**SOURCE, "name": "other", "asset": "oven-2"}], "ada", at(0))
    insert(database, "results", (1, 1, 0, 1.0), (2, 2, 1, 2.0))
    assert poll(platform, readers, "quality", at(1)).new == 2
    before = platform.deliveries.progress("quality")

    def refusal(junk):
        platform.deliveries.set_cursor("quality", junk, before.cursor_of)
        try:
            poll(platform, readers, "quality", at(2))
        except UserError as fault:
            is_noted = platform.deliveries.progress("quality").fault == str(fault)
            return str(fault) if is_noted else f"not noted: {fault}"
        return "read"

    told = "where it was read to cannot be read"
    faults = [(str(junk)[:30], refusal(junk)) for junk in NO_CURSORS]
    remedy = "alerting read quality --again"
    wrong = [one for one in faults if told not in one[1] or remedy not in one[1]]
    assert [*wrong, *(one for one in faults if len(one[1]) >= 400)] == []
    assert poll(platform, readers, "other", at(2)).new == 2
    assert poll(platform, readers, "quality", at(3), again=True).new == 0
    assert platform.deliveries.progress("quality").cursor == before.cursor
    insert(database, "results", (3, 3, 2, 3.0))
    assert poll(platform, readers, "quality", at(4)).new == 1


TWO_STATEMENTS = [
    "SELECT 1; SELECT 2",
    "SELECT 1) AS a; DROP TABLE results; SELECT * FROM (SELECT 1",
    "SELECT id FROM results; ; DELETE FROM x;",
]


@pytest.mark.parametrize("query", TWO_STATEMENTS)
def test_a_query_of_more_than_one_statement_is_refused_when_it_is_applied(platform, query):
    asked = {k: v for k, v in SOURCE.items() if k != "table"}
    with pytest.raises(UserError, match=r"query: has more than one statement \(write one SELECT"):
        SOURCES.apply(platform, [asked | {"query": query}], "ada", at(0))
    SOURCES.apply(platform, [asked | {"query": "SELECT id FROM x ;\n"}], "ada", at(0))


@pytest.mark.parametrize(
    ("changes", "last", "words"),
    [
        ({}, 7, "FROM results WHERE id IS NOT NULL AND id >= 7 ORDER BY id"),
        (
            {"table": None, "query": "SELECT id FROM results"},
            None,
            "FROM (SELECT id FROM results) AS source_rows WHERE id IS NOT NULL ORDER BY id",
        ),
    ],
)
def test_sql_server_is_asked_for_the_next_rows_in_its_own_words(changes, last, words):
    """Not tested against a server: the statements alone."""
    document = {**SOURCE, "chunk": 10, **changes}
    source = parse_source({name: one for name, one in document.items() if one is not None})
    asked = _statement(source, last).compile(
        dialect=mssql.dialect(), compile_kwargs={"literal_binds": True}
    )
    assert " ".join(str(asked).split()) == f"SELECT TOP 10 * {words}"
