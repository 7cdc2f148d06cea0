"""An archive that cannot be reached stops what needs it, says so, and refuses nothing for good."""

import os

import numpy as np
import pytest

from alerting.adapters.archive.archived_readings import ArchivedReadings, ArchivedWrites
from alerting.adapters.archive.folder import ArchiveFolder
from alerting.adapters.memory.platform import memory_platform
from alerting.adapters.sources.folder import FolderDrop
from alerting.adapters.sources.secrets import resolver
from alerting.adapters.sources.sql import SqlReader
from alerting.definitions.faults import Unreachable, UserError
from alerting.ports import ArchiveAway, ArchivedFile, ReadingColumns, Wanted
from alerting.readings.instants import to_millis
from alerting.usecases.sources.documents import apply_sources
from alerting.usecases.sources.poll import Readers, poll
from tests.builders import at

pytestmark = pytest.mark.fast


def test_a_file_of_the_archive_that_is_not_there_is_away_and_not_empty(tmp_path):
    folder = ArchiveFolder(str(tmp_path / "archive"))
    assert not folder.has("a.parquet")
    with pytest.raises(Unreachable, match="mount it"):
        folder.open("a.parquet")


class Away:
    """An archive with one file, of oven-1, that cannot be read."""

    def __init__(self):
        self.records = self

    def for_interval(self, *_):
        return [ArchivedFile("oven-1", "2026-01", 0, "x", 1, at(0), at(1), 1, "", "", at(2), at(2))]

    def rows_at(self, *_):
        raise Unreachable("the archive is away")

    def columns(self, *_):
        raise Unreachable("the archive is away")


class Stored:
    def stored(self, _):
        return {}

    def load_many(self, wanted, _):
        return {one.asset: ReadingColumns(np.array([7]), {"t": np.array([1.5])}) for one in wanted}


def test_assets_that_need_no_archived_file_are_read_while_the_archive_is_away():
    wanted = [Wanted(asset, {"t": "number"}, at(-1)) for asset in ("oven-1", "oven-2")]
    found = ArchivedReadings(Stored(), Away()).load_many(wanted, at(9))
    assert (found["oven-1"].faults, len(found["oven-1"].ts)) == ({"t": "the archive is away"}, 0)
    assert (found["oven-2"].faults, found["oven-2"].values["t"].tolist()) == ({}, [1.5])


def test_a_write_that_needs_an_archived_month_names_its_rows_while_the_archive_is_away():
    late = ("oven-1", to_millis(at(0)))
    now = ("oven-1", to_millis(at(60 * 24 * 40)))
    other = ("oven-2", to_millis(at(0)))
    writes = ArchivedWrites(Stored(), Away())
    with pytest.raises(ArchiveAway, match="is away") as fault:
        writes.stored([late, now, other])
    assert fault.value.keys == {late}
    assert writes.stored([now]) == {}


def test_a_file_waits_while_the_archive_is_away_and_is_not_refused(tmp_path, monkeypatch):
    platform = memory_platform()
    (tmp_path / "in").mkdir()
    path = tmp_path / "in" / "late.csv"
    path.write_text("ts;t\n05.01.2026 12:00;1,5\n05.01.2026 12:01;2,5\n")
    os.utime(path, (1_767_000_000, 1_767_000_000))
    document = {
        "name": "lab",
        "kind": "files",
        "pattern": f"{tmp_path}/in/*.csv",
        "bad": f"{tmp_path}/bad",
        "asset": "oven-1",
    }
    apply_sources(platform, [document], "ada", at(0))
    readers = Readers(FolderDrop(), SqlReader(resolver({})))

    def away(_):
        raise Unreachable("the archive is away")

    with monkeypatch.context() as patch:
        patch.setattr(platform.reading_writes, "stored", away)
        with pytest.raises(UserError, match="is away"):
            poll(platform, readers, "lab", at(1))
    assert path.exists()
    assert poll(platform, readers, "lab", at(2)).new == 2
