"""Secrets of one installation: made once, readable by its owner alone."""

import base64
import json
import os
import secrets
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from alerting.definitions.faults import Refused

ROLES = ("operator", "engineer", "admin")
FOLDER_MODE = 0o700
FILE_MODE = 0o600


@dataclass(frozen=True, repr=False)
class Secrets:
    """API tokens by role, and what Airflow's parts share."""

    api_tokens: dict[str, str]
    airflow_password: str
    airflow_jwt: str
    airflow_session: str
    airflow_fernet: str
    folder: Path

    @property
    def tokens_file(self) -> Path:
        """What the API reads: who each token belongs to, and the role it gives."""
        return self.folder / "api_tokens.json"

    @property
    def airflow_passwords_file(self) -> Path:
        """What Airflow's simple auth manager reads: passwords by user."""
        return self.folder / "airflow_passwords.json"


def private_folder(folder: Path) -> Path:
    """Make a folder that only its owner may enter, or make an existing one so."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(FOLDER_MODE)
    return folder


def load_or_create(folder: Path) -> Secrets:
    """Read the secrets in `folder`, making those that are missing. Raises Refused for a file that others may read."""
    private_folder(folder)
    tokens = _kept(folder / "api_tokens.json", _new_tokens)
    passwords = _kept(folder / "airflow_passwords.json", lambda: json.dumps({"admin": secrets.token_urlsafe(12)}))
    _kept(folder / "feedback_link_key", lambda: secrets.token_urlsafe(48))
    return Secrets(
        api_tokens={entry["role"]: token for token, entry in json.loads(tokens).items()},
        airflow_password=json.loads(passwords)["admin"],
        airflow_jwt=_kept(folder / "airflow_jwt", lambda: secrets.token_urlsafe(64)),
        airflow_session=_kept(folder / "airflow_session", lambda: secrets.token_urlsafe(32)),
        airflow_fernet=_kept(folder / "airflow_fernet", lambda: base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()),
        folder=folder,
    )


def _new_tokens() -> str:
    return json.dumps({secrets.token_urlsafe(24): {"name": role, "role": role} for role in ROLES}, indent=1)


def _kept(path: Path, make: Callable[[], str]) -> str:
    if not path.exists():
        draft = path.with_suffix(".new")
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE), "w") as file:
            file.write(make())
        draft.replace(path)
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise Refused(f"{path} may be read by others on this machine: run `chmod 600 {path}`, or delete it for a new one")
    return path.read_text()
