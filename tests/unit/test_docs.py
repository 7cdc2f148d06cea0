"""The documents: links lead somewhere, the index names every page, and the commands that they show are those that there are."""

import re
import shlex
from pathlib import Path

import pytest
import typer

from alerting.cli.main import app

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


def test_the_index_of_decision_records_names_every_record_and_its_title():
    folder = ROOT / "docs" / "adr"
    index = (folder / "README.md").read_text(encoding="utf-8")
    for record in folder.glob("[0-9]*.md"):
        number, title = record.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ").split(" ", 1)
        assert f"| [{number}]({record.name}) | {title} |" in index, record.name


def test_every_decision_record_has_its_parts_and_fits_a_page():
    for record in (ROOT / "docs" / "adr").glob("[0-9]*.md"):
        text = record.read_text(encoding="utf-8")
        assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Decision", "Alternatives", "Consequences"], (
            record.name
        )
        assert re.search(r"^Status: (accepted|proposed|superseded by \d{4})\.$", text, re.MULTILINE), record.name
        assert len(text.split()) <= 400, record.name


@pytest.fixture(scope="module")
def files():
    """Every file of the repository, with `/` before it, so that the end of a path is found by its whole names."""
    folders = ("alerting", "benchmarks", "config", "dags", "docs", "tests", "tools")
    return [
        f"/{path.relative_to(ROOT).as_posix()}" for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()
    ]


@pytest.mark.parametrize("name", NAMES)
def test_every_module_that_is_named_exists(name, files):
    named = re.findall(r"`([\w./-]+\.py)`", (ROOT / name).read_text(encoding="utf-8"))
    assert [module for module in named if not any(file.endswith(f"/{module}") for file in files)] == []


def test_every_function_of_the_walkthrough_stands_in_its_module():
    page = (ROOT / "docs" / "walkthrough.md").read_text(encoding="utf-8")
    steps = re.findall(r"^\| .*?\| `([\w./]+\.py)` \| (.+) \|$", page, re.MULTILINE)
    steps += re.findall(r"`([\w./]+\.py)`\s\((`\w+`)\)", page)
    assert len(steps) > 40
    missing = []
    for module, functions in steps:
        path = ROOT / module if module.startswith("dags/") else ROOT / "alerting" / module
        code = path.read_text(encoding="utf-8") if path.exists() else ""
        missing += [
            (module, f) for f in re.findall(r"`(\w+)`", functions) if not re.search(rf"^\s*(def|class) {f}\b", code, re.MULTILINE)
        ]
    assert missing == []


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
