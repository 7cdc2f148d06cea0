"""`alerting backtest` as people run it: on a file, killed on the way and gone on with; nothing live
is written."""

import json
import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest

from alerting.adapters.embedded.embedded_mongod import EmbeddedMongod
from alerting.adapters.mongo.mongo import open_stores
from tests.builders import at
from tests.support import free_port, require_real_server

pytestmark = pytest.mark.server
ALERTING = Path(sys.executable).parent / "alerting"
WEEKS = 20
DEFINITION = (
    "{name: hot, kind: threshold, assets: [oven-1], variable: temperature, above: 205, "
    "stale_after: 2h, state: draft}"
)


class Shell:
    """The command in a folder of its own."""

    def __init__(self, commands, folder, uri):
        self.commands = commands
        self.folder = folder
        self.uri = uri
        self.environ = os.environ | {
            "ALERTING_HOME": str(folder / "home"),
            "ALERTING_MONGODB_URI": uri,
            "COLUMNS": "400",
        }

    def start(self, *words):
        return subprocess.Popen(
            [ALERTING, *words],
            cwd=self.folder,
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __call__(self, *words):
        done = self.commands.run(*words, cwd=self.folder, environ=self.environ)
        return done.returncode, done.stdout, done.stderr

    def contents(self):
        with open_stores(self.uri, "alerting") as stores:
            names = [
                n for n in stores.database.list_collection_names() if not n.startswith("backtest")
            ]
            return {n: sorted(str(d) for d in stores.database[n].find()) for n in sorted(names)}


@pytest.fixture(scope="module")
def shell(tmp_path_factory, commands):
    require_real_server()
    folder = tmp_path_factory.mktemp("backtest")
    with EmbeddedMongod(folder / "mongod", free_port()) as server:
        shell = Shell(commands, folder, server.uri)
        hours = range(WEEKS * 7 * 24)
        lines = [
            "ts,temperature",
            *(f"{(at(60 * h - 1e6)).isoformat()},{200 + h % 7}" for h in hours),
        ]
        (folder / "line.csv").write_text("\n".join(lines))
        (folder / "hot.yaml").write_text(DEFINITION)
        assert shell("prepare")[0] == 0
        assert shell("import", "readings", "line.csv", "--asset", "oven-1")[0] == 0
        yield shell


def stretch(weeks):
    first = at(-1e6)
    return "--from", first.isoformat(), "--to", (first + timedelta(weeks=weeks)).isoformat()


def test_a_file_that_is_not_applied_is_tested_and_nothing_else_is_written(shell):
    before = shell.contents()
    code, out, err = shell("backtest", "hot.yaml", *stretch(2), "--json", "--out", "page.html")
    assert code == 0, err
    result = json.loads(out)
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
