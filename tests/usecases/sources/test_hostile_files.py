"""A source of files goes on past every hostile file: each is stored or put away with its reason,
and every good one is stored."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from pymongo.errors import AutoReconnect

from alerting.adapters.mongo.mongo import is_outage
from alerting.adapters.sources import file_drops as folders
from alerting.adapters.sources.addresses_and_secrets import resolver
from alerting.adapters.sources.file_drops import FolderDrop
from alerting.adapters.sources.sql import SqlReader
from alerting.definitions.faults import UserError
from alerting.ports import WantedHistory
from alerting.usecases.sources.poll import Readers, poll
from alerting.usecases.sources.status import SOURCES
from tests.builders import at
from tests.helpers.hostile_files import GOOD, make_files, table
from tests.in_memory_platform import memory_platform

READERS = Readers(FolderDrop(), SqlReader(resolver({})), is_outage=is_outage)
SKIPPED = ("kind, directory", "kind, link", "kind, circle", "kind, nowhere", "kind, pipe")
FIRST = 10
GOOD_FILES = 20


@pytest.fixture
def platform():
    return memory_platform()


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in").mkdir()
    return tmp_path


def document(folder, **changes):
    plain = {"name": "lab", "kind": "files", "pattern": f"{folder}/in/*.csv", "asset": "oven-1"}
    return plain | {"done": f"{folder}/done", "bad": f"{folder}/bad"} | changes


def write(folder, name, content=GOOD, age=60):
    """Write a file that was last changed `age` seconds ago."""
    path = folder / "in" / name
    path.write_bytes(content)
    _age(path, age)
    return path


def _age(path, age):
    os.utime(path, (1_767_600_000 - age, 1_767_600_000 - age), follow_symlinks=False)


def names(folder):
    parts = [folder / part for part in ("in", "done", "bad")]
    return {
        part.name: sorted(path.name for path in part.iterdir()) for part in parts if part.is_dir()
    }


def test_every_good_file_is_stored_in_the_round_in_which_hostile_ones_come_first(platform, folder):
    hostile = make_files(folder / "in")
    hostile.pop("kind, secret").unlink()
    # what is hostile by its content alone is tested by the command of imports, too
    contents = [name for name in hostile if not name.startswith(("kind, ", "name, "))]
    for number, name in enumerate(contents):
        if number % 5 or hostile[name].stat().st_size > 100_000:
            hostile.pop(name).unlink()
    assert len(hostile) > 40
    for number, path in enumerate(hostile.values()):
        # ten of them are the first in order, the others lie between and behind good ones
        _age(path, 10_000 - number)
    for number in range(GOOD_FILES):
        write(
            folder,
            f"good-{number}.csv",
            table(f"2026-01-05T06:{number:02}:00Z,{number}", head=f"ts,good_{number}"),
        )
        _age(folder / "in" / f"good-{number}.csv", 10_000 - FIRST - number * 5)
    SOURCES.apply(platform, [document(folder)], "ada", at(0))
    found = poll(platform, READERS, "lab", at(1))
    readings = platform.readings.load(
        WantedHistory(platform.assets.get("oven-1"), None, None)
    ).readings
    assert [readings[f"good_{n}"].dropna().tolist() for n in range(GOOD_FILES)] == [
        [float(n)] for n in range(GOOD_FILES)
    ]
    left = names(folder)
    assert left["in"] == sorted(hostile[name].name for name in SKIPPED)
    bad = [name for name in left["bad"] if not name.endswith(".reason.txt")]
    assert found.refused == len(bad) > 15
    assert all((folder / "bad" / f"{name}.reason.txt").stat().st_size > 20 for name in bad)
    assert len(bad) + len(left["done"]) + len(SKIPPED) == len(hostile) + GOOD_FILES
    again = poll(platform, READERS, "lab", at(2))
    assert (again.rows, again.refused, names(folder)) == (0, 0, left)
    for stem in ("good-3.csv", os.fsdecode(b"m\xfcller.csv")):
        assert stem in left["done"]
    assert platform.deliveries.progress("lab").refused == len(bad)


class Breaking(FolderDrop):
    """A folder in which one file makes a library fail in a way that nobody has thought of."""

    error = ZeroDivisionError("integer division or modulo by zero")

    def rows(self, source, file):
        if file.path.endswith("a.csv"):
            raise self.error
        return super().rows(source, file)


def test_an_unexpected_error_is_the_fault_of_its_file_and_an_outage_that_of_none(
    platform, folder, monkeypatch
):
    write(folder, "a.csv", age=90)
    write(folder, "b.csv")
    SOURCES.apply(platform, [document(folder)], "ada", at(0))
    readers = replace(READERS, files=Breaking())
    with monkeypatch.context() as patch, pytest.raises(AutoReconnect):
        patch.setattr(Breaking, "error", AutoReconnect("connection closed"))
        poll(platform, readers, "lab", at(1))
    found = poll(platform, readers, "lab", at(1))
    assert (found.new, found.refused) == (2, 1)
    assert names(folder) == {"in": [], "done": ["b.csv"], "bad": ["a.csv", "a.csv.reason.txt"]}
    assert (
        (folder / "bad" / "a.csv.reason.txt")
        .read_text()
        .endswith("a.csv: cannot be read: ZeroDivisionError: integer division or modulo by zero\n")
    )


# Where files are put away, others may write, too


def test_no_link_in_the_folder_of_bad_files_is_written_through(platform, folder):
    victim = folder / "victim"
    victim.write_text("precious")
    (folder / "bad").mkdir()
    (folder / "bad" / "a.csv.reason.txt").symlink_to(victim)
    (folder / "bad" / "2-a.csv").symlink_to(folder / "nothing")
    write(folder, "a.csv", table("never,1"))
    SOURCES.apply(platform, [document(folder)], "ada", at(0))
    assert poll(platform, READERS, "lab", at(1)).refused == 1
    assert victim.read_text() == "precious"
    assert not (folder / "nothing").exists()
    assert sorted(set(names(folder)["bad"]) - {"a.csv.reason.txt", "2-a.csv"}) == [
        "3-a.csv",
        "3-a.csv.reason.txt",
    ]
    assert (folder / "bad" / "3-a.csv").read_bytes() == table("never,1")


@pytest.mark.parametrize("kind", ["done", "bad"])
def test_a_folder_that_is_a_link_is_refused_and_its_target_stays_empty(platform, folder, kind):
    (folder / "elsewhere").mkdir()
    (folder / kind).symlink_to(folder / "elsewhere")
    write(folder, "a.csv", table("never,1") if kind == "bad" else GOOD)
    SOURCES.apply(platform, [document(folder)], "ada", at(0))
    with pytest.raises(UserError, match=f"{kind}, which is a link: name the folder itself"):
        poll(platform, READERS, "lab", at(1))
    assert (list((folder / "elsewhere").iterdir()), names(folder)["in"]) == ([], ["a.csv"])


def test_a_bad_file_whose_name_has_255_bytes_is_put_away_beside_another_one(platform, folder):
    SOURCES.apply(platform, [document(folder, pattern=f"{folder}/in/*")], "ada", at(0))
    for minute in (1, 2):
        write(folder, "ü" * 125 + "a.csv", table(f"never,{minute}"), age=minute)
        assert poll(platform, READERS, "lab", at(minute)).refused == 1
    found = names(folder)
    away = [name for name in found["bad"] if f"{name}.reason.txt" in found["bad"]]
    assert (found["in"], len(away), len(found["bad"])) == ([], 2, 4)


def test_a_file_is_moved_to_another_disk_too(platform, folder, monkeypatch):

    def refuse(*_, **__):
        raise OSError(folders.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "rename", refuse)
    path = write(folder, "a.csv")
    changed = path.stat().st_mtime_ns
    SOURCES.apply(platform, [document(folder)], "ada", at(0))
    assert poll(platform, READERS, "lab", at(1)).new == 2
    assert (folder / "done" / "a.csv").read_bytes() == GOOD
    assert (names(folder), Path(folder / "done" / "a.csv").stat().st_mtime_ns) == (
        {"in": [], "done": ["a.csv"]},
        changed,
    )
