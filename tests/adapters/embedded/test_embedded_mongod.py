"""The embedded database server: its life, its end, and what it says when it cannot start."""

import importlib.util
import itertools
import os
import signal
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pymongo.errors import OperationFailure, PyMongoError

from alerting.adapters.mongo import embedded_mongod
from alerting.adapters.mongo.embedded_mongod import EmbeddedMongod, serves
from alerting.adapters.mongo.mongo import DatabaseDown, connect, open_database, open_stores
from alerting.definitions.faults import UserError
from tests.support import free_port, require_real_server

HEALTHY = Path(__file__).parents[3] / "config" / "docker" / "mongodb-healthy.sh"


@pytest.fixture(autouse=True)
def _with_the_wheel():
    require_real_server()


def numbers_in(uri):
    with open_database(uri, "test") as database:
        return {document["_id"] for document in database["numbers"].find()}


def test_every_acknowledged_write_survives_kill_9_of_which_the_writer_is_told(tmp_path):
    server = EmbeddedMongod(tmp_path, free_port()).start()
    acknowledged = []

    def write_numbers():
        with connect(server.uri, timeout=1) as client:
            for number in itertools.count():
                client["test"]["numbers"].insert_one({"_id": number})
                acknowledged.append(number)

    with (
        pytest.raises(DatabaseDown, match="does not answer"),
        open_database(server.uri, "test", timeout=1) as database,
        ThreadPoolExecutor(1) as threads,
    ):
        writer = threads.submit(write_numbers)
        while len(acknowledged) < 100:
            assert not writer.done()
            time.sleep(0.01)
        os.kill(server.pid, signal.SIGKILL)
        assert isinstance(writer.exception(), PyMongoError)
        database["numbers"].insert_one({"_id": -1})
    with EmbeddedMongod(tmp_path, server.port) as again:
        assert set(acknowledged) <= numbers_in(again.uri)
    server.stop()


def test_ctrl_c_in_the_terminal_does_not_reach_it(real_mongod):
    assert os.getsid(real_mongod.pid) != os.getsid(0)


def test_the_writes_of_our_stores_wait_for_the_journal_of_the_majority_whatever_the_address_says(
    real_server,
):
    """Stores of several processes that are prepared at once."""

    def concern(_):
        with open_stores(f"{real_server}&w=1&journal=false", "concern", prepare=True) as stores:
            return stores.database["readings"].write_concern.document

    with ThreadPoolExecutor(4) as threads:
        concerns = [*threads.map(concern, range(4))]
    assert concerns == [{"w": "majority", "j": True, "wtimeout": 30_000}] * 4


def test_a_taken_port_is_refused_with_its_number_and_setting(tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(UserError, match=rf"port {port} is taken.*ALERTING_MONGODB_PORT"):
            EmbeddedMongod(tmp_path, port).start()


def test_a_folder_in_use_is_refused_and_the_other_server_is_left_alone(real_mongod):
    words = (
        rf"another MongoDB server is using .* \(process {real_mongod.pid}\).* try again; a second"
    )
    with pytest.raises(UserError, match=f"{words} platform needs its own ALERTING_HOME"):
        EmbeddedMongod(real_mongod.folder, free_port()).start(patience=1)
    assert serves(real_mongod.folder, real_mongod.port)


def test_a_server_whose_keys_are_not_loaded_yet_is_down_for_a_moment(real_server):
    """A client that was connected before gets this error in the first moments after a restart with
    access control."""
    started = OperationFailure("No keys found for HMAC that is valid for time", 211)
    with (
        pytest.raises(DatabaseDown, match="has just started"),
        open_database(real_server, "not_ready"),
    ):
        raise started


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


def test_a_wrong_password_is_said_as_such(real_mongod):
    address = f"mongodb://ann:wrong@127.0.0.1:{real_mongod.port}/?replicaSet=alerting"
    with (
        pytest.raises(DatabaseDown, match="user or password") as refusal,
        open_stores(address, "test"),
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
    assert (tmp_path / "mongod.log.1").read_text() == "a long story"


def test_the_health_check_of_compose_understands_a_real_server(real_mongod):
    environ = {"PATH": os.environ["PATH"], "HOSTNAME": "127.0.0.1"}
    codes = [
        subprocess.run(
            ["/bin/bash", HEALTHY, str(port)], check=False, env=environ, capture_output=True
        ).returncode
        for port in (real_mongod.port, free_port())
    ]
    assert codes[0] == 0 != codes[1]
