"""A source of kind `files`: each file that appears in a folder is stored once, then put away."""

import os

import pytest

from alerting.adapters.sources.addresses_and_secrets import resolver
from alerting.adapters.sources.file_drops import FolderDrop
from alerting.adapters.sources.sql import SqlReader
from alerting.definitions.faults import UserError
from alerting.definitions.sources import parse_source
from alerting.ports import WantedHistory
from alerting.usecases.sources.poll import Readers, poll, try_source
from alerting.usecases.sources.status import SOURCES
from tests.builders import at
from tests.in_memory_platform import memory_platform

READERS = Readers(FolderDrop(), SqlReader(resolver({})))
HEAD = "Zeitstempel;Maschine;Temperatur [°C];Rezept"


def source(folder, **changes):
    """Return the document of a source that reads European CSV files of a folder."""
    plain = {
        "name": "lab",
        "kind": "files",
        "pattern": f"{folder}/in/*.csv",
        "done": f"{folder}/done",
        "bad": f"{folder}/bad",
        "time": "Zeitstempel",
        "timezone": "Europe/Berlin",
        "asset_column": "Maschine",
        "asset_prefix": "oven-",
        "variables": {"Temperatur [°C]": {"name": "zone_2"}},
    }
    return {name: value for name, value in {**plain, **changes}.items() if value is not None}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in").mkdir()
    return tmp_path


@pytest.fixture
def platform(folder):
    made = memory_platform()
    SOURCES.apply(made, [source(folder)], "ada", at(0))
    return made


ROW = "05.01.2026 13:0{};1;{};A"
ONE = ROW.format(0, "201,5")
TWO = ROW.format(1, "1.202,5")
NO_ASSET = "05.01.2026 13:01:00;;201,5;A"


def write(folder, *lines, name="a.csv", age=60):
    """Write a file of lines into the folder that is read, last changed `age` seconds ago."""
    path = folder / "in" / name
    path.write_bytes("\r\n".join([HEAD, *lines, ""]).encode("cp1252"))
    then = path.stat().st_mtime - age
    os.utime(path, (then, then))
    return path


def names(folder):
    """Return the names of files by folder."""
    return {
        f.name: sorted(p.name for p in f.iterdir()) for f in sorted(folder.iterdir()) if f.is_dir()
    }


def stored(platform):
    frame = platform.readings.load(
        WantedHistory(platform.assets.get("oven-1"), None, None)
    ).readings
    return {ts.strftime("%H:%M"): value for ts, value in frame["zone_2"].dropna().items()}


def fault(platform):
    return platform.deliveries.progress("lab").fault


def test_a_file_is_shown_then_stored_once_and_moved_beside_another_of_its_name(platform, folder):
    write(folder, ONE, TWO, age=0)
    assert (poll(platform, READERS, "lab", at(0)).rows, names(folder)) == (0, {"in": ["a.csv"]})
    write(folder, ONE, TWO)
    first = poll(platform, READERS, "lab", at(1))
    assert (first.rows, first.new, first.refused) == (2, 2, 0)
    assert stored(platform) == {"12:00": 201.5, "12:01": 1202.5}
    assert names(folder) == {"done": ["a.csv"], "in": []}
    variable = platform.assets.get("oven-1").variables["zone_2"]
    assert (variable.unit, variable.source) == ("°C", "lab")
    progress = platform.deliveries.progress("lab")
    found = (progress.rows, progress.arrived_at, progress.newest.strftime("%H:%M"))
    assert found == (2, at(1), "12:01")
    write(folder, ROW.format(5, "201,6"))
    poll(platform, READERS, "lab", at(2))
    assert (stored(platform)["12:05"], names(folder)["done"]) == (201.6, ["2-a.csv", "a.csv"])


def test_what_excel_keeps_beside_an_open_workbook_stays(platform, folder):
    write(folder, name="~$a.csv")
    write(folder, ONE)
    poll(platform, READERS, "lab", at(1))
    assert names(folder) == {"done": ["a.csv"], "in": ["~$a.csv"]}


def test_files_that_stay_are_read_once_and_again_when_their_content_changes(platform, folder):
    SOURCES.apply(platform, [source(folder, done=None)], "ada", at(0))
    path = write(folder, ONE)
    assert [poll(platform, READERS, "lab", at(minute)).new for minute in (1, 2)] == [1, 0]
    os.utime(path, (path.stat().st_mtime - 5, path.stat().st_mtime - 5))
    assert poll(platform, READERS, "lab", at(3)).rows == 0  # modified, but of the same content
    write(folder, ONE, TWO)
    found = poll(platform, READERS, "lab", at(4))
    assert (found.rows, found.new) == (2, 1)
    assert poll(platform, READERS, "lab", at(5), again=True).new == 0


def test_a_bad_file_goes_to_its_folder_with_the_reason_and_does_not_stop_the_others(
    platform, folder
):
    write(folder, ONE, NO_ASSET, "99.01.2026 13:01:00;1;202,5;A", age=90)
    write(folder, ONE, name="b.csv")
    found = poll(platform, READERS, "lab", at(1))
    assert (found.new, found.refused) == (1, 1)
    assert names(folder) == {"bad": ["a.csv", "a.csv.reason.txt"], "done": ["b.csv"], "in": []}
    told = (folder / "bad" / "a.csv.reason.txt").read_text()
    assert ("there is no asset" in told, platform.deliveries.progress("lab").refused) == (True, 1)
    # the reason names fields of the source, not options of a command
    (mark,) = platform.deliveries.file_marks("lab", [str(folder / "in" / "a.csv")])
    assert "(bad_lines: skip imports the good lines)" in mark.fault
    assert "--" not in mark.fault


def test_a_refused_file_is_tried_again_only_when_the_source_has_changed(platform, folder):
    SOURCES.apply(platform, [source(folder, bad=None)], "ada", at(0))
    write(folder, ONE, NO_ASSET)
    assert poll(platform, READERS, "lab", at(1)).refused == 1
    assert "was not imported" in fault(platform)
    assert poll(platform, READERS, "lab", at(2)).refused == 0
    SOURCES.apply(platform, [source(folder, bad=None, bad_lines="skip")], "ada", at(3))
    assert poll(platform, READERS, "lab", at(4)).new == 1
    assert stored(platform) == {"12:00": 201.5}
    assert platform.deliveries.progress("lab").refused == 2  # the file, then its line


def test_a_file_with_one_row_for_each_value_has_the_columns_of_its_variables(
    platform, folder, monkeypatch
):
    monkeypatch.setitem(globals(), "HEAD", "Zeitstempel;Maschine;Signal;Wert;Einheit")
    shown = {"variables": {"T1": {"name": "zone_2"}}, "others": "ignore"}
    SOURCES.apply(platform, [source(folder, **shown)], "ada", at(1))
    write(folder, *(f"05.01.2026 13:0{i};1;{v};{i},5;°C" for i in (0, 1) for v in ("T1", "T2")))
    poll(platform, READERS, "lab", at(2))
    assert stored(platform) == {"12:00": 0.5, "12:01": 1.5}


def put_away_after(work):
    """Return readers whose folder does this before a file is put away."""

    class Drop(FolderDrop):
        def put_away(self, *given):
            work(given)
            super().put_away(*given)

    return Readers(Drop(), READERS.sql)


def test_a_process_that_is_killed_before_a_file_is_moved_reads_it_again_without_doubling(
    platform, folder
):
    write(folder, ONE)

    def die(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        poll(platform, put_away_after(die), "lab", at(1))
    found = poll(platform, READERS, "lab", at(2))
    assert (found.new, names(folder)["done"]) == (0, ["a.csv"])


def test_a_file_that_changes_while_it_is_read_stays_and_is_read_again(platform, folder):
    path = write(folder, ONE, age=90)
    growing = put_away_after(lambda _: write(folder, ONE, TWO))
    assert poll(platform, growing, "lab", at(1)).new == 1
    assert path.exists()
    assert poll(platform, READERS, "lab", at(2)).new == 1
    assert stored(platform) == {"12:00": 201.5, "12:01": 1202.5}
    assert names(folder) == {"done": ["a.csv"], "in": []}


def test_a_look_shows_rows_of_the_newest_file_and_refused_lines_and_changes_nothing(
    platform, folder
):
    write(folder, ONE, NO_ASSET)
    trial = try_source(platform, READERS, parse_source(source(folder)))
    shown = [(row["asset"], row["zone_2"], row["Rezept"]) for row in trial.rows]
    assert (shown, [row.line for row in trial.refused]) == ([("oven-1", 201.5, "A")], [3])
    with pytest.raises(UserError, match="add decimal: ,"):
        try_source(platform, READERS, parse_source(source(folder, decimal=".")))
    assert (names(folder), platform.assets.all()) == ({"in": ["a.csv"]}, [])


def test_more_files_that_stay_than_are_read_at_once_do_not_keep_a_new_one_out(
    platform, folder, monkeypatch
):
    monkeypatch.setattr("alerting.usecases.sources.poll.MOST_FILES", 2)
    SOURCES.apply(platform, [source(folder, done=None)], "ada", at(0))
    for minute in range(5):
        write(folder, ROW.format(minute, minute), name=f"{minute}.csv", age=90 - minute)
    assert [poll(platform, READERS, "lab", at(minute)).new for minute in range(4)] == [2, 2, 1, 0]
    again = poll(platform, READERS, "lab", at(5), again=True)
    assert (again.rows, again.new) == (5, 0)
