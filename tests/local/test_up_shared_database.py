"""Commands without a running platform share one embedded database, which lives as long as its last
user."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from threading import Timer

import psutil
import pytest
from pymongo import MongoClient

from alerting.adapters.mongo.mongo import DatabaseDown
from alerting.adapters.mongo.shared_mongod import exclusive_mongod, shared_mongod
from alerting.cli import command
from alerting.definitions.faults import UserError
from alerting.local.prepare import prepare_home
from alerting.ports import Conflict
from alerting.settings.environment import Settings
from alerting.stores.database.transactions_and_leases import (
    MongoUnitOfWork,
    conflicts,
    session_of,
)
from alerting.wiring import open_platform
from tests.support import require_real_server

USER = """
import pathlib, sys
from alerting.adapters.mongo.mongo import open_database
from alerting.adapters.mongo.shared_mongod import shared_mongod
with shared_mongod(pathlib.Path(sys.argv[1])) as uri:
    print(uri, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def _real_server():
    require_real_server()


def start_user(home):
    """Start a process that uses the database; return it and the address of its server."""
    command = [sys.executable, "-c", USER, str(home)]
    user = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    return user, user.stdout.readline().strip()


def servers_of(home):
    processes = psutil.process_iter(["cmdline"])
    return [p for p in processes if str(home / "mongod") in (p.info["cmdline"] or [])]


def assert_no_server_is_left(home):
    deadline = time.monotonic() + 600
    while servers_of(home):
        assert time.monotonic() < deadline, servers_of(home)
        time.sleep(0.1)


def test_two_commands_at_once_use_one_server_that_ends_with_the_last_however_it_ends(tmp_path):
    first, uri = start_user(tmp_path)
    second, same = start_user(tmp_path)
    assert (same, len(servers_of(tmp_path))) == (uri, 1)
    first.communicate()
    with MongoClient(uri, serverSelectionTimeoutMS=2000) as client:
        client["alerting"]["kept"].insert_one({"_id": 1})
    second.kill()
    second.communicate()
    assert_no_server_is_left(tmp_path)
    with shared_mongod(tmp_path) as again, MongoClient(again) as client:
        assert client["alerting"]["kept"].count_documents({}) == 1
    assert_no_server_is_left(tmp_path)


def test_a_killed_keeper_takes_its_server_along_and_the_next_command_starts_another(tmp_path):
    user, _ = start_user(tmp_path)
    (server,) = servers_of(tmp_path)
    os.kill(server.ppid(), signal.SIGKILL)
    assert_no_server_is_left(tmp_path)
    with shared_mongod(tmp_path) as uri, MongoClient(uri) as client:
        assert client.admin.command("hello")["isWritablePrimary"]
    user.communicate()


def test_up_waits_until_commands_have_finished_and_while_it_holds_the_folder_none_starts_a_server(
    tmp_path,
):
    user, _ = start_user(tmp_path)
    waited = []

    def finish():
        waited.append(True)
        user.stdin.close()

    with exclusive_mongod(tmp_path, finish) as record_port:
        assert waited == [True]
        record_port(1)
        refused = pytest.raises(UserError, match="is running, but its database has not answered")
        with refused, shared_mongod(tmp_path, 0.5):
            pass
        assert servers_of(tmp_path) == []
    user.wait()


def test_a_platform_opens_on_nothing_but_a_home(tmp_path):
    missing = pytest.raises(UserError, match="there is no platform")
    with missing, open_platform(Settings(home=tmp_path)):
        pass
    prepare_home(Settings(home=tmp_path))
    with open_platform(Settings(home=tmp_path)) as platform:
        assert platform.definitions.documents() == []
        assert set(platform.channels) == {"log"}
    assert_no_server_is_left(tmp_path)


def read(database, freeze):
    freeze()
    database["kept"].find_one()


def read_long(database, freeze):
    """Freeze the server in the middle of an operation."""
    slow = {"$function": {"body": "function() {sleep(600000)}", "args": [], "lang": "js"}}
    Timer(1, freeze).start()
    list(database["kept"].aggregate([{"$project": {"slow": slow}}]))


def write(database, freeze, before="write"):
    """Write as use cases do, again after a conflict."""
    for attempt in range(100):
        with suppress(Conflict), MongoUnitOfWork(database).begin(attempt) as unit:
            if before == "write":
                freeze()
            with conflicts():  # as stores do
                database["kept"].insert_one({"_id": 2}, session=session_of(unit))
            freeze()


def commit(database, freeze):
    write(database, freeze, before="commit")


def are_running(server):
    """Return whether a thread of a process is not stopped yet."""
    stats = Path(f"/proc/{server.pid}/task").glob("*/stat")
    return any(stat.read_text().rpartition(") ")[2][0] != "T" for stat in stats)


@pytest.mark.parametrize("operation", [read, read_long, write, commit])
def test_a_server_that_is_frozen_ends_the_operation_and_is_named_within_seconds(
    operation, tmp_path, monkeypatch
):
    monkeypatch.setenv("ALERTING_HOME", str(tmp_path))
    prepare_home(Settings(home=tmp_path))
    user, uri = start_user(tmp_path)
    (server,) = servers_of(tmp_path)
    silent = f"process {server.pid}.* does not answer"
    with MongoClient(uri) as thawed:
        thawed["alerting"]["kept"].insert_one({"_id": 1})
        frozen = []

        def freeze():
            frozen.append(time.monotonic())
            server.suspend()
            while are_running(server):  # one of its threads could still answer
                time.sleep(0.01)

        try:
            with pytest.raises(DatabaseDown, match=silent), command.platform() as platform:
                operation(platform.unit_of_work._database, freeze)
            assert time.monotonic() - frozen[0] < 15
            began = time.monotonic()
            with pytest.raises(UserError, match=silent), shared_mongod(tmp_path):
                pass
            assert time.monotonic() - began < 15  # 5 on an idle machine
        finally:
            server.resume()
        assert thawed["alerting"]["kept"].find_one({"_id": 1})
    user.communicate()
