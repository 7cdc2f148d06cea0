"""Each thing has one name (docs/glossary.md): no definition bears a word that was given up.

`retired_words.txt` lists them: `part NAME` as a part of any identifier or heading, `name NAME` as a
whole identifier, private ones included, `word NAME` nowhere, neither in names of tests and their
helpers nor in prose. Definitions are modules, classes, functions, parameters, fields, constants,
collections, commands and headings; uses, libraries and local variables are free.
"""

import ast
import re
from functools import cache
from pathlib import Path

from typer.main import get_command

from alerting.cli.main import app
from alerting.stores.database.indexes import INDEXES

ROOT = Path(__file__).parents[2]
LINES = [
    line.split()
    for line in (Path(__file__).parent / "retired_words.txt").read_text().splitlines()
    if line[:1] not in ("", "#")
]
PARTS = {word for kind, word in LINES if kind == "part"}
NAMES = {word for kind, word in LINES if kind == "name"}
WORDS = {word for kind, word in LINES if kind == "word"}
RETIRED_PART = re.compile(rf"(?<![a-z0-9])(?:{'|'.join(sorted(PARTS))})(?![a-z0-9])")
PIECES = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z0-9]+|[A-Z]+")


@cache
def retired_in(name):
    """The retired words in one identifier."""
    pieces = [piece.lower() for piece in PIECES.findall(name)]
    joined = "_".join(pieces)
    return {*RETIRED_PART.findall(joined), *({name, name.lstrip("_")} & NAMES)}


def statements(node):
    """Every statement in a module, class, function or block."""
    for part in ("body", "orelse", "finalbody", "handlers", "cases"):
        for below in getattr(node, part, ()):
            yield below
            yield from statements(below)


def definitions_in(source):
    """Names of classes, functions, parameters, fields and constants of a module."""
    tree = ast.parse(source)
    for statement in tree.body:
        if isinstance(statement, ast.Assign):
            yield from (target.id for target in statement.targets if isinstance(target, ast.Name))
        elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            yield statement.target.id
    for node in statements(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            signature = node.args
            yield from (
                parameter.arg
                for parameter in (*signature.posonlyargs, *signature.args, *signature.kwonlyargs)
            )
        if isinstance(node, ast.ClassDef):
            yield from (
                part.target.id
                for part in node.body
                if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name)
            )


def commands_below(group, path=""):
    for name, command in group.commands.items():
        yield f"{path}{name}"
        if hasattr(command, "commands"):
            yield from commands_below(command, f"{path}{name}_")


def everything():
    """Every definition: where it stands, its name."""
    for path in sorted([*(ROOT / "alerting").rglob("*.py"), *(ROOT / "dags").rglob("*.py")]):
        where = str(path.relative_to(ROOT))
        yield where, path.stem
        yield from ((where, name) for name in definitions_in(path.read_text(encoding="utf-8")))
    yield from (("collection", name) for name in INDEXES)
    yield from (("command", name.replace("-", "_")) for name in commands_below(get_command(app)))
    for page in sorted(
        [*(ROOT / "docs").rglob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    ):
        for heading in re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE):
            yield str(page.relative_to(ROOT)), "_".join(re.findall(r"[A-Za-z]+", heading)).lower()


def test_no_definition_bears_a_retired_word():
    assert [
        (where, name, sorted(words)) for where, name in everything() if (words := retired_in(name))
    ] == []


def names_of_tests():
    """Every definition of the tests: where it stands, its name."""
    for path in sorted((ROOT / "tests").rglob("*.py")):
        yield path.name, path.stem
        for name in definitions_in(path.read_text(encoding="utf-8")):
            yield path.name, name


def test_no_test_bears_a_word_that_is_nowhere_used():
    pattern = re.compile(
        rf"(?<![a-z0-9])(?:{'|'.join(map(str.lower, WORDS - {'NEVER'}))})(?![a-z0-9])"
    )
    found = [
        (where, name)
        for where, name in names_of_tests()
        if pattern.search("_".join(PIECES.findall(name)).lower())
    ]
    assert found == []


def docstrings_in(source):
    """The docstrings of a module and of everything in it."""
    tree = ast.parse(source)
    nodes = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
    ]
    yield from (text for node in nodes if (text := ast.get_docstring(node)) is not None)


def prose():
    """Every text for readers of the code: where it stands, and the text without code."""
    for page in sorted(
        [*(ROOT / "docs").rglob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    ):
        text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
        yield str(page.relative_to(ROOT)), re.sub(r"`[^`]*`", "", text)
    for folder in ("alerting", "dags", "tests"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for text in docstrings_in(path.read_text(encoding="utf-8")):
                yield str(path.relative_to(ROOT)), re.sub(r"`[^`]*`", "", text)


def test_no_page_and_no_docstring_uses_such_a_word():
    pattern = re.compile(rf"\b(?:{'|'.join(WORDS)})\b")
    assert [
        (where, sorted(set(words))) for where, text in prose() if (words := pattern.findall(text))
    ] == []
