"""Lanes of the tests: the files of one lane need the same libraries and servers, and run in one
process, which imports and starts each of them once.

A file is in the first lane whose words its path or its text has, so that a new file needs no entry.
"""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

TESTS = Path(__file__).parent
MODELS = frozenset({"sklearn", "lightgbm", "shap", "optuna"})
PLATFORM = frozenset({"mlflow", "airflow"})


@dataclass(frozen=True)
class Lane:
    """A lane. `holds`: its content for people; `words`: a pattern of path and text; `never`:
    modules that its tests do not load."""

    name: str
    holds: str
    words: str
    never: frozenset[str] = frozenset()

    def takes(self, path: Path) -> bool:
        """Return whether a file of tests has its words."""
        place = path.relative_to(TESTS) if path.is_relative_to(TESTS) else path.name
        text = f"{place}\n{path.read_text(encoding='utf-8')}"
        return re.search(self.words, text) is not None


LANES = (
    Lane(
        "platform",
        "one `alerting up`, Airflow's scheduler, the DAG files",
        r"\A(?:dags|cluster|adapters/airflow)/|\Alocal/test_up|with running_airflow\("
        r"|(?m:^from airflow\.)",
    ),
    Lane(
        "browser",
        "pages in chromium",
        r"mark\.browser",
        frozenset({"airflow"}),
    ),
    Lane(
        "models",
        "trainings and trained models",
        r"mark\.models",
    ),
    Lane(
        "parts",
        "brokers, databases, file servers, MLflow, commands as processes",
        r"\A(?:stream|cli|local|demo|benchmarks|bare|adapters/(?:mlflow|embedded))/"
        r"|helpers\.(?:brokers|databases|file_servers|killed_processes|mariadb|postgres|forked)",
    ),
    Lane("console", "API and pages in process", r"\Aconsole/|\Aclient/", frozenset({"airflow"})),
    Lane(
        "core",
        "pure functions: no library of models",
        r"(?m)^pytestmark = pytest\.mark\.fast$",
        MODELS | PLATFORM,
    ),
    Lane("use cases", "use cases and stores on one MongoDB", "", PLATFORM),
)
HOLDS = {lane.name: lane.holds for lane in LANES}


@cache
def lane_of(path: Path) -> Lane:
    """Return the lane of a file of tests."""
    return next(lane for lane in LANES if lane.takes(path))


def holds_tests(path: Path, name: str) -> bool:
    """Return whether a file, or a folder of the tests with all below it, has tests of a lane."""
    if not path.is_dir():
        return path.suffix == ".py" and lane_of(path).name == name
    is_elsewhere = not path.is_relative_to(TESTS)  # other files than ours lie in there
    return is_elsewhere or any(lane_of(file).name == name for file in path.rglob("test_*.py"))
