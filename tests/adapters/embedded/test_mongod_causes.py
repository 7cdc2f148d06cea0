"""A full disk and a damaged database: what people read, with the real server."""

import contextlib
import os
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from alerting.adapters.mongo.embedded_mongod import LOG, EmbeddedMongod, cause
from alerting.adapters.mongo.mongo import open_stores
from alerting.definitions.faults import UserError
from alerting.settings.home_folder import create_home
from tests.support import free_port, require_real_server

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A data folder that a server has left in good order. Its own: tests damage it."""
    require_real_server()
    folder = tmp_path_factory.mktemp("filled") / "mongod"
    with (
        EmbeddedMongod(folder, free_port()) as server,
        open_stores(server.uri, "x", prepare=True) as stores,
    ):
        stores.database["junk"].insert_many([{"n": n} for n in range(2000)])
    (folder / LOG).unlink()
    return folder


def cut(path):
    os.truncate(path, path.stat().st_size // 2)


@pytest.mark.parametrize(
    ("name", "damage"), [("WiredTiger.turtle", cut), ("_mdb_catalog.wt", os.remove)]
)
def test_a_damaged_database_is_called_damaged_with_what_to_do(filled, tmp_path, name, damage):
    folder = tmp_path / "mongod"
    shutil.copytree(filled, folder)
    damage(folder / name)
    with pytest.raises(
        UserError, match=r"is damaged: move this folder away and put a backup .*mongod\.log"
    ):
        EmbeddedMongod(folder, free_port()).start()


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


@pytest.mark.night
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
    run = partial(subprocess.run, command, env=environ, capture_output=True, text=True, check=False)
    filler = small_disk / "filler"
    with filler.open("wb") as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(1 << 20))
            file.flush()
    full = run()
    assert full.returncode == 1
    assert "full: free some space" in full.stderr
    assert "Traceback" not in full.stderr
    filler.unlink()
    assert run().returncode == 0


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


STARTED = '{"s":"I","msg":"***** SERVER RESTARTED *****"}\n'
FULL = "is full: free some space"
ENDS = {
    '{"s":"E","c":"WT","attr":{"error":28,"message":{"msg":"No space left on device"}}}': FULL,
    '{"s":"E","c":"WT","attr":{"error":28,"mess': FULL,  # the log was on the full disk, too
    '{"s":"F","c":"STORAGE","attr":{"error":"13: Permission denied"}}': "may not read or write",
    '{"s":"E","c":"STORAGE","attr":{"error":"30: Read-only file system"}}': "read-only file",
    '{"s":"E","c":"CONTROL","attr":{"error":"DBPathInUse: ..."}}': "another MongoDB server is",
    '{"s":"F",  "c":"STORAGE",  "attr":{"reason":"-31803: WT_NOTFOUND: item"}}': "is damaged",
}


def test_the_end_of_the_log_tells_the_cause_and_an_earlier_start_does_not_count(
    tmp_path, monkeypatch
):
    log = tmp_path / LOG
    assert cause(log, tmp_path) is None
    untold = []
    for line, words in ENDS.items():
        log.write_text(STARTED + line)
        untold += [] if words in (cause(log, tmp_path) or "") else [line]
    assert untold == []
    log.write_text('{"s":"E","attr":"No space left on device"}\n' + STARTED)
    assert cause(log, tmp_path) is None
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 4096}))
    assert "is full" in (cause(log, tmp_path) or ""), "whatever the log could still say"
