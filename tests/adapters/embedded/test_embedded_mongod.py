"""The embedded database server: its life, its end, and what it says when it cannot start."""

import importlib.util
import itertools
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
from pymongo.errors import OperationFailure, PyMongoError

from alerting.adapters.embedded import embedded_mongod
from alerting.adapters.embedded.embedded_mongod import EmbeddedMongod, serves
from alerting.adapters.mongo.mongo import DatabaseDown, connect, open_database, open_stores
from alerting.definitions.faults import UserError
from tests.support import free_port, require_real_server

pytestmark = pytest.mark.server


@pytest.fixture(autouse=True)
def _with_the_wheel():
    require_real_server()


def numbers_in(uri):
    with open_database(uri, "test") as database:
        return {document["_id"] for document in database["numbers"].find()}


def write_numbers(uri, stop, acknowledged):
    """Insert one number after the other until told to stop."""
    with connect(uri, timeout=1) as client:
        for number in itertools.takewhile(lambda _: not stop.is_set(), itertools.count()):
            try:
                client["test"]["numbers"].insert_one({"_id": number})
            except PyMongoError:  # the server is gone, or busy
                continue
            acknowledged.append(number)


def test_every_acknowledged_write_survives_kill_9(tmp_path):
    server = EmbeddedMongod(tmp_path, free_port()).start()
    for round_ in range(3):
        stop = threading.Event()
        acknowledged = []
        with connect(server.uri) as client:
            client["test"]["numbers"].drop()
        writer = threading.Thread(target=write_numbers, args=(server.uri, stop, acknowledged))
        writer.start()
        deadline = time.monotonic() + 600
        while len(acknowledged) < 50 * (round_ + 1) and time.monotonic() < deadline:
            time.sleep(0.01)
        os.kill(server.pid, signal.SIGKILL)
        stop.set()
        writer.join()
        assert len(acknowledged) >= 50 * (round_ + 1)
        server = EmbeddedMongod(tmp_path, server.port).start()
        assert set(acknowledged) <= numbers_in(server.uri)
    server.stop()


def test_the_writes_of_our_stores_wait_for_the_journal_of_the_majority_whatever_the_address_says(
    tmp_path,
):
    with EmbeddedMongod(tmp_path, free_port()) as server:
        with open_stores(f"{server.uri}&w=1&journal=false", "test", prepare=True) as stores:
            concern = stores.database["readings"].write_concern.document
        assert concern == {"w": "majority", "j": True, "wtimeout": 30_000}


def test_it_dies_with_the_process_that_started_it(tmp_path):
    script = (
        "import sys, time; from pathlib import Path; from "
        "alerting.adapters.embedded.embedded_mongod import EmbeddedMongod\n"
        "server = EmbeddedMongod(Path(sys.argv[1]), int(sys.argv[2])).start()\n"
        "print(server.pid, flush=True); time.sleep(600)"
    )
    port = free_port()
    parent = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path), str(port)], stdout=subprocess.PIPE, text=True
    )
    server = psutil.Process(int(parent.stdout.readline()))
    parent.kill()
    parent.wait()
    parent.stdout.close()
    _gone, alive = psutil.wait_procs([server], timeout=600)
    assert not alive
    with EmbeddedMongod(tmp_path, port) as again:  # the lock and the port are free at once
        assert numbers_in(again.uri) == set()


def test_ctrl_c_in_the_terminal_does_not_reach_it(tmp_path):
    with EmbeddedMongod(tmp_path, free_port()) as server:
        assert os.getsid(server.pid) != os.getsid(0)


def test_a_taken_port_is_refused_with_its_number_and_setting(tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(UserError, match=rf"port {port} is taken.*ALERTING_MONGODB_PORT"):
            EmbeddedMongod(tmp_path, port).start()


def test_a_folder_in_use_is_refused_and_the_other_server_is_left_alone(tmp_path):
    with EmbeddedMongod(tmp_path, free_port()) as first:
        first_process = first.pid
        with pytest.raises(UserError, match="another MongoDB server is using") as refusal:
            EmbeddedMongod(tmp_path, free_port()).start(patience=1)
        assert serves(tmp_path, first.port)
    said = str(refusal.value)
    assert f"process {first_process}" in said
    assert "try again" in said and "a second platform needs its own ALERTING_HOME" in said


def test_a_spoilt_folder_is_refused_with_the_place_of_the_log(tmp_path):
    with EmbeddedMongod(tmp_path, free_port()):
        pass
    for name in ("WiredTiger.wt", "WiredTiger.turtle"):
        (tmp_path / name).write_text("spoilt")
    with pytest.raises(UserError, match=r"mongod\.log"):
        EmbeddedMongod(tmp_path, free_port()).start()


def test_preparing_at_once_from_several_places_is_no_harm(tmp_path):
    faults = []

    def prepare(uri):
        try:
            with open_stores(uri, "test", prepare=True):
                pass
        except Exception as fault:  # whatever it is, it is a failure of this test
            faults.append(fault)

    with EmbeddedMongod(tmp_path, free_port()) as server:
        threads = [threading.Thread(target=prepare, args=(server.uri,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert faults == []


def test_a_server_whose_keys_are_not_loaded_yet_is_down_for_a_moment(real_server):
    """A client that was connected before gets this error in the first moments after a restart with
    access control."""
    started = OperationFailure("No keys found for HMAC that is valid for time", 211)
    with (
        pytest.raises(DatabaseDown, match="has just started"),
        open_database(real_server, "not_ready"),
    ):
        raise started


def test_a_connection_lost_in_the_middle_is_a_database_that_is_down(tmp_path):
    server = EmbeddedMongod(tmp_path, free_port()).start()
    with (
        pytest.raises(DatabaseDown, match="does not answer"),
        open_database(server.uri, "test", timeout=1) as database,
    ):
        os.kill(server.pid, signal.SIGKILL)
        database["numbers"].insert_one({"_id": 1})
    server.stop()


def test_a_missing_database_is_said_within_seconds_without_the_password():
    began = time.monotonic()
    with (
        pytest.raises(DatabaseDown, match="alerting up") as refusal,
        open_stores(f"mongodb://ann:secret@127.0.0.1:{free_port()}", "x"),
    ):
        pass
    assert time.monotonic() - began < 25  # pymongo's own patience is 30 s
    assert "secret" not in str(refusal.value)


def test_an_address_that_is_none_is_refused():
    with pytest.raises(UserError, match="ALERTING_MONGODB_URI"):
        connect("mongodb://")


def test_a_wrong_password_is_said_as_such(tmp_path):
    with (
        EmbeddedMongod(tmp_path, free_port()) as server,
        pytest.raises(DatabaseDown, match="user or password") as refusal,
        open_stores(f"mongodb://ann:wrong@127.0.0.1:{server.port}/?replicaSet=alerting", "test"),
    ):
        pass
    assert "wrong" not in str(refusal.value)


def test_a_missing_wheel_is_refused_with_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"alerting\[embedded\].*ALERTING_MONGODB_URI"):
        embedded_mongod.find_mongod()


def test_a_log_grown_too_large_is_put_aside(tmp_path, monkeypatch):
    monkeypatch.setattr(embedded_mongod, "_LARGEST_LOG", 10)
    (tmp_path / "mongod.log").write_text("a long story")
    embedded_mongod.mongod_command(tmp_path, 1)
    assert not (tmp_path / "mongod.log").exists()
    assert Path(tmp_path / "mongod.log.1").read_text() == "a long story"


def test_the_health_check_of_compose_understands_a_real_server(tmp_path):
    script = Path(__file__).parents[3] / "config" / "docker" / "mongodb-healthy.sh"
    environ = {"PATH": os.environ["PATH"], "HOSTNAME": "127.0.0.1"}
    with EmbeddedMongod(tmp_path, free_port()) as server:
        healthy = subprocess.run(
            ["/bin/bash", script, str(server.port)], check=False, env=environ, timeout=600
        )
    gone = subprocess.run(
        ["/bin/bash", script, str(server.port)],
        check=False,
        env=environ,
        capture_output=True,
        timeout=600,
    )

    assert healthy.returncode == 0
    assert gone.returncode != 0
