"""How large each room may be (`config/budget.toml`): growth is a line in a diff, and a deletion
lowers its budget in the same commit."""

import ast
import re
import tomllib
from functools import cache
from pathlib import Path

import pytest
import typer

from alerting.cli.main import app
from alerting.kinds.registry import definition_types
from alerting.stores.database.indexes import INDEXES
from tools.pages.api_description import describe_api

ROOT = Path(__file__).parents[2]
BUDGET = tomllib.loads((ROOT / "config" / "budget.toml").read_text(encoding="utf-8"))
SLACK = 0.01  # of a budget, and ten: what a budget may lie above the measured number


@cache
def sources(folder):
    return sorted(path for path in (ROOT / folder).rglob("*.py") if "__pycache__" not in path.parts)


def count_statements(paths):
    return sum(
        isinstance(node, ast.stmt)
        for path in paths
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    )


def statements():
    """Statements of each folder of the product, of the modules beside them, and of the tests."""
    rooms = sorted(path.name for path in (ROOT / "alerting").iterdir() if path.is_dir())
    found = {
        room: count_statements(paths) for room in rooms if (paths := sources(f"alerting/{room}"))
    }
    found["root"] = count_statements(sorted((ROOT / "alerting").glob("*.py")))
    found |= {folder: count_statements(sources(folder)) for folder in ("dags", "tests")}
    return found


def count_modules():
    return len([*sources("alerting"), *sources("dags")])


def count_commands(group):
    below = getattr(group, "commands", None)
    return 1 if below is None else sum(count_commands(command) for command in below.values())


def count_operations():
    return sum(len(operations) for operations in describe_api()["paths"].values())


def count_settings():
    """Variables of the environment that code, documents or configuration name."""
    files = [
        *sources("alerting"),
        *(ROOT / "docs").rglob("*.md"),
        *(
            path
            for path in (ROOT / "config").rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        ),
        ROOT / "README.md",
        ROOT / "docker-compose.yml",
    ]
    name = re.compile(r"ALERTING_[A-Z0-9_]*[A-Z0-9]")
    named = {text for path in files for text in name.findall(path.read_text(encoding="utf-8"))}
    return len(named)


def count_fields():
    """Fields of all kinds of definition, with those of their groups."""
    names = set()
    for kind, model in definition_types().items():
        schema = model.model_json_schema()
        for group, part in {kind: schema, **schema.get("$defs", {})}.items():
            names |= {(group, field) for field in part.get("properties", {})}
    return len(names)


def count_lines(folder):
    return sum(path.read_text(encoding="utf-8").count("\n") for path in sources(folder))


def count_words():
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    return sum(len(page.read_text(encoding="utf-8").split()) for page in pages)


def numbers():
    return {
        "modules": count_modules(),
        "commands": count_commands(typer.main.get_command(app)),
        "operations": count_operations(),
        "collections": len(INDEXES),
        "settings": count_settings(),
        "fields": count_fields(),
        "lines_of_benchmarks": count_lines("benchmarks"),
        "words_of_documents": count_words(),
        "records": len(list((ROOT / "docs" / "adr").glob("0*.md"))),
    }


@pytest.mark.parametrize(("section", "measure"), [("statements", statements), ("numbers", numbers)])
def test_no_room_exceeds_its_budget_and_what_was_deleted_lowers_it(section, measure):
    found = measure()
    budget = BUDGET[section]
    wrong = {
        name: f"{found.get(name, 0)} measured, {budget.get(name)} in config/budget.toml"
        for name in found | budget
        if not budget.get(name, 0) * (1 - SLACK) - 10 <= found.get(name, 0) <= budget.get(name, 0)
    }
    assert wrong == {}
