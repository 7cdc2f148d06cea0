"""A kind is one folder: no module outside of it names the kind, and it names no other kind."""

import ast
import re
from pathlib import Path

from alerting.kinds.registry import definition_types

ROOT = Path(__file__).parents[2]
KINDS = ROOT / "alerting" / "kinds"
MODULES = [
    p
    for part in ("alerting", "dags")
    for p in sorted((ROOT / part).rglob("*.py"))
    if (ROOT / "alerting/demo") not in p.parents
]
TEMPLATES = sorted((ROOT / "alerting").rglob("*.html"))
NAMES = sorted(definition_types())
CLASSES = {name: f"{name.title().replace('_', '')}Definition" for name in NAMES}
MAY_NAME_ONE = re.compile(
    "|".join([*CLASSES.values(), *(rf"kinds\.{name}|[\"']{name}[\"']" for name in NAMES)])
)


def owner(path):
    """The kind in whose folder a file lies, None outside of all."""
    return next((name for name in NAMES if KINDS / name in path.parents), None)


def named(tree):
    """The kinds that a module names: it imports one, has its class, or compares something with its
    name."""
    for node in ast.walk(tree):
        modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        modules += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        yield from (
            m.split(".")[2]
            for m in modules
            if m.startswith("alerting.kinds.") and m.split(".")[2] in NAMES
        )
        words = [
            getattr(node, "id", None),
            getattr(node, "attr", None),
            getattr(node, "name", None),
        ]
        yield from (name for name in NAMES if CLASSES[name] in words)
        if isinstance(node, ast.Compare) and "kind" in ast.unparse(node):
            yield from (name for name in NAMES if f"'{name}'" in ast.unparse(node))


def test_no_module_names_a_kind_but_those_of_its_folder():
    sources = {p: p.read_text(encoding="utf-8") for p in MODULES}
    found = {
        p: set(named(ast.parse(source))) - {owner(p)}
        for p, source in sources.items()
        if MAY_NAME_ONE.search(source)
    }
    assert {p.relative_to(ROOT).as_posix(): kinds for p, kinds in found.items() if kinds} == {}


def test_no_page_asks_for_a_kind():
    asks = re.compile(rf"kind [!=]= .(?:{'|'.join(NAMES)})")
    assert [p.name for p in TEMPLATES if asks.search(p.read_text(encoding="utf-8"))] == []


def test_each_kind_is_the_folder_of_its_name_with_a_definition_and_its_methods():
    folders = {p.parent.name for p in KINDS.glob("*/definition.py")}
    assert folders == set(NAMES)
    assert [name for name in NAMES if not (KINDS / name / "kind.py").exists()] == []
