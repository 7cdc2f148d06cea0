"""The documents: links lead somewhere, the index names every page, and the commands that docs and
messages name exist."""

import ast
import re
import shlex
from pathlib import Path

import pytest
import typer
import yaml

from alerting.cli.main import app
from alerting.console.documents.starting_texts import list_starts
from alerting.demo.disturbances import air_filter, checkweigher, exhaust_fan
from alerting.demo.line import demo_asset
from alerting.kinds.registry import definition_types
from alerting.settings.environment import Settings
from alerting.usecases.definitions.revisions_and_evaluation_plan import check
from tests.in_memory_platform import memory_platform
from tools.pages.kind_pictures import kind_pictures

ROOT = Path(__file__).parents[2]
PAGES = sorted({*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("config/**/*.md")})


def anchors(page):
    """The addresses of a page's headings, as they are made on the web."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def dead_links(page):
    """Yield the links of a page that lead nowhere."""
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        is_there = file.exists() and (not anchor or anchor in anchors(file))
        if not is_there and not target.startswith(("http://", "https://")):
            yield page.name, target


def test_every_link_leads_somewhere():
    assert [link for page in PAGES for link in dead_links(page)] == []


def test_the_index_names_every_page():
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    assert [
        page.name
        for page in ROOT.glob("docs/*.md")
        if page.name != "README.md" and f"({page.name}" not in index
    ] == []


@pytest.fixture(scope="module")
def commands():
    return typer.main.get_command(app)


def shown_commands(page):
    """The words behind `alerting` on each line of the blocks of a page; a remark stands after three
    blanks."""
    for block in re.findall(
        r"^```[^\n]*\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    ):
        for line in re.sub(r"\\\n", " ", block).splitlines():
            if found := re.match(
                r"(?:\$ )?(?:\.venv/bin/|docker compose run .* api )?alerting (.+)", line.strip()
            ):
                yield shlex.split(re.split(r" {3,}", found[1])[0], comments=True)


def refusal(command, words):
    """Return why the command refuses these words; None if it takes them. `…` stands for any."""
    rest = list(words)
    while hasattr(command, "commands"):
        if not rest or rest[0].startswith(("-", "…")):
            return None
        if rest[0] not in command.commands:
            return f"no command {rest[0]}"
        command = command.commands[rest.pop(0)]
    options = {
        option: parameter
        for parameter in command.params
        for option in (*parameter.opts, *parameter.secondary_opts)
        if parameter.param_type_name == "option"
    }
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    most = float("inf") if any(one.nargs == -1 for one in arguments) else len(arguments)
    given = 0
    while rest:
        word = rest.pop(0)
        if word in "…|>" or word.startswith(("$", ">")):
            break
        name, _, value = word.partition("=")
        if not name.startswith("-"):
            given += 1
        elif name not in options and name not in ("--help", "-"):
            return f"no option {name}"
        elif name in options and not options[name].is_flag and not value and rest:
            rest.pop(0)
    return f"{given} arguments, at most {most}" if given > most else None


def inline_commands(text):
    """The words behind `alerting` of each command in backticks, without optional parts."""
    for code in re.findall(r"`alerting ([^`]+)`", text):
        try:
            yield shlex.split(re.sub(r"\[[^\]]*\]|\|\S+", "", code.replace("\n", " ")))
        except ValueError:
            yield ["…"]


def test_every_command_that_is_shown_would_be_taken(commands):
    refused = [
        (page.name, words, why)
        for page in PAGES
        for words in (*shown_commands(page), *inline_commands(page.read_text(encoding="utf-8")))
        if (why := refusal(commands, words))
    ]
    assert refused == []


def test_every_command_that_a_message_names_in_full_would_be_taken(commands):
    refused = [
        (str(file.relative_to(ROOT)), words, why)
        for file, text in texts()
        if file.suffix != ".md"
        for words in inline_commands(text)
        if words[0] not in (*PROSE, "{}") and (why := refusal(commands, words))
    ]
    assert refused == []


def test_the_ports_of_every_part_are_in_the_docs_with_the_setting_that_changes_each():
    page = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
    rows = [
        [cell.strip(" `") for cell in line.strip("|").split("|")]
        for line in page.splitlines()
        if line.startswith("|")
    ]
    told = {row[2]: row[1] for row in rows if len(row) == 3 and row[2].endswith("_PORT")}
    assert told == {
        f"ALERTING_{name.upper()}": str(port) for name, port in Settings(home=ROOT).ports.items()
    }


def test_the_examples_of_each_kind_are_accepted_and_five_lines_long():
    """By the function of `alerting check`, on the assets of the demo line."""
    page = (ROOT / "docs" / "which-kind.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```yaml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    platform = memory_platform()
    platform.assets.store_assets([demo_asset(), air_filter(), checkweigher(), exhaust_fan()])
    accepted = check(platform, [yaml.safe_load(block) for block in blocks])
    assert {one.kind for one in accepted} == set(definition_types())
    assert {len(block.splitlines()) for block in blocks} == {5}


def test_the_kinds_are_listed_in_one_order_from_the_simplest_on_in_the_page_and_the_console():
    page = (ROOT / "docs" / "which-kind.md").read_text(encoding="utf-8")
    table = page.partition("| what you have |")[2].partition("\n\n")[0]
    assert re.findall(r"\[`(\w+)`\]", table) == [one["kind"] for one in list_starts()]
    assert list_starts()[2]["kind"] == "control_chart"
    sections = re.findall(r"^## ([a-z ]+)$", page, re.MULTILINE)
    assert sections == list(dict.fromkeys(s["kind"].replace("_", " ") for s in list_starts()))


def test_the_pictures_of_the_kinds_are_those_of_the_tool():
    for name, picture in kind_pictures().items():
        stored = (ROOT / "docs" / "images" / name).read_text(encoding="utf-8")
        assert stored == picture, "run: make docs"


FOLDERS = ("alerting", "dags", "config", "benchmarks", "tools")
FILES = ("Makefile", "Dockerfile", "docker-compose.yml")
PROSE = {
    "airflow",
    "alerting",
    "console",
    "dags",
    "feedback link",
    "is",
    "platform",
    "stays",
    "rules",
}
"""Words behind `alerting` that begin no command: names of folders, and sentences."""
MAY_NAME_ONE = re.compile(r"\balerting (?!import\b)")
NAMED = re.compile(r"(?<![\w./@-])alerting ([a-z][a-z-]*[a-z])(?: ([a-z][a-z-]*[a-z]))?(?![\w])")


def literals(source):
    """The string literals of a module, docstrings among them; what an f-string computes becomes
    `{}`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.JoinedStr):
            yield "".join(
                str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def texts():
    """Every text that may name a command: file, text."""
    for page in PAGES:
        for code in re.findall(r"`([^`]+)`", page.read_text(encoding="utf-8")):
            yield page, code
    for folder in FOLDERS:
        for file in sorted((ROOT / folder).rglob("*.py")):
            source = file.read_text(encoding="utf-8")
            yield from (
                (file, text) for text in (literals(source) if MAY_NAME_ONE.search(source) else ())
            )
        for pattern in ("*.html", "*.yaml", "*.yml", "*.sh", "*.env"):
            yield from (
                (file, file.read_text(encoding="utf-8"))
                for file in sorted((ROOT / folder).rglob(pattern))
            )
    yield from ((ROOT / name, (ROOT / name).read_text(encoding="utf-8")) for name in FILES)


def unknown_command(group, first, second):
    """Return whether these words name no command of the tree; a group needs the second word."""
    command = group.commands.get(first)
    return command is None or (
        hasattr(command, "commands") and second is not None and second not in command.commands
    )


def test_every_command_that_docs_and_messages_name_is_there(commands):
    found = [(file, *words.groups()) for file, text in texts() for words in NAMED.finditer(text)]
    named = {(first, second) for _, first, second in found if first not in PROSE}
    assert len(named) > 30
    assert {("list", "sources"), ("access", "person"), ("model", "approve")} <= named
    missing = [
        (str(file.relative_to(ROOT)), first, second)
        for file, first, second in found
        if first not in PROSE
        and f"{first} {second}" not in PROSE
        and unknown_command(commands, first, second)
    ]
    assert missing == []


def test_an_old_or_misspelt_name_of_a_command_is_no_command(commands):
    """The names of before the groups, so that the test above would find them."""
    for name in (
        "approve",
        "shelve",
        "shelves",
        "unshelve",
        "routes",
        "notify",
        "suppressed",
        "late",
        "retire",
        "ack",
    ):
        assert unknown_command(commands, name, None)
    assert unknown_command(commands, "model", "aprove")
