"""The page of commands, generated from the commands: each with its arguments and the first sentence
of its help."""

import re
from collections.abc import Iterator
from typing import Any

import typer

_INTRODUCTION = """# Commands

Made from the commands by `make docs`; do not edit. `alerting --help`, and `--help` of each command, describe
options, examples and refused input.

- Commands find the running platform, or start its database for their own duration ([homes](install.md#homes-and-other-users)).
- Every command that prints a table takes `--json`. Times are ISO 8601 with a zone.
- Exit code 0: done; 1: refused or failed, with a message; 2: wrong usage.
- `alerting --install-completion` completes commands in the shell.

"""  # noqa: E501


def commands_page(app: typer.Typer) -> str:
    """Return Markdown with a line for each command, grouped under the name of its group."""
    root = typer.main.get_command(app)
    rows = [f"- `{command}`: {summary}" for command, summary in _rows(root, "alerting")]
    return _INTRODUCTION + "\n".join(rows) + "\n"


def _rows(group: Any, prefix: str) -> Iterator[tuple[str, str]]:
    for name, command in group.commands.items():
        command_line = f"{prefix} {name}"
        if hasattr(command, "commands"):
            yield from _rows(command, command_line)
        else:
            arguments = [_argument(p) for p in command.params if p.param_type_name == "argument"]
            yield " ".join([command_line, *arguments]), _summary(command.help or "")


def _argument(parameter: Any) -> str:
    name = parameter.metavar or (parameter.name or "").upper()
    return name if parameter.required else f"[{name.strip('[]')}]"


def _summary(text: str) -> str:
    """Return the first clause of a help text, as one line."""
    paragraph = " ".join(text.split("\n\n", maxsplit=1)[0].split())
    return re.split(r"(?<!e\.g)\. |[;:,] | \(", paragraph)[0].removesuffix(".") + "."
