"""Settings of secrets: the environment variables and files that a source may name."""

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from alerting.definitions.faults import UserError
from alerting.settings.variables import Variables, listed

NAMES = "ALERTING_SECRET_NAMES"
FOLDERS = "ALERTING_SECRET_FOLDERS"
_NAME = re.compile(r"[A-Z0-9_*?]+")


@dataclass(frozen=True)
class SecretRules:
    """The places that a source may name for its secret: the author of a source chooses the server
    that the secret is sent to.

    `names`: patterns of environment variables; those of the platform itself never fit. `folders`:
    of files.
    """

    names: tuple[str, ...] = ("*_URL",)
    folders: tuple[str, ...] = ("/run/secrets",)

    def name_refusal(self, name: str) -> str | None:
        """Return why a source may not name an environment variable; None if it may."""
        if name.startswith(("ALERTING_", "AIRFLOW_", "MLFLOW_")):
            return (
                f"the environment variable {name} belongs to the platform itself; give the secret "
                "of the source another name"
            )
        if any(fnmatchcase(name, pattern) for pattern in self.names):
            return None
        hint = (
            f"give it a name that does, or add {name} to {NAMES} of the process that reads the "
            "source"
        )
        return (
            f"sources may name environment variables like {', '.join(self.names)}, and {name} is "
            f"none of them: {hint}"
        )

    def file_refusal(self, file: str) -> str | None:
        """Return why a source may not name a file; None if it may. Links are followed."""
        found = Path(file).resolve()
        if any(found.is_relative_to(Path(folder).resolve()) for folder in self.folders):
            return None
        hint = f"move it there, or add its folder to {FOLDERS} of the process that reads the source"
        return (
            f"sources may name secret files in {', '.join(self.folders)}, and {file} is in none of "
            f"these folders: {hint}"
        )


def read_private_file(file: Path, named: str) -> str:
    """Return the secret in a file without the end of its line. Raises UserError if the file cannot
    be read, or others may read it. `named`: the setting and its value, for the message."""
    try:
        mode = file.stat().st_mode
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as fault:
        reason = fault.strerror if isinstance(fault, OSError) else "it is not UTF-8 text"
        raise UserError(f"{named} cannot be read: {reason}") from fault
    if mode & 0o077:
        raise UserError(f"{named} may be read by others: run `chmod 600` on it")
    return text.rstrip("\r\n")


def read_secret_rules(variables: Variables) -> SecretRules:
    """Return `ALERTING_SECRET_NAMES` and `ALERTING_SECRET_FOLDERS`, both divided by commas."""
    usual = SecretRules()
    return SecretRules(
        variables.read(NAMES, _names, usual.names), variables.read(FOLDERS, _folders, usual.folders)
    )


def _names(text: str) -> tuple[str, ...]:
    given = listed(text)
    for name in given:
        if not _NAME.fullmatch(name):
            raise ValueError(
                f"{name!r} is no name of an environment variable: give capital letters, digits, _ "
                "and *, e.g. *_URL"
            )
    return given


def _folders(text: str) -> tuple[str, ...]:
    given = listed(text)
    for folder in given:
        if not folder.startswith("/") or ".." in folder.split("/"):
            raise ValueError(f"{folder!r} is not an absolute folder: give for example /run/secrets")
    return given
