"""The documents: links lead somewhere, the index names every page, and the commands that they show are those that there are."""

import re
import shlex
from pathlib import Path

import pytest
import typer

from alerting.cli.main import app
from alerting.settings.environment import Settings

ROOT = Path(__file__).parents[2]
PAGES = sorted({*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("config/**/*.md")})
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]


def anchors(page):
    """The addresses of a page's headings, as they are made on the web."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("name", NAMES)
def test_every_link_leads_somewhere(name):
    page = ROOT / name
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if target.startswith(("http://", "https://")):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


def test_the_index_names_every_page():
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    assert [page.name for page in ROOT.glob("docs/*.md") if page.name != "README.md" and f"({page.name}" not in index] == []


@pytest.fixture(scope="module")
def commands():
    return typer.main.get_command(app)


def shown_commands(page):
    """The words behind `alerting` on each line of the blocks of a page."""
    for block in re.findall(r"^```[^\n]*\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
        for line in re.sub(r"\\\n", " ", block).splitlines():
            if found := re.match(r"(?:\$ )?(?:\.venv/bin/|docker compose run .* api )?alerting (.+)", line.strip()):
                yield shlex.split(found[1], comments=True)


@pytest.mark.parametrize("name", NAMES)
def test_every_command_that_is_shown_is_there_with_its_options(name, commands):
    for words in shown_commands(ROOT / name):
        command, rest = commands, list(words)
        while hasattr(command, "commands"):
            assert rest[0] in command.commands, words
            command = command.commands[rest.pop(0)]
        options = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        assert {word.partition("=")[0] for word in rest if word.startswith("--")} <= options | {"--help"}, words


def test_the_ports_of_every_part_are_in_the_docs_with_the_setting_that_changes_each():
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    rows = [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in page.splitlines() if line.startswith("|")]
    told = {row[2]: row[1] for row in rows if len(row) == 3 and row[2].endswith("_PORT")}
    assert told == {f"ALERTING_{name.upper()}": str(port) for name, port in Settings(home=ROOT).ports.items()}
