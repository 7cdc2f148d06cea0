"""Faults in what people wrote: all of them at once, each with its place and a hint."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with a document."""

    path: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" + (f" ({self.hint})" if self.hint else "")


class Refused(Exception):
    """A user's input was refused whole; the message is for the user, no traceback needed."""


class DefinitionRefused(Refused):
    """A definition has faults; nothing of it was taken."""

    def __init__(self, name: str, faults: Sequence[Fault]) -> None:
        self.name = name
        self.faults = tuple(faults)
        super().__init__(f"definition {name!r} is refused:\n" + "\n".join(f"  - {f}" for f in self.faults))


def nearest(word: str, known: Iterable[str], what: str) -> str:
    """A hint: the known names that look like this word, or else all of them, at most twenty, under the title `what`."""
    names = sorted(known)
    close = get_close_matches(word, names, n=3, cutoff=0.6)
    if close:
        return f"did you mean {' or '.join(close)}?"
    return f"{what}: {', '.join(names[:20])}" if names else ""
