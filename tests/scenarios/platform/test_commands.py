"""Commands as people run them: a mistake gives one clear message, exit code 1 or 2, no traceback,
and changes nothing; a backtest of a file writes nothing live, and one that is stopped says how to
go on."""

import json
import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest

from alerting.adapters.mongo.embedded_mongod import EmbeddedMongod
from alerting.adapters.mongo.mongo import open_stores
from tests.builders import at
from tests.support import free_port, require_real_server

ALERTING = Path(sys.executable).parent / "alerting"
WEEKS = 20
DRAFT = (
    "{name: hot, kind: threshold, assets: [oven-2], variable: temperature, above: 205, "
    "stale_after: 2h, state: draft}"
)


class Shell:
    """The command as a person runs it, in a folder of its own."""

    def __init__(self, commands, folder, uri):
        self.commands = commands
        self.folder = folder
        self.uri = uri
        self.environ = os.environ | {
            "ALERTING_HOME": str(folder / "home"),
            "ALERTING_MONGODB_URI": uri,
            "COLUMNS": "400",
        }

    def __call__(self, *words, **environ):
        return self.commands.run(*words, cwd=self.folder, environ=self.environ | environ)

    def start(self, *words):
        return subprocess.Popen(
            [ALERTING, *words],
            cwd=self.folder,
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def write(self, name, text):
        (self.folder / name).write_text(text, encoding="utf-8")
        return name

    def contents(self):
        """Every document of the database but those of backtests, as text."""
        with open_stores(self.uri, "alerting") as stores:
            database = stores.database
            return {
                n: sorted(str(d) for d in database[n].find())
                for n in sorted(database.list_collection_names())
                if not n.startswith("backtest")
            }


@pytest.fixture(scope="module")
def shell(tmp_path_factory, commands):
    """Commands on a database. Its own: what they leave in it is compared as a whole."""
    require_real_server()
    folder = tmp_path_factory.mktemp("wrong")
    with EmbeddedMongod(folder / "mongod", free_port()) as server:
        shell = Shell(commands, folder, server.uri)
        lines = [f"{at(60 * h - 1e6).isoformat()},{200 + h % 7}" for h in range(WEEKS * 7 * 24)]
        shell.write("hot.csv", "\n".join(["ts,temperature", *lines]))
        shell.write("hot.yaml", DRAFT)
        assert shell("prepare").returncode == 0
        assert shell("import", "readings", "hot.csv", "--asset", "oven-2").returncode == 0
        yield shell


def test_a_missing_file_a_wrong_usage_and_a_database_that_is_down_are_said(shell):
    missing = shell("import", "readings", "nowhere.csv", "--asset", "oven-1")
    down = shell("list", ALERTING_MONGODB_URI=f"mongodb://127.0.0.1:{free_port()}/")
    usage = shell("train", "wrong", "--as-of", "2026-01-01T00:00")
    assert [done.returncode for done in (missing, down, usage)] == [1, 1, 2]
    assert "nowhere.csv" in missing.stderr
    assert "does not answer" in down.stderr
    assert "Traceback" not in missing.stderr + down.stderr + usage.stderr


def stretch(weeks):
    first = at(-1e6)
    return "--from", first.isoformat(), "--to", (first + timedelta(weeks=weeks)).isoformat()


def test_a_file_that_is_not_applied_is_tested_and_nothing_else_is_written(shell):
    before = shell.contents()
    done = shell("backtest", "hot.yaml", *stretch(2), "--json", "--out", "page.html")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert len(result["episodes"]) == result["load"]["episodes"] == 48
    assert result["load"]["per_day"] == pytest.approx(48 / 14, rel=0.01)
    assert {e["outcome"] for e in result["episodes"]} <= {None, "undetermined"}
    assert "Backtest: no alarm here is live" in (shell.folder / "page.html").read_text()
    assert shell.contents() == before


def test_ctrl_c_says_how_to_go_on(shell):
    process = shell.start("backtest", "hot.yaml", *stretch(WEEKS - 1))
    with open_stores(shell.uri, "alerting") as stores:
        while not any(
            r["segments"] and "finished_at" not in r for r in stores.backtests.for_definition("hot")
        ):
            time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=600)
    assert process.returncode == 130
    assert "run the command again to continue" in err
