"""Makes the secrets of Grafana and Prometheus that are missing, each in a file that only its reader
may read; runs as root in a job of its own. `make_secrets.py show` prints Grafana's password."""

import json
import os
import secrets
import sys
from pathlib import Path

PLATFORM = Path("/run/alerting/secrets")
FOLDER = Path("/secrets/grafana")
GRAFANA = 472
PROMETHEUS = 65534
"""Users of the images."""


def write(name: str, text: str, user: int) -> None:
    """Write a secret anew, so that it appears at once and whole, for this user alone."""
    draft = FOLDER / f"{name}.new"
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    os.chown(draft, user, user)
    draft.replace(FOLDER / name)


def make() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    FOLDER.chmod(0o711)
    for name in ("admin_password", "reader_password"):
        if not (FOLDER / name).exists():
            write(name, secrets.token_hex(24), GRAFANA)
    tokens = json.loads((PLATFORM / "api_tokens.json").read_text())
    viewers = [token for token, entry in tokens.items() if entry["role"] == "viewer"]
    if not viewers:
        sys.exit("api_tokens.json has no token with the role viewer, with which Prometheus reads")
    write("token", viewers[0], PROMETHEUS)


def show() -> None:
    sys.stdout.write(f"Grafana  admin / {(FOLDER / 'admin_password').read_text()}\n")


if __name__ == "__main__":
    if sys.argv[1:] == ["show"]:
        show()
    else:
        make()
