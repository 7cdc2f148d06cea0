"""Commands print nothing that commands the terminal, whatever a document holds."""

import io

import pytest
from rich.table import Table

from alerting.cli import command
from alerting.cli.command import console
from alerting.definitions.faults import UserError

pytestmark = pytest.mark.fast

ATTACK = "Oven\x1b[2J\x1b]0;owned\x07\u202etoh\u202c 1\x9b31m"


def printed(what, monkeypatch, colour=True):
    screen = io.StringIO()
    monkeypatch.setattr(console, "_file", screen)
    monkeypatch.setattr(console, "_force_terminal", colour)
    console.print(what)
    return screen.getvalue()


def test_titles_in_a_table_give_the_terminal_no_commands(monkeypatch):
    table = Table("title")
    table.add_row(ATTACK)
    shown = printed(table, monkeypatch)
    assert "toh 1" in shown
    assert printed("plain é ≤ 温", monkeypatch) == "plain é ≤ 温\n"
    assert not [c for c in ("\x1b[2J", "\x1b]", "\x07", "\u202e", "\x9b") if c in shown]


def test_a_refusal_that_repeats_what_was_given_gives_no_commands(capsys):
    @command.command
    def refuses():
        raise UserError(f"there is no asset {ATTACK}")

    try:
        refuses()
    except BaseException as ended:  # typer's exit
        assert type(ended).__name__ == "Exit"
    shown = capsys.readouterr().err
    assert "there is no asset Oven" in shown.replace("\n", " ")
    assert not [c for c in ("\x1b[2J", "\x07", "\u202e") if c in shown]
