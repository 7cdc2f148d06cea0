"""`alerting import` as people run it: the command, a real database, kills at bad moments, files
larger than they should be."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import pytest

from tests.helpers.stores import real  # noqa: F401 - a fixture

pytestmark = pytest.mark.server
START = datetime(2026, 1, 5, tzinfo=UTC)
GOOD = "ts,asset,x\n2026-01-05 00:00:00,oven-1,1\n2026-01-05 00:01:00,oven-1,2\n"
BAD = GOOD + "at three,oven-1,3\n"


class Command:
    """Runs the command in a folder of its own, against an empty database."""

    def __init__(self, commands, folder, stores, uri):
        self.commands = commands
        self.folder = folder
        self.stores = stores
        own = {
            "ALERTING_MONGODB_URI": uri,
            "ALERTING_DATABASE": stores.database.name,
            "ALERTING_HOME": str(folder / "home"),
        }
        self.environment = {**os.environ, **own, "COLUMNS": "200"}

    def file(self, name, content):
        (self.folder / name).write_text(content, encoding="utf-8")
        return name

    def start(self, *arguments):
        code = "from alerting.cli.main import main; main()"
        return subprocess.Popen(
            [sys.executable, "-c", code, "import", *arguments],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __call__(self, *arguments):
        done = self.commands.run("import", *arguments, cwd=self.folder, environ=self.environment)
        return done.returncode, done.stdout, done.stderr

    def count(self):
        return self.stores.database["readings"].count_documents({})

    def settled_count(self):
        """The count once the server is done with the last request of a client that is gone."""
        before = -1
        while self._is_written() or (count := self.count()) != before:
            before = self.count()
            time.sleep(0.5)
        return count

    def _is_written(self):
        """Return whether the server works on a request that writes readings."""
        writes = {
            "ns": f"{self.stores.database.name}.readings",
            "op": {"$in": ["insert", "update"]},
        }
        admin = self.stores.database.client.admin
        return list(admin.aggregate([{"$currentOp": {}}, {"$match": writes}])) != []


@pytest.fixture
def command(real, real_server, commands, tmp_path):  # noqa: F811
    return Command(commands, tmp_path, real, real_server)


def test_a_file_is_imported_and_a_second_time_nothing_is_new(command):
    command.file("f.csv", GOOD)
    code, out, _ = command("readings", "f.csv")
    assert (code, "2 new of 2 readings of 1 asset" in out, "new assets: oven-1" in out) == (
        0,
        True,
        True,
    )
    code, out, _ = command("readings", "f.csv", "--json")
    assert (code, json.loads(out)["new"], json.loads(out)["rows"]) == (0, 0, 2)
    loaded = command.stores.readings.load(command.stores.assets.get("oven-1"), None, None).readings
    assert loaded["x"].tolist() == [1.0, 2.0]
    assert loaded.index[0] == START


def test_a_bad_line_is_told_with_exit_code_1_and_nothing_is_written(command):
    command.file("f.csv", BAD)
    code, out, err = command("readings", "f.csv")
    assert (code, out) == (1, "")
    assert "f.csv was not imported" in err
    assert "line 4, column ts: 'at three' is not an instant" in err
    assert command.stores.assets.all() == []
    assert command.count() == 0


def test_skipped_lines_land_in_a_rejects_file_beside_the_input_or_where_told(command):
    command.file("f.csv", BAD)
    code, out, _ = command("readings", "f.csv", "--skip-bad")
    assert code == 0
    assert "1 bad line was written to f.csv.rejects.csv" in out
    with (command.folder / "f.csv.rejects.csv").open(newline="") as file:
        assert list(csv.DictReader(file)) == [
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


def test_no_cell_of_a_rejects_file_is_a_formula(command):
    lines = ["2026-01-05 00:00:00;oven-1;1;", "=cmd|' /C calc'!A0;oven-1;x;=1+1"]
    command.file("f.csv", "\n".join(["ts;asset;=HYPERLINK(0);+b", *lines, ""]))
    assert command("readings", "f.csv", "--skip-bad")[0] == 0
    with (command.folder / "f.csv.rejects.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["original"] == "'=cmd|' /C calc'!A0;oven-1;x;'=1+1"
    assert not [cell for cell in row.values() if cell.startswith(("=", "+", "-", "@"))]


def test_a_rejects_file_that_cannot_be_written_is_refused_before_the_import(command):
    command.file("f.csv", BAD)
    code, _, err = command("readings", "f.csv", "--skip-bad", "--rejects", "nowhere/bad.csv")
    assert code == 1
    assert "cannot be written" in err
    code, _, err = command("readings", "f.csv", "--skip-bad", "--rejects", "f.csv")
    assert code == 1
    assert "is the file to import" in err
    assert command.count() == 0
    assert (command.folder / "f.csv").read_text() == BAD


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["readings", "missing.csv"], 1, "missing.csv: file not found"),
        (["readings", "f.csv", "--time", "tss"], 1, "there is no column 'tss'; did you mean ts?"),
        (["readings", "f.csv", "--rename", "x"], 2, "not of the form old=new"),
        (["readings", "f.csv", "--rejects", "r.csv"], 2, "goes with --skip-bad only"),
        (["readings"], 2, "Missing argument"),
        (
            ["events", "f.csv"],
            1,
            "there is no column 'type'; name it with --type-column (or name one type with --type)",
        ),
    ],
)
def test_a_wrong_command_has_one_message_and_its_exit_code(command, arguments, code, message):
    command.file("f.csv", GOOD)
    found, out, err = command(*arguments)
    assert (found, out) == (code, "")
    assert message in err
    assert "Traceback" not in err


def test_events_and_assets_go_the_same_way(command):
    command.file(
        "stops.csv",
        "ts,asset,type,end,why\n2026-01-05 00:00:00,oven-1,stop,2026-01-05 00:10:00,jam\n",
    )
    code, out, _ = command("events", "stops.csv")
    assert (code, "1 new of 1 events of 1 asset" in out, "event types: stop (lasting)" in out) == (
        0,
        True,
        True,
    )
    command.file("assets.yaml", "oven-1: {attributes: {age: 3}, variables: {x: {delay: 1h}}}")
    code, out, _ = command("assets", "assets.yaml", "--dry-run")
    assert (code, "dry run" in out, "oven-1: attributes.age: 3\n" in out) == (0, True, True)
    assert command.stores.assets.get("oven-1").attributes == {}
    assert command("assets", "assets.yaml")[0] == 0
    asset = command.stores.assets.get("oven-1")
    assert (asset.attributes, asset.variables["x"].delay) == ({"age": 3.0}, timedelta(hours=1))
    events = command.stores.readings.load(asset, None, None).events
    assert (events.end - events.start).tolist() == [timedelta(minutes=10)]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_an_import_stopped_in_the_middle_is_completed_by_running_it_again(command, how):
    rows = 240_000
    lines = (f"{1_767_571_200 + i},oven-{i % 3},{i},{i % 7}" for i in range(rows))
    command.file("f.csv", "ts,asset,x,y\n" + "\n".join(lines) + "\n")
    process = command.start("readings", "f.csv")
    while not command.count() and process.poll() is None:
        time.sleep(0.005)
    process.send_signal(how)
    _, err = process.communicate(timeout=600)
    assert process.returncode != 0, "it was done before the signal came"
    assert "Traceback" not in err
    before = command.settled_count()
    assert 0 < before < rows
    code, out, _ = command("readings", "f.csv", "--json")
    assert (code, json.loads(out)["new"], command.count()) == (0, rows - before, rows)
    assert command.stores.database["readings"].find_one({"asset": "oven-2", "v.x": rows - 1})[
        "v"
    ] == {
        "x": rows - 1,
        "y": (rows - 1) % 7,
    }
