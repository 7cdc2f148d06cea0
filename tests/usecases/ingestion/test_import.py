"""`alerting import` as people run it: the command, a real database, and a new user's file with the
asset's name as its only option."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import pytest

from alerting.ports import WantedHistory
from tests.helpers.stores import real  # noqa: F401 - a fixture

START = datetime(2025, 10, 25, 23, 30, tzinfo=UTC)
GOOD = "ts,asset,x\n2026-01-05 00:00:00,oven-1,1\n2026-01-05 00:01:00,oven-1,2\n"
BAD = GOOD + "at three,oven-1,3\n"


class Command:
    """Runs the command in a folder of the user's, away from the home of the platform, against an
    empty database."""

    def __init__(self, commands, folder, stores, uri):
        self.commands = commands
        self.folder = folder / "anywhere"
        self.folder.mkdir()
        self.stores = stores
        own = {
            "ALERTING_MONGODB_URI": uri,
            "ALERTING_DATABASE": stores.database.name,
            "ALERTING_HOME": str(folder / "home"),
            "ALERTING_TIMEZONE": "Europe/Berlin",
        }
        self.environment = {**os.environ, **own, "COLUMNS": "200"}

    def file(self, name, content):
        (self.folder / name).write_bytes(
            content if isinstance(content, bytes) else content.encode()
        )

    def __call__(self, *arguments):
        done = self.commands.run("import", *arguments, cwd=self.folder, environ=self.environment)
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode, done.stdout, done.stderr

    def count(self):
        return self.stores.database["readings"].count_documents({})


@pytest.fixture
def command(real, real_server, commands, tmp_path):  # noqa: F811
    return Command(commands, tmp_path, real, real_server)


BREAD = """Zeitstempel;Temperatur Zone 1 [°C];Druck (bar);Rezeptur
26.10.2025 01:30:00;#NV;1.010,5;Vollkorn
26.10.2025 02:30:00;201,125;1.011,5;Vollkorn
26.10.2025 02:30:00;202,125;1.012,5;Brötchen
26.10.2025 03:30:00;203,125;1.013,5;Brötchen
"""
UNDERSTOOD = (
    "separator ';', decimal mark ',', encoding cp1252",
    "'Zeitstempel', dd.mm.yyyy, local time of Europe/Berlin (ALERTING_TIMEZONE)",
    "4 lines of oven-1 (new), 2025-10-26 01:30:00 to 2025-10-26 03:30:00",
    "1 cell is not a number (#NV) and counts as missing",
    "1 stamps are of its first time and 1 of its second",
)


def test_a_new_users_file_is_imported_with_the_name_of_the_asset_alone(command):
    command.file("linie.csv", BREAD.encode("cp1252"))
    words = ("readings", "linie.csv", "--asset", "oven-1")
    code, out, _ = command(*words, "--dry-run", "--skip-bad")
    assert (code, "dry run: nothing was written" in out) == (0, True)
    assert (command.stores.assets.all(), command.count()) == ([], 0)
    assert [p.name for p in command.folder.iterdir()] == ["linie.csv"]
    code, out, _ = command(*words)
    understood, written, _ = out.partition("4 new of 4 readings of 1 asset")
    assert (code, bool(written)) == (0, True)
    assert [part for part in UNDERSTOOD if part not in understood] == []
    asset = command.stores.assets.get("oven-1")
    readings = command.stores.readings.load(WantedHistory(asset, None, None)).readings
    assert [*readings.index] == [START + timedelta(hours=hour) for hour in range(4)]
    assert readings.iloc[2].to_dict() == {
        "Temperatur_Zone_1": 202.125,
        "Druck": 1012.5,
        "Rezeptur": "Brötchen",
    }
    assert json.loads(command(*words, "--json")[1])["new"] == 0


def test_without_a_good_line_nothing_is_proposed_that_was_given(command):
    command.file("f.csv", "ts,temp\nat three,1\nat four,2\n")
    given = ("readings", "f.csv", "--asset", "oven-1")
    refusals = [command(*given, *words)[2] for words in ((), ("--skip-bad",))]
    assert ["--skip-bad" in refusal for refusal in refusals] == [True, False]
    assert "no line of it is good" in refusals[1]


def test_bad_lines_are_told_with_exit_code_1_or_land_in_a_rejects_file(command):
    command.file("f.csv", BAD)
    code, out, err = command("readings", "f.csv")
    assert (code, out) == (1, "")
    assert "f.csv was not imported" in err
    assert "line 4, column ts: 'at three' is not an instant" in err
    for rejects, said in (
        ("nowhere/bad.csv", "cannot be written"),
        ("f.csv", "is the file to imp"),
    ):
        code, _, err = command("readings", "f.csv", "--skip-bad", "--rejects", rejects)
        assert (code, said in err) == (1, True)
    assert (command.stores.assets.all(), command.count()) == ([], 0)
    assert (command.folder / "f.csv").read_text() == BAD
    code, out, _ = command("readings", "f.csv", "--skip-bad")
    assert (code, "1 bad line was written to f.csv.rejects.csv" in out) == (0, True)
    assert rejected(command) == [
        {
            "line": "4",
            "column": "ts",
            "reason": "'at three' is not an instant; write for example 2015-01-01 06:00:00 or "
            "2015-01-01T06:00:00Z",
            "original": "at three,oven-1,3",
        }
    ]
    code, out, _ = command("readings", "f.csv", "--skip-bad", "--rejects", "bad.csv", "--json")
    assert (code, json.loads(out)["rejected"], json.loads(out)["rejects"]) == (0, 1, "bad.csv")
    assert command.count() == 2


def rejected(command):
    with (command.folder / "f.csv.rejects.csv").open(newline="") as file:
        return [*csv.DictReader(file)]


def test_no_cell_of_a_rejects_file_is_a_formula(command):
    lines = ["2026-01-05 00:00:00;oven-1;1;", "=cmd|' /C calc'!A0;oven-1;x;=1+1"]
    command.file("f.csv", "\n".join(["ts;asset;=HYPERLINK(0);+b", *lines, ""]))
    assert command("readings", "f.csv", "--skip-bad")[0] == 0
    (row,) = rejected(command)
    assert row["original"] == "'=cmd|' /C calc'!A0;oven-1;x;'=1+1"
    assert not [cell for cell in row.values() if cell.startswith(("=", "+", "-", "@"))]


WRONG = [
    ("readings missing.csv", 1, "missing.csv: file not found"),
    ("readings f.csv --time tss", 1, "there is no column 'tss'; did you mean ts?"),
    ("readings f.csv --rename x", 2, "not of the form old=new"),
    ("readings f.csv --rejects r.csv", 2, "goes with --skip-bad only"),
    ("readings", 2, "Missing argument"),
    ("events f.csv", 1, "no column 'type'; name it with --type-column (or name one type with --ty"),
    ("readings f.csv --encoding rot13", 1, "not an encoding of text files"),
    ("readings f.csv --time-format %Q", 1, "is not known"),
    ("readings f.csv --missing x --decimal x", 2, "'x' is not one of"),
    ('readings f.csv --sep "', 1, "is not a separator"),
]


def test_a_wrong_command_has_one_message_and_its_exit_code(command):
    command.file("f.csv", GOOD)
    answers = [(words, command(*words.split()), said) for words, _, said in WRONG]
    assert [
        (words, code, said if out == "" and said in " ".join(err.split()) else err)
        for words, (code, out, err), said in answers
    ] == WRONG


def test_events_and_assets_go_the_same_way(command):
    command.file(
        "stops.csv",
        "ts,asset,type,end,why\n2026-01-05 00:00:00,oven-1,stop,2026-01-05 00:10:00,jam\n",
    )
    code, out, _ = command("events", "stops.csv")
    told = ("1 new of 1 events of 1 asset" in out, "event types: stop (lasting)" in out)
    assert (code, *told) == (0, True, True)
    command.file("assets.yaml", "oven-1: {attributes: {age: 3}, variables: {x: {delay: 1h}}}")
    code, out, _ = command("assets", "assets.yaml", "--dry-run")
    assert (code, "dry run" in out, "oven-1: attributes.age: 3\n" in out) == (0, True, True)
    assert command.stores.assets.get("oven-1").attributes == {}
    assert command("assets", "assets.yaml")[0] == 0
    asset = command.stores.assets.get("oven-1")
    assert (asset.attributes, asset.variables["x"].delay) == ({"age": 3.0}, timedelta(hours=1))
    events = command.stores.readings.load(WantedHistory(asset, None, None)).events
    assert (events.end - events.start).tolist() == [timedelta(minutes=10)]


def is_at_work(database):
    """Return whether the server does anything with a database."""
    of_database = {"$match": {"ns": {"$regex": rf"^{database.name}\."}}}
    return any(database.client.admin.aggregate([{"$currentOp": {}}, of_database]))


@pytest.mark.night
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_an_import_stopped_in_the_middle_is_completed_by_running_it_again(command, how):
    rows = 240_000
    lines = (f"{1_767_571_200 + i},oven-{i % 3},{i},{i % 7}" for i in range(rows))
    command.file("f.csv", "ts,asset,x,y\n" + "\n".join(lines) + "\n")
    words = ["-c", "from alerting.cli.main import main; main()", "import", "readings", "f.csv"]
    with subprocess.Popen(
        [sys.executable, *words],
        cwd=command.folder,
        env=command.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        while not command.count() and process.poll() is None:
            time.sleep(0.005)
        process.send_signal(how)
        assert "Traceback" not in process.communicate(timeout=600)[1]
    assert process.returncode != 0, "it was done before the signal came"
    while is_at_work(command.stores.database):  # the server ends what it was sent
        time.sleep(0.1)
    before = command.count()
    assert 0 < before < rows
    code, out, _ = command("readings", "f.csv", "--json")
    assert (code, json.loads(out)["new"], command.count()) == (0, rows - before, rows)
