"""How the tests are laid out: none imports another test, no folder is too full, and pure parts load no library of frames."""

import ast
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]
MODULES = [path for path in sorted(TESTS.rglob("*.py")) if "__pycache__" not in path.parts]
MOST_MODULES = 15
HEAVY = {"pandas", "sklearn", "lightgbm"}
PURE = ("definitions", "episodes", "operators", "notifications")


def imported(path):
    """Names of modules that a module imports, each also with the names that it takes from it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_test(module):
    return (
        module.startswith("tests.")
        and (TESTS.parent / f"{module.replace('.', '/')}.py").name.startswith("test_")
        and (TESTS.parent / f"{module.replace('.', '/')}.py").exists()
    )


def test_no_module_imports_a_test():
    found = [(path.relative_to(TESTS).as_posix(), module) for path in MODULES for module in imported(path) if is_test(module)]
    assert found == []


def test_no_folder_holds_more_test_modules_than_can_be_looked_over():
    counts = {}
    for path in MODULES:
        if path.name.startswith("test_"):
            counts[path.parent] = counts.get(path.parent, 0) + 1
    assert {str(folder): count for folder, count in counts.items() if count > MOST_MODULES} == {}


def test_the_tests_of_the_pure_core_import_no_library_of_frames_or_models():
    modules = [
        ".".join(path.relative_to(TESTS.parent).with_suffix("").parts)
        for path in MODULES
        if any(TESTS / "unit" / folder in path.parents for folder in PURE)
    ]
    assert len(modules) > len(PURE)
    program = (
        f"import importlib, sys\nfor name in {modules}: importlib.import_module(name)\nprint(sorted({HEAVY} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", program], cwd=TESTS.parent, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
