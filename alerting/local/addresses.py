"""The table of addresses, names and passwords that `alerting up` prints: words first, so that only an address runs over."""

from collections.abc import Iterator

from alerting.adapters.embedded import mongod_access
from alerting.adapters.embedded.shared_mongod import data_folder
from alerting.adapters.mlflow.connection import public_address
from alerting.local import parts
from alerting.local.secrets import Secrets
from alerting.settings.environment import Settings
from alerting.wiring import MLFLOW_USER

MAY = {
    "viewer": "reads everything",
    "operator": "also answers alarms",
    "engineer": "also sends data, runs jobs",
    "admin": "also shelves for 30 days",
    "sender": "sends data, reads nothing",
}
"""What the token of a role may do beyond that of the role before, in a few words; docs/api.md, "Roles", has the whole list."""


def address_lines(settings: Settings, secrets: Secrets) -> list[str]:
    """Return the lines of the table. Where it has no address or secret of unusual length, no line exceeds 80 columns.

    A terminal that is narrower wraps a line at its end, where an address or a secret stands, and cuts nothing off.
    """
    lines = ["Addresses, open to this machine alone, and how to sign in:"]
    for name, texts in _sections(settings, secrets):
        lines += [f"{name:<8} {first}" if i == 0 else f"{'':<8} {first}" for i, first in enumerate(texts)]
    return lines


def _sections(settings: Settings, secrets: Secrets) -> Iterator[tuple[str, list[str]]]:
    tokens = [f"{role:<8} {MAY[role]:<26} {secrets.api_tokens[role]}" for role in MAY if role in secrets.api_tokens]
    yield "Console", [parts.api_uri(settings), *tokens]
    yield "Airflow", [parts.airflow_uri(settings), f"{'admin':<8} password {secrets.airflow_password}"]
    own_mlflow = [] if settings.mlflow_uri else [f"{MLFLOW_USER:<8} password {secrets.mlflow_password}"]
    yield "MLflow", [parts.mlflow_page(settings), *own_mlflow]
    address, *sign_in = _mongodb(settings)
    yield "MongoDB", [address, f"database {settings.database}", *sign_in]
    yield "Files", [f"data, logs, secrets: {settings.home}"]


def _mongodb(settings: Settings) -> list[str]:
    """Return the address and, of the embedded server, how to sign in; what a client finds out by itself is left out."""
    if settings.mongodb_uri is not None:
        return [public_address(settings.mongodb_uri)]
    password = data_folder(settings.home) / mongod_access.PASSWORD_FILE
    address = f"mongodb://{mongod_access.HOST}:{settings.mongodb_port}/?authSource=admin"
    return [address, f"user {mongod_access.USER}, password in {password}"]
