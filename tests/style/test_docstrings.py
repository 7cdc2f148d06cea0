"""What a function takes and gives is in its docstring where its types do not say it: what the rows
of an array are, in which unit its values, and which refusal to expect."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ALIAS = re.compile(r"^(\w+)(?:: TypeAlias)? = .*\bNDArray\[", re.MULTILINE)
ARRAYS = {"ndarray", "NDArray", "DataFrame", "Series", "History", "LongHistory"}
SHOWN = re.compile(r"typer\.|: (?:Served|Request)\b")
OTHER = re.compile(r"^(?:class |(?=\w+ = Literal))(\w+)", re.MULTILINE)
NAME = re.compile(r"\w+")
# What one entry of an array is, how many there are, or the unit of its values.
STATES = re.compile(
    r"\b(?:rows?|columns?|shape|ms|milliseconds|seconds|hours|units?|lengths?|sorted|increasing|entr(?:y|ies)"
    r"|(?:each|every|per|by) (?:of )?(?:a |an |the |its )?\w+|each)\b",
    re.IGNORECASE,
)
RAISES = re.compile(r"\braises?\b", re.IGNORECASE)


def public_functions(tree):
    """Yield the functions that others call, and the methods with a docstring of their own. Not
    those whose docstring is shown to people, as the help of a command or of a route."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name[0] != "_":
            yield from (method for method in public_functions(node) if ast.get_docstring(method))
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name[0] != "_":
            decorators = [getattr(decorator, "func", None) for decorator in node.decorator_list]
            is_route = any(isinstance(decorator, ast.Attribute) for decorator in decorators)
            if not is_route and not SHOWN.search(ast.unparse(node.args)):
                yield node


def types_of(function):
    """Return the names in the annotations of a function."""
    typed = [function.returns, *(argument.annotation for argument in arguments_of(function))]
    return {name for one in typed if one is not None for name in NAME.findall(ast.unparse(one))}


def arguments_of(function):
    """Return the arguments of a function that stand before those by any name."""
    return [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]


def raised_by(node):
    """Yield the names of the exceptions that a part of a function makes and does not catch."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        return
    if isinstance(node, ast.Raise) and node.exc is not None:
        made = ast.unparse(getattr(node.exc, "func", node.exc))
        if isinstance(node.exc, ast.Call) or made[0].isupper():
            yield made
    caught = {ast.unparse(handler.type or node) for handler in getattr(node, "handlers", ())}
    body = node.body if caught else ()
    for child in ast.iter_child_nodes(node):
        yield from (n for n in raised_by(child) if not (child in body and n in caught))


def array_names(sources):
    """Return the names of the types of arrays and tables; not one that means something else in
    another module."""
    aliases = {alias for source in sources for alias in ALIAS.findall(source)}
    others = {name for source in sources for name in OTHER.findall(source)}
    return ARRAYS | (aliases - others)


def unsaid(source, arrays):
    """Return line and name of each function whose docstring leaves out what it must say, with
    that."""
    faults = []
    tree = ast.parse(source)
    classes = {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
    for function in public_functions(tree):
        text = ast.get_docstring(function) or ""
        is_method = function not in tree.body
        if not is_method and types_of(function) & arrays - classes and not STATES.search(text):
            faults.append((function.lineno, function.name, "rows, shape or unit of its arrays"))
        if any(map(list, map(raised_by, function.body))) and not RAISES.search(text):
            faults.append((function.lineno, function.name, "what it raises: `Raises ...`"))
    return faults


@pytest.fixture(scope="module")
def sources():
    """Return the source of each module of the package by its path."""
    paths = sorted((ROOT / "alerting").rglob("*.py"))
    return {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in paths}


def test_a_docstring_says_what_the_types_do_not_say(sources):
    arrays = array_names(sources.values())
    assert {"Millis", "Floats", "BoolArray"} <= arrays
    assert [
        f"{path}:{line}: the docstring of {name} does not say {what}"
        for path, source in sources.items()
        for line, name, what in unsaid(source, arrays)
    ] == []


@pytest.mark.parametrize(
    ("source", "left_out"),
    [
        ("def f(at: Millis) -> int:\n    'Return the first.'", "rows"),
        ("def f(at: int) -> tuple[Floats, int]:\n    'Return all.'", "rows"),
        ("def f(at: Millis) -> int:\n    'Return the first (ms).'", None),
        ("def _f(at: Millis) -> int:\n    'Return the first.'", None),
        ("def f():\n    'Return the first.'\n    raise ValueError('x')", "raises"),
        ("def f():\n    'Return the first.'\n    raise NotFound", "raises"),
        ("def f():\n    'Return it. Raises NotFound.'\n    raise NotFound", None),
        ("def f():\n    'Return it.'\n    try: g()\n    except E as e:\n        raise e", None),
        ("def f():\n    'Return it.'\n    try: raise E('x')\n    except E: g()", None),
        ("def f():\n    'Return it.'\n    def g():\n        raise E('x')", None),
        ("class A:\n    def f(self):\n        'Return it.'\n        raise E('x')", "raises"),
        ("class A:\n    def f(self):\n        raise E('x')", None),
        ("@pages.get('/x')\ndef f():\n    'Return it.'\n    raise E('x')", None),
    ],
)
def test_what_a_docstring_leaves_out_is_reported(source, left_out):
    faults = unsaid(source, {"Millis", "Floats"})
    assert [what for _, _, what in faults if left_out and left_out in what] == [
        what for _, _, what in faults
    ]
    assert bool(faults) == bool(left_out)
