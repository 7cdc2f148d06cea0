"""Access to the embedded MongoDB server: one user, whose secrets are stored in the server's data
folder only.

The server knows two secrets, each made once and readable by its owner alone. `keyfile` belongs to
the server. With it the platform signs in as the server itself to create the replica set and the
user, so that the server never accepts a client without a secret. `password` belongs to the user
`alerting`, by which commands and services sign in. Passwords are 256 random bits, so the fewest
rounds of hashing that the server permits are enough, and a new connection costs 5 ms instead of 36.
"""

import secrets
from base64 import b64encode
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pymongo import MongoClient
from pymongo.errors import OperationFailure

from alerting.definitions.faults import UserError
from alerting.settings.home_folder import make_private_folder, shared_secret

HOST = "127.0.0.1"
REPLICA_SET = "alerting"
TRANSACTION_LIFETIME_S = 10
"""How long a process that dies inside a transaction blocks the documents that it has changed."""
USER = "alerting"
ROLES = ("backup", "clusterMonitor", "dbAdminAnyDatabase", "readWriteAnyDatabase", "restore")
KEY_FILE = "keyfile"
PASSWORD_FILE = "password"  # noqa: S105 - the name of a file
MECHANISM = "SCRAM-SHA-256"
_AUTHENTICATION_FAILED = 18

Client = MongoClient[dict[str, Any]]


def server_options(folder: Path) -> list[str]:
    """Make missing secrets, and return the server options that require a secret of every client."""
    key = make_private_folder(folder) / KEY_FILE
    shared_secret(key, _random)
    shared_secret(folder / PASSWORD_FILE, _random)
    parameters = ("enableLocalhostAuthBypass=false", "scramSHA256IterationCount=5000")
    return [
        "--keyFile",
        str(key),
        *(part for parameter in parameters for part in ("--setParameter", parameter)),
    ]


def address(folder: Path, port: int) -> str:
    """Return the URI, with its password, under which clients reach the server of this data folder;
    never print it.

    Raises UserError if there is no such folder.
    """
    if not folder.is_dir():
        raise UserError(
            f"there is no database in {folder}: `alerting up` makes it, or set ALERTING_MONGODB_URI"
        )
    password = quote(shared_secret(folder / PASSWORD_FILE, _random), safe="")
    options = f"replicaSet={REPLICA_SET}&authSource=admin&authMechanism={MECHANISM}"
    return f"mongodb://{USER}:{password}@{HOST}:{port}/?{options}"


def _random() -> str:
    return b64encode(secrets.token_bytes(33)).decode()


def as_server(folder: Path, port: int) -> Client:
    """Return a client with the rights of the server itself."""
    key = (folder / KEY_FILE).read_text()
    return _direct(
        port, username="__system", password=key, authSource="local", authMechanism=MECHANISM
    )


def as_user(folder: Path, port: int) -> Client:
    """Return a client with the rights of commands and services."""
    password = (folder / PASSWORD_FILE).read_text()
    return _direct(
        port, username=USER, password=password, authSource="admin", authMechanism=MECHANISM
    )


def _direct(port: int, **credentials: Any) -> Client:
    credentials |= {
        "serverSelectionTimeoutMS": 500,
        "connectTimeoutMS": 1000,
        "socketTimeoutMS": 10_000,
    }
    return MongoClient(HOST, port, directConnection=True, **credentials)


def ensure_user(system: Client, folder: Path, port: int) -> None:
    """Create the user, or restore its password and roles. The server must be primary."""
    users = system.admin.command("usersInfo", USER)["users"]
    options: dict[str, Any] = {
        "pwd": (folder / PASSWORD_FILE).read_text(),
        "roles": list(ROLES),
        "mechanisms": [MECHANISM],
    }
    if not users:
        system.admin.command("createUser", USER, **options)
    elif {role["role"] for role in users[0]["roles"]} != set(ROLES) or not _lets_in(folder, port):
        system.admin.command("updateUser", USER, **options)


def _lets_in(folder: Path, port: int) -> bool:
    try:
        with as_user(folder, port) as client:
            client.admin.command("ping")
    except OperationFailure as refusal:
        if refusal.code != _AUTHENTICATION_FAILED:
            raise
        return False
    return True
