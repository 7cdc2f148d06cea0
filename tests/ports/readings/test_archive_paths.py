"""Records of the archive that name what is no file of it: nothing outside is read, restored or
deleted, and the others go on."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from pymongo.errors import WriteError

from alerting.adapters.archive.archive import ReadingsArchive
from alerting.adapters.archive.archived_readings import ArchivedReadings, ArchivedWrites
from alerting.adapters.mongo.readings.archived_files import MongoArchivedFiles
from alerting.definitions.faults import UserError
from alerting.definitions.upkeep import Retention
from alerting.ports import ReadingRow
from alerting.usecases.definitions.sync import sync
from alerting.usecases.ingestion.arrivals import add_readings
from alerting.usecases.upkeep.archive import archive_readings, restore_months, verify_archive
from alerting.usecases.upkeep.retention import retain
from tests.builders import oven
from tests.in_memory_platform import HandClock, platform_on

pytestmark = pytest.mark.models
START = datetime(2026, 1, 20, tzinfo=UTC)
NOW = datetime(2026, 6, 10, tzinfo=UTC)
MONTHS = ["2026-01", "2026-02", "2026-03"]
LATER = NOW + timedelta(days=200)
SHORT = Retention(archive=timedelta(days=30))


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "archive"


@pytest.fixture
def platform(real, folder):
    """A platform with three archived months of one oven."""
    archive = ReadingsArchive(
        MongoArchivedFiles(real.database), real.assets, str(folder), timedelta(days=60)
    )
    made = replace(
        platform_on(real, [], HandClock(NOW)),
        archive=archive,
        readings=ArchivedReadings(real.readings, archive),
        reading_writes=ArchivedWrites(real.reading_writes, archive),
        retention=SHORT,
    )
    made.assets.store_assets([oven()])
    rows = [
        ReadingRow("oven-1", START + timedelta(hours=hour), {"temperature": 200.0 + hour})
        for hour in range(0, 1680, 8)
    ]
    add_readings(made, rows, NOW - timedelta(days=40))
    archive_readings(made, NOW)
    assert [file.month for file in archive.files()] == MONTHS
    return made


@pytest.fixture
def victim(platform, folder, tmp_path):
    """A file beside the archive: a copy of an archived one, so that its hash fits the record."""
    file = tmp_path / "victim.parquet"
    file.write_bytes((folder / path_of(platform, "2026-01")).read_bytes())
    return file


def records(platform):
    return platform.sweeps._database["archived_files"]


def path_of(platform, month):
    return records(platform).find_one({"month": month})["path"]


def spoil(platform, **fields):
    """Write into the record of January, past the validator, as a version without one would have
    taken it."""
    records(platform).update_one(
        {"month": "2026-01"}, {"$set": fields}, bypass_document_validation=True
    )


def paths(victim):
    below = "asset=oven-1/month=2026-01/"
    return {
        "absolute": str(victim),
        "upwards": "../victim.parquet",
        "upwards from inside": f"{below}../../../victim.parquet",
        "a dot": f"./{below}0000-00000000.parquet",
        "an address": f"file://{victim}",
        "nothing": "",
        "a NUL": f"{below}0000-00000000.parquet\0",
        "no text": 5,
    }


@pytest.mark.parametrize("kind", paths("x"))
def test_a_path_out_of_the_archive_is_neither_deleted_nor_restored_and_the_others_are(
    platform, folder, victim, kind
):
    before = victim.read_bytes()
    spoil(platform, path=paths(victim)[kind])
    with pytest.raises(
        UserError, match="no readings of 'oven-1' from 2026-01 to 2026-01 are archived"
    ):
        restore_months(platform, "oven-1", "2026-01", "2026-01")
    sync(platform, NOW)
    assert any(
        alert.subject.startswith("archived_files/") for alert in platform.platform_alerts.open()
    )
    retain(platform, LATER)
    assert victim.read_bytes() == before
    assert [one["month"] for one in records(platform).find().sort("month")] == ["2026-01"]
    assert len(list(folder.rglob("*.parquet"))) == 1, (
        "the files of the other months are deleted, none else"
    )


def test_the_path_of_another_month_is_not_taken(platform, folder):
    other = path_of(platform, "2026-02")
    spoil(platform, path=other)
    with pytest.raises(UserError, match="no readings"):
        restore_months(platform, "oven-1", "2026-01", "2026-01")
    assert (folder / other).exists()


@pytest.mark.parametrize("what", ["the file", "the folder of the month", "the folder of the asset"])
def test_a_link_is_not_followed(platform, folder, tmp_path, what):
    file = folder / path_of(platform, "2026-01")
    linked = {
        "the file": file,
        "the folder of the month": file.parent,
        "the folder of the asset": file.parent.parent,
    }[what]
    moved = tmp_path / "elsewhere"
    linked.rename(moved)
    linked.symlink_to(moved)
    before = sorted(path.name for path in tmp_path.rglob("*.parquet"))
    with pytest.raises(UserError, match="is a link"):
        restore_months(platform, "oven-1", "2026-01", "2026-01")
    with pytest.raises(UserError, match="is a link"):
        retain(platform, LATER)
    kept = sorted(path.name for path in tmp_path.rglob("*.parquet"))
    assert kept == (before if what == "the folder of the asset" else [file.name])
    assert any("is a link" in fault for fault in verify_archive(platform))


def test_a_file_that_is_not_the_recorded_one_is_not_deleted_and_the_others_are(platform, folder):
    file = folder / path_of(platform, "2026-01")
    file.write_bytes(b"somebody else's")
    with pytest.raises(UserError, match="is not the one that was written"):
        retain(platform, LATER)
    assert file.read_bytes() == b"somebody else's"
    assert [one["month"] for one in records(platform).find()] == ["2026-01"]
    with pytest.raises(UserError, match="is not the one that was written"):
        retain(platform, LATER)
    file.unlink()  # somebody has looked at it
    retain(platform, LATER)
    assert records(platform).count_documents({}) == 0


def test_a_deletion_that_was_interrupted_goes_on(platform, folder):
    (folder / path_of(platform, "2026-01")).unlink()
    records(platform).update_one({"month": "2026-01"}, {"$set": {"state": "deleting"}})
    retain(platform, LATER)
    assert records(platform).count_documents({}) == 0


FAULTY = {
    "path": [
        "/etc/passwd",
        "../x.parquet",
        "asset=a/../0000-00000000.parquet",
        "asset=a/month=2026-01/x",
        5,
        None,
    ],
    "sha256": ["short", 5],
    "rows": [-1, "many", float("nan")],
    "state": ["lost", None],
    "first": ["2026", 5],
}


@pytest.mark.parametrize(
    ("field", "value"), [(field, value) for field, values in FAULTY.items() for value in values]
)
def test_the_server_refuses_a_faulty_record(platform, field, value):
    good = records(platform).find_one({"month": "2026-01"}, {"_id": False})
    with pytest.raises(WriteError, match="Document failed validation"):
        records(platform).insert_one({**good, "number": 7, field: value})
    records(platform).insert_one({**good, "number": 7})
