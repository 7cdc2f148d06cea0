"""Words that a shell offers for one that has been begun. The names come from a file that
`make docs` writes: loading a command takes half a second."""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

from typer.core import TyperCommand, TyperGroup


class Offer(NamedTuple):
    """A word that the shell offers, with the fields that typer reads."""

    value: str
    help: str | None = None
    type: str = "plain"


class _NamedOptions(TyperCommand):
    options: Sequence[str] = ()

    def shell_complete(self, _: Any, incomplete: str) -> list[Any]:
        """Return the options that begin so; none for other words: the shell then offers files."""
        return [Offer(name) for name in self.options if incomplete and name.startswith(incomplete)]


def named_command(name: str, names: Mapping[str, Any] | Sequence[str]) -> TyperCommand | TyperGroup:
    """Return a command that knows only the names of its options, or of the commands below it."""
    if isinstance(names, Mapping):
        below = {word: named_command(word, further) for word, further in names.items()}
        return TyperGroup(name=name, commands=dict(below))
    command = _NamedOptions(name)
    command.options = names
    return command


@cache
def named_commands() -> Mapping[str, TyperCommand | TyperGroup]:
    """Return all commands, each known by name alone."""
    text = files("alerting.cli").joinpath("completion.json").read_text(encoding="utf-8")
    return {name: named_command(name, names) for name, names in json.loads(text).items()}
