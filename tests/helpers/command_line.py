"""Commands as people type them, and files for them."""

from functools import cache
from pathlib import Path
from unittest.mock import patch

import typer.testing
import yaml
from typer.main import get_command
from typer.testing import CliRunner

from alerting.cli.command import console, errors
from alerting.cli.main import app

TITLE = (
    "Zone [2] is [red]too hot[/red] :fire: for the whole of a rather long title that no table of "
    "eighty columns can hold"
)
made_once = cache(get_command)
"""Returns all commands of an application: to make them anew takes longer than most commands."""


def run(*words, columns=80, **environ):
    """A command on a screen of this width. A console that was made while COLUMNS was set would keep
    that width."""
    with (
        patch.object(console, "_width", None),
        patch.object(errors, "_width", None),
        patch.object(typer.testing, "_get_command", made_once),
    ):
        return CliRunner().invoke(
            app, [str(word) for word in words], env={"COLUMNS": str(columns), **environ}
        )


def output(*words, **environ):
    done = run(*words, **environ)
    assert done.exit_code == 0, done.output
    return done.stdout


def write(name, document):
    path = Path(name)
    path.write_text(
        document if isinstance(document, str) else yaml.safe_dump(document), encoding="utf-8"
    )
    return path
