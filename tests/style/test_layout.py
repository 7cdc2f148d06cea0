"""Layout of the code: no test imports another, and no folder, file or function is too long to be
looked over."""

import ast
import re
import tomllib
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
MODULES = [path for path in sorted(TESTS.rglob("*.py")) if "__pycache__" not in path.parts]
MOST_MODULES = 15
MOST_LINES = 600
MOST_LINES_OF_FUNCTION = 75  # of its body: a signature has one line for each argument
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
            (node.end_lineno or 0) - node.body[0].lineno + 1,
        )
        for path in sources
        if has_long_block(source := path.read_text(encoding="utf-8"))
        for node in statements(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    assert {name: length for name, length in functions if length > MOST_LINES_OF_FUNCTION} == {}


def reads_an_earlier_target(targets, values):
    """Return whether a later value reads what an earlier target changes, as in a swap."""
    return any(
        ast.unparse(target)
        in {ast.unparse(node) for node in ast.walk(value) if isinstance(node, ast.expr)}
        for number, target in enumerate(targets)
        for value in values[number + 1 :]
    )


def test_a_statement_assigns_one_value_but_for_swaps_and_unpacking():
    sources = [path for folder in PYTHON for path in (TESTS.parent / folder).rglob("*.py")]
    found = [
        f"{path.relative_to(TESTS.parent)}:{node.lineno}"
        for path in sources
        if re.search(
            r"^\s*[\w.\[\]]+(?:, [\w.\[\]\"']+)+ = ",
            source := path.read_text(encoding="utf-8"),
            re.MULTILINE,
        )
        for node in statements(ast.parse(source))
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Tuple)
        and isinstance(node.value, ast.Tuple)
        and not any(
            isinstance(part, ast.Starred) for part in [*node.targets[0].elts, *node.value.elts]
        )
        and not reads_an_earlier_target(node.targets[0].elts, node.value.elts)
    ]
    assert found == []


# a string below a line that heads no class or function; only such files are parsed
MAY_BE_LOOSE = re.compile(
    r'''[^:\n]\n+ *[rf]?"""[\w`]|^(?! *(?:def |class |async def |\))).*:\n+ *[rf]?"""[\w`]''',
    re.MULTILINE,
)


def loose_strings(source):
    """Lines of strings that document nothing: they neither begin a module, class or function nor
    stand directly below an assignment."""
    tree = ast.parse(source)
    headed = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    return [
        node.lineno
        for block in (tree, *statements(tree))
        for part in ("body", "orelse", "finalbody")
        for before, node in pairwise([block, *getattr(block, part, ())])
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant | ast.JoinedStr)
        and getattr(node.value, "value", "") is not Ellipsis
        and not (before is block and isinstance(block, headed))
        and not (
            isinstance(before, ast.Assign | ast.AnnAssign) and node.lineno == before.end_lineno + 1
        )
    ]


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ('"""Of the module."""\nA = 1\n"""Of A."""\nB: int = 2\n"""Of B."""\n', []),
        ('A = 1\n"""Of A."""\n"""Of a constant that left."""\n', [3]),
        ('A = 1\n\n"""Of a constant that left."""\n', [3]),
        ('import re\n"""Of a constant that left."""\n', [2]),
        ('def f():\n    """Of f."""\n"""Of a constant that left."""\n', [3]),
        ('def f():\n    with g():\n        """Of nothing."""\n', [3]),
    ],
)
def test_a_string_that_documents_nothing_is_found(source, lines):
    assert loose_strings(source) == lines
    assert not lines or MAY_BE_LOOSE.search(source)


def test_no_string_documents_nothing():
    found = [
        f"{path.relative_to(TESTS.parent)}:{line}"
        for folder in PYTHON
        for path in (TESTS.parent / folder).rglob("*.py")
        if MAY_BE_LOOSE.search(source := path.read_text(encoding="utf-8"))
        for line in loose_strings(source)
    ]
    assert found == []


def test_a_fast_test_starts_nothing():
    """`make unit` leaves out tests that start something."""
    starts = re.compile(r"mark\.(?:models|server|airflow|browser)|real_mongod|EmbeddedMongod")
    found = [
        path.relative_to(TESTS).as_posix()
        for path in MODULES
        if path.name.startswith("test_")
        and path.parent.name != "style"
        and "pytest.mark.fast" in (source := path.read_text(encoding="utf-8"))
        and starts.search(source)
    ]
    assert found == []


def test_the_tree_of_tests_mirrors_the_package():
    """A folder of tests lies where the package, the DAGs or the benchmarks have one, or holds a
    story: then its parent does."""
    own = {"ports", "scenarios", "dags", "benchmarks", "cluster", "faults", "style", "helpers"}
    strangers = {
        path.parent.relative_to(TESTS)
        for path in MODULES
        if path.name.startswith("test_")
        and (parts := path.parent.relative_to(TESTS).parts)
        and parts[0] not in own
        and not (TESTS.parent / "alerting" / path.parent.relative_to(TESTS)).is_dir()
        and not (TESTS.parent / "alerting" / path.parent.parent.relative_to(TESTS)).is_dir()
    }
    assert strangers == set()


def test_the_contract_of_the_console_names_each_of_its_modules():
    """One that it does not name could import any other."""
    settings = tomllib.loads((TESTS.parent / "pyproject.toml").read_text(encoding="utf-8"))
    layers = next(
        contract["layers"]
        for contract in settings["tool"]["importlinter"]["contracts"]
        if contract["name"].startswith("The console")
    )
    modules = [
        path.relative_to(TESTS.parent).with_suffix("").as_posix().replace("/", ".")
        for path in (TESTS.parent / "alerting" / "console").rglob("*.py")
        if path.name != "__init__.py"
    ]
    assert sorted(re.findall(r"[\w.]+", " ".join(layers))) == sorted(modules)
