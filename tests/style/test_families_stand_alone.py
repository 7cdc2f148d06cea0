"""A family is one module: no module outside of the families names one or imports its library."""

import ast
import re
from pathlib import Path

from alerting.definitions.fields.learning import BUILT_IN

ROOT = Path(__file__).parents[2]
FAMILIES = ROOT / "alerting" / "learning" / "models" / "families"
NAMES = ROOT / "alerting" / "definitions" / "fields" / "learning.py"
# its trees are part of no model
EFFECTS = ROOT / "alerting" / "learning" / "features" / "set_point_effects.py"
# isolation trees, a family of detectors, are of a library of classifiers
DETECTORS = {"alerting/kinds/anomaly/detectors.py": {"sklearn.ensemble"}}
# loads libraries, with OpenMP where the machine has none
LOADED = ROOT / "alerting" / "deferred.py"
LIBRARIES = (
    "lightgbm",
    "xgboost",
    "sklearn.linear_model",
    "sklearn.ensemble",
    "sklearn.tree",
    "shap",
    "skops",
)
MAY_NAME_ONE = re.compile("|".join(rf"\b{re.escape(name)}\b" for name in (*BUILT_IN, *LIBRARIES)))
MODULES = [
    path
    for part in ("alerting", "dags")
    for path in sorted((ROOT / part).rglob("*.py"))
    if FAMILIES not in path.parents and path not in (NAMES, EFFECTS, LOADED)
]


def named(tree):
    """The families and their libraries that a module names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and node.value in BUILT_IN:
            yield node.value
        modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        modules += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        yield from (m for m in modules if m.startswith(LIBRARIES))
        yield from (
            m
            for m in modules
            if m.startswith("alerting.learning.models.families.") and m.split(".")[-1] in BUILT_IN
        )


def test_no_module_names_a_family_but_its_own():
    sources = {p: p.read_text(encoding="utf-8") for p in MODULES}
    found = {
        p: set(named(ast.parse(source)))
        for p, source in sources.items()
        if MAY_NAME_ONE.search(source)
    }
    assert {
        p.relative_to(ROOT).as_posix(): families for p, families in found.items() if families
    } == DETECTORS


def test_each_family_of_the_platform_is_the_module_of_its_name():
    assert {name for name in BUILT_IN if (FAMILIES / f"{name}.py").is_file()} == set(BUILT_IN)
