"""Archived readings: what is in files and what is in the database are read as one, and nothing is
lost on the way."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from alerting.adapters.archive.archive import ReadingsArchive
from alerting.adapters.archive.archived_readings import ArchivedReadings, ArchivedWrites
from alerting.adapters.mongo.readings.archived_files import MongoArchivedFiles
from alerting.definitions.assets import Variable
from alerting.definitions.faults import UserError
from alerting.definitions.upkeep import Retention
from alerting.ports import ReadingBatch, ReadingRow, SampleColumn, Wanted
from alerting.readings.instants import to_millis
from alerting.usecases.ingestion.arrivals import add_readings, remove_readings, same_readings
from alerting.usecases.upkeep.archive import (
    archive_readings,
    archive_status,
    restore_months,
    verify_archive,
)
from alerting.usecases.upkeep.retention import retain
from tests.builders import oven
from tests.helpers.file_servers import create_bucket, s3_server  # noqa: F401 - a fixture
from tests.in_memory_platform import HandClock, platform_on

pytestmark = pytest.mark.server
START = datetime(2026, 1, 20, tzinfo=UTC)
NOW = datetime(2026, 6, 10, tzinfo=UTC)
ARRIVED = NOW - timedelta(days=8)
OVEN = oven(recipe=Variable(type="category"), running=Variable(type="boolean"))


def archived(stores, folder, after=timedelta(days=60)):
    """Return a platform on these stores with an archive in a folder."""
    archive = ReadingsArchive(
        MongoArchivedFiles(stores.database), stores.assets, str(folder), after
    )
    platform = platform_on(stores, [], HandClock(NOW))
    return replace(
        platform,
        archive=archive,
        readings=ArchivedReadings(stores.readings, archive),
        reading_writes=ArchivedWrites(stores.reading_writes, archive),
    )


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "archive"


@pytest.fixture
def platform(real, folder):
    made = archived(real, folder)
    made.assets.store_assets([OVEN])
    rows = [row(hour) for hour in range(0, 24 * 130, 16)]
    add_readings(made, rows, ARRIVED)
    return made


def row(hour, **values):
    """Return a reading: numbers, a text that is sometimes missing, a truth, a bad and an uncertain
    sample now and then."""
    given = {
        "temperature": 200 + hour / 7,
        "running": hour % 16 == 0,
        **({"recipe": f"r{hour % 3}"} if hour % 5 else {}),
    }
    quality = (
        {"moisture": "bad"}
        if hour % 24 == 8
        else {"temperature": "uncertain"}
        if hour % 24 == 16
        else {}
    )
    return ReadingRow(
        "oven-1", START + timedelta(hours=hour), {**given, **values}, {} if values else quality
    )


def load(platform, start=None, end=None, variables=None):
    history = platform.readings.load(platform.assets.get("oven-1"), start, end, variables)
    doubts = [
        {name: at.tolist() for name, at in of.items()}
        for of in (history.doubts.bad, history.doubts.uncertain)
    ]
    return history.readings, doubts


def documents(platform):
    return list(platform.sweeps._database["readings"].find({}, {"_id": False}).sort("ts"))


def assert_same(found, expected):
    pd.testing.assert_frame_equal(found[0], expected[0])
    assert found[1] == expected[1]


def test_what_is_archived_stays_when_an_import_is_taken_back(platform):
    rows = [row(hour) for hour in range(0, 24 * 130, 16)]
    archive_readings(platform, NOW)
    live = len(documents(platform))
    assert len(same_readings(platform.reading_writes, rows)) == len(rows)
    archived_rows = len(rows) - live
    assert remove_readings(platform, rows, ARRIVED) == (live, archived_rows)
    assert documents(platform) == []
    left, _ = load(platform)
    assert len(left) == archived_rows
    assert {at.month for at in left.index} == {1, 2, 3}
    # a second time, only what is archived is found; also a row that another one repeats
    assert remove_readings(platform, rows, ARRIVED) == (0, archived_rows)
    assert remove_readings(platform, [rows[0], rows[0], rows[-1]], ARRIVED) == (0, 2)


def test_archived_readings_are_read_as_before_and_are_gone_from_the_database(platform, folder):
    before = load(platform)
    stored = documents(platform)
    run = archive_readings(platform, NOW)
    assert (run.files, run.faults) == (3, [])  # January to March; April ended 41 days ago
    assert run.rows == run.deleted == sum(document["ts"].month < 4 for document in stored)
    assert {document["ts"].month for document in documents(platform)} == {4, 5}
    files = sorted(path.relative_to(folder).parent.as_posix() for path in folder.rglob("*.parquet"))
    assert files == [f"asset=oven-1/month=2026-0{month}" for month in (1, 2, 3)]
    assert_same(load(platform), before)
    middle = (START + timedelta(days=20), START + timedelta(days=90))
    cut = before[0][(before[0].index > middle[0]) & (before[0].index <= middle[1])]
    pd.testing.assert_frame_equal(load(platform, *middle)[0], cut)
    assert archive_readings(platform, NOW).files == 0


def test_many_assets_and_the_newest_value_are_read_from_both(platform):
    add_readings(platform, [ReadingRow("oven-2", START, {"temperature": 1.0})], ARRIVED)
    add_readings(platform, [row(32, moisture=4.5)], ARRIVED)
    wanted = [
        Wanted("oven-1", {"temperature": "number", "recipe": "category"}, START),
        Wanted("oven-2", {"x": "number"}, START),
    ]
    since = {"moisture": START - timedelta(days=1), "temperature": START - timedelta(days=1)}
    asset = platform.assets.get("oven-1")

    def answers():
        many = platform.readings.load_many(wanted, NOW)
        newest = platform.readings.newest_values(asset, since, NOW - timedelta(days=110))
        spans = [platform.readings.span(name) for name in ("oven-1", "oven-2", "oven-3")]
        latest = {name: newest.ts for name, newest in platform.readings.newest_readings().items()}
        values = {
            name: [of.ts.tolist(), *(column.tolist() for column in of.values.values())]
            for name, of in many.items()
        }
        return repr(values), newest.to_string(), spans, latest

    before = answers()
    assert archive_readings(platform, NOW).files == 4
    assert answers() == before


def test_a_batch_of_archived_rows_again_changes_what_differs_alone(platform):
    archive_readings(platform, NOW)
    before = documents(platform)
    hours = range(0, 24 * 130, 48)
    at = np.array([to_millis(START + timedelta(hours=hour)) for hour in hours])
    values = np.array([200 + hour / 7 for hour in hours])
    column = SampleColumn(values, np.ones(len(hours), bool))
    batch = ReadingBatch(np.full(len(hours), "oven-1", object), at, {"temperature": column})
    assert add_readings(platform, batch, NOW) == 0
    assert documents(platform) == before
    values[1] = 1.0
    assert add_readings(platform, batch, NOW) == 1
    assert load(platform)[0].loc[START + timedelta(hours=48), "temperature"] == 1.0


def test_the_same_rows_again_change_nothing_and_late_ones_complete_the_archive_in_a_further_file(
    platform, folder
):
    archive_readings(platform, NOW)
    assert add_readings(platform, [row(hour) for hour in range(0, 24 * 40, 16)], NOW) == 0
    # new, corrected, bad before
    late = [
        row(24 + 3, temperature=1.0),
        row(48, temperature=2.0),
        row(32, moisture=4.0),
    ]
    assert add_readings(platform, late, NOW) == 3
    before = load(platform)
    frame = before[0]
    assert frame.loc[START + timedelta(hours=48), "temperature"] == 2.0
    assert frame.loc[START + timedelta(hours=48), "recipe"] == "r0"
    assert frame.loc[START + timedelta(hours=32), "moisture"] == 4.0
    run = archive_readings(platform, NOW + timedelta(days=8))
    assert (run.files, run.rows, run.deleted, run.faults) == (1, 3, 3, [])
    assert sorted(
        path.name[:4] for path in (folder / "asset=oven-1" / "month=2026-01").iterdir()
    ) == ["0000", "0001"]
    assert_same(load(platform), before)


def test_readings_that_have_just_arrived_are_not_archived_yet(platform):
    archive_readings(platform, NOW)
    add_readings(platform, [row(5, temperature=1.0)], NOW - timedelta(days=6, hours=23))
    assert archive_readings(platform, NOW).files == 0
    assert archive_readings(platform, NOW + timedelta(hours=2)).files == 1


class Killed(Exception):
    pass


@pytest.mark.parametrize("step", ["record", "delete_readings"])
def test_an_interrupted_run_goes_on_and_loses_nothing(platform, step, monkeypatch):
    before = load(platform)

    def die(*_):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(platform.archive, step, die)
        with pytest.raises(Killed):
            archive_readings(platform, NOW)
    assert_same(load(platform), before)
    add_readings(platform, [row(3, temperature=1.0)], NOW)  # late, while the month is in both
    before = load(platform)
    run = archive_readings(platform, NOW)
    assert (run.files, run.faults) == (2 if step == "delete_readings" else 3, [])
    assert_same(load(platform), before)
    assert {document["ts"].month for document in documents(platform)} == {1, 4, 5}
    leftovers = verify_archive(platform)
    assert len(leftovers) == (1 if step == "record" else 0)
    assert all("never read" in line for line in leftovers)


def test_a_file_that_was_changed_deletes_nothing_and_is_named(platform, folder, monkeypatch):
    write = platform.archive.record

    def damage(file):
        write(file)
        path = folder / file.path
        path.write_bytes(path.read_bytes()[:-40] + bytes(40))

    monkeypatch.setattr(platform.archive, "record", damage)
    stored = documents(platform)
    run = archive_readings(platform, NOW)
    assert len(run.faults) == 3
    assert all("is not the one that was written" in fault for fault in run.faults)
    assert documents(platform) == stored
    assert len(verify_archive(platform)) == 3


def test_a_missing_archive_is_an_error_and_not_missing_data(platform, folder):
    archive_readings(platform, NOW)
    folder.rename(folder.with_name("elsewhere"))
    with pytest.raises(UserError, match="ALERTING_ARCHIVE"):
        load(platform)
    load(platform, START + timedelta(days=100))  # readings of the database alone need no archive


def test_an_archive_without_its_disk_takes_no_file_and_the_readings_stay(platform, folder):
    platform.archive.after = timedelta(days=120)
    assert archive_readings(platform, NOW).files == 1
    folder.rename(folder.with_name("elsewhere"))
    folder.mkdir()
    platform.archive.after = timedelta(days=60)
    stored = documents(platform)
    run = archive_readings(platform, NOW)
    assert (run.files, documents(platform) == stored, list(folder.rglob("*.parquet"))) == (
        0,
        True,
        [],
    )
    assert all("mount it" in fault for fault in run.faults)
    assert len(run.faults) == 2


def test_what_an_import_of_days_writes_while_its_month_is_archived_stays(platform, monkeypatch):
    late = row(3, temperature=1.0)
    records = platform.archive.records
    delete = records.delete_readings

    def write_meanwhile(file, instants):
        given = iter(instants)
        first = next(given)
        # it began long ago
        add_readings(platform, [late] if file.month == "2026-01" else [], ARRIVED)
        return delete(replace(file, rows=file.rows + 1), [first, *given])

    with monkeypatch.context() as patch:
        patch.setattr(records, "delete_readings", write_meanwhile)
        archive_readings(platform, NOW)
    assert [document["ts"] for document in documents(platform) if document["ts"].month < 4] == [
        late.ts
    ]
    assert load(platform)[0].loc[late.ts, "temperature"] == 1.0


def test_a_restore_while_the_month_is_archived_loses_nothing(platform, monkeypatch):
    before = load(platform)
    records = platform.archive.records
    delete = records.delete_readings

    def restore_meanwhile(file, instants):
        some = [list(of_slice) for of_slice in instants]
        deleted = delete(file, [some[0][:10]])
        restore_months(platform, "oven-1", file.month, file.month)
        return deleted + delete(file, some)

    with monkeypatch.context() as patch:
        patch.setattr(records, "delete_readings", restore_meanwhile)
        archive_readings(platform, NOW)
    assert platform.archive.files() == []
    assert_same(load(platform), before)


def test_restored_readings_are_the_documents_that_were_archived(platform, folder):
    readings = platform.sweeps._database["readings"]
    odd = {"$set": {"v.temperature": "hot", "v.undeclared": 7, "v.recipe": [1, {"a": 2}]}}
    readings.update_one({"ts": START + timedelta(hours=32)}, odd)  # as an engineer does by hand
    before = documents(platform)
    archive_readings(platform, NOW)
    add_readings(platform, [row(48, temperature=2.0)], NOW)
    archive_readings(platform, NOW + timedelta(days=8))
    with pytest.raises(UserError, match="which is not a number"):
        load(platform, None, None, ["temperature"])
    with pytest.raises(UserError, match="2030"):
        restore_months(platform, "oven-1", "2030-01", "2030-02")
    assert (
        restore_months(platform, "oven-1", "2026-01", "2026-03")
        == sum(d["ts"].month < 4 for d in before) + 1
    )
    after = documents(platform)
    corrected = next(d for d in after if d["ts"] == START + timedelta(hours=48))
    assert corrected["v"]["temperature"] == 2.0
    corrected["v"]["temperature"] = 200 + 48 / 7
    assert [{**d, "arrived_at": None} for d in after] == [{**d, "arrived_at": None} for d in before]
    assert not list(folder.rglob("*.parquet"))
    assert platform.archive.files() == []


class Interposed:
    """A collection in which another process writes once, just after the first search."""

    def __init__(self, collection, write):
        self._collection = collection
        self._write = write

    def __getattr__(self, name):
        return getattr(self._collection, name)

    def find(self, *query):
        found = list(self._collection.find(*query))
        write = self._write
        self._write = lambda: None
        write()
        return found


@pytest.mark.parametrize("is_stored", [True, False])
def test_a_correction_while_its_instant_is_restored_stays(platform, monkeypatch, is_stored):
    archive_readings(platform, NOW)
    at = START + timedelta(hours=48)
    if is_stored:  # a late variable of the instant is in the database already
        add_readings(platform, [ReadingRow("oven-1", at, {"moisture": 4.0})], NOW)
    corrected = ReadingRow("oven-1", at, {"temperature": 2.0}, {"recipe": "bad"})
    records = platform.archive.records
    found = Interposed(records._readings, lambda: add_readings(platform, [corrected], NOW))
    with monkeypatch.context() as patch:
        patch.setattr(records, "_readings", found)
        restore_months(platform, "oven-1", "2026-01", "2026-01")
    [document] = [one for one in documents(platform) if one["ts"] == at]
    assert document["v"] == {"temperature": 2.0, "running": True} | (
        {"moisture": 4.0} if is_stored else {}
    )
    assert document["q"] == {"recipe": "bad"}


def test_the_newest_reading_up_to_an_instant_is_found_in_every_file_of_its_month(platform):
    archive_readings(platform, NOW)
    before = START + timedelta(hours=16)
    late = START + timedelta(hours=21)
    assert platform.readings.newest_readings(late)["oven-1"].ts == before
    add_readings(platform, [row(21, temperature=1.0)], NOW)
    archive_readings(platform, NOW + timedelta(days=8))
    assert platform.readings.newest_readings(late)["oven-1"].ts == late
    assert platform.readings.newest_readings(late - timedelta(hours=1))["oven-1"].ts == before
    assert platform.readings.newest_readings(START + timedelta(hours=40))[
        "oven-1"
    ].ts == START + timedelta(hours=32)


def test_an_interrupted_restore_goes_on(platform, monkeypatch):
    before = load(platform)
    archive_readings(platform, NOW)
    with monkeypatch.context() as patch:
        patch.setattr(platform.archive, "forget", lambda _: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            restore_months(platform, "oven-1", "2026-01", "2026-03")
    assert_same(load(platform), before)
    faults = archive_readings(platform, NOW).faults
    assert "archive restore" in faults[0]
    restore_months(platform, "oven-1", "2026-01", "2026-03")
    assert_same(load(platform), before)


def test_retention_leaves_readings_to_archive_deletes_archived_months_by_their_own_age_arrival(
    platform,
):
    platform = replace(
        platform, retention=Retention(readings=timedelta(days=14), archive=timedelta(days=100))
    )
    stored = documents(platform)
    retain(platform, NOW)
    assert documents(platform) == stored
    archive_readings(platform, NOW)
    retain(platform, NOW)
    # old, and arrived lately
    assert [file.month for file in platform.archive.files()] == [
        "2026-01",
        "2026-02",
        "2026-03",
    ]
    archive_readings(platform, NOW + timedelta(days=30))
    later = NOW + timedelta(days=95)
    swept = {one.what: one.documents for one in retain(platform, later, dry=True)}
    assert swept["archived readings"] == sum(d["ts"].month < 4 for d in stored)
    retain(platform, later)
    assert [file.month for file in platform.archive.files()] == ["2026-04"]
    assert load(platform)[0].index[0].month == 4


def test_retention_while_the_archive_is_away_leaves_no_file_behind_and_deletes_all_else(
    platform, folder
):
    platform = replace(platform, retention=Retention(archive=timedelta(days=100)))
    archive_readings(platform, NOW)
    folder.rename(folder.with_name("elsewhere"))
    platform.audit.add("ada", "shelved", "oven-1", NOW - timedelta(days=4000))
    later = NOW + timedelta(days=95)
    with pytest.raises(UserError, match="ALERTING_ARCHIVE"):
        retain(platform, later)
    before = NOW - timedelta(days=1)  # of what is there since, nothing is old
    assert platform.sweeps.log("audit", before, dry=True).documents == 0
    folder.with_name("elsewhere").rename(folder)
    assert verify_archive(platform) == []  # none is left that is not recorded
    retain(platform, later)
    assert (
        platform.archive.files(),
        platform.archive.being_deleted(),
        list(folder.rglob("*.parquet")),
    ) == ([], [], [])


def test_the_status_names_what_is_archived_and_what_is_due(platform):
    [due] = archive_status(platform, NOW)
    assert (due.files, due.due) == (0, ["2026-01", "2026-02", "2026-03"])
    archive_readings(platform, NOW)
    [done] = archive_status(platform, NOW)
    assert (done.files, list(done.due), done.unfinished, done.first) == (3, [], 0, START)
    assert done.rows == 107


def test_a_document_that_is_no_reading_leaves_its_month_in_the_database(platform):
    readings = platform.sweeps._database["readings"]
    readings.update_one({"ts": START}, {"$set": {"v": "rubbish"}})
    run = archive_readings(platform, NOW)
    assert len(run.faults) == 1
    assert "2026-01 is not archived" in run.faults[0]
    assert readings.find_one({"ts": START})["v"] == "rubbish"
    assert {file.month for file in platform.archive.files()} == {"2026-02", "2026-03"}


def test_an_archive_in_an_object_store_is_read_and_restored_as_one_in_a_folder(
    platform,
    real,
    s3_server,  # noqa: F811
    monkeypatch,
):
    create_bucket(s3_server, "plant")
    names = {
        "ENDPOINT_URL": f"http://127.0.0.1:{s3_server}",
        "ACCESS_KEY_ID": "key",
        "SECRET_ACCESS_KEY": "secret",
    }
    for name, value in names.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    before = load(platform)
    platform = archived(real, "s3://plant/readings")
    assert archive_readings(platform, NOW).faults == []
    assert_same(load(platform), before)
    assert verify_archive(platform) == []
    restore_months(platform, "oven-1", "2026-01", "2026-03")
    assert_same(load(platform), before)
    assert platform.archive.unknown_files() == []
