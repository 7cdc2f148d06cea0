"""The environment variables of the platform: read one by one, with all faults collected."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from types import MappingProxyType
from typing import TypeVar
from urllib.parse import urlsplit

from alerting.definitions.faults import Fault, parse_duration

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
        """Return a variable by `parse`; the default, and a recorded fault, for a ValueError."""
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

        `leave_out`: the ending of variables with this prefix that belong to another group.
        """
        names = [
            name
            for name in self.names(prefix)
            if name.endswith(suffix) and not (leave_out and name.endswith(leave_out))
        ]
        return MappingProxyType(
            {_plain_name(name, prefix, suffix): self.read(name, parse, default) for name in names}
        )

    def add_fault(self, name: str, message: str) -> None:
        """Record a fault of a variable. The message must not repeat a secret."""
        self.faults.append(Fault(name, message))


def _plain_name(name: str, prefix: str, suffix: str) -> str:
    return name.removeprefix(prefix).removesuffix(suffix).lower().replace("_", "-")


def whole_number(least: int, most: int, refusal: str) -> Callable[[str], int]:
    """Return a parser of whole numbers. `refusal` follows the text in its ValueError."""

    def parse(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= most:
            raise ValueError(f"{text!r} {refusal}")
        return int(text)

    return parse


def positive_number(most: float, refusal: str) -> Callable[[str], float]:
    """Return a parser of numbers in (0, most]. `refusal` follows the text in its ValueError."""

    def parse(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = 0.0
        if not 0 < number <= most:
            raise ValueError(f"{text!r} {refusal}")
        return number

    return parse


def duration(least: timedelta, most: timedelta, refusal: str) -> Callable[[str], timedelta]:
    """Return a parser of durations between two. `refusal` follows the text in its ValueError."""

    def parse(text: str) -> timedelta:
        if not least <= (found := parse_duration(text)) <= most:
            raise ValueError(f"{text!r}: {refusal}")
        return found

    return parse


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


def address(schemes: set[str], refusal: str, *, needs_host: bool = True) -> Callable[[str], str]:
    """Return a parser of addresses. Its ValueError has the text `refusal`, never the address."""

    def parse(text: str) -> str:
        try:
            parts = urlsplit(text)
            fits = (
                parts.scheme in schemes
                and parts.port != 0
                and bool(parts.hostname or not needs_host)
            )
        except ValueError:  # its message may hold a password
            fits = False
        if not fits:
            raise ValueError(refusal)
        return text

    return parse


port_number = whole_number(1, 65535, "is not a port: give a whole number from 1 to 65535")
