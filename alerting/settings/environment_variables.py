"""The environment variables of the platform: read one by one, with all faults collected."""

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar
from urllib.parse import urlsplit

from alerting.definitions.faults import Fault, UserError

T = TypeVar("T")


@dataclass(frozen=True)
class Variables:
    """An environment, and faults found in it. Unset and blank variables mean the default."""

    environ: Mapping[str, str]
    faults: list[Fault] = field(default_factory=list)

    def text(self, name: str) -> str:
        """Return a variable without blanks around it; empty if it is not set."""
        return self.environ.get(name, "").strip()

    def read(self, name: str, parse: Callable[[str], T], default: T) -> T:
        """Return a variable parsed by `parse`; on a ValueError record a fault and return the
        default."""
        text = self.text(name)
        try:
            return parse(text) if text else default
        except ValueError as fault:
            self.add_fault(name, str(fault))
            return default

    def names(self, prefix: str) -> list[str]:
        """Return the variables with this prefix that are set, sorted."""
        return [
            name for name in sorted(self.environ) if name.startswith(prefix) and self.text(name)
        ]

    def read_group(
        self,
        prefix: str,
        parse: Callable[[str], T],
        default: T,
        suffix: str = "",
        *,
        leave_out: str | None = None,
    ) -> Mapping[str, T]:
        """Return the values of the variables `<prefix><NAME><suffix>` by name: lower case, `_`
        turned into `-`.

        `leave_out`: suffix of the variables with this prefix that belong to another group.
        """
        names = [
            name
            for name in self.names(prefix)
            if name.endswith(suffix) and not (leave_out and name.endswith(leave_out))
        ]
        return MappingProxyType(
            {
                name.removeprefix(prefix).removesuffix(suffix).lower().replace("_", "-"): self.read(
                    name, parse, default
                )
                for name in names
            }
        )

    def add_fault(self, name: str, message: str) -> None:
        """Record a fault of a variable. The message must not repeat a secret."""
        self.faults.append(Fault(name, message))


def bounded(parse: Callable[[str], T], least: Any, most: Any, refusal: str) -> Callable[[str], T]:
    """Return a parser of values from `least` to `most`. Its ValueError has the text of the
    variable, followed by `refusal`."""

    def read(text: str) -> T:
        value = parse(text)
        if not least <= value <= most:
            raise ValueError(f"{text!r}{refusal}")
        return value

    return read


def whole_number(text: str) -> int:
    """Return the whole number in a text; for any other text a number below every bound."""
    return int(text) if text.isdecimal() else -1


def positive_number(text: str) -> float:
    """Return the number in a text; for any other text a number below every bound."""
    with suppress(ValueError):
        return float(text)
    return 0.0


def listed(text: str) -> tuple[str, ...]:
    """Return the parts of a text divided by commas, without blanks and empty parts."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def one_of(choices: tuple[T, ...]) -> Callable[[str], T]:
    """Return a parser that takes one of these words."""

    def parse(text: str) -> T:
        for choice in choices:
            if choice == text:
                return choice
        raise ValueError(f"{text!r} is none of {', '.join(map(str, choices))}")

    return parse


def checked(fits: Callable[[str], bool], refusal: str) -> Callable[[str], str]:
    """Return a parser that returns a text as it is. Its ValueError for a text that does not fit has
    the message `refusal`, without the text, which may be a secret."""

    def parse(text: str) -> str:
        if not fits(text):
            raise ValueError(refusal)
        return text

    return parse


def address(schemes: set[str], refusal: str, *, needs_host: bool = True) -> Callable[[str], str]:
    """Return a parser of addresses. Its ValueError has the message `refusal`, never the address."""

    def is_address(text: str) -> bool:
        try:
            parts = urlsplit(text)
            has_host = bool(parts.hostname) or not needs_host
            return parts.scheme in schemes and parts.port != 0 and has_host
        except ValueError:  # its message may hold a password
            return False

    return checked(is_address, refusal)


port_number = bounded(whole_number, 1, 65535, " is not a port: give a whole number from 1 to 65535")


NAMES = "ALERTING_SECRET_NAMES"
FOLDERS = "ALERTING_SECRET_FOLDERS"
_NAME = re.compile(r"[A-Z0-9_*?]+")


@dataclass(frozen=True)
class SecretRules:
    """The environment variables and files that a source may name for its secret. They are limited
    because the author of a source chooses the server to which the secret is sent.

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
        path = Path(file).resolve()
        if any(path.is_relative_to(Path(folder).resolve()) for folder in self.folders):
            return None
        hint = f"move it there, or add its folder to {FOLDERS} of the process that reads the source"
        return (
            f"sources may name secret files in {', '.join(self.folders)}, and {file} is in none of "
            f"these folders: {hint}"
        )


def read_private_file(file: Path, named: str) -> str:
    """Return the secret in a file without the end of its line. Raises UserError if the file cannot
    be read, or others may read it. `named`: setting and value that name the file, for the
    message."""
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
    names = listed(text)
    for name in names:
        if not _NAME.fullmatch(name):
            raise ValueError(
                f"{name!r} is no name of an environment variable: give capital letters, digits, _ "
                "and *, e.g. *_URL"
            )
    return names


def _folders(text: str) -> tuple[str, ...]:
    folders = listed(text)
    for folder in folders:
        if not folder.startswith("/") or ".." in folder.split("/"):
            raise ValueError(f"{folder!r} is not an absolute folder: give for example /run/secrets")
    return folders
