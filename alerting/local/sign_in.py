"""One-time sign-in link of the console: `alerting up` makes it, the API accepts it.

A file of the secrets folder stores the hash of its code; only the terminal shows the link itself.
"""

import hashlib
import hmac
import json
import os
import secrets
from datetime import datetime, timedelta
from pathlib import Path

VALID = timedelta(minutes=10)
PATH = "/sign-in/"
_FILE = "sign_in_link.json"


def make_link(folder: Path, console: str, now: datetime) -> str:
    """Return a new link's address, and invalidate the earlier. `folder`: of secrets."""
    code = secrets.token_urlsafe(16)
    draft = folder / f"{_FILE}.new"
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump({"hash": _digest(code), "expires": (now + VALID).timestamp()}, file)
    draft.replace(folder / _FILE)
    return f"{console}{PATH}{code}"


def take_link(folder: Path, code: str, now: datetime) -> bool:
    """Use up the link if this code is valid; return whether it was: only once."""
    try:
        stored = json.loads((folder / _FILE).read_text())
        expected = str(stored["hash"])
        expires = float(stored["expires"])
    except (OSError, ValueError, KeyError, TypeError):
        return False
    if not hmac.compare_digest(expected, _digest(code)) or now.timestamp() >= expires:
        return False
    try:
        (folder / _FILE).unlink()
    except FileNotFoundError:  # another request used the link first
        return False
    return True


def _digest(code: str) -> str:
    return hashlib.sha256(code.encode(errors="surrogatepass")).hexdigest()
