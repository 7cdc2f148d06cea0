"""Names that can be searched for and say something: functions are called by verb and noun, a class
name means one thing, a value is named by what it is, and a module by what is in it."""

import ast
import re
from collections import defaultdict
from fnmatch import fnmatchcase
from pathlib import Path

ROOT = Path(__file__).parents[2]
NOT_SEARCHABLE = "of|put|newest|latest|between|within"
# In the package also these; properties apart, which are read like fields.
PREPOSITIONS = (
    "about|above|across|after|again|among|around|at|before|since|some|then|together|until|upwards"
    "|without"
)
EVERYWHERE = re.compile(rf"^ *(?:async )?def _?(?:{NOT_SEARCHABLE})\(", re.MULTILINE)
IN_PACKAGE = re.compile(rf"(?<!property\n)^ *(?:async )?def (?:{PREPOSITIONS})\(", re.MULTILINE)
CLASS = re.compile(r"^ *class (\w+)", re.MULTILINE)
# A variable, a parameter or a loop variable of these names says nothing of its value.
SAYS_NOTHING = re.compile(
    r"\b(?:found|one|told|said|there|own|other|of|what|wanted|given|asked|kept|both|each|here|held"
    r"|its|it|those|them|known|left|rest)\b"
)
# Rooms in which values are still so named, and names that modules share by chance: they only become
# fewer.
UNFINISHED: frozenset[str] = frozenset()
DOUBLED = frozenset({"assets", "prepare"})
# Modules that have one name because they have one role, in folders of which each has such a one.
ROLES = (
    ("alerting/kinds/*/",),
    ("alerting/ports/", "alerting/stores/", "alerting/stores/*/", "alerting/adapters/memory/"),
)


def matches(pattern, *folders):
    """Yield the place and the match of a pattern in the code of some folders."""
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            source = path.read_text(encoding="utf-8")
            for match in pattern.finditer(source):
                line = source.count("\n", 0, match.start()) + 1
                yield f"{path.relative_to(ROOT)}:{line}", match


def test_no_function_is_called_by_a_word_that_cannot_be_searched_for():
    everywhere = matches(EVERYWHERE, "alerting", "dags", "tests", "benchmarks", "tools")
    names = [(place, match[0]) for place, match in everywhere]
    names += [(place, match[0]) for place, match in matches(IN_PACKAGE, "alerting")]
    assert names == []


def test_a_class_name_means_one_thing():
    places = defaultdict(list)
    for place, match in matches(CLASS, "alerting", "dags"):
        places[match[1]].append(place)
    assert {name: where for name, where in places.items() if len(where) > 1} == {}


def fields(tree):
    """Return the positions of the names of fields: those of documents are chosen for people."""
    return {
        (statement.target.lineno, statement.target.col_offset)
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        for statement in node.body
        if isinstance(statement, ast.AnnAssign)
    }


def empty_names(source):
    """Yield line and name of each value that is named by a word that says nothing."""
    tree = ast.parse(source)
    of_fields = fields(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            name = node.id
        elif isinstance(node, ast.arg):
            name = node.arg
        elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar):
            name = node.name
        else:
            continue
        if (
            name
            and SAYS_NOTHING.fullmatch(name)
            and (node.lineno, node.col_offset) not in of_fields
        ):
            yield node.lineno, name


def test_a_value_is_named_by_what_it_is():
    places = defaultdict(list)
    for folder in ("alerting", "dags"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            source = path.read_text(encoding="utf-8")
            if SAYS_NOTHING.search(source):
                for line, name in empty_names(source):
                    places[path.relative_to(ROOT).as_posix()].append((line, name))
    refused = {
        path: names
        for path, names in places.items()
        if not any(path.startswith(room) for room in UNFINISHED)
    }
    assert refused == {}
    finished = {room for room in UNFINISHED if not any(path.startswith(room) for path in places)}
    assert finished == set(), "strike these out of UNFINISHED"


def is_role(paths):
    """Return whether modules of one name lie in sister folders, and so have one role."""
    folders = [f"{path.parent.relative_to(ROOT).as_posix()}/" for path in paths]
    return any(
        all(any(fnmatchcase(folder, role) for role in sisters) for folder in folders)
        for sisters in ROLES
    )


def test_a_module_is_named_by_what_is_in_it():
    modules = defaultdict(list)
    for folder in ("alerting", "dags"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if path.name != "__init__.py":
                modules[path.stem].append(path)
    doubled = {
        name: [path.relative_to(ROOT).as_posix() for path in paths]
        for name, paths in modules.items()
        if len(paths) > 1 and not is_role(paths)
    }
    assert {name: paths for name, paths in doubled.items() if name not in DOUBLED} == {}
    assert DOUBLED - doubled.keys() == set(), "strike these out of DOUBLED"
