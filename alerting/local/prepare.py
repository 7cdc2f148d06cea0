"""Preparation of a home and its database: `alerting prepare`, first job of `alerting up`. The
secrets of an installation are generated once, and readable only by their owner.

The console has a one-time sign-in link, which the terminal alone shows: a file has the hash of its
code.
"""

from __future__ import annotations

import base64
import hmac
import json
import os
import secrets
import sys
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from alerting.adapters.airflow.dag_files import write_dag_files
from alerting.definitions.faults import UserError
from alerting.operators.account_rules import hash_secret
from alerting.settings.environment import LINK_KEY, MODEL_KEY, Settings, read_settings
from alerting.settings.home_folder import (
    create_home,
    home_errors,
    make_private_folder,
    new_key,
    shared_secret,
)
from alerting.wiring import MLFLOW_PASSWORD, database_warning, known_keys, prepare_database

NEW_KEYS = "--new-keys"


def prepare_home(settings: Settings) -> Secrets:
    """Create or update the home, and generate missing secrets. Idempotent.

    Raises UserError if the home cannot be used.
    """
    create_home(settings.home, "embedded" if settings.mongodb_uri is None else "named")
    keys = known_keys(settings)
    with home_errors(settings.home):
        return load_or_create(settings.home / "secrets", keys)


def prepare(settings: Settings, *, new_keys: bool = False) -> None:
    """Create the home with Airflow's DAG files, and the collections, validators and indexes in its
    database.

    Idempotent. `new_keys`: the keys of this home replace those of the database. Raises UserError if
    the home or the database cannot be used, or the keys are others.
    """
    prepare_home(settings)
    write_dag_files(settings.home)
    prepare_database(settings, new_keys=new_keys)


def main() -> int:
    """Prepare DAG files and database in a home. Returns the exit code: 1 when refused."""
    try:
        settings = read_settings(os.environ)
        write_dag_files(settings.home)
        prepare_database(settings, new_keys=NEW_KEYS in sys.argv[1:])
        warning = database_warning(settings)
    except UserError as refusal:
        sys.stderr.write(f"refused: {refusal}\n")
        return 1
    lines = [*([warning] if warning else []), "collections, validators and indexes"]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


ROLES = ("viewer", "operator", "engineer", "admin", "sender")
"""Roles that have a token from the first start; a reader's comes first, a program's last."""


@dataclass(frozen=True, repr=False)
class Secrets:
    """API tokens by role, the secrets that Airflow's parts share, and MLflow's password."""

    api_tokens: dict[str, str]
    airflow_password: str
    airflow_jwt: str
    airflow_session: str
    airflow_fernet: str
    mlflow_password: str
    folder: Path

    @property
    def tokens_file(self) -> Path:
        """Return the file of the API: name and role of the owner of each token."""
        return self.folder / "api_tokens.json"

    @property
    def airflow_passwords_file(self) -> Path:
        """Return the file of Airflow's simple auth manager: passwords by user."""
        return self.folder / "airflow_passwords.json"


def load_or_create(folder: Path, without: Collection[str] = ()) -> Secrets:
    """Return the secrets in `folder`, new if missing. `without`: names of keys that other hosts
    have, which are not made here. Raises UserError if others may read."""
    make_private_folder(folder)
    tokens = shared_secret(
        folder / "api_tokens.json",
        lambda: json.dumps(
            {secrets.token_urlsafe(24): {"name": role, "role": role} for role in ROLES}, indent=1
        ),
    )
    passwords = shared_secret(
        folder / "airflow_passwords.json", lambda: json.dumps({"admin": secrets.token_urlsafe(12)})
    )
    for name in {LINK_KEY, MODEL_KEY}.difference(without):
        shared_secret(folder / name, new_key)
    return Secrets(
        api_tokens={entry["role"]: token for token, entry in json.loads(tokens).items()},
        airflow_password=json.loads(passwords)["admin"],
        airflow_jwt=shared_secret(folder / "airflow_jwt", lambda: secrets.token_urlsafe(64)),
        airflow_session=shared_secret(
            folder / "airflow_session", lambda: secrets.token_urlsafe(32)
        ),
        airflow_fernet=shared_secret(
            folder / "airflow_fernet",
            lambda: base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        ),
        mlflow_password=shared_secret(folder / MLFLOW_PASSWORD, lambda: secrets.token_urlsafe(18)),
        folder=folder,
    )


LINK_VALID = timedelta(minutes=10)
SIGN_IN_PATH = "/sign-in/"
_FILE = "sign_in_link.json"


def make_link(folder: Path, console: str, now: datetime) -> str:
    """Return a new link's address, and invalidate the earlier. `folder`: of secrets."""
    code = secrets.token_urlsafe(16)
    draft = folder / f"{_FILE}.new"
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump({"hash": hash_secret(code), "expires": (now + LINK_VALID).timestamp()}, file)
    draft.replace(folder / _FILE)
    return f"{console}{SIGN_IN_PATH}{code}"


def take_link(folder: Path, code: str, now: datetime) -> bool:
    """Use up the link if this code is valid; return whether it was: only once."""
    try:
        stored = json.loads((folder / _FILE).read_text())
        expected = str(stored["hash"])
        expires = float(stored["expires"])
    except (OSError, ValueError, KeyError, TypeError):
        return False
    if not hmac.compare_digest(expected, hash_secret(code)) or now.timestamp() >= expires:
        return False
    try:
        (folder / _FILE).unlink()
    except FileNotFoundError:  # another request used the link first
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
