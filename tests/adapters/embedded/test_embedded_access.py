"""Other users of the machine reach the port of the embedded database, and nothing behind it."""

import stat
import threading
import time

import psutil
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from alerting.adapters.mongo.embedded_mongod import EmbeddedMongod
from tests.helpers.processes import suspend
from tests.support import free_port, require_real_server

CODES_OF_STRANGERS = {13, 18}  # Unauthorized, AuthenticationFailed
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
GUESSES = {"alerting": "admin", "__system": "local", "root": "admin"}


def refusal(port, attempt, **credentials):
    """Return the code with which the server refuses what a stranger attempts; None if it does not
    refuse."""
    options = {"directConnection": True, "serverSelectionTimeoutMS": 5000, **credentials}
    with MongoClient("127.0.0.1", port, **options) as client:
        try:
            attempt(client)
        except OperationFailure as refused:
            return refused.code
    return None


def test_who_has_no_secret_or_guesses_one_can_do_nothing(real_mongod):
    port = real_mongod.port
    codes = {what: refusal(port, attempt) for what, attempt in ATTEMPTS.items()}
    for user, source in GUESSES.items():
        guess = {"username": user, "password": "alerting", "authSource": source}
        codes[f"guess the password of {user}"] = refusal(port, ATTEMPTS["read"], **guess)
    assert {what: code for what, code in codes.items() if code not in CODES_OF_STRANGERS} == {}


def test_the_secrets_are_made_once_for_their_owner_and_a_lost_one_anew_while_the_data_stay(
    tmp_path,
):
    require_real_server()
    files = [tmp_path / name for name in ("keyfile", "password")]
    secrets = []
    for lost in ([], files[1:], files[:1]):
        for file in lost:
            file.unlink()
        with EmbeddedMongod(tmp_path, free_port()) as server, MongoClient(server.uri) as client:
            client["alerting"]["definitions"].update_one(
                {"_id": "kept"}, {"$inc": {"starts": 1}}, upsert=True
            )
            kept = client["alerting"]["definitions"].find_one()
            words = " ".join(psutil.Process(server.pid).cmdline())  # everybody may read them
        secrets.append([file.read_text() for file in files])
        written = words + (tmp_path / "mongod.log").read_text()
        assert [secret for secret in secrets[-1] if secret in written] == []
        modes = [stat.S_IMODE(path.stat().st_mode) for path in (tmp_path, *files)]
        assert modes == [0o700, 0o600, 0o600]
    (key, password), (same_key, new_password), (new_key, same_password) = secrets
    assert (same_key, same_password, kept["starts"]) == (key, new_password, 3)
    assert (new_key != key, new_password != password) == (True, True)


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
