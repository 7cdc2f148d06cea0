"""Other users of the machine reach the port of the embedded database, and nothing behind it."""

import stat
import threading
import time

import psutil
import pytest
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from alerting.adapters.embedded.embedded_mongod import EmbeddedMongod
from tests.helpers.processes import suspend
from tests.support import free_port, require_real_server

pytestmark = pytest.mark.server
CODES_OF_STRANGERS = {13, 18}  # Unauthorized, AuthenticationFailed


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    require_real_server()
    with EmbeddedMongod(tmp_path_factory.mktemp("mongod"), free_port()) as running:
        with MongoClient(running.uri) as client:
            client["alerting"]["definitions"].insert_one({"_id": "oven-too-hot"})
        yield running


def stranger(server, **credentials):
    return MongoClient(
        "127.0.0.1",
        server.port,
        directConnection=True,
        serverSelectionTimeoutMS=5000,
        **credentials,
    )


ATTEMPTS = {
    "read": lambda client: client["alerting"]["definitions"].find_one(),
    "write": lambda client: client["alerting"]["definitions"].insert_one({"_id": "mine"}),
    "drop": lambda client: client.drop_database("alerting"),
    "list": lambda client: client.list_database_names(),
    "make a user by the localhost exception": lambda client: client.admin.command(
        "createUser", "mallory", pwd="mallory", roles=["root"]
    ),
    "stop the server": lambda client: client.admin.command("shutdown"),
    "see the options": lambda client: client.admin.command("getCmdLineOpts"),
    "reconfigure": lambda client: client.admin.command("replSetReconfig", {}, force=True),
}


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_who_has_no_secret_can_do_nothing(server, attempt):
    with stranger(server) as client, pytest.raises(OperationFailure) as refused:
        ATTEMPTS[attempt](client)
    assert refused.value.code in CODES_OF_STRANGERS


@pytest.mark.parametrize("user", ["alerting", "__system", "root"])
def test_a_guessed_password_lets_nobody_in(server, user):
    source = "local" if user == "__system" else "admin"
    client = stranger(server, username=user, password="alerting", authSource=source)
    with client, pytest.raises(OperationFailure) as refused:
        client["alerting"]["definitions"].find_one()
    assert refused.value.code in CODES_OF_STRANGERS


def test_the_secrets_are_made_once_for_their_owner_alone(tmp_path):
    secrets = []
    for _ in range(2):
        with EmbeddedMongod(tmp_path, free_port()) as server:
            kept = {name: (tmp_path / name) for name in ("keyfile", "password")}
            assert {stat.S_IMODE(path.stat().st_mode) for path in kept.values()} == {0o600}
            assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700
            secrets.append({name: path.read_text() for name, path in kept.items()})
            words = " ".join(psutil.Process(server.pid).cmdline())
            # everybody may read command lines
            assert not [secret for secret in secrets[0].values() if secret in words]
            assert not [
                secret
                for secret in secrets[0].values()
                if secret in (tmp_path / "mongod.log").read_text()
            ]
    assert secrets[0] == secrets[1]


@pytest.mark.parametrize("lost", ["password", "keyfile"])
def test_a_lost_secret_is_made_anew_at_the_next_start_and_the_data_stay(tmp_path, lost):
    require_real_server()
    with EmbeddedMongod(tmp_path, free_port()) as server, MongoClient(server.uri) as client:
        client["alerting"]["definitions"].insert_one({"_id": "kept"})
        before = server.uri
    (tmp_path / lost).unlink()
    with EmbeddedMongod(tmp_path, server.port) as server, MongoClient(server.uri) as client:
        assert client["alerting"]["definitions"].find_one() == {"_id": "kept"}
        assert (server.uri == before) == (lost == "keyfile")


def test_a_server_that_is_told_to_end_is_waited_for_by_its_successor(tmp_path):
    """Two starts that meet on a busy machine: the second waits for the folder instead of giving up
    at once."""
    require_real_server()
    first = EmbeddedMongod(tmp_path, free_port()).start()
    process = psutil.Process(first.pid)
    suspend(process)  # it takes its time
    waking = threading.Timer(2.0, lambda: (process.resume(), process.terminate()))
    began = time.monotonic()
    waking.start()
    with EmbeddedMongod(tmp_path, free_port()) as second, MongoClient(second.uri) as client:
        assert time.monotonic() - began > 1.5
        assert second.pid != first.pid
        assert client.admin.command("hello")["isWritablePrimary"]
    waking.join()
    first.stop()
