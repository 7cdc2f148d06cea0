"""The home of a platform: its location, its protection from other users, and its small secret
files.

A home is a folder in which `alerting up` or `alerting prepare` has written `home.json`. Commands
look for one and never make one: a command in the wrong folder would fill a second platform that no
operator sees.
"""

import contextlib
import errno
import json
import os
import pwd
import secrets
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from alerting.definitions.faults import UserError
from alerting.settings.environment_variables import read_private_file

VARIABLE = "ALERTING_HOME"
FOLDER = ".alerting"
FOLDER_MODE = 0o700
FILE_MODE = 0o600
MARK = "home.json"
RESTORING = "restoring"
"""File in a home into which a backup is being restored."""
_NOT_WRITABLE = {
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOTDIR,
    errno.ENOENT,
    errno.EEXIST,
    errno.EISDIR,
}

Database = Literal["embedded", "named"]
LEAST_KEY = 32  # characters


def find_home(environ: Mapping[str, str], folder: Path, last: bool = True) -> Path:
    """Return the home of this platform: the first existing one of several candidates.

    The candidates are: the folder that `ALERTING_HOME` names; the nearest home at or above
    `folder`; with `last` the home of this user's last `alerting up`; and `.alerting` in `folder`,
    which need not exist. Raises UserError if the nearest home belongs to another user.
    """
    if named := environ.get(VARIABLE, "").strip():
        return Path(named).expanduser().absolute()
    for parent in (folder, *folder.parents):
        candidate = parent / FOLDER
        if not candidate.is_dir():
            continue
        _refuse_foreign(candidate)
        if database_of(candidate) is not None:
            return candidate
    return (last_home(environ) if last else None) or folder / FOLDER


def database_of(home: Path) -> Database | None:
    """Return the database that the platform of this home uses; None if the folder is no home."""
    try:
        text = (home / MARK).read_text(encoding="utf-8")
    except OSError:
        return None
    return "named" if '"named"' in text else "embedded"


def create_home(home: Path, database: Database) -> None:
    """Make a folder a home that its owner alone may enter.

    Raises UserError if it cannot be written, or a restore into it was interrupted.
    """
    claim_folder(home)
    if (home / RESTORING).exists():
        raise UserError(
            f"a restore into {home} was interrupted: delete this folder, and restore again"
        )
    with home_errors(home):
        draft = home / f"{MARK}.new"
        draft.write_text(json.dumps({"database": database}), encoding="utf-8")
        draft.replace(home / MARK)


def claim_folder(home: Path) -> None:
    """Create the folder if it is missing, and close it to other users. Raises UserError if it
    belongs to another user."""
    with home_errors(home):
        home.mkdir(parents=True, exist_ok=True, mode=FOLDER_MODE)
        _close(home)


def require_embedded(home: Path) -> None:
    """Raise UserError if this is no home of this user with an embedded database."""
    with home_errors(home):
        database = database_of(home) if home.is_dir() else None
    if database is None:
        raise UserError(
            f"there is no platform in {home}: run `alerting up` to make and start one there "
            "(`alerting prepare` makes one "
            f"without starting it), or name another one: {VARIABLE}=/path/to/its/.alerting"
        )
    if database == "named":
        raise UserError(
            f"the platform in {home} uses a MongoDB server of its own: set ALERTING_MONGODB_URI as "
            "for `alerting up`"
        )
    with home_errors(home):
        _close(home)


def _close(home: Path) -> None:
    status = _refuse_foreign(home)
    if status.st_mode & stat.S_ISVTX:
        raise UserError(
            f"{home} is shared by all users of this machine: set {VARIABLE} to a folder of your own"
        )
    if not os.access(home, os.R_OK | os.W_OK | os.X_OK):
        raise OSError(errno.EACCES, os.strerror(errno.EACCES), str(home))
    if stat.S_IMODE(status.st_mode) != FOLDER_MODE:
        home.chmod(FOLDER_MODE)


def _refuse_foreign(home: Path) -> os.stat_result:
    status = home.stat()
    if status.st_uid != os.geteuid():
        raise UserError(
            f"{home} belongs to {_user(status.st_uid)}, and you are {_user(os.geteuid())}: set "
            f"{VARIABLE} to a home of your own, "
            "or run the command as its owner"
        )
    return status


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


@contextmanager
def home_errors(home: Path) -> Iterator[None]:
    """Raise a UserError instead of an error in this block that means that the home cannot be
    written."""
    try:
        yield
    except OSError as fault:
        if fault.errno not in _NOT_WRITABLE or not _is_within(fault.filename, home):
            raise
        raise UserError(
            f"the home {home} cannot be used: {fault.filename}: {fault.strerror}; make it writable "
            f"for {_user(os.geteuid())}, "
            f"or set {VARIABLE} to a folder that is"
        ) from fault


def _is_within(path: object, home: Path) -> bool:
    if not isinstance(path, str | bytes | os.PathLike):
        return False
    location = Path(os.fsdecode(path)).absolute()
    return location.is_relative_to(home) or home.is_relative_to(location)


def record_last_home(home: Path, environ: Mapping[str, str]) -> None:
    """Record in the user's state folder, if possible, that `alerting up` ran on this home."""
    record = _record(environ)
    if record is None:
        return
    with contextlib.suppress(OSError):
        record.parent.mkdir(parents=True, exist_ok=True, mode=FOLDER_MODE)
        draft = record.with_suffix(f".{os.getpid()}")
        draft.write_text(f"{home}\n", encoding="utf-8")
        draft.replace(record)


def last_home(environ: Mapping[str, str]) -> Path | None:
    """Return the home of this user's last `alerting up`, if it is still one."""
    record = _record(environ)
    try:
        home = Path(record.read_text(encoding="utf-8").strip()) if record else None
    except (OSError, UnicodeDecodeError):
        return None
    return (
        home if home is not None and home.is_absolute() and database_of(home) is not None else None
    )


def _record(environ: Mapping[str, str]) -> Path | None:
    state = environ.get("XDG_STATE_HOME", "")
    if not Path(state).is_absolute():
        if not environ.get("HOME"):
            return None
        state = str(Path(environ["HOME"]) / ".local" / "state")
    return Path(state) / "alerting" / "last_home"


def make_private_folder(folder: Path) -> Path:
    """Make a folder that only its owner may enter, or close an existing one, and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(FOLDER_MODE)
    return folder


def shared_secret(path: Path, make: Callable[[], str]) -> str:
    """Return the secret in the file `path`, which is created if it is missing. If several processes
    create it at once, all return the same secret.

    Raises UserError if other users may read the file.
    """
    if not path.exists():
        draft = path.with_name(f"{path.name}.{os.getpid()}.new")
        draft.unlink(missing_ok=True)
        with os.fdopen(
            os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE), "w"
        ) as file:
            file.write(make())
        try:
            path.hardlink_to(draft)
        except FileExistsError:
            pass
        except OSError:  # a file system without hard links
            draft.replace(path)
        draft.unlink(missing_ok=True)
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise UserError(
            f"{path} may be read by others on this machine: run `chmod 600 {path}`, or delete it, "
            "and the next start makes a new one"
        )
    return path.read_text()


def new_key() -> str:
    """Return a new random key."""
    return secrets.token_urlsafe(48)


def load_or_create_key(path: Path) -> bytes:
    """Return the key in a file, which the first call creates and only its owner can read.

    Raises UserError if other users may read the file.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return _long_enough(path, shared_secret(path, new_key))


def read_key(path: Path, variable: str) -> bytes:
    """Return the key that another process has put into a file, without creating it. `variable`: the
    environment variable that names the file. Raises UserError if the file is missing, or other
    users may read it."""
    if not path.exists():
        raise UserError(
            f"there is no key in {path}, and a process on named servers makes none: put the key "
            f"of the other hosts there, or name its file in {variable}"
        )
    return _long_enough(path, read_private_file(path, f"{variable} {path}"))


def _long_enough(path: Path, text: str) -> bytes:
    key = text.strip().encode()
    if len(key) < LEAST_KEY:
        raise UserError(
            f"{path} is too short for a key: delete it, and the next start makes a new one"
        )
    return key
