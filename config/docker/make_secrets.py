"""Makes the secrets that are missing, each in a file that only its reader may read. What exists is
never changed.

`make_secrets.py` runs as root in a job of its own; `make_secrets.py show` prints what people need
to sign in.
"""

import base64
import json
import os
import secrets
import shutil
import sys
from pathlib import Path

from alerting.local.prepare import load_or_create

SERVICES = Path("/secrets/alerting")
MONGODB = Path("/secrets/mongodb")
POSTGRES = Path("/secrets/postgres")
BROKER = Path("/secrets/broker")
OWNER = "alerting"


def keep(path: Path, text: str) -> str:
    """The secret in `path`, which is made with this text when it is missing."""
    if not path.exists():
        draft = path.with_suffix(".new")
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
        draft.replace(path)
    return path.read_text()


def password() -> str:
    """Letters and digits only, so that it may stand in an address."""
    return secrets.token_hex(24)


def make() -> None:
    """Each database, and the broker where there is one, gets copies of what it needs and nothing
    else."""
    has_broker = BROKER.is_dir() or os.access(BROKER.parent, os.W_OK)  # else no volume for it
    for folder in (SERVICES, MONGODB, POSTGRES, *([BROKER] if has_broker else [])):
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
    load_or_create(SERVICES)
    keep(MONGODB / "keyfile", base64.b64encode(secrets.token_bytes(512)).decode())
    keep(MONGODB / "root_password", keep(SERVICES / "mongodb_root_password", password()))
    keep(SERVICES / "mongodb_password", password())
    keep(POSTGRES / "root_password", password())
    for database in ("airflow", "mlflow", "reporting"):
        keep(POSTGRES / database, keep(SERVICES / f"{database}_database_password", password()))
    broker = keep(SERVICES / "broker_password", password())
    if has_broker:
        keep(BROKER / "redis.conf", f"requirepass {broker}\n")
    for path in (SERVICES, *SERVICES.iterdir()):
        shutil.chown(path, OWNER, OWNER)


def show() -> None:
    """What people need: the passwords of Airflow and MLflow, and the tokens of the API."""
    lines = [
        f"Airflow  admin / {json.loads((SERVICES / 'airflow_passwords.json').read_text())['admin']}"
    ]
    lines += [f"MLflow   alerting / {(SERVICES / 'mlflow_password').read_text()}"]
    tokens = json.loads((SERVICES / "api_tokens.json").read_text())
    lines += [f"API      {entry['role']:<9} {token}" for token, entry in tokens.items()]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    if sys.argv[1:] == ["show"]:
        show()
    else:
        make()
