"""A full disk and a damaged database: what people read, with the real server."""

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from alerting.adapters.embedded.embedded_mongod import LOG, EmbeddedMongod
from alerting.adapters.embedded.mongod_causes import cause
from alerting.adapters.mongo.mongo import open_stores
from alerting.definitions.faults import UserError
from alerting.settings.home import create_home
from tests.support import free_port, require_real_server

ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A data folder that a server has left in good order."""
    require_real_server()
    folder = tmp_path_factory.mktemp("filled") / "mongod"
    with (
        EmbeddedMongod(folder, free_port()) as server,
        open_stores(server.uri, "x", prepare=True) as stores,
    ):
        stores.database["junk"].insert_many([{"n": n} for n in range(2000)])
    (folder / LOG).unlink()
    return folder


def overwrite(path):
    path.write_bytes(b"\0" * path.stat().st_size)


def cut(path):
    os.truncate(path, path.stat().st_size // 2)


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("WiredTiger.turtle", cut),
        ("WiredTiger.wt", overwrite),
        ("_mdb_catalog.wt", os.remove),
        ("storage.bson", cut),
    ],
)
def test_a_damaged_database_is_called_damaged_with_what_to_do(filled, tmp_path, name, damage):
    folder = tmp_path / "mongod"
    shutil.copytree(filled, folder)
    damage(folder / name)
    with pytest.raises(
        UserError, match="is damaged: move this folder away and put a backup in its place"
    ):
        EmbeddedMongod(folder, free_port()).start()


def test_a_command_says_it_too(filled, tmp_path):
    folder = tmp_path / "home" / "mongod"
    shutil.copytree(filled, folder)
    overwrite(folder / "WiredTiger.wt")
    create_home(tmp_path / "home", "embedded")
    environ = {k: v for k, v in os.environ.items() if not k.startswith("ALERTING_")} | {
        "ALERTING_HOME": str(tmp_path / "home")
    }
    command = [sys.executable, "-c", "from alerting.cli.main import main; main()", "list"]
    done = subprocess.run(
        command, env=environ, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 1
    assert "is damaged" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a disk of its own of 400 MB; only root can make one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = ["mount", "-t", "tmpfs", "-o", "size=400m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mounted, check=False, capture_output=True).returncode:
        pytest.skip("a disk that is full can be made by root alone, where root may mount")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True, capture_output=True)  # noqa: S607


def test_a_command_on_a_full_disk_says_so_with_what_to_do_and_goes_on_once_there_is_room(
    filled, small_disk
):
    home = small_disk / "home"
    shutil.copytree(filled, home / "mongod")
    create_home(home, "embedded")
    environ = {k: v for k, v in os.environ.items() if not k.startswith("ALERTING_")} | {
        "ALERTING_HOME": str(home)
    }
    command = [sys.executable, "-c", "from alerting.cli.main import main; main()", "list"]
    filler = small_disk / "filler"
    with filler.open("wb") as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(1 << 20))
            file.flush()
    full = subprocess.run(
        command, env=environ, capture_output=True, text=True, timeout=120, check=False
    )
    assert full.returncode == 1
    assert "full: free some space" in full.stderr
    assert "Traceback" not in full.stderr
    filler.unlink()
    again = subprocess.run(
        command, env=environ, capture_output=True, text=True, timeout=120, check=False
    )
    assert again.returncode == 0, again.stderr


def test_a_supervisor_refuses_to_run_where_it_would_kill_processes_of_others(tmp_path):
    code = (
        "import pathlib, sys; from alerting.local.supervisor import Part, Supervisor; folder = "
        "pathlib.Path(sys.argv[1]);"
        "Supervisor([Part('one', 'one', ('true',), {})], folder, folder, print, print).run({}, "
        "lambda: None)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "RuntimeError: a supervisor runs inside `guarded`" in done.stderr


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (
            '{"s":"E","c":"WT","attr":{"error":28,"message":{"msg":"No space left on device"}}}',
            "is full: free some space",
        ),
        # the log was on the full disk, too
        (
            '{"s":"E","c":"WT","attr":{"error":28,"mess',
            "is full: free some space",
        ),
        (
            '{"s":"F","c":"STORAGE","attr":{"error":"13: Permission denied"}}',
            "may not read or write",
        ),
        (
            '{"s":"E","c":"STORAGE","attr":{"error":"30: Read-only file system"}}',
            "read-only file system",
        ),
        (
            '{"s":"E","c":"CONTROL","attr":{"error":"DBPathInUse: ..."}}',
            "another MongoDB server is using",
        ),
        (
            '{"s":"F",  "c":"STORAGE",  "attr":{"reason":"-31803: WT_NOTFOUND: item not found"}}',
            "is damaged",
        ),
    ],
)
def test_the_end_of_the_log_tells_the_cause(tmp_path, line, words):
    (tmp_path / LOG).write_text('{"s":"I","msg":"***** SERVER RESTARTED *****"}\n' + line)
    assert words in (cause(tmp_path / LOG, tmp_path) or "")


def test_what_an_earlier_start_said_does_not_count(tmp_path):
    text = (
        '{"s":"E","attr":"No space left on device"}\n{"s":"I","msg":"***** SERVER RESTARTED '
        '*****"}\n{"s":"I","msg":"up"}\n'
    )
    (tmp_path / LOG).write_text(text)
    assert cause(tmp_path / LOG, tmp_path) is None
    assert cause(tmp_path / "none", tmp_path) is None


def test_a_disk_without_room_is_full_whatever_the_log_could_still_say(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 4096}))
    assert "is full" in (cause(tmp_path / LOG, tmp_path) or "")
