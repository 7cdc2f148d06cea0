"""Layout of the code: no test imports another, and no folder, file or function is too long to be
looked over."""

import ast
import re
from collections import Counter
from itertools import pairwise
from pathlib import Path

TESTS = Path(__file__).parents[1]
MODULES = [path for path in sorted(TESTS.rglob("*.py")) if "__pycache__" not in path.parts]
MOST_MODULES, MOST_LINES, MOST_LINES_OF_FUNCTION = 15, 350, 60
PYTHON = ("alerting", "tests", "dags", "benchmarks", "tools")
IMPORTS = re.compile(
    r"^\s*(?:from|import) tests((?:\.\w+)*)(?: import (?:\(([^)]*)\)|([^\n(]*)))?", re.MULTILINE
)


def imported(path):
    """Names of modules of the tests that a module imports, each also with the names that it takes
    from it."""
    for folder, inside, names in IMPORTS.findall(path.read_text(encoding="utf-8")):
        yield f"tests{folder}"
        yield from (f"tests{folder}.{name}" for name in re.findall(r"\w+", inside or names))


def is_test(module):
    return (
        module.startswith("tests.")
        and (TESTS.parent / f"{module.replace('.', '/')}.py").name.startswith("test_")
        and (TESTS.parent / f"{module.replace('.', '/')}.py").exists()
    )


def test_no_module_imports_a_test():
    found = [
        (path.relative_to(TESTS).as_posix(), module)
        for path in MODULES
        for module in imported(path)
        if is_test(module)
    ]
    assert found == []


def test_no_folder_holds_more_test_modules_than_can_be_looked_over():
    counts = {}
    for path in MODULES:
        if path.name.startswith("test_"):
            counts[path.parent] = counts.get(path.parent, 0) + 1
    assert {str(folder): count for folder, count in counts.items() if count > MOST_MODULES} == {}


def test_no_folder_or_file_of_the_package_grows_beyond_what_can_be_looked_over():
    sources = [
        path for path in (TESTS.parent / "alerting").rglob("*.py") if path.name != "__init__.py"
    ]
    folders = Counter(path.parent.relative_to(TESTS.parent).as_posix() for path in sources)
    assert {folder: count for folder, count in folders.items() if count > MOST_MODULES} == {}
    lengths = {
        path.relative_to(TESTS.parent).as_posix(): path.read_text(encoding="utf-8").count("\n")
        for path in sources
    }
    assert {name: length for name, length in lengths.items() if length > MOST_LINES} == {}


def statements(block):
    """Every statement of a module, class, function or block."""
    for part in ("body", "orelse", "finalbody", "handlers", "cases"):
        for below in getattr(block, part, ()):
            yield below
            yield from statements(below)


def has_long_block(source):
    """Return whether a block at the first column has more lines than a function may have: only then
    the file is parsed."""
    starts = [
        number
        for number, line in enumerate(source.splitlines())
        if line.startswith(("def ", "class ", "async def "))
    ]
    return any(
        after - start > MOST_LINES_OF_FUNCTION
        for start, after in pairwise([*starts, source.count("\n")])
    )


def test_no_function_grows_beyond_what_can_be_looked_over():
    sources = [path for folder in PYTHON for path in (TESTS.parent / folder).rglob("*.py")]
    assert len(sources) > 500
    functions = [
        (
            f"{path.relative_to(TESTS.parent)}:{node.lineno} {node.name}",
            (node.end_lineno or 0) - node.lineno + 1,
        )
        for path in sources
        if has_long_block(source := path.read_text(encoding="utf-8"))
        for node in statements(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    assert {name: length for name, length in functions if length > MOST_LINES_OF_FUNCTION} == {}
