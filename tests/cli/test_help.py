"""The help of `alerting`, and what it answers to commands that do not exist."""

from contextlib import redirect_stderr, redirect_stdout
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import pytest
import typer

from alerting.cli.main import LoadedCommands, app, command_paths
from tools.pages.commands import commands_page
from tools.pages.completion import completion_names

pytestmark = pytest.mark.fast

LINES_OF_A_SCREEN = 43
PAGE = Path(__file__).parents[2] / "docs" / "commands.md"


class Answer(NamedTuple):
    exit_code: int
    output: str


@cache
def tree():
    return typer.main.get_command(app)


@pytest.fixture(autouse=True)
def narrow(monkeypatch):
    for name in ("COLUMNS", "TERMINAL_WIDTH"):
        monkeypatch.setenv(name, "80")


def run(*words):
    output = StringIO()
    with redirect_stdout(output), redirect_stderr(output), pytest.raises(SystemExit) as end:
        tree().main(args=words, prog_name="alerting")
    return Answer(end.value.code, output.getvalue())


def said(*words):
    """Return the message of a refused command, without the frame around it."""
    done = run(*words)
    assert done.exit_code == 2
    return " ".join(done.output.replace("│", " ").split())


def test_the_help_fits_one_screen_and_names_every_command():
    shown = run("--help").output
    lines = shown.rstrip().splitlines()
    assert len(lines) <= LINES_OF_A_SCREEN
    assert max(map(len, lines)) <= 80
    for path in command_paths(tree()):
        assert len(path) == 2 or f"│ {path[0]} " in shown
    [line] = [text for text in lines if text.startswith("│ model ")]
    words = [path[1] for path in command_paths(tree()) if path[0] == "model" and len(path) == 2]
    assert all(word in line for word in words)


def test_every_command_and_group_has_help():
    assert {run(*words, "--help").exit_code for words in command_paths(tree())} == {0}


def test_a_command_that_is_unknown_is_refused_with_the_nearest_one():
    answers = [
        ("approve", "No such command 'approve'. Did you mean `alerting model approve`"),
        ("rollback", "No such command 'rollback'. Did you mean `alerting model rollback`"),
        ("eval", "No such command 'eval'. Did you mean `alerting evaluate`"),
    ]
    refusals = [(words, said(*words.split()), answer) for words, answer in answers]
    assert [(words, refusal) for words, refusal, answer in refusals if answer not in refusal] == []


def test_the_page_of_commands_and_what_the_shell_offers_are_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == commands_page(app), "run: make docs"
    names = files("alerting.cli").joinpath("completion.json").read_text(encoding="utf-8")
    assert names == completion_names(app), "run: make docs"


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("alerting mod", ["models", "model"]),
        ("alerting mc", ["mcp"]),
        ("alerting import ", ["readings", "events", "assets"]),
        ("alerting access person ", ["add"]),
        ("alerting train --as-of 2026-03-01 --j", ["--json"]),
        ("alerting report too-moist", []),
        ("alerting apply ", []),
    ],
)
def test_the_shell_is_offered_commands_and_options_before_any_is_loaded(monkeypatch, line, offered):
    def load(_, name):
        raise AssertionError(f"{name} is loaded")

    tree()  # knows the shells
    monkeypatch.setattr(LoadedCommands, "__getitem__", load)
    monkeypatch.setenv("_ALERTING_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(len(line.split(" ")) - 1))
    assert run().output.split() == offered


def test_the_version_is_that_of_the_package():
    assert run("--version") == (0, f"alerting {version('alerting')}\n")


def test_every_command_has_a_summary():
    rows = [line for line in commands_page(app).splitlines() if line.startswith("- `alerting ")]
    assert len(rows) > 30
    assert [row for row in rows if row.endswith(": ")] == []
