"""Names of all commands and options, which the shell offers: `alerting/cli/completion.json`."""

import json
from typing import Any

import typer


def completion_names(app: typer.Typer) -> str:
    """Return JSON: of each group its commands, and of each command its options."""
    return json.dumps(_names(typer.main.get_command(app)), indent=1) + "\n"


def _names(command: Any) -> Any:
    if hasattr(command, "commands"):
        return {name: _names(below) for name, below in command.commands.items()}
    options = [one for one in command.params if one.param_type_name == "option"]
    names = [name for option in options for name in (*option.opts, *option.secondary_opts)]
    return [*(name for name in names if name.startswith("--")), "--help"]
